/* CONV_2D and FULLY_CONNECTED by a CMSIS-NN of your own; written against arm_nnfunctions.h V.16.0.0 (April 2024).
 *
 * A fully connected layer is a 1 x 1 convolution here too: the library then takes a multiplier for each output, which
 * arm_fully_connected_s8 does not, and its wrapper chooses the kernel.
 */
#include "arm_nnfunctions.h"
#include "kernels.h"

#ifdef CMSIS_NN_USE_SINGLE_ROUNDING
#error "the reference rounds twice: compile CMSIS-NN without CMSIS_NN_USE_SINGLE_ROUNDING"
#endif

TINYSE_SHARED int32_t tinyse_convolve_cmsis(const tinyse_convolution *layer, const int8_t *input, int8_t *output, void *scratch,
                              int32_t scratch_bytes)
{
    const int32_t outputs = layer->outputs;
    int32_t *const numbers = (int32_t *)layer->pairs; /* the library's structs lack a const; it only reads */
    const cmsis_nn_per_channel_quant_params scales = {.multiplier = numbers + outputs, .shift = numbers + 2 * outputs};
    const int8_t *const weights = (const int8_t *)(numbers + 3 * outputs);

    const cmsis_nn_conv_params parameters = {
        .input_offset = -layer->input_zero,
        .output_offset = layer->output_zero,
        .stride = {.w = layer->stride_width, .h = layer->stride_height},
        .padding = {.w = layer->pad_left, .h = layer->pad_top},
        .dilation = {.w = 1, .h = 1},
        .activation = {.min = layer->low, .max = 127},
    };
    const cmsis_nn_dims in = {.n = 1, .h = layer->height, .w = layer->width, .c = layer->channels};
    const cmsis_nn_dims kernel = {
        .n = outputs, .h = layer->kernel_height, .w = layer->kernel_width, .c = layer->channels};
    const cmsis_nn_dims bias = {.n = 1, .h = 1, .w = 1, .c = outputs};
    const cmsis_nn_dims out = {.n = 1, .h = layer->out_height, .w = layer->out_width, .c = outputs};
    const cmsis_nn_context context = {.buf = scratch, .size = scratch_bytes};

    if (arm_convolve_wrapper_s8_get_buffer_size(&parameters, &in, &kernel, &out) > scratch_bytes) {
        return 1;
    }
    return arm_convolve_wrapper_s8(&context, &parameters, &scales, &in, input, &kernel, weights, &bias, numbers, &out,
                                   output) != ARM_CMSIS_NN_SUCCESS;
}
