/* CONV_2D and FULLY_CONNECTED with the vectors of Armv8.1-M: sixteen multiplications in one instruction.
 *
 * VLD2 takes the two outputs of a pair apart. The last vector of a window is masked, so that weights read beyond a
 * pair's end count nothing. Four sums are requantised together: a pair of outputs at two positions, or two pairs at one.
 */
#include "kernels.h"

#ifdef TINYSE_MVE

#include "mve.h"
#include "window.h"

/* What all positions share. */
typedef struct {
    const int32_t *pairs;
    int32_t vectors;    /* whole vectors of a window */
    int32_t pair_words; /* from pair to pair */
    int32_t outputs, output_zero, low;
    int8x16_t mask;     /* of what is left of a window, and whether anything is */
    int32_t rest;
} constants;

/* A vector of inputs by the weights of a pair. */
static inline void multiply(int8x16_t values, int32x4x2_t weights, int32_t *even, int32_t *odd)
{
    *even = vmladavaq_s8(*even, values, vreinterpretq_s8_s32(weights.val[0]));
    *odd = vmladavaq_s8(*odd, values, vreinterpretq_s8_s32(weights.val[1]));
}

static inline int32x4_t vector_of(int32_t a, int32_t b, int32_t c, int32_t d)
{
    return vsetq_lane_s32(d, vsetq_lane_s32(c, vsetq_lane_s32(b, vdupq_n_s32(a), 1), 2), 3);
}

/* `scale` points to the multipliers of a pair, `offsets` are the four lanes' bytes behind it. */
static inline int32x4_t requantise(const constants *layer, int32x4_t sums, const int32_t *scale, uint32x4_t offsets)
{
    const uint32x4_t multipliers = vldrwq_gather_offset_u32((const uint32_t *)scale, offsets);
    const int32x4_t less_one = vldrwq_gather_offset_s32(scale + 2, offsets);
    const int32x4_t x = vqrdmulhq_s32(sums, vreinterpretq_s32_u32(vshrq_n_u32(multipliers, 1)));
    /* A shift less one, inverted, is the negative shift. */
    const int32x4_t quotient = vrshlq_s32(tinyse_away_from_zero(x), vmvnq_s32(less_one));
    return tinyse_clip_4(vaddq_n_s32(quotient, layer->output_zero), layer->low);
}

/* One pair of outputs after the other at two positions. */
static void two_positions(const constants *layer, const int8_t *window, const int8_t *next, int8_t *output)
{
    const uint32x4_t offsets = tinyse_two_pairs(0, 4);
    const uint32x4_t places = tinyse_two_pairs((uint32_t)layer->outputs, 1);
    const int32_t *pair = layer->pairs;

    for (int32_t left = layer->outputs; left > 0; left -= 2) {
        const int32_t *weights = pair + 2;
        const int8_t *first = window, *second = next;
        int32_t a = pair[0], b = pair[1], c = a, d = b;
        for (int32_t count = layer->vectors; count > 0; count--) {
            const int32x4x2_t both = vld2q_s32(weights);
            multiply(vldrbq_s8(first), both, &a, &b);
            multiply(vldrbq_s8(second), both, &c, &d);
            first += 16;
            second += 16;
            weights += 8;
        }
        if (layer->rest) {
            const int32x4x2_t both = vld2q_s32(weights);
            multiply(vandq_s8(vldrbq_s8(first), layer->mask), both, &a, &b);
            multiply(vandq_s8(vldrbq_s8(second), layer->mask), both, &c, &d);
        }
        pair += layer->pair_words;
        const int32x4_t results = requantise(layer, vector_of(a, b, c, d), pair - 4, offsets);
        if (left > 1) {
            vstrbq_scatter_offset_s32(output, places, results);
        } else {
            vstrbq_scatter_offset_p_s32(output, places, results, 0x0F0F);
        }
        output += 2;
    }
}

/* Two pairs of outputs after two others at one position. */
static void one_position(const constants *layer, const int8_t *window, int8_t *output)
{
    const int32_t *pair = layer->pairs;

    for (int32_t left = layer->outputs; left > 0; left -= 4) {
        const int32_t step = left > 2 ? layer->pair_words : 0; /* a last pair stands for two */
        const int32_t *weights = pair + 2, *more_weights = pair + 2 + step;
        const int8_t *values = window;
        int32_t a = pair[0], b = pair[1], c = pair[step], d = pair[step + 1];
        for (int32_t count = layer->vectors; count > 0; count--) {
            const int8x16_t vector = vldrbq_s8(values);
            multiply(vector, vld2q_s32(weights), &a, &b);
            multiply(vector, vld2q_s32(more_weights), &c, &d);
            values += 16;
            weights += 8;
            more_weights += 8;
        }
        if (layer->rest) {
            const int8x16_t vector = vandq_s8(vldrbq_s8(values), layer->mask);
            multiply(vector, vld2q_s32(weights), &a, &b);
            multiply(vector, vld2q_s32(more_weights), &c, &d);
        }
        const uint32x4_t offsets = tinyse_two_pairs((uint32_t)step * 4, 4);
        const int32x4_t results = requantise(layer, vector_of(a, b, c, d), pair + layer->pair_words - 4, offsets);
        if (left >= 4) {
            vstrbq_s32(output, results);
        } else {
            vstrbq_p_s32(output, results, vctp32q((uint32_t)left));
        }
        output += 4;
        pair += 2 * layer->pair_words;
    }
}

void tinyse_convolve_mve(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch)
{
    const int32_t depth = layer->depth, width = layer->out_width;
    int8_t *const windows = (int8_t *)scratch;
    const constants shared = {
        .pairs = layer->pairs,
        .vectors = depth / 16,
        .pair_words = TINYSE_PAIR_WORDS(depth),
        .outputs = layer->outputs,
        .output_zero = layer->output_zero,
        .low = layer->low,
        .mask = vpselq_s8(vdupq_n_s8(-1), vdupq_n_s8(0), vctp8q((uint32_t)(depth % 16))),
        .rest = depth % 16,
    };

    for (int32_t y = 0; y < layer->out_height; y++) {
        const int32_t top = y * layer->stride_height - layer->pad_top;
        const int8_t *const row = tinyse_row(layer, input, top);
        int32_t left = -layer->pad_left;
        for (int32_t x = 0; x < width; x++, left += layer->stride_width) {
            const int8_t *window = tinyse_window(layer, input, row, top, left, windows);
            if (x + 1 < width) {
                x++;
                left += layer->stride_width;
                const int8_t *next = tinyse_window(layer, input, row, top, left, windows + 4 * TINYSE_WORDS(depth));
                two_positions(&shared, window, next, output);
                output += layer->outputs;
            } else {
                one_position(&shared, window, output);
            }
            output += layer->outputs;
        }
    }
}

#endif
