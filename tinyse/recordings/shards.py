"""Shards: recordings in WebDataset tar files, on disk or on a server, and the index that says what is in each.

A folder of shards is `shards.json` and the tar files that it lists. A tar file is plain WebDataset: for each recording
`NUMBER.flac` (or `NUMBER.opus`), sound at the sample rate of the index, and beside it `NUMBER.json`, which has the columns of
a manifest, `frames` (samples), `offset` (their mean) and `digest` (BLAKE2b-128 of the samples' bytes). All recordings of a
shard are of one kind, one split and one answer to "may it ship"; any few shards of those are a representative sample of all.

Why WebDataset: it is a tar file, which every tool reads and the standard library opens at any place, so a mixture stays a
function of (seed, epoch, index). The libraries that read such formats (webdataset, lhotse Shar, LitData) hand out streams
in an order that depends on the number of workers, or bring a container of their own; docs/how-to/scale.md has the trial.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from tinyse.config import Between, build, check_bounds
from tinyse.documents import from_json
from tinyse.errors import InputError
from tinyse.files import read_bytes
from tinyse.recordings.buffer import Buffer
from tinyse.recordings.manifest import KINDS, LONGEST_SECONDS, SPLITS, Kind, Manifest, Recording, Split
from tinyse.remote import address_of

FORMAT: Literal["tinyse-shards-1"] = "tinyse-shards-1"
INDEX = "shards.json"
DIGESTS = "digests.bin"
"""Beside the index: the digests of all recordings of the train and valid splits, 16 bytes each, sorted."""
DIGEST_BYTES = 16
JOURNAL = "packing.jsonl"
"""In the folder until packing has finished."""
MAX_INDEX_BYTES = 1 << 28
MAX_SHARD_BYTES = 1 << 32
MAX_ITEMS = 100_000
"""Recordings of a shard."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.tar", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """One tar file and what is in it."""

    name: str
    bytes: Annotated[int, Between(0, MAX_SHARD_BYTES)]
    sha256: str
    kind: Kind
    split: Split
    ship: bool
    items: Annotated[int, Between(1, MAX_ITEMS)]
    seconds: Annotated[float, Between(0, 1e9)]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"{self.name!r} is not the name of a shard: letters, digits, '.', '-' and '_', ending in .tar"
            )
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise InputError(f"{self.name}: {self.sha256!r} is not a SHA-256")
        check_bounds(self)


@dataclass(frozen=True)
class ShardIndex:
    """What `shards.json` says."""

    format: Literal["tinyse-shards-1"]
    sample_rate: Annotated[int, Between(1000, 1_000_000)]
    codec: Literal["flac", "opus"]
    shards: tuple[Shard, ...]
    digests: str = ""
    """SHA-256 of `digests.bin`."""
    summary: tuple[dict[str, Any], ...] = ()
    """`Manifest.summary` of what was packed."""
    notices: tuple[str, ...] = ()
    """What was found out about the recordings when they were decoded."""

    def __post_init__(self) -> None:
        check_bounds(self)
        names = [shard.name for shard in self.shards]
        if not names or len(set(names)) != len(names):
            raise InputError("it lists no shards, or one of them twice")


@dataclass(frozen=True)
class Shards(Manifest):
    """A data set in shards. It lists no recordings, of which there may be millions: `tinyse.recordings.windows` opens some
    of its shards at a time."""

    place: str = ""
    """Its folder, or its address."""
    index: ShardIndex = field(default=None)  # type: ignore[assignment]
    present: tuple[Shard, ...] = ()
    """The shards that exist."""
    buffer: Buffer | None = None
    """Where shards of a server are kept for as long as they are used; None for those on disk."""

    def path(self, shard: Shard) -> Path:
        """The shard's file on this machine, fetched if need be."""
        return (
            self.root / shard.name if self.buffer is None else self.buffer.fetch(shard.name, shard.bytes, shard.sha256)
        )

    def chosen(self, kind: Kind, split: Split, ship: bool | None = None) -> tuple[Shard, ...]:
        """The shards of a kind and split; `ship` True takes those whose recordings may ship."""
        return tuple(
            shard for shard in self.present if (shard.kind, shard.split) == (kind, split) and ship in (None, shard.ship)
        )

    def has(self, kind: Kind, split: Split, ship: bool | None = None) -> bool:
        return bool(self.chosen(kind, split, ship))

    def data_hash(self, shards: Iterable[Shard]) -> str:
        """A name, 16 hexadecimal digits, for exactly this sound in these shards."""
        return hashlib.sha256("\n".join(shard.sha256 for shard in shards).encode()).hexdigest()[:16]

    def check_rate(self, sample_rate: int) -> None:
        """Raise InputError where the shards hold sound at another rate."""
        if self.index.sample_rate != sample_rate:
            raise InputError(
                f"{self.place} holds sound at {self.index.sample_rate} Hz, {sample_rate} Hz is wanted: write the shards "
                f"again with tinyse data shard --rate {sample_rate}"
            )

    def summary(self) -> list[dict[str, Any]]:
        """Files and hours of the shards that exist; names are counted over all that were packed."""
        rows = []
        packed = {(row.get("kind"), row.get("split")): row for row in self.index.summary}
        for kind in KINDS:
            for split in SPLITS:
                if not (chosen := self.chosen(kind, split)):
                    continue
                count = "speakers" if kind == "speech" else "classes"
                row = packed.get((kind, split), {})
                rows.append(
                    {
                        "kind": kind,
                        "split": split,
                        "files": sum(shard.items for shard in chosen),
                        "hours": round(sum(shard.seconds for shard in chosen) / 3600, 3),
                        "ship_hours": round(sum(shard.seconds for shard in chosen if shard.ship) / 3600, 3),
                        count: row.get(count, 0),
                        "licenses": row.get("licenses", []),
                        "corpora": row.get("corpora", []),
                    }
                )
        return rows

    def write(self, path: str | Path) -> None:
        raise InputError(f"{self.place}: a folder of shards is a data set of its own and is written into no manifest")

    def licensed(self, license: str, ship: bool) -> Manifest:
        raise InputError(f"{self.place}: the licenses of shards are settled when they are packed")

    def digests(self) -> bytes:
        """The digests of all recordings of the train and valid splits, 16 bytes each. Raises InputError where the file is
        not the one that the index names."""
        path = self.root / DIGESTS
        if self.buffer is not None:
            most = DIGEST_BYTES * sum(shard.items for shard in self.index.shards)
            path = self.buffer.fetch(DIGESTS, most, self.index.digests)
        content = read_bytes(path)
        if hashlib.sha256(content).hexdigest() != self.index.digests:
            raise InputError(f"{self.place}/{DIGESTS} is not the file that {INDEX} names: copy it again")
        return content


def is_shards(path: str | Path) -> bool:
    """Whether a path is a folder of shards, or an address."""
    return address_of(path) is not None or (Path(path) / INDEX).is_file()


def open_shards(path: str | Path) -> Shards:
    """The data set in a folder of shards, or at the address of one.

    Shards of a folder that are missing are left out with a notice: a disk that holds only some of them is
    enough. Raises InputError for an index that makes no sense and for a shard whose size is not the index's.
    """
    address = address_of(path)
    place = (address or str(path)).rstrip("/")
    buffer = None if address is None else Buffer.of(place)
    found = Path(path) / INDEX if buffer is None else buffer.fetch_now(INDEX, MAX_INDEX_BYTES)
    index = read_index(found, f"{place}/{INDEX}")
    if buffer is not None:
        return Shards(Path(path), (), index.notices, place, index, index.shards, buffer)
    present = tuple(shard for shard in index.shards if _is_whole(Path(path) / shard.name, shard))
    if not present:
        raise InputError(
            f"{place}: none of the {len(index.shards)} shards that {INDEX} lists is in it: copy them again"
        )
    missing = len(index.shards) - len(present)
    notices = [f"{missing} of {len(index.shards)} shards are not there: the others are used"] if missing else []
    return Shards(Path(path), (), (*index.notices, *notices), place, index, present)


def read_index(path: Path, where: str) -> ShardIndex:
    """The index in a file. Raises InputError that names `where`."""
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise InputError(f"{where}: larger than {MAX_INDEX_BYTES >> 20} MB, which no index is")
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {where}: {error.strerror or error}") from error
    try:
        return build(ShardIndex, from_json(text, where))
    except InputError as error:
        raise InputError(str(error) if where in str(error) else f"{where}: {error}") from error


def _is_whole(path: Path, shard: Shard) -> bool:
    """Whether a shard exists. Raises InputError where it is of another size."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if size != shard.bytes:
        raise InputError(f"{path} has {size} bytes, {INDEX} says {shard.bytes}: copy it again, or remove it")
    return True


def refuse_trained_on(shards: Shards, digests: Sequence[tuple[str, str]]) -> None:
    """Raise InputError, by name, where one of these sounds (name, digest in hexadecimal) is in the train or valid split."""
    if not shards.index.digests:
        return
    content = shards.digests()
    learned = {content[i : i + DIGEST_BYTES] for i in range(0, len(content), DIGEST_BYTES)}
    for name, digest in digests:
        if bytes.fromhex(digest) in learned:
            raise InputError(
                f"the same sound is in {shards.place}, to be trained on, and in {name}: take it out of one of them"
            )


def recording_of(values: dict[str, Any]) -> Recording:
    """A recording from the columns in a shard's JSON. Raises TypeError or ValueError for anything else."""
    texts = {name: values.get(name, "") for name in ("path", "speaker", "label", "source", "corpus", "license")}
    if not all(isinstance(text, str) and len(text) < 4096 and text.isprintable() for text in texts.values()):
        raise ValueError("a text is not a text, is too long or holds unprintable characters")
    seconds, ship = values["seconds"], values.get("ship", False)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not isinstance(ship, bool):
        raise ValueError("seconds is a number, ship is true or false")
    if not abs(seconds) <= LONGEST_SECONDS:  # a whole number may be too large for `float`
        raise ValueError(f"more than {LONGEST_SECONDS:g} s")
    return Recording(seconds=float(seconds), kind=values["kind"], split=values["split"], ship=ship, **texts)
