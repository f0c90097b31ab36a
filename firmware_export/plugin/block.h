/* The firmware for hosts that bring any number of float samples at a rate of their own: plugins and browsers.
 *
 * Samples are resampled to TINYSE_SAMPLE_RATE and 16 bits, wait until a hop is full, are denoised, and resampled back.
 * At the firmware's own rate nothing is filtered: what comes out are the firmware's bits.
 *
 * Time is counted in units of which both a host's sample and the firmware's have a whole number: at 44.1 kHz beside 16 kHz
 * they have 160 and 441. The filter is a windowed sinc, one value per unit.
 */
#ifndef TINYSE_BLOCK_H
#define TINYSE_BLOCK_H

#include "tinyse.h"

#define TINYSE_REACH 24 /* samples at the lower of both rates that a filter looks ahead, and back */
#define TINYSE_WIDEST 640 /* units in one of them: 11.025 kHz beside 16 kHz; 44.1 kHz has 441 */
#define TINYSE_LARGEST_RATIO 24 /* of the rates, either way */
#define TINYSE_HEARD (2 * TINYSE_REACH * TINYSE_LARGEST_RATIO + 2) /* samples that a filter may see */
#define TINYSE_MADE (TINYSE_HEARD + 2 * TINYSE_HOP)

/* The latest `TINYSE_HEARD` or `TINYSE_MADE` samples, written twice, so that they lie in one piece. */
typedef struct {
    int32_t next;
    float samples[2 * TINYSE_HEARD];
} tinyse_heard;
typedef struct {
    int32_t next;
    float samples[2 * TINYSE_MADE];
} tinyse_made;

typedef struct {
    tinyse_stream stream;
    int32_t host_unit, own_unit; /* units of a sample at the host's rate, and at TINYSE_SAMPLE_RATE */
    int32_t reach; /* units from the filter's middle to its end */
    int32_t latency; /* samples at the host's rate */
    int32_t due; /* units from the newest sample that came to where the next one at TINYSE_SAMPLE_RATE is due */
    int32_t ahead; /* units from what goes out next to the newest denoised sample */
    int32_t place; /* samples of the present hop that are there */
    tinyse_heard heard;
    tinyse_made made;
    int16_t hop[TINYSE_HOP]; /* fills up */
    int16_t noisy[TINYSE_HOP], clean[TINYSE_HOP]; /* the last hop, in and out */
    float filter[2 * TINYSE_REACH * TINYSE_WIDEST + 1];
} tinyse_block;

/* Silence at `rate` samples per second: 8, 11.025, 12, 16, 22.05, 24, 32, 44.1, 48, 64, 88.2, 96, 176.4 or 192 kHz, and any
 * other rate whose ratio to TINYSE_SAMPLE_RATE has no number above TINYSE_WIDEST; else a bad argument. */
tinyse_status tinyse_block_init(tinyse_block *block, int32_t rate);

/* Reset to silence; rate and limit stay. */
void tinyse_block_reset(tinyse_block *block);

/* `count` samples in [-1, 1). `in` and `out` may be the same. Returns the number of hops that were completed. */
int32_t tinyse_block_process(tinyse_block *block, const float *in, float *out, int32_t count);

/* Samples at the host's rate by which the output is late. */
int32_t tinyse_block_latency(const tinyse_block *block);

#endif
