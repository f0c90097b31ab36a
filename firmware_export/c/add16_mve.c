/* ADD and SUB on values of 16 bits with the vectors of Armv8.1-M, four results at a time. */
#include "kernels.h"

#ifdef TINYSE_MVE

#include "mve.h"

TINYSE_SHARED void tinyse_add16_mve(const tinyse_addition *sum, const int8_t *a, const int8_t *b, int8_t *output)
{
    const tinyse_addition s = *sum;

    for (int32_t row = 0; row < s.layout.rows; row++) {
        for (int32_t i = 0; i < s.layout.columns; i += 8) {
            const int32x4_t fine = vshlq_n_s32(tinyse_load_4(b + i), 15);
            const int32x4_t rescaled = tinyse_rescale_4(fine, s.b_scale.multiplier, -s.b_scale.shift);
            const int32x4_t coarse = vmulq_n_s32(tinyse_load_4(a + i), s.a_factor / 2);
            const int32x4_t total = vmlaq_n_s32(coarse, rescaled, s.b_sign);
            const int32x4_t result = tinyse_rescale_4(total, s.scale.multiplier, -s.scale.shift);
            tinyse_store_4(output + i, result, s.low, s.layout.columns - i);
        }
        a += s.layout.a_stride;
        b += s.layout.b_stride;
        output += s.layout.columns;
    }
}

#endif
