"""What happens to sound on its way to a microphone: speed, equalization, rooms, narrow bands, clipping.

Sound is float32, shape (samples,); filters are cascades of second-order sections, shape (sections, 6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
import soxr

from tinyse.audio import DEFAULT_RATE
from tinyse.mixtures.config import MixtureConfig, Range

LONGEST_RESPONSE_SECONDS = 1
"""The most of a room's response that is used: beyond a second a tail is far below what masks it."""
HIGHEST_EQUALIZED_HZ = 6000
"""Where it is 3/8 of the sample rate; a lower rate has a lower limit."""


@dataclass(frozen=True)
class Coloring:
    """One way of changing a recording: how fast it is played and through which filter."""

    factor: float
    sections: np.ndarray | None
    sample_rate: int

    @classmethod
    def draw(
        cls, rng: np.random.Generator, config: MixtureConfig, channel: np.ndarray | None, sample_rate: int
    ) -> Coloring:
        """A random one; `channel`, a filter that all sound of a mixture shares, comes on top."""
        speeds, equalizes = rng.random(2) < (config.speed_probability, config.equalize_probability)
        factor = rng.uniform(*config.speed) if speeds else 1.0
        filters = [equalizer(rng, config.equalize_db, sample_rate)] if equalizes else []
        filters += [] if channel is None else [channel]
        return cls(factor, np.concatenate(filters) if filters else None, sample_rate)

    def needed(self, samples: int) -> int:
        """How many samples `apply` takes to give `samples`."""
        return needed_at(self.factor, samples)

    def apply(self, sound: np.ndarray, samples: int) -> np.ndarray:
        """`sound`, shape (needed(samples),), changed, float32, shape (samples,)."""
        sound = change_speed(sound, self.factor, self.sample_rate)[:samples]
        return sound if self.sections is None else filtered(sound, self.sections)


def needed_at(factor: float, samples: int) -> int:
    """How many samples `change_speed` takes to give `samples`."""
    return samples if abs(factor) == 1 else math.ceil(samples * abs(factor)) + 2


def change_speed(sound: np.ndarray, factor: float, sample_rate: int = DEFAULT_RATE) -> np.ndarray:
    """`sound` played `factor` times as fast, with the pitch going along; backward where it is negative."""
    sound, factor = (sound, factor) if factor > 0 else (sound[::-1], -factor)
    if factor == 1:
        return sound
    return soxr.resample(sound, sample_rate * factor, sample_rate)


def draw_noise_speed(rng: np.random.Generator, config: MixtureConfig) -> float:
    """The speed at which a recorded noise is played: negative is backward, 1 is as it was recorded."""
    varied, backward = rng.random(2) < (config.noise_speed_probability, 0.5)
    if not varied:
        return 1.0
    return _even_octaves(rng, *config.noise_speed) * (-1 if backward else 1)


def equalizer(rng: np.random.Generator, gain_db: Range, sample_rate: int = DEFAULT_RATE) -> np.ndarray:
    """A low shelf, a high shelf and a bell at random places, as a loudspeaker, a phone or a hand before it makes."""
    highest = min(HIGHEST_EQUALIZED_HZ, 0.375 * sample_rate)
    return np.array(
        [
            _section("low", _even_octaves(rng, 80, 500), rng.uniform(*gain_db), sample_rate),
            _section("high", _even_octaves(rng, 2000, highest), rng.uniform(*gain_db), sample_rate),
            _section(
                "bell", _even_octaves(rng, 200, highest), rng.uniform(*gain_db), sample_rate, q=rng.uniform(0.5, 1.5)
            ),
        ]
    )


def band_limit(
    rng: np.random.Generator, low_pass_hz: Range, high_pass_hz: Range, sample_rate: int = DEFAULT_RATE
) -> np.ndarray:
    """A narrow channel: a low-pass of 6th order and a high-pass of 2nd order, Butterworth, at random edges."""
    high = scipy.signal.butter(2, rng.uniform(*high_pass_hz), "highpass", fs=sample_rate, output="sos")
    low = scipy.signal.butter(6, rng.uniform(*low_pass_hz), "lowpass", fs=sample_rate, output="sos")
    return np.concatenate([high, low])


def filtered(sound: np.ndarray, sections: np.ndarray) -> np.ndarray:
    """`sound` through a cascade of second-order sections, from silence."""
    return scipy.signal.sosfilt(sections, sound).astype(np.float32)


def split_response(
    response: np.ndarray, early_ms: float, sample_rate: int = DEFAULT_RATE
) -> tuple[np.ndarray, np.ndarray]:
    """A room's response as its early and its late part, which sum to it; it starts at the direct sound.

    The way from mouth to microphone is cut off, so that the target is where the speech was. The parts cross over in
    5 ms: an abrupt end would be audible in the target. The direct sound is taken to be the highest peak.
    """
    direct = int(np.abs(response).argmax())
    # The rise of a band-limited peak, half a millisecond, belongs to it.
    start = max(direct - sample_rate // 2000, 0)
    response = response[start : start + LONGEST_RESPONSE_SECONDS * sample_rate].astype(np.float32)
    fade = sample_rate // 200
    end = round(early_ms * sample_rate / 1000)
    weight = np.clip((end + fade - np.arange(len(response), dtype=np.float32)) / fade, 0, 1)
    early = response * weight
    return early, response - early


def convolved(sound: np.ndarray, responses: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """`sound` through each of several responses, cut to its length: one transform of it serves them all."""
    size = scipy.fft.next_fast_len(len(sound) + max(map(len, responses)) - 1, real=True)
    spectrum = scipy.fft.rfft(sound, size)
    return [scipy.fft.irfft(spectrum * scipy.fft.rfft(each, size), size)[: len(sound)] for each in responses]


def _section(shape: str, hz: float, gain_db: float, sample_rate: int, q: float = math.sqrt(0.5)) -> list[float]:
    """One biquad of R. Bristow-Johnson's "Audio EQ Cookbook": a low shelf, a high shelf or a bell."""
    a, w = 10 ** (gain_db / 40), 2 * math.pi * hz / sample_rate
    cosine, alpha = math.cos(w), math.sin(w) / (2 * q)
    if shape == "bell":
        b0, b1, b2 = 1 + alpha * a, -2 * cosine, 1 - alpha * a
        a0, a1, a2 = 1 + alpha / a, -2 * cosine, 1 - alpha / a
    else:
        s = 1 if shape == "low" else -1
        root = 2 * math.sqrt(a) * alpha
        b0, b2 = (a * ((a + 1) - s * (a - 1) * cosine + e) for e in (root, -root))
        b1 = s * 2 * a * ((a - 1) - s * (a + 1) * cosine)
        a0, a2 = ((a + 1) + s * (a - 1) * cosine + e for e in (root, -root))
        a1 = -s * 2 * ((a - 1) + s * (a + 1) * cosine)
    return [b0 / a0, b1 / a0, b2 / a0, 1.0, a1 / a0, a2 / a0]


def _even_octaves(rng: np.random.Generator, low: float, high: float) -> float:
    return low * (high / low) ** rng.random()
