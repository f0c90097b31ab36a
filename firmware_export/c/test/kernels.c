/* Every kernel, portable and as it is made for a core, against its operator's definition, on random and extreme layers and
 * values.
 *
 * The exit code is the number of values that differ, at most 99. ROUNDS is how many layers each kernel gets.
 */
#include "kernels.h"

#include <string.h>

#include "definition.h"
#include "port.h"

#ifndef ROUNDS
#define ROUNDS 200
#endif

#define LARGEST_DEPTH 612 /* beyond what any variant holds at a time */
#define LARGEST_OUTPUTS 13
#define LARGEST_OPERAND 4096
#define OVERREAD 32 /* more than a kernel may read after an operand */
#define PAIRS_OVERREAD 16 /* words that it may read after the last pair */
#define PAIR_WORDS ((LARGEST_OUTPUTS + 1) / 2 * TINYSE_PAIR_WORDS(LARGEST_DEPTH) + PAIRS_OVERREAD)
#define SCRATCH_WORDS (6 * TINYSE_WORDS(LARGEST_DEPTH) + 8 + TINYSE_SUMS)

/* What has `count` elements lies at the end of its buffer, where sanitizers see what is read or written after it. */
#define LAST(buffer, count) ((buffer) + (int32_t)(sizeof(buffer) / sizeof(buffer)[0]) - (count))

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

static int one_of(int32_t cases)
{
    return between(1, cases) == 1;
}

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

__attribute__((aligned(4))) static int8_t input[LARGEST_OPERAND + OVERREAD], other[LARGEST_OPERAND], output[LARGEST_OPERAND];
static int8_t expected[LARGEST_OPERAND], table[256];
static int32_t pairs[PAIR_WORDS], scratch[SCRATCH_WORDS];
static int8_t weights[LARGEST_OUTPUTS * LARGEST_DEPTH];
static filter filters[LARGEST_OUTPUTS];

/* Values of `bytes`, of any size, or all of them extreme or all of them small, where roundings of the first steps are seen. */
static void fill(int8_t *values, int32_t count, int32_t bytes)
{
    const int32_t high = bytes == 1 ? 127 : 32767, kind = between(0, 2);
    for (int32_t i = 0; i < count; i += bytes) {
        const int32_t extreme = between(0, 1) ? high : -high - 1, small = between(-3, 3);
        put(values + i, kind == 0 ? extreme : kind == 1 ? small : between(-high - 1, high), bytes);
    }
}

static int32_t differing(const int8_t *result, int32_t count)
{
    int32_t wrong = 0;
    for (int32_t i = 0; i < count; i++) {
        wrong += result[i] != expected[i];
    }
    return wrong;
}

static tinyse_scale scale(int32_t lowest_shift, int32_t highest_shift)
{
    const int32_t multiplier = (1 << 30) + (int32_t)(next_random() << 6) + between(0, 63), kind = between(0, 7);
    const int32_t largest = 0x7FFFFFFF, half = 1 << 30; /* which makes halves of odd numbers */
    return (tinyse_scale){kind == 0 ? largest : kind == 1 ? half : multiplier, between(lowest_shift, highest_shift)};
}

static int32_t zero_point(int32_t bytes)
{
    return bytes == 1 && between(0, 2) ? between(-128, 127) : 0;
}

/* Convolutions */

/* A place that a kernel takes along one axis, as the exporter computes it: all of it inside, or of the size of the input. */
static void place(int32_t size, int32_t taps, int32_t stride, int16_t *out, int16_t *pad)
{
    const int padded = taps > size || between(0, 2);
    const int32_t count = padded ? (size + stride - 1) / stride : (size - taps) / stride + 1;
    const int32_t missing = (count - 1) * stride + taps - size;
    *out = (int16_t)count;
    *pad = (int16_t)(padded && missing > 0 ? missing / 2 : 0);
}

/* Sizes of a convolution on values of `bytes`, by one filter for each channel or by some that see all of them. */
static tinyse_convolution sizes(int32_t bytes, int depthwise)
{
    tinyse_convolution layer;
    memset(&layer, 0, sizeof layer);
    layer.kernel_height = (int16_t)between(1, 3);
    layer.kernel_width = (int16_t)(one_of(8) ? between(1, 20) : between(1, 3));
    const int32_t taps = layer.kernel_height * layer.kernel_width;
    const int32_t most = depthwise ? LARGEST_OUTPUTS : smaller(LARGEST_DEPTH / taps, one_of(16) ? 204 : 28);
    const int32_t channels = one_of(4) ? between(1, smaller(most, 3)) : between(1, most);
    layer.channels = (int16_t)(channels * bytes);
    layer.depth = (int16_t)(taps * channels);
    layer.outputs = (int16_t)(depthwise ? channels : between(1, LARGEST_OUTPUTS));
    layer.height = (int16_t)between(1, 3);
    const int32_t values = layer.height * bytes * (channels > layer.outputs ? channels : layer.outputs);
    layer.width = (int16_t)between(1, smaller(LARGEST_OPERAND / values, one_of(4) ? 70 : 12));
    layer.stride_height = (int16_t)between(1, 2);
    layer.stride_width = (int16_t)between(1, 3);
    place(layer.height, layer.kernel_height, layer.stride_height, &layer.out_height, &layer.pad_top);
    place(layer.width, layer.kernel_width, layer.stride_width, &layer.out_width, &layer.pad_left);
    layer.input_zero = (int16_t)zero_point(bytes);
    layer.output_zero = (int16_t)zero_point(bytes);
    layer.low = (int16_t)(between(0, 1) ? layer.output_zero : bytes == 1 ? -128 : -32768);
    return layer;
}

/* Small, or in one of four cases as large as `largest`. */
static int64_t bias(int64_t largest)
{
    const int64_t small = between(0, one_of(2) ? 100 : 100000), size = small > largest || one_of(4) ? largest : small;
    return between(0, 1) ? size : -size;
}

/* Filters whose sums have room in the bits that kernels have for them: with `fast`, in those that all kernels have. */
static void draw_filters(const tinyse_convolution *layer, int32_t bytes, int32_t depth, int fast)
{
    for (int32_t i = 0; i < layer->outputs; i++) {
        filter *const one = filters + i;
        int8_t *const own = weights + i * LARGEST_DEPTH;
        for (int32_t tap = 0; tap < depth; tap++) {
            own[tap] = (int8_t)between(-127, 127);
        }
        one->weights = own;
        if (bytes == 1) {
            one->scale = fast ? scale(1, between(0, 3) ? 15 : 30) : scale(-6, 0);
            const int32_t left = one->scale.shift < 0 ? -one->scale.shift : 0;
            const int32_t largest = fast && one->scale.shift == 1 ? 0x3FFFFFFF : (0x7FFFFFFF >> left) - 256;
            one->bias = bias(largest - 128 * 127 * depth);
        } else {
            const int64_t product = (int64_t)32768 * 127 * depth;
            int32_t lowest = fast ? 17 : 8;
            while ((int64_t)1 << (15 + lowest) < product) {
                lowest++;
            }
            const int32_t shift = between(lowest, 46);
            one->scale = (tinyse_scale){one_of(4) ? 1 << 14 : between(1 << 14, 32767), shift};
            one->bias = bias((fast ? 0x7FFFFFFF : (int64_t)1 << smaller(15 + shift, 46)) - product);
        }
    }
}

/* All numbers of a convolution on values of 8 bits, as kernels.h says. */
static const int32_t *pack(const tinyse_convolution *layer)
{
    const int32_t words = TINYSE_WORDS(layer->depth), step = TINYSE_PAIR_WORDS(layer->depth);
    int32_t *const start = LAST(pairs, (layer->outputs + 1) / 2 * step + PAIRS_OVERREAD);
    memset(start, 0, (size_t)((layer->outputs + 1) / 2 * step) * 4);
    for (int32_t i = 0; i < layer->outputs; i++) {
        const filter *const one = filters + i;
        const int32_t lane = i % 2;
        int32_t *const pair = start + i / 2 * step, *const scales = pair + 2 + 2 * words;
        int8_t *const bytes = (int8_t *)(pair + 2);
        pair[lane] = (int32_t)one->bias;
        for (int32_t tap = 0; tap < layer->depth; tap++) {
            bytes[tap / 4 * 8 + 4 * lane + tap % 4] = one->weights[tap];
        }
        scales[lane] = (int32_t)((uint32_t)one->scale.multiplier << 1);
        scales[2] |= (int32_t)((uint32_t)(uint16_t)(one->scale.shift - 1) << (16 * lane));
    }
    return start;
}

/* The numbers of one filter on values of 16 bits: a bias of two words, and after `words` of weights a scale. */
static void pack16(const filter *one, int32_t *at, int32_t words)
{
    at[0] = (int32_t)(one->bias & 0x7FFFFFFF) | (one->bias & 0x80000000 ? -0x7FFFFFFF - 1 : 0);
    at[1] = (int32_t)floor_of_quotient(one->bias, (int64_t)1 << 32);
    at[2 + words] = one->scale.multiplier << 16 | one->scale.shift;
}

static const int32_t *pack_all_16(const tinyse_convolution *layer)
{
    const int32_t words = TINYSE_WORDS(layer->depth);
    int32_t *const start = LAST(pairs, layer->outputs * (words + 3) + PAIRS_OVERREAD);
    for (int32_t i = 0; i < layer->outputs; i++) {
        int32_t *const at = start + i * (words + 3);
        pack16(filters + i, at, words);
        memset(at + 2, 0, (size_t)words * 4);
        for (int32_t tap = 0; tap < layer->depth; tap++) {
            ((int8_t *)(at + 2))[tap] = filters[i].weights[tap];
        }
    }
    return start;
}

static const int32_t *pack_depthwise(const tinyse_convolution *layer, int32_t bytes, int32_t taps)
{
    const int32_t channels = layer->outputs;
    int32_t *const start = LAST(pairs, 3 * channels + TINYSE_WORDS(taps * channels));
    int8_t *const all = (int8_t *)(start + 3 * channels);
    for (int32_t i = 0; i < channels; i++) {
        if (bytes == 2) {
            pack16(filters + i, start + 3 * i, 0);
        } else {
            start[i] = (int32_t)filters[i].bias;
            start[channels + i] = filters[i].scale.multiplier;
            start[2 * channels + i] = filters[i].scale.shift;
        }
        for (int32_t tap = 0; tap < taps; tap++) {
            all[tap * channels + i] = filters[i].weights[tap];
        }
    }
    return start;
}

/* The result of a convolution by definition; returns its bytes. */
static int32_t convolve(const tinyse_convolution *layer, const int8_t *from, int32_t bytes, int depthwise)
{
    int32_t count = 0;
    for (int32_t y = 0; y < layer->out_height; y++) {
        for (int32_t x = 0; x < layer->out_width; x++) {
            for (int32_t i = 0; i < layer->outputs; i++) {
                const int32_t channels = depthwise ? 1 : layer->channels / bytes;
                put(expected + count, convolved(layer, from, bytes, y, x, depthwise ? i : 0, channels, filters + i), bytes);
                count += bytes;
            }
        }
    }
    return count;
}

static int32_t check_convolution(int32_t bytes)
{
    tinyse_convolution layer = sizes(bytes, 0);
    const int fast = (bytes == 1 || layer.depth < 512) && !one_of(4); /* sums of 512 products of 16 bits have more than 32 */
    const int32_t words = TINYSE_WORDS(layer.depth), eight = 6 * words + 8, sums = words + TINYSE_SUMS;
    const int32_t size = layer.height * layer.width * layer.channels;
    int32_t *const own_scratch = LAST(scratch, bytes == 2 ? 4 * words : eight > sums ? eight : sums);
    int8_t *const from = LAST(input, size + OVERREAD - bytes);
    draw_filters(&layer, bytes, layer.depth, fast);
    layer.pairs = bytes == 1 ? pack(&layer) : pack_all_16(&layer);
    fill(from, size, bytes);
    const int32_t count = convolve(&layer, from, bytes, 0);
    int8_t *const result = LAST(output, count);
    (bytes == 1 ? tinyse_convolve_portable : tinyse_convolve16_portable)(&layer, from, result, own_scratch);
    int32_t wrong = differing(result, count);
    if (fast) {
        (bytes == 1 ? tinyse_convolve : tinyse_convolve16)(&layer, from, result, own_scratch);
        wrong += differing(result, count);
    }
    return wrong;
}

static int32_t check_depthwise(int32_t bytes)
{
    tinyse_convolution layer = sizes(bytes, 1);
    const int32_t taps = layer.kernel_height * layer.kernel_width, size = layer.height * layer.width * layer.channels;
    int8_t *const from = LAST(input, size);
    draw_filters(&layer, bytes, taps, !one_of(4));
    layer.pairs = pack_depthwise(&layer, bytes, taps);
    fill(from, size, bytes);
    const int32_t count = convolve(&layer, from, bytes, 1);
    int8_t *const result = LAST(output, count);
    (bytes == 1 ? tinyse_depthwise : tinyse_depthwise16)(&layer, from, result);
    return differing(result, count);
}

/* Elementwise operators */

static tinyse_rows rows(int32_t bytes)
{
    tinyse_rows layout;
    layout.rows = (int16_t)between(1, 5);
    layout.columns = (int16_t)(between(1, 40) * bytes);
    layout.a_stride = (int16_t)(layout.columns + (between(0, 1) ? 0 : between(1, 20) * bytes));
    layout.b_stride = (int16_t)(between(0, 1) ? 0 : layout.columns);
    return layout;
}

/* Bytes from the first of an operand to its last. */
static int32_t reach(const tinyse_rows *layout, int32_t stride)
{
    return (layout->rows - 1) * stride + layout->columns;
}

/* Where a result of `count` bytes goes: in the place of an operand that is dense, too. */
static int8_t *target(const tinyse_rows *layout, int8_t *operand, int32_t count)
{
    return layout->a_stride == layout->columns && between(0, 1) ? operand : LAST(output, count);
}

static int32_t check_addition(int32_t bytes)
{
    const int32_t left = bytes == 1 ? 20 : 15, signs = between(0, 2);
    tinyse_addition sum;
    sum.layout = rows(bytes);
    sum.b_sign = signs == 1 ? -1 : 1;
    sum.a_factor = (signs == 2 ? -1 : 1) * (1 << left);
    sum.offset = (signs == 0 ? -1 : 1) * zero_point(bytes) * (1 << (left - 1));
    sum.b_zero = zero_point(bytes);
    sum.b_scale = scale(1, between(0, 1) ? 3 : 31);
    sum.scale = one_of(3) ? scale(1, 4) : one_of(2) ? scale(left - 5, left) : scale(bytes == 1 ? -2 : 0, 31);
    sum.output_zero = zero_point(bytes);
    sum.low = between(0, 1) ? sum.output_zero : bytes == 1 ? -128 : -32768;

    /* As the exporter says. */
    const int64_t offset = sum.offset < 0 ? -(int64_t)sum.offset : sum.offset;
    const int64_t zero = sum.output_zero < 0 ? -sum.output_zero : sum.output_zero;
    const int roomy = offset << sum.b_scale.shift < 1 << 30 && (zero + 1) << (sum.scale.shift & 31) < 1 << 30;
    const int fast = sum.scale.shift >= 1 && (bytes == 2 || (sum.a_factor > 0 && roomy));

    const tinyse_rows *const layout = &sum.layout;
    const int32_t count = layout->rows * layout->columns;
    int8_t *const a = LAST(input, reach(layout, layout->a_stride)), *const b = LAST(other, reach(layout, layout->b_stride));
    fill(a, reach(layout, layout->a_stride), bytes);
    fill(b, reach(layout, layout->b_stride), bytes);
    fill(table, 256, 1);
    const int8_t *const through = bytes == 1 && between(0, 1) ? table : NULL;
    for (int32_t i = 0; i < count; i += bytes) {
        const int32_t row = i / layout->columns, column = i % layout->columns;
        const int8_t *const first = a + row * layout->a_stride + column, *const second = b + row * layout->b_stride + column;
        const int64_t value = added(&sum, value_of(first, bytes), value_of(second, bytes), bytes);
        put(expected + i, through ? through[(uint8_t)value] : value, bytes);
    }
    int8_t *result = LAST(output, count);
    if (bytes == 1) {
        tinyse_add_portable(&sum, a, b, through, result);
    } else {
        tinyse_add16_portable(&sum, a, b, result);
    }
    const int32_t wrong = differing(result, count);
    if (!fast) {
        return wrong;
    }
    result = target(layout, a, count);
    if (bytes == 1) {
        tinyse_add(&sum, a, b, through, result);
    } else {
        tinyse_add16(&sum, a, b, result);
    }
    return wrong + differing(result, count);
}

static int32_t check_product(int32_t bytes)
{
    tinyse_product product;
    product.layout = rows(bytes);
    product.a_zero = zero_point(bytes);
    product.b_zero = zero_point(bytes);
    product.scale = between(0, 1) ? scale(8 * bytes - 7, 8 * bytes) : scale(bytes == 1 ? -15 : 0, 31);
    product.output_zero = zero_point(bytes);
    product.low = between(0, 1) ? product.output_zero : bytes == 1 ? -128 : -32768;
    const int64_t zero = product.output_zero < 0 ? -product.output_zero : product.output_zero;
    const int fast = product.scale.shift >= 1 && (bytes == 2 || (zero + 1) << (product.scale.shift & 31) < 1 << 30);

    const tinyse_rows *const layout = &product.layout;
    const int32_t count = layout->rows * layout->columns;
    int8_t *const a = LAST(input, reach(layout, layout->a_stride)), *const b = LAST(other, reach(layout, layout->b_stride));
    fill(a, reach(layout, layout->a_stride), bytes);
    fill(b, reach(layout, layout->b_stride), bytes);
    for (int32_t i = 0; i < count; i += bytes) {
        const int32_t row = i / layout->columns, column = i % layout->columns;
        const int8_t *const first = a + row * layout->a_stride + column, *const second = b + row * layout->b_stride + column;
        put(expected + i, multiplied(&product, value_of(first, bytes), value_of(second, bytes), bytes), bytes);
    }
    int8_t *result = LAST(output, count);
    (bytes == 1 ? tinyse_multiply_portable : tinyse_multiply16_portable)(&product, a, b, result);
    int32_t wrong = differing(result, count);
    if (fast) {
        result = target(layout, a, count);
        (bytes == 1 ? tinyse_multiply : tinyse_multiply16)(&product, a, b, result);
        wrong += differing(result, count);
    }
    return wrong;
}

static int32_t check_table(int32_t bytes)
{
    tinyse_table function;
    function.layout = rows(bytes);
    function.table = table;
    const tinyse_rows *const layout = &function.layout;
    const int32_t size = reach(layout, layout->a_stride), count = layout->rows * layout->columns;
    int8_t *const from = LAST(input, size);
    fill(from, size, 1);
    fill(table, 256, 1);
    for (int32_t i = 0; i < count; i++) {
        expected[i] = table[(uint8_t)from[i / layout->columns * layout->a_stride + i % layout->columns]];
    }
    int8_t *result = LAST(output, count);
    tinyse_look_up_portable(&function, from, result);
    const int32_t wrong = differing(result, count);
    result = target(layout, from, count);
    tinyse_look_up(&function, from, result);
    return wrong + differing(result, count);
}

static int32_t check_sigmoid(int32_t bytes)
{
    static uint16_t values[256];
    tinyse_sigmoid function;
    function.layout = rows(bytes);
    function.table = values;
    function.multiplier = (int16_t)(one_of(4) ? 3 : between(1, 32767));
    function.shift = (int16_t)between(0, function.multiplier < 16384 ? 31 : 30);
    function.is_tanh = (int16_t)between(0, 1);
    const tinyse_rows *const layout = &function.layout;
    const int32_t size = reach(layout, layout->a_stride), count = layout->rows * layout->columns;
    int8_t *const from = LAST(input, size), *const result = target(layout, from, count);
    fill(from, size, bytes);
    for (int32_t i = 0; i < 256; i++) { /* rising, in any steps, as far as the table does before its last value */
        const int32_t last = i == 0 ? 32768 : values[i - 1];
        values[i] = (uint16_t)between(last, smaller(last + 256, 65534));
    }
    for (int32_t i = 0; i < count; i += bytes) {
        const int8_t *const at = from + i / layout->columns * layout->a_stride + i % layout->columns;
        put(expected + i, sigmoid(&function, value_of(at, bytes)), bytes);
    }
    tinyse_sigmoid16(&function, from, result);
    return differing(result, count);
}

/* From values of `bytes` to values of one or two. */
static int32_t check_conversion(int32_t bytes)
{
    tinyse_conversion conversion;
    conversion.layout = rows(bytes);
    conversion.input_bytes = (int16_t)bytes;
    conversion.output_bytes = (int16_t)between(1, 2);
    conversion.input_zero = (int16_t)zero_point(bytes);
    conversion.output_zero = (int16_t)zero_point(conversion.output_bytes);
    conversion.above = scale(between(0, 1) ? 0 : bytes == 1 ? -22 : -15, 31);
    conversion.below = one_of(4) ? (tinyse_scale){0, 0} : scale(between(0, 1) ? 0 : bytes == 1 ? -22 : -15, 9);
    const tinyse_rows *const layout = &conversion.layout;
    const int32_t size = reach(layout, layout->a_stride);
    int8_t *const from = LAST(input, size);
    fill(from, size, bytes);
    int32_t count = 0;
    for (int32_t i = 0; i < layout->rows * layout->columns; i += bytes) {
        const int8_t *const at = from + i / layout->columns * layout->a_stride + i % layout->columns;
        put(expected + count, converted(&conversion, value_of(at, bytes)), conversion.output_bytes);
        count += conversion.output_bytes;
    }
    int8_t *const result = LAST(output, count);
    tinyse_convert(&conversion, from, result);
    return differing(result, count);
}

/* Rows side by side in longer ones: what lies between them stays. */
static int32_t check_copy(int32_t bytes)
{
    tinyse_rows layout = rows(bytes);
    layout.rows = (int16_t)(layout.columns == 1 ? between(1, 60) : layout.rows);
    layout.b_stride = (int16_t)(layout.columns + between(0, 20));
    const int32_t size = reach(&layout, layout.a_stride), count = reach(&layout, layout.b_stride);
    int8_t *const from = LAST(input, size), *const result = LAST(output, count);
    fill(from, size, 1);
    int32_t wrong = 0;
    for (int32_t variant = 0; variant < 2; variant++) {
        for (int32_t i = 0; i < count; i++) {
            const int32_t row = i / layout.b_stride, column = i % layout.b_stride;
            result[i] = (int8_t)i;
            expected[i] = column < layout.columns ? from[row * layout.a_stride + column] : result[i];
        }
        if (variant == 0) {
            tinyse_copy_rows_portable(&layout, from, result);
        } else {
            tinyse_copy_rows(&layout, from, result);
        }
        wrong += differing(result, count);
    }
    return wrong;
}

int main(void)
{
    static const struct {
        const char *name;
        int32_t (*check)(int32_t bytes);
        int32_t bytes;
    } kernels[] = {
        {"convolution", check_convolution, 1}, {"convolution16", check_convolution, 2},
        {"depthwise", check_depthwise, 1},     {"depthwise16", check_depthwise, 2},
        {"addition", check_addition, 1},       {"addition16", check_addition, 2},
        {"product", check_product, 1},         {"product16", check_product, 2},
        {"table", check_table, 1},             {"sigmoid16", check_sigmoid, 2},
        {"from 8 bits", check_conversion, 1},  {"from 16 bits", check_conversion, 2},
        {"copy", check_copy, 1},
    };
    int32_t total = 0;

    for (uint32_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        int32_t wrong = 0;
        for (int32_t round = 0; round < ROUNDS; round++) {
            wrong += kernels[i].check(kernels[i].bytes);
        }
        total += wrong;
        port_print(kernels[i].name);
        port_print(wrong ? " differs\n" : " equal\n");
    }
    return (int)(total < 99 ? total : 99);
}
