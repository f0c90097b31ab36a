/* CONV_2D and FULLY_CONNECTED in portable C: two outputs at a time, as their weights lie. */
#include "kernels.h"
#include "requantise.h"
#include "window.h"

void tinyse_convolve_portable(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch)
{
    const int32_t outputs = layer->outputs;
    const int32_t whole = layer->depth / 4 * 4;

    for (int32_t y = 0; y < layer->out_height; y++) {
        for (int32_t x = 0; x < layer->out_width; x++) {
            const int8_t *window = tinyse_window(layer, input, y, x, (int8_t *)scratch);
            const int8_t *weights = layer->weights;

            for (int32_t channel = 0; channel < outputs; channel += 2) {
                int32_t even = layer->bias[channel];
                int32_t odd = layer->bias[channel + 1];
                int32_t i;
                for (i = 0; i < whole; i += 4, weights += 8) {
                    const int8_t *v = window + i;
                    even += v[0] * weights[0] + v[1] * weights[1] + v[2] * weights[2] + v[3] * weights[3];
                    odd += v[0] * weights[4] + v[1] * weights[5] + v[2] * weights[6] + v[3] * weights[7];
                }
                if (i < layer->depth) {
                    for (int32_t j = 0; i + j < layer->depth; j++) {
                        even += window[i + j] * weights[j];
                        odd += window[i + j] * weights[4 + j];
                    }
                    weights += 8;
                }
                even = tinyse_rescale(even, layer->multiplier[channel], layer->shift[channel]);
                output[channel] = tinyse_clip(even + layer->output_zero, layer->low);
                if (channel + 1 < outputs) {
                    odd = tinyse_rescale(odd, layer->multiplier[channel + 1], layer->shift[channel + 1]);
                    output[channel + 1] = tinyse_clip(odd + layer->output_zero, layer->low);
                }
            }
            output += outputs;
        }
    }
}
