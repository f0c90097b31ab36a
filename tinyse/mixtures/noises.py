"""The noise of a mixture: a recording, made-up noise, babble or one other voice, and perhaps a second recording."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tinyse.mixtures import augment, procedural, synthetic
from tinyse.mixtures.augment import Coloring
from tinyse.mixtures.config import MixtureConfig
from tinyse.mixtures.levels import active, amplitude, frame_powers, mean_power
from tinyse.mixtures.sources import Population, babble_of, noise_of

NoiseKind = Literal["synthetic", "babble", "talker", "procedural", "recorded"]


@dataclass(frozen=True)
class Noise:
    """Noise of no particular level."""

    sound: np.ndarray
    """float32, shape (samples,)."""
    kind: NoiseKind
    names: tuple[str, ...]
    """Paths of recordings, or what the made-up noise is called."""


@dataclass(frozen=True)
class Noises:
    """All noise there is to draw from."""

    config: MixtureConfig
    recorded: Population
    voices: Population

    def draw(
        self,
        streams: tuple[np.random.Generator, ...],
        excluded: int,
        samples: int,
        channel: np.ndarray | None,
        with_voices: bool = True,
    ) -> Noise:
        """Noise without the voice `excluded`. `streams` are random numbers for its choice, color, second noise and speed.
        Unless `with_voices`, a recording takes the place of babble and of one other voice."""
        config, rate = self.config, self.recorded.store.sample_rate
        rng, for_color, for_second, for_speed = streams
        kind = self._kind(rng)
        if kind in ("babble", "talker") and not with_voices:
            kind = "recorded"
        coloring = Coloring.draw(for_color, config, channel, rate)
        sound, names = self._make(rng, for_speed, kind, excluded, coloring.needed(samples))
        sound = coloring.apply(sound, samples)
        if for_second.random() < config.second_noise_probability:
            coloring = Coloring.draw(for_color, config, channel, rate)
            second, more = self._recorded(for_second, for_speed, coloring.needed(samples))
            sound = _added(sound, coloring.apply(second, samples), for_second.uniform(*config.second_noise_db), rate)
            names = [*names, *more]
        return Noise(sound, kind, tuple(names))

    def _kind(self, rng: np.random.Generator) -> NoiseKind:
        draw = rng.random()
        shares: tuple[tuple[NoiseKind, float], ...] = (
            ("synthetic", self.config.synthetic_probability),
            ("babble", self.config.babble_probability),
            ("talker", self.config.talker_probability),
            ("procedural", self.config.procedural_probability),
        )
        for kind, share in shares:
            if draw < share:
                return kind
            draw -= share
        return "recorded"

    def _recorded(
        self, rng: np.random.Generator, for_speed: np.random.Generator, samples: int
    ) -> tuple[np.ndarray, list[str]]:
        speed = augment.draw_noise_speed(for_speed, self.config)
        needed = augment.needed_at(speed, samples)
        sound, names = noise_of(rng, self.recorded, self.recorded.draw_group(rng), needed)
        return augment.change_speed(sound, speed, self.recorded.store.sample_rate)[:samples], names

    def _make(
        self, rng: np.random.Generator, for_speed: np.random.Generator, kind: NoiseKind, excluded: int, samples: int
    ) -> tuple[np.ndarray, list[str]]:
        if kind == "recorded":
            return self._recorded(rng, for_speed, samples)
        if kind == "synthetic":
            sound, name = synthetic.noise(rng, samples, self.recorded.store.sample_rate)
            return sound, [name]
        if kind == "procedural":
            sound, name = procedural.noise(rng, samples, self.recorded.store.sample_rate)
            return sound, [name]
        fewest, most = self.config.babble_talkers
        talkers = 1 if kind == "talker" else int(rng.integers(fewest, most + 1))
        return babble_of(rng, self.voices, talkers, excluded, samples, self.config.pause_s)


def _added(first: np.ndarray, second: np.ndarray, db: float, sample_rate: int) -> np.ndarray:
    """Both, the second at `db` against the first where each is active; the one of them that is not silent."""
    powers = [
        mean_power(each, active(each)) for each in (frame_powers(sound, sample_rate) for sound in (first, second))
    ]
    if min(powers) <= 0:
        return first if powers[0] else second
    return first + second * np.float32(math.sqrt(powers[0] / powers[1]) * amplitude(db))
