/* MUL with the vectors of Armv8.1-M, four results at a time. */
#include "kernels.h"

#ifdef TINYSE_MVE

#include "mve.h"

static inline int32x4_t multiply_4(const tinyse_product *product, int32x4_t a, int32x4_t b)
{
    const int32x4_t exact = vmulq_s32(vsubq_n_s32(a, product->a_zero), vsubq_n_s32(b, product->b_zero));
    const int32x4_t result = tinyse_rescale_4(exact, product->scale.multiplier, -product->scale.shift);
    return tinyse_clip_4(vaddq_n_s32(result, product->output_zero), product->low);
}

TINYSE_SHARED void tinyse_multiply_mve(const tinyse_product *given, const int8_t *a, const int8_t *b, int8_t *output)
{
    const tinyse_product product = *given;
    const int32_t rest = product.layout.columns % 4;

    for (int32_t row = 0; row < product.layout.rows; row++) {
        for (int32_t count = product.layout.columns / 4; count > 0; count--) {
            vstrbq_s32(output, multiply_4(&product, vldrbq_s32(a), vldrbq_s32(b)));
            a += 4;
            b += 4;
            output += 4;
        }
        if (rest) {
            const mve_pred16_t there = vctp32q((uint32_t)rest);
            const int32x4_t result = multiply_4(&product, vldrbq_z_s32(a, there), vldrbq_z_s32(b, there));
            vstrbq_p_s32(output, result, there);
        }
        a += product.layout.a_stride - product.layout.columns + rest;
        b += product.layout.b_stride - product.layout.columns + rest;
        output += rest;
    }
}

#endif
