"""A manifest: the recordings of a data set, one row per file, with kind, voice or source, license and split."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tinyse.config import FORMER
from tinyse.errors import InputError
from tinyse.files import write_csv

Kind = Literal["speech", "noise", "rir"]
Split = Literal["train", "valid", "test"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SPLITS: tuple[Split, ...] = get_args(Split)

MANIFEST, ATTRIBUTIONS = "manifest.csv", "ATTRIBUTIONS.md"
"""What commands that fetch or synthesize sound write beside it; the second names whom its licenses ask to be named."""
UNKNOWN = "unknown"
"""The license of recordings for which none is stated, and the speaker of those whose talkers nobody told apart."""
SHORTEST_SECONDS, LONGEST_SECONDS = 1e-6, 1e9
"""The bounds of a recording: a manifest counts microseconds, and sums must stay finite."""


@dataclass(frozen=True)
class Recording:
    """One file of sound and what is known about it."""

    path: str
    """Relative to the manifest's root, with forward slashes."""
    seconds: float
    kind: Kind
    split: Split
    speaker: str = ""
    """Who speaks, unique over all corpora (`corpus_id`); empty where unknown. A speaker is in one split only. `unknown`, or a
    name that ends in `_unknown`, stands for several whom nobody told apart, and who stay together."""
    label: str = ""
    """Class of a noise ("rain") or name of a room."""
    source: str = ""
    """The original recording this was cut from; all that comes from one source is in one split only."""
    corpus: str = ""
    license: str = UNKNOWN
    ship: bool = False
    """Whether the license lets weights trained on it be released. False where this is unknown."""
    minus: str = ""
    """A file, named as `path` is, that is taken away from this one sample by sample: clean speech from the same in noise
    leaves the noise. Empty where nothing is."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"{self.path}: the kind is {self.kind!r}, known are {', '.join(KINDS)}")
        if self.split not in SPLITS:
            raise InputError(f"{self.path}: the split is {self.split!r}, known are {', '.join(SPLITS)}")
        if "\0" in self.path or "\0" in self.minus:
            raise InputError(f"{self.path!r}: a path cannot hold the character 0")
        if not SHORTEST_SECONDS <= self.seconds <= LONGEST_SECONDS:
            raise InputError(f"{self.path}: a length of {self.seconds} s is not possible")

    @property
    def group(self) -> str:
        """What must not be torn apart between splits: the speaker, else the source, else the file itself."""
        return (self.speaker if self.kind == "speech" else "") or self.source or self.path

    @property
    def voice(self) -> str:
        """Who is heard, as mixing and counting need it: the speaker, or the source, else the file itself, where nobody knows
        who speaks."""
        nobody = not self.speaker or f"_{self.speaker}".casefold().endswith(f"_{UNKNOWN}")
        return (self.source or self.path) if nobody else self.speaker


COLUMNS = tuple(column.name for column in fields(Recording))
_REQUIRED = ("path", "seconds", "kind", "split")


@dataclass(frozen=True)
class Manifest:
    """The recordings under a root folder, in an order that does not depend on the machine."""

    root: Path
    recordings: tuple[Recording, ...]
    notices: tuple[str, ...] = ()
    """What the user should know about the files: those left out, splits that came out empty."""
    undecided: tuple[str, ...] = field(default=(), kw_only=True)
    """Paths of recordings whose split a CSV leaves empty: it is drawn when the data set is opened."""

    def select(
        self, kind: Kind | None = None, split: Split | None = None, ship: bool | None = None
    ) -> tuple[Recording, ...]:
        """The recordings of this kind, split and `ship`; None takes all of them."""
        return tuple(
            recording
            for recording in self.recordings
            if kind in (None, recording.kind) and split in (None, recording.split) and ship in (None, recording.ship)
        )

    def has(self, kind: Kind, split: Split, ship: bool | None = None) -> bool:
        """Whether there are any such recordings."""
        return bool(self.select(kind, split, ship))

    def licensed(self, license: str, ship: bool) -> Manifest:
        """The same with `license` and `ship` for the recordings that no layout or manifest stated a license for."""
        stated = (
            replace(each, license=license, ship=ship) if each.license == UNKNOWN else each for each in self.recordings
        )
        return replace(self, recordings=tuple(stated))

    def write(self, path: str | Path) -> None:
        """Write a CSV, with paths relative to its folder: data and manifest may move together.

        Of a link to a file that is the link's folder, as for `read`.
        """
        root, start, rows = self.root.resolve(), Path(path).parent.resolve(), []
        for recording in self.recordings:
            places = {
                name: Path(os.path.relpath(root / place, start)).as_posix() if place else ""
                for name, place in (("path", recording.path), ("minus", recording.minus))
            }
            rows.append(
                asdict(recording)
                | {**places, "seconds": f"{recording.seconds:.6f}", "ship": "yes" if recording.ship else "no"}
            )
        write_csv(path, COLUMNS, rows)

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """The manifest in a CSV with the columns of `Recording`; other columns are ignored. Recordings with an empty split
        are in train, and `undecided`.

        Raises InputError for a missing column or, with its line number, a row that makes no sense.
        """
        path = Path(path)
        rows = [(where, row, not row["split"].strip()) for where, row in rows_of(path, _REQUIRED)]
        recordings = tuple(
            recording_from(row | {"split": "train"} if left else row, where) for where, row, left in rows
        )
        if not recordings:
            raise InputError(f"{path}: the manifest lists no recordings")
        root = path.parent
        if not all(_is_below(each.path) and _is_below(each.minus) for each in recordings):
            # "../" of a linked folder leads out of where the link points, as for the system that opens the file.
            root, recordings = _under_one_root([(path.parent.resolve(), each) for each in recordings])
        undecided = tuple(each.path for each, (_, _, left) in zip(recordings, rows, strict=True) if left)
        return cls(root, recordings, undecided=undecided)

    def summary(self) -> list[dict[str, Any]]:
        """A row per kind and split: files, hours, speakers or classes, licenses and the hours that may ship."""
        rows = []
        for kind in KINDS:
            for split in SPLITS:
                chosen = self.select(kind, split)
                if not chosen:
                    continue
                names = {r.voice for r in chosen} if kind == "speech" else {r.label for r in chosen}
                rows.append(
                    {
                        "kind": kind,
                        "split": split,
                        "files": len(chosen),
                        "hours": round(hours(chosen), 3),
                        "ship_hours": round(hours([r for r in chosen if r.ship]), 3),
                        "speakers" if kind == "speech" else "classes": len(names),
                        "licenses": sorted({r.license for r in chosen}),
                        "corpora": sorted({r.corpus for r in chosen if r.corpus}),
                    }
                )
        return rows


def present_in(path: Path) -> dict[str, Recording]:
    """The recordings of the manifest at `path` whose files are there, by path; none where there is no manifest."""
    if not path.is_file():
        return {}
    manifest = Manifest.read(path)
    return {each.path: each for each in manifest.recordings if (manifest.root / each.path).is_file()}


def refuse_to_lose(path: Path, corpora: Collection[str]) -> None:
    """Raise InputError where a manifest at `path`, which one of `corpora` is about to replace, lists files of others."""
    for each in present_in(path).values():
        if each.corpus not in corpora:
            whose = f"the corpus {each.corpus!r}" if each.corpus else "no corpus"
            raise InputError(f"{path} would be overwritten, and lists {each.path} of {whose}: give another --output, "
                             "or rename it; data may be a list of manifests")  # fmt: skip


def hours(recordings: Sequence[Recording]) -> float:
    """Hours of sound in the recordings."""
    return sum(recording.seconds for recording in recordings) / 3600


def join(manifests: Sequence[Manifest]) -> Manifest:
    """One manifest of several, its root the folder that holds all of theirs."""
    if len(manifests) == 1:
        return manifests[0]
    placed = [(manifest.root, recording) for manifest in manifests for recording in manifest.recordings]
    notices = tuple(notice for manifest in manifests for notice in manifest.notices)
    return Manifest(*_under_one_root(placed), notices)


def _under_one_root(placed: Sequence[tuple[Path, Recording]]) -> tuple[Path, tuple[Recording, ...]]:
    """The folder that all files are in, and the recordings, whose paths began at a folder each, with paths from there:
    what is cached is keyed so."""
    places = [
        [os.path.abspath(folder / place) if place else "" for place in (each.path, each.minus)]
        for folder, each in placed
    ]
    root = Path(os.path.commonpath([os.path.dirname(place) for both in places for place in both if place]))
    below = [[Path(place).relative_to(root).as_posix() if place else "" for place in both] for both in places]
    return root, tuple(
        replace(each, path=path, minus=minus) for (path, minus), (_, each) in zip(below, placed, strict=True)
    )


def _is_below(path: str) -> bool:
    return not Path(path).is_absolute() and ".." not in Path(path).parts


def rows_of(path: Path, required: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV, each with its place for messages. Raises InputError where it lacks a required column,
    and for a row that is longer than the header: a comma in a name would move its cells."""
    if not path.is_file():
        raise InputError(f"cannot read the manifest {path}: no such file")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames:
                reader.fieldnames = [FORMER.get(name, name) for name in reader.fieldnames]
            missing = [name for name in required if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path}: not a manifest, it lacks the column {missing[0]!r}")
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if any(row.pop(None, ())):
                    raise InputError(
                        f"{where}: it has more cells than the header: put what has a comma in it in quotes"
                    )
                yield where, {key: value or "" for key, value in row.items() if key}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the manifest {path}: {error}") from error


def recording_from(row: dict[str, str], where: str) -> Recording:
    """A recording from a CSV's row of strings. Raises InputError that names `where`."""
    values: dict[str, Any] = {name: row[name] for name in COLUMNS if name in row}
    try:
        values["seconds"] = float(row["seconds"])
    except ValueError as error:
        raise InputError(f"{where}: {row['seconds']!r} is not a number of seconds") from error
    ship = row.get("ship", "").strip().lower()
    if ship not in ("", "yes", "no"):
        raise InputError(f"{where}: ship is {ship!r}, expected yes or no")
    values["ship"] = ship == "yes"
    values["license"] = row.get("license", "").strip() or UNKNOWN
    if not row["path"]:
        raise InputError(f"{where}: the path is empty")
    try:
        return Recording(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
