/* MUL on values of 16 bits in portable C. */
#include "bytes.h"
#include "kernels.h"
#include "requantize.h"

TINYSE_SHARED void tinyse_multiply16_portable(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output)
{
    const tinyse_product p = *product;

    for (int32_t row = 0; row < p.layout.rows; row++) {
        for (int32_t i = 0; i < p.layout.columns; i += 2) {
            const int32_t exact = tinyse_load_16(a + i) * tinyse_load_16(b + i);
            tinyse_store_16(output + i, tinyse_clip_16(tinyse_rescale(exact, p.scale.multiplier, p.scale.shift), p.low));
        }
        a += p.layout.a_stride;
        b += p.layout.b_stride;
        output += p.layout.columns;
    }
}
