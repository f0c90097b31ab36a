"""Figures of a running stream: levels, clipping, noise reduction, time of computing."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from tinyse.audio import CLIPPED

SILENCE_DB = -100.0
"""The lowest level that is shown, just below the least bit of 16."""
FLOOR_SECONDS = 5
FLOOR_SHARE = 0.1
"""The noise floor is the level that this share of the last `FLOOR_SECONDS` lies below: what is left between words."""


def decibels(power: float) -> float:
    """A mean square as dB of full scale (a full-scale square wave is 0 dB), at least `SILENCE_DB`."""
    return max(10 * math.log10(power), SILENCE_DB) if power > 0 else SILENCE_DB


class LevelMeter:
    """Level, peak and floor of one side, from blocks of equal length."""

    def __init__(self, blocks_per_second: float) -> None:
        self.level_db = self.peak_db = SILENCE_DB
        self.clipped = 0
        """Samples at full scale since the start."""
        self._smooth = 0.0
        self._share = 1 - math.exp(-1 / (0.15 * blocks_per_second))  # 150 ms, about what a VU meter shows
        self._fall_db = 12 / blocks_per_second  # the peak falls by 12 dB per second
        self._recent: deque[float] = deque(maxlen=round(FLOOR_SECONDS * blocks_per_second))

    def add(self, block: np.ndarray) -> None:
        """Measure (samples,) float32."""
        power = float(np.mean(np.square(block, dtype=np.float64)))
        peak = float(np.abs(block).max())
        self.clipped += int((np.abs(block) >= CLIPPED).sum())
        self._smooth += self._share * (power - self._smooth)
        self.level_db = decibels(self._smooth)
        self.peak_db = max(decibels(peak * peak), self.peak_db - self._fall_db, self.level_db)
        self._recent.append(power)

    @property
    def floor_db(self) -> float:
        """Level of the noise between words."""
        recent = list(self._recent)  # a copy: another thread may be adding
        return decibels(float(np.quantile(recent, FLOOR_SHARE))) if recent else SILENCE_DB


class Stopwatch:
    """Time of computing per hop."""

    def __init__(self, hop_seconds: float) -> None:
        self._hop_seconds = hop_seconds
        self._recent: deque[float] = deque(maxlen=round(1 / hop_seconds))
        self.total = self.worst = 0.0
        """Seconds since the start, and the longest hop."""
        self.hops = 0

    def add(self, seconds: float) -> None:
        """Count one hop."""
        self._recent.append(seconds)
        self.total += seconds
        self.worst = max(self.worst, seconds)
        self.hops += 1

    @property
    def recent(self) -> float:
        """Mean seconds per hop over the last second."""
        recent = list(self._recent)
        return sum(recent) / len(recent) if recent else 0.0

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for each second of sound, since the start."""
        return self.total / (self.hops * self._hop_seconds) if self.hops else 0.0
