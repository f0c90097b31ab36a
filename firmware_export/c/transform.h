/* The real Fourier transform of tinyse/spectra/fft.py: radix 2 on complex numbers of half the size, in float32.
 *
 * Compile with -ffp-contract=off: a fused multiplication and addition rounds once where Python rounds twice. The variant
 * for the vectors of Armv8.1-M computes the same sums; its vectors flush numbers below 2^-126 to zero, which no sound
 * and no feature can tell: they are added to larger numbers, which absorb them, before they are audible or visible.
 *
 * With TINYSE_CMSIS_DSP defined it is arm_rfft_fast_f32 of a CMSIS-DSP that you link. Its last bits are others, so the
 * sound is no longer bit-exact, and it takes TINYSE_TRANSFORM floats more of the stack.
 */
#ifndef TINYSE_TRANSFORM_H
#define TINYSE_TRANSFORM_H

#include "target.h"

/* TINYSE_TRANSFORM samples to TINYSE_TRANSFORM / 2 + 1 pairs (real, imaginary), in place. */
void tinyse_transform_forward_portable(float *values);
void tinyse_transform_forward_mve(float *values);
void tinyse_transform_forward_cmsis(float *values);

/* Back again, in place. */
void tinyse_transform_inverse_portable(float *values);
void tinyse_transform_inverse_mve(float *values);
void tinyse_transform_inverse_cmsis(float *values);

#if defined(TINYSE_CMSIS_DSP)
#define tinyse_transform_forward tinyse_transform_forward_cmsis
#define tinyse_transform_inverse tinyse_transform_inverse_cmsis
#elif defined(TINYSE_MVE_FLOAT)
#define tinyse_transform_forward tinyse_transform_forward_mve
#define tinyse_transform_inverse tinyse_transform_inverse_mve
#else
#define tinyse_transform_forward tinyse_transform_forward_portable
#define tinyse_transform_inverse tinyse_transform_inverse_portable
#endif

#endif
