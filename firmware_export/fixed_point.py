"""The fixed-point front end, for cores without an FPU: the same measures, other arithmetic, the same everywhere.

It is the specification of c/front_end_fixed.c, bit for bit. It follows `tinyse.spectra.front_end` closely, though not
exactly: features differ by one step now and then, sound by a few units of the last place.

Samples and spectra are int32 with FRACTION bits after the PCM16 point: the spectrum of full scale stays below 2^29, so
that no sum in either transform overflows. Products are 64 bits wide and rounded once, halves up; other shifts to the
right round down.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinyse.graph.graph import Tensor
from tinyse.spectra import front_end as spectra
from tinyse.spectra.logarithm import COEFFICIENTS

FRACTION = 5
"""Bits after the point of a PCM16 sample."""
Q15 = 1 << 15
Q30 = 1 << 30
RATE_BITS, MOST_LEVEL_BITS = 9, 24
"""Significant bits of the slowest rate of the running level; and how many the level may have after the point in 32."""
FEATURE_BITS = 13
"""Bits after the point of the factor from log2 units to steps of the features."""


class State(NamedTuple):
    """`past` (config.past,) PCM16; `level` and `rate` with `level_bits` after the point; `tail` (config.overlap,) with
    FRACTION bits; `waiting` (2, bins), the spectrum that waits for its mask, where the network looks ahead."""

    past: np.ndarray
    level: int
    rate: int
    tail: np.ndarray
    waiting: np.ndarray


def rounded(x: np.ndarray, bits: int) -> np.ndarray:
    """x / 2^bits, halves up."""
    return (x + (1 << (bits - 1))) >> bits


class FixedFrontEnd:
    """Tables in Q15 and Q30, and the steps that use them: one hop at a time, int64 throughout."""

    def __init__(self, front_end: spectra.FrontEnd, features: Tensor, mask: Tensor | None) -> None:
        """`mask` is None where sound does not come back: then there is no synthesis."""
        self.config, bands, transform = front_end.config, front_end.bands, front_end.transform
        self.order = transform.order
        self.window = np.minimum(quantized(front_end.window, Q15), Q15 - 1)
        self.synthesis_window = np.minimum(quantized(front_end.synthesis_window, Q15), Q15 - 1)
        angle = -2 * np.pi * np.arange(len(transform.cosine)) / (2 * len(transform.cosine))
        self.cosine, self.sine = quantized(np.cos(angle), Q30), quantized(np.sin(angle), Q30)
        turn = -2 * np.pi * np.arange(len(transform.turn_cosine)) / transform.size
        self.turn_cosine, self.turn_sine = quantized(np.cos(turn), Q30), quantized(np.sin(turn), Q30)
        self.first, self.taps = bands.first, quantized(bands.taps, Q15)
        self.lower, self.weight = bands.lower, quantized(bands.weight, Q15)
        self.coefficients = [int(value) for value in quantized(np.array(COEFFICIENTS, np.float64), Q15)]
        self.mean_scale = round((1 << 24) / self.config.bands)
        # A rate follows from seconds and hop: short hops and long memories have small ones, and a level that moves little
        # per frame. Both keep that many more bits than the 15 of logarithms.
        _, exponent = np.frexp(front_end.slowest_rate)
        self.level_bits = min(max(15, RATE_BITS - int(exponent)), MOST_LEVEL_BITS)
        self.slowest_rate = round(float(front_end.slowest_rate) * (1 << self.level_bits))
        # Powers are in units of PCM16 squared, so a real power of one is 2^30 of them.
        self.power_floor = round(float(spectra.POWER_FLOOR) * Q30)
        self.silent_level = round(float(np.log2(spectra.POWER_FLOOR)) * Q15)
        self.silence = round(float(spectra.SILENCE) * Q15)
        self.jump = round(float(spectra.JUMP) * Q15)
        step = float(features.scale)
        self.feature_factor = round(float(front_end.feature_scale) / step * (1 << FEATURE_BITS))
        self.feature_zero = features.zero_point
        self.feature_low = max(round(-1 / step) + self.feature_zero, -128)
        self.feature_high = min(round(127 / 128 / step) + self.feature_zero, 127)
        if mask is not None:
            self.mask_step, self.mask_zero = round(float(mask.scale) * Q15), mask.zero_point

    def initial_state(self) -> State:
        """Silence."""
        past, tail = (np.zeros(count, np.int64) for count in (self.config.past, self.config.overlap))
        waiting = np.zeros((2, self.config.bins), np.int64)
        return State(past, self.silent_level << (self.level_bits - 15), 1 << self.level_bits, tail, waiting)

    def analyze(self, pcm: np.ndarray, state: State) -> tuple[np.ndarray, np.ndarray, State]:
        """(hop,) PCM16 -> spectrum (2, bins), features (bands,) int8, and the state, its tail and what waits unchanged."""
        frame = np.concatenate([state.past, pcm.astype(np.int64)])
        values = np.zeros(self.config.transform_size, np.int64)
        values[: self.config.window] = rounded(frame * self.window, 15 - FRACTION)
        spectrum = self._forward(values)
        power = (spectrum[0] * spectrum[0] + spectrum[1] * spectrum[1]) >> (2 * FRACTION)
        power = np.concatenate([power, np.zeros(self.taps.shape[1], np.int64)])
        totals = sum(power[self.first + tap] * self.taps[:, tap] for tap in range(self.taps.shape[1]))
        logs = np.array([self._log2(int(total) + (self.power_floor << 15)) for total in totals])
        mean = (int(logs.sum()) * self.mean_scale) >> 24
        level, rate, bits = state.level, state.rate, self.level_bits
        if mean > self.silence:
            mean, jump = mean << (bits - 15), self.jump << (bits - 15)
            level = max(level + ((rate * (mean - level)) >> bits), mean - jump)
            rate = max((rate << bits) // ((1 << bits) + rate), self.slowest_rate)
        steps = rounded((logs - (level >> (bits - 15))) * self.feature_factor, 15 + FEATURE_BITS) + self.feature_zero
        features = np.clip(steps, self.feature_low, self.feature_high).astype(np.int8)
        return spectrum, features, state._replace(past=frame[self.config.hop :], level=level, rate=rate)

    def synthesize(self, spectrum: np.ndarray, mask: np.ndarray, limit: int, state: State) -> tuple[np.ndarray, State]:
        """Spectrum (2, bins) and mask (bands,) int8 -> (hop,) PCM16. `limit` in Q15 stays of every gain."""
        if self.config.look_ahead:
            spectrum, state = state.waiting, state._replace(waiting=spectrum)
        gains = (mask.astype(np.int64) - self.mask_zero) * self.mask_step
        upper = np.minimum(self.lower + 1, self.config.bands - 1)
        gains = rounded(gains[self.lower] * self.weight + gains[upper] * (Q15 - self.weight), 15)
        gains = limit + rounded((Q15 - limit) * gains, 15)
        window, length = self.config.window, self.config.synthesis
        frame = self._inverse(rounded(spectrum * gains, 15))[window - length : window]
        frame = rounded(frame * self.synthesis_window, 15)
        frame[: self.config.overlap] += state.tail
        hop = self.config.hop
        return np.clip(rounded(frame[:hop], FRACTION), -32768, 32767).astype(np.int16), state._replace(tail=frame[hop:])

    def _log2(self, total: int) -> int:
        """log2 of the real power that `total`, in Q15 of PCM16 squared, stands for: Q15."""
        exponent = total.bit_length() - 1
        fraction = (total >> (exponent - 15)) - Q15
        polynomial = self.coefficients[-1]
        for coefficient in reversed(self.coefficients[:-1]):
            polynomial = (polynomial * fraction >> 15) + coefficient
        return (exponent - 45) * Q15 + (polynomial * fraction >> 15)

    def _forward(self, samples: np.ndarray) -> np.ndarray:
        re, im = self._transform(samples[0::2], samples[1::2], 0)
        half = self.config.transform_size // 2
        low = np.arange(half // 2 + 1)
        high = (half - low) % half
        even_re, even_im = (re[low] + re[high]) >> 1, (im[low] - im[high]) >> 1
        odd_re, odd_im = (im[low] + im[high]) >> 1, (re[high] - re[low]) >> 1
        turned_re, turned_im = _turned(odd_re, odd_im, self.turn_cosine, self.turn_sine)
        spectrum = np.zeros((2, half + 1), np.int64)
        spectrum[:, low] = even_re + turned_re, even_im + turned_im
        spectrum[:, half - low] = even_re - turned_re, turned_im - even_im
        return spectrum

    def _inverse(self, spectrum: np.ndarray) -> np.ndarray:
        re, im = spectrum
        half = self.config.transform_size // 2
        low = np.arange(half // 2 + 1)
        high = half - low
        even_re, even_im = (re[low] + re[high]) >> 1, (im[low] - im[high]) >> 1
        difference_re, difference_im = (re[low] - re[high]) >> 1, (im[low] + im[high]) >> 1
        odd_re, odd_im = _turned(difference_re, difference_im, self.turn_cosine, -self.turn_sine)
        packed = np.zeros((2, half), np.int64)
        packed[:, low] = even_re - odd_im, even_im + odd_re
        packed[:, high[1:]] = (even_re + odd_im)[1:], (odd_re - even_im)[1:]
        im, re = self._transform(packed[1], packed[0], 1)
        return np.stack([re, im], axis=1).ravel()

    def _transform(self, re: np.ndarray, im: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
        """Each of its stages is shifted to the right by `shift`, rounded."""
        half = len(re)
        re, im, span = re[self.order], im[self.order], 1
        while span < half:
            re, im = re.reshape(-1, 2, span), im.reshape(-1, 2, span)
            step = half // (2 * span)
            turned_re, turned_im = _turned(re[:, 1], im[:, 1], self.cosine[::step], self.sine[::step])
            re = (np.stack([re[:, 0] + turned_re, re[:, 0] - turned_re], 1) + shift) >> shift
            im = (np.stack([im[:, 0] + turned_im, im[:, 0] - turned_im], 1) + shift) >> shift
            re, im = re.ravel(), im.ravel()
            span *= 2
        return re, im


def quantized(values: np.ndarray, one: int) -> np.ndarray:
    """Real numbers in units of 1 / one, rounded."""
    return np.floor(np.asarray(values, np.float64) * one + 0.5).astype(np.int64)


def _turned(re: np.ndarray, im: np.ndarray, cosine: np.ndarray, sine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rounded(re * cosine - im * sine, 30), rounded(re * sine + im * cosine, 30)
