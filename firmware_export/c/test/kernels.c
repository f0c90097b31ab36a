/* Every kernel that is made for a core, against the portable one, on random and extreme layers and values.
 *
 * The exit code is the number of results that differ, at most 99.
 */
#include "kernels.h"

#include <string.h>

#include "port.h"

#define LARGEST_DEPTH 612 /* beyond what any variant holds at a time */
#define LARGEST_OUTPUTS 13
#define LARGEST_INPUT 4096
#define LARGEST_RESULT 3072
#define KERNELS 8

static uint32_t seed = 1;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

/* low to high, both included */
static int32_t between(int32_t low, int32_t high)
{
    return low + (int32_t)(next_random() % (uint32_t)(high - low + 1));
}

/* Random bytes, or in one of four cases only extreme ones. */
static void fill(int8_t *bytes, int32_t count)
{
    const int extreme = between(0, 3) == 0;
    for (int32_t i = 0; i < count; i++) {
        bytes[i] = (int8_t)(extreme ? (between(0, 1) ? 127 : -128) : between(-128, 127));
    }
}

__attribute__((aligned(4))) static int8_t input[LARGEST_INPUT + 32], other[LARGEST_INPUT + 32], expected[LARGEST_RESULT], result[LARGEST_RESULT];
static int32_t pairs[(LARGEST_OUTPUTS + 1) / 2 * TINYSE_PAIR_WORDS(LARGEST_DEPTH) + 16];
static int8_t table[256];
static int32_t scratch[6 * TINYSE_WORDS(LARGEST_DEPTH) + 8]; /* more than TINYSE_SUMS and a window */

/* Small, or in one of four cases as large as the sum allows; a shift by one needs room for the zero point, too. */
static int32_t bias(int32_t depth, int32_t shift_less_one)
{
    const int32_t largest = (shift_less_one == 0 ? 0x3FFFFFFF : 0x7FFFFFFF) - 128 * 127 * depth;
    const int32_t size = between(0, 3) ? between(0, 100000) : largest - between(0, 100000);
    return between(0, 1) ? size : -size;
}

/* Weights from -127 on, as the format has them; words after the depth are zeros. */
static void fill_pairs(int32_t outputs, int32_t depth)
{
    const int32_t words = TINYSE_WORDS(depth);
    for (int32_t pair = 0; pair < (outputs + 1) / 2; pair++) {
        int32_t *at = pairs + pair * TINYSE_PAIR_WORDS(depth);
        int8_t *weights = (int8_t *)(at + 2);
        memset(at, 0, (size_t)TINYSE_PAIR_WORDS(depth) * 4);
        for (int32_t lane = 0; lane < 2 && 2 * pair + lane < outputs; lane++) {
            const int32_t shift_less_one = between(0, 3) ? between(0, 14) : between(0, 29);
            at[lane] = bias(depth, shift_less_one);
            for (int32_t i = 0; i < depth; i++) {
                weights[i / 4 * 8 + 4 * lane + i % 4] = (int8_t)between(-127, 127);
            }
            at[2 + 2 * words + lane] = (int32_t)(0x80000000u + next_random() * 64u);
            at[4 + 2 * words] |= (int32_t)((uint32_t)shift_less_one << (16 * lane));
        }
    }
}

static int32_t differing(int32_t count)
{
    int32_t wrong = 0;
    for (int32_t i = 0; i < count; i++) {
        wrong += result[i] != expected[i];
    }
    return wrong;
}

static int32_t check_convolution(void)
{
    tinyse_convolution layer;
    memset(&layer, 0, sizeof layer);
    layer.kernel_height = (int16_t)between(1, 2);
    layer.kernel_width = (int16_t)between(1, 3);
    layer.channels = (int16_t)(between(0, 15) ? between(1, 28) : between(80, 102));
    layer.depth = (int16_t)(layer.kernel_height * layer.kernel_width * layer.channels);
    layer.height = (int16_t)between(layer.kernel_height, 3);
    layer.width = (int16_t)between(layer.kernel_width, layer.channels < 8 && between(0, 3) == 0 ? 70 : 12);
    layer.stride_height = (int16_t)between(1, 2);
    layer.stride_width = (int16_t)between(1, 2);
    layer.pad_top = (int16_t)between(0, layer.kernel_height - 1);
    layer.pad_left = (int16_t)between(0, layer.kernel_width - 1);
    layer.out_height = (int16_t)((layer.height + layer.stride_height - 1) / layer.stride_height);
    layer.out_width = (int16_t)((layer.width + layer.stride_width - 1) / layer.stride_width);
    layer.outputs = (int16_t)between(1, LARGEST_OUTPUTS);
    layer.input_zero = (int16_t)between(-128, 127);
    layer.output_zero = (int16_t)between(-128, 127);
    layer.low = (int16_t)(between(0, 1) ? -128 : layer.output_zero);
    fill_pairs(layer.outputs, layer.depth);
    layer.pairs = pairs;
    fill(input, LARGEST_INPUT);
    tinyse_convolve_portable(&layer, input, expected, scratch);
    tinyse_convolve(&layer, input, result, scratch);
    return differing(layer.out_height * layer.out_width * layer.outputs);
}

/* The same on values of 16 bits: `channels` counts bytes. */
static int32_t check_convolution16(void)
{
    tinyse_convolution layer;
    memset(&layer, 0, sizeof layer);
    layer.kernel_height = (int16_t)between(1, 2);
    layer.kernel_width = (int16_t)between(1, 3);
    layer.channels = (int16_t)(2 * (between(0, 15) ? between(1, 28) : between(80, 102)));
    layer.depth = (int16_t)(layer.kernel_height * layer.kernel_width * layer.channels / 2);
    layer.height = (int16_t)between(layer.kernel_height, 3);
    layer.width = (int16_t)between(layer.kernel_width, 6);
    layer.stride_height = (int16_t)between(1, 2);
    layer.stride_width = (int16_t)between(1, 2);
    layer.pad_top = (int16_t)between(0, layer.kernel_height - 1);
    layer.pad_left = (int16_t)between(0, layer.kernel_width - 1);
    layer.out_height = (int16_t)((layer.height + layer.stride_height - 1) / layer.stride_height);
    layer.out_width = (int16_t)((layer.width + layer.stride_width - 1) / layer.stride_width);
    layer.outputs = (int16_t)between(1, LARGEST_OUTPUTS);
    layer.low = (int16_t)(between(0, 1) ? -32768 : 0);
    const int32_t words = TINYSE_WORDS(layer.depth);
    memset(pairs, 0, sizeof pairs);
    for (int32_t channel = 0; channel < layer.outputs; channel++) {
        int32_t *at = pairs + channel * (words + 3);
        const int32_t largest = 0x7FFFFFFF - 32768 * 128 * (layer.depth < 511 ? layer.depth : 511);
        at[0] = between(0, 3) ? between(-100000, 100000) : (between(0, 1) ? largest : -largest);
        at[1] = at[0] < 0 ? -1 : 0;
        fill((int8_t *)(at + 2), layer.depth);
        memset((int8_t *)(at + 2) + layer.depth, 0, (size_t)(4 * words - layer.depth));
        at[2 + words] = between(1 << 14, 32767) << 16 | between(17, 46);
    }
    layer.pairs = pairs;
    fill(input, LARGEST_INPUT);
    tinyse_convolve16_portable(&layer, input, expected, scratch);
    tinyse_convolve16(&layer, input, result, scratch);
    return differing(2 * layer.out_height * layer.out_width * layer.outputs);
}

static tinyse_rows rows(void)
{
    tinyse_rows layout;
    layout.rows = (int16_t)between(1, 5);
    layout.columns = (int16_t)between(1, 40);
    layout.a_stride = (int16_t)between(layout.columns, 60);
    layout.b_stride = (int16_t)(between(0, 1) ? 0 : layout.columns);
    return layout;
}

/* Of values of 16 bits. */
static tinyse_rows rows16(void)
{
    tinyse_rows layout = rows();
    layout.columns = (int16_t)(layout.columns + layout.columns % 2);
    layout.a_stride = (int16_t)(layout.a_stride + layout.a_stride % 2);
    layout.b_stride = (int16_t)(layout.b_stride + layout.b_stride % 2);
    return layout;
}

static int32_t check_addition(void)
{
    tinyse_addition sum;
#ifdef TINYSE_DSP
    const int32_t a_sign = 1;
#else
    const int32_t a_sign = between(0, 1) ? 1 : -1;
#endif
    sum.layout = rows();
    sum.b_sign = between(0, 1) ? 1 : -1;
    sum.a_factor = a_sign * (1 << 20);
    sum.offset = -a_sign * sum.b_sign * between(-128, 127) * (1 << 19);
    sum.b_zero = between(-128, 127);
    sum.b_scale.multiplier = (1 << 30) + (int32_t)(next_random() << 6);
    sum.b_scale.shift = between(1, 3);
    sum.scale.multiplier = (1 << 30) + (int32_t)(next_random() << 6);
    sum.scale.shift = between(15, 20);
    sum.output_zero = between(-128, 127);
    sum.low = between(0, 1) ? -128 : sum.output_zero;
    fill(input, LARGEST_INPUT);
    fill(other, LARGEST_INPUT);
    fill(table, 256);
    const int8_t *const through = between(0, 1) ? table : NULL;
    tinyse_add_portable(&sum, input, other, through, expected);
    tinyse_add(&sum, input, other, through, result);
    return differing(sum.layout.rows * sum.layout.columns);
}

static int32_t check_product(void)
{
    tinyse_product product;
    product.layout = rows();
    product.a_zero = between(-128, 127);
    product.b_zero = between(-128, 127);
    product.scale.multiplier = (1 << 30) + (int32_t)(next_random() << 6);
    product.scale.shift = between(1, 12);
    product.output_zero = between(-128, 127);
    product.low = between(0, 1) ? -128 : product.output_zero;
    fill(input, LARGEST_INPUT);
    fill(other, LARGEST_INPUT);
    tinyse_multiply_portable(&product, input, other, expected);
    tinyse_multiply(&product, input, other, result);
    return differing(product.layout.rows * product.layout.columns);
}

static int32_t check_addition16(void)
{
    tinyse_addition sum;
    memset(&sum, 0, sizeof sum);
    sum.layout = rows16();
    sum.b_sign = between(0, 1) ? 1 : -1;
    sum.a_factor = (sum.b_sign < 0 && between(0, 1) ? -1 : 1) * (1 << 15);
    sum.b_sign = sum.a_factor < 0 ? 1 : sum.b_sign;
    sum.b_scale.multiplier = (1 << 30) + (int32_t)(next_random() << 6);
    sum.b_scale.shift = between(1, 3);
    sum.scale.multiplier = (1 << 30) + (int32_t)(next_random() << 6);
    sum.scale.shift = between(1, 20);
    sum.low = between(0, 1) ? -32768 : 0;
    fill(input, LARGEST_INPUT);
    fill(other, LARGEST_INPUT);
    tinyse_add16_portable(&sum, input, other, expected);
    tinyse_add16(&sum, input, other, result);
    return differing(sum.layout.rows * sum.layout.columns);
}

static int32_t check_product16(void)
{
    tinyse_product product;
    memset(&product, 0, sizeof product);
    product.layout = rows16();
    product.scale.multiplier = (1 << 30) + (int32_t)(next_random() << 6);
    product.scale.shift = between(1, 20);
    product.low = between(0, 1) ? -32768 : 0;
    fill(input, LARGEST_INPUT);
    fill(other, LARGEST_INPUT);
    tinyse_multiply16_portable(&product, input, other, expected);
    tinyse_multiply16(&product, input, other, result);
    return differing(product.layout.rows * product.layout.columns);
}

static int32_t check_table(void)
{
    tinyse_table function;
    function.layout = rows();
    function.table = other;
    fill(input, LARGEST_INPUT);
    fill(other, 256);
    tinyse_look_up_portable(&function, input, expected);
    tinyse_look_up(&function, input, result);
    return differing(function.layout.rows * function.layout.columns);
}

/* Rows side by side in longer ones: what lies between them stays. */
static int32_t check_copy(void)
{
    tinyse_rows layout = rows();
    layout.rows = (int16_t)(layout.columns == 1 ? between(1, 60) : layout.rows);
    layout.a_stride = (int16_t)(between(0, 1) ? layout.columns : layout.a_stride / (layout.columns == 1 ? 2 : 1));
    layout.b_stride = (int16_t)(layout.columns + between(0, 20));
    const int32_t count = layout.rows * layout.b_stride;
    fill(input, LARGEST_INPUT);
    for (int32_t i = 0; i < count; i++) {
        expected[i] = result[i] = (int8_t)i;
    }
    tinyse_copy_rows_portable(&layout, input, expected);
    tinyse_copy_rows(&layout, input, result);
    return differing(count);
}

int main(void)
{
    int32_t wrong[KERNELS];
    static const char *const names[KERNELS] = {"convolution", "addition", "product", "table", "copy",
                                              "convolution16", "addition16", "product16"};

    memset(wrong, 0, sizeof wrong);

    for (int round = 0; round < 400; round++) {
        wrong[0] += check_convolution();
        wrong[1] += check_addition();
        wrong[2] += check_product();
        wrong[3] += check_table();
        wrong[4] += check_copy();
        wrong[5] += check_convolution16();
        wrong[6] += check_addition16();
        wrong[7] += check_product16();
    }
    int32_t total = 0;
    for (int i = 0; i < KERNELS; i++) {
        total += wrong[i];
        port_print(names[i]);
        port_print(wrong[i] ? " differs\n" : " equal\n");
    }
    return (int)(total < 99 ? total : 99);
}
