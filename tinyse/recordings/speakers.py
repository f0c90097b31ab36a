"""Which folder is a speaker where folders are nested, and what about their names may hide one voice in two splits.

A voice in train and in test flatters every score, a voice too few is only a loss: so the first folder is the speaker
unless the user gives another level (right for speech/SPEAKER/SESSION; for speech/SESSION/SPEAKER a notice says so).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tinyse.recordings.manifest import Recording

Folders = tuple[str, ...]
"""The folders between speech/ (or its split) and a file."""
LEVEL = 1
"""Which of these folders is the speaker, counted from 1."""
EXAMPLES = 3


def speaker_of(folders: Folders, level: int = LEVEL) -> str:
    """The speaker's folder, the deepest one where there are fewer than `level`; empty where there is none."""
    return folders[min(level, len(folders)) - 1] if folders else ""


def level_remarks(places: Iterable[Folders], level: int = LEVEL) -> list[str]:
    """Which folders were taken as speakers, and what speaks against it."""
    known = [folders for folders in set(places) if folders]
    if not known:
        return []
    names = sorted({speaker_of(folders, level) for folders in known})
    other = "tinyse data scan --speaker-level takes another"  # these remarks are heard from other commands, too
    remarks = [f"speakers: the folders at level {level} below speech/ ({_some(names)}); {other}"]
    parents, below = defaultdict(set), defaultdict(set)
    for folders in known:
        parents[speaker_of(folders, level)].add("/".join(folders[: level - 1]))
        if len(folders) > level:
            below[folders[level]].add("/".join(folders[:level]))
    if len(names) == 1:
        deeper = f"; if the folders in it ({_some(sorted(below))}) are the speakers, use --speaker-level {level + 1}"
        remarks.append(f"there is one speaker only, so one split alone has speech{deeper if below else ''}")
    repeated = sorted(name for name, at in parents.items() if len(at) > 1)
    if repeated:
        places_of = " and ".join(sorted(parents[repeated[0]])[:2])
        remarks.append(f"a folder of the same name is the same speaker: {_some(repeated)}, as in {places_of}")
    repeated = sorted(name for name, at in below.items() if len(at) > 1)
    if repeated and len(names) > 1:
        places_of = " and ".join(sorted(below[repeated[0]])[:2])
        remarks.append(
            f"folders inside the speakers' repeat their names ({_some(repeated)}, as in {places_of}): if these are the "
            f"speakers, their voices are in several splits; use --speaker-level {level + 1}"
        )
    return remarks


def name_remarks(recordings: Sequence[Recording]) -> list[str]:
    """Speakers of different splits whose names, but for the corpus in front and capital letters, are the same."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for each in recordings:
        if each.kind == "speech" and each.speaker:
            name = each.speaker.removeprefix(f"{each.corpus}_") if each.corpus else each.speaker
            found[name.casefold()].setdefault(each.speaker, each.split)
    alike = {
        name: sorted(speakers)
        for name, speakers in found.items()
        # A bare number is another person in every corpus.
        if len(set(speakers.values())) > 1 and any(letter.isalpha() for letter in name)
    }
    return [
        f"the speakers {' and '.join(speakers)} have one name but are in different splits: if they are one person, write "
        "one name into the manifest"
        for _, speakers in sorted(alike.items())
    ]


def _some(names: Sequence[str]) -> str:
    more = f", ... {len(names)} in all" if len(names) > EXAMPLES else ""
    return ", ".join(names[:EXAMPLES]) + more
