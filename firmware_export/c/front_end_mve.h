/* The loops of front_end.c with the vectors of Armv8.1-M, four numbers at a time: the same operations on each of them. */
#ifndef TINYSE_FRONT_END_MVE_H
#define TINYSE_FRONT_END_MVE_H

#include <arm_mve.h>

#include "front_end.h"
#include "front_end_tables.h"

/* Four numbers of a table from `at` on, of 8 or 16 bits. */
#define FOUR_OF(table, at)                                                          \
    (sizeof(table)[0] == 1 ? vldrbq_u32((const uint8_t *)(const void *)(table) + (at)) \
                           : vldrhq_u32((const uint16_t *)(const void *)(table) + (at)))

/* `count` samples, in 16 bits, times a piece of the window. */
static void multiply_by_window(float *frame, const int16_t *samples, const float *by, int32_t count)
{
    for (int32_t i = 0; i < count; i += 4) {
        const float32x4_t x = vcvtq_n_f32_s32(vldrhq_s32(samples + i), 15); /* over 32768 */
        vstrwq_f32(frame + i, vmulq_f32(x, vldrwq_f32(by + i)));
    }
}

/* log_2 of front_end.c. */
static inline float32x4_t log_2_of_four(float32x4_t x)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(x);
    const int32x4_t exponent = vsubq_n_s32(vreinterpretq_s32_u32(vshrq_n_u32(bits, 23)), 127);
    const uint32x4_t in_one_to_two = vorrq_u32(vandq_u32(bits, vdupq_n_u32(0x7FFFFFu)), vdupq_n_u32(0x3F800000u));
    const float32x4_t fraction = vsubq_n_f32(vreinterpretq_f32_u32(in_one_to_two), 1.0f);
    float32x4_t polynomial = vaddq_n_f32(vmulq_n_f32(fraction, LOG2_4), LOG2_3);
    polynomial = vaddq_n_f32(vmulq_f32(polynomial, fraction), LOG2_2);
    polynomial = vaddq_n_f32(vmulq_f32(polynomial, fraction), LOG2_1);
    polynomial = vaddq_n_f32(vmulq_f32(polynomial, fraction), LOG2_0);
    return vaddq_f32(vcvtq_f32_s32(exponent), vmulq_f32(polynomial, fraction));
}

static inline float32x4_t powers_of(float32x4_t re, float32x4_t im)
{
    return vaddq_f32(vmulq_f32(re, re), vmulq_f32(im, im));
}

static void log_powers(const float *bins, float *logs)
{
    const float *share = band_shares;

    for (int32_t band = 0; band < SINGLE; band += 4) {
        const float32x4x2_t pairs = vld2q_f32(bins + 2 * band);
        vstrwq_f32(logs + band, log_2_of_four(vaddq_n_f32(powers_of(pairs.val[0], pairs.val[1]), POWER_FLOOR)));
    }
    for (int32_t band = SINGLE; band < TINYSE_BANDS; band += 4) {
        const uint32x4_t offsets = vshlq_n_u32(FOUR_OF(band_first, band - SINGLE), 3);
        const float *re = bins, *im = bins + 1;
        float32x4_t total = vdupq_n_f32(0.0f); /* added to the first power, it changes no value */
        for (int32_t tap = group_width[(band - SINGLE) / 4]; tap > 0; tap--) {
            const float32x4_t power =
                powers_of(vldrwq_gather_offset_f32(re, offsets), vldrwq_gather_offset_f32(im, offsets));
            total = vaddq_f32(total, vmulq_f32(power, vldrwq_f32(share)));
            re += 2;
            im += 2;
            share += 4;
        }
        vstrwq_f32(logs + band, log_2_of_four(vaddq_n_f32(total, POWER_FLOOR)));
    }
}

static void quantize_features(const float *logs, float level, int8_t *features)
{
    for (int32_t band = 0; band < TINYSE_BANDS; band += 4) {
        float32x4_t feature = vmulq_n_f32(vsubq_n_f32(vldrwq_f32(logs + band), level), FEATURE_SCALE);
        feature = vminnmq_f32(vmaxnmq_f32(feature, vdupq_n_f32(-1.0f)), vdupq_n_f32(LARGEST_FEATURE));
        const float32x4_t steps = vaddq_n_f32(vmulq_n_f32(feature, STEPS_PER_FEATURE), 0.5f);
        const int32x4_t values = vaddq_n_s32(vcvtmq_s32_f32(steps), FEATURE_ZERO); /* rounded down */
        vstrbq_s32(features + band, vminq_s32(vmaxq_s32(values, vdupq_n_s32(-128)), vdupq_n_s32(127)));
    }
}

#ifdef TINYSE_SYNTHESIS
static void dequantize_gains(const int8_t *mask, float *gains)
{
    float step = MASK_STEP;
#ifdef __clang__
    __asm__("" : "+r"(step)); /* unknown: of 1 / 256, Clang 14 to 19 at -O3 make a VCVT with another number of bits */
#endif

    for (int32_t band = 0; band < TINYSE_BANDS; band += 4) {
        const int32x4_t steps = vsubq_n_s32(vldrbq_s32(mask + band), MASK_ZERO);
        vstrwq_f32(gains + band, vmulq_n_f32(vcvtq_f32_s32(steps), step));
    }
}

/* Four bins from `pair` on times their gains and the limit. */
static inline void scale_four(float *pair, float32x4_t share, float limit, float rest)
{
    const float32x4_t gain = vaddq_n_f32(vmulq_n_f32(share, rest), limit);
    float32x4x2_t pairs = vld2q_f32(pair);
    pairs.val[0] = vmulq_f32(pairs.val[0], gain);
    pairs.val[1] = vmulq_f32(pairs.val[1], gain);
    vst2q_f32(pair, pairs);
}

/* All bins but the last one; returns how many. */
static int32_t apply_gains(float *bins, const float *gains, float limit)
{
    const float rest = 1.0f - limit;

    for (int32_t bin = 0; bin < SINGLE; bin += 4) {
        scale_four(bins + 2 * bin, vldrwq_f32(gains + bin), limit, rest);
    }
    for (int32_t bin = SINGLE; bin < TINYSE_TRANSFORM / 2; bin += 4) {
        const uint32x4_t band = FOUR_OF(bin_band, bin - SINGLE);
        const float32x4_t lower = vldrwq_gather_shifted_offset_f32(gains, band);
        const float32x4_t upper = vldrwq_gather_shifted_offset_f32(gains + 1, band);
        const float32x4_t weight = vldrwq_f32(bin_weight + (bin - SINGLE));
        const float32x4_t other = vsubq_f32(vdupq_n_f32(1.0f), weight);
        scale_four(bins + 2 * bin, vaddq_f32(vmulq_f32(lower, weight), vmulq_f32(upper, other)), limit, rest);
    }
    return TINYSE_TRANSFORM / 2;
}

/* tail + frame * window in 16 bits, rounded to even. */
static void finish_hop(const float *tail, const float *frame, int16_t *out)
{
    const int16x8_t nothing = vdupq_n_s16(0);

    for (int32_t i = 0; i < TINYSE_HOP; i += 4) {
        const float32x4_t more = vmulq_f32(vldrwq_f32(frame + i), vldrwq_f32(synthesis_window + i));
        const float32x4_t steps = vmulq_n_f32(vaddq_f32(vldrwq_f32(tail + i), more), 32768.0f);
        vstrhq_s32(out + i, vreinterpretq_s32_s16(vqmovnbq_s32(nothing, vcvtnq_s32_f32(steps))));
    }
}

/* What this frame adds to the next hops. */
static void keep_tail(float *tail, const float *frame)
{
    const float *const later = frame + TINYSE_HOP, *const by = synthesis_window + TINYSE_HOP;

    for (int32_t i = 0; i < TINYSE_OVERLAP - TINYSE_HOP; i += 4) {
        const float32x4_t more = vmulq_f32(vldrwq_f32(later + i), vldrwq_f32(by + i));
        vstrwq_f32(tail + i, vaddq_f32(vldrwq_f32(tail + i + TINYSE_HOP), more));
    }
    for (int32_t i = TINYSE_OVERLAP - TINYSE_HOP; i < TINYSE_OVERLAP; i += 4) {
        vstrwq_f32(tail + i, vmulq_f32(vldrwq_f32(later + i), vldrwq_f32(by + i)));
    }
}
#endif

#endif
