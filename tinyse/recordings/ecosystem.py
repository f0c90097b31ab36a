"""Manifests that other tools write: recordings and cuts of lhotse in JSON lines, and audio folders of Hugging Face.

Only what says where sound is and who speaks is taken. Such a file may be a stranger's: nothing in it is run (lhotse knows
sources that are commands), and what it lists is only ever read.

- lhotse (https://lhotse.readthedocs.io): `PREFIX_recordings_PART.jsonl.gz` or `PREFIX_cuts_PART.jsonl.gz`.
- audiofolder (https://huggingface.co/docs/datasets/audio_load): `metadata.csv` or `metadata.jsonl` with a column
  `file_name`, in the folder itself or in folders of it called train, validation and test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tinyse.documents import json_lines
from tinyse.errors import InputError
from tinyse.recordings.broken import LeftOut
from tinyse.recordings.layouts import Found
from tinyse.recordings.manifest import KINDS, LONGEST_SECONDS, UNKNOWN, Kind, Split, rows_of

SUFFIXES = (".jsonl", ".jsonl.gz")
_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
_KINDS: dict[str, Kind] = {"speech": "speech", "noise": "noise", "noises": "noise", "rir": "rir", "rirs": "rir"}
_WHOLE_SECONDS = 0.01
"""A cut that leaves out no more than this is the whole recording."""
SPEAKERS = ("speaker_id", "speaker", "client_id")
LABELS = ("label", "class", "category")
TEXTS = ("transcription", "transcript", "text", "sentence")


def is_lhotse(path: Path) -> bool:
    """Whether a file is called as lhotse calls its manifests."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def lhotse(path: Path, kind: Kind | None = None) -> tuple[list[Found], list[LeftOut]]:
    """The recordings of a lhotse manifest, and those left out.

    The kind is `kind`, else what the file's name says (`musan_recordings_noise.jsonl.gz`), else speech where there are
    supervisions; the split is what the file's name says. Raises InputError, with the line, for what is neither a recording nor
    a cut, and where the kind is not known.
    """
    words = re.split(r"[^a-z]+", path.name.lower())
    named = next((_KINDS[word] for word in words if word in _KINDS), None)
    split = next((_SPLITS[word] for word in words if word in _SPLITS), None)
    corpus = re.split(r"_(?:recordings|cuts)|\.jsonl", path.name)[0]
    found: dict[Path, Found] = {}
    left_out: list[LeftOut] = []
    for where, item in json_lines(path):
        recording, supervisions = _recording(item, where)
        chosen = kind or named or ("speech" if supervisions else None)
        if chosen is None:
            raise InputError(f"{where}: nothing says whether this is speech, noise or rir: use tinyse data scan --kind, or a "
                             "file name such as musan_recordings_noise.jsonl.gz")  # fmt: skip
        place, reason = _place(path.parent, item, recording, where)
        if reason:
            left_out.append(LeftOut(where, reason))
            continue
        speakers = {str(each.get("speaker") or "") for each in supervisions if isinstance(each, dict)}
        speaker = speakers.pop() if chosen == "speech" and len(speakers) == 1 else ""
        name = _text(recording, "id", where) or place.stem
        found[place] = Found(
            place,
            chosen,
            split,
            f"{corpus}_{speaker}" if speaker else "",
            "" if chosen == "speech" else place.parent.name,
            f"{corpus}:{name}",
            corpus,
            seconds=_seconds(recording, where),
        )
    if not found:
        raise InputError(
            f"{path}: it lists no recordings that can be used" + (f"; the first: {left_out[0]}" if left_out else "")
        )
    return list(found.values()), left_out


def _recording(item: dict[str, Any], where: str) -> tuple[dict[str, Any], list[Any]]:
    """A line's recording and what is said about its content."""
    if "sources" in item:
        return item, []
    if "recording_id" in item:
        raise InputError(f"{where}: this is a supervision, which has no sound: name the recordings or the cuts")
    recording, supervisions = item.get("recording"), item.get("supervisions", [])
    if not isinstance(recording, dict) or not isinstance(supervisions, list):
        raise InputError(f"{where}: neither a recording nor a cut of lhotse with a recording in it")
    return recording, supervisions


def _place(folder: Path, item: dict[str, Any], recording: dict[str, Any], where: str) -> tuple[Path, str]:
    """The file of a recording, and why it cannot be used, empty where it can."""
    sources = recording.get("sources")
    if not isinstance(sources, list) or not sources or not all(isinstance(each, dict) for each in sources):
        raise InputError(f"{where}: the recording has no sources")
    if len(sources) > 1:
        return folder, "its channels are in several files"
    if sources[0].get("type") != "file":
        return folder, f"its source is of the type {str(sources[0].get('type'))[:20]!r}; only files are read"
    if recording.get("transforms"):
        return folder, "it is to be transformed (speed, volume, ...): save its sound with lhotse first"
    seconds, start = _seconds(recording, where), item.get("start", 0)
    if "recording" in item and (start != 0 or abs(_seconds(item, where) - seconds) > _WHOLE_SECONDS):
        return folder, "it is a part of its recording: save the cuts with CutSet.save_audios first"
    name = _text(sources[0], "source", where)
    if not name or "\0" in name:
        raise InputError(f"{where}: the recording's source is {name!r}")
    # lhotse means the folder that it runs in.
    return (folder / name if (folder / name).is_file() else Path(name)).absolute(), ""


def _seconds(values: dict[str, Any], where: str) -> float:
    seconds = values.get("duration")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise InputError(f"{where}: {seconds!r} is not a duration")
    if not abs(seconds) <= LONGEST_SECONDS:
        raise InputError(f"{where}: a duration of more than {LONGEST_SECONDS:g} s is not possible")
    return float(seconds)


def _text(values: dict[str, Any], key: str, where: str) -> str:
    text = values.get(key) or ""
    if not isinstance(text, str):
        raise InputError(f"{where}: {key} is {str(text)[:40]!r}, not a text")
    return text


def metadata_of(folder: Path) -> list[Path]:
    """The metadata files of an audio folder; none where it is not one."""
    places = [folder, *(folder / name for name in _SPLITS), *(folder / "data" / name for name in ("", *_SPLITS))]
    paths = [place / name for place in places for name in ("metadata.jsonl", "metadata.csv")]
    return [path for path in paths if path.is_file() and _has_file_names(path)]


def _has_file_names(path: Path) -> bool:
    with open(path, "rb") as file:
        return b"file_name" in file.readline(1 << 16)


def audiofolder(folder: Path, kind: Kind | None = None) -> Iterator[Found]:
    """The files of an audio folder.

    The kind is `kind`, else the column `kind`, else speech where there is a column of speakers or of texts, else noise where
    there is one of classes. Raises InputError, with the line, for a path that leads out of the folder, and where the kind is
    not known.
    """
    for path in metadata_of(folder):
        for where, row in json_lines(path) if path.suffix == ".jsonl" else rows_of(path, ("file_name",)):
            name = _text(row, "file_name", where)
            place = PurePosixPath(name)
            if not name or place.is_absolute() or ".." in place.parts or "\0" in name:
                raise InputError(f"{where}: the file_name {name!r} leads out of the folder")
            chosen = kind or row.get("kind") or _kind_by(row)
            if chosen not in KINDS:
                raise InputError(f"{where}: nothing says whether this is speech, noise or rir: use tinyse data scan --kind, or "
                                 "a column kind")  # fmt: skip
            parts = (path.parent / place).relative_to(folder).parts
            split = next((_SPLITS[part] for part in parts[:2] if part in _SPLITS), None)
            speaker = _first(row, SPEAKERS) if chosen == "speech" else ""
            label = "" if chosen == "speech" else _first(row, LABELS) or chosen
            corpus = folder.name
            yield Found(
                path.parent / place,
                chosen,
                split,
                f"{corpus}_{speaker}" if speaker else "",
                label,
                f"{corpus}:{'/'.join(parts)}",
                corpus,
                _first(row, ("license",)) or UNKNOWN,
            )


def _kind_by(row: dict[str, Any]) -> Kind | None:
    if any(name in row for name in (*SPEAKERS, *TEXTS)):
        return "speech"
    return "noise" if any(name in row for name in LABELS) else None


def _first(row: dict[str, Any], names: tuple[str, ...]) -> str:
    """What the first of these columns says; classes may be numbers."""
    return next((str(row[name]) for name in names if row.get(name) not in (None, "")), "")
