/* ADD and SUB with rounding high products. All numbers are doubled, for SMMULR divides by 2^32. */
#include "kernels.h"

#ifdef TINYSE_DSP

#include "dsp.h"
#include "requantize.h"

/* Signs, and whether there is a table, are constants of each caller, which saves the registers that the loop lacks. */
static inline void add_rows(const tinyse_addition *sum, const int8_t *a, const int8_t *b, int8_t *output, int32_t b_sign,
                            int through, const int8_t *table)
{
    const int32_t b_offset = -sum->b_zero * (1 << 21);
    const int32_t b_multiplier = sum->b_scale.multiplier, b_shift = sum->b_scale.shift;
    const int32_t multiplier = sum->scale.multiplier, shift = sum->scale.shift;
    const int32_t b_half = tinyse_half(b_shift, sum->offset), half = tinyse_half(shift, sum->output_zero);

    for (int32_t row = sum->layout.rows; row > 0; row--) {
        const int8_t *first = a, *second = b;
#pragma GCC unroll 2
        for (const int8_t *const end = a + sum->layout.columns; first < end;) {
            const int32_t fine = *second++ * (1 << 21) + b_offset;
            const int32_t rescaled = (tinyse_add_high(fine, b_multiplier, b_half) + tinyse_sign(fine)) >> b_shift;
            const int32_t total = *first++ * (1 << 20) + rescaled * 2 * b_sign;
            const int32_t result =
                tinyse_saturate((tinyse_add_high(total, multiplier, half) + tinyse_sign(total)) >> shift);
            *output++ = through ? table[(uint8_t)result] : (int8_t)result;
        }
        a += sum->layout.a_stride;
        b += sum->layout.b_stride;
    }
}

TINYSE_SHARED void tinyse_add_dsp(const tinyse_addition *sum, const int8_t *a, const int8_t *b, const int8_t *table,
                                  int8_t *output)
{
    const int32_t count = sum->layout.rows * sum->layout.columns;
    const int through = table != NULL && sum->b_sign > 0 && sum->low == -128;

    if (through) {
        add_rows(sum, a, b, output, 1, 1, table);
        return;
    }
    if (sum->b_sign > 0) {
        add_rows(sum, a, b, output, 1, 0, NULL);
    } else {
        add_rows(sum, a, b, output, -1, 0, NULL);
    }
    for (int32_t i = 0; sum->low > -128 && i < count; i++) {
        output[i] = tinyse_clip(output[i], sum->low);
    }
    for (int32_t i = 0; table != NULL && i < count; i++) {
        output[i] = table[(uint8_t)output[i]];
    }
}

#endif
