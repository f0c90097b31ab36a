/* The network's operators on int8 and int16, and their contract: every variant of a kernel gives the same bits.
 *
 * Values are int8 where nothing else is said; kernels whose name has a 16 take int16, at even addresses. All sizes and
 * strides of layouts are in bytes.
 *
 * A kernel exists as portable C (`_portable`), and some also for the DSP extension of Armv7E-M and Armv8-M (`_dsp`), for
 * the vectors of Armv8.1-M (`_mve`), and for the vectors of 128 bits that computers, phones and browsers have (`_lanes`:
 * SSE2, Neon of 64-bit Arm, WebAssembly). The name without an ending is the fastest that the compiler's target has;
 * define TINYSE_PORTABLE to get portable C everywhere. Rounding is that of TensorFlow Lite for Microcontrollers (see
 * requantize.h). Signed numbers are two's complement and their right shift keeps the sign, as all compilers have it.
 *
 * No kernel checks its arguments: the exporter has.
 */
#ifndef TINYSE_KERNELS_H
#define TINYSE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "symbols.h"
#include "target.h"

/* Before the definition of a kernel: of equal ones in several exports, the linker takes one. */
#define TINYSE_SHARED __attribute__((weak))

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are laid out for little-endian processors"
#endif

/* real = multiplier / 2^31 / 2^shift, multiplier in [2^30, 2^31). The `_dsp` and `_lanes` variants need shifts of 1 or more. */
typedef struct {
    int32_t multiplier;
    int32_t shift;
} tinyse_scale;

/* How the operands of an elementwise operator lie: rows of `columns` bytes, `*_stride` bytes apart. The result is dense
 * and may be in the place of an operand that is dense too. */
typedef struct {
    int16_t rows, columns;
    int16_t a_stride, b_stride;
} tinyse_rows;

/* A convolution of a (height, width, channels) input; a fully connected layer is one of 1 x 1 over its rows.
 *
 * `pairs` has two outputs after another, in the order in which all kernels read: two biases with the input's zero point
 * folded in; the weights, word by word, four bytes of the even output, four of the odd one, then the next four of each,
 * filled up with zeros to TINYSE_WORDS(depth) words per output; two multipliers in units of 2^-32 (unsigned, 2^31 and
 * more); one word of two int16, right shifts less one (below -1 they go left). Depth is kernel height * width * channels.
 * A missing last output is zeros. After the last pair are 16 more words that a load may touch. */
typedef struct {
    const int32_t *pairs;
    int16_t outputs, depth;
    int16_t height, width, channels;
    int16_t kernel_height, kernel_width;
    int16_t stride_height, stride_width;
    int16_t pad_top, pad_left;
    int16_t out_height, out_width;
    int16_t input_zero, output_zero;
    int16_t low; /* results are clipped to [low, 127] */
} tinyse_convolution;

#define TINYSE_WORDS(depth) (((depth) + 3) / 4)
#define TINYSE_SUMS 64
#define TINYSE_PAIR_WORDS(depth) (2 * TINYSE_WORDS(depth) + 5)

/* `scratch` has 6 * TINYSE_WORDS(depth) + 8 words, and at least TINYSE_WORDS(depth) + TINYSE_SUMS. Up to 31 bytes after
 * `input` may be read; they change nothing. */
void tinyse_convolve_portable(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch);
void tinyse_convolve_dsp(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch);
void tinyse_convolve_mve(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch);
void tinyse_convolve_lanes(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch);

/* The same by CMSIS-NN, in exports with --cmsis. `pairs` has what that library reads: the biases as they are in the
 * .tflite, the multipliers in units of 2^-31, the shifts to the left, the weights in the order outputs, height, width,
 * channels. The result is not 0 where the library refuses the layer or asks for more than `scratch_bytes`. */
int32_t tinyse_convolve_cmsis(const tinyse_convolution *layer, const int8_t *input, int8_t *output, void *scratch,
                              int32_t scratch_bytes);

/* A depthwise convolution: one filter per channel, `outputs` is `channels`. `pairs` has the biases with the input's zero
 * point folded in, the multipliers in units of 2^-31 and the right shifts (a negative one goes left), `channels` words
 * each, then the weights in the order height, width, channels. */
void tinyse_depthwise_portable(const tinyse_convolution *layer, const int8_t *input, int8_t *output);
#define tinyse_depthwise tinyse_depthwise_portable

/* ADD and SUB: both operands at a scale 2^20 finer than twice the coarser one, then back.
 *
 * At that scale the operand with the coarser scale, `a`, is exactly its distance from the zero point times 2^19; `b` is
 * rescaled. Twice the result is a * a_factor + 2 * b_sign * (offset + rescaled(b)): the factors carry the signs, `offset`
 * a's zero point, and the doubling is what the DSP extension's high product wants. The `_dsp` variant needs a positive
 * a_factor. */
typedef struct {
    tinyse_rows layout;
    int32_t a_factor, offset;
    int32_t b_sign, b_zero;
    tinyse_scale b_scale;
    tinyse_scale scale;
    int32_t output_zero, low;
} tinyse_addition;

/* Where there is a `table` (as of tinyse_table), results go through it. */
void tinyse_add_portable(const tinyse_addition *sum, const int8_t *a, const int8_t *b, const int8_t *table, int8_t *output);
void tinyse_add_dsp(const tinyse_addition *sum, const int8_t *a, const int8_t *b, const int8_t *table, int8_t *output);
void tinyse_add_mve(const tinyse_addition *sum, const int8_t *a, const int8_t *b, const int8_t *table, int8_t *output);
void tinyse_add_lanes(const tinyse_addition *sum, const int8_t *a, const int8_t *b, const int8_t *table, int8_t *output);

/* MUL. */
typedef struct {
    tinyse_rows layout;
    int32_t a_zero, b_zero;
    tinyse_scale scale;
    int32_t output_zero, low;
} tinyse_product;

void tinyse_multiply_portable(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output);
void tinyse_multiply_dsp(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output);
void tinyse_multiply_mve(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output);
void tinyse_multiply_lanes(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output);

/* LOGISTIC, TANH, HARD_SWISH, LEAKY_RELU, QUANTIZE: `table` has the results for 0, 1, ..., 127, -128, ..., -1. */
typedef struct {
    tinyse_rows layout;
    const int8_t *table;
} tinyse_table;

void tinyse_look_up_portable(const tinyse_table *function, const int8_t *input, int8_t *output);
void tinyse_look_up_mve(const tinyse_table *function, const int8_t *input, int8_t *output);

/* The gates of a GRU, from its two matrix products on. Rows of x and h have a gate's part at `*_at`; each operation has
 * its own layout. `exchanged`: whose first operand comes second, 1 for update, 2 reset, 4 new, 8 difference, 16 state. */
typedef struct {
    int16_t update_at, reset_at, new_at, exchanged;
    tinyse_addition update_sum, reset_sum, new_sum, difference, state;
    tinyse_product remembered, kept;
    const int8_t *update_table, *reset_table, *new_table;
} tinyse_gru;

/* `scratch` has room for two of `state`, whose place `output` may be. */
void tinyse_gru_gates(const tinyse_gru *gru, const int8_t *x, const int8_t *h, const int8_t *state, int8_t *output,
                      int32_t *scratch);

/* CONCATENATION, and any view that has to be made dense: `layout.b_stride` is the target's. */
void tinyse_copy_rows_portable(const tinyse_rows *layout, const int8_t *source, int8_t *target);
void tinyse_copy_rows_mve(const tinyse_rows *layout, const int8_t *source, int8_t *target);

/* The same operators on values of 16 bits, which have weights of 8 and zero points of 0. The struct is the same, but:
 * `channels` are the bytes of a position, and `pairs` has the outputs one by one, each with its bias (two words, the lower
 * one first), its weights, filled up to TINYSE_WORDS(depth) words, and one word with the multiplier of 15 bits in its
 * upper half and the right shift in its lower one. Sums are rounded once. After the last output are 16 more words that a
 * load may touch. The `_dsp` and `_mve` variants need sums within 32 bits and shifts of 17 or more.
 *
 * `scratch` has 4 * TINYSE_WORDS(depth) words. Up to 31 bytes after `input` may be read; they change nothing. */
void tinyse_convolve16_portable(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch);
void tinyse_convolve16_dsp(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch);
void tinyse_convolve16_mve(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch);

/* `pairs` has three words for each channel, its bias and its multiplier and shift as above, then the weights in the
 * order height, width, channels. */
void tinyse_depthwise16(const tinyse_convolution *layer, const int8_t *input, int8_t *output);

/* The common scale is 2^15 finer than twice the coarser one: a_factor is 2^15 or -2^15, `offset` and zero points are 0. The
 * `_dsp` and `_mve` variants of this and the next need shifts of 1 or more; `_mve` may read up to 6 bytes after a row of an
 * operand, which change nothing. */
void tinyse_add16_portable(const tinyse_addition *sum, const int8_t *a, const int8_t *b, int8_t *output);
void tinyse_add16_dsp(const tinyse_addition *sum, const int8_t *a, const int8_t *b, int8_t *output);
void tinyse_add16_mve(const tinyse_addition *sum, const int8_t *a, const int8_t *b, int8_t *output);

void tinyse_multiply16_portable(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output);
void tinyse_multiply16_mve(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output);

/* LOGISTIC and TANH: the input times `multiplier`, shifted to the right by `shift`, is in units of 1 / (3 * 4096). `table`
 * has sigmoid(i / 24) in units of 2^-16 for i from 0 to 255. */
typedef struct {
    tinyse_rows layout;
    const uint16_t *table;
    int16_t multiplier, shift;
    int16_t is_tanh;
} tinyse_sigmoid;

void tinyse_sigmoid16(const tinyse_sigmoid *function, const int8_t *input, int8_t *output);

/* QUANTIZE and LEAKY_RELU: a value's distance from the input's zero point times `above` or, where it is negative, `below`.
 * Values have `input_bytes` and `output_bytes`, 1 or 2. */
typedef struct {
    tinyse_rows layout;
    int16_t input_bytes, output_bytes;
    int16_t input_zero, output_zero;
    tinyse_scale above, below;
} tinyse_conversion;

void tinyse_convert(const tinyse_conversion *conversion, const int8_t *input, int8_t *output);

#if defined(TINYSE_MVE)
#define tinyse_convolve tinyse_convolve_mve
#define tinyse_convolve16 tinyse_convolve16_mve
#define tinyse_add16 tinyse_add16_mve
#define tinyse_multiply16 tinyse_multiply16_mve
#define tinyse_add tinyse_add_mve
#define tinyse_multiply tinyse_multiply_mve
#define tinyse_look_up tinyse_look_up_mve
#define tinyse_copy_rows tinyse_copy_rows_mve
#elif defined(TINYSE_DSP)
#define tinyse_convolve tinyse_convolve_dsp
#define tinyse_convolve16 tinyse_convolve16_dsp
#define tinyse_add16 tinyse_add16_dsp
#define tinyse_multiply16 tinyse_multiply16_portable
#define tinyse_add tinyse_add_dsp
#define tinyse_multiply tinyse_multiply_dsp
#define tinyse_look_up tinyse_look_up_portable
#define tinyse_copy_rows tinyse_copy_rows_portable
#elif defined(TINYSE_LANES)
#define tinyse_convolve tinyse_convolve_lanes
#define tinyse_convolve16 tinyse_convolve16_portable
#define tinyse_add16 tinyse_add16_portable
#define tinyse_multiply16 tinyse_multiply16_portable
#define tinyse_add tinyse_add_lanes
#define tinyse_multiply tinyse_multiply_lanes
#define tinyse_look_up tinyse_look_up_portable
#define tinyse_copy_rows tinyse_copy_rows_portable
#else
#define tinyse_convolve tinyse_convolve_portable
#define tinyse_convolve16 tinyse_convolve16_portable
#define tinyse_add16 tinyse_add16_portable
#define tinyse_multiply16 tinyse_multiply16_portable
#define tinyse_add tinyse_add_portable
#define tinyse_multiply tinyse_multiply_portable
#define tinyse_look_up tinyse_look_up_portable
#define tinyse_copy_rows tinyse_copy_rows_portable
#endif

#endif
