"""Cries and calls of animals and people: harmonics that move through formants, with breath and roughness."""

from __future__ import annotations

from dataclasses import dataclass

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
    wander,
    white,
)

Span = tuple[float, float]


@dataclass(frozen=True)
class Caller:
    """What one kind of call is like. Ranges are (lowest, highest)."""

    pitch_hz: Span
    length_s: Span
    """Length of one call."""
    gap_s: Span
    """Between calls of a group."""
    group: tuple[int, int] = (1, 4)
    """Calls in a row, before a longer pause."""
    contour: Span = (0.8, 1.25)
    """Factors on the pitch that a call passes through."""
    knots: tuple[int, int] = (3, 6)
    """Points of that contour."""
    tilt: Span = (0.6, 1.6)
    """Harmonic k has strength k ** -tilt."""
    formants_hz: tuple[Span, ...] = ((500, 1200), (1200, 2800), (2500, 4200))
    breath: Span = (0.01, 0.15)
    """Noise beside the voice, 1 for as strong."""
    rough: Span = (0.0, 0.2)
    """Share of the voice that beats at half or a third of its pitch."""
    tremble_hz: Span = (0.0, 0.0)
    """Rate at which the strength trembles."""
    attack_s: Span = (0.01, 0.05)


CALLERS = {
    "bird": Caller(
        (1500, 6000), (0.03, 0.4), (0.02, 0.3), (2, 10), (0.7, 1.5), (2, 7), (1.5, 3), (), (0, 0.05), (0, 0.1)
    ),
    "gull": Caller((700, 1800), (0.2, 0.9), (0.1, 0.4), (1, 6), (0.7, 1.3), rough=(0.1, 0.5)),
    "crow": Caller(
        (350, 900), (0.15, 0.5), (0.1, 0.5), (1, 5), (0.85, 1.15), tilt=(0.2, 0.8), breath=(0.1, 0.5), rough=(0.4, 0.9)
    ),
    "rooster": Caller((400, 1100), (0.2, 1.2), (0.05, 0.2), (2, 5), (0.6, 1.5), tilt=(0.3, 1), rough=(0.1, 0.4)),
    "dog": Caller(
        (180, 900), (0.06, 0.3), (0.1, 0.6), (1, 6), (0.6, 1.3), tilt=(0.4, 1.2), breath=(0.1, 0.6), rough=(0.1, 0.7)
    ),
    "whine": Caller((500, 1600), (0.2, 1.2), (0.1, 0.6), (1, 4), (0.7, 1.4), tilt=(1, 2)),
    "cat": Caller((350, 1000), (0.3, 1.3), (0.2, 1.0), (1, 3), (0.7, 1.4), tremble_hz=(0, 12)),
    "cattle": Caller((90, 300), (0.5, 2.0), (0.3, 1.5), (1, 2), (0.8, 1.25), tilt=(0.4, 1.1), rough=(0, 0.4)),
    "sheep": Caller((180, 500), (0.4, 1.3), (0.2, 1.0), (1, 3), (0.9, 1.1), tilt=(0.3, 0.9), tremble_hz=(6, 14)),
    "pig": Caller(
        (150, 900), (0.1, 0.8), (0.05, 0.5), (1, 6), (0.6, 1.5), tilt=(0.2, 0.9), breath=(0.2, 1), rough=(0.3, 1)
    ),
    "frog": Caller((200, 1200), (0.05, 0.4), (0.05, 0.5), (2, 8), (0.9, 1.1), tremble_hz=(20, 70), rough=(0.1, 0.6)),
    "insect": Caller(
        (2800, 6500), (0.05, 2.0), (0.03, 0.6), (2, 20), (0.98, 1.02), (2, 3), (2, 4), (), (0, 0.1), (0, 0.1), (15, 80)
    ),
    "baby": Caller((300, 650), (0.3, 1.4), (0.15, 0.6), (2, 6), (0.75, 1.3), tilt=(0.2, 0.9), rough=(0, 0.4)),
    "scream": Caller(
        (500, 1800), (0.3, 1.5), (0.2, 1.0), (1, 3), (0.7, 1.4), tilt=(0.2, 0.9), breath=(0.05, 0.4), rough=(0.1, 0.7)
    ),
    "laughter": Caller((150, 550), (0.05, 0.16), (0.05, 0.14), (4, 12), (0.7, 1.3), breath=(0.1, 0.8), tilt=(0.5, 1.3)),
    "cough": Caller(
        (90, 350),
        (0.12, 0.4),
        (0.1, 0.4),
        (1, 4),
        (0.6, 1.3),
        breath=(0.8, 6),
        rough=(0.1, 0.8),
        attack_s=(0.002, 0.01),
    ),
    "sneeze": Caller(
        (150, 500),
        (0.15, 0.6),
        (0.2, 0.7),
        (1, 3),
        (0.5, 1.4),
        breath=(1, 8),
        attack_s=(0.003, 0.03),
        formants_hz=((500, 1500), (2000, 5000), (4000, 7000)),
    ),
    "snore": Caller(
        (30, 90), (0.5, 1.6), (0.6, 1.8), (1, 2), (0.9, 1.1), breath=(0.3, 2), rough=(0.2, 0.9), attack_s=(0.1, 0.4)
    ),
}
"""Calls by name, after what is known of their pitches and lengths; the ranges are wide, so that none is memorized."""


def calls(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """One kind of caller, in groups of calls that differ."""
    caller = CALLERS[str(rng.choice(list(CALLERS)))]
    sound = np.zeros(samples, np.float32)
    pitch, gap = between(rng, *caller.pitch_hz), between(rng, *caller.gap_s)
    tilt, breath, rough = rng.uniform(*caller.tilt), rng.uniform(*caller.breath), rng.uniform(*caller.rough)
    place, pause = int(rng.uniform(0, 0.4) * sample_rate), between(rng, 0.2, 1.5)
    while place < samples:
        for _ in range(rng.integers(caller.group[0], caller.group[1] + 1)):
            length = min(int(between(rng, *caller.length_s) * sample_rate) + 64, samples)
            heard = pitch * rng.uniform(0.92, 1.08)
            voice = _call(rng, caller, length, heard, (tilt, breath, rough), sample_rate)
            add(sound, voice * np.float32(rng.uniform(0.4, 1)), place)
            place += length + int(gap * rng.uniform(0.6, 1.4) * sample_rate)
        place += int(pause * sample_rate)
    return _through_throat(rng, caller, sound, sample_rate)


def _call(
    rng: np.random.Generator,
    caller: Caller,
    samples: int,
    pitch: float,
    timbre: tuple[float, float, float],
    sample_rate: int,
) -> np.ndarray:
    """One call before its formants."""
    tilt, breath, rough = timbre
    knots = int(rng.integers(caller.knots[0], caller.knots[1] + 1))
    factors = np.exp(rng.uniform(np.log(caller.contour[0]), np.log(caller.contour[1]), knots))
    hertz = np.minimum(curve(pitch * factors, samples), 0.4 * sample_rate)
    hertz *= 1 + 0.01 * white(rng, samples // 200 + 2).repeat(200)[:samples]  # no throat holds a pitch
    voice = read(harmonics(rng, highest(float(hertz.max()), sample_rate), tilt), hertz, sample_rate)
    if rough:
        beat = 0.5 + 0.5 * read(harmonics(rng, 3, 1.0), hertz / rng.integers(2, 4), sample_rate)
        voice = voice * (1 - rough + np.float32(rough) * beat)
    if caller.tremble_hz[1]:
        rate = np.full(samples, rng.uniform(*caller.tremble_hz), np.float32)
        voice = voice * (0.55 + 0.45 * read(harmonics(rng, 2, 2.0), rate, sample_rate))
    voice = voice + np.float32(0.3 * breath) * white(rng, samples)
    swell = wander(rng, samples, int(rng.integers(2, 5)), 0.4, 1)
    attack = int(rng.uniform(*caller.attack_s) * sample_rate) + 1
    return (voice * swell * envelope(samples, attack, int(rng.uniform(0.2, 0.7) * samples) + 1)).astype(np.float32)


def _through_throat(rng: np.random.Generator, caller: Caller, sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """The sound through two positions of a throat, between which it moves."""
    if not caller.formants_hz:
        return sound
    ends = []
    for _ in range(2):
        centers = [rng.uniform(*span) for span in caller.formants_hz if span[0] < 0.45 * sample_rate]
        widths = [center * rng.uniform(0.06, 0.25) for center in centers]
        gains = [rng.uniform(0.3, 1) * 0.7**k for k in range(len(centers))]
        ends.append(resonant(sound, centers, widths, gains, sample_rate))
    opening = wander(rng, len(sound), int(6 * len(sound) / sample_rate), 0, 1)
    return (ends[0] + opening * (ends[1] - ends[0])).astype(np.float32)
