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
from tinyse.config import Between, build, check_bounds, placed
from tinyse.errors import InputError
from tinyse.spectra.bands import Bands, divide
from tinyse.spectra.fft import RealTransform
from tinyse.spectra.logarithm import log2

SAMPLE_RATES = (8000, 16000, 24000, 32000, 48000)
"""Hz that a model may be made for."""


@dataclass(frozen=True)
class FrontEndConfig:
    """The parameters of the front end. Sizes follow from them as properties."""

    sample_rate: int = DEFAULT_RATE
    """Sample rate in Hz: 8000, 16000, 24000, 32000 or 48000. Recordings at other rates are resampled.

    At 8000, `bands: 96` and a `mixture.low_pass_hz` below 4000 are needed."""
    window_ms: Annotated[float, Between(1, 256)] = 32.0
    """Length of a frame: the sound that the network sees at a time."""
    hop_ms: Annotated[float, Between(0.5, 128)] = 16.0
    """Time between frames; a whole number of hops, two or more, fills a synthesis window."""
    bands: Annotated[int, Between(1, 1024)] = 128
    """Bands per frame; each encoder block halves them."""
    linear_hz: Annotated[float, Between(0, 24000)] = 2000.0
    """Below this, every bin is a band of its own."""
    level_seconds: Annotated[float, Between(0.01, 60)] = 1.0
    """Memory of the running level that features are relative to."""
    feature_range_db: Annotated[float, Between(1, 200)] = 48.0
    """Level relative to the running level that gives a feature of 1; beyond it, features are clipped."""
    synthesis_ms: Annotated[float, Between(1, 256)] | None = None
    """Length of the newest part of a frame, which becomes sound; it is the algorithmic latency. By default the whole window.
    A shorter one, such as 8 at a hop of 4, has less latency, while the network still sees the same frame."""
    look_ahead: Annotated[int, Between(0, 1)] = 0
    """Frames after the current one, 0 or 1, that the network sees before it computes the current mask. One costs a hop of
    latency and the memory of a spectrum, and nothing else."""

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.sample_rate not in SAMPLE_RATES:
            raise InputError(f"sample_rate: {self.sample_rate} Hz is not one of {', '.join(map(str, SAMPLE_RATES))}; "
                             "recordings are resampled")  # fmt: skip
        if self.synthesis_ms == self.window_ms:
            object.__setattr__(self, "synthesis_ms", None)  # one front end, one configuration
        for name in ("window_ms", "hop_ms", "synthesis_ms"):
            milliseconds = getattr(self, name)
            samples = (self.window_ms if milliseconds is None else milliseconds) * self.sample_rate / 1000
            if samples < 16 or samples != int(samples):
                raise InputError(f"{name}: {milliseconds} ms is not a whole number of samples, of at least 16")
        if self.synthesis > self.window:
            raise InputError(f"synthesis_ms: {self.synthesis_ms} ms is longer than the window of {self.window_ms} ms")
        if self.synthesis % self.hop or self.synthesis < 2 * self.hop:
            what, length = (
                ("window", self.window_ms) if self.synthesis_ms is None else ("synthesis window", self.synthesis_ms)
            )
            raise InputError(f"hop_ms: a {what} of {length} ms is not two or more hops of {self.hop_ms} ms")

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return int(self.window_ms * self.sample_rate / 1000)

    @property
    def synthesis(self) -> int:
        """Samples of the synthesis window: the newest ones of a frame."""
        return int((self.synthesis_ms or self.window_ms) * self.sample_rate / 1000)

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
    def past(self) -> int:
        """Samples of a frame that are older than its hop."""
        return self.window - self.hop

    @property
    def overlap(self) -> int:
        """Samples that a frame adds to later hops."""
        return self.synthesis - self.hop

    @property
    def delay(self) -> int:
        """Samples by which the output stream lags behind the input stream."""
        return self.overlap + self.look_ahead * self.hop

    @property
    def frames_per_second(self) -> float:
        """Frames, hops and network steps in a second."""
        return self.sample_rate / self.hop


def rate_in(header: Mapping[str, Any]) -> int:
    """The sample rate that a model file's header names."""
    return build(FrontEndConfig, header.get("front_end", {}), "front_end").sample_rate


def front_end_in(header: Mapping[str, Any], where: str) -> FrontEnd:
    """The front end that a model file's header names. Raises InputError that begins with `where`, the file."""
    place = f"{where}: front_end"
    front_end = FrontEnd(build(FrontEndConfig, header.get("front_end", {}), place))
    try:
        _ = front_end.bands
    except InputError as error:
        raise InputError(placed(FrontEndConfig, place, error)) from error
    return front_end


def latency_ms(config: FrontEndConfig) -> float:
    """Algorithmic latency: from a sample's arrival to the moment it can leave, at worst.

    A sample leaves with the last frame whose synthesis window holds it; a network that looks ahead waits for `look_ahead`
    more hops. Computing and the buffers of devices come on top.
    """
    return 1000 * (config.synthesis + config.look_ahead * config.hop) / config.sample_rate


TAGGING = FrontEndConfig(window_ms=64, hop_ms=32, bands=64, linear_hz=500)
"""What the named taggers are made for: half the frames and half the bands are a quarter of the work."""


class AnalysisState(NamedTuple):
    """`past` (config.past,) float32: the samples before the next hop."""

    past: np.ndarray


class LevelState(NamedTuple):
    """`level`: running mean of the log power, in log2 units; `rate`: how much the next frame counts."""

    level: np.float32
    rate: np.float32


class SynthesisState(NamedTuple):
    """`tail` (config.overlap,) float32: what earlier frames add to the next hops; `waiting` (config.look_ahead, bins)
    complex64: the spectra that wait for their masks."""

    tail: np.ndarray
    waiting: np.ndarray


POWER_FLOOR = np.float32(2.0**-24)
"""Added to every band's power: about that of 16-bit rounding noise in a 32 ms frame, so that silence is silence."""
SILENCE = np.float32(-23.5)
"""A frame whose mean log2 power lies below this is digital silence and leaves the running level alone."""
JUMP = np.float32(8.0)
"""The running level follows at once where a frame is louder by more than this (log2 units of power, 24 dB)."""


def windows(config: FrontEndConfig) -> tuple[np.ndarray, np.ndarray]:
    """(window,) for analysis and (synthesis,) for the newest part of a frame, float32, with perfect reconstruction.

    Their product on that part is a Hann window of the synthesis length, whose copies at all hops add up to one. The analysis
    window rises as a square-root Hann window of 2 window - synthesis samples and falls as one of the synthesis length
    (Mauler and Martin 2007, "A low delay, variable resolution, perfect reconstruction spectral analysis-synthesis system
    for speech enhancement"). At equal lengths both are the square-root Hann window.
    """
    window, synthesis = config.window, config.synthesis
    rise, product = _hann(2 * window - synthesis), _hann(synthesis)
    squares = rise[:window].copy()
    falling = synthesis // 2
    squares[window - falling :] = product[synthesis - falling :]
    share = np.divide(product, squares[window - synthesis :], out=np.zeros(synthesis), where=product > 0)
    # Hann windows at hops of a half, a third, ... sum to synthesis / (2 hop).
    after = np.sqrt(product * share) * 2 * config.hop / synthesis
    return np.sqrt(squares).astype(np.float32), after.astype(np.float32)


def _hann(length: int) -> np.ndarray:
    """(length,) float64, periodic."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


class FrontEnd:
    """Tables of one configuration, and the steps that use them."""

    def __init__(self, config: FrontEndConfig = FrontEndConfig()) -> None:
        self.config = config
        self.transform = RealTransform(config.transform_size)
        self.window, self.synthesis_window = windows(config)
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
        level = LevelState(np.float32(np.log2(POWER_FLOOR)), np.float32(1))
        past, tail = (np.zeros(count, np.float32) for count in (self.config.past, self.config.overlap))
        waiting = np.zeros((self.config.look_ahead, self.config.bins), np.complex64)
        return AnalysisState(past), level, SynthesisState(tail, waiting)

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
        return self.transform.forward(windowed), AnalysisState(stream[len(stream) - self.config.past :].copy())

    def features(self, spectra: np.ndarray, state: LevelState) -> tuple[np.ndarray, LevelState]:
        """(frames, bins) complex64 -> (frames, bands) float32 in [-1, 1): log power against the running level.

        A talker at another distance gives the same features, after a moment. The first frames that are not digital silence
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

    def enhance(
        self, spectra: np.ndarray, mask: np.ndarray, state: SynthesisState, limit: float = 0.0
    ) -> tuple[np.ndarray, SynthesisState]:
        """Spectra (frames, bins) and what the network gave with them, mask (frames, bands), to (frames * hop,) float32.

        They are `delay` samples later than what was analyzed: with `look_ahead`, a mask is that of an earlier spectrum,
        which has waited for it.
        """
        if self.config.look_ahead:
            stream = np.concatenate([state.waiting, spectra])
            spectra, waiting = stream[: len(spectra)], stream[len(spectra) :].copy()
            state = state._replace(waiting=waiting)
        return self.synthesize(self.apply(spectra, mask, limit), state)

    def synthesize(self, spectra: np.ndarray, state: SynthesisState) -> tuple[np.ndarray, SynthesisState]:
        """(frames, bins) complex64 -> (frames * hop,) float32, `overlap` samples later than the spectra's frames."""
        window, length, hop = self.config.window, self.config.synthesis, self.config.hop
        frames = self.transform.inverse(spectra)[:, window - length : window] * self.synthesis_window
        stream = np.zeros((len(frames) - 1) * hop + length, np.float32) if len(frames) else np.zeros(0, np.float32)
        if not len(frames):
            return stream, state
        stream[: self.config.overlap] = state.tail
        for index, frame in enumerate(frames):
            stream[index * hop : index * hop + length] += frame
        ready = len(frames) * hop
        return stream[:ready], state._replace(tail=stream[ready:].copy())
