/* Rounding on vectors of Armv8.1-M. */
#ifndef TINYSE_MVE_H
#define TINYSE_MVE_H

#include <arm_mve.h>

/* tinyse_rescale for a shift of 1 or more: VQRDMULH rounds halves up as the scalar does, VRSHL too, so one is taken from
 * negative numbers to send their halves away from zero. */
static inline int32x4_t tinyse_rescale_4(int32x4_t x, int32_t multiplier, int32_t shift)
{
    x = vqrdmulhq_n_s32(x, multiplier);
    return vrshlq_n_s32(vaddq_s32(x, vshrq_n_s32(x, 31)), -shift);
}

#endif
