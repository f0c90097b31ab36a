/* ADD and SUB on values of 16 bits in portable C. */
#include "bytes.h"
#include "kernels.h"
#include "requantize.h"

TINYSE_SHARED void tinyse_add16_portable(const tinyse_addition *sum, const int8_t *a, const int8_t *b, int8_t *output)
{
    const tinyse_addition s = *sum;

    for (int32_t row = 0; row < s.layout.rows; row++) {
        for (int32_t i = 0; i < s.layout.columns; i += 2) {
            const int32_t fine = tinyse_load_16(b + i) * (1 << 15);
            const int32_t rescaled = tinyse_rescale(fine, s.b_scale.multiplier, s.b_scale.shift);
            const int32_t total = tinyse_load_16(a + i) * (s.a_factor / 2) + rescaled * s.b_sign;
            tinyse_store_16(output + i, tinyse_clip_16(tinyse_rescale(total, s.scale.multiplier, s.scale.shift), s.low));
        }
        a += s.layout.a_stride;
        b += s.layout.b_stride;
        output += s.layout.columns;
    }
}
