/* The part of an input that one position of a convolution sees. */
#ifndef TINYSE_WINDOW_H
#define TINYSE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"

/* The `depth` bytes at (top, left), copied to `scratch`, with the zero point for what is outside. Returns scratch. */
const int8_t *tinyse_gather(const tinyse_convolution *layer, const int8_t *input, int32_t top, int32_t left,
                            int8_t *scratch);

/* The row of the input at `top` where a window is a piece of one row, else NULL. */
static inline const int8_t *tinyse_row(const tinyse_convolution *layer, const int8_t *input, int32_t top)
{
    if (layer->kernel_height > 1 || top < 0 || top >= layer->height) {
        return NULL;
    }
    return input + top * layer->width * layer->channels;
}

/* The bytes at (top, left): in `row` where they lie there in one piece, else in `scratch`. */
static inline const int8_t *tinyse_window(const tinyse_convolution *layer, const int8_t *input, const int8_t *row,
                                          int32_t top, int32_t left, int8_t *scratch)
{
    if (row != NULL && left >= 0 && left <= layer->width - layer->kernel_width) {
        return row + left * layer->channels;
    }
    return tinyse_gather(layer, input, top, left, scratch);
}

#endif
