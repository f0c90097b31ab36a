/* tinyse/spectra/front_end.py in C: float32, one operation at a time and in the same order, so with the same bits.
 *
 * Compile with -ffp-contract=off and without -ffast-math.
 */
#include "front_end.h"

#include <string.h>

#include "front_end_tables.h"
#include "transform.h"

#ifdef __FAST_MATH__
#error "the front end needs IEEE arithmetic in the order of its source: compile it without -ffast-math"
#endif

void tinyse_front_end_reset(tinyse_front_end *state)
{
    memset(state->bins, 0, sizeof state->bins);
#ifdef TINYSE_SYNTHESIS
    memset(state->tail, 0, sizeof state->tail);
#endif
    memset(state->logs, 0, sizeof state->logs);
    memset(state->past, 0, sizeof state->past);
    state->level = SILENT_LEVEL;
    state->rate = 1.0f;
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

static float band_power(const float *bins, int32_t first, const float *share, int32_t count)
{
    const float *bin = bins + 2 * first;
    float total = (bin[0] * bin[0] + bin[1] * bin[1]) * share[0];
    for (int32_t i = 1; i < count; i++) {
        bin += 2;
        total = total + (bin[0] * bin[0] + bin[1] * bin[1]) * share[i];
    }
    return total;
}

/* Log powers to features, against the running level. */
static void relate(tinyse_front_end *state, int8_t *features)
{
    float sum = state->logs[0];
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
    for (int32_t band = 0; band < TINYSE_BANDS; band++) {
        float feature = (state->logs[band] - state->level) * FEATURE_SCALE;
        feature = feature < -1.0f ? -1.0f : feature > LARGEST_FEATURE ? LARGEST_FEATURE : feature;
        const float steps = feature / FEATURE_STEP + 0.5f;
        const int32_t cut = (int32_t)steps; /* towards zero; the floor lies below it for negative fractions */
        features[band] = (int8_t)(cut - (steps < (float)cut) + FEATURE_ZERO);
    }
}

void tinyse_front_end_analyse(tinyse_front_end *state, const int16_t in[TINYSE_HOP], int8_t features[TINYSE_BANDS])
{
    float *bins = state->bins;
    int16_t *past = state->past;

    for (int32_t i = 0; i < TINYSE_DELAY; i++) {
        bins[i] = ((float)past[i] * (1.0f / 32768.0f)) * window[i];
    }
    for (int32_t i = 0; i < TINYSE_HOP; i++) {
        bins[TINYSE_DELAY + i] = ((float)in[i] * (1.0f / 32768.0f)) * window[TINYSE_DELAY + i];
    }
    for (int32_t i = TINYSE_WINDOW; i < TINYSE_TRANSFORM; i++) {
        bins[i] = 0.0f;
    }
    for (int32_t i = 0; i < TINYSE_DELAY - TINYSE_HOP; i++) {
        past[i] = past[i + TINYSE_HOP];
    }
    memcpy(past + TINYSE_DELAY - TINYSE_HOP, in, TINYSE_HOP * sizeof in[0]);

    tinyse_transform_forward(bins);
    const float *share = band_shares;
    for (int32_t band = 0; band < TINYSE_BANDS; band++) {
        const float power = band_power(bins, band_first[band], share, band_width[band]);
        share += band_width[band];
        state->logs[band] = log_2(power + POWER_FLOOR);
    }
    relate(state, features);
}

#ifdef TINYSE_SYNTHESIS
#define BINS (TINYSE_TRANSFORM / 2 + 1)
#define ROUND_TO_EVEN 12582912.0f /* 1.5 * 2^23: floats of this size are whole numbers */

void tinyse_front_end_set_limit(tinyse_front_end *state, int decibels)
{
    state->limit = decibels < 0 ? 0.0f : limits[decibels];
}

/* Each bin times its gain: the bands' gains, interpolated between their centres, and the limit. */
static void apply(tinyse_front_end *state, const int8_t *mask)
{
    const float limit = state->limit, rest = 1.0f - limit;

    for (int32_t bin = 0; bin < BINS; bin++) {
        const int32_t band = bin_band[bin];
        const int32_t next = band + (band + 1 < TINYSE_BANDS);
        const float lower = (float)(mask[band] - MASK_ZERO) * MASK_STEP;
        const float upper = (float)(mask[next] - MASK_ZERO) * MASK_STEP;
        const float gain = limit + rest * (lower * bin_weight[bin] + upper * (1.0f - bin_weight[bin]));
        state->bins[2 * bin] = state->bins[2 * bin] * gain;
        state->bins[2 * bin + 1] = state->bins[2 * bin + 1] * gain;
    }
}

static inline int16_t to_pcm(float sample)
{
    const float steps = sample * 32768.0f;
    if (steps >= 32767.0f) {
        return 32767;
    }
    if (steps <= -32768.0f) {
        return -32768;
    }
    return (int16_t)((steps + ROUND_TO_EVEN) - ROUND_TO_EVEN);
}

void tinyse_front_end_synthesise(tinyse_front_end *state, const int8_t mask[TINYSE_BANDS], int16_t out[TINYSE_HOP])
{
    float *frame = state->bins;
    float *tail = state->tail;

    apply(state, mask);
    tinyse_transform_inverse(frame);
    for (int32_t i = 0; i < TINYSE_HOP; i++) {
        out[i] = to_pcm(tail[i] + frame[i] * synthesis_window[i]);
    }
    for (int32_t i = 0; i < TINYSE_DELAY - TINYSE_HOP; i++) {
        tail[i] = tail[i + TINYSE_HOP] + frame[i + TINYSE_HOP] * synthesis_window[i + TINYSE_HOP];
    }
    for (int32_t i = TINYSE_DELAY - TINYSE_HOP; i < TINYSE_DELAY; i++) {
        tail[i] = frame[i + TINYSE_HOP] * synthesis_window[i + TINYSE_HOP];
    }
}
#endif
