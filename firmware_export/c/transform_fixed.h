/* The real Fourier transform in 32-bit integers: the twin of firmware_export/fixed_point.py.
 *
 * Spectra of samples below 2^20 stay below 2^29, and no sum overflows. Products with angles have 64 bits.
 */
#ifndef TINYSE_TRANSFORM_FIXED_H
#define TINYSE_TRANSFORM_FIXED_H

#include <stdint.h>

/* TINYSE_TRANSFORM samples to TINYSE_TRANSFORM / 2 + 1 pairs (real, imaginary), in place. */
void tinyse_transform_forward(int32_t *values);

/* Back again, in place. */
void tinyse_transform_inverse(int32_t *values);

#endif
