/* CONV_2D and FULLY_CONNECTED on vectors of 128 bits: four pairs of outputs at one position, or one pair at four. */
#include "kernels.h"

#ifdef TINYSE_LANES

#include "lanes.h"
#include "window.h"

#define AT_ONCE 4
#define LARGEST_WORDS 128 /* of a window; 8 kB of stack hold four of them */

/* Words of bytes as int16, each word twice: beside the weights of the even and of the odd output. Zeros fill the last block. */
static void widen(const int8_t *bytes, int32_t words, tinyse_block *blocks)
{
    tinyse_halves *wide = (tinyse_halves *)(void *)blocks;
    for (int32_t word = 0; word < words; word++) {
        int8_t twice[8];
        memcpy(twice, bytes + 4 * word, 4);
        memcpy(twice + 4, bytes + 4 * word, 4);
        wide[word] = tinyse_load_eight(twice);
    }
    if (words % TINYSE_BLOCK) {
        wide[words] = (tinyse_halves){0};
    }
}

/* Sums of neighbors: of the even output where the vectors have lanes 0 and 1, of the odd one where 2 and 3. */
static inline tinyse_lanes add_neighbors(tinyse_lanes a, tinyse_lanes b)
{
    return __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7);
}

/* The first two words of each of two arrays. */
static inline tinyse_lanes load_two(const int32_t *a, const int32_t *b)
{
    return (tinyse_lanes){a[0], a[1], b[0], b[1]};
}

/* The results of one pair at four positions, even and odd ones alternating; windows lie `apart` blocks from each other. */
static inline void pair_at_four(const tinyse_convolution *layer, const tinyse_block *windows, int32_t blocks, int32_t apart,
                                const int32_t *pair, int8_t results[2 * AT_ONCE])
{
    const int8_t *weights = (const int8_t *)(pair + 2);
    const tinyse_block *a = windows, *b = a + apart, *c = b + apart, *d = c + apart;
    tinyse_sums sum_a = {0}, sum_b = {0}, sum_c = {0}, sum_d = {0};
    for (int32_t i = 0; i < blocks; i++) {
        const tinyse_block by = tinyse_load_block(weights + 8 * TINYSE_BLOCK * i);
        sum_a += tinyse_dot_block(by, a[i]);
        sum_b += tinyse_dot_block(by, b[i]);
        sum_c += tinyse_dot_block(by, c[i]);
        sum_d += tinyse_dot_block(by, d[i]);
    }
    const tinyse_lanes first = add_neighbors(tinyse_fold(sum_a), tinyse_fold(sum_b));
    const tinyse_lanes last = add_neighbors(tinyse_fold(sum_c), tinyse_fold(sum_d));
    const int32_t *scale = pair + 2 + 2 * TINYSE_WORDS(layer->depth);
    const int32_t even_multiplier = (int32_t)((uint32_t)scale[0] >> 1), odd_multiplier = (int32_t)((uint32_t)scale[1] >> 1);
    const tinyse_lanes even = tinyse_rescale_lanes(__builtin_shufflevector(first, last, 0, 2, 4, 6) + pair[0],
                                                   even_multiplier, (int16_t)(scale[2] & 0xFFFF) + 1);
    const tinyse_lanes odd = tinyse_rescale_lanes(__builtin_shufflevector(first, last, 1, 3, 5, 7) + pair[1],
                                                  odd_multiplier, (scale[2] >> 16) + 1);
    const int32_t zero = layer->output_zero;
    tinyse_store_eight(results, __builtin_shufflevector(even, odd, 0, 4, 1, 5) + zero,
                       __builtin_shufflevector(even, odd, 2, 6, 3, 7) + zero, layer->low);
}

static inline tinyse_lanes finish_two(const tinyse_convolution *layer, tinyse_lanes sums, const int32_t *a, const int32_t *b)
{
    const int32_t at = 2 + 2 * TINYSE_WORDS(layer->depth);
    const tinyse_lanes multipliers = (tinyse_lanes)((tinyse_wide)load_two(a + at, b + at) >> 1) & 0x7FFFFFFF;
    const int32_t *shifts_a = a + at + 2, *shifts_b = b + at + 2;
    const tinyse_lanes shifts = {(int16_t)(*shifts_a & 0xFFFF), *shifts_a >> 16, (int16_t)(*shifts_b & 0xFFFF), *shifts_b >> 16};
    return tinyse_divide_lanes(tinyse_high_products(sums + load_two(a, b), multipliers), shifts) + layer->output_zero;
}

/* The results of four pairs at one position. */
static inline void four_pairs(const tinyse_convolution *layer, const tinyse_block *window, int32_t blocks,
                              const int32_t *pair, int8_t results[2 * AT_ONCE])
{
    const int32_t step = TINYSE_PAIR_WORDS(layer->depth);
    const int32_t *a = pair, *b = a + step, *c = b + step, *d = c + step;
    tinyse_sums sum_a = {0}, sum_b = {0}, sum_c = {0}, sum_d = {0};
    for (int32_t i = 0; i < blocks; i++) {
        const int32_t at = 2 + 2 * TINYSE_BLOCK * i;
        sum_a += tinyse_dot_block(tinyse_load_block((const int8_t *)(a + at)), window[i]);
        sum_b += tinyse_dot_block(tinyse_load_block((const int8_t *)(b + at)), window[i]);
        sum_c += tinyse_dot_block(tinyse_load_block((const int8_t *)(c + at)), window[i]);
        sum_d += tinyse_dot_block(tinyse_load_block((const int8_t *)(d + at)), window[i]);
    }
    const tinyse_lanes first = add_neighbors(tinyse_fold(sum_a), tinyse_fold(sum_b));
    const tinyse_lanes last = add_neighbors(tinyse_fold(sum_c), tinyse_fold(sum_d));
    tinyse_store_eight(results, finish_two(layer, first, a, b), finish_two(layer, last, c, d), layer->low);
}

TINYSE_SHARED void tinyse_convolve_lanes(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch)
{
    const int32_t outputs = layer->outputs, words = TINYSE_WORDS(layer->depth), step = TINYSE_PAIR_WORDS(layer->depth);
    const int32_t blocks = (words + TINYSE_BLOCK - 1) / TINYSE_BLOCK;
    tinyse_block windows[AT_ONCE * LARGEST_WORDS / TINYSE_BLOCK];
    int8_t results[2 * AT_ONCE];

    if (words > LARGEST_WORDS) {
        tinyse_convolve_portable(layer, input, output, scratch);
        return;
    }
    for (int32_t y = 0; y < layer->out_height; y++) {
        const int32_t top = y * layer->stride_height - layer->pad_top;
        const int8_t *const row = tinyse_row(layer, input, top);
        for (int32_t x = 0; x < layer->out_width;) {
            const int32_t left = layer->out_width - x, positions = left < AT_ONCE ? 1 : AT_ONCE;
            for (int32_t i = 0; i < positions; i++) {
                const int32_t first = (x + i) * layer->stride_width - layer->pad_left;
                widen(tinyse_window(layer, input, row, top, first, (int8_t *)scratch), words, windows + i * blocks);
            }
            /* One position alone is computed four times: what lies after its window has no values, and its sums no bound. */
            const int32_t apart = positions == 1 ? 0 : blocks;
            const int32_t *pair = layer->pairs;
            int32_t channel = 0;
            for (; positions == 1 && channel + 2 * AT_ONCE <= outputs; channel += 2 * AT_ONCE) {
                four_pairs(layer, windows, blocks, pair, results);
                memcpy(output + channel, results, sizeof results);
                pair += AT_ONCE * step;
            }
            for (; channel < outputs; channel += 2) {
                pair_at_four(layer, windows, blocks, apart, pair, results);
                for (int32_t i = 0; i < positions; i++) {
                    memcpy(output + i * outputs + channel, results + 2 * i, channel + 1 < outputs ? 2 : 1);
                }
                pair += step;
            }
            output += positions * outputs;
            x += positions;
        }
    }
}

#endif
