/* CONV_2D and FULLY_CONNECTED with the vectors of Armv8.1-M: sixteen multiplications in one instruction.
 *
 * VLD2 takes the two outputs of a pair apart. The last weights of a pair are masked, so that it does not matter what
 * lies after a window. A pair's sums at several positions are added up first and requantized after that, a vector of
 * positions at a time, so that neither loop needs more registers than there are.
 */
#include "kernels.h"

#ifdef TINYSE_MVE

#include "mve.h"
#include "window.h"

#define AT_ONCE (TINYSE_SUMS / 2) /* positions, or outputs at one, that are added up before they are requantized */

/* `count` windows, `step` bytes apart. */
typedef struct {
    const int8_t *first;
    int32_t step, count;
} windows;

/* Sixteen weights of each of two outputs. */
static inline int8x16x2_t weights_of_two(const int32_t *weights)
{
    const int32x4x2_t both = vld2q_s32(weights);
    return (int8x16x2_t){{vreinterpretq_s8_s32(both.val[0]), vreinterpretq_s8_s32(both.val[1])}};
}

/* The same, the weights from `left` on zeros. */
static inline int8x16x2_t last_weights(const int32_t *weights, int32_t left)
{
    int8x16x2_t both = weights_of_two(weights);
    const mve_pred16_t there = vctp8q((uint32_t)left);
    both.val[0] = vpselq_s8(both.val[0], vdupq_n_s8(0), there);
    both.val[1] = vpselq_s8(both.val[1], vdupq_n_s8(0), there);
    return both;
}

/* Multipliers (in units of 2^-31) and negative shifts of four lanes. */
typedef struct {
    int32x4_t multipliers, shifts;
} scales;

/* The numbers after a pair's weights; `words` and `halves` are where those of the other lanes lie, in bytes. */
static inline scales read_scales(const int32_t *numbers, uint32x4_t words, uint32x4_t halves)
{
    const int16_t *shifts = (const int16_t *)(const void *)(numbers + 2);
    const uint32x4_t multipliers = vldrwq_gather_offset_u32((const uint32_t *)numbers, words);
    return (scales){
        vreinterpretq_s32_u32(vshrq_n_u32(multipliers, 1)),
        vmvnq_s32(vldrhq_gather_offset_s32(shifts, halves)), /* a shift less one, inverted, is the negative shift */
    };
}

/* Clipped to int8, in the lowest byte of each lane. */
static inline int32x4_t requantize(int32x4_t sums, scales s, int32_t output_zero)
{
    const int32x4_t x = tinyse_away_from_zero(vqrdmulhq_s32(sums, s.multipliers));
    const int32x4_t result = vaddq_n_s32(vrshlq_s32(x, s.shifts), output_zero);
    /* What is above the lowest half and the lowest byte of a lane comes from vectors that are not needed any more. */
    const int16x8_t narrow = vqmovnbq_s32(vreinterpretq_s16_s32(x), result);
    return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s32(result), narrow));
}

/* What an even number of windows of at most 16 bytes adds to a pair of outputs, by turns. */
static inline void add_up_16(const int32_t *weights, int32_t depth, windows given, int32_t *sums)
{
    const int8x16x2_t last = last_weights(weights, depth);
    const int8_t *window = given.first;

    for (int32_t count = given.count; count > 0; count--) {
        const int8x16_t values = vldrbq_s8(window);
        sums[0] = vmladavq_s8(values, last.val[0]);
        sums[1] = vmladavq_s8(values, last.val[1]);
        sums += 2;
        window += given.step;
    }
}

/* Of 17 to 32 bytes: their weights stay in registers too. */
static inline void add_up_32(const int32_t *weights, int32_t depth, windows given, int32_t *sums)
{
    const int8x16x2_t whole = weights_of_two(weights), last = last_weights(weights + 8, depth - 16);
    const int8_t *window = given.first;

    for (int32_t count = given.count; count > 0; count--) {
        const int8x16_t values = vldrbq_s8(window), more = vldrbq_s8(window + 16);
        sums[0] = vmladavaq_s8(vmladavq_s8(values, whole.val[0]), more, last.val[0]);
        sums[1] = vmladavaq_s8(vmladavq_s8(values, whole.val[1]), more, last.val[1]);
        sums += 2;
        window += given.step;
    }
}

/* Of any size: `vectors` whole vectors, at least one, and the rest. Weights are read once for two windows, and loads lie
 * between multiplications, which a core with two beats a cycle overlaps. Sums want even registers, as `Te` says. */
static inline void add_up(const int32_t *weights, int32_t depth, int32_t vectors, windows given, int32_t *sums)
{
    const int8x16x2_t last = last_weights(weights + 8 * vectors, depth - 16 * vectors);
    const int32_t advance = 2 * given.step - 16 * vectors;
    const int8_t *first = given.first, *second = first + given.step;

    for (int32_t tiles = given.count / 2; tiles > 0; tiles--) {
        const int32_t *next = weights;
        int32_t a = 0, b = 0, c = 0, d = 0;
        __asm__ volatile("dls lr, %[vectors]\n"
                         "1:\n\t"
                         "vld20.32 {q0, q1}, [%[next]]\n\t"
                         "vldrb.8 q2, [%[first]], #16\n\t"
                         "vld21.32 {q0, q1}, [%[next]]!\n\t"
                         "vmladava.s8 %[a], q2, q0\n\t"
                         "vldrb.8 q3, [%[second]], #16\n\t"
                         "vmladava.s8 %[b], q2, q1\n\t"
                         "vmladava.s8 %[c], q3, q0\n\t"
                         "vmladava.s8 %[d], q3, q1\n\t"
                         "le lr, 1b"
                         : [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d), [next] "+r"(next),
                           [first] "+r"(first), [second] "+r"(second)
                         : [vectors] "r"(vectors)
                         : "lr", "q0", "q1", "q2", "q3", "memory");
        const int8x16_t x = vldrbq_s8(first), y = vldrbq_s8(second);
        sums[0] = vmladavaq_s8(a, x, last.val[0]);
        sums[1] = vmladavaq_s8(b, x, last.val[1]);
        sums[2] = vmladavaq_s8(c, y, last.val[0]);
        sums[3] = vmladavaq_s8(d, y, last.val[1]);
        sums += 4;
        first += advance;
        second += advance;
    }
}

/* The results of those sums, two positions at a time; `numbers` after the weights, as in `pairs`. */
static inline void finish(const int32_t *sums, int32_t tiles, const int32_t *biases, const int32_t *numbers,
                          int32_t output_zero, int32_t outputs, int8_t *output)
{
    const uint32x4_t words = tinyse_two_pairs(0, 4), halves = tinyse_two_pairs(0, 2);
    const uint32x4_t places = tinyse_two_pairs((uint32_t)outputs, 1);
    const int32x4_t bias = vldrwq_gather_offset_s32(biases, words);
    const scales s = read_scales(numbers, words, halves);

    for (; tiles > 0; tiles--) {
        const int32x4_t results = requantize(vaddq_s32(vldrwq_s32(sums), bias), s, output_zero);
        vstrbq_scatter_offset_s32(output, places, results);
        sums += 4;
        output += 2 * outputs;
    }
}

/* All pairs of outputs at an even number of windows. */
static void run(const tinyse_convolution *layer, windows given, int8_t *output, int32_t *sums)
{
    const int32_t depth = layer->depth, outputs = layer->outputs;
    const int32_t vectors = (depth - 1) / 16, weights = 2 * TINYSE_WORDS(depth);
    const int32_t *pair = layer->pairs;

    for (int32_t channel = 0; channel + 1 < outputs; channel += 2) {
        if (vectors == 0) {
            add_up_16(pair + 2, depth, given, sums);
        } else if (vectors == 1) {
            add_up_32(pair + 2, depth, given, sums);
        } else {
            add_up(pair + 2, depth, vectors, given, sums);
        }
        finish(sums, given.count / 2, pair, pair + 2 + weights, layer->output_zero, outputs, output + channel);
        pair += 2 + weights + 3;
    }
}

/* What one window adds to `pairs` pairs of outputs, biases included. */
static inline void add_up_one(const int32_t *pair, int32_t depth, const int8_t *window, int32_t pairs, int32_t *sums)
{
    const int32_t pair_words = TINYSE_PAIR_WORDS(depth), vectors = (depth - 1) / 16;
    const int8x16_t last = vldrbq_z_s8(window + 16 * vectors, vctp8q((uint32_t)(depth - 16 * vectors)));

    if (vectors == 1) { /* which stays in a register */
        const int8x16_t values = vldrbq_s8(window);
        for (; pairs > 0; pairs--) {
            const int8x16x2_t both = weights_of_two(pair + 2), rest = weights_of_two(pair + 10);
            sums[0] = vmladavaq_s8(vmladavaq_s8(pair[0], values, both.val[0]), last, rest.val[0]);
            sums[1] = vmladavaq_s8(vmladavaq_s8(pair[1], values, both.val[1]), last, rest.val[1]);
            sums += 2;
            pair += pair_words;
        }
        return;
    }
    for (; pairs > 0; pairs--) {
        const int32_t *weights = pair + 2;
        const int8_t *next = window;
        int32_t a = pair[0], b = pair[1];
        for (int32_t left = vectors; left > 0; left--) {
            const int8x16x2_t both = weights_of_two(weights);
            const int8x16_t values = vldrbq_s8(next);
            a = vmladavaq_s8(a, values, both.val[0]);
            b = vmladavaq_s8(b, values, both.val[1]);
            next += 16;
            weights += 8;
        }
        const int8x16x2_t both = weights_of_two(weights);
        sums[0] = vmladavaq_s8(a, last, both.val[0]);
        sums[1] = vmladavaq_s8(b, last, both.val[1]);
        sums += 2;
        pair += pair_words;
    }
}

/* The results of `count` outputs that lie one after the other; `numbers` are those of the first pair. */
static inline void finish_one(const int32_t *sums, int32_t count, const int32_t *numbers, int32_t pair_words,
                              int32_t output_zero, int8_t *output)
{
    const uint32x4_t words = tinyse_two_pairs((uint32_t)pair_words * 4, 4);
    const uint32x4_t halves = tinyse_two_pairs((uint32_t)pair_words * 4, 2);

    for (; count >= 4; count -= 4) {
        vstrbq_s32(output, requantize(vldrwq_s32(sums), read_scales(numbers, words, halves), output_zero));
        sums += 4;
        numbers += 2 * pair_words;
        output += 4;
    }
    if (count > 0) { /* one or two of the same pair, or a third of the next one */
        const mve_pred16_t there = vctp32q((uint32_t)count);
        const uint32x4_t known = vdupq_n_u32(0);
        const scales s = count > 2 ? read_scales(numbers, words, halves)
                                   : read_scales(numbers, vpselq_u32(words, known, there), vpselq_u32(halves, known, there));
        vstrbq_p_s32(output, requantize(vldrwq_s32(sums), s, output_zero), there);
    }
}

/* One window, from output number `channel` on. */
static void run_one(const tinyse_convolution *layer, const int8_t *window, int32_t channel, int8_t *output,
                    int32_t *sums)
{
    const int32_t depth = layer->depth, pair_words = TINYSE_PAIR_WORDS(depth);
    const int32_t *pair = layer->pairs + channel / 2 * pair_words;

    for (; channel < layer->outputs; channel += AT_ONCE) {
        const int32_t left = layer->outputs - channel, count = left < AT_ONCE ? left : AT_ONCE;
        add_up_one(pair, depth, window, (count + 1) / 2, sums);
        finish_one(sums, count, pair + pair_words - 3, pair_words, layer->output_zero, output + channel);
        pair += AT_ONCE / 2 * pair_words;
    }
}

/* All outputs at a row of windows. */
static void run_all(const tinyse_convolution *layer, windows given, int8_t *output, int32_t *sums)
{
    const int32_t outputs = layer->outputs;

    for (int32_t left = given.count / 2 * 2; left > 0; left -= AT_ONCE) {
        const windows some = {given.first, given.step, left < AT_ONCE ? left : AT_ONCE};
        run(layer, some, output, sums);
        /* An odd last output has no partner. */
        for (int32_t i = 0; outputs % 2 && i < some.count; i++) {
            run_one(layer, given.first + i * given.step, outputs - 1, output + i * outputs, sums);
        }
        given.first += some.count * given.step;
        output += some.count * outputs;
    }
    if (given.count % 2) {
        run_one(layer, given.first, 0, output, sums);
    }
}

TINYSE_SHARED void tinyse_convolve_mve(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch)
{
    const int32_t width = layer->out_width, outputs = layer->outputs;
    const int32_t stride = layer->stride_width, last = layer->width - layer->kernel_width;
    const int32_t step = stride * layer->channels;
    int32_t *const sums = scratch + TINYSE_WORDS(layer->depth); /* after a window that may have to be put together */
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
            run_all(layer, (windows){first, step, count}, result, sums);
            result += count * outputs;
            x += count;
        }
    }
    for (int32_t i = 0; layer->low > -128 && i < result - output; i++) {
        output[i] = output[i] < layer->low ? (int8_t)layer->low : output[i];
    }
}

#endif
