"""Many at once: chatter without words, applause, cheering."""

from __future__ import annotations

import numpy as np

from tinyse.mixtures.procedural.shapes import (
    between,
    harmonics,
    highest,
    read,
    resonant,
    ringing,
    struck,
    wander,
    white,
)


def crowds(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Chatter, applause or both."""
    kind = rng.choice(["chatter", "applause", "both"], p=[0.5, 0.3, 0.2])
    sound = np.zeros(samples, np.float32)
    if kind != "applause":
        for _ in range(rng.integers(3, 7)):
            sound += _talker(rng, samples, sample_rate) * np.float32(rng.uniform(0.3, 1))
    if kind != "chatter":
        clapping = _applause(rng, samples, sample_rate)
        sound = sound + clapping * np.float32(rng.uniform(0.5, 2))
    return sound


def _talker(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Syllables without words: a voice with a melody, opened and closed a few times a second, between two vowels."""
    seconds = samples / sample_rate
    syllables = int(between(rng, 2.5, 6) * seconds) + 2
    pitch = wander(rng, samples, syllables, 0.8, 1.25) * np.float32(between(rng, 85, 320))
    period = harmonics(rng, highest(float(pitch.max()), sample_rate), rng.uniform(0.8, 1.5))
    voice = read(period, pitch, sample_rate) + np.float32(rng.uniform(0.02, 0.3)) * white(rng, samples)
    opening = wander(rng, samples, 2 * syllables, -0.6, 1).clip(0, 1)
    spoken = wander(rng, samples, int(seconds) + 2, -0.5, 1.5).clip(0, 1)
    vowels = []
    for _ in range(2):
        centers = [rng.uniform(250, 900), rng.uniform(900, 2400), rng.uniform(2300, 3400)]
        vowels.append(resonant(voice, centers, [90, 120, 180], [1, 0.6, 0.35], sample_rate))
    blend = wander(rng, samples, syllables, 0, 1)
    said = (vowels[0] + blend * (vowels[1] - vowels[0])) * opening * spoken
    return said / (np.sqrt(np.mean(said**2)) + np.float32(1e-9))


def _applause(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Claps of several kinds of hands, a few to hundreds a second, swelling and ebbing."""
    seconds, sound = samples / sample_rate, np.zeros(samples, np.float32)
    rate = between(rng, 5, 400)
    for _ in range(4):
        hands = np.array([rng.uniform(500, 1500), rng.uniform(1200, 2800), rng.uniform(2500, 5000)])
        clap = ringing(rng, hands, rng.uniform(0.001, 0.006, 3), np.array([1.0, 0.7, 0.4]), sample_rate)
        clap *= 1 + 0.5 * white(rng, len(clap))
        count = rng.poisson(rate / 4 * seconds) + 1
        sound += struck(rng.random(count) * samples, rng.exponential(0.5, count), clap, samples)
    swell = wander(rng, samples, int(seconds) + 2, 0.3, 1)
    return sound * swell / (np.sqrt(np.mean(sound**2)) + np.float32(1e-9))
