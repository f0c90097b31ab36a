/* ADD and SUB with the vectors of Armv8.1-M, four results at a time. */
#include "kernels.h"

#ifdef TINYSE_MVE

#include "mve.h"

static inline int32x4_t add_4(const tinyse_addition *sum, int32x4_t a, int32x4_t b)
{
    const int32x4_t fine = vmlasq_n_s32(b, vdupq_n_s32(1 << 20), -sum->b_zero * (1 << 20));
    const int32x4_t rescaled = tinyse_rescale_4(fine, sum->b_scale.multiplier, -sum->b_scale.shift);
    const int32x4_t coarse = vmlasq_n_s32(a, vdupq_n_s32(sum->a_factor / 2), sum->offset * sum->b_sign);
    const int32x4_t total = vmlaq_n_s32(coarse, rescaled, sum->b_sign);
    const int32x4_t result = tinyse_rescale_4(total, sum->scale.multiplier, -sum->scale.shift);
    return tinyse_clip_4(vaddq_n_s32(result, sum->output_zero), sum->low);
}

TINYSE_SHARED void tinyse_add_mve(const tinyse_addition *given, const int8_t *a, const int8_t *b, const int8_t *table,
                                  int8_t *output)
{
    const tinyse_addition sum = *given;
    int8_t *const results = output;
    const int32_t rest = sum.layout.columns % 4;

    for (int32_t row = 0; row < sum.layout.rows; row++) {
#pragma GCC unroll 2
        for (int32_t count = sum.layout.columns / 4; count > 0; count--) {
            vstrbq_s32(output, add_4(&sum, vldrbq_s32(a), vldrbq_s32(b)));
            a += 4;
            b += 4;
            output += 4;
        }
        if (rest) {
            const mve_pred16_t there = vctp32q((uint32_t)rest);
            vstrbq_p_s32(output, add_4(&sum, vldrbq_z_s32(a, there), vldrbq_z_s32(b, there)), there);
        }
        a += sum.layout.a_stride - sum.layout.columns + rest;
        b += sum.layout.b_stride - sum.layout.columns + rest;
        output += rest;
    }
    if (table != NULL) {
        tinyse_look_up_all(table, results, results, sum.layout.rows * sum.layout.columns);
    }
}

#endif
