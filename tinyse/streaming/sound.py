"""Sound of any rate and number of channels through a denoiser of one rate and one channel, and back."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from tinyse.streaming.rates import Resampler


class Denoising(Protocol):
    """What is needed of a `Denoiser`: it holds a stream as values, so that a copy of it is a stream beside it."""

    @property
    def sample_rate(self) -> int:
        """Hz."""
        ...

    @property
    def latency_ms(self) -> float:
        """Algorithmic."""
        ...

    @property
    def delay(self) -> int:
        """Samples by which the output is late."""
        ...

    def process(self, chunk: np.ndarray) -> np.ndarray:
        """Samples in, what is ready out."""
        ...

    def flush(self) -> np.ndarray:
        """The rest of the stream, and a reset."""
        ...

    def reset(self) -> None:
        """Silence."""
        ...


def denoised(
    denoiser: Denoising, blocks: Iterable[np.ndarray], rate: int, target_rate: int | None = None
) -> Iterator[np.ndarray]:
    """Blocks (samples, channels) float32 at `rate` -> denoised blocks at `target_rate`, by default the same, aligned with
    them and together as long. Each channel is a stream of its own."""
    streams: list[_Channel] = []
    for block in blocks:
        streams = streams or [_Channel(denoiser, rate, target_rate or rate) for _ in range(block.shape[1])]
        yield _side_by_side([stream.process(block[:, number]) for number, stream in enumerate(streams)])
    if streams:
        yield _side_by_side([stream.flush() for stream in streams])


def notices(denoiser: Denoising, rate: int, target_rate: int) -> list[str]:
    """What is to be said of the way through the model's rate, where it is another."""
    inner = denoiser.sample_rate
    steps = [f"from {rate} Hz to the model's {inner} Hz"] if rate != inner else []
    if target_rate != inner:
        steps.append("back" if target_rate == rate else f"to {target_rate} Hz")
    lost = f": nothing above {inner / 2000:g} kHz is left" if min(rate, target_rate) > inner else ""
    return [f"resampled {' and '.join(steps)}{lost}"] if steps else []


def latency_ms(denoiser: Denoising, rate: int, target_rate: int | None = None) -> float:
    """From a sample's arrival to the moment it can leave, at worst: of the model and of both resamplers."""
    ways = Resampler(rate, denoiser.sample_rate), Resampler(denoiser.sample_rate, target_rate or rate)
    return denoiser.latency_ms + 1000 * sum(way.latency for way in ways)


class _Channel:
    """One channel: to the model's rate, through it, and to the target's."""

    def __init__(self, denoiser: Denoising, rate: int, target_rate: int) -> None:
        self._denoiser = copy.copy(denoiser)
        self._denoiser.reset()
        self._late = self._denoiser.delay
        self._to_model = Resampler(rate, denoiser.sample_rate)
        self._to_target = Resampler(denoiser.sample_rate, target_rate)
        self._ratio = (target_rate, rate)
        self._taken = self._given = 0

    def process(self, samples: np.ndarray) -> np.ndarray:
        self._taken += len(samples)
        return self._cut(self._to_target.process(self._denoise(self._to_model.process(samples))))

    def flush(self) -> np.ndarray:
        clean = np.concatenate([self._denoise(self._to_model.flush()), self._denoiser.flush()[self._late :]])
        rest = self._cut(np.concatenate([self._to_target.process(clean), self._to_target.flush()]))
        return np.concatenate([rest, np.zeros(self._due - self._given, np.float32)])

    @property
    def _due(self) -> int:
        """How long the output is to be."""
        target_rate, rate = self._ratio
        return round(self._taken * target_rate / rate)

    def _denoise(self, samples: np.ndarray) -> np.ndarray:
        clean = self._denoiser.process(samples)
        kept = clean[self._late :]
        self._late -= min(self._late, len(clean))
        return kept

    def _cut(self, samples: np.ndarray) -> np.ndarray:
        """Each resampler rounds the length at its end, by a sample at most."""
        samples = samples[: self._due - self._given]
        self._given += len(samples)
        return samples


def _side_by_side(channels: list[np.ndarray]) -> np.ndarray:
    """(samples, channels)."""
    return np.stack(channels, axis=1)
