/* MUL in portable C. */
#include "kernels.h"
#include "requantize.h"

TINYSE_SHARED void tinyse_multiply_portable(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output)
{
    const tinyse_product p = *product;

    for (int32_t row = 0; row < p.layout.rows; row++) {
        for (int32_t i = 0; i < p.layout.columns; i++) {
            const int32_t exact = (a[i] - p.a_zero) * (b[i] - p.b_zero);
            output[i] = tinyse_clip(tinyse_rescale(exact, p.scale.multiplier, p.scale.shift) + p.output_zero, p.low);
        }
        a += p.layout.a_stride;
        b += p.layout.b_stride;
        output += p.layout.columns;
    }
}
