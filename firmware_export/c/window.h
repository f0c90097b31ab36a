/* The part of an input that one position of a convolution sees. */
#ifndef TINYSE_WINDOW_H
#define TINYSE_WINDOW_H

#include <stdint.h>
#include <string.h>

#include "kernels.h"

/* The `depth` bytes at position (y, x): where they lie in the input, or copied to `scratch`, with the zero point for
 * what is outside, where they do not lie in one piece. */
static inline const int8_t *tinyse_window(const tinyse_convolution *layer, const int8_t *input, int32_t y, int32_t x,
                                          int8_t *scratch)
{
    const int32_t top = y * layer->stride_height - layer->pad_top;
    const int32_t left = x * layer->stride_width - layer->pad_left;
    const int32_t right = left + layer->kernel_width;
    const int32_t channels = layer->channels;

    if (layer->kernel_height == 1 && top >= 0 && top < layer->height && left >= 0 && right <= layer->width) {
        return input + (top * layer->width + left) * channels;
    }
    const int32_t first = left < 0 ? 0 : left;
    const int32_t end = right > layer->width ? layer->width : right;
    memset(scratch, layer->input_zero, (size_t)layer->depth);
    for (int32_t row = 0; row < layer->kernel_height; row++) {
        if (top + row >= 0 && top + row < layer->height && end > first) {
            memcpy(scratch + (row * layer->kernel_width + first - left) * channels,
                   input + ((top + row) * layer->width + first) * channels, (size_t)((end - first) * channels));
        }
    }
    return scratch;
}

#endif
