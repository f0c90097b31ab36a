/* The one place of rounding, the twin of tinyse/graph/arithmetic.py: gemmlowp's, as TFLM has it.
 *
 * The high half of a product is rounded halves up, then the shift halves away from zero. gemmlowp's nudge and truncating
 * division, which its sources write for the first step, come to the same as an addition and an arithmetic shift.
 */
#ifndef TINYSE_REQUANTIZE_H
#define TINYSE_REQUANTIZE_H

#include <stdint.h>

/* round(x * multiplier / 2^31), halves up: SaturatingRoundingDoublingHighMul for a positive multiplier. */
static inline int32_t tinyse_high_product(int32_t x, int32_t multiplier)
{
    return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << 30)) >> 31);
}

/* -1 for a negative number, else 0: what sends halves away from zero. */
static inline int32_t tinyse_sign(int32_t x)
{
    return -(x < 0);
}

/* round(x / 2^shift), halves away from zero, 0 <= shift <= 31: RoundingDivideByPOT. Not for the two ends of
 * int32_t, which no high product is. */
static inline int32_t tinyse_divide(int32_t x, int32_t shift)
{
    if (shift == 0) {
        return x;
    }
    return (((x + tinyse_sign(x)) >> (shift - 1)) + 1) >> 1; /* a half is added to what is small enough for it */
}

/* x * multiplier / 2^31 / 2^shift, rounded twice; a negative shift goes left. MultiplyByQuantizedMultiplier. */
static inline int32_t tinyse_rescale(int32_t x, int32_t multiplier, int32_t shift)
{
    if (shift < 0) {
        return tinyse_high_product(x * (int32_t)(1u << -shift), multiplier);
    }
    return tinyse_divide(tinyse_high_product(x, multiplier), shift);
}

static inline int8_t tinyse_clip(int32_t x, int32_t low)
{
    return (int8_t)(x < low ? low : x > 127 ? 127 : x);
}

/* Clipped to int16. */
static inline int32_t tinyse_clip_16(int32_t x, int32_t low)
{
    return x < low ? low : x > 32767 ? 32767 : x;
}

/* round(x * multiplier / 2^shift), halves up, for the sums of 64 bits that values of 16 bits have: |x| < 2^47, multiplier
 * below 2^15, 1 <= shift. MultiplyByQuantizedMultiplier for int64_t. */
static inline int32_t tinyse_rescale_64(int64_t x, int32_t multiplier, int32_t shift)
{
    return (int32_t)((x * multiplier + ((int64_t)1 << (shift - 1))) >> shift);
}

#endif
