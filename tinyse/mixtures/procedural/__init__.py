"""Noise by procedure: kinds of sound that recordings have too little of, different each time.

Short and tonal sounds are many, and a few hours of recordings hold a handful of each; a procedure never repeats itself.
Everything is a function of the random generator that is passed in, so of a seed and a number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy

from tinyse.audio import DEFAULT_RATE
from tinyse.config import did_you_mean
from tinyse.errors import InputError
from tinyse.mixtures import synthetic
from tinyse.mixtures.procedural.calls import calls
from tinyse.mixtures.procedural.crowds import crowds
from tinyse.mixtures.procedural.impacts import impacts
from tinyse.mixtures.procedural.machines import machines
from tinyse.mixtures.procedural.music import music
from tinyse.mixtures.procedural.shapes import between
from tinyse.mixtures.procedural.signals import signals

Maker = Callable[[np.random.Generator, int, int], np.ndarray]

FAMILIES: dict[str, Maker] = {
    "calls": calls,
    "crowds": crowds,
    "impacts": impacts,
    "machines": machines,
    "music": music,
    "signals": signals,
}
"""Kinds of sound by name: (generator, samples, sample rate) to float32 (samples,), of no particular level."""
SHARES = {"calls": 0.26, "crowds": 0.08, "impacts": 0.22, "machines": 0.1, "music": 0.12, "signals": 0.22}
"""How often each is drawn: most of what denoisers are weakest at."""


def noise(
    rng: np.random.Generator, samples: int, sample_rate: int = DEFAULT_RATE, family: str | None = None
) -> tuple[np.ndarray, str]:
    """A sound of power 1, float32 (samples,), and its family: the one that is named, else one that is drawn.

    It is heard as a recording would have it: in a room, or not, over the faint noise of a place and a microphone. Raises
    InputError for a family that there is not.
    """
    drawn = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    name = drawn if family is None else family
    if name not in FAMILIES:
        raise InputError(f"there is no family of sounds {name!r}{did_you_mean(name, FAMILIES)}")
    sound = FAMILIES[name](rng, samples, sample_rate)
    if rng.random() < 0.5:
        room = synthetic.room(rng, between(rng, 0.08, 0.6), sample_rate)
        sound = scipy.signal.oaconvolve(sound, room)[:samples]
    power = float(np.mean(sound**2))
    floor = np.float32(np.sqrt(power or 1.0) * 10 ** (rng.uniform(-60, -25) / 20))
    sound = sound + floor * synthetic.colored(rng, samples, rng.uniform(0.5, 2), sample_rate)
    return (sound / np.sqrt(np.mean(sound**2))).astype(np.float32), name


def numbered(
    seed: int, index: int, seconds: float, sample_rate: int = DEFAULT_RATE, family: str | None = None
) -> np.ndarray:
    """The sound number `index` of a seed, float32 (samples,), power 1: the same wherever it is asked for."""
    return noise(np.random.default_rng((seed, index)), round(seconds * sample_rate), sample_rate, family)[0]
