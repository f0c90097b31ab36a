"""What all made-up sounds are built of: curves that wander, waveforms read along a pitch, resonances, modes that ring.

Sounds are float32, shape (samples,). Everything random comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy

TABLE = 2048
"""Samples of one period of a waveform."""


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two positive ones, drawn evenly on a logarithmic scale, as pitches and durations are."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def curve(points: Sequence[float] | np.ndarray, samples: int) -> np.ndarray:
    """`points`, evenly spread over `samples` samples and joined by straight lines."""
    return np.interp(np.linspace(0, len(points) - 1, samples), np.arange(len(points)), points).astype(np.float32)


def wander(rng: np.random.Generator, samples: int, knots: int, low: float, high: float) -> np.ndarray:
    """A curve through `knots` or more random values between `low` and `high`."""
    return curve(rng.uniform(low, high, max(knots, 2)), samples)


def envelope(samples: int, attack: int, release: int) -> np.ndarray:
    """Rises over `attack` samples, stays at 1, falls over `release` samples."""
    rise, fall = min(attack, samples // 2), min(release, samples // 2)
    shape = np.ones(samples, np.float32)
    shape[:rise] = np.sin(np.linspace(0, np.pi / 2, rise, dtype=np.float32)) ** 2
    shape[samples - fall :] = np.cos(np.linspace(0, np.pi / 2, fall, dtype=np.float32)) ** 2
    return shape


def harmonics(rng: np.random.Generator, count: int, tilt: float, odd: bool = False) -> np.ndarray:
    """One period of a waveform, shape (TABLE,): harmonic k has about the strength k ** -tilt and a random phase."""
    orders = np.arange(1, max(count, 1) + 1, 2 if odd else 1)
    spectrum = np.zeros(TABLE // 2 + 1, np.complex64)
    strength = rng.uniform(0.5, 1, len(orders)) * orders.astype(np.float64) ** -tilt
    spectrum[orders] = strength * np.exp(2j * np.pi * rng.random(len(orders)))
    period = scipy.fft.irfft(spectrum)
    return period / np.abs(period).max()


def highest(hertz: float, sample_rate: int, most: int = 60) -> int:
    """How many harmonics of a tone lie below 45 % of the sample rate: more would fold back."""
    return int(np.clip(0.45 * sample_rate / hertz, 1, most))


def read(period: np.ndarray, hertz: np.ndarray, sample_rate: int) -> np.ndarray:
    """A waveform's period, read at a pitch (samples,) that may move: one look-up, however many harmonics there are."""
    turns = np.cumsum(hertz, dtype=np.float64) / sample_rate
    return period[((turns % 1) * len(period)).astype(np.int32)]


def filtered(sound: np.ndarray, response: Callable[[np.ndarray], np.ndarray], sample_rate: int) -> np.ndarray:
    """The sound through a filter: `response` gives its (complex) gain at frequencies in hertz."""
    # Room for 50 ms of ringing, which must not come in again at the front.
    size = scipy.fft.next_fast_len(len(sound) + sample_rate // 20, real=True)
    hertz = np.fft.rfftfreq(size, 1 / sample_rate).astype(np.float32)
    result: np.ndarray = scipy.fft.irfft(scipy.fft.rfft(sound, size) * response(hertz), size)
    return result[: len(sound)].astype(np.float32)


def resonant(
    sound: np.ndarray, centers: Sequence[float], widths: Sequence[float], gains: Sequence[float], sample_rate: int
) -> np.ndarray:
    """The sound through resonances side by side, such as a throat's formants, all in hertz; causal, so they ring after."""

    def response(hertz: np.ndarray) -> np.ndarray:
        total = np.zeros(len(hertz), np.complex64)
        for center, width, gain in zip(centers, widths, gains, strict=True):
            total += np.complex64(gain) / (1 + 1j * (hertz - np.float32(center)) / np.float32(width))
        return total

    return filtered(sound, response, sample_rate)


def tilted(sound: np.ndarray, slope: float, corner: float, sample_rate: int) -> np.ndarray:
    """The sound with its power falling by frequency ** -slope above `corner` hertz."""
    return filtered(
        sound, lambda hertz: np.maximum(hertz / np.float32(corner), 1) ** np.float32(-slope / 2), sample_rate
    )


def ringing(
    rng: np.random.Generator, hertz: np.ndarray, decays_s: np.ndarray, gains: np.ndarray, sample_rate: int
) -> np.ndarray:
    """What a struck body gives: its modes, each a sine that decays (by 1 / e in `decays_s`); those beyond the band left out."""
    fits = hertz < 0.45 * sample_rate
    hertz, decays_s, gains = hertz[fits], decays_s[fits], gains[fits]
    samples = int(min(5 * decays_s.max(initial=0.01), 4) * sample_rate) + 1
    steps = (2j * np.pi * hertz - 1 / decays_s) / sample_rate
    # e ** (steps (a + b)) is a product: two small tables in place of an exponential for every sample.
    coarse = 128
    slow = np.exp(np.outer(np.arange(0, samples, coarse), steps)) * (
        gains * np.exp(2j * np.pi * rng.random(len(gains)))
    )
    fast = np.exp(np.outer(steps, np.arange(coarse)))
    return (slow.astype(np.complex64) @ fast.astype(np.complex64)).real.reshape(-1)[:samples].astype(np.float32)


def struck(times: np.ndarray, strengths: np.ndarray, response: np.ndarray, samples: int) -> np.ndarray:
    """A response begun at each of `times` (in samples), as strong as it says."""
    impulses = np.zeros(samples, np.float32)
    within = (times >= 0) & (times < samples)
    np.add.at(impulses, times[within].astype(np.int64), strengths[within].astype(np.float32))
    return scipy.signal.oaconvolve(impulses, response)[:samples].astype(np.float32)


def add(total: np.ndarray, piece: np.ndarray, start: int) -> None:
    """Add a piece to a sound in place, as far as it reaches."""
    end = min(start + len(piece), len(total))
    if start < end:
        total[start:end] += piece[: end - start]


def white(rng: np.random.Generator, samples: int) -> np.ndarray:
    """White noise of power 1."""
    return rng.standard_normal(samples, dtype=np.float32)
