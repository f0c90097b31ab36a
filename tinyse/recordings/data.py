"""From what a user points at (a manifest, a folder, shards) to a manifest that has been checked for leaks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tinyse import audio
from tinyse.audio.sound_files import find_sounds
from tinyse.errors import InputError
from tinyse.progress import track
from tinyse.recordings.broken import LEFT_OUT, LeftOut
from tinyse.recordings.ecosystem import audiofolder, is_lhotse, lhotse, metadata_of
from tinyse.recordings.layouts import LAYOUTS, Found, layout_of, place_of, plain, plain_tops, sounds
from tinyse.recordings.manifest import KINDS, SPLITS, Kind, Manifest, Recording, Split, join
from tinyse.recordings.parts import parts_in
from tinyse.recordings.shards import JOURNAL, is_shards, open_shards
from tinyse.recordings.speakers import LEVEL, level_remarks, name_remarks
from tinyse.recordings.splits import FRACTIONS, check_leaks, draw_undecided, with_splits
from tinyse.recordings.store import recordings_in

NAMED = 5
"""The most left-out files that are named; more are counted."""


def open_data(path: str | Path | Sequence[str | Path]) -> Manifest:
    """The manifest of a manifest's file, of a folder in any known layout (scanned now), or of shards in a folder or at an
    address.

    Several paths become one data set. Raises InputError if there is nothing usable, if files that a manifest lists are
    missing, or if a speaker or source recording is in two splits.
    """
    if not isinstance(path, (str, Path)):
        return _open_several([Path(each) for each in path])
    if is_shards(path):
        return open_shards(path)
    path = Path(path)
    if (path / JOURNAL).is_file():
        raise InputError(f"{path}: packing has not finished there: give the same tinyse data shard again")
    if path.is_file() and path.suffix.lower() == ".csv":
        manifest = _drawn(Manifest.read(path))
        if not parts_in(manifest.root):
            places = [place for each in manifest.recordings for place in (each.path, each.minus) if place]
            _check_files(path, [manifest.root / place for place in places])
    elif path.is_dir() and parts_in(path):
        manifest = Manifest(path, tuple(recordings_in(path)))
    else:
        return scan(path)
    check_leaks(manifest.recordings)
    return replace(manifest, notices=(*manifest.notices, *remarks(manifest.recordings)))


def _drawn(manifest: Manifest) -> Manifest:
    """The same with a split for every recording that has none; those that have one keep it."""
    return replace(manifest, recordings=draw_undecided(manifest.recordings, manifest.undecided), undecided=())


def _open_several(paths: Sequence[Path]) -> Manifest:
    if len(paths) == 1:
        return open_data(paths[0])
    for path in paths:
        if is_shards(path) or parts_in(path):
            raise InputError(f"{path}: a folder of shards is a data set of its own, it does not join others")
    manifest = join([open_data(path) for path in paths])
    check_leaks(manifest.recordings)
    notices = name_remarks(manifest.recordings)
    return replace(manifest, notices=tuple(dict.fromkeys((*manifest.notices, *notices))))


def scan(
    folder: str | Path,
    kind: Kind | None = None,
    fractions: Mapping[Split, float] = FRACTIONS,
    speaker_level: int | None = None,
) -> Manifest:
    """The manifest of a folder, from its names and the files' headers; `kind` if all of it is of one kind.

    `speaker_level` says which folder is the speaker in a folder without a layout of its own: 1, the default, is the first
    below speech/. Files that cannot be read are left out and named in the notices. Splits that the layout does not give
    are drawn by speaker and source recording in `fractions`. Raises InputError as `open_data` does.
    """
    folder = Path(folder)
    if is_lhotse(folder):
        if speaker_level is not None:
            raise InputError(f"{folder} says who speaks: leave --speaker-level out")
        found, left_out = lhotse(folder, kind)
        _check_files(folder, [item.path for item in found])
        root = Path(os.path.commonpath([item.path.parent for item in found]))
        return _settled(root, root, found, left_out, fractions)
    if not folder.is_dir():
        reason = (
            "not a folder or a manifest (.csv, or .jsonl of lhotse)" if folder.exists() else "no such file or folder"
        )
        raise InputError(f"{folder}: {reason}")
    if speaker_level is not None and speaker_level < 1:
        raise InputError(f"the speaker's level is {speaker_level}: 1 is the first folder below speech/")
    root = folder.resolve()
    listing = find_sounds(root)
    found, notices = _find(root, kind, speaker_level, listing.paths)
    problems = [LeftOut(str(path), reason) for path, reason in listing.left_out]
    settled = _settled(folder, root, found, problems, fractions)
    return replace(settled, notices=(*settled.notices, *notices))


def _settled(
    folder: Path, root: Path, found: Sequence[Found], problems: Sequence[str], fractions: Mapping[Split, float]
) -> Manifest:
    """The manifest of files that were found below `root`, which the user calls `folder`; `problems` are its first notices."""
    problems = list(problems)
    recordings: list[Recording] = []
    undecided = []
    with ThreadPoolExecutor() as pool:
        lengths = pool.map(_seconds, found)
        for item, seconds in zip(found, track(lengths, len(found), "reading headers"), strict=True):
            if isinstance(seconds, InputError):
                problems.append(LeftOut.of(item.path, seconds))
                continue
            path = item.path.relative_to(root).as_posix()
            facts = {
                key: value for key, value in vars(item).items() if key not in ("path", "split", "seconds", "minus")
            }
            minus = item.minus.relative_to(root).as_posix() if item.minus else ""
            recordings.append(Recording(path=path, seconds=seconds, split=item.split or "train", minus=minus, **facts))
            if item.split is None:
                undecided.append(path)
    if not recordings:
        raise InputError(f"{folder}: none of its {len(found)} sound files can be read; the first: {problems[0]}")
    settled = tuple(sorted(with_splits(recordings, undecided, fractions), key=lambda recording: recording.path))
    check_leaks(settled)
    return Manifest(folder, settled, (*problems, *remarks(settled)))


def _seconds(item: Found) -> float | InputError:
    """The length of a file, or why it has none: headers are read by many threads at once."""
    try:
        return item.seconds or audio.duration(item.path)
    except InputError as error:
        return error


def _find(
    folder: Path, kind: Kind | None, speaker_level: int | None, everything: Sequence[Path]
) -> tuple[list[Found], list[str]]:
    """What the folder's layout lists, each file once, and what is to be said of its places."""
    if kind is not None and kind not in KINDS:
        raise InputError(f"the kind is {kind!r}, known are {', '.join(KINDS)}")
    if metadata_of(folder):
        if speaker_level is not None:
            raise InputError(f"{folder} says who speaks in its metadata: leave --speaker-level out")
        found = list({item.path: item for item in audiofolder(folder, kind)}.values())
        if not found:
            raise InputError(f"{folder}: its metadata lists no files")
        _check_files(metadata_of(folder)[0], [item.path for item in found])
        return found, []
    layout = layout_of(folder)
    if layout is None and kind is None:
        known = ", ".join(known.name for known in LAYOUTS[1:-1])
        raise InputError(
            f"{folder}: not laid out in a way that is known; name the folders in it speech, noise and rir, or say "
            f"which of these it is with --kind, or give one of {known}"
        )
    notices: list[str] = []
    if layout is None or layout.name == "plain":
        found = list(plain(folder, kind, speaker_level or LEVEL))
        tops = [(folder, kind)] if kind else plain_tops(folder)
        speech = [place_of(path, top)[1] for top, each in tops if each == "speech" for path in sounds(top)]
        notices = level_remarks(speech, speaker_level or LEVEL)
        unused = sorted({*everything} - {item.path for item in found})
        if unused:
            such = unused[0].relative_to(folder).as_posix()
            notices.append(f"not used: {len(unused)} sound files outside of speech/, noise/ and rir/, such as {such}")
    else:
        if speaker_level is not None:
            raise InputError(f"{folder} is laid out as {layout.name}, which says who speaks: leave --speaker-level out")
        found = [item for item in layout.find(folder) if kind in (None, item.kind)]
        if layout.name == "manifests":
            _check_files(folder / "manifests", [item.path for item in found])
    if not found:
        raise InputError(f"{folder}: no sound files in it" + (f" of the kind {kind}" if kind else ""))
    return list({item.path: item for item in found}.values()), notices


def _check_files(manifest: Path, paths: Sequence[Path]) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InputError(f"{manifest}: {len(missing)} of its {len(paths)} files are missing, the first is {missing[0]}")


def remarks(recordings: Sequence[Recording]) -> list[str]:
    """What is worth knowing before one trains on these."""
    notices = name_remarks(recordings)
    nameless = sum(recording.kind == "speech" and not recording.speaker for recording in recordings)
    if nameless:
        notices.append(f"{nameless} speech files have no known speaker: a voice may be in two splits unseen")
    counts = Counter((recording.kind, recording.split) for recording in recordings)
    for kind in ("speech", "noise"):
        missing = [split for split in SPLITS if not counts[kind, split]]
        if 0 < len(missing) < len(SPLITS):
            notices.append(f"no {kind} in {' and '.join(missing)}")
    return notices


def brief(notices: Iterable[str]) -> list[str]:
    """The notices with no more than `NAMED` files left out by name; the rest of these is counted."""
    notices = list(notices)
    left_out = [line for line in notices if line.startswith(LEFT_OUT)]
    others = [line for line in notices if not line.startswith(LEFT_OUT)]
    if len(left_out) > NAMED:
        left_out[NAMED:] = [f"{LEFT_OUT}{len(left_out) - NAMED} more files (tinyse data scan --json names all)"]
    return [*left_out, *others]
