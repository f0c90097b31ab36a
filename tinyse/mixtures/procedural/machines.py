"""Engines, motors, pumps, tools: what turns, and the noise that it makes as it turns."""

from __future__ import annotations

import numpy as np

from tinyse.mixtures.procedural.shapes import between, harmonics, highest, read, resonant, tilted, wander, white


def machines(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """One machine: a tone of its turning, a whine of its gears or fan, and noise that pulses with it."""
    seconds = samples / sample_rate
    turning = between(rng, 1.5, 200)
    steadiness = rng.choice([0.003, 0.02, 0.25], p=[0.4, 0.4, 0.2])
    speed = turning * (1 + wander(rng, samples, int(between(rng, 0.5, 4) * seconds) + 2, -steadiness, steadiness))
    tone = read(harmonics(rng, highest(1.3 * turning, sample_rate), rng.uniform(0.2, 1.5)), speed, sample_rate)
    # The pulse of one turn, sharp for a hammer, smooth for a fan; the noise follows it.
    pulse = np.maximum(read(harmonics(rng, int(rng.integers(1, 12)), rng.uniform(0, 1)), speed, sample_rate), 0)
    depth = np.float32(rng.uniform(0, 1))
    hiss = tilted(white(rng, samples), rng.uniform(0, 3), between(rng, 100, 2000), sample_rate)
    hiss *= 1 - depth + depth * pulse ** np.float32(rng.uniform(0.5, 3))
    centers = [between(rng, 120, 0.4 * sample_rate) for _ in range(rng.integers(2, 6))]
    body = resonant(
        np.float32(between(rng, 0.05, 2)) * tone + hiss,
        centers,
        [center * rng.uniform(0.02, 0.4) for center in centers],
        [rng.uniform(0.2, 1) for _ in centers],
        sample_rate,
    )
    teeth = float(rng.integers(5, 40))
    if turning * teeth * 1.3 < 0.4 * sample_rate and rng.random() < 0.6:
        whine = harmonics(rng, min(4, highest(1.3 * turning * teeth, sample_rate)), 1.5)
        strength = np.float32(between(rng, 0.02, 0.5) * (np.sqrt(np.mean(body**2)) + 1e-9))
        body = body + strength * read(whine, speed * np.float32(teeth), sample_rate)
    if rng.random() < 0.3:  # it is switched on and off, or works in strokes
        body = body * wander(rng, samples, int(between(rng, 0.5, 8) * seconds) + 2, -0.5, 1).clip(0.02, 1)
    return body.astype(np.float32)
