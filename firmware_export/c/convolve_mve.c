/* CONV_2D and FULLY_CONNECTED with the vectors of Armv8.1-M: sixteen multiplications in one instruction.
 *
 * VLD2 takes the two outputs of a pair apart, eight weights of each word pair at a time; what lies behind a window is
 * read as zero, so weights read beyond a pair's end count nothing. The four sums of two pairs are requantised together.
 */
#include "kernels.h"

#ifdef TINYSE_MVE

#include <arm_mve.h>

#include "window.h"

/* Numbers of two pairs of outputs, `offsets` bytes behind `pair`, as the four lanes of a vector. */
static inline int32x4_t lanes(const int32_t *pair, uint64x2_t offsets)
{
    return vreinterpretq_s32_s64(vldrdq_gather_offset_s64((const int64_t *)(const void *)pair, offsets));
}

/* Sums of one pair. */
static inline int64_t pair_sums(const int8_t *window, const int32_t *weights, int32_t depth)
{
    int32_t even = 0, odd = 0;
    for (int32_t left = depth; left > 0; left -= 16) {
        const int32x4x2_t both = vld2q_s32(weights);
        const int8x16_t values = vldrbq_z_s8(window, vctp8q((uint32_t)left));
        even = vmladavaq_s8(even, values, vreinterpretq_s8_s32(both.val[0]));
        odd = vmladavaq_s8(odd, values, vreinterpretq_s8_s32(both.val[1]));
        weights += 8;
        window += 16;
    }
    return (int64_t)(uint32_t)even | (int64_t)odd << 32;
}

/* All outputs at one position. */
static void one_position(const tinyse_convolution *layer, const int8_t *window, int8_t *output)
{
    const int32_t depth = layer->depth;
    const int32_t weight_words = 2 * TINYSE_WORDS(depth), pair_words = TINYSE_PAIR_WORDS(depth);
    const int32_t *pair = layer->pairs;

    for (int32_t left = layer->outputs; left > 0; left -= 4) {
        /* The last two outputs may stand for four. */
        const int32_t step = left > 2 ? pair_words : 0;
        const uint64x2_t offsets = vsetq_lane_u64((uint64_t)step * 4, vdupq_n_u64(0), 1);
        const int64_t first = pair_sums(window, pair + 2, depth), second = pair_sums(window, pair + step + 2, depth);
        int32x4_t sums = vreinterpretq_s32_s64(vsetq_lane_s64(second, vsetq_lane_s64(first, vdupq_n_s64(0), 0), 1));
        (void)weight_words;
        sums = vaddq_s32(sums, lanes(pair, offsets));
        const int32_t *scale = pair + 2 + weight_words;
        const int32x4_t multipliers = lanes(scale, offsets);
        const int32x4_t shifts = vmvnq_s32(lanes(scale + 2, offsets)); /* less one: inverted it is the shift, negative */
        const int32x4_t halves = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(multipliers), 1));
        int32x4_t x = vqrdmulhq_s32(sums, halves);
        x = vaddq_s32(x, vshrq_n_s32(x, 31)); /* halves go away from zero */
        x = vaddq_n_s32(vrshlq_s32(x, shifts), layer->output_zero);
        x = vminq_s32(vmaxq_s32(x, vdupq_n_s32(layer->low)), vdupq_n_s32(127));
        vstrbq_p_s32(output, x, vctp32q((uint32_t)left));
        output += 4;
        pair += 2 * pair_words;
    }
}

void tinyse_convolve_mve(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch)
{
    for (int32_t y = 0; y < layer->out_height; y++) {
        const int32_t top = y * layer->stride_height - layer->pad_top;
        const int8_t *const row = tinyse_row(layer, input, top);
        int32_t left = -layer->pad_left;
        for (int32_t x = 0; x < layer->out_width; x++, left += layer->stride_width) {
            one_position(layer, tinyse_window(layer, input, row, top, left, (int8_t *)scratch), output);
            output += layer->outputs;
        }
    }
}

#endif
