/* The operators by definition: one value at a time, in 64 bits, and with no code of the kernels, which are held against it. */
#ifndef TINYSE_DEFINITION_H
#define TINYSE_DEFINITION_H

#include <stdint.h>

#include "kernels.h"

/* Rounding */

static inline int64_t floor_of_quotient(int64_t x, int64_t divisor)
{
    const int64_t quotient = x / divisor; /* toward zero */
    return quotient - (quotient * divisor > x);
}

/* round(x / 2^bits), halves up. */
static inline int64_t halves_up(int64_t x, int32_t bits)
{
    const int64_t divisor = (int64_t)1 << bits;
    return floor_of_quotient(x + divisor / 2, divisor);
}

/* The same, halves away from zero. */
static inline int64_t halves_away(int64_t x, int32_t bits)
{
    return x < 0 ? -halves_up(-x, bits) : halves_up(x, bits);
}

/* x times a scale, rounded twice. */
static inline int64_t scaled(int64_t x, tinyse_scale scale)
{
    const int32_t left = scale.shift < 0 ? -scale.shift : 0;
    return halves_away(halves_up(x * ((int64_t)1 << left) * scale.multiplier, 31), scale.shift + left);
}

/* Values, which have one byte or two, the lower one first */

static inline int32_t value_of(const int8_t *at, int32_t bytes)
{
    return bytes == 1 ? at[0] : at[1] * 256 + (uint8_t)at[0];
}

static inline void put(int8_t *at, int64_t value, int32_t bytes)
{
    at[0] = (int8_t)(uint8_t)(value & 255);
    if (bytes == 2) {
        at[1] = (int8_t)floor_of_quotient(value, 256);
    }
}

static inline int64_t clipped(int64_t value, int32_t low, int32_t bytes)
{
    const int32_t high = bytes == 1 ? 127 : 32767;
    return value < low ? low : value > high ? high : value;
}

/* Operators */

static inline int64_t added(const tinyse_addition *sum, int32_t a, int32_t b, int32_t bytes)
{
    const int64_t rescaled = scaled((b - sum->b_zero) * ((int64_t)1 << (bytes == 1 ? 20 : 15)), sum->b_scale);
    const int64_t total = (int64_t)a * (sum->a_factor / 2) + (sum->offset + rescaled) * sum->b_sign;
    return clipped(scaled(total, sum->scale) + sum->output_zero, sum->low, bytes);
}

static inline int64_t multiplied(const tinyse_product *product, int32_t a, int32_t b, int32_t bytes)
{
    const int64_t exact = (int64_t)(a - product->a_zero) * (b - product->b_zero);
    return clipped(scaled(exact, product->scale) + product->output_zero, product->low, bytes);
}

static inline int64_t converted(const tinyse_conversion *conversion, int32_t value)
{
    const int32_t distance = value - conversion->input_zero, bytes = conversion->output_bytes;
    const tinyse_scale scale = distance < 0 ? conversion->below : conversion->above;
    return clipped(scaled(distance, scale) + conversion->output_zero, bytes == 1 ? -128 : -32768, bytes);
}

/* Between two values of the table, `fraction` bits of x after its index, in units of 2^-15; the last one for all that follows. */
static inline int64_t interpolated(const uint16_t *table, int64_t x, int32_t fraction, int32_t last)
{
    const int64_t step = (int64_t)1 << fraction, index = x / step, rest = x % step;
    return index >= 255 ? last * step : table[index] * (step - rest) + table[index + 1] * rest;
}

/* logistic(-x) = 1 - logistic(x), tanh(-x) = -tanh(x), and tanh(x) = 2 logistic(2 x) - 1. */
static inline int64_t sigmoid(const tinyse_sigmoid *function, int32_t value)
{
    const int64_t x = halves_up((int64_t)value * function->multiplier, function->shift), size = x < 0 ? -x : x;
    if (function->is_tanh) {
        const int64_t positive = halves_up(interpolated(function->table, size, 8, 65535) - (1 << 23), 8);
        return x < 0 ? -positive : positive;
    }
    const int64_t positive = halves_up(interpolated(function->table, size, 9, 65534), 10);
    return x < 0 ? 32768 - positive : positive;
}

/* A filter's weights are in the order height, width, channels. */
typedef struct {
    const int8_t *weights;
    int64_t bias;
    tinyse_scale scale;
} filter;

/* One output at (y, x). Its filter sees `channels` channels of the input, the first of them `channel`. */
static inline int64_t convolved(const tinyse_convolution *layer, const int8_t *input, int32_t bytes, int32_t y, int32_t x,
                                int32_t channel, int32_t channels, const filter *by)
{
    int64_t sum = by->bias;
    const int8_t *weight = by->weights;
    for (int32_t i = 0; i < layer->kernel_height; i++) {
        for (int32_t j = 0; j < layer->kernel_width; j++) {
            const int32_t row = y * layer->stride_height - layer->pad_top + i;
            const int32_t column = x * layer->stride_width - layer->pad_left + j;
            const int inside = row >= 0 && row < layer->height && column >= 0 && column < layer->width;
            for (int32_t c = channel; c < channel + channels; c++) {
                const int32_t at = (row * layer->width + column) * layer->channels + c * bytes;
                sum += *weight++ * (inside ? value_of(input + at, bytes) : layer->input_zero);
            }
        }
    }
    const int64_t result = bytes == 1 ? scaled(sum, by->scale) : halves_up(sum * by->scale.multiplier, by->scale.shift);
    return clipped(result + layer->output_zero, layer->low, bytes);
}

#endif
