/* MUL with rounding high products. */
#include "kernels.h"

#ifdef TINYSE_DSP

#include "dsp.h"
#include "requantize.h"

TINYSE_SHARED void tinyse_multiply_dsp(const tinyse_product *product, const int8_t *a, const int8_t *b, int8_t *output)
{
    const int32_t a_offset = -2 * product->a_zero, b_zero = product->b_zero;
    const int32_t multiplier = product->scale.multiplier, shift = product->scale.shift;
    const int32_t half = tinyse_half(shift, product->output_zero);
    const int32_t low = product->low;
    int8_t *const start = output;

    for (int32_t row = 0; row < product->layout.rows; row++) {
        const int8_t *first = a, *second = b;
#pragma GCC unroll 4
        for (const int8_t *end = a + product->layout.columns; first < end;) {
            const int32_t x = (*first++ * 2 + a_offset) * (*second++ - b_zero); /* doubled */
            *output++ = (int8_t)tinyse_saturate((tinyse_add_high(x, multiplier, half) + tinyse_sign(x)) >> shift);
        }
        a += product->layout.a_stride;
        b += product->layout.b_stride;
    }
    for (int8_t *byte = start; low > -128 && byte < output; byte++) {
        *byte = tinyse_clip(*byte, low);
    }
}

#endif
