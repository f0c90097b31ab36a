/* CONV_2D and FULLY_CONNECTED on values of 16 bits in portable C. */
#include "bytes.h"
#include "convolve16.h"
#include "kernels.h"
#include "requantize.h"
#include "window.h"

TINYSE_SHARED void tinyse_convolve16_portable(const tinyse_convolution *layer, const int8_t *input, int8_t *output,
                                              int32_t *scratch)
{
    const int32_t words = TINYSE_WORDS(layer->depth);

    for (int32_t y = 0; y < layer->out_height; y++) {
        const int32_t top = y * layer->stride_height - layer->pad_top;
        const int8_t *const row = tinyse_row(layer, input, top);
        for (int32_t x = 0; x < layer->out_width; x++) {
            const int32_t left = x * layer->stride_width - layer->pad_left;
            const int8_t *const window = tinyse_window(layer, input, row, top, left, (int8_t *)scratch);
            const int32_t *filter = layer->pairs;
            for (int32_t channel = 0; channel < layer->outputs; channel++) {
                const int8_t *const weights = (const int8_t *)(filter + 2);
                int64_t sum = tinyse_bias_64(filter);
                for (int32_t i = 0; i < layer->depth; i++) {
                    sum += tinyse_load_16(window + 2 * i) * weights[i];
                }
                tinyse_store_16(output, tinyse_finish_64(layer->low, sum, filter[2 + words]));
                filter += words + 3;
                output += 2;
            }
        }
    }
}
