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
from tinyse.progress import note, track
from tinyse.recordings.analysis import SILENT
from tinyse.recordings.broken import LEFT_OUT, of_files
from tinyse.recordings.manifest import Manifest, Recording
from tinyse.recordings.packing_journal import Done, Journal, Outcome
from tinyse.recordings.parts import decode, digest_of, files_of, in_order, parts_in
from tinyse.recordings.shard_file import SUFFIXES
from tinyse.recordings.shards import DIGESTS, FORMAT, INDEX, JOURNAL, Shard, ShardIndex, Shards

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
    outcome: Outcome


def write_shards(
    manifest: Manifest,
    folder: str | Path,
    megabytes: int = 32,
    sample_rate: int = DEFAULT_RATE,
    codec: Codec = "flac",
    workers: int | None = None,
) -> ShardIndex:
    """Write a manifest's sound, at a rate, as shards of about `megabytes` each; `open_data(folder)` reads them.

    Whatever ends it early, a kill included, the same call goes on after the last shard that was finished, and gives the
    same bytes as one that was not interrupted. Recordings that cannot be decoded are left out and named in the index's
    notices. Raises InputError if the folder has shards already, another packing was begun or another process writes in it,
    where nothing can be decoded, and where the same sound is in two splits.
    """
    folder = Path(folder)
    _check(manifest, megabytes, sample_rate, codec)
    ordered = _in_runs(manifest.recordings)
    packed = {
        "recordings": _names(manifest.root, ordered),
        "megabytes": megabytes,
        "rate": sample_rate,
        "codec": codec,
    }
    workers = workers or cores()
    notes = _Notes()
    with alone_in(folder), Journal(folder, packed, lambda: _check_new(folder)) as journal:
        done = [outcome for line in journal.done for outcome in line.outcomes]
        for recording, outcome in zip(ordered, done, strict=False):
            notes.add(recording, outcome)
        left = ordered[len(done) :]
        if journal.done:
            note(f"finished shards in {folder}: {len(journal.done)}; recordings left: {len(left)} of {len(ordered)}")
        with ThreadPoolExecutor(workers) as pool, _Packing(journal, megabytes, sample_rate, codec) as packing:
            work = in_order(pool, lambda each: _pack(manifest.root, each, sample_rate, codec), left, 4 * workers)
            for recording, got in track(work, len(left), "packing"):
                notes.add(recording, got.outcome)
                packing.add(got)
            packing.finish_shard()
        if not notes.kept:
            raise InputError(
                f"{manifest.root}: none of {len(ordered)} recordings can be decoded; the first: {notes.left_out[0]}"
            )
        write_bytes(folder / DIGESTS, b"".join(sorted(notes.learned)))
        index = ShardIndex(
            FORMAT,
            sample_rate,
            codec,
            tuple(sorted((line.shard for line in journal.done), key=lambda shard: shard.name)),
            sha256(folder / DIGESTS),
            tuple(replace(manifest, recordings=tuple(notes.kept)).summary()),
            tuple(notes.lines()),
        )
        write_json(folder / INDEX, as_dict(index))
        journal.complete = True
    return index


def _check(manifest: Manifest, megabytes: int, sample_rate: int, codec: Codec) -> None:
    if not 1 <= megabytes <= 2000:
        raise InputError(f"a shard of {megabytes} megabytes is not possible: give 1 to 2000")
    if isinstance(manifest, Shards) or parts_in(manifest.root):
        raise InputError(f"{manifest.root}: these are shards already; pack the recordings that they were made from")
    if codec == "opus" and sample_rate not in CODEC_RATES["OPUS"]:
        raise InputError(f"Opus has no rate of {sample_rate} Hz: use --codec flac, or a rate of "
                         f"{', '.join(map(str, CODEC_RATES['OPUS']))} Hz")  # fmt: skip


def _check_new(folder: Path) -> None:
    """Raise InputError for a folder in which no packing can begin."""
    if (folder / INDEX).exists() or parts_in(folder):
        raise InputError(f"{folder} has shards already: give an empty folder")
    if tars := sorted(path.name for path in folder.glob("*.tar")):
        raise InputError(f"{folder} has {len(tars)} .tar files, such as {tars[0]}, and neither {INDEX} nor {JOURNAL}: "
                         "copy what is missing, or give an empty folder")  # fmt: skip


def _names(root: Path, ordered: Sequence[Recording]) -> str:
    """A name, 64 hexadecimal digits, for exactly these recordings in this order, their files unchanged."""
    digest = hashlib.sha256()
    for recording in ordered:
        stamps = [_stamp(root / path) for path in files_of(recording)]
        digest.update(json.dumps([vars(recording), stamps]).encode())
    return digest.hexdigest()


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None for one that cannot be read, which is then left out."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _in_runs(recordings: Sequence[Recording]) -> list[Recording]:
    """The recordings in the order in which they are packed, which does not depend on theirs; those of a shard's kind
    together, so that shards can be finished one after another."""
    groups: dict[tuple[str, tuple[str, str, bool]], list[Recording]] = defaultdict(list)
    for each in sorted(recordings, key=lambda recording: (recording.path, recording.minus)):
        groups[each.group, _key(each)].append(each)
    runs: list[list[Recording]] = []
    for group in groups.values():
        seconds = float(RUN_SECONDS)
        for each in group:
            if seconds >= RUN_SECONDS:
                runs.append([])
                seconds = 0.0
            runs[-1].append(each)
            seconds += each.seconds
    together: dict[tuple[str, str, bool], list[Recording]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: _hash(run[0])):
        together[_key(run[0])] += run
    return [each for group in together.values() for each in group]


def _key(recording: Recording) -> tuple[str, str, bool]:
    """What all recordings of a shard have in common."""
    return recording.kind, recording.split, recording.ship


def _hash(recording: Recording) -> bytes:
    return hashlib.sha256(f"{recording.path}\0{recording.minus}".encode()).digest()


def _pack(root: Path, recording: Recording, sample_rate: int, codec: Codec) -> _Packed:
    got = decode(root, recording, False, sample_rate)
    if isinstance(got, InputError):
        return _Packed((), Outcome(left_out=str(got)))
    count = 1 if recording.kind == "rir" else -(-len(got.pcm) // (PIECE_SECONDS * sample_rate))
    pieces = []
    for number, pcm in enumerate(np.array_split(got.pcm, count)):
        encoded = encode(pcm, sample_rate, codec)
        if codec == "opus":  # training gets what comes out
            pcm, _ = soundfile.read(io.BytesIO(encoded), dtype="int16")
        piece = replace(recording, minus="", seconds=len(pcm) / sample_rate)
        if count > 1:  # still one source, and one voice of an unknown speaker, to be drawn as often as the whole
            piece = replace(piece, path=f"{recording.path}#{number}", source=recording.source or recording.path)
        pieces.append(Piece(piece, len(pcm), float(from_pcm16(pcm).mean(dtype=np.float64)), digest_of(pcm), encoded))
    return _Packed(tuple(pieces), Outcome(digest_of(got.pcm), got.notices))


def encode(pcm: np.ndarray, sample_rate: int, codec: Codec) -> bytes:
    """Samples, int16 (samples,), as a file of FLAC or of Opus in Ogg."""
    file = io.BytesIO()
    form, subtype = ("FLAC", "PCM_16") if codec == "flac" else ("OGG", "OPUS")
    soundfile.write(file, pcm, sample_rate, format=form, subtype=subtype)
    return file.getvalue()


@dataclass
class _Notes:
    """What the index says of the recordings, and the digests of their sound."""

    kept: list[Recording] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    found: dict[str, list[Any]] = field(default_factory=dict)
    """By notice: the number of recordings, and the first."""
    learned: set[bytes] = field(default_factory=set)
    """Digests of what is trained and validated on."""
    places: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    """By digest: the split and path of the first recording."""

    def add(self, recording: Recording, outcome: Outcome) -> None:
        """Raises InputError, by name, where the same sound is in another split."""
        if outcome.left_out:
            self.left_out.append(f"{LEFT_OUT}{outcome.left_out}")
            return
        self.kept.append(recording)
        for notice in outcome.notices:
            self.found.setdefault(notice, [0, recording.path])[0] += 1
        digest = bytes.fromhex(outcome.digest)
        if recording.kind != "rir" and SILENT not in outcome.notices:
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


class _Packing:
    """Pieces into shards, one shard after another, each noted in the journal when it is finished."""

    def __init__(self, journal: Journal, megabytes: int, sample_rate: int, codec: Codec) -> None:
        self._journal, self._megabytes, self._sample_rate, self._codec = journal, megabytes, sample_rate, codec
        self._counts = Counter(f"{line.shard.kind}-{line.shard.split}" for line in journal.done)
        self._skipped = journal.done[-1].pieces if journal.done else 0
        """Pieces of the next recording that finished shards hold."""
        self._writer: ShardWriter | None = None
        self._outcomes: list[Outcome] = []
        """Those of the recordings that are finished and in no line of the journal."""

    def __enter__(self) -> _Packing:
        return self

    def __exit__(self, *error: Any) -> None:
        """After an error nothing is left of a shard that is not finished."""
        if self._writer is not None:
            self._writer.__exit__(*error)

    def add(self, packed: _Packed) -> None:
        """The pieces of the next recording."""
        for number, piece in enumerate(packed.pieces[self._skipped :], self._skipped):
            if self._writer is not None and not self._writer.takes(piece, self._megabytes):
                self.finish_shard(number)
            if self._writer is None:
                self._writer = self._next_writer(piece.recording)
            self._writer.add(piece)
        self._skipped = 0
        self._outcomes.append(packed.outcome)

    def finish_shard(self, pieces: int = 0) -> None:
        """Give the shard in the making its name; `pieces` of the recording that comes next are in it or before it."""
        if self._writer is not None:
            self._journal.add(Done(self._writer.finish(), tuple(self._outcomes), pieces))
            self._writer, self._outcomes = None, []

    def _next_writer(self, first: Recording) -> ShardWriter:
        name = f"{first.kind}-{first.split}"
        path = self._journal.path.with_name(f"{name}-{self._counts[name]:05d}.tar")
        self._counts[name] += 1
        return ShardWriter(path, first, self._codec, self._sample_rate)


class ShardWriter:
    """A shard in the making."""

    def __init__(self, path: Path, first: Recording, codec: Codec, sample_rate: int) -> None:
        self.path, self.first, self.sample_rate, self.suffix = path, first, sample_rate, SUFFIXES[codec]
        self._stack = ExitStack()
        temporary = self._stack.enter_context(replacing(self.path))
        self._archive = self._stack.enter_context(tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT))  # noqa: SIM115
        self.items, self.frames, self.bytes = 0, 0, 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        """After an error nothing is left of a shard that is not finished."""
        self._stack.__exit__(*error)

    def takes(self, piece: Piece, megabytes: int) -> bool:
        """Whether a piece belongs into this shard, and not into the next one."""
        fits = self.bytes + len(piece.encoded) <= megabytes * 1_000_000 and self.items < SHARD_ITEMS
        return fits and _key(piece.recording) == _key(self.first)

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
        first = self.first
        return Shard(
            self.path.name,
            self.path.stat().st_size,
            sha256(self.path),
            first.kind,
            first.split,
            first.ship,
            self.items,
            round(self.frames / self.sample_rate, 3),
        )
