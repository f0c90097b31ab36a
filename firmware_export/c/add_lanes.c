/* ADD and SUB on vectors of 128 bits. */
#include "kernels.h"

#ifdef TINYSE_LANES

#include "lanes.h"

static inline tinyse_lanes add_four(const tinyse_addition *sum, tinyse_lanes a, tinyse_lanes b)
{
    const tinyse_lanes fine = (b - sum->b_zero) * (1 << 20);
    const tinyse_lanes rescaled = tinyse_rescale_lanes(fine, sum->b_scale.multiplier, sum->b_scale.shift) + sum->offset;
    const tinyse_lanes signed_a = sum->a_factor < 0 ? -a : a;
    const tinyse_lanes total = signed_a * (1 << 19) + (sum->b_sign < 0 ? -rescaled : rescaled);
    return tinyse_rescale_lanes(total, sum->scale.multiplier, sum->scale.shift) + sum->output_zero;
}

static inline void add_eight(const tinyse_addition *sum, const int8_t *a, const int8_t *b, int8_t *output)
{
    const tinyse_halves x = tinyse_load_eight(a), y = tinyse_load_eight(b);
    const tinyse_lanes low = add_four(sum, tinyse_low(x), tinyse_low(y)), high = add_four(sum, tinyse_high(x), tinyse_high(y));
    tinyse_store_eight(output, low, high, sum->low);
}

TINYSE_SHARED void tinyse_add_lanes(const tinyse_addition *sum, const int8_t *a, const int8_t *b, const int8_t *table,
                                    int8_t *output)
{
    const tinyse_addition s = *sum;
    const int32_t columns = s.layout.columns, whole = columns & ~7;
    int8_t rest[2][8] = {{0}};

    for (int32_t row = 0; row < s.layout.rows; row++) {
        for (int32_t i = 0; i < whole; i += 8) {
            add_eight(&s, a + i, b + i, output + i);
        }
        if (whole < columns) {
            memcpy(rest[0], a + whole, (size_t)(columns - whole));
            memcpy(rest[1], b + whole, (size_t)(columns - whole));
            add_eight(&s, rest[0], rest[1], rest[0]);
            memcpy(output + whole, rest[0], (size_t)(columns - whole));
        }
        for (int32_t i = 0; table != NULL && i < columns; i++) {
            output[i] = table[(uint8_t)output[i]];
        }
        a += s.layout.a_stride;
        b += s.layout.b_stride;
        output += columns;
    }
}

#endif
