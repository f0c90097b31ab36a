"""What packing has done so far, in the folder of the shards: the same command goes on from there, whatever ended it.

The first line of the journal says what is packed, and how. Each further line is one finished shard, appended when the file has
its name. Shards are finished one after another, so a line also says how far the recordings are: nothing of those before is
missing, nothing of those after is there. A line that was cut short does not count, and is written again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinyse.config import as_dict, build
from tinyse.documents import from_json
from tinyse.errors import InputError
from tinyse.files import remove_leftovers
from tinyse.recordings.shards import JOURNAL, Shard

FORMAT = "tinyse-packing-1"


@dataclass(frozen=True)
class Outcome:
    """What became of a recording."""

    digest: str = ""
    """Digest of its samples."""
    notices: tuple[str, ...] = ()
    left_out: str = ""
    """Why it is in no shard; empty where it is in one."""


@dataclass(frozen=True)
class Done:
    """A finished shard, and how far the recordings are with it."""

    shard: Shard
    outcomes: tuple[Outcome, ...]
    """Those of the recordings that were finished since the shard before."""
    pieces: int
    """Pieces of the next recording that are in this shard or before."""


class Journal:
    """The journal in a folder that the caller holds (`locks.alone_in`)."""

    def __init__(self, folder: Path, packed: Mapping[str, Any], check_new: Callable[[], None]) -> None:
        """`packed`: what is packed and how, by the words of messages; `check_new` raises InputError for a folder in which
        no packing can begin.

        Raises InputError where something else was begun, and where it cannot be written.
        """
        self.path = folder / JOURNAL
        self.done: list[Done] = []
        """What earlier calls and this one have finished."""
        self.complete = False
        """Whether there is nothing left to go on with."""
        try:
            self._file = open(self.path, "a+b")  # noqa: SIM115
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._file.seek(0)
            header, *lines = self._file.read().splitlines(keepends=True) or [b""]
            kept = self._read(lines)
            begun = {"format": FORMAT, **packed}
            if header.endswith(b"\n") and self._is_same(from_json(header, str(self.path)), begun):
                self._cut(len(header) + kept)
            else:
                self._begin(begun, check_new)
            remove_leftovers(folder)
        except BaseException:
            self._file.close()
            raise

    def add(self, done: Done) -> None:
        """Note a shard whose file has its name. Raises InputError where the disk takes no more."""
        self._append(
            {
                "shard": as_dict(done.shard),
                "outcomes": [asdict(each) for each in done.outcomes],
                "pieces": done.pieces,
            }
        )
        self.done.append(done)

    def close(self) -> None:
        """Let go of the folder; the journal is removed where the packing is complete or has no shard yet."""
        with self._file:
            if self.complete or not self.done:
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _is_same(self, found: Any, begun: Mapping[str, Any]) -> bool:
        """Raises InputError where something else was begun, and shards of it are there."""
        found = found if isinstance(found, dict) else {}
        other = [name for name, value in begun.items() if found.get(name) != value]
        if other and (self.done or "format" in other):
            raise InputError(
                f"{self.path.parent}: the packing that was begun there differs in {' and '.join(other)}: give the same "
                "command and the same recordings, or another folder"
            )
        return not other

    def _begin(self, begun: Mapping[str, Any], check_new: Callable[[], None]) -> None:
        try:
            check_new()
        except InputError:
            if not self._file.tell():
                self.path.unlink()  # opening has made it
            raise
        self._cut(0)
        self._append(begun)

    def _read(self, lines: list[bytes]) -> int:
        """Take over the lines up to the first that is cut short or whose shard is not there; returns their bytes."""
        length = 0
        for line in lines:
            with suppress(InputError, KeyError, TypeError, ValueError, OSError):
                values = from_json(line, str(self.path))
                outcomes = tuple(Outcome(**{**each, "notices": tuple(each["notices"])}) for each in values["outcomes"])
                done = Done(build(Shard, values["shard"]), outcomes, int(values["pieces"]))
                if line.endswith(b"\n") and (self.path.parent / done.shard.name).stat().st_size == done.shard.bytes:
                    self.done.append(done)
                    length += len(line)
                    continue
            break
        return length

    def _cut(self, length: int) -> None:
        try:
            self._file.truncate(length)
        except OSError as error:
            raise self._failed(error) from error

    def _append(self, values: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(values, allow_nan=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> InputError:
        return InputError(f"cannot write {self.path}: {error.strerror or error}")
