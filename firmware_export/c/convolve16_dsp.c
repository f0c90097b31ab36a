/* CONV_2D and FULLY_CONNECTED on values of 16 bits with SMLAD, two multiplications in one instruction.
 *
 * SXTB16 makes pairs of int16 from bytes 0 and 2 of four weights, and from 1 and 3; the values of a window are put into
 * the same order once. Two outputs share their loads.
 */
#include "kernels.h"

#ifdef TINYSE_DSP

#include "bytes.h"
#include "convolve16.h"
#include "dsp.h"

/* Values 0 and 2 of four in one word, then 1 and 3. */
static void reorder(const int8_t *window, int32_t words, uint32_t *ordered)
{
    for (; words > 0; words--) {
        const uint32_t first = tinyse_load_word(window), second = tinyse_load_word(window + 4);
        ordered[0] = (first & 0xFFFFu) | second << 16;
        ordered[1] = first >> 16 | (second & 0xFFFF0000u);
        ordered += 2;
        window += 8;
    }
}

/* A function of its own, so that its loop has the registers. */
__attribute__((noinline)) static void all_outputs(const tinyse_convolution *layer, const int8_t *window, int32_t *scratch,
                                                  int8_t *output)
{
    const int32_t words = TINYSE_WORDS(layer->depth);
    const int32_t *filter = layer->pairs;
    uint32_t *const ordered = (uint32_t *)scratch;

    reorder(window, words, ordered);

    for (int32_t left = layer->outputs; left > 0; left -= 2) {
        const int32_t next = left > 1 ? words + 3 : 0; /* a last one alone is its own neighbor */
        const int32_t *weights = filter + 2;
        int32_t even = filter[0], odd = filter[next];
        for (const uint32_t *v = ordered, *const end = ordered + 2 * words; v < end; v += 2) {
            const uint32_t of_odd = (uint32_t)weights[next], of_even = (uint32_t)*weights++;
            even = tinyse_add_products((uint32_t)tinyse_even_bytes(of_even), v[0], even);
            odd = tinyse_add_products((uint32_t)tinyse_even_bytes(of_odd), v[0], odd);
            even = tinyse_add_products((uint32_t)tinyse_odd_bytes(of_even), v[1], even);
            odd = tinyse_add_products((uint32_t)tinyse_odd_bytes(of_odd), v[1], odd);
        }
        const int32_t low = layer->low;
        tinyse_store_16(output, tinyse_finish_32(low, even, weights[0]));
        if (next) {
            tinyse_store_16(output + 2, tinyse_finish_32(low, odd, weights[next]));
        }
        output += 4;
        filter = weights + 1 + next;
    }
}

TINYSE_SHARED void tinyse_convolve16_dsp(const tinyse_convolution *layer, const int8_t *input, int8_t *output, int32_t *scratch)
{
    tinyse_convolve_positions(layer, input, output, scratch, all_outputs);
}

#endif
