"""Clips with one label or more -> mixtures with all their labels, each a pure function of (seed, epoch, index)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tinyse.config import Between
from tinyse.errors import InputError
from tinyse.mixtures.config import DecibelRange, check_ranges, check_seconds
from tinyse.mixtures.levels import PEAK, active, amplitude, frame_powers, mean_power
from tinyse.mixtures.sources import active_span, faded
from tinyse.recordings.labeled import LabeledData
from tinyse.recordings.store import AudioStore

_Clips = Annotated[int, Between(1, 64)]


@dataclass(frozen=True)
class LabeledMixtureConfig:
    """How clips become a mixture. A range is (lowest, highest), drawn evenly between."""

    clips: tuple[_Clips, _Clips] = (1, 3)
    """Clips of a mixture; labels are united. 1 to 1 mixes nothing."""
    snr_db: DecibelRange = (-6.0, 6.0)
    """The first clip against each further one, powers of their active frames."""
    level_db: DecibelRange = (-40.0, -15.0)
    """Level of the first clip's active frames, dB re full scale."""

    def __post_init__(self) -> None:
        check_ranges(self)


class LabeledMixer:
    """Makes `seconds` of sound and its labels; `mixer(epoch, index)` is the same in any process and any order.

    Of a clip that is longer a part of its active span is taken; one that is shorter stands somewhere in the silence. Every
    set of labels is drawn as often as any other, and each clip of it.
    """

    def __init__(
        self,
        data: LabeledData,
        store: AudioStore,
        members: Sequence[int],
        config: LabeledMixtureConfig,
        seconds: float,
        seed: int,
    ) -> None:
        """`members` are the numbers of the clips to draw from."""
        check_seconds(seconds)
        if not members:
            raise InputError("there are no clips to mix: name folds that have some")
        self.samples, self.config, self.seed, self.store = round(seconds * store.sample_rate), config, seed, store
        self.data_hash = store.data_hash
        place = {name: index for index, name in enumerate(data.classes)}
        self._labels = np.zeros((len(data.clips), len(data.classes)), np.float32)
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number in members:
            clip = data.clips[number]
            groups[clip.labels].append(number)
            self._labels[number, [place[label] for label in clip.labels]] = 1
        self._groups = [groups[labels] for labels in sorted(groups)]

    def __call__(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Number `index` of an epoch: sound (samples,) and labels (classes,), 0 or 1, both float32."""
        config = self.config
        rng = np.random.default_rng((self.seed, epoch, index))
        sound, labels = np.zeros(self.samples, np.float32), np.zeros(self._labels.shape[1], np.float32)
        level_db = rng.uniform(*config.level_db)
        for number in range(rng.integers(config.clips[0], config.clips[1] + 1)):
            group = self._groups[rng.integers(len(self._groups))]
            member = group[rng.integers(len(group))]
            piece = self._piece(rng, member)
            powers = frame_powers(piece, self.store.sample_rate)
            power = mean_power(powers, active(powers))
            wanted_db = level_db - (rng.uniform(*config.snr_db) if number else 0.0)
            sound += piece * np.float32(amplitude(wanted_db) / math.sqrt(power) if power else 1.0)
            labels = np.maximum(labels, self._labels[member])
        return sound * np.float32(min(1.0, PEAK / max(float(np.abs(sound).max()), 1e-9))), labels

    def _piece(self, rng: np.random.Generator, member: int) -> np.ndarray:
        """The active part of a clip, cut or padded with silence to a mixture's length."""
        rate = self.store.sample_rate
        span = active_span(self.store.sound(member), rate)
        spare = len(span) - self.samples
        if spare >= 0:
            start = int(rng.integers(spare + 1))
            return faded(span[start : start + self.samples], start > 0, start < spare, rate)
        start = int(rng.integers(-spare + 1))
        piece = np.zeros(self.samples, np.float32)
        piece[start : start + len(span)] = faded(span, True, True, rate)
        return piece


class LabeledDataset:
    """One epoch as a sequence of (sound, labels), as `MixtureDataset` is one of (noisy, clean)."""

    def __init__(self, mixer: LabeledMixer, epoch: int, length: int) -> None:
        self.mixer, self.epoch, self.length = mixer, epoch, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < self.length:
            raise IndexError(index)
        return self.mixer(self.epoch, index)
