"""Bands: single bins where speech has its harmonics, wider ones above, on the scale of the ear.

Bin k lies between two neighboring bands and belongs to the lower one with weight w, to the upper with 1 - w. One
table of (lower band, w) serves both ways: powers of bins into bands, and gains of bands onto bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyse.errors import InputError


@dataclass(frozen=True)
class Bands:
    """Tables of one division. `lower` (bins,) int: index of the lower band; `weight` (bins,) float32: its share."""

    count: int
    lower: np.ndarray
    weight: np.ndarray
    first: np.ndarray
    """(bands,) int: the first bin that a band takes power from."""
    taps: np.ndarray
    """(bands, width) float32: what it takes of the bins from `first` on, summing to one; unused places are zero."""

    def powers(self, bin_powers: np.ndarray) -> np.ndarray:
        """(..., bins) -> (..., bands): mean power of the bins of each band, summed from the lowest bin up."""
        padded = np.concatenate([bin_powers, np.zeros((*bin_powers.shape[:-1], self.taps.shape[1]), np.float32)], -1)
        total = padded[..., self.first] * self.taps[:, 0]
        for tap in range(1, self.taps.shape[1]):
            total = total + padded[..., self.first + tap] * self.taps[:, tap]
        return total

    def gains(self, mask: np.ndarray) -> np.ndarray:
        """(..., bands) -> (..., bins): the bands' gains, interpolated between their centers."""
        upper = np.minimum(self.lower + 1, self.count - 1)
        return mask[..., self.lower] * self.weight + mask[..., upper] * (np.float32(1) - self.weight)


NARROWEST = 0.999
"""Bins between the centers of two bands, at least: one, but for rounding."""


def divide(bins: int, count: int, linear_bins: int, highest_hz: float) -> Bands:
    """`bins` bins into `count` bands: `linear_bins` single ones from 0 Hz, the others evenly spaced on the ERB-rate scale.

    `highest_hz`, half the sample rate, is the last bin's frequency. The ERB-rate scale is that of Glasberg and Moore 1990
    (logarithmic in f + 228.8 Hz). Raises InputError where the upper bands would be narrower than a bin.
    """
    if not 1 <= linear_bins < count <= bins:
        raise InputError(f"bands: {count} bands, {linear_bins} of them single bins, do not fit {bins} bins")
    if not _fits(bins, count, linear_bins, highest_hz):
        fitting = (n for n in range(count, linear_bins, -1) if _fits(bins, n, linear_bins, highest_hz))
        raise InputError(f"bands: of {count} bands over {bins} bins the upper ones would be narrower than a bin; "
                         f"use {next(fitting, linear_bins)} or fewer, or a longer window")  # fmt: skip
    centers, position = _centers(bins, count, linear_bins, highest_hz), np.arange(bins)
    lower = np.clip(np.searchsorted(centers, position, side="right") - 1, 0, count - 1)
    above = np.minimum(lower + 1, count - 1)
    gap = np.where(above > lower, centers[above] - centers[lower], 1.0)
    weight = np.clip(1 - (position - centers[lower]) / gap, 0, 1).astype(np.float32)
    shares = np.zeros((count, bins))
    np.add.at(shares, (lower, position), weight.astype(np.float64))
    np.add.at(shares, (above, position), np.where(above > lower, 1 - weight.astype(np.float64), 0))
    shares /= shares.sum(1, keepdims=True)
    used = shares > 0
    first = used.argmax(1)
    width = int((bins - used[:, ::-1].argmax(1) - first).max())
    taps = np.zeros((count, width), np.float32)
    for band in range(count):
        part = shares[band, first[band] : first[band] + width]
        taps[band, : len(part)] = part
    return Bands(count, lower, weight, first, taps)


def _centers(bins: int, count: int, linear_bins: int, highest_hz: float) -> np.ndarray:
    """(count,) float64: the centers of the bands, in bins."""
    corner = 228.8 / (highest_hz / (bins - 1))
    upper = np.geomspace(linear_bins + corner, bins - 1 + corner, count - linear_bins) - corner
    return np.concatenate([np.arange(linear_bins), upper])


def _fits(bins: int, count: int, linear_bins: int, highest_hz: float) -> bool:
    """Whether no band is narrower than a bin."""
    return bool((np.diff(_centers(bins, count, linear_bins, highest_hz)) >= NARROWEST).all())
