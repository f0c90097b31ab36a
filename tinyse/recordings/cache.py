"""The cache: what was decoded stays on disk until the file it came from changes.

Each root folder of recordings has a folder of parts, `NAME-HASH/`. A file counts as unchanged if size, times and inode are
what they were, or else if its bytes are: touching or copying it back decodes nothing again. A file that is new or changed
goes into a new part; a part that is mostly out of date is dropped, what is left of it moved to the new one.
Sound that is wanted at another rate goes into parts of its own.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tinyse.audio import DEFAULT_RATE
from tinyse.errors import InputError
from tinyse.locks import in_turn, is_unused
from tinyse.recordings.broken import LeftOut
from tinyse.recordings.manifest import Recording
from tinyse.recordings.parts import (
    Entry,
    Part,
    check_size,
    files_of,
    key_of,
    parts_in,
    read_part,
    source_of,
    write_part,
)

Key = tuple[str, str]
PART_SUFFIXES = (".json", ".pcm", ".marks")
"""In the order in which a part is removed: without its index it is no longer a part."""
_read_before: dict[Path, tuple[tuple[int, int, int], Part]] = {}
"""The parts whose indexes this process has read, and what these files were then: a training asks dozens of times."""
_OLD = re.compile(r"\.?[0-9a-f]{16}\b.*\.(pcm|json)")
"""Files directly in the cache: parts of tinyse before 0.2, which decoded a set of files again whenever one changed."""


def default_cache() -> Path:
    """$TINYSE_CACHE, else ~/.cache/tinyse."""
    return Path(os.environ.get("TINYSE_CACHE") or Path.home() / ".cache" / "tinyse")


def cached(
    root: Path,
    recordings: Sequence[Recording],
    directory: Path,
    workers: int | None = None,
    sample_rate: int = DEFAULT_RATE,
) -> tuple[dict[Key, Entry], list[LeftOut]]:
    """An entry for every recording that can be decoded, by `key_of` it, and a notice for every one that cannot.

    Processes that ask at once wait for one of them. Raises InputError where a file is missing: then the root is wrong.
    """
    for recording in recordings:
        for name in files_of(recording):
            if not os.path.isfile(os.path.join(root, name)):
                raise InputError(f"cannot read {root / name}: No such file or directory")
    root = root.resolve()
    folder = directory / f"{root.name or 'root'}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}"
    with _alone_in(folder):
        parts = [part for part in _usable_parts(folder) if part.sample_rate == sample_rate]
        fresh = _fresh(root, parts)
        missing = [recording for recording in recordings if key_of(recording) not in fresh]
        worn = [part for part in parts if _share(part, fresh) < 0.5]
        moved = [entry for entry in fresh.values() if any(entry.part == part.path for part in worn)]
        broken: list[LeftOut] = []
        if missing or moved:
            path = folder / f"{len(parts):04d}-{secrets.token_hex(4)}.pcm"
            written, broken = write_part(path, root, missing, workers, moved, True, sample_rate)
            if written is not None:
                fresh |= {entry.key: entry for entry in written.entries}
        for part in worn:
            _remove(part.path)
    return {key_of(each): fresh[key_of(each)] for each in recordings if key_of(each) in fresh}, broken


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes; what a killed one left half written in it is removed."""
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(in_turn(folder / "lock"))
        except OSError as error:
            raise InputError(
                f"cannot write the cache {folder}: {error.strerror}; $TINYSE_CACHE names another"
            ) from error
        indexed = {part.stem for part in parts_in(folder)}
        for path in folder.iterdir():
            if path.suffix in PART_SUFFIXES and (path.name.startswith(".") or path.stem not in indexed):
                path.unlink(missing_ok=True)
        yield


def _usable_parts(folder: Path) -> list[Part]:
    """The parts in a folder; one that is damaged is removed, its recordings are decoded again."""
    parts = []
    for path in parts_in(folder):
        try:
            part = _read(path)
            check_size(part)
        except InputError:
            _remove(path)
        else:
            parts.append(part)
    return parts


def _read(path: Path) -> Part:
    """A part's index, from memory where its file is what it was. Raises InputError for anything else."""
    status = os.stat(path.with_suffix(".json"))
    now = status.st_mtime_ns, status.st_size, status.st_ino
    if path not in _read_before or _read_before[path][0] != now:
        _read_before[path] = now, read_part(path)
    return _read_before[path][1]


def _fresh(root: Path, parts: Sequence[Part]) -> dict[Key, Entry]:
    """The entries whose files are what they were, by path. What was found by reading a file is noted for the next time."""
    touched = [entry for part in parts for entry in part.entries if not _looks_same(root, entry)]
    with ThreadPoolExecutor() as pool:
        read = dict(zip(map(id, touched), pool.map(lambda entry: _read_again(root, entry), touched), strict=True))
    fresh: dict[Key, Entry] = {}
    for part in parts:
        now = [read.get(id(entry), entry) for entry in part.entries]
        fresh |= {entry.key: entry for entry in now if entry is not None}
        if any(read.get(id(entry)) for entry in part.entries):
            entries = tuple(new or old for new, old in zip(now, part.entries, strict=True))
            replace(part, entries=entries).write_index()
    return fresh


def _looks_same(root: Path, entry: Entry) -> bool:
    """Whether size, times and inode of its files are what they were."""
    files = files_of(entry.recording)
    try:
        found = [os.stat(os.path.join(root, path)) for path in files]
    except OSError:
        return False
    return [(each.st_size, each.st_mtime_ns, each.st_ctime_ns, each.st_ino) for each in found] == [
        (each.size, each.mtime_ns, each.ctime_ns, each.inode) for each in entry.sources
    ]


def _read_again(root: Path, entry: Entry) -> Entry | None:
    """The entry, with its files' present times in it, if they still hold what was decoded."""
    paths = [root / path for path in files_of(entry.recording)]
    try:
        if [os.stat(path).st_size for path in paths] != [source.size for source in entry.sources]:
            return None
        sources = tuple(source_of(path) for path in paths)
    except (OSError, InputError):
        return None
    same = [source.content for source in sources] == [source.content for source in entry.sources]
    return replace(entry, sources=sources) if same else None


def _share(part: Part, fresh: dict[Key, Entry]) -> float:
    """How much of a part is still in use."""
    used = sum(entry.frames for entry in part.entries if entry.key in fresh and fresh[entry.key].part == part.path)
    return used / max(part.samples, 1)


def _remove(part: Path) -> bool:
    """Remove a part, unless a process has it open."""
    with ExitStack() as stack:
        with suppress(OSError):  # it cannot be opened: then nobody can use it
            if not is_unused(stack.enter_context(open(part, "rb"))):
                return False
        _read_before.pop(part, None)
        for suffix in PART_SUFFIXES:
            part.with_suffix(suffix).unlink(missing_ok=True)
    return True


@dataclass(frozen=True)
class Cached:
    """What the cache holds of one root folder."""

    folder: Path
    root: str
    """Empty for files of older versions, which do not say."""
    files: int
    hours: float
    megabytes: float
    root_exists: bool


def listed(directory: Path) -> list[Cached]:
    """What is in a cache, one row for each root folder, and one for what older versions left."""
    rows = []
    for folder in sorted(path for path in directory.glob("*-*") if path.is_dir()):
        parts = []
        for path in parts_in(folder):
            with suppress(InputError):
                parts.append(read_part(path))
        files = [path for path in folder.iterdir() if path.suffix in PART_SUFFIXES]
        if files:
            root = parts[0].root if parts else ""
            hours = sum(part.samples / part.sample_rate for part in parts) / 3600
            rows.append(Cached(folder, root, sum(len(part.entries) for part in parts), hours, _megabytes(files),
                               bool(root) and Path(root).is_dir()))  # fmt: skip
    if old := _old_files(directory):
        rows.append(Cached(directory, "", len(old), 0.0, _megabytes(old), False))
    return rows


def clear(directory: Path) -> tuple[float, list[Path]]:
    """Empty a cache, and say how many megabytes that freed and which folders stay because a process has them open."""
    freed, busy = 0.0, []
    for row in listed(directory):
        if row.folder == directory:
            for path in _old_files(directory):
                path.unlink(missing_ok=True)
            freed += row.megabytes
            continue
        with _alone_in(row.folder):
            kept = [part for part in parts_in(row.folder) if not _remove(part)]
        left = [path for path in row.folder.iterdir() if path.suffix in PART_SUFFIXES]
        freed += row.megabytes - _megabytes(left)
        if kept:
            busy.append(row.folder)
        else:
            (row.folder / "lock").unlink(missing_ok=True)
            with suppress(OSError):
                row.folder.rmdir()
    return freed, busy


def _old_files(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.glob("*")) if path.is_file() and _OLD.fullmatch(path.name)]


def _megabytes(paths: Sequence[Path]) -> float:
    return sum(path.stat().st_size for path in paths) / 1e6
