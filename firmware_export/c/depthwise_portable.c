/* DEPTHWISE_CONV_2D in portable C: one filter per channel; input and weights are read in the order in which they lie. */
#include "kernels.h"
#include "requantize.h"

TINYSE_SHARED void tinyse_depthwise_portable(const tinyse_convolution *layer, const int8_t *input, int8_t *output)
{
    const int32_t channels = layer->channels, height = layer->height, width = layer->width;
    const int32_t *const biases = layer->pairs, *const multipliers = biases + channels;
    const int32_t *const shifts = multipliers + channels;
    const int8_t *const weights = (const int8_t *)(shifts + channels);

    for (int32_t y = 0; y < layer->out_height; y++) {
        const int32_t top = y * layer->stride_height - layer->pad_top;
        for (int32_t x = 0; x < layer->out_width; x++) {
            const int32_t left = x * layer->stride_width - layer->pad_left;
            for (int32_t channel = 0; channel < channels; channel++) {
                const int8_t *weight = weights + channel;
                int32_t sum = biases[channel];
                for (int32_t row = top; row < top + layer->kernel_height; row++) {
                    for (int32_t column = left; column < left + layer->kernel_width; column++) {
                        const int inside = row >= 0 && row < height && column >= 0 && column < width;
                        sum += *weight * (inside ? input[(row * width + column) * channels + channel] : layer->input_zero);
                        weight += channels;
                    }
                }
                *output++ = tinyse_clip(tinyse_rescale(sum, multipliers[channel], shifts[channel]) + layer->output_zero,
                                        layer->low);
            }
        }
    }
}
