/* MUL on vectors of 128 bits. */
#include "kernels.h"

#ifdef TINYSE_LANES

#include "lanes.h"

static inline tinyse_lanes multiply_four(const tinyse_product *product, tinyse_lanes a, tinyse_lanes b)
{
    /* A difference of bytes has nine bits and a sign, its other half is zero: one term of a dot product. */
    const tinyse_lanes exact =
        tinyse_dot((tinyse_halves)((a - product->a_zero) & 0xFFFF), (tinyse_halves)(b - product->b_zero));
    return tinyse_rescale_lanes(exact, product->scale.multiplier, product->scale.shift) + product->output_zero;
}

static inline void multiply_eight(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output)
{
    const tinyse_halves x = tinyse_load_eight(a), y = tinyse_load_eight(b);
    const tinyse_lanes low = multiply_four(product, tinyse_low(x), tinyse_low(y));
    tinyse_store_eight(output, low, multiply_four(product, tinyse_high(x), tinyse_high(y)), product->low);
}

TINYSE_SHARED void tinyse_multiply_lanes(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output)
{
    const tinyse_product p = *product;
    const int32_t columns = p.layout.columns, whole = columns & ~7;
    int8_t rest[2][8] = {{0}};

    for (int32_t row = 0; row < p.layout.rows; row++) {
        for (int32_t i = 0; i < whole; i += 8) {
            multiply_eight(&p, a + i, b + i, output + i);
        }
        if (whole < columns) {
            memcpy(rest[0], a + whole, (size_t)(columns - whole));
            memcpy(rest[1], b + whole, (size_t)(columns - whole));
            multiply_eight(&p, rest[0], rest[1], rest[0]);
            memcpy(output + whole, rest[0], (size_t)(columns - whole));
        }
        a += p.layout.a_stride;
        b += p.layout.b_stride;
        output += columns;
    }
}

#endif
