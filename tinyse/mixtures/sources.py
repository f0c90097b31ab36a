"""Where the sound of a mixture comes from: voices, noises and rooms drawn from stores of recordings."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from tinyse.mixtures.config import Range
from tinyse.mixtures.levels import active, frame_length, frame_powers
from tinyse.recordings.store import Sounds

FADES_A_SECOND = 200
"""A piece of sound is faded over 5 ms where it was cut: a splice must not click."""
LONGEST_SEARCH_SECONDS = 30
"""The most of one recording that is searched for its active part."""


class Population:
    """The recordings of a store in groups (a voice, a class of noise, a room), each in source recordings.

    A group is drawn in proportion to its seconds to a power, then a source evenly, then a piece of it evenly: four
    voices with hours and a hundred with a minute are drawn in proportion, and ten cuts of one rain are one rain. A corpus
    with a share of its own is drawn that often, whatever its groups are.
    """

    def __init__(
        self,
        store: Sounds,
        keys: Sequence[tuple[str, str]],
        power: float,
        shares: Mapping[str, float] | None = None,
        crowds: Sequence[str] = (),
    ) -> None:
        """`keys` gives the group and the source of each of the store's recordings, `shares` how often a corpus is drawn.
        `crowds` names those among whom nobody told the groups apart, "" where somebody did."""
        self.store = store
        shares = shares or {}
        found: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        seconds: dict[tuple[str, str], float] = defaultdict(float)
        for i, (group, source) in enumerate(keys):
            corpus = store.recordings[i].corpus
            key = group, corpus if corpus in shares else ""
            found[key][source].append(i)
            seconds[key] += store.length(i) / store.sample_rate
        # Sorted, so that a manifest in another order gives the same mixtures.
        groups = sorted(found)
        self.names = [name for name, _ in groups]
        self._members = [
            [sorted(members, key=lambda i: store.recordings[i].path) for _, members in sorted(found[key].items())]
            for key in groups
        ]
        weights = np.array([seconds[key] ** power for key in groups])
        if crowds:
            weights *= _in_crowds([crowds[members[0][0]] for members in self._members], power)
        self._reached = np.cumsum(_shared(weights, [corpus for _, corpus in groups], shares))
        self._reached /= self._reached[-1]

    @classmethod
    def voices(cls, store: Sounds, power: float, shares: Mapping[str, float] | None = None) -> Population:
        """Voices by speaker. A recording of an unknown speaker is a voice of its own, but nobody knows how many speakers
        there are: n recordings are drawn as often as the root of n voices would be."""
        items = store.recordings
        crowds = [f"{item.corpus}/{item.speaker}" if item.voice != item.speaker else "" for item in items]
        return cls(store, [(item.voice, item.path) for item in items], power, shares, crowds)

    @classmethod
    def labeled(cls, store: Sounds, power: float, shares: Mapping[str, float] | None = None) -> Population:
        """Recordings by class of noise or name of room."""
        return cls(store, [(item.label, item.source or item.path) for item in store.recordings], power, shares)

    def draw_group(self, rng: np.random.Generator) -> int:
        """The number of a group."""
        return min(int(np.searchsorted(self._reached, rng.random(), side="right")), len(self.names) - 1)

    def draw_member(self, rng: np.random.Generator, group: int) -> int:
        """The number in the store of a recording of the group."""
        sources = self._members[group]
        source = sources[rng.integers(len(sources))]
        return source[rng.integers(len(source))]


def _in_crowds(crowds: Sequence[str], power: float) -> np.ndarray:
    """The factors by which a crowd of n equal groups weighs as the root of n groups that have as much together, each its
    seconds to `power`."""
    counts = Counter(crowds)
    return np.array([counts[crowd] ** ((power - 1) / 2) if crowd else 1.0 for crowd in crowds])


def _shared(weights: np.ndarray, corpora: Sequence[str], shares: Mapping[str, float]) -> np.ndarray:
    """The weights of groups, those of each corpus scaled to its share; those of no such corpus, "", share the rest."""
    present = {corpus: shares[corpus] for corpus in corpora if corpus}
    totals = {**present, "": 1 - math.fsum(present.values())} if present else {}
    scaled = weights.copy()
    for corpus, share in totals.items():
        mine = np.array([each == corpus for each in corpora])
        if mine.any():
            scaled[mine] *= share / weights[mine].sum()
    return scaled if scaled.any() else weights


def speech_of(
    rng: np.random.Generator, voices: Population, group: int, samples: int, pause_s: Range
) -> tuple[np.ndarray, list[str]]:
    """`samples` samples of one voice, float32, and the paths: a part of a long recording, or several with pauses."""
    sound, rate = np.zeros(samples, dtype=np.float32), voices.store.sample_rate
    paths: list[str] = []
    place = 0
    while place < samples:
        i = voices.draw_member(rng, group)
        length = voices.store.length(i)
        start = 0
        if length < samples:
            place += int(rng.uniform(*pause_s) * rate)
        elif not paths:
            start = int(rng.integers(length - samples + 1))
        piece = voices.store.sound(i, start, max(samples - place, 0))
        end = start + len(piece)
        sound[place : place + len(piece)] = faded(piece, cut_before=start > 0, cut_after=end < length, sample_rate=rate)
        if len(piece):  # a pause may reach to the end
            paths.append(voices.store.recordings[i].path)
        # At least a frame further, however short the recording and the pause.
        place += max(len(piece), frame_length(rate))
    return sound, paths


def noise_of(rng: np.random.Generator, noises: Population, group: int, samples: int) -> tuple[np.ndarray, list[str]]:
    """`samples` samples of one class of noise, float32, and the paths: active parts of recordings, end to end.

    Clips that are a short event padded with silence would make most of a mixture clean, so the silence is cut away.
    """
    sound, rate = np.zeros(samples, dtype=np.float32), noises.store.sample_rate
    longest = LONGEST_SEARCH_SECONDS * rate
    paths: list[str] = []
    place = 0
    while place < samples:
        i = noises.draw_member(rng, group)
        length = noises.store.length(i)
        offset = int(rng.integers(max(length - longest, 0) + 1))
        piece = active_span(noises.store.sound(i, offset, longest), rate)
        spare = len(piece) - (samples - place)
        if spare > 0:
            start = int(rng.integers(spare + 1))
            piece = piece[start : start + samples - place]
        sound[place : place + len(piece)] = faded(piece, cut_before=place > 0, cut_after=spare < 0, sample_rate=rate)
        paths.append(noises.store.recordings[i].path)
        place += max(len(piece), frame_length(rate))
    return sound, paths


def babble_of(
    rng: np.random.Generator, voices: Population, talkers: int, excluded: int, samples: int, pause_s: Range
) -> tuple[np.ndarray, list[str]]:
    """`samples` samples of several voices at once, within 3 dB of each other, none of them the group `excluded`."""
    sound = np.zeros(samples, dtype=np.float32)
    paths: list[str] = []
    for group in _distinct(rng, voices, talkers, excluded):
        voice, spoken = speech_of(rng, voices, group, samples, pause_s)
        powers = frame_powers(voice, voices.store.sample_rate)
        frames = active(powers)
        if frames.any():
            sound += voice * np.float32(10 ** (rng.uniform(-3, 3) / 20) / np.sqrt(powers[frames].mean()))
        paths += spoken
    return sound, paths


def _distinct(rng: np.random.Generator, voices: Population, count: int, excluded: int) -> list[int]:
    """Up to `count` groups, weighted as the population is, without the group `excluded`."""
    taken = [excluded]
    while len(taken) <= min(count, len(voices.names) - 1):
        group = voices.draw_group(rng)
        if group in taken:
            # A voice with most of the weight may come again and again; then any other does: the one of this number among
            # those that are left.
            group = int(rng.integers(len(voices.names) - len(taken)))
            for other in sorted(taken):
                group += group >= other
        taken.append(group)
    return taken[1:]


def active_span(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """From the first to the last active frame; all of it where none is."""
    length = frame_length(sample_rate)
    frames = np.flatnonzero(active(frame_powers(sound, sample_rate)))
    if not len(frames):
        return sound
    # A tail shorter than a frame is not measured: it stays if what is before it is active.
    end = len(sound) if frames[-1] == len(sound) // length - 1 else (frames[-1] + 1) * length
    return sound[frames[0] * length : end]


def faded(piece: np.ndarray, cut_before: bool, cut_after: bool, sample_rate: int) -> np.ndarray:
    """The piece, faded at those ends where it was cut out of more sound."""
    piece, ramp = piece.copy(), _ramp(sample_rate // FADES_A_SECOND)
    fade = min(len(ramp), len(piece) // 2)
    if fade and cut_before:
        piece[:fade] *= ramp[:fade]
    if fade and cut_after:
        piece[-fade:] *= ramp[:fade][::-1]
    return piece


@lru_cache(maxsize=8)
def _ramp(samples: int) -> np.ndarray:
    return np.linspace(0, 1, samples, dtype=np.float32)
