"""The real Fourier transform in float32, in an order of operations that plain C repeats bit for bit.

A library's transform is faster and rounds differently on every machine; features that are then rounded to integers must not
depend on that. This is the textbook radix-2 decimation in time (Cooley and Tukey 1965) of the half-size complex
sequence, with tables rounded once from float64. Every line is one float32 multiplication, addition or subtraction of
whole arrays, which numpy never fuses; C repeats it under -ffp-contract=off.
"""

from __future__ import annotations

import numpy as np

from tinyse.errors import InputError


class RealTransform:
    """Forward and inverse transform of `size` real samples, a power of two of at least 4."""

    def __init__(self, size: int) -> None:
        if size < 4 or size & (size - 1):
            raise InputError(f"the transform's size is a power of two of at least 4, not {size}")
        self.size = size
        half = size // 2
        bits = half.bit_length() - 1
        self.order = np.array([int(f"{i:0{bits}b}"[::-1], 2) for i in range(half)])
        angle = -2 * np.pi * np.arange(half // 2) / half
        self.cosine = np.cos(angle).astype(np.float32)
        self.sine = np.sin(angle).astype(np.float32)
        turn = -2 * np.pi * np.arange(half // 2 + 1) / size
        self.turn_cosine = np.cos(turn).astype(np.float32)
        self.turn_sine = np.sin(turn).astype(np.float32)

    def forward(self, samples: np.ndarray) -> np.ndarray:
        """(..., size) float32 -> (..., size / 2 + 1) complex64."""
        samples = np.asarray(samples, np.float32)
        re, im = self._complex(samples[..., 0::2], samples[..., 1::2])
        half, quarter = self.size // 2, self.size // 4
        # Bins k and half - k come from the same two values of the half-size transform.
        low, high = np.arange(quarter + 1), (half - np.arange(quarter + 1)) % half
        even_re, even_im = (re[..., low] + re[..., high]) * HALF, (im[..., low] - im[..., high]) * HALF
        odd_re, odd_im = (im[..., low] + im[..., high]) * HALF, (re[..., high] - re[..., low]) * HALF
        turned_re = odd_re * self.turn_cosine - odd_im * self.turn_sine
        turned_im = odd_re * self.turn_sine + odd_im * self.turn_cosine
        spectrum = np.empty((*samples.shape[:-1], half + 1), np.complex64)
        spectrum.real[..., : quarter + 1] = even_re + turned_re
        spectrum.imag[..., : quarter + 1] = even_im + turned_im
        spectrum.real[..., half - low] = even_re - turned_re
        spectrum.imag[..., half - low] = turned_im - even_im
        # The middle bin is its own partner: both lines above write it, the second one wins, as in C.
        return spectrum

    def inverse(self, spectrum: np.ndarray) -> np.ndarray:
        """(..., size / 2 + 1) complex64 -> (..., size) float32; the imaginary parts of the first and last bin count."""
        re, im = np.asarray(spectrum.real, np.float32), np.asarray(spectrum.imag, np.float32)
        half, quarter = self.size // 2, self.size // 4
        low = np.arange(quarter + 1)
        high = half - low
        even_re, even_im = (re[..., low] + re[..., high]) * HALF, (im[..., low] - im[..., high]) * HALF
        difference_re, difference_im = (re[..., low] - re[..., high]) * HALF, (im[..., low] + im[..., high]) * HALF
        odd_re = difference_re * self.turn_cosine + difference_im * self.turn_sine
        odd_im = difference_im * self.turn_cosine - difference_re * self.turn_sine
        packed_re = np.empty((*re.shape[:-1], half), np.float32)
        packed_im = np.empty_like(packed_re)
        packed_re[..., low] = even_re - odd_im
        packed_im[..., low] = even_im + odd_re
        packed_re[..., high[1:]] = even_re[..., 1:] + odd_im[..., 1:]
        packed_im[..., high[1:]] = odd_re[..., 1:] - even_im[..., 1:]
        # The inverse is the forward transform with real and imaginary parts exchanged, over the number of points.
        im, re = self._complex(packed_im, packed_re)
        samples = np.empty((*re.shape[:-1], self.size), np.float32)
        samples[..., 0::2] = re * np.float32(1 / half)
        samples[..., 1::2] = im * np.float32(1 / half)
        return samples

    def _complex(self, re: np.ndarray, im: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The complex transform of half the size, along the last axis."""
        half = self.size // 2
        re, im = re[..., self.order], im[..., self.order]
        shape = re.shape
        span = 1
        while span < half:
            re, im = (part.reshape(*shape[:-1], half // (2 * span), 2, span) for part in (re, im))
            step = half // (2 * span)
            cosine, sine = self.cosine[::step], self.sine[::step]
            top_re, top_im = re[..., 0, :], im[..., 0, :]
            bottom_re, bottom_im = re[..., 1, :], im[..., 1, :]
            turned_re = bottom_re * cosine - bottom_im * sine
            turned_im = bottom_re * sine + bottom_im * cosine
            re = np.stack([top_re + turned_re, top_re - turned_re], axis=-2)
            im = np.stack([top_im + turned_im, top_im - turned_im], axis=-2)
            span *= 2
        return re.reshape(shape), im.reshape(shape)


HALF = np.float32(0.5)
