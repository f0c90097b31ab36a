"""Clips with labels and folds, for tagging: which sounds are in a file, and in which part of the data it is.

Three layouts are known:

- `labels.csv` in a folder, or any .csv: columns path (relative to the CSV's folder, else to the one above), class and
  fold; several classes of a clip are joined by `;`, so no class has a comma or a `|` in its name
- ESC-50 (Piczak 2015): `meta/esc50.csv`, `audio/`
- SONYC-UST, the data of DCASE 2019 task 5 (Cartwright et al. 2019): `annotations.csv`, a row for each clip and annotator;
  the splits are the folds
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinyse import audio
from tinyse.config import did_you_mean
from tinyse.errors import InputError
from tinyse.recordings.broken import LEFT_OUT
from tinyse.recordings.layouts import sounds
from tinyse.recordings.manifest import Recording, rows_of
from tinyse.recordings.store import AudioStore

Level = Literal["fine", "coarse"]
"""Of SONYC-UST's taxonomy: 23 fine classes in 8 coarse ones."""
VERIFIED = "0"
"""The annotator of SONYC-UST whose rows were agreed on by its makers."""


@dataclass(frozen=True)
class LabeledClip:
    """A sound file and what is in it."""

    path: Path
    labels: tuple[str, ...]
    """Sorted; none where none of the classes is present."""
    fold: str


@dataclass(frozen=True)
class LabeledData:
    """A data set; `classes` are all it knows, in order, whether or not a clip has them."""

    classes: tuple[str, ...]
    clips: tuple[LabeledClip, ...]

    @property
    def folds(self) -> tuple[str, ...]:
        """Names of all folds, sorted."""
        return tuple(sorted({clip.fold for clip in self.clips}))

    def members(self, folds: Collection[str]) -> list[int]:
        """Numbers of the clips in these folds. Raises InputError for a fold that is not there."""
        for fold in folds:
            if fold not in self.folds:
                raise InputError(f"there is no fold {fold!r}{did_you_mean(fold, self.folds)}")
        return [number for number, clip in enumerate(self.clips) if clip.fold in folds]

    def open(self, cache_directory: str | Path | None = None, sample_rate: int = audio.DEFAULT_RATE) -> AudioStore:
        """The sound of all clips, in their order. Raises InputError where one of them cannot be decoded."""
        root = Path(*_common([clip.path.resolve().parent.parts for clip in self.clips]))
        recordings = [
            Recording(
                clip.path.resolve().relative_to(root).as_posix(), audio.duration(clip.path), "noise", "train",
                label="+".join(clip.labels),
            )
            for clip in self.clips
        ]  # fmt: skip
        store = AudioStore.build(root, recordings, cache_directory, sample_rate=sample_rate)
        if len(store) != len(recordings):
            raise InputError(f"{root}: {next(line for line in store.notices if line.startswith(LEFT_OUT))}")
        return store


def open_labeled(path: str | Path, level: Level = "coarse") -> LabeledData:
    """The clips of a folder in a known layout, or of a CSV; `level` is for SONYC-UST alone.

    Raises InputError where there is nothing of the kind, for a file that is missing and for a path that is there twice.
    """
    path = Path(path)
    for reader, table in (
        (_plain, path if path.suffix.lower() == ".csv" else path / "labels.csv"),
        (_esc50, path / "meta" / "esc50.csv"),
        (lambda table: _sonyc(table, level), path / "annotations.csv"),
    ):
        if table.is_file():
            data = reader(table)
            break
    else:
        raise InputError(f"{path}: no clips with labels; expected labels.csv (columns path, class, fold), ESC-50's "
                         "meta/esc50.csv or SONYC-UST's annotations.csv in it")  # fmt: skip
    if not data.clips:
        raise InputError(f"{table}: it lists no clips")
    seen = set()
    for clip in data.clips:
        if clip.path in seen:
            raise InputError(f"{table}: {clip.path} is listed twice")
        seen.add(clip.path)
        if not clip.path.is_file():
            raise InputError(f"{table}: there is no sound file {clip.path}")
    return data


def _plain(table: Path) -> LabeledData:
    clips = []
    for where, row in rows_of(table, ("path", "class", "fold")):
        labels = tuple(sorted({label.strip() for label in row["class"].split(";") if label.strip()}))
        if not row["path"] or not labels:
            raise InputError(f"{where}: a clip has a path and one class or more")
        if separator := next((each for each in ",|" if each in row["class"]), None):
            # Other tables join classes so; in some it is part of a name. A guess could make a class that was not meant.
            raise InputError(f"{where}: the class {row['class']!r} has {separator!r} in it; several classes are written "
                             f"{row['class'].replace(separator, ';')!r}, and the name of one has no such sign")  # fmt: skip
        places = [folder / row["path"] for folder in (table.parent, table.parent.parent)]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise InputError(f"{where}: there is no sound file {row['path']}, neither in {table.parent} nor in the folder "
                             "above it")  # fmt: skip
        clips.append(LabeledClip(found, labels, row["fold"]))
    return _with_classes(clips)


def _esc50(table: Path) -> LabeledData:
    folder = table.parent.parent / "audio"
    rows = rows_of(table, ("filename", "fold", "category"))
    return _with_classes([LabeledClip(folder / row["filename"], (row["category"],), row["fold"]) for _, row in rows])


_PRESENCE = {
    "coarse": re.compile(r"(\d+)_(.+)_presence"),
    # Classes X are "other" and "unknown" of a coarse one: they are not one sound that can be learned.
    "fine": re.compile(r"(\d+-\d+)_(.+)_presence"),
}


def _sonyc(table: Path, level: Level) -> LabeledData:
    """A class is there if the verified annotation says so, else if any annotator marked it (the challenge's baseline)."""
    found = {path.name: path for path in sounds(table.parent)}
    annotations: dict[str, dict[str, set[str]]] = {}
    folds: dict[str, str] = {}
    columns: dict[str, str] = {}
    for where, row in rows_of(table, ("split", "audio_filename", "annotator_id")):
        if not columns:
            matches = {name: _PRESENCE[level].fullmatch(name) for name in row}
            columns = {name: f"{match[1]}_{match[2]}" for name, match in matches.items() if match}
            if not columns:
                raise InputError(f"{table}: it has no columns of {level} classes, such as 1_engine_presence")
        name = row["audio_filename"]
        if name not in found:
            raise InputError(f"{where}: there is no sound file {name} below {table.parent}")
        folds[name] = row["split"]
        present = {label for column, label in columns.items() if row[column] not in ("", "0", "-1")}
        annotations.setdefault(name, {})[row["annotator_id"]] = present
    clips = []
    for name, by_annotator in sorted(annotations.items()):
        verdicts = [by_annotator[VERIFIED]] if VERIFIED in by_annotator else list(by_annotator.values())
        clips.append(LabeledClip(found[name], tuple(sorted(set().union(*verdicts))), folds[name]))
    return LabeledData(tuple(sorted(columns.values())), tuple(clips))


def _with_classes(clips: list[LabeledClip]) -> LabeledData:
    return LabeledData(tuple(sorted({label for clip in clips for label in clip.labels})), tuple(clips))


def _common(paths: list[tuple[str, ...]]) -> Iterator[str]:
    """The parts that all paths begin with."""
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            return
        yield parts[0]
