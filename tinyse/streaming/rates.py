"""Streams between the model's sample rate and a device's or a file's."""

from __future__ import annotations

import functools

import numpy as np
import soxr

PIECES = 1000
"""Pieces of 10 ms, enough to show how they align with soxr's blocks."""


class Resampler:
    """A stream of (samples,) float32 from one rate to another; where the rates are equal the samples pass untouched."""

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self.source_rate, self.target_rate = source_rate, target_rate
        self._stream = None if source_rate == target_rate else self._new_stream()

    def process(self, samples: np.ndarray) -> np.ndarray:
        """What has become ready with these samples."""
        return samples if self._stream is None else self._stream.resample_chunk(samples)

    def flush(self) -> np.ndarray:
        """The end of the stream."""
        nothing = np.zeros(0, np.float32)
        return nothing if self._stream is None else self._stream.resample_chunk(nothing, last=True)

    @property
    def delay(self) -> float:
        """Seconds of sound that wait inside."""
        return 0.0 if self._stream is None else self._stream.delay() / self.target_rate

    @functools.cached_property
    def latency(self) -> float:
        """Seconds of sound that wait inside at worst where it comes in pieces of 10 ms, measured on a stream of its own:
        soxr works in blocks, whose lengths depend on both rates."""
        if self._stream is None:
            return 0.0
        stream, piece, given, worst = self._new_stream(), np.zeros(max(self.source_rate // 100, 1), np.float32), 0, 0.0
        for number in range(PIECES):
            given -= len(stream.resample_chunk(piece))
            worst = max(worst, (number + 1) * len(piece) / self.source_rate + given / self.target_rate)
        return worst

    def _new_stream(self) -> soxr.ResampleStream:
        return soxr.ResampleStream(self.source_rate, self.target_rate, 1, dtype="float32", quality="HQ")
