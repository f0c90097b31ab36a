/* What the variants of tinyse_convolve16 have in common: the numbers of an output, and how its sum becomes a value. */
#ifndef TINYSE_CONVOLVE16_H
#define TINYSE_CONVOLVE16_H

#include <stdint.h>

#include "kernels.h"
#include "requantize.h"
#include "window.h"

/* Two words, the lower one first. */
static inline int64_t tinyse_bias_64(const int32_t *words)
{
    return (int64_t)((uint64_t)(uint32_t)words[0] | (uint64_t)(uint32_t)words[1] << 32);
}

/* `scale` has the multiplier in its upper half and the shift in its lower one. */
static inline int32_t tinyse_finish_64(int32_t low, int64_t sum, int32_t scale)
{
    return tinyse_clip_16(tinyse_rescale_64(sum, scale >> 16, scale & 0xFFFF), low);
}

/* The same for a sum of 32 bits and a shift of 17 or more: the lower 16 bits of the product change nothing. */
static inline int32_t tinyse_finish_32(int32_t low, int32_t sum, int32_t scale)
{
    const int32_t high = (int32_t)((int64_t)sum * (scale & ~0xFFFF) >> 32), shift = (scale & 0xFFFF) - 16;
    return tinyse_clip_16((high + (1 << (shift - 1))) >> shift, low);
}

/* All outputs at one position from the values that it sees. `scratch` has 2 * TINYSE_WORDS(depth) words. */
typedef void tinyse_outputs_16(const tinyse_convolution *layer, const int8_t *window, int32_t *scratch, int8_t *output);

/* Position by position. What a window is gathered in comes after the scratch of `outputs`. */
static inline void tinyse_convolve_positions(const tinyse_convolution *layer, const int8_t *input, int8_t *output,
                                             int32_t *scratch, tinyse_outputs_16 *outputs)
{
    int8_t *const gathered = (int8_t *)(scratch + 2 * TINYSE_WORDS(layer->depth));

    for (int32_t y = 0; y < layer->out_height; y++) {
        const int32_t top = y * layer->stride_height - layer->pad_top;
        const int8_t *const row = tinyse_row(layer, input, top);
        for (int32_t x = 0; x < layer->out_width; x++) {
            const int32_t left = x * layer->stride_width - layer->pad_left;
            outputs(layer, tinyse_window(layer, input, row, top, left, gathered), scratch, output);
            output += 2 * layer->outputs;
        }
    }
}

#endif
