/* Hops out of samples, and filters between two rates. */
#include "block.h"

#include <stddef.h>
#include <string.h>

#include "filters.h" /* filter_shape: the filter from its middle on, SHAPE_STEPS values for each sample at the lower rate */

#define ROUND_TO_EVEN 12582912.0f /* 1.5 * 2^23: floats of this size are whole numbers */

static int32_t common_divisor(int32_t a, int32_t b)
{
    while (b != 0) {
        const int32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The filter's value at `units` of `wide` from its middle. */
static float shape_at(int32_t units, int32_t wide)
{
    const int32_t steps = units * SHAPE_STEPS, whole = steps / wide;
    if (steps % wide == 0) {
        return filter_shape[whole];
    }
    const float part = (float)(steps % wide) / (float)wide;
    return filter_shape[whole] + part * (filter_shape[whole + 1] - filter_shape[whole]);
}

tinyse_status tinyse_block_init(tinyse_block *block, int32_t rate)
{
    if (block == NULL || rate < 1 || rate / TINYSE_LARGEST_RATIO > TINYSE_SAMPLE_RATE ||
        TINYSE_SAMPLE_RATE / TINYSE_LARGEST_RATIO > rate) {
        return TINYSE_BAD_ARGUMENT;
    }
    const int32_t common = common_divisor(rate, TINYSE_SAMPLE_RATE);
    const int32_t host_unit = TINYSE_SAMPLE_RATE / common, own_unit = rate / common;
    const int32_t wide = host_unit > own_unit ? host_unit : own_unit;
    if (wide > TINYSE_WIDEST) {
        return TINYSE_BAD_ARGUMENT;
    }
    block->host_unit = host_unit;
    block->own_unit = own_unit;
    block->reach = wide == 1 ? 0 : TINYSE_REACH * wide;
    for (int32_t i = 0; i <= block->reach; i++) {
        const float value = wide == 1 ? 1.0f : shape_at(i, wide);
        block->filter[block->reach + i] = block->filter[block->reach - i] = value;
    }
    const int32_t late = 2 * block->reach + (TINYSE_HOP + TINYSE_DELAY) * own_unit;
    block->latency = (late + host_unit - 1) / host_unit;
    tinyse_block_reset(block);
    return tinyse_init(&block->stream);
}

void tinyse_block_reset(tinyse_block *block)
{
    block->place = 0;
    block->due = block->host_unit; /* with the first sample that comes */
    block->ahead = block->latency * block->host_unit - block->reach - (1 + TINYSE_DELAY) * block->own_unit;
    memset(&block->heard, 0, sizeof block->heard);
    memset(&block->made, 0, sizeof block->made);
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

/* `count` is the ring's length; half of `samples`. */
static void push(float *samples, int32_t *next, int32_t count, float x)
{
    samples[*next] = samples[*next + count] = x;
    *next = *next + 1 == count ? 0 : *next + 1;
}

/* The sum of samples times the filter: the one at `newest` lies `at` units behind the filter's start, each earlier one
 * `unit` units less. Samples that the filter does not reach are left out. */
static float filtered(const tinyse_block *block, const float *newest, int32_t at, int32_t unit)
{
    const int32_t beyond = at - 2 * block->reach, skipped = beyond > 0 ? (beyond + unit - 1) / unit : 0;
    float sum = 0.0f;
    newest -= skipped;
    for (at -= skipped * unit; at >= 0; at -= unit) {
        sum += *newest-- * block->filter[at];
    }
    return sum;
}

/* The next sample at TINYSE_SAMPLE_RATE. */
static void take(tinyse_block *block)
{
    const float *newest = block->heard.samples + block->heard.next + TINYSE_HEARD - 1;
    const float sum = filtered(block, newest, 2 * block->reach - block->due, block->host_unit);
    const float share = (float)block->host_unit / (float)block->own_unit;
    block->hop[block->place++] = to_pcm16(share < 1.0f ? sum * share : sum);
}

static void denoise(tinyse_block *block)
{
    memcpy(block->noisy, block->hop, sizeof block->noisy);
    (void)tinyse_process(&block->stream, block->noisy, block->clean);
    for (int32_t i = 0; i < TINYSE_HOP; i++) {
        push(block->made.samples, &block->made.next, TINYSE_MADE, (float)block->clean[i] * (1.0f / 32768.0f));
    }
    block->ahead += TINYSE_HOP * block->own_unit;
    block->place = 0;
}

/* The next sample at the host's rate. */
static float give(tinyse_block *block)
{
    const float *newest = block->made.samples + block->made.next + TINYSE_MADE - 1;
    const float sum = filtered(block, newest, block->reach + block->ahead, block->own_unit);
    const float share = (float)block->own_unit / (float)block->host_unit;
    block->ahead -= block->host_unit;
    return share < 1.0f ? sum * share : sum;
}

int32_t tinyse_block_process(tinyse_block *block, const float *in, float *out, int32_t count)
{
    int32_t hops = 0;
    for (int32_t i = 0; i < count; i++) {
        push(block->heard.samples, &block->heard.next, TINYSE_HEARD, in[i]);
        for (block->due -= block->host_unit; block->due <= 0; block->due += block->own_unit) {
            take(block);
            if (block->place == TINYSE_HOP) {
                denoise(block);
                hops++;
            }
        }
        out[i] = give(block);
    }
    return hops;
}

int32_t tinyse_block_latency(const tinyse_block *block)
{
    return block->latency;
}
