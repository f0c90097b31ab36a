/* ADD and SUB in portable C. */
#include "kernels.h"
#include "requantize.h"

TINYSE_SHARED void tinyse_add_portable(const tinyse_addition *sum, const int8_t *a, const int8_t *b, const int8_t *table,
                                       int8_t *output)
{
    const tinyse_addition s = *sum;

    for (int32_t row = 0; row < s.layout.rows; row++) {
        for (int32_t i = 0; i < s.layout.columns; i++) {
            const int32_t fine = (b[i] - s.b_zero) * (1 << 20);
            const int32_t rescaled = tinyse_rescale(fine, s.b_scale.multiplier, s.b_scale.shift);
            const int32_t total = a[i] * (s.a_factor / 2) + (s.offset + rescaled) * s.b_sign;
            const int32_t result = tinyse_rescale(total, s.scale.multiplier, s.scale.shift) + s.output_zero;
            output[i] = tinyse_clip(result, s.low);
        }
        for (int32_t i = 0; table != NULL && i < s.layout.columns; i++) {
            output[i] = table[(uint8_t)output[i]];
        }
        a += s.layout.a_stride;
        b += s.layout.b_stride;
        output += s.layout.columns;
    }
}
