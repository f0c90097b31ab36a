/* CONV_2D and FULLY_CONNECTED with the vectors of Armv8.1-M: sixteen multiplications in one instruction.
 *
 * VLD2 takes the two outputs of a pair apart. The last weights of a pair are masked, so that it does not matter what
 * lies behind a window. Four sums are requantised together: a pair of outputs at two positions, or two pairs at one.
 * Positions that lie whole in the input are the inner loop; what belongs to a pair is read once for all of them.
 */
#include "kernels.h"

#ifdef TINYSE_MVE

#include "mve.h"
#include "window.h"

/* `count` windows, `step` bytes apart. */
typedef struct {
    const int8_t *first;
    int32_t step, count;
} windows;

/* Sixteen weights of each of two outputs; those from `left` on are zeros. */
static inline int8x16x2_t weights_of_two(const int32_t *weights, int32_t left)
{
    const int32x4x2_t both = vld2q_s32(weights);
    int8x16x2_t result = {{vreinterpretq_s8_s32(both.val[0]), vreinterpretq_s8_s32(both.val[1])}};
    if (left < 16) {
        const mve_pred16_t there = vctp8q(left > 0 ? (uint32_t)left : 0);
        result.val[0] = vpselq_s8(result.val[0], vdupq_n_s8(0), there);
        result.val[1] = vpselq_s8(result.val[1], vdupq_n_s8(0), there);
    }
    return result;
}

static inline int32x4_t vector_of(int32_t a, int32_t b, int32_t c, int32_t d)
{
    return vsetq_lane_s32(d, vsetq_lane_s32(c, vsetq_lane_s32(b, vdupq_n_s32(a), 1), 2), 3);
}

/* Biases, multipliers (in units of 2^-31) and negative shifts of four lanes. */
typedef struct {
    int32x4_t biases, multipliers, shifts;
} scales;

/* Where the four lanes' numbers lie behind those of the first one, in bytes. */
typedef struct {
    uint32x4_t words, halves;
} lanes;

/* Of two pairs, `step` words apart. */
static inline lanes lanes_of(int32_t step)
{
    return (lanes){tinyse_two_pairs((uint32_t)step * 4, 4), tinyse_two_pairs((uint32_t)step * 4, 2)};
}

static inline scales read_scales(const int32_t *pair, int32_t pair_words, lanes at)
{
    const int32_t *behind = pair + pair_words - 3;
    const int16_t *halves = (const int16_t *)(const void *)(behind + 2);
    const uint32x4_t multipliers = vldrwq_gather_offset_u32((const uint32_t *)behind, at.words);
    return (scales){
        vldrwq_gather_offset_s32(pair, at.words),
        vreinterpretq_s32_u32(vshrq_n_u32(multipliers, 1)),
        vmvnq_s32(vldrhq_gather_offset_s32(halves, at.halves)), /* a shift less one, inverted, is the negative shift */
    };
}

/* Clipped to int8, in the lowest byte of each lane. */
static inline int32x4_t requantise(int32x4_t sums, scales s, int32_t output_zero)
{
    const int32x4_t x = tinyse_away_from_zero(vqrdmulhq_s32(vaddq_s32(sums, s.biases), s.multipliers));
    const int32x4_t result = vaddq_n_s32(vrshlq_s32(x, s.shifts), output_zero);
    /* What is above the lowest half and the lowest byte of a lane comes from vectors that are not needed any more. */
    const int16x8_t narrow = vqmovnbq_s32(vreinterpretq_s16_s32(x), result);
    return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s32(result), narrow));
}

/* Windows of up to 32 bytes: the weights of a pair stay in registers. */
static void short_windows(const tinyse_convolution *layer, windows given, int8_t *output)
{
    const int32_t depth = layer->depth, outputs = layer->outputs, output_zero = layer->output_zero;
    const int32_t pair_words = TINYSE_PAIR_WORDS(depth);
    const uint32x4_t places = tinyse_two_pairs((uint32_t)outputs, 1);
    const lanes at = lanes_of(0);
    const int32_t *pair = layer->pairs;

    for (int32_t channel = 0; channel + 1 < outputs; channel += 2) {
        const scales s = read_scales(pair, pair_words, at);
        const int8x16x2_t low = weights_of_two(pair + 2, depth), high = weights_of_two(pair + 10, depth - 16);
        const int8_t *window = given.first;
        int8_t *result = output + channel;
        for (int32_t count = given.count / 2; count > 0; count--) {
            int8x16_t values = vldrbq_s8(window);
            int32_t a = vmladavq_s8(values, low.val[0]), b = vmladavq_s8(values, low.val[1]);
            values = vldrbq_s8(window + 16);
            a = vmladavaq_s8(a, values, high.val[0]);
            b = vmladavaq_s8(b, values, high.val[1]);
            window += given.step;
            values = vldrbq_s8(window);
            int32_t c = vmladavq_s8(values, low.val[0]), d = vmladavq_s8(values, low.val[1]);
            values = vldrbq_s8(window + 16);
            c = vmladavaq_s8(c, values, high.val[0]);
            d = vmladavaq_s8(d, values, high.val[1]);
            window += given.step;
            vstrbq_scatter_offset_s32(result, places, requantise(vector_of(a, b, c, d), s, output_zero));
            result += 2 * outputs;
        }
        pair += pair_words;
    }
}

/* Windows of any size. */
static void long_windows(const tinyse_convolution *layer, windows given, int8_t *output)
{
    const int32_t depth = layer->depth, outputs = layer->outputs, output_zero = layer->output_zero;
    const int32_t pair_words = TINYSE_PAIR_WORDS(depth);
    const uint32x4_t places = tinyse_two_pairs((uint32_t)outputs, 1);
    const lanes at = lanes_of(0);
    const int32_t *pair = layer->pairs;
    const int32_t vectors = (depth - 1) / 16;

    for (int32_t channel = 0; channel + 1 < outputs; channel += 2) {
        const scales s = read_scales(pair, pair_words, at);
        const int8x16x2_t last = weights_of_two(pair + 2 + 8 * vectors, depth - 16 * vectors);
        const int8_t *window = given.first;
        int8_t *result = output + channel;
        for (int32_t count = given.count / 2; count > 0; count--) {
            const int32_t *weights = pair + 2;
            const int8_t *first = window, *second = window + given.step;
            int32_t a = 0, b = 0, c = 0, d = 0;
            for (int32_t left = vectors; left > 0; left--) {
                const int32x4x2_t both = vld2q_s32(weights);
                const int8x16_t even = vreinterpretq_s8_s32(both.val[0]), odd = vreinterpretq_s8_s32(both.val[1]);
                int8x16_t values = vldrbq_s8(first);
                a = vmladavaq_s8(a, values, even);
                b = vmladavaq_s8(b, values, odd);
                values = vldrbq_s8(second);
                c = vmladavaq_s8(c, values, even);
                d = vmladavaq_s8(d, values, odd);
                first += 16;
                second += 16;
                weights += 8;
            }
            int8x16_t values = vldrbq_s8(first);
            a = vmladavaq_s8(a, values, last.val[0]);
            b = vmladavaq_s8(b, values, last.val[1]);
            values = vldrbq_s8(second);
            c = vmladavaq_s8(c, values, last.val[0]);
            d = vmladavaq_s8(d, values, last.val[1]);
            window += 2 * given.step;
            vstrbq_scatter_offset_s32(result, places, requantise(vector_of(a, b, c, d), s, output_zero));
            result += 2 * outputs;
        }
        pair += pair_words;
    }
}

/* One window, from output number `channel` on: two pairs at a time. */
static void one_window(const tinyse_convolution *layer, const int8_t *window, int32_t channel, int8_t *output)
{
    const int32_t depth = layer->depth, output_zero = layer->output_zero;
    const int32_t pair_words = TINYSE_PAIR_WORDS(depth);
    const int32_t vectors = (depth - 1) / 16;
    const int8x16_t last = vldrbq_z_s8(window + 16 * vectors, vctp8q((uint32_t)(depth - 16 * vectors)));
    const int32_t *pair = layer->pairs + channel / 2 * pair_words;
    int32_t step = pair_words;
    lanes at = lanes_of(step);

    output += channel;
    for (int32_t left = layer->outputs - channel; left > 0; left -= 4) {
        if (left <= 2) {
            step = 0; /* a last pair stands for two */
            at = lanes_of(step);
        }
        const int32_t *weights = pair + 2, *more_weights = pair + step + 2;
        const int8_t *values = window;
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (int32_t count = vectors; count > 0; count--) {
            const int8x16_t vector = vldrbq_s8(values);
            const int32x4x2_t first = vld2q_s32(weights), second = vld2q_s32(more_weights);
            a = vmladavaq_s8(a, vector, vreinterpretq_s8_s32(first.val[0]));
            b = vmladavaq_s8(b, vector, vreinterpretq_s8_s32(first.val[1]));
            c = vmladavaq_s8(c, vector, vreinterpretq_s8_s32(second.val[0]));
            d = vmladavaq_s8(d, vector, vreinterpretq_s8_s32(second.val[1]));
            values += 16;
            weights += 8;
            more_weights += 8;
        }
        const int32x4x2_t first = vld2q_s32(weights), second = vld2q_s32(more_weights);
        a = vmladavaq_s8(a, last, vreinterpretq_s8_s32(first.val[0]));
        b = vmladavaq_s8(b, last, vreinterpretq_s8_s32(first.val[1]));
        c = vmladavaq_s8(c, last, vreinterpretq_s8_s32(second.val[0]));
        d = vmladavaq_s8(d, last, vreinterpretq_s8_s32(second.val[1]));
        const scales s = read_scales(pair, pair_words, at);
        const int32x4_t results = requantise(vector_of(a, b, c, d), s, output_zero);
        if (left >= 4) {
            vstrbq_s32(output, results);
        } else {
            vstrbq_p_s32(output, results, vctp32q((uint32_t)left));
        }
        output += 4;
        pair += 2 * pair_words;
    }
}

/* All outputs at a row of windows. */
static void run(const tinyse_convolution *layer, windows given, int8_t *output)
{
    const int32_t outputs = layer->outputs;

    if (given.count > 1) {
        (layer->depth <= 32 ? short_windows : long_windows)(layer, given, output);
    }
    if (given.count % 2) {
        one_window(layer, given.first + (given.count - 1) * given.step, 0, output + (given.count - 1) * outputs);
    }
    /* An odd last output has no partner. */
    for (int32_t i = 0; outputs % 2 && i < given.count / 2 * 2; i++) {
        one_window(layer, given.first + i * given.step, outputs - 1, output + i * outputs);
    }
}

TINYSE_SHARED void tinyse_convolve_mve(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch)
{
    const int32_t width = layer->out_width, outputs = layer->outputs;
    const int32_t stride = layer->stride_width, last = layer->width - layer->kernel_width;
    const int32_t step = stride * layer->channels;
    int8_t *result = output;

    for (int32_t y = 0; y < layer->out_height; y++) {
        const int32_t top = y * layer->stride_height - layer->pad_top;
        const int8_t *const row = tinyse_row(layer, input, top);
        for (int32_t x = 0; x < width;) {
            const int32_t left = x * stride - layer->pad_left;
            const int8_t *first = tinyse_window(layer, input, row, top, left, (int8_t *)scratch);
            int32_t count = 1;
            if (row != NULL && left >= 0 && left <= last) {
                count = (last - left) / stride + 1;
                count = count < width - x ? count : width - x;
            }
            run(layer, (windows){first, step, count}, result);
            result += count * outputs;
            x += count;
        }
    }
    for (int32_t i = 0; layer->low > -128 && i < result - output; i++) {
        output[i] = output[i] < layer->low ? (int8_t)layer->low : output[i];
    }
}

#endif
