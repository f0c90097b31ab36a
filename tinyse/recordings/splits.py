"""Train, valid and test: drawn by voice or source recording, and refused where one of these is in two of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from tinyse.errors import InputError
from tinyse.recordings.manifest import SPLITS, Kind, Recording, Split

FRACTIONS: Mapping[Split, float] = {"train": 0.8, "valid": 0.1, "test": 0.1}
"""How much of a data set without splits of its own goes where, as shares of its voices or source recordings."""

_DRAWN: tuple[Kind, ...] = ("speech", "noise")
"""The kinds that have splits; impulse responses all serve training."""
_Name = tuple[str, str]
"""What is named, a speaker or a source recording, and its name."""


class _Union(NamedTuple):
    """Recordings that must be in one split: a chain of speakers and source recordings joins them."""

    drawn_by: str
    """The first of their groups; most have one only."""
    key: _Name


def draw_splits(names: Iterable[str], fractions: Mapping[Split, float] = FRACTIONS) -> dict[str, Split]:
    """A split for every name (of a speaker, of a source), by the hash of the name.

    A name keeps its split when others come or go, so last year's test voice does not slip into this year's training.
    Only in a set so small that a wanted split would be empty is the name nearest to it moved there; however few there are,
    one trains.
    """
    wanted = [split for split in SPLITS if fractions.get(split, 0) > 0]
    total = sum(fractions[split] for split in wanted)
    if not wanted or any(fraction < 0 for fraction in fractions.values()):
        raise InputError(f"the fractions of the splits are {dict(fractions)}: expected positive numbers")
    drawn: dict[str, Split] = {}
    for name in sorted(set(names), key=_position):
        reached = 0.0
        for split in wanted:
            reached += fractions[split] / total
            if _position(name) < reached:
                break
        drawn[name] = split
    for split in wanted:
        counts = {other: sum(value == other for value in drawn.values()) for other in wanted}
        largest = max(wanted, key=lambda other: counts[other])
        if not counts[split] and counts[largest] > (0 if split == wanted[0] else 1):
            donors = [name for name in drawn if drawn[name] == largest]
            drawn[donors[-1] if SPLITS.index(split) > SPLITS.index(largest) else donors[0]] = split
    return drawn


def draw_undecided(
    recordings: Sequence[Recording], undecided: Iterable[str], fractions: Mapping[Split, float] = FRACTIONS
) -> tuple[Recording, ...]:
    """The recordings with a split for those whose path is in `undecided`, each kind on its own; the others keep theirs.

    What shares a speaker or a source goes into one split: that of those in it that have one, else one that is drawn.
    Impulse responses serve training.
    """
    undecided = set(undecided)
    placed = list(zip(recordings, _unions(recordings), strict=True))
    splits = {union: each.split for each, union in placed if each.path not in undecided}
    for kind in _DRAWN:
        # What is drawn first goes before what is drawn later: speech and noise of one source stay together.
        mine = (union for each, union in placed if each.kind == kind and each.path in undecided)
        splits = _drawn(mine, fractions) | splits
    return tuple(
        replace(each, split=splits.get(union, "train")) if each.path in undecided else each for each, union in placed
    )


def with_splits(
    recordings: Sequence[Recording], undecided: Iterable[str], fractions: Mapping[Split, float] = FRACTIONS
) -> tuple[Recording, ...]:
    """The recordings with their splits settled, each kind on its own.

    Those whose path is in `undecided` are drawn into all three. Where a data set has a train set but no valid set, that
    is drawn out of train, by speaker and source too. Impulse responses all serve training.
    """
    recordings = draw_undecided(recordings, undecided, fractions)
    unions = _unions(recordings)
    there = {(each.kind, each.split) for each in recordings}
    moved: dict[_Union, Split] = {}
    for kind in _DRAWN:
        if (kind, "train") in there and (kind, "valid") not in there and fractions.get("valid", 0) > 0:
            parts: dict[Split, float] = {"train": fractions.get("train", 0), "valid": fractions["valid"]}
            mine = (u for each, u in zip(recordings, unions, strict=True) if (each.kind, each.split) == (kind, "train"))
            moved = _drawn(mine, parts) | moved
    return tuple(
        replace(each, split=moved.get(union, "train")) if each.split == "train" or each.kind == "rir" else each
        for each, union in zip(recordings, unions, strict=True)
    )


def find_leaks(recordings: Sequence[Recording]) -> list[str]:
    """A line for every speaker and every source recording that is in two splits, with a file of each.

    Impulse responses are left out: two rooms of one building give a denoiser nothing to memorize.
    """
    seen: dict[_Name, dict[Split, str]] = defaultdict(dict)
    for recording in recordings:
        for name in _names(recording):
            seen[name].setdefault(recording.split, recording.path)
    return [
        f"the {what} {name!r} is in " + " and in ".join(f"{split} ({path})" for split, path in sorted(files.items()))
        for (what, name), files in seen.items()
        if len(files) > 1
    ]


def check_leaks(recordings: Sequence[Recording]) -> None:
    """Raise InputError, by name, if a speaker or source recording is in two splits: scores on it would be flattered."""
    leaks = find_leaks(recordings)
    if leaks:
        more = f" (and {len(leaks) - 1} more such)" if len(leaks) > 1 else ""
        raise InputError(f"{leaks[0]}{more}: put all of it in one split")


def _names(recording: Recording) -> list[_Name]:
    """What all recordings that share it must be in one split for."""
    speaker = recording.speaker if recording.kind == "speech" else ""
    source = recording.source if recording.kind != "rir" else ""
    return [(what, name) for what, name in (("speaker", speaker), ("source recording", source)) if name]


def _unions(recordings: Sequence[Recording]) -> list[_Union]:
    """Of each recording the union that it is in."""
    above: dict[_Name, _Name] = {}

    def top(name: _Name) -> _Name:
        while (higher := above.setdefault(name, name)) != name:
            above[name] = name = above[higher]  # a shorter way for the next time
        return name

    names = [_names(recording) or [("file", recording.path)] for recording in recordings]
    for first, *others in names:
        for other in others:
            above[top(other)] = top(first)
    tops = [top(first) for first, *_ in names]
    drawn_by: dict[_Name, str] = {}
    for recording, key in zip(recordings, tops, strict=True):
        drawn_by[key] = min(recording.group, drawn_by.get(key, recording.group))
    return [_Union(drawn_by[key], key) for key in tops]


def _drawn(unions: Iterable[_Union], fractions: Mapping[Split, float]) -> dict[_Union, Split]:
    unions = set(unions)
    drawn = draw_splits((union.drawn_by for union in unions), fractions)
    return {union: drawn[union.drawn_by] for union in unions}


def _position(name: str) -> float:
    """A place in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
