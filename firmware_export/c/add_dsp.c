/* ADD and SUB with rounding high products. All numbers are doubled, for SMMULR divides by 2^32. */
#include "kernels.h"

#ifdef TINYSE_DSP

#include "dsp.h"
#include "requantize.h"

/* `b_sign` is a constant of each caller, which saves the register that the loop lacks. */
static inline void add_row(const tinyse_addition *sum, const int8_t *a, const int8_t *b, int8_t *output, int32_t b_sign)
{
    const int32_t a_factor = sum->a_factor;
    const int32_t b_offset = -sum->b_zero * (1 << 21);
    const int32_t b_multiplier = sum->b_scale.multiplier, b_shift = sum->b_scale.shift;
    const int32_t multiplier = sum->scale.multiplier, shift = sum->scale.shift;
    const int32_t b_half = tinyse_half(b_shift, sum->offset), half = tinyse_half(shift, sum->output_zero);
    const int8_t *const end = a + sum->layout.columns;

#pragma GCC unroll 4
    while (a < end) {
        const int32_t fine = *b++ * (1 << 21) + b_offset;
        const int32_t rescaled = (tinyse_add_high(fine, b_multiplier, b_half) + tinyse_sign(fine)) >> b_shift;
        const int32_t total = *a++ * a_factor + rescaled * 2 * b_sign;
        const int32_t result = (tinyse_add_high(total, multiplier, half) + tinyse_sign(total)) >> shift;
        *output++ = (int8_t)tinyse_saturate(result);
    }
}

TINYSE_SHARED void tinyse_add_dsp(const tinyse_addition *sum, const int8_t *a, const int8_t *b, int8_t *output)
{
    const int32_t count = sum->layout.rows * sum->layout.columns;
    int8_t *result = output;

    for (int32_t row = 0; row < sum->layout.rows; row++) {
        if (sum->b_sign > 0) {
            add_row(sum, a, b, result, 1);
        } else {
            add_row(sum, a, b, result, -1);
        }
        a += sum->layout.a_stride;
        b += sum->layout.b_stride;
        result += sum->layout.columns;
    }
    for (int32_t i = 0; sum->low > -128 && i < count; i++) {
        output[i] = tinyse_clip(output[i], sum->low);
    }
}

#endif
