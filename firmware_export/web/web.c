/* One stream for a browser, as WebAssembly: its memory is its own, so a global is as good as an argument here. */
#include "block.h"

#define EXPORT(name) __attribute__((export_name(#name)))
#define CAPACITY 4096

static tinyse_block block;
static float samples[CAPACITY];

/* 0, or not for a rate that block.h has not. */
EXPORT(init) int init(int rate)
{
    return tinyse_block_init(&block, rate);
}

EXPORT(reset) void reset(void)
{
    tinyse_block_reset(&block);
}

/* Decibels, or a negative number for no limit. */
EXPORT(set_limit) int set_limit(int decibels)
{
    return tinyse_set_attenuation_limit(&block.stream, decibels);
}

/* The first `count` of `samples()` in place; returns the number of hops that were completed. */
EXPORT(process) int process(int count)
{
    return tinyse_block_process(&block, samples, samples, count < CAPACITY ? count : CAPACITY);
}

EXPORT(latency) int latency(void) { return tinyse_block_latency(&block); }
EXPORT(delay) int delay(void) { return TINYSE_DELAY; }
EXPORT(hop) int hop(void) { return TINYSE_HOP; }
EXPORT(rate) int rate(void) { return TINYSE_SAMPLE_RATE; }
EXPORT(capacity) int capacity(void) { return CAPACITY; }
EXPORT(samples) float *samples_place(void) { return samples; }

/* The last hop: 16-bit sound in and out, and the network's mask. */
EXPORT(noisy) int16_t *noisy(void) { return block.noisy; }
EXPORT(clean) int16_t *clean(void) { return block.clean; }
EXPORT(mask) int8_t *mask(void) { return TINYSE_OUTPUT_MASK((&block.stream.network)); }
EXPORT(bands) int bands(void) { return TINYSE_BANDS; }
