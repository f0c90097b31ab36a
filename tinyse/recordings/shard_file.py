"""One shard, opened: a list of its recordings, and the sound of each on demand.

A shard may come from a stranger. Nothing in it is written anywhere. A shard with a link, a device, a path that leads out, a
name that is not UTF-8 or occurs twice, or a size beyond the file's is refused as a whole, since no packer writes these. A
recording whose JSON or sound makes no sense is broken, and only that one is left out.
"""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import soundfile

from tinyse.documents import from_json
from tinyse.errors import InputError
from tinyse.files import sha256
from tinyse.recordings.broken import BrokenItem
from tinyse.recordings.manifest import Recording
from tinyse.recordings.shards import MAX_ITEMS, Shard, recording_of
from tinyse.tar_members import BoundedInfo, fault_of, kind_of

MAX_SOUND_BYTES = 1 << 26
"""The most of one recording, encoded."""
MAX_JSON_BYTES = 1 << 16
MAX_SECONDS = 600
"""The most of one recording; packing cuts at 30 s."""
SUFFIXES = {"flac": ".flac", "opus": ".opus"}


@dataclass(frozen=True, slots=True)
class Item:
    """A recording in a shard."""

    recording: Recording
    key: str
    """Its name in the tar file, without the suffix."""
    start: int
    size: int
    """Where its sound is in the file, bytes."""
    frames: int
    """Samples."""
    offset: float
    """Their mean, re full scale."""
    digest: str


class ShardFile:
    """The recordings of one shard that is whole: its bytes are those that the index names."""

    def __init__(self, path: Path, shard: Shard, codec: str, sample_rate: int) -> None:
        """Raises InputError for a shard that is missing, damaged or replaced, or that holds what no shard has."""
        self.path, self.shard, self.sample_rate = path, shard, sample_rate
        self.items: list[Item] = []
        self.broken: list[BrokenItem] = []
        self._tried = bytearray(shard.items)
        try:
            if os.path.getsize(path) != shard.bytes or sha256(path) != shard.sha256:
                raise InputError(
                    f"{path} is not the file that its index names: it is damaged, or was replaced; copy it again"
                )
            self._file = open(path, "rb")  # noqa: SIM115
            self._stamp = _stamp(self._file)
            self._scan(SUFFIXES[codec])
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error

    def _scan(self, suffix: str) -> None:
        sounds, facts = _members(self._file, self.path, self.shard.bytes)
        if odd := next((name for name in sounds if not name.endswith(suffix)), None):
            raise InputError(f"{self.path}: {odd!r} is not a recording of a shard: {suffix} and .json are expected")
        for name, (start, size) in sounds.items():
            key = name.removesuffix(suffix)
            try:
                self.items.append(_item(key, start, size, facts.get(key), self.shard, self.sample_rate))
            except BrokenItem as error:
                self.broken.append(error)
        if len(sounds) > self.shard.items:
            raise InputError(f"{self.path} holds {len(sounds)} recordings, its index says {self.shard.items}")

    @property
    def looked_at(self) -> int:
        """Recordings whose sound was wanted, and those that were broken from the start."""
        return sum(self._tried) + len(self.broken)

    def name(self, item: Item) -> str:
        """What messages call a recording: its shard, its number there, and its path when it was packed."""
        return f"{self.shard.name}/{item.key} ({item.recording.path})"

    def sound(self, number: int) -> np.ndarray:
        """All samples of recording `number`, int16 (frames,). Raises BrokenItem where they are not what its JSON says, and
        InputError where the shard changed since it was opened."""
        item = self.items[number]
        self._tried[number] = 1
        if _stamp(self._file) != self._stamp:
            raise InputError(f"{self.path} was changed while it was read: start again")
        try:
            encoded = os.pread(self._file.fileno(), item.size, item.start)
            with soundfile.SoundFile(io.BytesIO(encoded)) as file:
                if (file.samplerate, file.channels) != (self.sample_rate, 1):
                    raise BrokenItem(self.name(item), f"{file.channels} channels at {file.samplerate} Hz")
                samples = file.read(item.frames + 1, "int16")
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror or error}") from error
        except (RuntimeError, ValueError, TypeError) as error:
            if isinstance(error, BrokenItem):
                raise
            raise BrokenItem(self.name(item), f"not decodable: {error}") from error
        if len(samples) != item.frames:
            raise BrokenItem(self.name(item), f"{len(samples)} samples or more, its JSON says {item.frames}")
        return samples

    def close(self) -> None:
        """The file is not read any more."""
        self._file.close()


def _stamp(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _members(file: IO[bytes], path: Path, size: int) -> tuple[dict[str, tuple[int, int]], dict[str, bytes]]:
    """The sounds by name, with start and size, and the JSON texts by name without the suffix; the latter cut at a limit."""
    sounds: dict[str, tuple[int, int]] = {}
    facts: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape", tarinfo=BoundedInfo) as archive:
            while member := archive.next():
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps what is never asked for
                name = member.name
                _check_member(path, member, size)
                key, dot, suffix = name.rpartition(".")
                if name in sounds or (suffix == "json" and key in facts):
                    raise InputError(f"{path}: {name!r} is in it twice")
                if dot and suffix == "json":
                    facts[key] = os.pread(file.fileno(), min(member.size, MAX_JSON_BYTES + 1), member.offset_data)
                else:
                    sounds[name] = member.offset_data, member.size
                if len(sounds) > MAX_ITEMS or len(facts) > MAX_ITEMS:
                    raise InputError(f"{path}: more than {MAX_ITEMS} recordings, which no shard has")
    except (tarfile.TarError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a whole tar file: {error}") from error
    return sounds, facts


def _check_member(path: Path, member: tarfile.TarInfo, size: int) -> None:
    """Raise InputError, by name, for what no shard holds."""
    name = member.name
    if fault := fault_of(name):
        raise InputError(f"{path}: {fault}")
    if not name.isprintable():
        raise InputError(f"{path}: the name {name!r} cannot be printed")
    if not member.isreg() or member.issparse():
        kind = "sparse file" if member.issparse() else kind_of(member)
        raise InputError(f"{path}: {name!r} is a {kind}; a shard holds plain files only")
    if member.size > MAX_SOUND_BYTES or member.offset_data + member.size > size:
        raise InputError(f"{path}: {name!r} says it has {member.size} bytes: more than the shard or the limit of "
                         f"{MAX_SOUND_BYTES >> 20} MB")  # fmt: skip


def _item(key: str, start: int, size: int, text: bytes | None, shard: Shard, sample_rate: int) -> Item:
    """A recording from its JSON. Raises BrokenItem."""
    where = f"{shard.name}/{key}"
    if text is None:
        raise BrokenItem(where, "it has no .json")
    try:
        if len(text) > MAX_JSON_BYTES:
            raise ValueError(f"a .json of more than {MAX_JSON_BYTES} bytes")
        values = from_json(text, "its .json")
        recording, frames, offset = recording_of(values), values["frames"], values.get("offset", 0.0)
        digest = values.get("digest", "")
        if type(frames) is not int or not 0 < frames <= MAX_SECONDS * sample_rate:
            raise ValueError(f"{frames!r} samples")
        if not isinstance(offset, float) or not -1 <= offset <= 1 or not isinstance(digest, str):
            raise ValueError("the offset is not a number from -1 to 1, or the digest is not a text")
        if (recording.kind, recording.split, recording.ship) != (shard.kind, shard.split, shard.ship):
            raise ValueError(f"its kind, split or ship is not that of the shard, {shard.kind} {shard.split}")
    except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BrokenItem(
            where, f"{type(error).__name__} {error}" if isinstance(error, KeyError) else str(error)
        ) from error
    return Item(recording, key, start, size, frames, offset, digest)
