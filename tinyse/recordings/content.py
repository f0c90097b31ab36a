"""Leaks by content: sound that is in two splits, or trained on and scored, under whatever names.

Equal samples are refused. Excerpts, other levels and other encodings are found by marks (`tinyse.recordings.analysis`) and
reported: a jingle that is in two recordings is no reason to stop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyse.audio import DEFAULT_RATE, from_pcm16, to_pcm16
from tinyse.errors import InputError
from tinyse.recordings.analysis import SILENT, analyze
from tinyse.recordings.manifest import SPLITS, Manifest, Split
from tinyse.recordings.parts import digest_of
from tinyse.recordings.shards import Shards
from tinyse.recordings.store import AudioStore

FEWEST = 10
"""Marks that must agree."""
SHARE = 0.1
"""Share of the shorter sound's marks that must agree."""
COMMON = 500
"""A mark in this many places tells nothing: mains hum has the same everywhere."""
HITS_AT_ONCE = 1_000_000
"""Equal marks that are counted at a time, or those of one sound: all of them grow with the square of the corpus."""
NAMED = 3
"""The most sounds that a notice names."""


@dataclass(frozen=True)
class Sound:
    """What is compared of a sound."""

    name: str
    place: str
    """The split that it is in, or "the scored pairs"."""
    digest: str
    marks: np.ndarray
    """uint32 (marks, 2)."""

    @classmethod
    def of(cls, name: str, place: str, samples: np.ndarray, sample_rate: int = DEFAULT_RATE) -> Sound | None:
        """Of mono sound, float32 (samples,); None where it is silent and so the same as any other silence."""
        pcm = to_pcm16(samples)
        analysis = analyze(from_pcm16(pcm), False, sample_rate)
        if SILENT in analysis.faults:
            return None
        return cls(name, place, digest_of(pcm), analysis.marks)


def sounds_of(
    manifest: Manifest,
    splits: Sequence[Split] = SPLITS,
    ship: bool | None = None,
    cache_directory: str | Path | None = None,
    sample_rate: int = DEFAULT_RATE,
) -> tuple[list[Sound], list[str]]:
    """Speech and noise of these splits, decoded or from the cache, and the notices. `ship` True trains only on what may."""
    sounds: list[Sound] = []
    notices: list[str] = []
    for split in splits:
        for kind in ("speech", "noise"):
            recordings = manifest.select(kind, split, ship if split == "train" else None)
            if not recordings:
                continue
            store = AudioStore.build(manifest.root, recordings, cache_directory, sample_rate=sample_rate)
            notices += store.notices
            sounds += [
                Sound(entry.recording.path, split, entry.digest, entry.read_marks())
                for entry in store.entries
                if SILENT not in entry.notices
            ]
    return sounds, notices


def check_splits(manifest: Manifest, ship: bool | None = None, sample_rate: int = DEFAULT_RATE) -> list[str]:
    """Raise InputError, by name, where the same sound is in two splits; returns a line for what seems to be of one.

    Shards were checked for the same sound when they were packed, and keep no marks.
    """
    if isinstance(manifest, Shards):
        return []
    sounds, _ = sounds_of(manifest, SPLITS, ship, sample_rate=sample_rate)
    refuse_same(sounds)
    trained = [sound for sound in sounds if sound.place == "train"]
    return remarks_on(trained, [sound for sound in sounds if sound.place != "train"])


def refuse_same(sounds: Iterable[Sound]) -> None:
    """Raise InputError, by name, where the same samples are in two places."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for sound in sounds:
        found[sound.digest].setdefault(sound.place, sound.name)
    leaks = [places for places in found.values() if len(places) > 1]
    if leaks:
        (first, name), (second, other), *_ = leaks[0].items()
        more = f" ({len(leaks)} such sounds)" if len(leaks) > 1 else ""
        raise InputError(
            f"the same sound is in {first} as {name} and in {second} as {other}{more}: take it out of one of them"
        )


def remarks_on(trained: Sequence[Sound], others: Sequence[Sound]) -> list[str]:
    """A line for each place in which sounds seem to be parts or other encodings of what is trained on."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for other, one in _alike(trained, others):
        if one.digest != other.digest:
            found[other.place].append((other.name, one.name))
    return [
        f"{len(pairs)} sounds in {place} seem to be excerpts or other encodings of what is trained on: "
        + ", ".join(f"{name} of {origin}" for name, origin in pairs[:NAMED])
        + (", ..." if len(pairs) > NAMED else "")
        + "; a manifest keeps one recording's together: the same source, an empty split (tinyse data scan --output)"
        for place, pairs in sorted(found.items())
    ]


def _alike(trained: Sequence[Sound], others: Sequence[Sound]) -> list[tuple[Sound, Sound]]:
    """Each of `others` with the one of `trained` that it shares most marks with, where these are enough."""
    marks, owner = _joined(trained)
    order = np.argsort(marks[:, 0], kind="stable")
    numbers, times, owner = marks[order, 0], marks[order, 1].astype(np.int64), owner[order]
    asked, asker = _joined(others)
    first = np.searchsorted(numbers, asked[:, 0], "left")
    count = np.searchsorted(numbers, asked[:, 0], "right") - first
    count[count > COMMON] = 0
    before = np.cumsum(count) - count
    group = before[np.searchsorted(asker, asker)] // HITS_AT_ONCE  # an asker's marks are all in one
    best: dict[int, tuple[int, int]] = {}
    for part in np.split(np.arange(len(asked)), np.flatnonzero(np.diff(group)) + 1):
        which = np.repeat(part, count[part])
        hit = np.arange(len(which)) + before[part[:1]] - before[which] + first[which]
        # One number for who, whose and the distance in time; a distance is counted together with the next one.
        pair = asker[which] * max(len(trained), 1) + owner[hit]
        apart = times[hit] - asked[which, 1].astype(np.int64)
        keys, votes = np.unique((pair << 24) + apart + (1 << 23), return_counts=True)
        together = votes.copy()
        together[:-1] += np.where(np.diff(keys) == 1, votes[1:], 0)
        for key, agreeing in zip((keys >> 24)[together >= FEWEST], together[together >= FEWEST], strict=True):
            asking, owning = divmod(int(key), max(len(trained), 1))
            enough = SHARE * min(len(others[asking].marks), len(trained[owning].marks))
            if agreeing >= enough and int(agreeing) > best.get(asking, (0, 0))[0]:
                best[asking] = int(agreeing), owning
    return [(others[asking], trained[owning]) for asking, (_, owning) in sorted(best.items())]


def _joined(sounds: Sequence[Sound]) -> tuple[np.ndarray, np.ndarray]:
    """All marks (marks, 2), and of each the number of its sound."""
    marks = np.concatenate([np.zeros((0, 2), np.uint32), *(sound.marks for sound in sounds)])
    return marks, np.repeat(np.arange(len(sounds), dtype=np.int64), [len(sound.marks) for sound in sounds])
