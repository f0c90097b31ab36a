"""Recordings that turn out broken: left out, counted and named, and too many of them end the run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tinyse.errors import InputError

LEFT_OUT = "left out: "
"""How notices about recordings that cannot be used begin."""
FEWEST = 100
"""The share of broken recordings is taken of at least this many: two broken ones of the first ten do not end a run."""
RECORD = "broken.jsonl"
"""In a run's folder: a line `{"recording": ..., "reason": ...}` for each."""


class BrokenItem(InputError):
    """A recording that cannot be used; others can."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


class LeftOut(str):
    """The notice that a recording cannot be used; it knows the recording's name and the reason."""

    name: str
    reason: str

    def __new__(cls, name: str, reason: str) -> LeftOut:
        notice = super().__new__(cls, f"{LEFT_OUT}{name}: {reason}")
        notice.name, notice.reason = name, reason
        return notice

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return self.name, self.reason

    @classmethod
    def of(cls, path: Path, error: InputError) -> LeftOut:
        """Of a file that `error` speaks of, mostly as "cannot read PATH: REASON"."""
        return cls(str(path), str(error).partition(f"{path}: ")[2] or str(error))


@dataclass
class Broken:
    """The broken recordings that a process met."""

    share: float = 1.0
    """The largest share of the recordings read that may be broken."""
    record: Path | None = None
    """The file that names them."""
    names: set[str] = field(default_factory=set)

    def add(self, item: BrokenItem, tried: int) -> None:
        """Note one, after `tried` were read. Raises InputError where they are more than the share."""
        if item.name in self.names:
            return
        self.names.add(item.name)
        if self.record is not None:
            line = json.dumps({"recording": item.name, "reason": item.reason}) + "\n"
            with suppress(OSError), open(self.record, "a", encoding="utf-8") as file:
                file.write(line)  # in one piece: processes append at once
        if len(self.names) > self.share * max(tried, FEWEST):
            where = f"; all are named in {self.record}" if self.record else ""
            raise InputError(
                f"{len(self.names)} of {tried} recordings are broken, more than the share of {self.share:g} that the key "
                f"`broken` allows; the last is {item}{where}"
            )

    def add_left_out(self, notices: Iterable[str], tried: int) -> None:
        """Note those that notices name."""
        for notice in notices:
            if isinstance(notice, LeftOut):
                self.add(BrokenItem(notice.name, notice.reason), tried)


def of_files(notice: str, count: int, first: str) -> str:
    """A notice about `count` files, in a line."""
    return f"{first}: {notice}" if count == 1 else f"{count} files: {notice}; the first is {first}"


def named_in(folder: Path) -> list[str]:
    """The recordings that the record in a run's folder names, each once."""
    found: dict[str, None] = {}
    with suppress(OSError, UnicodeDecodeError), open(folder / RECORD, encoding="utf-8") as file:
        for line in file:
            with suppress(ValueError, KeyError, TypeError):  # a line that a full disk cut
                found[json.loads(line)["recording"]] = None
    return list(found)
