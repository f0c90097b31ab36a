/* tinyse/spectra/front_end.py in C: float32, one operation at a time and in the same order, so with the same bits. */
#include "exact.h"

#include "front_end.h"

#include <string.h>

#include "bytes.h"
#include "front_end_state.h"
#include "front_end_tables.h"
#include "transform.h"

#if defined(TINYSE_MVE_FLOAT) && !defined(TINYSE_FLOAT_SAMPLES) && TINYSE_HOP % 4 == 0 && TINYSE_PAST % 4 == 0 && TINYSE_BANDS % 4 == 0 && defined(STEPS_PER_FEATURE)
#define VECTORS
#endif

void tinyse_front_end_reset(tinyse_front_end *state)
{
    silence(state, SILENT_LEVEL, 1.0f);
}

#ifdef VECTORS
#include "front_end_mve.h"
#else
static inline float in_full_scale(tinyse_sample sample)
{
#ifdef TINYSE_FLOAT_SAMPLES
    return sample;
#else
    return (float)sample * (1.0f / 32768.0f);
#endif
}

/* `count` samples times a piece of the window. */
static void multiply_by_window(float *frame, const tinyse_sample *samples, const float *by, int32_t count)
{
#pragma GCC unroll 4
    for (int32_t i = 0; i < count; i++) {
        frame[i] = in_full_scale(samples[i]) * by[i];
    }
}

/* log2 of a positive, normal number: exponent plus a polynomial of the fraction (tinyse/spectra/logarithm.py). */
static inline float log_2(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const float exponent = (float)((int32_t)(bits >> 23) - 127);
    bits = (bits & 0x7FFFFFu) | 0x3F800000u; /* the same fraction in [1, 2) */
    memcpy(&x, &bits, sizeof x);
    const float fraction = x - 1.0f;
    float polynomial = LOG2_4;
    polynomial = polynomial * fraction + LOG2_3;
    polynomial = polynomial * fraction + LOG2_2;
    polynomial = polynomial * fraction + LOG2_1;
    polynomial = polynomial * fraction + LOG2_0;
    return exponent + polynomial * fraction;
}

static inline float power_of(const float *bin)
{
    return bin[0] * bin[0] + bin[1] * bin[1];
}

/* Beyond the bands that are single bins, four at a time, as their shares lie. */
static void log_powers(const float *bins, float *logs)
{
    const float *share = band_shares;

    for (int32_t band = 0; band < SINGLE; band++) {
        logs[band] = power_of(bins + 2 * band);
    }
    for (int32_t band = SINGLE; band < TINYSE_BANDS; band += 4) {
        const uint32_t at = (uint32_t)(band - SINGLE);
        const float *a = bins + 2 * band_first[at], *b = bins + 2 * band_first[at + 1];
        const float *c = bins + 2 * band_first[at + 2], *d = bins + 2 * band_first[at + 3];
        float powers[4] = {0.0f, 0.0f, 0.0f, 0.0f}; /* added to the first power, zero changes no value */
        for (int32_t taps = group_width[at / 4]; taps > 0; taps--) {
            powers[0] = powers[0] + power_of(a) * share[0];
            powers[1] = powers[1] + power_of(b) * share[1];
            powers[2] = powers[2] + power_of(c) * share[2];
            powers[3] = powers[3] + power_of(d) * share[3];
            a += 2;
            b += 2;
            c += 2;
            d += 2;
            share += 4;
        }
        for (int32_t i = 0; i < 4 && band + i < TINYSE_BANDS; i++) {
            logs[band + i] = powers[i];
        }
    }
    for (int32_t band = 0; band < TINYSE_BANDS; band++) {
        logs[band] = log_2(logs[band] + POWER_FLOOR);
    }
}

static void quantize_features(const float *logs, float level, int8_t *features)
{
    for (int32_t band = 0; band < TINYSE_BANDS; band++) {
        float feature = (logs[band] - level) * FEATURE_SCALE;
        feature = feature < -1.0f ? -1.0f : feature > LARGEST_FEATURE ? LARGEST_FEATURE : feature;
        const float steps = feature / FEATURE_STEP + 0.5f;
        const int32_t cut = (int32_t)steps; /* toward zero; the floor lies below it for negative fractions */
        int32_t value = cut - (steps < (float)cut) + FEATURE_ZERO;
        if (FEATURE_LOWEST < -128 && value < -128) {
            value = -128;
        }
        if (FEATURE_HIGHEST > 127 && value > 127) {
            value = 127;
        }
        features[band] = (int8_t)value;
    }
}
#endif

/* The running level, and log powers to features against it. */
static void relate(tinyse_front_end *state, int8_t *features)
{
    float sum = state->logs[0];
#pragma GCC unroll 4
    for (int32_t band = 1; band < TINYSE_BANDS; band++) {
        sum = sum + state->logs[band];
    }
    const float mean = sum * MEAN_SCALE;
    if (mean > SILENCE) {
        const float slow = state->level + state->rate * (mean - state->level);
        const float fast = mean - JUMP;
        const float rate = state->rate / (1.0f + state->rate);
        state->level = slow > fast ? slow : fast;
        state->rate = rate > SLOWEST_RATE ? rate : SLOWEST_RATE;
    }
    quantize_features(state->logs, state->level, features);
}

void tinyse_front_end_analyze(tinyse_front_end *state, const tinyse_sample in[TINYSE_HOP], int8_t features[TINYSE_BANDS])
{
    float *bins = state->bins;
    tinyse_sample *past = state->past;

    multiply_by_window(bins, past, window, TINYSE_PAST);
    multiply_by_window(bins + TINYSE_PAST, in, window + TINYSE_PAST, TINYSE_HOP);
    for (int32_t i = TINYSE_WINDOW; i < TINYSE_TRANSFORM; i++) {
        bins[i] = 0.0f;
    }
    for (int32_t i = 0; i < TINYSE_PAST - TINYSE_HOP; i++) {
        past[i] = past[i + TINYSE_HOP];
    }
    tinyse_copy_bytes(past + TINYSE_PAST - TINYSE_HOP, in, TINYSE_HOP * sizeof in[0]);

    tinyse_transform_forward(bins);
    log_powers(bins, state->logs);
    relate(state, features);
}

#ifdef TINYSE_SYNTHESIS
#define BINS (TINYSE_TRANSFORM / 2 + 1)
#define ROUND_TO_EVEN 12582912.0f /* 1.5 * 2^23: floats of this size are whole numbers, their bits in order */
#define ROUND_TO_EVEN_BITS 0x4B400000u

void tinyse_front_end_set_limit(tinyse_front_end *state, int decibels)
{
    state->limit = decibels < 0 ? 0.0f : limits[decibels];
}

/* One bin times its gain and the limit. */
static inline void scale(float *bin, float share, float limit, float rest)
{
    const float gain = limit + rest * share;
    bin[0] = bin[0] * gain;
    bin[1] = bin[1] * gain;
}

/* Each bin times its gain: the bands' gains, interpolated between their centers. */
static void apply(tinyse_front_end *state, const int8_t *mask)
{
    const float limit = state->limit, rest = 1.0f - limit;
    float *const gains = state->logs; /* which are not needed any more */
    int32_t bin = 0;

#ifdef VECTORS
    dequantize_gains(mask, gains);
    bin = apply_gains(state->bins, gains, limit);
#else
    for (int32_t band = 0; band < TINYSE_BANDS; band++) {
        gains[band] = (float)(mask[band] - MASK_ZERO) * MASK_STEP;
    }
    for (; bin < SINGLE; bin++) {
        scale(state->bins + 2 * bin, gains[bin], limit, rest);
    }
#endif
    for (; bin < BINS; bin++) {
        const float *neighbors = gains + bin_band[bin - SINGLE], weight = bin_weight[bin - SINGLE];
        scale(state->bins + 2 * bin, neighbors[0] * weight + neighbors[1] * (1.0f - weight), limit, rest);
    }
}

#ifndef VECTORS
static inline tinyse_sample to_sample(float sample)
{
#ifdef TINYSE_FLOAT_SAMPLES
    return sample;
#else
    int32_t steps = (int32_t)((sample * 32768.0f + ROUND_TO_EVEN) - ROUND_TO_EVEN);
#ifdef __ARM_FEATURE_SAT
    __asm__("ssat %0, #16, %1" : "=r"(steps) : "r"(steps)); /* no compiler finds it here */
#else
    steps = steps < -32768 ? -32768 : steps > 32767 ? 32767 : steps;
#endif
    return (int16_t)steps;
#endif
}

static void finish_hop(const float *tail, const float *frame, tinyse_sample *out)
{
    for (int32_t i = 0; i < TINYSE_HOP; i++) {
        out[i] = to_sample(tail[i] + frame[i] * synthesis_window[i]);
    }
}

static void keep_tail(float *tail, const float *frame)
{
    for (int32_t i = 0; i < TINYSE_OVERLAP - TINYSE_HOP; i++) {
        tail[i] = tail[i + TINYSE_HOP] + frame[i + TINYSE_HOP] * synthesis_window[i + TINYSE_HOP];
    }
#pragma GCC unroll 4
    for (int32_t i = TINYSE_OVERLAP - TINYSE_HOP; i < TINYSE_OVERLAP; i++) {
        tail[i] = frame[i + TINYSE_HOP] * synthesis_window[i + TINYSE_HOP];
    }
}
#endif

void tinyse_front_end_synthesize(tinyse_front_end *state, const int8_t mask[TINYSE_BANDS], tinyse_sample out[TINYSE_HOP])
{
    exchange(state);
    apply(state, mask);
    tinyse_transform_inverse(state->bins);
    const float *const newest = state->bins + TINYSE_WINDOW - TINYSE_SYNTHESIS_WINDOW;
    finish_hop(state->tail, newest, out);
    keep_tail(state->tail, newest);
}
#endif
