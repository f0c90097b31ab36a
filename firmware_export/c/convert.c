/* QUANTIZE where one side has 16 bits, and LEAKY_RELU on values of 16 bits. */
#include "bytes.h"
#include "kernels.h"
#include "requantize.h"

TINYSE_SHARED void tinyse_convert(const tinyse_conversion *conversion, const int8_t *input, int8_t *output)
{
    const tinyse_conversion c = *conversion;

    for (int32_t row = 0; row < c.layout.rows; row++) {
        for (int32_t i = 0; i < c.layout.columns; i += c.input_bytes) {
            const int32_t x = (c.input_bytes == 1 ? input[i] : tinyse_load_16(input + i)) - c.input_zero;
            const tinyse_scale scale = x < 0 ? c.below : c.above;
            const int32_t y = tinyse_rescale(x, scale.multiplier, scale.shift) + c.output_zero;
            if (c.output_bytes == 1) {
                *output = tinyse_clip(y, -128);
            } else {
                tinyse_store_16(output, tinyse_clip_16(y, -32768));
            }
            output += c.output_bytes;
        }
        input += c.layout.a_stride;
    }
}
