/* CONV_2D and FULLY_CONNECTED on values of 16 bits in portable C. */
#include "bytes.h"
#include "convolve16.h"

static void all_outputs(const tinyse_convolution *layer, const int8_t *window, int32_t *scratch, int8_t *output)
{
    const int32_t words = TINYSE_WORDS(layer->depth);
    const int32_t *filter = layer->pairs;
    (void)scratch;

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

TINYSE_SHARED void tinyse_convolve16_portable(const tinyse_convolution *layer, const int8_t *input, int8_t *output,
                                              int32_t *scratch)
{
    tinyse_convolve_positions(layer, input, output, scratch, all_outputs);
}
