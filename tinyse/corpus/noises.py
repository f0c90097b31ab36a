"""Noise from a formula: each class of sound as a function of seconds and a random generator, at 16 kHz.

A generator draws its parameters (how many blades, which room, how fast the rain) once, so that one seed is one source
and its cuts belong together. Babble is not here: mixtures make it from the voices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyse.audio import DEFAULT_RATE

Noise = Callable[[float, np.random.Generator], np.ndarray]


def fan(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Air through blades: broad noise that falls with frequency, and a soft tone of the blades with its harmonics."""
    air = colored(seconds, random, slope_db=random.uniform(-7, -3), ripple_db=6)
    blades = harmonics(wander(seconds, random, random.uniform(60, 180), 0.004), random, count=8, slope_db=-5)
    return air * (1 + 0.1 * slow(seconds, random, 1.5)) + random.uniform(0.1, 0.6) * blades


def hum(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Mains hum: harmonics of 50 or 60 Hz that stand still, over a little hiss."""
    mains = np.full(samples(seconds), random.choice([50.0, 60.0]))
    return harmonics(mains, random, count=24, slope_db=-4) + 0.08 * colored(seconds, random, slope_db=-2)


def rain(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Drops on a surface: very many short, ringing clicks of random size over a bright hiss."""
    hiss = colored(seconds, random, slope_db=random.uniform(-1, 2), ripple_db=4)
    drops = clicks(seconds, random, each_second=random.uniform(40, 250), low=800, high=6500, decay=0.004)
    return hiss + random.uniform(1, 3) * drops


def wind(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Gusts at a microphone: low noise whose level comes and goes."""
    gusts = np.exp(random.uniform(0.5, 0.9) * np.clip(slow(seconds, random, random.uniform(0.3, 1)), -2, 2))
    howl = resonate(colored(seconds, random, slope_db=0), random.uniform(300, 700), 80)
    return gusts * colored(seconds, random, slope_db=random.uniform(-10, -7)) + 0.15 * gusts**2 * howl


def engine(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Firing cylinders: harmonics of a rate that drifts, through the resonance of a body, and combustion noise."""
    rate = wander(seconds, random, random.uniform(22, 75), 0.08)
    tone = resonate(harmonics(rate, random, count=40, slope_db=-2.5), random.uniform(150, 500), 200)
    roar = colored(seconds, random, slope_db=-6) * (1 + 0.7 * np.sin(2 * np.pi * np.cumsum(rate) / DEFAULT_RATE))
    return tone + random.uniform(0.3, 0.8) * roar


def typing(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Keys struck in bursts, over the hush of a room."""
    keys = clicks(seconds, random, each_second=random.uniform(5, 9), low=600, high=5000, decay=0.012, bursts=True)
    return keys + 0.012 * colored(seconds, random, slope_db=-5)


def traffic(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Vehicles that pass: tire noise that swells and fades, over a city far away."""
    sound = 0.15 * colored(seconds, random, slope_db=-7)
    time = np.arange(samples(seconds)) / DEFAULT_RATE
    for _ in range(random.poisson(seconds / 2.5) + 1):
        nearness = 1 / (1 + ((time - random.uniform(0, seconds)) / random.uniform(0.5, 1.5)) ** 2)
        sound += random.uniform(0.4, 1) * nearness * colored(seconds, random, slope_db=random.uniform(-6, -3))
    return sound


def washer(seconds: float, random: np.random.Generator) -> np.ndarray:
    """A drum that turns: motor tones and sloshing in its rhythm."""
    turn = np.sin(2 * np.pi * np.cumsum(wander(seconds, random, random.uniform(0.7, 3), 0.02)) / DEFAULT_RATE)
    water = (1.1 + turn) * colored(seconds, random, slope_db=-4, ripple_db=6)
    return water + 0.5 * harmonics(wander(seconds, random, random.uniform(90, 300), 0.01), random, 12, slope_db=-4)


def fire(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Crackling: sparse sharp clicks of every size over a low roar."""
    crackle = clicks(seconds, random, each_second=random.uniform(8, 30), low=1500, high=7000, decay=0.002)
    return crackle + 0.1 * colored(seconds, random, slope_db=-9)


def knocks(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Things put down and doors: a few dull, ringing blows."""
    return clicks(seconds, random, random.uniform(1, 2.5), 90, 900, decay=0.05) + 0.004 * colored(seconds, random, -6)


def alarm(seconds: float, random: np.random.Generator) -> np.ndarray:
    """A siren or a beeper: a tone that sweeps or is switched."""
    time = np.arange(samples(seconds)) / DEFAULT_RATE
    phase = (time * random.uniform(0.4, 2.5)) % 1
    low, high = random.uniform(500, 900), random.uniform(1000, 2200)
    if random.random() < 0.5:
        tone = harmonics(low + (high - low) * np.abs(2 * phase - 1), random, count=4, slope_db=-9)
    else:
        tone = harmonics(np.full(len(time), high), random, count=3, slope_db=-9) * smooth(phase < 0.5)
    return tone + 0.03 * colored(seconds, random, slope_db=-5)


def chimes(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Notes of a plucked or struck instrument in the next room."""
    sound = 0.005 * colored(seconds, random, slope_db=-5)
    scale = random.uniform(180, 300) * 2 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16]) / 12)
    start = 0.0
    while (start := start + random.choice([0.2, 0.4, 0.8])) < seconds:
        time = np.arange(samples(seconds - start)) / DEFAULT_RATE
        note = harmonics(np.full(len(time), random.choice(scale)), random, count=6, slope_db=-7)
        sound[len(sound) - len(time) :] += note * np.exp(-time / random.uniform(0.15, 0.6))
    return sound


def drill(seconds: float, random: np.random.Generator) -> np.ndarray:
    """A hammer drill that starts and stops: rapid blows and the whine of its motor."""
    on = smooth(slow(seconds, random, 0.4) > -0.4)
    rate = wander(seconds, random, random.uniform(25, 45), 0.03)
    blows = np.exp(-8 * ((np.cumsum(rate) / DEFAULT_RATE) % 1)) * colored(seconds, random, slope_db=0)
    whine = harmonics(rate * random.integers(9, 15), random, count=8, slope_db=-3)
    return on * (blows + 0.3 * whine) + 0.01 * colored(seconds, random, slope_db=-5)


def stream(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Running water: bubbles, each a tone that rises and dies, over a rush."""
    sound = 0.25 * colored(seconds, random, slope_db=-2)
    time = np.arange(samples(0.06)) / DEFAULT_RATE
    for start in random.integers(0, len(sound) - len(time), round(60 * seconds)):
        pitch = random.uniform(400, 2500)
        bubble = np.sin(2 * np.pi * pitch * (time + 3 * time**2)) * np.exp(-time / random.uniform(0.004, 0.02))
        sound[start : start + len(time)] += random.exponential(0.5) * bubble
    return sound


TRAIN: tuple[Noise, ...] = (fan, hum, rain, wind, engine, typing, traffic, washer, fire, knocks, alarm, chimes)
VALID: tuple[Noise, ...] = (fan, rain, engine, typing, stream)
TEST: tuple[Noise, ...] = (fan, wind, traffic, typing, drill)
"""Classes of each split. Every split has sources of its own; `stream` and `drill` are not in train at all."""


def samples(seconds: float) -> int:
    """How many samples `seconds` are."""
    return round(seconds * DEFAULT_RATE)


def colored(seconds: float, random: np.random.Generator, slope_db: float, ripple_db: float = 3) -> np.ndarray:
    """Noise of unit level whose spectrum falls by `slope_db` an octave above 60 Hz, with a smooth random ripple."""
    length = samples(seconds)
    octave = np.log2(np.maximum(np.fft.rfftfreq(length, 1 / DEFAULT_RATE), 60) / 60)
    ripple = np.interp(octave, np.linspace(0, octave[-1], 12), random.normal(0, ripple_db, 12))
    spectrum = np.fft.rfft(random.normal(size=length)) * 10 ** ((slope_db * octave + ripple) / 20)
    return unit(np.fft.irfft(spectrum, length))


def slow(seconds: float, random: np.random.Generator, hertz: float) -> np.ndarray:
    """A random curve of unit level that changes about `hertz` times per second."""
    knots = random.normal(size=max(4, round(2 * seconds * hertz) + 2))
    curve = np.interp(np.linspace(0, len(knots) - 1, samples(seconds)), np.arange(len(knots)), knots)
    return (curve - curve.mean()) / (curve.std() + 1e-9)


def wander(seconds: float, random: np.random.Generator, middle: float, part: float) -> np.ndarray:
    """A rate that drifts around `middle` by a `part` of it."""
    return middle * (1 + part * slow(seconds, random, 0.5))


def harmonics(hertz: np.ndarray, random: np.random.Generator, count: int, slope_db: float) -> np.ndarray:
    """A tone of unit level whose pitch follows `hertz`: harmonics that fall by `slope_db` an octave, below 7.8 kHz."""
    phase = 2 * np.pi * np.cumsum(hertz) / DEFAULT_RATE
    tone = np.zeros(len(hertz))
    for number in range(1, count + 1):
        if number * hertz.max() < 7800:
            level = 10 ** ((slope_db * np.log2(number) + random.normal(0, 4)) / 20)
            tone += level * np.sin(number * phase + random.uniform(0, 2 * np.pi))
    return unit(tone)


def clicks(
    seconds: float,
    random: np.random.Generator,
    each_second: float,
    low: float,
    high: float,
    decay: float,
    bursts: bool = False,
) -> np.ndarray:
    """Short blows at random times: a ringing tone between `low` and `high` Hz with noise, dying within `decay` s."""
    sound = np.zeros(samples(seconds + 8 * decay))
    time = np.arange(samples(6 * decay)) / DEFAULT_RATE
    count = random.poisson(each_second * seconds) + 1
    starts = random.uniform(0, seconds, count)
    if bursts:
        starts = np.cumsum(random.gamma(4, 0.25 / each_second, count) + (random.random(count) < 0.08) * 0.8) % seconds
    for start in starts:
        ring = np.sin(2 * np.pi * np.exp(random.uniform(np.log(low), np.log(high))) * time)
        blow = (ring + 0.5 * random.normal(size=len(time))) * np.exp(-time / (decay * random.uniform(0.5, 1.2)))
        place = samples(start)
        sound[place : place + len(time)] += random.lognormal(0, 0.6) * blow
    return sound[: samples(seconds)]


def resonate(sound: np.ndarray, hertz: float, width: float) -> np.ndarray:
    """The sound through one resonance, at unit level."""
    frequency = np.fft.rfftfreq(len(sound), 1 / DEFAULT_RATE)
    gain = 1 / np.sqrt(1 + ((frequency - hertz) / width) ** 2)
    return unit(np.fft.irfft(np.fft.rfft(sound) * gain, len(sound)))


def smooth(gate: np.ndarray, seconds: float = 0.01) -> np.ndarray:
    """A switch that opens and closes without a click."""
    window = np.hanning(samples(seconds))
    return np.convolve(gate.astype(float), window / window.sum(), mode="same")


def unit(sound: np.ndarray) -> np.ndarray:
    """The sound at a root mean square of 1."""
    return sound / (np.sqrt(np.mean(sound**2)) + 1e-12)
