/* DEPTHWISE_CONV_2D on values of 16 bits: one filter per channel; input and weights are read in the order in which they lie. */
#include "bytes.h"
#include "convolve16.h"
#include "kernels.h"

TINYSE_SHARED void tinyse_depthwise16(const tinyse_convolution *layer, const int8_t *input, int8_t *output)
{
    const int32_t channels = layer->outputs, height = layer->height, width = layer->width;
    const int8_t *const weights = (const int8_t *)(layer->pairs + 3 * channels);

    for (int32_t y = 0; y < layer->out_height; y++) {
        const int32_t top = y * layer->stride_height - layer->pad_top;
        for (int32_t x = 0; x < layer->out_width; x++) {
            const int32_t left = x * layer->stride_width - layer->pad_left;
            const int32_t *filter = layer->pairs;
            for (int32_t channel = 0; channel < channels; channel++) {
                const int8_t *weight = weights + channel;
                int64_t sum = tinyse_bias_64(filter);
                for (int32_t row = top; row < top + layer->kernel_height; row++) {
                    for (int32_t column = left; column < left + layer->kernel_width; column++) {
                        if (row >= 0 && row < height && column >= 0 && column < width) {
                            sum += *weight * tinyse_load_16(input + 2 * ((row * width + column) * channels + channel));
                        }
                        weight += channels;
                    }
                }
                tinyse_store_16(output, tinyse_finish_64(layer->low, sum, filter[2]));
                output += 2;
                filter += 3;
            }
        }
    }
}
