/* CONV_2D and FULLY_CONNECTED with SMLAD, two multiplications in one instruction.
 *
 * SXTB16 makes pairs of int16 from bytes: of the weights as they are read, of the inputs once a column, before. Two
 * outputs at two positions share all four of these, which is what fits into the registers. The even bytes of four come
 * first and the odd ones after them, in weights and columns alike, so that nothing has to be put back in order.
 */
#include "kernels.h"

#ifdef TINYSE_DSP

#include "bytes.h"
#include "dsp.h"
#include "requantize.h"
#include "window.h"

#ifdef TINYSE_ALIGNED_ONLY

static inline int32_t *expand_word(const int8_t *bytes, int32_t *column)
{
    const uint32_t word = tinyse_load_word(bytes);
    column[0] = tinyse_even_bytes(word);
    column[1] = tinyse_odd_bytes(word);
    return column + 2;
}

/* What one position sees. */
static void expand_one(const int8_t *window, int32_t words, int32_t *column)
{
    for (const int8_t *end = window + 4 * words; window < end; window += 4) {
        column = expand_word(window, column);
    }
}

/* What two positions see, by turns. */
static void expand_two(const int8_t *first, const int8_t *second, int32_t words, int32_t *column)
{
    for (int32_t i = 0; i < 4 * words; i += 4) {
        column = expand_word(second + i, expand_word(first + i, column));
    }
}

#else

/* Four bytes of a window, at any address, as two pairs of int16, stored after `column`, which moves on. */
#define EXPAND(window, column)                                 \
    "ldr %[word], [%[" #window "]], #4\n\t"                    \
    "sxtb16 %[even], %[word]\n\tsxtb16 %[word], %[word], ror #8\n\t" \
    "strd %[even], %[word], [%[" #column "]], #8\n\t"

/* What one position sees. */
static void expand_one(const int8_t *window, int32_t words, int32_t *column)
{
    uint32_t word, even;
    for (; words > 0; words--) {
        __asm__ volatile(EXPAND(window, column)
                         : [window] "+r"(window), [column] "+r"(column), [word] "=&r"(word), [even] "=&r"(even)
                         :
                         : "memory");
    }
}

/* What two positions see, by turns. */
static void expand_two(const int8_t *first, const int8_t *second, int32_t words, int32_t *column)
{
    uint32_t word, even;
    for (; words > 0; words--) {
        __asm__ volatile(EXPAND(first, column) EXPAND(second, column)
                         : [first] "+r"(first), [second] "+r"(second), [column] "+r"(column), [word] "=&r"(word),
                           [even] "=&r"(even)
                         :
                         : "memory");
    }
}

#endif

#if !defined(__OPTIMIZE__) || defined(TINYSE_FEW_REGISTERS)

/* The same in C, for compilers that do not have all 13 registers to give. */

static inline int32_t add_products(int32_t a, int32_t b, int32_t sum)
{
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

#define WEIGHTS                                                                                                   \
    const uint32_t even_word = (uint32_t)pair[0], odd_word = (uint32_t)pair[1];                                   \
    const int32_t even_low = tinyse_even_bytes(even_word), odd_low = tinyse_even_bytes(odd_word);                 \
    const int32_t even_high = tinyse_odd_bytes(even_word), odd_high = tinyse_odd_bytes(odd_word);                 \
    pair += 2;

#define ADD_TO(first, second)                                                       \
    first = add_products(even_high, column[1], add_products(even_low, column[0], first)); \
    second = add_products(odd_high, column[1], add_products(odd_low, column[0], second)); \
    column += 2;

#define RUN(start, step, step_bytes, ...)                \
    do {                                                 \
        const int32_t *column = columns;                 \
        s0 = pair[0];                                    \
        s1 = pair[1];                                    \
        pair += 2;                                       \
        start for (int32_t turns = words; turns > 0; turns--) \
        {                                                \
            step                                         \
        }                                                \
        even = pair[0];                                  \
        odd = pair[1];                                   \
        low = pair[2];                                   \
        pair += 3;                                       \
    } while (0)

#define BOTH t0 = s0; t1 = s1;
#define NOTHING

#else

/* Four weights of each of two outputs, as pairs of int16. */
#define WEIGHTS                                                          \
    "ldrd %[even], %[odd], [%[weights]], #8\n\t"                         \
    "sxtb16 %[even_low], %[even]\n\tsxtb16 %[even], %[even], ror #8\n\t" \
    "sxtb16 %[odd_low], %[odd]\n\tsxtb16 %[odd], %[odd], ror #8\n\t"

/* Times four inputs, added to the sums of these outputs. */
#define ADD_TO(first, second)                                          \
    "ldrd %[low], %[high], [%[column]], #8\n\t"                        \
    "smlad %[" #first "], %[even_low], %[low], %[" #first "]\n\t"      \
    "smlad %[" #second "], %[odd_low], %[low], %[" #second "]\n\t"     \
    "smlad %[" #first "], %[even], %[high], %[" #first "]\n\t"         \
    "smlad %[" #second "], %[odd], %[high], %[" #second "]\n\t"

/* From a pair's biases through its weights to the three words after them, `step` for each word of weights: four a turn,
 * the first turn entered where it has as many steps left as are over. All instructions of a step have four bytes. */
#define RUN(start, step, step_bytes, ...)                                                                       \
    do {                                                                                                        \
        const int32_t *column = columns;                                                                        \
        int32_t even_low, odd_low, high, turns = (words + 3) / 4;                                               \
        low = (-words & 3) * (step_bytes);                                                                      \
        __asm__ volatile("ldrd %[s0], %[s1], [%[weights]], #8\n\t" start                                        \
                         "add pc, %[low]\n\tnop\n" /* pc is four bytes ahead */                                  \
                         "1:\n\t" step step step step "subs %[turns], #1\n\tbne 1b\n\t"                        \
                         "ldrd %[even], %[odd], [%[weights]], #8\n\tldr %[low], [%[weights]], #4\n\t"          \
                         : __VA_ARGS__, [weights] "+&r"(pair), [column] "+&r"(column), [turns] "+&r"(turns),    \
                           [even] "=&r"(even), [odd] "=&r"(odd), [even_low] "=&r"(even_low),                    \
                           [odd_low] "=&r"(odd_low), [low] "+&r"(low), [high] "=&r"(high)                       \
                         :                                                                                      \
                         : "memory", "cc");                                                                     \
    } while (0)

#define BOTH "mov %[t0], %[s0]\n\tmov %[t1], %[s1]\n\t"
#define NOTHING ""

#endif

#define ONE WEIGHTS ADD_TO(s0, s1)
#define TWO WEIGHTS ADD_TO(s0, s1) ADD_TO(t0, t1)
#define SUMS_OF_ONE [s0] "=&r"(s0), [s1] "=&r"(s1)
#define SUMS_OF_TWO SUMS_OF_ONE, [t0] "=&r"(t0), [t1] "=&r"(t1)

/* `shift`, in the lowest byte, is less one: (x + 2^(shift - 1)) >> shift is ((x >> (shift - 1)) + 1) >> 1, so `rounding`,
 * 1 + 2 * zero point, does both additions at once. Read as a signed number, a multiplier in units of 2^-32 is too small by one: the sum itself is added. */
static inline int8_t finish(int32_t sum, int32_t multiplier, int32_t shift, int32_t rounding)
{
    const int32_t x = tinyse_add_high(sum, multiplier, sum);
    return (int8_t)tinyse_saturate_half(tinyse_shift_right(x + tinyse_sign(x), shift) + rounding);
}

/* Pairs of outputs at two positions, whose columns lie in turns in `columns`. */
static void two_positions(const tinyse_convolution *layer, const int32_t *columns, int8_t *output)
{
    const int32_t words = TINYSE_WORDS(layer->depth), outputs = layer->outputs;
    const int32_t rounding = 1 + 2 * layer->output_zero;
    const int32_t *pair = layer->pairs;

    for (const int32_t *const end = pair + outputs / 2 * TINYSE_PAIR_WORDS(layer->depth); pair < end; output += 2) {
        int32_t s0, s1, t0, t1, even, odd, low; /* after all words: two multipliers and two shifts */
        RUN(BOTH, TWO, 60, SUMS_OF_TWO);
        output[0] = finish(s0, even, low, rounding);
        output[1] = finish(s1, odd, low >> 16, rounding);
        int8_t *const next = output + outputs;
        next[0] = finish(t0, even, low, rounding);
        next[1] = finish(t1, odd, low >> 16, rounding);
    }
}

/* Pairs of outputs at one position. */
static void one_position(const tinyse_convolution *layer, const int32_t *columns, int8_t *output)
{
    const int32_t words = TINYSE_WORDS(layer->depth);
    const int32_t rounding = 1 + 2 * layer->output_zero;
    const int32_t *pair = layer->pairs;

    for (const int8_t *const end = output + layer->outputs / 2 * 2; output < end; output += 2) {
        int32_t s0, s1, even, odd, low;
        RUN(NOTHING, ONE, 40, SUMS_OF_ONE);
        output[0] = finish(s0, even, low, rounding);
        output[1] = finish(s1, odd, low >> 16, rounding);
    }
}

/* The last of an odd number of outputs at one position. */
static int8_t last_output(const tinyse_convolution *layer, const int8_t *window)
{
    const int32_t *pair = layer->pairs + layer->outputs / 2 * TINYSE_PAIR_WORDS(layer->depth);
    const int32_t *scale = pair + TINYSE_PAIR_WORDS(layer->depth) - 3;
    const int8_t *weights = (const int8_t *)(pair + 2);
    int32_t sum = pair[0];
    for (int32_t i = 0; i < layer->depth; i++) {
        sum += window[i] * weights[i / 4 * 8 + i % 4];
    }
    return finish(sum, scale[0], scale[2], 1 + 2 * layer->output_zero);
}

TINYSE_SHARED void tinyse_convolve_dsp(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch)
{
    const int32_t words = TINYSE_WORDS(layer->depth), outputs = layer->outputs, width = layer->out_width;
    int32_t *const columns = scratch + 2 * words; /* after two windows that may have to be put together */
    const int32_t count = layer->out_height * width * outputs;
    int8_t *result = output;

    for (int32_t y = 0; y < layer->out_height; y++) {
        const int32_t top = y * layer->stride_height - layer->pad_top;
        const int8_t *const row = tinyse_row(layer, input, top);
        int32_t left = -layer->pad_left;
        for (int32_t x = 0; x < width; x++, left += layer->stride_width) {
            const int8_t *window = tinyse_window(layer, input, row, top, left, (int8_t *)scratch);
            if (outputs % 2) {
                result[outputs - 1] = last_output(layer, window);
            }
            if (x + 1 < width) {
                x++;
                left += layer->stride_width;
                const int8_t *next = tinyse_window(layer, input, row, top, left, (int8_t *)(scratch + words));
                if (outputs % 2) {
                    result[2 * outputs - 1] = last_output(layer, next);
                }
                expand_two(window, next, words, columns);
                two_positions(layer, columns, result);
                result += outputs;
            } else {
                expand_one(window, words, columns);
                one_position(layer, columns, result);
            }
            result += outputs;
        }
    }
    for (int32_t i = 0; layer->low > -128 && i < count; i++) {
        output[i] = tinyse_clip(output[i], layer->low);
    }
}

#endif
