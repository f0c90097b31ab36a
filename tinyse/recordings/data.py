"""From what a user points at (a manifest, a folder, shards) to a manifest that has been checked for leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tinyse import audio
from tinyse.errors import InputError
from tinyse.progress import track
from tinyse.recordings.layouts import LAYOUTS, Found, layout_of, plain
from tinyse.recordings.manifest import KINDS, SPLITS, Kind, Manifest, Recording, Split, join
from tinyse.recordings.splits import FRACTIONS, check_leaks, with_splits
from tinyse.recordings.store import NAMED, parts_in, recordings_in


def open_data(path: str | Path | Sequence[str | Path]) -> Manifest:
    """The manifest of a manifest's .csv, of a folder in any known layout (scanned now), or of a folder of shards.

    Several paths become one data set. Raises InputError if there is nothing usable, or if a speaker or source recording
    is in two splits.
    """
    if not isinstance(path, (str, Path)):
        return _open_several([Path(each) for each in path])
    path = Path(path)
    if path.is_file() and path.suffix.lower() == ".csv":
        manifest = Manifest.read(path)
    elif path.is_dir() and parts_in(path):
        manifest = Manifest(path, tuple(recordings_in(path)))
    else:
        return scan(path)
    check_leaks(manifest.recordings)
    return manifest


def _open_several(paths: Sequence[Path]) -> Manifest:
    if len(paths) == 1:
        return open_data(paths[0])
    for path in paths:
        if parts_in(path):
            raise InputError(f"{path}: a folder of shards is a data set of its own, it does not join others")
    manifest = join([open_data(path) for path in paths])
    check_leaks(manifest.recordings)
    return manifest


def scan(folder: str | Path, kind: Kind | None = None, fractions: Mapping[Split, float] = FRACTIONS) -> Manifest:
    """The manifest of a folder, from its names and the files' headers; `kind` if all of it is of one kind.

    Files that cannot be read are left out and named in the notices. Splits that the layout does not give are drawn by
    speaker and source recording in `fractions`. Raises InputError as `open_data` does.
    """
    folder = Path(folder)
    if not folder.is_dir():
        reason = "not a folder or a .csv manifest" if folder.exists() else "no such file or folder"
        raise InputError(f"{folder}: {reason}")
    root = folder.resolve()
    found = _find(root, kind)
    recordings: list[Recording] = []
    undecided, problems = [], []
    for item in track(found, len(found), "reading headers"):
        try:
            seconds = item.seconds or audio.duration(item.path)
        except InputError as error:
            problems.append(f"left out: {error}")
            continue
        path = item.path.relative_to(root).as_posix()
        facts = {key: value for key, value in vars(item).items() if key not in ("path", "split", "seconds")}
        recordings.append(Recording(path=path, seconds=seconds, split=item.split or "train", **facts))
        if item.split is None:
            undecided.append(path)
    if not recordings:
        raise InputError(f"{folder}: none of its {len(found)} sound files can be read; the first: {problems[0]}")
    if len(problems) > NAMED:
        problems[NAMED:] = [f"left out: {len(problems) - NAMED} more files that cannot be read"]
    settled = tuple(sorted(with_splits(recordings, undecided, fractions), key=lambda recording: recording.path))
    check_leaks(settled)
    return Manifest(folder, settled, (*problems, *_remarks(settled)))


def _find(folder: Path, kind: Kind | None) -> list[Found]:
    """What the folder's layout lists, each file once."""
    if kind is not None and kind not in KINDS:
        raise InputError(f"the kind is {kind!r}, known are {', '.join(KINDS)}")
    layout = layout_of(folder)
    if layout is not None and (kind is None or layout.name != "plain"):
        found = [item for item in layout.find(folder) if kind in (None, item.kind)]
    elif kind is not None:
        found = list(plain(folder, kind))
    else:
        known = ", ".join(known.name for known in LAYOUTS[1:-1])
        raise InputError(
            f"{folder}: not laid out in a way that is known; name the folders in it speech, noise and rir, or say "
            f"which of these it is with --kind, or give one of {known}"
        )
    if not found:
        raise InputError(f"{folder}: no sound files in it" + (f" of the kind {kind}" if kind else ""))
    return list({item.path: item for item in found}.values())


def _remarks(recordings: Sequence[Recording]) -> list[str]:
    remarks = []
    nameless = sum(recording.kind == "speech" and not recording.speaker for recording in recordings)
    if nameless:
        remarks.append(f"{nameless} speech files have no known speaker: a voice may be in two splits unseen")
    counts = Counter((recording.kind, recording.split) for recording in recordings)
    for kind in ("speech", "noise"):
        missing = [split for split in SPLITS if not counts[kind, split]]
        if 0 < len(missing) < len(SPLITS):
            remarks.append(f"no {kind} in {' and '.join(missing)}")
    return remarks
