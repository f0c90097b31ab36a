"""Streams between the model's sample rate and a device's."""

from __future__ import annotations

import numpy as np
import soxr


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

    def _new_stream(self) -> soxr.ResampleStream:
        return soxr.ResampleStream(self.source_rate, self.target_rate, 1, dtype="float32", quality="HQ")
