"""Things that are hit, dropped, knocked and broken: bodies with modes that ring (modal synthesis), struck in patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyse.mixtures.procedural.shapes import between, ringing, struck, white


@dataclass(frozen=True)
class Material:
    """How a body of it rings. Ranges are (lowest, highest)."""

    lowest_hz: tuple[float, float]
    modes: tuple[int, int]
    spread: tuple[float, float]
    """Mode k is at about lowest * k ** spread: 1 is a string, 2 a bar."""
    decay_s: tuple[float, float]
    """Decay of the lowest mode."""
    damping: tuple[float, float]
    """The decay goes with frequency ** -damping."""


MATERIALS = {
    "wood": Material((90, 900), (4, 14), (0.8, 1.4), (0.008, 0.06), (0.4, 1.0)),
    "metal": Material((200, 2500), (8, 24), (0.9, 1.9), (0.08, 1.2), (0.1, 0.7)),
    "glass": Material((900, 3500), (6, 16), (0.7, 1.5), (0.05, 0.5), (0.1, 0.6)),
    "ceramic": Material((500, 2500), (5, 14), (0.8, 1.6), (0.02, 0.2), (0.2, 0.8)),
    "plastic": Material((150, 1800), (3, 10), (0.7, 1.3), (0.005, 0.04), (0.3, 1.0)),
    "skin": Material((50, 250), (4, 10), (0.4, 0.8), (0.03, 0.25), (0.3, 0.9)),
}


def impacts(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """One to three bodies of a material, each struck in the same kind of pattern."""
    material = MATERIALS[str(rng.choice(list(MATERIALS)))]
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))]
    sound = np.zeros(samples, np.float32)
    for _ in range(rng.integers(1, 4)):
        times, strengths = pattern(rng, samples / sample_rate)
        sound += struck(times * sample_rate, strengths, _body(rng, material, sample_rate), samples)
    return sound


def _body(rng: np.random.Generator, material: Material, sample_rate: int) -> np.ndarray:
    """The response of one body to one blow."""
    count = int(rng.integers(*material.modes))
    ratios = np.arange(1, count + 1) ** rng.uniform(*material.spread) * rng.uniform(0.93, 1.07, count)
    decays = between(rng, *material.decay_s) * ratios ** -rng.uniform(*material.damping) * rng.uniform(0.6, 1.4, count)
    gains = rng.uniform(0.2, 1, count) * ratios ** -rng.uniform(0, 1)
    response = ringing(rng, between(rng, *material.lowest_hz) * ratios, decays, gains, sample_rate)
    # A soft hammer touches for milliseconds and wakes no high modes.
    contact = np.hanning(int(between(rng, 0.0002, 0.003) * sample_rate) + 3).astype(np.float32)
    response = np.convolve(response, contact / contact.sum())
    slap = white(rng, int(between(rng, 0.002, 0.03) * sample_rate) + 2)
    slap *= np.exp(np.linspace(0, -5, len(slap), dtype=np.float32)) * np.float32(between(rng, 0.02, 0.5))
    if len(slap) > len(response):
        response = np.pad(response, (0, len(slap) - len(response)))
    response /= np.abs(response).max() + 1e-9
    response[: len(slap)] += slap
    return response


def _knocks(rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Groups of even blows with pauses: knocking, hammering, steps, chopping."""
    times, place = [], rng.uniform(0, 0.5)
    interval, pause = between(rng, 0.09, 0.7), between(rng, 0.1, 1.5)
    while place < seconds:
        for _ in range(rng.integers(1, 7)):
            times.append(place + rng.normal(0, 0.01 + 0.03 * interval))
            place += interval
        place += pause
    return np.array(times), rng.uniform(0.4, 1, len(times))


def _rattle(rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Blows at random, as of cutlery, keys, keyboards and dishes; denser and sparser by turns."""
    rate, turns = between(rng, 2, 40), max(int(seconds * 2), 1)
    density = rate * rng.exponential(1, turns)
    times = np.concatenate(
        [(turn + rng.random(rng.poisson(density[turn] * seconds / turns))) * seconds / turns for turn in range(turns)]
    )
    return times, rng.exponential(0.4, len(times)).clip(0.02, 1.5)


def _shatter(rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """A crash, then pieces, ever fewer and fainter."""
    times, strengths = [], []
    place = rng.uniform(0, min(seconds / 2, 1))
    while place < seconds:
        falls = rng.exponential(between(rng, 0.05, 0.4), rng.integers(10, 80))
        times += [np.array([place]), place + falls]
        strengths += [np.array([1.0]), rng.uniform(0.05, 0.8, len(falls)) * np.exp(-2 * falls)]
        place += between(rng, 0.8, 4)
    return (np.concatenate(times), np.concatenate(strengths)) if times else (np.zeros(0), np.zeros(0))


def _bounces(rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Dropped things that bounce: intervals and strengths shrink alike."""
    times, strengths, place = [], [], rng.uniform(0, 0.4)
    while place < seconds:
        interval, keeps, strength, at = between(rng, 0.1, 0.5), rng.uniform(0.6, 0.9), 1.0, place
        while interval > 0.01:
            times.append(at)
            strengths.append(strength)
            at, interval, strength = at + interval, interval * keeps, strength * keeps
        place = at + between(rng, 0.2, 1.5)
    return np.array(times), np.array(strengths)


PATTERNS = (_knocks, _rattle, _shatter, _bounces)
