"""Noises and rooms out of nothing: what recordings have too little of, or what is the same everywhere (mains hum).

Noises are float32, shape (samples,), of no particular level: the mixer sets it.
"""

from __future__ import annotations

import numpy as np
import scipy

from tinyse.audio import DEFAULT_RATE


def colored(rng: np.random.Generator, samples: int, slope: float, sample_rate: int = DEFAULT_RATE) -> np.ndarray:
    """Noise whose power goes with frequency ** -slope: 0 is white, 1 pink, 2 brown."""
    size = scipy.fft.next_fast_len(samples, real=True)
    bins = size // 2 + 1
    spectrum = rng.standard_normal(2 * bins, dtype=np.float32).view(np.complex64)
    hertz = np.arange(bins, dtype=np.float32) * np.float32(sample_rate / size)
    # Flat below 30 Hz: what no microphone picks up would otherwise hold most of the power.
    spectrum *= np.maximum(hertz, 30) ** np.float32(-slope / 2)
    spectrum[0] = 0
    sound = scipy.fft.irfft(spectrum, size)[:samples]
    return sound / np.sqrt(np.mean(sound**2) + 1e-20)


def hum(rng: np.random.Generator, samples: int, sample_rate: int = DEFAULT_RATE) -> np.ndarray:
    """Mains at about 50 or 60 Hz, with harmonics that fall off at random."""
    base = rng.choice([50.0, 60.0]) * rng.uniform(0.995, 1.005)
    decay = rng.uniform(0.5, 1.5)
    angle = np.arange(samples, dtype=np.float64) * (2 * np.pi * base / sample_rate)
    # One period of a waveform, read along the angle, costs the same for any number of harmonics.
    harmonics = np.arange(1, rng.integers(8, 60))
    spectrum = np.zeros(513, dtype=np.complex64)
    weights = rng.uniform(0.1, 1.0, len(harmonics)) * harmonics**-decay
    spectrum[harmonics] = weights * np.exp(2j * np.pi * rng.random(len(harmonics)))
    period = scipy.fft.irfft(spectrum)
    place = (angle * (len(period) / (2 * np.pi))).astype(np.int64) % len(period)
    return period[place].astype(np.float32) * np.float32(len(period))


def clicks(rng: np.random.Generator, samples: int, sample_rate: int = DEFAULT_RATE) -> np.ndarray:
    """Short knocks and crackles: impulses of random height, each ringing for a few milliseconds, over faint hiss."""
    count = rng.poisson(samples / sample_rate * rng.uniform(1, 15)) + 1
    impulses = np.zeros(samples, dtype=np.float32)
    impulses[rng.integers(0, samples, count)] = rng.uniform(0.2, 1, count) * rng.choice([-1, 1], count)
    ring = sample_rate // 100
    time = np.arange(ring) / sample_rate
    shape = rng.standard_normal(ring) * np.exp(-time * rng.uniform(400, 3000))
    sound = scipy.signal.oaconvolve(impulses, shape.astype(np.float32))[:samples]
    return (sound + 0.003 * rng.standard_normal(samples, dtype=np.float32)).astype(np.float32)


def wind(rng: np.random.Generator, samples: int, sample_rate: int = DEFAULT_RATE) -> np.ndarray:
    """Gusts: low-passed brown noise whose strength wanders within seconds."""
    sound = colored(rng, samples, rng.uniform(1.6, 2.4), sample_rate)
    edge = rng.uniform(150, 800)
    sound = scipy.signal.sosfilt(scipy.signal.butter(2, edge, fs=sample_rate, output="sos"), sound)
    knots = np.arange(0, samples + sample_rate, sample_rate // 3)
    strength = rng.uniform(-25, 0, len(knots))
    return (sound * 10 ** (np.interp(np.arange(samples), knots, strength) / 20)).astype(np.float32)


def noise(rng: np.random.Generator, samples: int, sample_rate: int = DEFAULT_RATE) -> tuple[np.ndarray, str]:
    """One of these noises and its name, colored noise half of the time."""
    kind = rng.choice(["colored", "hum", "clicks", "wind"], p=[0.5, 0.2, 0.1, 0.2])
    if kind == "colored":
        return colored(rng, samples, rng.uniform(0, 2), sample_rate), "colored"
    make = {"hum": hum, "clicks": clicks, "wind": wind}[kind]
    return make(rng, samples, sample_rate), str(kind)


def disturbance(rng: np.random.Generator, samples: int, sample_rate: int = DEFAULT_RATE) -> tuple[np.ndarray, str]:
    """A loud and steady sound other than speech, with a peak of 1, and its name: a test tone, feedback, a bad cable."""
    kind = str(rng.choice(["square", "tone", "noise", "offset"]))
    cycles = np.arange(samples) * (20 * (0.02 * sample_rate) ** rng.random() / sample_rate)  # 20 Hz to 0.4 of the rate
    if kind == "noise":
        sound = rng.uniform(-1, 1, samples)
    elif kind == "offset":
        sound = np.full(samples, rng.choice([-1.0, 1.0]))
    else:
        sound = np.sin(2 * np.pi * cycles) if kind == "tone" else np.where(cycles % 1 < 0.5, 1.0, -1.0)
    return sound.astype(np.float32), kind


def room(rng: np.random.Generator, decay_s: float, sample_rate: int = DEFAULT_RATE) -> np.ndarray:
    """A room's response: the direct sound, then noise that falls by 60 dB in `decay_s` (Polack's model).

    The reverberation as a whole lies between 2 dB above and 12 dB below the direct sound.
    """
    samples = max(int(decay_s * sample_rate), 2)
    tail = rng.standard_normal(samples, dtype=np.float32)
    tail *= np.exp(np.arange(samples, dtype=np.float32) * np.float32(-np.log(1000) / samples))
    first = rng.integers(1, sample_rate // 100)
    tail[:first] = 0
    tail *= 10 ** (rng.uniform(-12, 2) / 20) / np.sqrt(np.sum(tail**2) + 1e-20)
    tail[0] = 1
    return tail
