"""What is made to be heard: bells, horns, sirens, alarms, ringing telephones, whistles."""

from __future__ import annotations

import numpy as np

from tinyse.mixtures.procedural.shapes import (
    add,
    between,
    curve,
    envelope,
    harmonics,
    highest,
    read,
    resonant,
    ringing,
    struck,
    wander,
    white,
)

BELL = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.17, 5.43, 6.8])
"""Partials of a church bell against its strike note: hum, prime, minor third, fifth, octave and above."""


def signals(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """One of these signals."""
    return SIGNALS[int(rng.integers(len(SIGNALS)))](rng, samples, sample_rate)


def _bells(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """From church bells to bicycles' and the hammers of alarm clocks."""
    seconds = samples / sample_rate
    sound = np.zeros(samples, np.float32)
    strike, rate = between(rng, 150, 3500), between(rng, 0.4, 20)
    for _ in range(rng.integers(1, 4)):
        partials = BELL * rng.uniform(0.97, 1.03, len(BELL))
        decays = between(rng, 0.1, 3) * partials ** -rng.uniform(0.3, 1.0)
        gains = rng.uniform(0.1, 1, len(BELL)) * partials ** -rng.uniform(0, 0.8)
        response = ringing(rng, strike * partials, decays, gains, sample_rate)
        times = np.cumsum(rng.uniform(0.8, 1.2, int(seconds * rate) + 2) / rate) - rng.uniform(0, 1) / rate
        rung = np.repeat(rng.random(len(times) // 8 + 1) < 0.8, 8)[: len(times)]  # it pauses now and then
        rung[0] = True
        sound += struck(np.maximum(times, 0) * sample_rate, rung * rng.uniform(0.6, 1, len(times)), response, samples)
        strike *= rng.choice([0.75, 0.8, 1.25, 1.33, 1.5])
    return sound


def _beeps(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Alarms, timers, keypads, ringtones: a few pitches in a pattern that is repeated."""
    steps = int(rng.integers(1, 9))
    pitches = between(rng, 400, 3200) * 2 ** (rng.integers(-7, 8, steps) / 12)
    if steps < 3 or rng.random() < 0.3:
        pitches[:] = pitches[0]
    on, off, pause = between(rng, 0.03, 0.5), between(rng, 0.01, 0.4), rng.choice([0, between(rng, 0.1, 1.5)])
    count, odd, tilt = int(rng.integers(1, 30)), bool(rng.random() < 0.5), rng.uniform(0.5, 2.5)
    length = int(on * sample_rate) + 8
    shape = envelope(length, int(0.002 * sample_rate) + 1, int(between(rng, 0.003, on) * sample_rate) + 1)
    sound, place = np.zeros(samples, np.float32), int(rng.uniform(0, 0.3) * sample_rate)
    while place < samples:
        for pitch in pitches:
            period = harmonics(rng, min(count, highest(pitch, sample_rate)), tilt, odd)
            add(sound, shape * read(period, np.full(length, pitch), sample_rate), place)
            place += length + int(off * sample_rate)
        place += int(pause * sample_rate)
    return sound


def _siren(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """A pitch that goes up and down, slowly or quickly, smoothly or between two notes."""
    low = between(rng, 300, 1000)
    high = min(low * rng.uniform(1.15, 3), 0.4 * sample_rate)
    rate = np.full(samples, between(rng, 0.15, 6), np.float32)
    sweep = 0.5 + 0.5 * read(harmonics(rng, 1, 1.0), rate, sample_rate)
    if rng.random() < 0.4:
        sweep = np.round(sweep)
    hertz = low + (high - low) * sweep
    sound = read(harmonics(rng, highest(high, sample_rate, 25), rng.uniform(0.6, 2)), hertz, sample_rate)
    return sound * 10 ** (wander(rng, samples, 3, -15, 0) / 20)


def _horns(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Horns of cars, trucks, trains and ships: a chord of bright tones, blown a few times."""
    base = between(rng, 110, 600)
    chord = base * np.cumprod([1.0, *rng.choice([1.0, 1.122, 1.19, 1.26, 1.33, 1.5], rng.integers(1, 4))])
    sound, place = np.zeros(samples, np.float32), int(rng.uniform(0, 0.5) * sample_rate)
    longest, pause, tilt = between(rng, 0.15, 2.5), between(rng, 0.08, 2), rng.uniform(0.1, 1.0)
    while place < samples:
        length = int(longest * rng.uniform(0.3, 1) * sample_rate) + 64
        bend = curve([rng.uniform(0.97, 1), 1, 1, 1, rng.uniform(0.96, 1)], length)
        shape = envelope(length, int(0.02 * sample_rate), int(0.06 * sample_rate))
        for pitch in chord:
            blown = read(harmonics(rng, highest(pitch, sample_rate, 40), tilt), bend * np.float32(pitch), sample_rate)
            add(sound, blown * shape, place)
        place += length + int(pause * rng.uniform(0.5, 1.5) * sample_rate)
    centers = [between(rng, 400, 3000) for _ in range(3)]
    return resonant(sound, centers, [center / 2 for center in centers], [1, 0.7, 0.5], sample_rate)


def _whistles(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Whistles of people, referees and kettles: nearly a sine, with breath, steady, wandering or trilled."""
    pitch = wander(rng, samples, int(between(rng, 1, 6) * samples / sample_rate), 0.85, 1.15) * between(rng, 700, 3400)
    trill = np.full(samples, between(rng, 10, 45), np.float32)
    depth = rng.choice([0, rng.uniform(0.01, 0.05)])
    pitch = pitch * (1 + np.float32(depth) * read(harmonics(rng, 1, 1), trill, sample_rate))
    sound = read(harmonics(rng, min(3, highest(float(pitch.max()), sample_rate)), 3), pitch, sample_rate)
    breath = resonant(white(rng, samples), [float(pitch.mean())], [200], [between(rng, 0.05, 0.8)], sample_rate)
    blown = (wander(rng, samples, int(2 * samples / sample_rate) + 2, -0.4, 1)).clip(0, 1)
    return (sound + breath) * np.sqrt(blown)


SIGNALS = (_bells, _beeps, _siren, _horns, _whistles)
