"""What stands around the network, as the firmware does it: sound -> spectra -> features, mask -> gains -> sound.

Every function takes any number of hops and a state, and returns a result and the next state: a stream is one hop a
call, a clip is one call from silence, and both compute the same numbers in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np

from tinyse.audio import DEFAULT_RATE
from tinyse.config import Between, build, check_bounds
from tinyse.errors import InputError
from tinyse.spectra.bands import Bands, divide
from tinyse.spectra.fft import RealTransform
from tinyse.spectra.logarithm import log2

SAMPLE_RATES = (8000, 16000, 24000, 32000, 48000)
"""Hz that a model may be made for."""


@dataclass(frozen=True)
class FrontEndConfig:
    """The front end's measures. Sizes follow from them as properties."""

    sample_rate: int = DEFAULT_RATE
    """Of the sound, in Hz: 8000, 16000, 24000, 32000 or 48000. Recordings of other rates are resampled.

    At 8000, `bands: 96` and a `mixture.low_pass_hz` below 4000 are needed."""
    window_ms: Annotated[float, Between(1, 256)] = 32.0
    """Length of a frame. Its square-root Hann window is used twice, before and after the mask."""
    hop_ms: Annotated[float, Between(0.5, 128)] = 16.0
    """Time between frames; a whole number of hops, two or more, fills a window."""
    bands: Annotated[int, Between(1, 1024)] = 128
    """Bands per frame; each encoder block halves them."""
    linear_hz: Annotated[float, Between(0, 24000)] = 2000.0
    """Below this, every bin is a band of its own."""
    level_seconds: Annotated[float, Between(0.01, 60)] = 1.0
    """Memory of the running level that features are relative to."""
    feature_range_db: Annotated[float, Between(1, 200)] = 48.0
    """Level against the running level that a feature of 1 stands for; beyond it features are clipped."""

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.sample_rate not in SAMPLE_RATES:
            raise InputError(f"sample_rate: {self.sample_rate} Hz is not one of {', '.join(map(str, SAMPLE_RATES))}; "
                             "recordings are resampled")  # fmt: skip
        for name in ("window_ms", "hop_ms"):
            samples = getattr(self, name) * self.sample_rate / 1000
            if samples < 16 or samples != int(samples):
                raise InputError(f"{name}: {getattr(self, name)} ms is not a whole number of samples, of at least 16")
        if self.window % self.hop or self.window < 2 * self.hop:
            raise InputError(f"hop_ms: a window of {self.window_ms} ms is not two or more hops of {self.hop_ms} ms")

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return int(self.window_ms * self.sample_rate / 1000)

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return int(self.hop_ms * self.sample_rate / 1000)

    @property
    def transform_size(self) -> int:
        """Points of the Fourier transform: the next power of two from the window on; the rest is zeros."""
        return 1 << (self.window - 1).bit_length()

    @property
    def bins(self) -> int:
        """Bins of a spectrum."""
        return self.transform_size // 2 + 1

    @property
    def delay(self) -> int:
        """Samples by which the output stream lags behind the input stream."""
        return self.window - self.hop

    @property
    def frames_per_second(self) -> float:
        """Frames, hops and network steps in a second."""
        return self.sample_rate / self.hop


def rate_in(header: Mapping[str, Any]) -> int:
    """The sample rate that a model file's header names."""
    return build(FrontEndConfig, header.get("front_end", {}), "front_end").sample_rate


TAGGING = FrontEndConfig(window_ms=64, hop_ms=32, bands=64, linear_hz=500)
"""What the named taggers are made for: half the frames and half the bands are a quarter of the work."""


class AnalysisState(NamedTuple):
    """`past` (window - hop,) float32: the samples before the next hop."""

    past: np.ndarray


class LevelState(NamedTuple):
    """`level`: running mean of the log power, in log2 units; `rate`: how much the next frame counts."""

    level: np.float32
    rate: np.float32


class SynthesisState(NamedTuple):
    """`tail` (window - hop,) float32: what earlier frames add to the next hops."""

    tail: np.ndarray


POWER_FLOOR = np.float32(2.0**-24)
"""Added to every band's power: about that of 16-bit rounding noise in a 32 ms frame, so that silence is silence."""
SILENCE = np.float32(-23.5)
"""A frame whose mean log2 power lies below this is digital silence and leaves the running level alone."""
JUMP = np.float32(8.0)
"""The running level follows at once where a frame is louder by more than this (log2 units of power, 24 dB)."""


class FrontEnd:
    """Tables of one configuration, and the steps that use them."""

    def __init__(self, config: FrontEndConfig = FrontEndConfig()) -> None:
        self.config = config
        self.transform = RealTransform(config.transform_size)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.window) / config.window)
        self.window = np.sqrt(hann).astype(np.float32)
        # Hann windows at hops of a half, a quarter, ... sum to window / (2 hop).
        self.synthesis_window = (np.sqrt(hann) * 2 * config.hop / config.window).astype(np.float32)
        self.slowest_rate = np.float32(1 / (config.level_seconds * config.frames_per_second))
        self.feature_scale = np.float32(np.log10(2) * 10 / config.feature_range_db)

    @cached_property
    def bands(self) -> Bands:
        """The division into bands. Raises InputError where it does not fit."""
        config = self.config
        linear = round(config.linear_hz * config.transform_size / config.sample_rate)
        return divide(config.bins, config.bands, linear, config.sample_rate / 2)

    def initial_state(self) -> tuple[AnalysisState, LevelState, SynthesisState]:
        """Silence before the first sample."""
        past = np.zeros(self.config.window - self.config.hop, np.float32)
        return AnalysisState(past), LevelState(np.float32(np.log2(POWER_FLOOR)), np.float32(1)), SynthesisState(past)

    def analyze(self, samples: np.ndarray, state: AnalysisState) -> tuple[np.ndarray, AnalysisState]:
        """(frames * hop,) float32 -> (frames, bins) complex64: the spectra of the frames that end with each hop."""
        window, hop = self.config.window, self.config.hop
        if samples.ndim != 1 or samples.size % hop:
            raise ValueError(f"samples: whole hops of {hop} in one channel are needed, got shape {samples.shape}")
        stream = np.concatenate([state.past, np.asarray(samples, np.float32)])
        count = len(samples) // hop
        windowed = np.zeros((count, self.config.transform_size), np.float32)
        if count:
            windowed[:, :window] = np.lib.stride_tricks.sliding_window_view(stream, window)[::hop] * self.window
        return self.transform.forward(windowed), AnalysisState(stream[len(stream) - (window - hop) :].copy())

    def features(self, spectra: np.ndarray, state: LevelState) -> tuple[np.ndarray, LevelState]:
        """(frames, bins) complex64 -> (frames, bands) float32 in [-1, 1): log power against the running level.

        A talker at another distance gives the same features, after a moment. The first frames that are no digital silence
        set the level as their plain mean, later ones as an exponential one.
        """
        powers = spectra.real * spectra.real + spectra.imag * spectra.imag
        logs = log2(self.bands.powers(powers) + POWER_FLOOR)
        means = np.add.accumulate(logs, axis=1)[:, -1] * np.float32(1 / self.config.bands)
        level, rate = state
        levels = np.empty_like(means)
        one = np.float32(1)
        for frame, mean in enumerate(means):
            if mean > SILENCE:
                level = np.maximum(level + rate * (mean - level), mean - JUMP)
                rate = np.maximum(rate / (one + rate), self.slowest_rate)
            levels[frame] = level
        features = (logs - levels[:, None]) * self.feature_scale
        return np.clip(features, np.float32(-1), np.float32(127 / 128)), LevelState(level, rate)

    def clip_features(self, samples: np.ndarray) -> np.ndarray:
        """(samples,) -> (frames, bands): what a network sees of a clip, from silence, in whole hops."""
        analysis, level, _ = self.initial_state()
        spectra, _ = self.analyze(samples[: len(samples) // self.config.hop * self.config.hop], analysis)
        return self.features(spectra, level)[0]

    def apply(self, spectra: np.ndarray, mask: np.ndarray, limit: float = 0.0) -> np.ndarray:
        """Spectra (frames, bins) times the gains of `mask` (frames, bands), of which `limit` (0 to 1) stays at one.

        The gain is limit + (1 - limit) * mask: 0 takes away all that the mask says, 1 leaves the sound untouched.
        """
        limit = np.float32(limit)
        gains = limit + (np.float32(1) - limit) * self.bands.gains(np.asarray(mask, np.float32))
        result = np.empty_like(spectra)
        result.real = spectra.real * gains
        result.imag = spectra.imag * gains
        return result

    def synthesize(self, spectra: np.ndarray, state: SynthesisState) -> tuple[np.ndarray, SynthesisState]:
        """(frames, bins) complex64 -> (frames * hop,) float32, `delay` samples later than what was analyzed."""
        window, hop = self.config.window, self.config.hop
        frames = self.transform.inverse(spectra)[:, :window] * self.synthesis_window
        stream = np.zeros((len(frames) - 1) * hop + window, np.float32) if len(frames) else np.zeros(0, np.float32)
        if not len(frames):
            return stream, state
        stream[: window - hop] = state.tail
        for index, frame in enumerate(frames):
            stream[index * hop : index * hop + window] += frame
        ready = len(frames) * hop
        return stream[:ready], SynthesisState(stream[ready:].copy())
