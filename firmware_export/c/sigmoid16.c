/* LOGISTIC and TANH on values of 16 bits: TFLM's interpolation in a table of sigmoid(i / 24). */
#include "bytes.h"
#include "kernels.h"

/* Both in units of 2^-15; `x` is in units of 1 / (3 * 4096). tanh(x) is 2 sigmoid(2 x) - 1. */
static int32_t logistic(const uint16_t *table, int32_t x)
{
    const int32_t size = x < 0 ? -x : x, index = size >> 9;
    const int32_t y = index >= 255 ? 0x7FFF << 10 : (table[index] << 9) + (size & 511) * (table[index + 1] - table[index]);
    return (x >= 0 ? y + (1 << 9) : (1 << 25) - y + (1 << 9) - 1) >> 10;
}

static int32_t hyperbolic_tangent(const uint16_t *table, int32_t x)
{
    const int32_t size = x < 0 ? -x : x, index = size >> 8;
    const int32_t y = index >= 255 ? 0xFFFF << 8 : (table[index] << 8) + (size & 255) * (table[index + 1] - table[index]);
    return (x >= 0 ? y - (1 << 23) + (1 << 7) : (1 << 23) - y + (1 << 7) - 1) >> 8;
}

TINYSE_SHARED void tinyse_sigmoid16(const tinyse_sigmoid *function, const int8_t *input, int8_t *output)
{
    const tinyse_sigmoid f = *function;
    const int32_t half = (int32_t)((1u << f.shift) >> 1); /* a shift goes up to 31 */

    for (int32_t row = 0; row < f.layout.rows; row++) {
        for (int32_t i = 0; i < f.layout.columns; i += 2) {
            const int32_t x = (tinyse_load_16(input + i) * f.multiplier + half) >> f.shift;
            tinyse_store_16(output + i, f.is_tanh ? hyperbolic_tangent(f.table, x) : logistic(f.table, x));
        }
        input += f.layout.a_stride;
        output += f.layout.columns;
    }
}
