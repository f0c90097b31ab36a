"""Train, valid and test: drawn by voice or source recording, and refused where one of these is in two of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tinyse.errors import InputError
from tinyse.recordings.manifest import KINDS, SPLITS, Recording, Split

FRACTIONS: Mapping[Split, float] = {"train": 0.8, "valid": 0.1, "test": 0.1}
"""How much of a data set without splits of its own goes where, as shares of its voices or source recordings."""


def draw_splits(names: Iterable[str], fractions: Mapping[Split, float] = FRACTIONS) -> dict[str, Split]:
    """A split for every name (of a speaker, of a source), by the hash of the name.

    A name keeps its split when others come or go, so last year's test voice does not slip into this year's training.
    Only in a set so small that a wanted split would be empty is the name nearest to it moved there; one name alone trains.
    """
    wanted = [split for split in SPLITS if fractions.get(split, 0) > 0]
    total = sum(fractions[split] for split in wanted)
    if not wanted or any(fraction < 0 for fraction in fractions.values()):
        raise InputError(f"the fractions of the splits are {dict(fractions)}: expected positive numbers")
    names = set(names)
    if len(names) == 1:
        return dict.fromkeys(names, wanted[0])
    drawn: dict[str, Split] = {}
    for name in sorted(names, key=_position):
        reached = 0.0
        for split in wanted:
            reached += fractions[split] / total
            if _position(name) < reached:
                break
        drawn[name] = split
    for split in wanted:
        counts = {other: sum(value == other for value in drawn.values()) for other in wanted}
        largest = max(wanted, key=lambda other: counts[other])
        if not counts[split] and counts[largest] > 1:
            donors = [name for name in drawn if drawn[name] == largest]
            drawn[donors[-1] if SPLITS.index(split) > SPLITS.index(largest) else donors[0]] = split
    return drawn


def with_splits(
    recordings: Sequence[Recording], undecided: Iterable[str], fractions: Mapping[Split, float] = FRACTIONS
) -> tuple[Recording, ...]:
    """The recordings with their splits settled, each kind on its own.

    Those whose path is in `undecided` are drawn into all three. Where a data set has a train set but no valid set, that
    is drawn out of train, by speaker too. Impulse responses all serve training.
    """
    undecided = set(undecided)
    settled: dict[str, Split] = {}
    for kind in KINDS:
        mine = [recording for recording in recordings if recording.kind == kind]
        if kind == "rir":
            settled |= {recording.path: "train" for recording in mine}
            continue
        drawn = draw_splits((r.group for r in mine if r.path in undecided), fractions)
        for recording in mine:
            settled[recording.path] = drawn[recording.group] if recording.path in undecided else recording.split
        train = [recording for recording in mine if settled[recording.path] == "train"]
        if train and fractions.get("valid", 0) > 0 and all(settled[r.path] != "valid" for r in mine):
            parts: dict[Split, float] = {"train": fractions.get("train", 0), "valid": fractions["valid"]}
            drawn = draw_splits((recording.group for recording in train), parts)
            settled |= {recording.path: drawn[recording.group] for recording in train}
    return tuple(replace(recording, split=settled[recording.path]) for recording in recordings)


def find_leaks(recordings: Sequence[Recording]) -> list[str]:
    """A line for every speaker and every source recording that is in two splits, with a file of each.

    Impulse responses are left out: two rooms of one building give a denoiser nothing to memorize.
    """
    seen: dict[tuple[str, str], dict[Split, str]] = defaultdict(dict)
    for recording in recordings:
        if recording.kind == "speech" and recording.speaker:
            seen["speaker", recording.speaker].setdefault(recording.split, recording.path)
        if recording.kind != "rir" and recording.source:
            seen["source recording", recording.source].setdefault(recording.split, recording.path)
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


def _position(name: str) -> float:
    """A place in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
