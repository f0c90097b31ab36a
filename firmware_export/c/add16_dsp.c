/* ADD and SUB on values of 16 bits with rounding high products. All numbers are doubled, for SMMULR divides by 2^32. */
#include "kernels.h"

#ifdef TINYSE_DSP

#include "bytes.h"
#include "dsp.h"
#include "requantize.h"

TINYSE_SHARED void tinyse_add16_dsp(const tinyse_addition *sum, const int8_t *a, const int8_t *b, int8_t *output)
{
    const tinyse_addition s = *sum;
    const int32_t b_half = tinyse_half(s.b_scale.shift, 0), half = tinyse_half(s.scale.shift, 0);

    for (int32_t row = 0; row < s.layout.rows; row++) {
        for (int32_t i = 0; i < s.layout.columns; i += 2) {
            const int32_t fine = tinyse_load_16(b + i) * (1 << 16);
            const int32_t rescaled =
                (tinyse_add_high(fine, s.b_scale.multiplier, b_half) + tinyse_sign(fine)) >> s.b_scale.shift;
            const int32_t total = tinyse_load_16(a + i) * s.a_factor + rescaled * 2 * s.b_sign;
            const int32_t result = (tinyse_add_high(total, s.scale.multiplier, half) + tinyse_sign(total)) >> s.scale.shift;
            tinyse_store_16(output + i, tinyse_clip_16(result, s.low));
        }
        a += s.layout.a_stride;
        b += s.layout.b_stride;
        output += s.layout.columns;
    }
}

#endif
