"""Recordings decoded once into memory-mapped 16-bit files, which all processes share and open at once.

A part is two files, the same for the cache and for shards that are copied between machines:

- NAME.pcm: all samples, int16 little-endian, mono, 16 kHz, recording after recording, nothing between;
- NAME.json: `{"format": "tinyse-audio-1", "sample_rate": 16000, "notices": [...], "recordings": [...]}`, a recording
  being the columns of a manifest, `frames` (samples) and `digest` (BLAKE2b-128 of its samples' bytes).

The JSON is written last: a part that has one is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tinyse import audio
from tinyse.errors import InputError
from tinyse.files import replacing, write_text
from tinyse.progress import track
from tinyse.recordings.manifest import COLUMNS, Manifest, Recording

FORMAT = "tinyse-audio-1"
NAMED = 5


@dataclass(frozen=True)
class _Entry:
    pcm: np.ndarray
    """A read-only view of the mapped file, int16, shape (samples,)."""
    digest: str


class AudioStore:
    """Random access to the sound of many recordings, int16 mono 16 kHz; it pickles as its paths, not its samples."""

    def __init__(self, parts: Sequence[Path], recordings: Iterable[Recording] | None = None) -> None:
        """Open parts; `recordings` picks some of theirs by path, in that order and with those labels."""
        self._parts = tuple(parts)
        entries: dict[str, _Entry] = {}
        listed: list[Recording] = []
        notices: list[str] = []
        for part in self._parts:
            index = _read_index(part)
            notices += index["notices"]
            pcm = _mapped(part, sum(item["frames"] for item in index["recordings"]))
            start = 0
            for item in index["recordings"]:
                entries[item["path"]] = _Entry(pcm[start : start + item["frames"]], item["digest"])
                start += item["frames"]
                listed.append(_recording(item))
        # A file that could not be decoded was left out of its part, with a notice.
        chosen = listed if recordings is None else [item for item in recordings if item.path in entries]
        if not chosen:
            raise InputError(f"no usable recordings in {', '.join(map(str, self._parts)) or 'no parts'}")
        self.recordings = tuple(chosen)
        self.notices = tuple(notices)
        self._entries = [entries[recording.path] for recording in chosen]

    @classmethod
    def build(
        cls,
        root: str | Path,
        recordings: Sequence[Recording],
        cache_directory: str | Path | None = None,
        workers: int | None = None,
    ) -> AudioStore:
        """The store of a manifest's recordings: decoded now, or opened if that was done before.

        The cache (`cache_directory`, else $TINYSE_CACHE, else ~/.cache/tinyse) is keyed by every file's path, length,
        size and time of change. Files that cannot be decoded are left out with a notice. Raises InputError if there
        are no recordings, or if one is missing, which means that the root is wrong.
        """
        root = Path(root)
        if not recordings:
            raise InputError(f"{root}: no recordings to open; the kind or split asked for is empty")
        if shards := parts_in(root):
            return cls(shards, recordings)
        part = Path(cache_directory or default_cache()) / f"{_key(root, recordings)}.pcm"
        if not part.with_suffix(".json").is_file():
            write_part(part, root, recordings, workers)
        return cls([part], recordings)

    @property
    def data_hash(self) -> str:
        """A name, 16 hexadecimal digits, for exactly this sound in this order, wherever it lies and however packed."""
        digest = hashlib.sha256()
        for recording, entry in zip(self.recordings, self._entries, strict=True):
            digest.update(f"{recording.path}\0{entry.digest}\n".encode())
        return digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.recordings)

    def __reduce__(self) -> tuple[Any, ...]:
        return AudioStore, (self._parts, self.recordings)

    def length(self, i: int) -> int:
        """Samples in recording `i`."""
        return len(self._entries[i].pcm)

    def read(self, i: int, start: int = 0, frames: int | None = None) -> np.ndarray:
        """Samples of recording `i`, int16, read-only, no copy; fewer than `frames` where it ends before."""
        return self._entries[i].pcm[start : None if frames is None else start + frames]


def default_cache() -> Path:
    """$TINYSE_CACHE, else ~/.cache/tinyse."""
    return Path(os.environ.get("TINYSE_CACHE") or Path.home() / ".cache" / "tinyse")


def write_part(part: Path, root: Path, recordings: Sequence[Recording], workers: int | None = None) -> list[str]:
    """Decode recordings into one part (`part` is its .pcm) and return the notices. Whole or not at all."""
    workers = workers or os.cpu_count() or 1
    listed: list[dict[str, Any]] = []
    remarks: Counter[str] = Counter()
    broken: list[str] = []
    with replacing(part) as temporary, open(temporary, "wb") as file, ThreadPoolExecutor(workers) as pool:
        decoded = _in_order(pool, root, recordings, ahead=4 * workers)
        for recording, (pcm, told) in track(decoded, len(recordings), "decoding"):
            if pcm is None:
                broken += told
                continue
            remarks.update(told)
            data = pcm.astype("<i2", copy=False).tobytes()
            file.write(data)
            digest = hashlib.blake2b(data, digest_size=16).hexdigest()
            listed.append(asdict(recording) | {"frames": len(pcm), "digest": digest})
        if not listed:
            raise InputError(f"{root}: none of {len(recordings)} recordings can be decoded; the first: {broken[0]}")
    notices = [f"left out: {line}" for line in broken] + [f"{n} files: {line}" for line, n in sorted(remarks.items())]
    index = {"format": FORMAT, "sample_rate": audio.SAMPLE_RATE, "notices": notices, "recordings": listed}
    write_text(part.with_suffix(".json"), json.dumps(index) + "\n")
    return notices


def write_shards(manifest: Manifest, folder: str | Path, megabytes: int) -> list[Path]:
    """Write a manifest's sound as parts of about `megabytes` each, and return them; `open_data(folder)` reads them.

    Recordings go to shards in the order of the hash of their path, so that any few shards are a fair sample of the
    whole: where the disk does not hold all of them, those that are there are used. Raises InputError if the folder has
    shards already.
    """
    folder = Path(folder)
    if megabytes < 1:
        raise InputError(f"a shard of {megabytes} megabytes is not possible: give at least 1")
    if folder.is_dir() and parts_in(folder):
        raise InputError(f"{folder} has shards already: give an empty folder")
    limit = megabytes * 1_000_000 / (2 * audio.SAMPLE_RATE)
    shards: list[list[Recording]] = []
    seconds = limit
    for recording in sorted(manifest.recordings, key=lambda recording: _hash(recording.path)):
        if seconds + recording.seconds > limit:
            shards.append([])
            seconds = 0.0
        shards[-1].append(recording)
        seconds += recording.seconds
    parts = [folder / f"shard-{number:05d}.pcm" for number in range(len(shards))]
    for part, recordings in zip(parts, shards, strict=True):
        write_part(part, manifest.root, recordings)
    return parts


def parts_in(folder: str | Path) -> list[Path]:
    """The .pcm of every whole part directly in a folder, in the order of their names."""
    return sorted(part for part in Path(folder).glob("*.pcm") if part.with_suffix(".json").is_file())


def recordings_in(folder: str | Path) -> list[Recording]:
    """The recordings of all parts in a folder."""
    return [_recording(item) for part in parts_in(folder) for item in _read_index(part)["recordings"]]


def _in_order(
    pool: ThreadPoolExecutor, root: Path, recordings: Sequence[Recording], ahead: int
) -> Iterator[tuple[Recording, tuple[np.ndarray | None, list[str]]]]:
    """Decode a few recordings ahead of the one that is written: all cores busy, little memory, the order kept.

    Threads suffice: libsndfile runs without the interpreter's lock (two threads decode 1.94 times as fast as one).
    """
    left = iter(recordings)
    waiting = [(recording, pool.submit(_decode, root, recording)) for recording in islice(left, ahead)]
    while waiting:
        recording, future = waiting.pop(0)
        yield recording, future.result()
        waiting += [(following, pool.submit(_decode, root, following)) for following in islice(left, 1)]


def _decode(root: Path, recording: Recording) -> tuple[np.ndarray | None, list[str]]:
    path = root / recording.path
    try:
        samples, notices = audio.read(path)
        if recording.minus:
            clean, _ = audio.read(root / recording.minus)
            if len(clean) != len(samples):
                raise InputError(
                    f"cannot use {path}: it has {len(samples)} samples and {root / recording.minus} {len(clean)}"
                )
            samples = samples - clean
    except InputError as error:
        return None, [str(error)]
    return audio.to_pcm16(samples), notices


def _key(root: Path, recordings: Sequence[Recording]) -> str:
    digest = hashlib.sha256(f"{FORMAT}\0{root.resolve()}\n".encode())
    for recording in recordings:
        for place in filter(None, (recording.path, recording.minus)):
            try:
                status = os.stat(root / place)
            except OSError as error:
                raise InputError(f"cannot read {root / place}: {error.strerror}") from error
            facts = (place, f"{recording.seconds:.3f}", status.st_size, status.st_mtime_ns)
            digest.update(f"{facts}\n".encode())
    return digest.hexdigest()[:16]


def _mapped(part: Path, samples: int) -> np.ndarray:
    try:
        pcm = np.memmap(part, dtype="<i2", mode="r")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot open {part}: {error}") from error
    if len(pcm) != samples:
        raise InputError(f"{part} holds {len(pcm)} samples, its index says {samples}: remove or copy it again")
    # A plain array over the same pages: slicing a memmap costs ten times as much.
    return pcm.view(np.ndarray)


def _read_index(part: Path) -> dict[str, Any]:
    path = part.with_suffix(".json")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise InputError(f"{path}: not an index of the format {FORMAT}")
    return index


def _recording(item: dict[str, Any]) -> Recording:
    # Parts from before there was a column lack it: it has its default.
    return Recording(**{name: item[name] for name in COLUMNS if name in item})


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
