"""Recordings into shards: decoded, cut where they are long, encoded as FLAC or Opus, and packed into tar files.

What belongs together (a voice, a source recording) is packed in runs of `RUN_SECONDS` or more, and the runs in the order of a
hash: so a window of a few shards has many voices, and of each enough to fill a mixture.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile

from tinyse.audio import DEFAULT_RATE, from_pcm16
from tinyse.audio.encoding import CODEC_RATES
from tinyse.config import as_dict
from tinyse.cores import cores
from tinyse.errors import InputError
from tinyse.files import replacing, sha256, write_bytes, write_json
from tinyse.locks import alone_in
from tinyse.progress import track
from tinyse.recordings.analysis import SILENT
from tinyse.recordings.broken import LEFT_OUT, of_files
from tinyse.recordings.manifest import Manifest, Recording
from tinyse.recordings.parts import decode, digest_of, in_order, parts_in
from tinyse.recordings.shard_file import SUFFIXES
from tinyse.recordings.shards import DIGESTS, FORMAT, INDEX, Shard, ShardIndex, Shards

Codec = Literal["flac", "opus"]
PIECE_SECONDS = 30
"""Longer recordings are cut into pieces of this length at most, so that using a part of one decodes little."""
RUN_SECONDS = 30
SHARD_ITEMS = 5000
"""Recordings of a shard at most, however short: a window's list of them is in memory."""
NAMED = 20
"""The most left-out files that the index names; more are counted."""


@dataclass(frozen=True)
class Piece:
    """One recording of a shard, encoded."""

    recording: Recording
    frames: int
    offset: float
    digest: str
    encoded: bytes


@dataclass(frozen=True)
class _Packed:
    """What a recording came to."""

    pieces: tuple[Piece, ...]
    digest: str
    """Digest of the whole recording."""
    notices: tuple[str, ...]


def write_shards(
    manifest: Manifest,
    folder: str | Path,
    megabytes: int = 32,
    sample_rate: int = DEFAULT_RATE,
    codec: Codec = "flac",
    workers: int | None = None,
) -> ShardIndex:
    """Write a manifest's sound, at a rate, as shards of about `megabytes` each; `open_data(folder)` reads them.

    Recordings that cannot be decoded are left out and named in the index's notices. Raises InputError if the folder has
    shards already or another process is packing there, where nothing can be decoded, and where the same sound is in two
    splits. Whatever ends it early, an error or Ctrl-C, leaves no shard, so that it can be started again.
    """
    folder = Path(folder)
    _check(manifest, folder, megabytes, sample_rate, codec)  # before the folder is made
    workers = workers or cores()
    notes = _Notes()
    shards: list[Shard] = []

    def undo(kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for name in (INDEX, DIGESTS, *(shard.name for shard in shards)):
                (folder / name).unlink(missing_ok=True)

    with ExitStack() as stack:
        stack.enter_context(alone_in(folder))
        _check(manifest, folder, megabytes, sample_rate, codec)  # another process may have filled it by now
        stack.push(undo)
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        open_shards: dict[tuple[str, str, bool], ShardWriter] = {}
        counts: Counter[str] = Counter()
        kept: list[Recording] = []
        ordered = _in_runs(manifest.recordings)
        work = in_order(pool, lambda each: _pack(manifest.root, each, sample_rate, codec), ordered, 4 * workers)
        for recording, packed in track(work, len(ordered), "packing"):
            if isinstance(packed, InputError):
                notes.left_out.append(f"{LEFT_OUT}{packed}")
                continue
            notes.add(recording, packed)
            kept.append(recording)
            key = (recording.kind, recording.split, recording.ship)
            for piece in packed.pieces:
                writer = open_shards.get(key)
                if writer is not None and writer.is_full(len(piece.encoded), megabytes):
                    shards.append(writer.finish())
                    writer = None
                if writer is None:
                    name = f"{recording.kind}-{recording.split}"
                    writer = ShardWriter(folder / f"{name}-{counts[name]:05d}.tar", piece.recording, codec, sample_rate)
                    open_shards[key] = stack.enter_context(writer)
                    counts[name] += 1
                writer.add(piece)
        if not kept:
            raise InputError(
                f"{manifest.root}: none of {len(ordered)} recordings can be decoded; the first: {notes.left_out[0]}"
            )
        for writer in open_shards.values():
            shards.append(writer.finish())
        write_bytes(folder / DIGESTS, b"".join(sorted(notes.learned)))
        index = ShardIndex(
            FORMAT,
            sample_rate,
            codec,
            tuple(sorted(shards, key=lambda shard: shard.name)),
            sha256(folder / DIGESTS),
            tuple(replace(manifest, recordings=tuple(kept)).summary()),
            tuple(notes.lines()),
        )
        write_json(folder / INDEX, as_dict(index))
        return index


def _check(manifest: Manifest, folder: Path, megabytes: int, sample_rate: int, codec: Codec) -> None:
    if not 1 <= megabytes <= 2000:
        raise InputError(f"a shard of {megabytes} megabytes is not possible: give 1 to 2000")
    if (folder / INDEX).exists() or parts_in(folder):
        raise InputError(f"{folder} has shards already: give an empty folder")
    if tars := sorted(path.name for path in folder.glob("*.tar")):
        raise InputError(f"{folder} has {len(tars)} .tar files, such as {tars[0]}, and no {INDEX}: if packing was interrupted "
                         "there, remove them and start again, else give an empty folder")  # fmt: skip
    if isinstance(manifest, Shards) or parts_in(manifest.root):
        raise InputError(f"{manifest.root}: these are shards already; pack the recordings that they were made from")
    if codec == "opus" and sample_rate not in CODEC_RATES["OPUS"]:
        raise InputError(f"Opus has no rate of {sample_rate} Hz: use --codec flac, or a rate of "
                         f"{', '.join(map(str, CODEC_RATES['OPUS']))} Hz")  # fmt: skip


def _in_runs(recordings: Sequence[Recording]) -> list[Recording]:
    """The recordings in the order in which they are packed, which does not depend on theirs."""
    groups: dict[tuple[str, str, str, bool], list[Recording]] = defaultdict(list)
    for each in sorted(recordings, key=lambda recording: (recording.path, recording.minus)):
        groups[each.group, each.kind, each.split, each.ship].append(each)
    runs: list[list[Recording]] = []
    for group in groups.values():
        seconds = float(RUN_SECONDS)
        for each in group:
            if seconds >= RUN_SECONDS:
                runs.append([])
                seconds = 0.0
            runs[-1].append(each)
            seconds += each.seconds
    return [each for run in sorted(runs, key=lambda run: _hash(run[0])) for each in run]


def _hash(recording: Recording) -> bytes:
    return hashlib.sha256(f"{recording.path}\0{recording.minus}".encode()).digest()


def _pack(root: Path, recording: Recording, sample_rate: int, codec: Codec) -> _Packed | InputError:
    got = decode(root, recording, False, sample_rate)
    if isinstance(got, InputError):
        return got
    count = 1 if recording.kind == "rir" else -(-len(got.pcm) // (PIECE_SECONDS * sample_rate))
    pieces = []
    for number, pcm in enumerate(np.array_split(got.pcm, count)):
        encoded = encode(pcm, sample_rate, codec)
        if codec == "opus":  # training gets what comes out
            pcm, _ = soundfile.read(io.BytesIO(encoded), dtype="int16")
        path = recording.path if count == 1 else f"{recording.path}#{number}"
        piece = replace(recording, path=path, minus="", seconds=len(pcm) / sample_rate)
        pieces.append(Piece(piece, len(pcm), float(from_pcm16(pcm).mean(dtype=np.float64)), digest_of(pcm), encoded))
    return _Packed(tuple(pieces), digest_of(got.pcm), got.notices)


def encode(pcm: np.ndarray, sample_rate: int, codec: Codec) -> bytes:
    """Samples, int16 (samples,), as a file of FLAC or of Opus in Ogg."""
    file = io.BytesIO()
    form, subtype = ("FLAC", "PCM_16") if codec == "flac" else ("OGG", "OPUS")
    soundfile.write(file, pcm, sample_rate, format=form, subtype=subtype)
    return file.getvalue()


@dataclass
class _Notes:
    """Notices about the recordings, and the digests of their sound."""

    left_out: list[str] = field(default_factory=list)
    found: dict[str, list[Any]] = field(default_factory=dict)
    """By notice: the number of recordings, and the first."""
    learned: set[bytes] = field(default_factory=set)
    """Digests of what is trained and validated on."""
    places: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    """By digest: the split and path of the first recording."""

    def add(self, recording: Recording, packed: _Packed) -> None:
        """Raises InputError, by name, where the same sound is in another split."""
        for notice in packed.notices:
            self.found.setdefault(notice, [0, recording.path])[0] += 1
        digest = bytes.fromhex(packed.digest)
        if recording.kind != "rir" and SILENT not in packed.notices:
            split, path = self.places.setdefault(digest, (recording.split, recording.path))
            if split != recording.split:
                raise InputError(f"the same sound is in {split} as {path} and in {recording.split} as {recording.path}: "
                                 "take it out of one of them")  # fmt: skip
        if recording.split != "test":
            self.learned.add(digest)

    def lines(self) -> Iterator[str]:
        for notice, (count, path) in sorted(self.found.items()):
            yield of_files(notice, count, path)
        yield from self.left_out[:NAMED]
        if len(self.left_out) > NAMED:
            yield f"{LEFT_OUT}{len(self.left_out) - NAMED} more files"


class ShardWriter:
    """A shard in the making."""

    def __init__(self, path: Path, first: Recording, codec: Codec, sample_rate: int) -> None:
        self.path, self.key, self.sample_rate, self.suffix = path, first, sample_rate, SUFFIXES[codec]
        self._stack = ExitStack()
        temporary = self._stack.enter_context(replacing(self.path))
        self._archive = self._stack.enter_context(tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT))  # noqa: SIM115
        self.items, self.frames, self.bytes = 0, 0, 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        """After an error nothing is left of a shard that is not finished."""
        self._stack.__exit__(*error)

    def is_full(self, size: int, megabytes: int) -> bool:
        """Whether a recording of `size` bytes has to go into the next shard."""
        return self.bytes + size > megabytes * 1_000_000 or self.items >= SHARD_ITEMS

    def add(self, piece: Piece) -> None:
        facts = {key: value for key, value in asdict(piece.recording).items() if key != "minus"}
        facts |= {"frames": piece.frames, "offset": piece.offset, "digest": piece.digest}
        for suffix, content in ((self.suffix, piece.encoded), (".json", json.dumps(facts).encode())):
            member = tarfile.TarInfo(f"{self.items:06d}{suffix}")
            member.size = len(content)
            self._archive.addfile(member, io.BytesIO(content))
            self._archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps what is never asked for
            self.bytes += -(-len(content) // 512) * 512 + 512
        self.items, self.frames = self.items + 1, self.frames + piece.frames

    def finish(self) -> Shard:
        """The shard in its place."""
        self._stack.close()
        key = self.key
        return Shard(
            self.path.name,
            self.path.stat().st_size,
            sha256(self.path),
            key.kind,
            key.split,
            key.ship,
            self.items,
            round(self.frames / self.sample_rate, 3),
        )
