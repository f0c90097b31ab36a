/* MUL on values of 16 bits with the vectors of Armv8.1-M, four results at a time. */
#include "kernels.h"

#ifdef TINYSE_MVE

#include "mve.h"

TINYSE_SHARED void tinyse_multiply16_mve(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output)
{
    const tinyse_product p = *product;

    for (int32_t row = 0; row < p.layout.rows; row++) {
        for (int32_t i = 0; i < p.layout.columns; i += 8) {
            const int32x4_t exact = vmulq_s32(tinyse_load_4(a + i), tinyse_load_4(b + i));
            const int32x4_t result = tinyse_rescale_4(exact, p.scale.multiplier, -p.scale.shift);
            tinyse_store_4(output + i, result, p.low, p.layout.columns - i);
        }
        a += p.layout.a_stride;
        b += p.layout.b_stride;
        output += p.layout.columns;
    }
}

#endif
