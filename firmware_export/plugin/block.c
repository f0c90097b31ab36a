/* Hops out of samples, and filters between two rates. */
#include "block.h"

#include <stddef.h>
#include <string.h>

#include "filters.h"

#define ROUND_TO_EVEN 12582912.0f /* 1.5 * 2^23: floats of this size are whole numbers */

/* A low-pass at the host's rate with 2 * TINYSE_REACH * factor + 1 taps, symmetric, of sum 1. */
static const float *filter(int32_t factor)
{
    return factor == 2 ? filter_2 : factor == 3 ? filter_3 : factor == 6 ? filter_6 : NULL;
}

tinyse_status tinyse_block_init(tinyse_block *block, int32_t rate)
{
    const int32_t factor = rate / TINYSE_SAMPLE_RATE;
    if (block == NULL || rate != factor * TINYSE_SAMPLE_RATE || (factor != 1 && filter(factor) == NULL)) {
        return TINYSE_BAD_ARGUMENT;
    }
    block->factor = factor;
    tinyse_block_reset(block);
    return tinyse_init(&block->stream);
}

void tinyse_block_reset(tinyse_block *block)
{
    block->place = 0;
    memset(block->in, 0, sizeof block->in);
    memset(block->out, 0, sizeof block->out);
    memset(block->low, 0, sizeof block->low);
    (void)tinyse_reset(&block->stream);
}

static int16_t to_pcm16(float x)
{
    x *= 32768.0f;
    if (x != x) {
        return 0; /* what is not a number is silence */
    }
    x = x < -32768.0f ? -32768.0f : x > 32767.0f ? 32767.0f : x;
    return (int16_t)((x + ROUND_TO_EVEN) - ROUND_TO_EVEN);
}

static float weighted_sum(const float *samples, const float *taps, int32_t count)
{
    float sum = 0.0f;
    for (int32_t i = 0; i < count; i++) {
        sum += samples[i] * taps[i];
    }
    return sum;
}

/* A hop at the host's rate to TINYSE_HOP samples. */
static void reduce(tinyse_block *block)
{
    const int32_t factor = block->factor, past = 2 * TINYSE_REACH * factor;
    for (int32_t i = 0; i < TINYSE_HOP; i++) {
        const float *samples = block->in + (factor == 1 ? past + i : i * factor);
        block->noisy[i] = to_pcm16(factor == 1 ? *samples : weighted_sum(samples, filter(factor), past + 1));
    }
    memmove(block->in, block->in + TINYSE_HOP * factor, (size_t)past * sizeof *block->in);
}

/* TINYSE_HOP samples to a hop at the host's rate: each output sees the taps that meet no inserted zero. */
static void raise_rate(tinyse_block *block)
{
    const int32_t factor = block->factor, past = 2 * TINYSE_REACH;
    for (int32_t i = 0; i < TINYSE_HOP; i++) {
        block->low[past + i] = (float)block->clean[i] * (1.0f / 32768.0f);
    }
    for (int32_t i = 0; i < TINYSE_HOP * factor; i++) {
        if (factor == 1) {
            block->out[i] = block->low[past + i];
            continue;
        }
        const float *samples = block->low + i / factor + past, *taps = filter(factor) + i % factor;
        float sum = 0.0f;
        for (int32_t tap = 0; tap <= past * factor - i % factor; tap += factor) {
            sum += taps[tap] * *samples--;
        }
        block->out[i] = sum * (float)factor;
    }
    memmove(block->low, block->low + TINYSE_HOP, (size_t)past * sizeof *block->low);
}

int32_t tinyse_block_process(tinyse_block *block, const float *in, float *out, int32_t count)
{
    const int32_t factor = block->factor, hop = TINYSE_HOP * factor;
    float *fresh = block->in + 2 * TINYSE_REACH * factor;
    int32_t hops = 0;
    for (int32_t i = 0; i < count; i++) {
        fresh[block->place] = in[i];
        out[i] = block->out[block->place];
        if (++block->place == hop) {
            block->place = 0;
            reduce(block);
            (void)tinyse_process(&block->stream, block->noisy, block->clean);
            raise_rate(block);
            hops++;
        }
    }
    return hops;
}

int32_t tinyse_block_latency(const tinyse_block *block)
{
    const int32_t filters = block->factor == 1 ? 0 : 2 * TINYSE_REACH;
    return (TINYSE_HOP + TINYSE_DELAY + filters) * block->factor;
}
