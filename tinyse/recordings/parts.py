"""Decoded sound on disk: 16-bit files that are mapped into memory, the same for the cache and for shards.

A part is three files:

- NAME.pcm: all samples, int16 little-endian, mono, recording after recording, nothing between;
- NAME.marks: the marks of all recordings (`tinyse.recordings.analysis`), uint32 little-endian, two numbers per mark;
- NAME.json: `{"format": "tinyse-audio-2", "sample_rate": 16000, "root": ..., "recordings": [...]}`, a recording being the
  columns of a manifest, `frames` (samples), `digest` (BLAKE2b-128 of its samples' bytes), `marks` (how many), `offset` (mean),
  `notices`, and in the cache `files`, by which a changed file is known.

The JSON is written last: a part that has one is whole. Shards of the format "tinyse-audio-1" have no marks.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tinyse import audio
from tinyse.config import renamed
from tinyse.cores import cores
from tinyse.documents import from_json
from tinyse.errors import InputError
from tinyse.files import read_bytes, replacing, write_text
from tinyse.locks import in_use
from tinyse.progress import track
from tinyse.recordings.analysis import analyze
from tinyse.recordings.broken import LeftOut
from tinyse.recordings.manifest import COLUMNS, Recording

T = TypeVar("T")

FORMAT = "tinyse-audio-2"
READABLE = (FORMAT, "tinyse-audio-1")


@dataclass(frozen=True)
class Source:
    """The file that a recording was decoded from, as it was then."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    content: str
    """BLAKE2b-128 of its bytes."""


@dataclass(frozen=True)
class Entry:
    """A recording in a part."""

    recording: Recording
    part: Path
    start: int
    frames: int
    digest: str
    first_mark: int = 0
    marks: int = 0
    offset: float | None = None
    """Mean of its samples, re full scale; None where it was not measured."""
    notices: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    """The files that it came from; none in shards."""

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by."""
        return key_of(self.recording)

    def pcm(self) -> np.ndarray:
        """Its samples, int16, read-only."""
        return mapped(self.part)[self.start : self.start + self.frames]

    def read_marks(self) -> np.ndarray:
        """uint32 (marks, 2)."""
        if not self.marks:
            return np.zeros((0, 2), np.uint32)
        start, count = 8 * self.first_mark, 2 * self.marks
        return np.fromfile(self.part.with_suffix(".marks"), "<u4", count, offset=start).reshape(-1, 2)


@dataclass(frozen=True)
class Part:
    """A part and what its index says."""

    path: Path
    """Its .pcm."""
    root: str
    entries: tuple[Entry, ...]
    notices: tuple[str, ...] = ()
    """Notices about the whole part; only format 1 has them."""
    sample_rate: int = audio.DEFAULT_RATE

    @property
    def samples(self) -> int:
        """Samples of all its recordings."""
        return sum(entry.frames for entry in self.entries)

    def write_index(self) -> None:
        """Write the .json, which makes the part whole."""
        listed = [_item(entry) for entry in self.entries]
        index = {"format": FORMAT, "sample_rate": self.sample_rate, "root": self.root, "recordings": listed}
        write_text(self.path.with_suffix(".json"), json.dumps(index) + "\n")


def parts_in(folder: str | Path) -> list[Path]:
    """The .pcm of every whole part directly in a folder, in the order of their names."""
    return sorted(part for part in Path(folder).glob("*.pcm") if part.with_suffix(".json").is_file())


def read_part(path: Path) -> Part:
    """A part's index. Raises InputError for anything else."""
    index_path = path.with_suffix(".json")
    index = from_json(read_bytes(index_path), str(index_path))
    if not isinstance(index, dict) or index.get("format") not in READABLE:
        raise InputError(f"{index_path}: not an index of the format {' or '.join(READABLE)}")
    entries = []
    start = first_mark = 0
    listed, notices = index.get("recordings"), index.get("notices", [])
    if not (isinstance(listed, list) and _are_texts(notices) and isinstance(index.get("root", ""), str)):
        raise InputError(f"{index_path}: damaged: it lists no recordings")
    for number, item in enumerate(listed, 1):
        try:
            entry = _entry(path, renamed(item), start, first_mark)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"{index_path}: damaged: recording {number}: {error}") from error
        entries.append(entry)
        start, first_mark = start + entry.frames, first_mark + entry.marks
    rate = index.get("sample_rate", audio.DEFAULT_RATE)
    if not (isinstance(rate, int) and rate > 0):
        raise InputError(f"{index_path}: damaged: its sample rate is {rate!r}")
    return Part(path, index.get("root", ""), tuple(entries), tuple(notices), rate)


def _item(entry: Entry) -> dict[str, Any]:
    """An entry as it stands in the index, where the order says what comes first in the files."""
    facts = {name: getattr(entry, name) for name in ("frames", "digest", "marks", "offset", "notices")}
    return (
        asdict(entry.recording) | facts | ({"files": [asdict(each) for each in entry.sources]} if entry.sources else {})
    )


def _entry(part: Path, item: dict[str, Any], start: int, first_mark: int) -> Entry:
    recording = Recording(**{name: item[name] for name in COLUMNS if name in item})  # older parts lack a column
    texts = [value for name, value in vars(recording).items() if name not in ("seconds", "ship")]
    if not (_are_texts(texts) and _are_texts(item.get("notices", []))):
        raise ValueError("a text is not a text")
    if not all(type(count) is int and count >= 0 for count in (item["frames"], item.get("marks", 0))):
        raise ValueError("frames and marks are counts")
    offset = item.get("offset")
    if not (offset is None or (isinstance(offset, float) and -1 <= offset <= 1)):
        raise ValueError("the offset is not a number from -1 to 1")
    return Entry(
        recording,
        part,
        start,
        item["frames"],
        item["digest"],
        first_mark,
        item.get("marks", 0),
        offset,
        tuple(item.get("notices", ())),
        tuple(Source(**each) for each in item.get("files", ())),
    )


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def mapped(part: Path) -> np.ndarray:
    """All samples of a part. As long as it is mapped it is locked, so that no process removes it."""
    try:
        with open(part, "rb") as file:
            in_use(file)
            # The map keeps the open file, and with it the lock.
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot open {part}: {error}") from error
    # A plain array over the pages: slicing a memmap costs ten times as much.
    return np.frombuffer(pages, "<i2", len(pages) // 2)


def check_size(part: Part) -> None:
    """Raise InputError where a part holds more or less than its index says."""
    marks, marks_path = sum(entry.marks for entry in part.entries), part.path.with_suffix(".marks")
    try:
        there = os.stat(part.path).st_size // 2
        marks_there = os.stat(marks_path).st_size // 8 if marks else 0
    except OSError as error:
        raise InputError(f"cannot open {part.path}: {error.strerror}") from error
    if there != part.samples:
        raise InputError(
            f"{part.path} holds {there} samples, its index says {part.samples}: remove it, or copy it again"
        )
    if marks_there != marks:
        raise InputError(f"{marks_path} holds {marks_there} marks, its index says {marks}: remove it, or copy it again")


def write_part(
    path: Path,
    root: Path,
    recordings: Sequence[Recording],
    workers: int | None = None,
    copied: Iterable[Entry] = (),
    for_cache: bool = False,
    sample_rate: int = audio.DEFAULT_RATE,
) -> tuple[Part | None, list[LeftOut]]:
    """Decode recordings into one part (`path` is its .pcm), whole or not at all, and say which cannot be decoded.

    `copied` are entries of other parts of that rate, taken over as they are. Where no recording is left there is no part.
    """
    workers = workers or cores()
    broken: list[LeftOut] = []
    entries: list[Entry] = []
    try:
        with ExitStack() as stack:
            temporary = [stack.enter_context(replacing(path.with_suffix(suffix))) for suffix in (".marks", ".pcm")]
            marks_file, pcm_file = (stack.enter_context(open(each, "wb")) for each in temporary)
            pool = stack.enter_context(ThreadPoolExecutor(workers))
            decoded = in_order(
                pool, lambda each: decode(root, each, for_cache, sample_rate), recordings, ahead=4 * workers
            )
            start = first_mark = 0
            copies = ((entry.recording, _again(entry)) for entry in copied)
            for recording, got in chain(copies, track(decoded, len(recordings), "decoding")):
                if isinstance(got, InputError):
                    broken.append(LeftOut.of(root / recording.path, got))
                    continue
                pcm_file.write(got.pcm.data)
                marks_file.write(got.marks.astype("<u4").tobytes())
                entry = Entry(recording, path, start, len(got.pcm), digest_of(got.pcm), first_mark, len(got.marks), got.offset,
                              got.notices, got.sources)  # fmt: skip
                entries.append(entry)
                start, first_mark = start + entry.frames, first_mark + entry.marks
            if not entries:
                raise _NothingDecoded  # through `replacing`, which then leaves no file
    except _NothingDecoded:
        return None, broken
    part = Part(path, str(root) if for_cache else "", tuple(entries), sample_rate=sample_rate)
    part.write_index()
    return part, broken


class _NothingDecoded(Exception):
    pass


@dataclass(frozen=True)
class Decoded:
    """The sound of a recording at the wanted rate, and what was found in it."""

    pcm: np.ndarray
    """int16, little-endian."""
    marks: np.ndarray
    offset: float | None
    notices: tuple[str, ...]
    sources: tuple[Source, ...]


def _again(entry: Entry) -> Decoded:
    return Decoded(entry.pcm(), entry.read_marks(), entry.offset, entry.notices, entry.sources)


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Recording], T], recordings: Iterable[Recording], ahead: int
) -> Iterator[tuple[Recording, T]]:
    """Work on a few recordings ahead of the one that is written: all cores busy, little memory, the order kept.

    Threads suffice: libsndfile runs without the interpreter's lock (two threads decode 1.94 times as fast as one).
    """
    left = iter(recordings)
    waiting = deque((each, pool.submit(work, each)) for each in islice(left, ahead))
    while waiting:
        recording, future = waiting.popleft()
        yield recording, future.result()
        waiting.extend((each, pool.submit(work, each)) for each in islice(left, 1))


def decode(root: Path, recording: Recording, for_cache: bool, sample_rate: int) -> Decoded | InputError:
    """The sound of a recording, or why there is none."""
    path = root / recording.path
    try:
        sources = tuple(source_of(root / each) for each in files_of(recording)) if for_cache else ()
        samples, notices = audio.read(path, sample_rate)
        if recording.minus:
            clean, _ = audio.read(root / recording.minus, sample_rate)
            if len(clean) != len(samples):
                raise InputError(
                    f"cannot use {path}: it has {len(samples)} samples and {root / recording.minus} {len(clean)}"
                )
            samples = samples - clean
    except InputError as error:
        return error
    pcm = audio.to_pcm16(samples)
    analysis = analyze(audio.from_pcm16(pcm), recording.kind == "speech", sample_rate)
    return Decoded(
        pcm.astype("<i2", copy=False), analysis.marks, analysis.offset, (*notices, *analysis.faults), sources
    )


def digest_of(pcm: np.ndarray) -> str:
    """The name of a sound: BLAKE2b-128 of its samples, int16 (samples,), in hexadecimal."""
    return hashlib.blake2b(pcm.astype("<i2", copy=False).data, digest_size=16).hexdigest()


def key_of(recording: Recording) -> tuple[str, str]:
    """What tells the sound of a recording from others under the same root."""
    return recording.path, recording.minus


def files_of(recording: Recording) -> tuple[str, ...]:
    """The files that a recording is made from, below the root."""
    return (recording.path, recording.minus) if recording.minus else (recording.path,)


def source_of(path: Path) -> Source:
    """What tells this file from a later one of its name. Raises InputError where it cannot be read."""
    try:
        status = os.stat(path)
        with open(path, "rb") as file:
            digest = hashlib.blake2b(digest_size=16)
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return Source(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, digest.hexdigest())
