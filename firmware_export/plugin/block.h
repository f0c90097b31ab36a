/* The firmware for hosts that bring any number of float samples at a multiple of its rate: plugins and browsers.
 *
 * Samples wait until a hop is full, are resampled to TINYSE_SAMPLE_RATE and 16 bits, denoised, and resampled back.
 * At the firmware's own rate nothing is filtered: what comes out are the firmware's bits.
 */
#ifndef TINYSE_BLOCK_H
#define TINYSE_BLOCK_H

#include "tinyse.h"

#define TINYSE_LARGEST_FACTOR 6 /* 96 kHz */
#define TINYSE_REACH 24 /* samples at TINYSE_SAMPLE_RATE that a filter looks ahead */

typedef struct {
    tinyse_stream stream;
    int32_t factor; /* host rate / TINYSE_SAMPLE_RATE */
    int32_t place; /* samples of the present hop that are there */
    float in[(TINYSE_HOP + 2 * TINYSE_REACH) * TINYSE_LARGEST_FACTOR]; /* the filter's past, then this hop */
    float out[TINYSE_HOP * TINYSE_LARGEST_FACTOR];
    float low[TINYSE_HOP + 2 * TINYSE_REACH]; /* the same at TINYSE_SAMPLE_RATE, on the way back */
    int16_t noisy[TINYSE_HOP], clean[TINYSE_HOP]; /* the last hop, in and out */
} tinyse_block;

/* Silence at `rate` samples per second: 1, 2, 3 or 6 times TINYSE_SAMPLE_RATE, anything else is a bad argument. */
tinyse_status tinyse_block_init(tinyse_block *block, int32_t rate);

/* Forget what was heard; rate and limit stay. */
void tinyse_block_reset(tinyse_block *block);

/* `count` samples in [-1, 1). `in` and `out` may be the same. Returns the number of hops that were completed. */
int32_t tinyse_block_process(tinyse_block *block, const float *in, float *out, int32_t count);

/* Samples at the host's rate by which the output is late. */
int32_t tinyse_block_latency(const tinyse_block *block);

#endif
