/* firmware_export/fixed_point.py in C: the front end in integers, with the same bits on every processor.
 *
 * Samples and spectra have FRACTION bits after the point of PCM16; logarithms and gains are in units of 2^-15, the running
 * level and its rate in units of 2^-LEVEL_BITS.
 */
#include "front_end.h"

#include "bytes.h"
#include "front_end_state.h"
#include "front_end_tables.h"
#include "transform_fixed.h"

#ifdef TINYSE_FLOAT_SAMPLES
#error "the front end in integers takes PCM of 16 bits: leave TINYSE_FLOAT_SAMPLES out"
#endif

#define ONE 32768
#define FINER (LEVEL_BITS - 15)
#if FINER
typedef int64_t rate_product;
#else
typedef int32_t rate_product; /* small cores divide 64 bits in software */
#endif

/* a * b / 2^bits, halves up. */
static inline int32_t scaled(int32_t a, int32_t b, int32_t bits)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << (bits - 1))) >> bits);
}

void tinyse_front_end_reset(tinyse_front_end *state)
{
    silence(state, SILENT_LEVEL * (1 << FINER), 1 << LEVEL_BITS);
}

/* log2 of a power of 2^15 or more in units of 2^-45, in units of 2^-15. */
static int32_t log_2(uint64_t power)
{
    int32_t exponent = 63;
    for (int32_t step = 32; step > 0; step /= 2) {
        if (power >> (64 - step) == 0) {
            power <<= step;
            exponent -= step;
        }
    }
    const int32_t fraction = (int32_t)(power >> 48) - ONE; /* the highest bit is one */
    int32_t polynomial = LOG2_4;
    polynomial = ((polynomial * fraction) >> 15) + LOG2_3;
    polynomial = ((polynomial * fraction) >> 15) + LOG2_2;
    polynomial = ((polynomial * fraction) >> 15) + LOG2_1;
    polynomial = ((polynomial * fraction) >> 15) + LOG2_0;
    return (exponent - 45) * ONE + ((polynomial * fraction) >> 15);
}

static uint64_t band_power(const int32_t *bin, const uint16_t *share, int32_t count)
{
    uint64_t total = (uint64_t)POWER_FLOOR * ONE;
    for (; count > 0; count--) {
        const uint64_t power = (uint64_t)((int64_t)bin[0] * bin[0] + (int64_t)bin[1] * bin[1]) >> (2 * FRACTION);
        total += power * *share++;
        bin += 2;
    }
    return total;
}

/* Log powers to features, against the running level. */
static void relate(tinyse_front_end *state, int8_t *features)
{
    int64_t sum = 0;
    for (int32_t band = 0; band < TINYSE_BANDS; band++) {
        sum += state->logs[band];
    }
    int32_t mean = (int32_t)((sum * MEAN_SCALE) >> 24);
    if (mean > SILENCE) {
        mean *= 1 << FINER;
        const int32_t slow = state->level + (int32_t)(((int64_t)state->rate * (mean - state->level)) >> LEVEL_BITS);
        const int32_t fast = mean - JUMP * (1 << FINER);
        const int32_t one = 1 << LEVEL_BITS;
        const int32_t rate = (int32_t)((rate_product)state->rate * one / (one + state->rate));
        state->level = slow > fast ? slow : fast;
        state->rate = rate > SLOWEST_RATE ? rate : SLOWEST_RATE;
    }
    const int32_t level = state->level >> FINER;
    for (int32_t band = 0; band < TINYSE_BANDS; band++) {
        const int32_t steps = scaled(state->logs[band] - level, FEATURE_FACTOR, FEATURE_BITS) + FEATURE_ZERO;
        features[band] = (int8_t)(steps < FEATURE_LOW ? FEATURE_LOW : steps > FEATURE_HIGH ? FEATURE_HIGH : steps);
    }
}

void tinyse_front_end_analyze(tinyse_front_end *state, const int16_t in[TINYSE_HOP], int8_t features[TINYSE_BANDS])
{
    int32_t *bins = state->bins;
    int16_t *past = state->past;

    for (int32_t i = 0; i < TINYSE_PAST; i++) {
        bins[i] = (past[i] * window[i] + (1 << (14 - FRACTION))) >> (15 - FRACTION);
    }
    for (int32_t i = 0; i < TINYSE_HOP; i++) {
        bins[TINYSE_PAST + i] = (in[i] * window[TINYSE_PAST + i] + (1 << (14 - FRACTION))) >> (15 - FRACTION);
    }
    for (int32_t i = TINYSE_WINDOW; i < TINYSE_TRANSFORM; i++) {
        bins[i] = 0;
    }
    for (int32_t i = 0; i < TINYSE_PAST - TINYSE_HOP; i++) {
        past[i] = past[i + TINYSE_HOP];
    }
    tinyse_copy_bytes(past + TINYSE_PAST - TINYSE_HOP, in, TINYSE_HOP * sizeof in[0]);

    tinyse_transform_forward(bins);
    const uint16_t *share = band_shares;
    for (int32_t band = 0; band < TINYSE_BANDS; band++) {
        state->logs[band] = log_2(band_power(bins + 2 * band_first[band], share, band_width[band]));
        share += band_width[band];
    }
    relate(state, features);
}

#ifdef TINYSE_SYNTHESIS
#define BINS (TINYSE_TRANSFORM / 2 + 1)

void tinyse_front_end_set_limit(tinyse_front_end *state, int decibels)
{
    state->limit = decibels < 0 ? 0 : limits[decibels];
}

/* Each bin times its gain: the bands' gains, interpolated between their centers, and the limit. */
static void apply(tinyse_front_end *state, const int8_t *mask)
{
    const int32_t limit = state->limit, rest = ONE - limit;

    for (int32_t bin = 0; bin < BINS; bin++) {
        const int32_t band = bin_band[bin];
        const int32_t next = band + (band + 1 < TINYSE_BANDS);
        const int32_t lower = (mask[band] - MASK_ZERO) * MASK_STEP, upper = (mask[next] - MASK_ZERO) * MASK_STEP;
        const int32_t weight = bin_weight[bin];
        const int32_t gain = limit + scaled(rest, (lower * weight + upper * (ONE - weight) + ONE / 2) >> 15, 15);
        state->bins[2 * bin] = scaled(state->bins[2 * bin], gain, 15);
        state->bins[2 * bin + 1] = scaled(state->bins[2 * bin + 1], gain, 15);
    }
}

static inline int16_t to_pcm(int32_t sample)
{
    const int32_t pcm = (sample + (1 << (FRACTION - 1))) >> FRACTION;
    return (int16_t)(pcm < -32768 ? -32768 : pcm > 32767 ? 32767 : pcm);
}

void tinyse_front_end_synthesize(tinyse_front_end *state, const int8_t mask[TINYSE_BANDS], int16_t out[TINYSE_HOP])
{
    const int32_t *const frame = state->bins + TINYSE_WINDOW - TINYSE_SYNTHESIS_WINDOW;
    int32_t *tail = state->tail;

    exchange(state);
    apply(state, mask);
    tinyse_transform_inverse(state->bins);
    for (int32_t i = 0; i < TINYSE_HOP; i++) {
        out[i] = to_pcm(tail[i] + scaled(frame[i], synthesis_window[i], 15));
    }
    for (int32_t i = 0; i < TINYSE_OVERLAP - TINYSE_HOP; i++) {
        tail[i] = tail[i + TINYSE_HOP] + scaled(frame[i + TINYSE_HOP], synthesis_window[i + TINYSE_HOP], 15);
    }
    for (int32_t i = TINYSE_OVERLAP - TINYSE_HOP; i < TINYSE_OVERLAP; i++) {
        tail[i] = scaled(frame[i + TINYSE_HOP], synthesis_window[i + TINYSE_HOP], 15);
    }
}
#endif
