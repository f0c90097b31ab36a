/* CONV_2D and FULLY_CONNECTED on values of 16 bits with the vectors of Armv8.1-M: eight multiplications in one instruction.
 *
 * Two outputs share the loads of values. The last weights of a filter are masked, so that it does not matter what lies
 * after a window.
 */
#include "kernels.h"

#ifdef TINYSE_MVE

#include <arm_mve.h>

#include "bytes.h"
#include "convolve16.h"

static inline int16x8_t eight_weights(const int8_t *weights, mve_pred16_t there)
{
    return vpselq_s16(vldrbq_s16(weights), vdupq_n_s16(0), there);
}

/* A function of its own, so that its loop has the registers. */
__attribute__((noinline)) static void all_outputs(const tinyse_convolution *layer, const int8_t *window, int32_t *scratch,
                                                  int8_t *output)
{
    const int32_t words = TINYSE_WORDS(layer->depth);
    const int32_t *filter = layer->pairs;
    (void)scratch;

    for (int32_t left = layer->outputs; left > 0; left -= 2) {
        const int32_t next = left > 1 ? words + 3 : 0; /* a last one alone is its own neighbor */
        const int8_t *weights = (const int8_t *)(filter + 2);
        const int8_t *values = window;
        int32_t even = filter[0], odd = filter[next];
        for (int32_t count = layer->depth; count > 0; count -= 8) {
            const mve_pred16_t there = vctp16q((uint32_t)count);
            const int16x8_t eight = vreinterpretq_s16_s8(vldrbq_s8(values));
            even = vmladavaq_s16(even, eight, eight_weights(weights, there));
            odd = vmladavaq_s16(odd, eight, eight_weights(weights + 4 * next, there));
            values += 16;
            weights += 8;
        }
        const int32_t low = layer->low;
        tinyse_store_16(output, tinyse_finish_32(low, even, filter[words + 2]));
        if (next) {
            tinyse_store_16(output + 2, tinyse_finish_32(low, odd, filter[words + 2 + next]));
        }
        output += 4;
        filter += words + 3 + next;
    }
}

TINYSE_SHARED void tinyse_convolve16_mve(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch)
{
    tinyse_convolve_positions(layer, input, output, scratch, all_outputs);
}

#endif
