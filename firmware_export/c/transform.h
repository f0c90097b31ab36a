/* The real Fourier transform of tinyse/spectra/fft.py: radix 2 on complex numbers of half the size, in float32.
 *
 * Compile with -ffp-contract=off: a fused multiplication and addition rounds once where Python rounds twice.
 *
 * With TINYSE_CMSIS_DSP defined it is arm_rfft_fast_f32 of a CMSIS-DSP that you link. Its last bits are others, so the
 * sound is no longer bit-exact, and it takes TINYSE_TRANSFORM floats more of the stack.
 */
#ifndef TINYSE_TRANSFORM_H
#define TINYSE_TRANSFORM_H

/* TINYSE_TRANSFORM samples to TINYSE_TRANSFORM / 2 + 1 pairs (real, imaginary), in place. */
void tinyse_transform_forward(float *values);

/* Back again, in place. */
void tinyse_transform_inverse(float *values);

#endif
