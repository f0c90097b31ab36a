"""Recordings that are arrays, for tests of mixing that need no files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinyse.mixtures import Mixer, Mixture, MixtureConfig, synthetic
from tinyse.recordings import Recording

PLAIN = MixtureConfig().plain()


class Clips:
    """A store of arrays. A name is KIND/GROUP/SOURCE/NUMBER; a group is a speaker, a class of noise or a room."""

    notices: tuple[str, ...] = ()

    def __init__(self, sounds: Mapping[str, np.ndarray], sample_rate: int = 16000, corpus: str = "") -> None:
        self.sounds, self.sample_rate = [np.float32(sound) for sound in sounds.values()], sample_rate
        self.data_hash = "+".join(sounds)
        rows = []
        for name, sound in sounds.items():
            kind, group, source, _ = name.split("/")
            facts = {"speaker": group} if kind == "speech" else {"label": group, "source": source}
            rows.append(Recording(name, len(sound) / sample_rate, kind, "train", corpus=corpus or group, **facts))
        self.recordings = tuple(rows)

    def __len__(self) -> int:
        return len(self.sounds)

    def length(self, i: int) -> int:
        return len(self.sounds[i])

    def sound(self, i: int, start: int = 0, frames: int | None = None) -> np.ndarray:
        return self.sounds[i][start : None if frames is None else start + frames].copy()

    def read(self, i: int) -> np.ndarray:
        return np.int16(np.round(self.sounds[i] * 32767))


def hiss(seed: int, seconds: float = 0.5, rate: int = 16000, level: float = 0.05) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def tone(hz: float, seconds: float = 0.5, rate: int = 16000, level: float = 0.1) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def voices(count: int = 8, seconds: float = 0.5, rate: int = 16000) -> Clips:
    """Tones of 200 Hz and up."""
    return Clips({f"speech/{i}/a/0": tone(200 + 40 * i, seconds, rate) for i in range(count)}, rate)


def rustle(count: int = 5, seconds: float = 0.5, rate: int = 16000) -> Clips:
    """Steady noise of several classes, so that an SNR comes out as it is asked for."""
    return Clips({f"noise/{i}/a/0": hiss(i, seconds, rate) for i in range(count)}, rate)


def halls(rate: int = 16000, names: tuple[str, ...] = ("hall", "cave")) -> Clips:
    rooms = {name: 0.9 * synthetic.room(np.random.default_rng(0), 0.3, rate) for name in names}
    return Clips({f"rir/{name}/a/0": response for name, response in rooms.items()}, rate)


def mixtures(
    config: MixtureConfig, count: int, seconds: float = 0.25, speech=None, noise=None, rooms=None, **options
) -> list[Mixture]:
    mixer = Mixer(speech or voices(), noise or rustle(), rooms, config, seconds, options.get("seed", 0))
    return [mixer(options.get("epoch", 0), index) for index in range(count)]
