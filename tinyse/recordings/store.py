"""The sound of many recordings, mapped into memory, which all processes share and open at once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from tinyse.audio import DEFAULT_RATE, FULL_SCALE, from_pcm16
from tinyse.errors import InputError
from tinyse.recordings.broken import LEFT_OUT, of_files
from tinyse.recordings.cache import cached, default_cache
from tinyse.recordings.manifest import Recording
from tinyse.recordings.parts import Entry, check_size, key_of, mapped, parts_in, read_part


class _Place(NamedTuple):
    part: Path
    start: int
    frames: int
    digest: str
    offset: float


class Sounds(Protocol):
    """Random access to the sound of recordings at one rate; what mixing needs of a store."""

    @property
    def recordings(self) -> tuple[Recording, ...]: ...

    @property
    def sample_rate(self) -> int: ...

    @property
    def notices(self) -> tuple[str, ...]: ...

    @property
    def data_hash(self) -> str: ...

    def length(self, i: int) -> int: ...

    def read(self, i: int, start: int = 0, frames: int | None = None) -> np.ndarray: ...

    def sound(self, i: int, start: int = 0, frames: int | None = None) -> np.ndarray: ...


class AudioStore:
    """Random access to the sound of many recordings, int16 mono at one rate; it pickles as its places, not its samples."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        places: Sequence[_Place],
        notices: Sequence[str] = (),
        sample_rate: int = DEFAULT_RATE,
    ) -> None:
        """`AudioStore.build` and `AudioStore.of_parts` know the places."""
        self.recordings = tuple(recordings)
        self.notices = tuple(notices)
        self.sample_rate = sample_rate
        self._places = tuple(places)
        files = {part: mapped(part) for part in dict.fromkeys(place.part for place in places)}
        self._sounds = [files[place.part][place.start : place.start + place.frames] for place in places]
        for place, sound in zip(places, self._sounds, strict=True):
            if len(sound) != place.frames:
                raise InputError(f"{place.part} ends early: remove it, or copy it again")

    @classmethod
    def of_parts(
        cls, parts: Sequence[Path], recordings: Iterable[Recording] | None = None, sample_rate: int = DEFAULT_RATE
    ) -> AudioStore:
        """What is in parts; `recordings` picks some of theirs by path, in that order and with those labels.

        Raises InputError for a part that is damaged or of another rate, or where none of the recordings exists.
        """
        entries: dict[tuple[str, str], Entry] = {}
        notices: list[str] = []
        for path in parts:
            part = read_part(path)
            check_size(part)
            if part.sample_rate != sample_rate:
                raise InputError(
                    f"{path} holds sound at {part.sample_rate} Hz, {sample_rate} Hz is wanted: write the shards again with "
                    f"tinyse data shard --rate {sample_rate}"
                )
            notices += part.notices
            entries |= {entry.key: entry for entry in part.entries}
        chosen = [entry.recording for entry in entries.values()] if recordings is None else list(recordings)
        return cls._of(chosen, entries, notices, ", ".join(map(str, parts)) or "no parts", sample_rate)

    @classmethod
    def build(
        cls,
        root: str | Path,
        recordings: Sequence[Recording],
        cache_directory: str | Path | None = None,
        workers: int | None = None,
        sample_rate: int = DEFAULT_RATE,
    ) -> AudioStore:
        """The store of a manifest's recordings: decoded now at a rate, or opened if that was done before.

        The cache is `cache_directory`, else $TINYSE_CACHE, else ~/.cache/tinyse. Files that cannot be decoded are left out
        with a notice. Raises InputError if there are no recordings, or if one is missing, which means that the root is
        wrong.
        """
        root = Path(root)
        if not recordings:
            raise InputError(f"{root}: no recordings to open; the kind or split asked for is empty")
        if shards := parts_in(root):
            return cls.of_parts(shards, recordings, sample_rate)
        entries, broken = cached(root, recordings, Path(cache_directory or default_cache()), workers, sample_rate)
        if not entries:
            raise InputError(
                f"{root}: none of {len(recordings)} recordings can be decoded; the first: {broken[0].removeprefix(LEFT_OUT)}"
            )
        return cls._of(recordings, entries, broken, str(root), sample_rate)

    @classmethod
    def _of(
        cls,
        recordings: Sequence[Recording],
        entries: dict[tuple[str, str], Entry],
        notices: Sequence[str],
        where: str,
        sample_rate: int,
    ) -> AudioStore:
        # A file that could not be decoded is in no part.
        chosen = [recording for recording in recordings if key_of(recording) in entries]
        if not chosen:
            raise InputError(f"no usable recordings in {where}")
        found = [entries[key_of(recording)] for recording in chosen]
        store = cls(
            chosen,
            [_Place(entry.part, entry.start, entry.frames, entry.digest, _offset(entry)) for entry in found],
            [*notices, *_summed(chosen, found)],
            sample_rate,
        )
        store.entries = tuple(found)
        return store

    entries: tuple[Entry, ...] = ()
    """What the indexes say of the recordings; not there after pickling."""

    @property
    def data_hash(self) -> str:
        """A name, 16 hexadecimal digits, for exactly this sound in this order, wherever it lies and however packed."""
        digest = hashlib.sha256()
        for recording, place in zip(self.recordings, self._places, strict=True):
            digest.update(f"{recording.path}\0{place.digest}\n".encode())
        return digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.recordings)

    def __reduce__(self) -> tuple[Any, ...]:
        return AudioStore, (self.recordings, self._places, self.notices, self.sample_rate)

    def length(self, i: int) -> int:
        """Samples in recording `i`."""
        return len(self._sounds[i])

    def read(self, i: int, start: int = 0, frames: int | None = None) -> np.ndarray:
        """Samples of recording `i`, int16, read-only, no copy; fewer than `frames` where it ends before."""
        return self._sounds[i][start : None if frames is None else start + frames]

    def sound(self, i: int, start: int = 0, frames: int | None = None) -> np.ndarray:
        """The same as float32 without the recording's constant offset: that is of the microphone, not of the sound.

        An offset would count as power of speech or noise, and stay in the target.
        """
        return from_pcm16(self.read(i, start, frames)) - np.float32(self._places[i].offset)


def recordings_in(folder: str | Path) -> list[Recording]:
    """The recordings of all parts in a folder."""
    return [entry.recording for path in parts_in(folder) for entry in read_part(path).entries]


def _summed(recordings: Sequence[Recording], entries: Sequence[Entry]) -> list[str]:
    """Equal notices of many files as one line, with the first of these files."""
    found: dict[str, list[str]] = defaultdict(list)
    for recording, entry in zip(recordings, entries, strict=True):
        for notice in entry.notices:
            found[notice].append(recording.path)
    return [of_files(notice, len(paths), paths[0]) for notice, paths in sorted(found.items())]


def _offset(entry: Entry) -> float:
    if entry.offset is not None:
        return entry.offset
    return float(entry.pcm().mean(dtype=np.float64)) / FULL_SCALE  # shards of the first format
