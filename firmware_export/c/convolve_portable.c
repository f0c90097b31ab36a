/* CONV_2D and FULLY_CONNECTED in portable C: two outputs at a time, as their weights lie. */
#include "kernels.h"
#include "requantize.h"
#include "window.h"

static int8_t finish(const tinyse_convolution *layer, int32_t sum, int32_t multiplier, int32_t shift_less_one)
{
    const int32_t scaled = tinyse_rescale(sum, (int32_t)((uint32_t)multiplier >> 1), shift_less_one + 1);
    return tinyse_clip(scaled + layer->output_zero, layer->low);
}

TINYSE_SHARED void tinyse_convolve_portable(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch)
{
    const int32_t outputs = layer->outputs;
    const int32_t words = TINYSE_WORDS(layer->depth);

    for (int32_t y = 0; y < layer->out_height; y++) {
        const int32_t top = y * layer->stride_height - layer->pad_top;
        const int8_t *const row = tinyse_row(layer, input, top);
        for (int32_t x = 0; x < layer->out_width; x++) {
            const int32_t left = x * layer->stride_width - layer->pad_left;
            const int8_t *const window = tinyse_window(layer, input, row, top, left, (int8_t *)scratch);
            const int32_t *pair = layer->pairs;

            for (int32_t channel = 0; channel < outputs; channel += 2) {
                const int8_t *v = window, *weights = (const int8_t *)(pair + 2);
                int32_t even = pair[0], odd = pair[1];
                for (int32_t count = words; count > 0; count--) {
                    even += v[0] * weights[0] + v[1] * weights[1] + v[2] * weights[2] + v[3] * weights[3];
                    odd += v[0] * weights[4] + v[1] * weights[5] + v[2] * weights[6] + v[3] * weights[7];
                    v += 4;
                    weights += 8;
                }
                const int32_t *scale = pair + 2 + 2 * words;
                output[channel] = finish(layer, even, scale[0], (int16_t)(scale[2] & 0xFFFF));
                if (channel + 1 < outputs) {
                    output[channel + 1] = finish(layer, odd, scale[1], scale[2] >> 16);
                }
                pair = scale + 3;
            }
            output += outputs;
        }
    }
}
