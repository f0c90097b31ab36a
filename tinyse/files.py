"""Files are written whole or not at all, and named by what is in them."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tinyse.errors import InputError

LEFTOVER = ".tinyse-"
"""What the names of files begin with that are not whole yet."""
_unfinished: set[Path] = set()
"""Those that this process is writing."""


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` when the block ends without an error.

    A reader sees the old file or the new one, never half of one, also when the disk fills up or the process is killed.
    A link stays, and what it leads to is replaced. A device or a named pipe stays too, and gets the bytes at the end.
    Raises InputError where the file cannot be written.
    """
    path = Path(path)
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        with _copied_to(path) as temporary:
            yield temporary
        return
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=LEFTOVER, suffix=path.suffix)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    os.close(handle)
    temporary = Path(name)
    _unfinished.add(temporary)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
        _unfinished.discard(temporary)


def remove_unfinished() -> None:
    """Remove the files that this process has begun to write, before it exits at once."""
    for temporary in tuple(_unfinished):
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _copied_to(path: Path) -> Iterator[Path]:
    """Yield a temporary path whose bytes go to `path`, a device or a named pipe, when the block ends without an error."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / f"file{path.suffix}"
        temporary.touch()
        yield temporary
        try:
            with open(temporary, "rb") as source, open(path, "wb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` to `path` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_csv(path: str | Path, columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table with a header to `path`, whole or not at all; a cell that a row lacks is empty."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def read_bytes(path: str | Path) -> bytes:
    """All that a file holds. Raises InputError where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal. Raises InputError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()


def leads_out(path: str) -> bool:
    """Whether a path from an untrusted file leads out of the folder that it is relative to."""
    place = Path(path)
    return place.is_absolute() or ".." in place.parts or "\\" in path or "\0" in path


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left half written below `folder`, where no other process may be writing."""
    for path in folder.rglob(f"{LEFTOVER}*"):
        path.unlink(missing_ok=True)


def free_bytes(folder: Path) -> int:
    """What is free on the disk that a folder lies on, or would if it were made."""
    there = next(place for place in (folder, *folder.resolve().parents) if place.is_dir())
    return shutil.disk_usage(there).free


def newer(path: Path, than: Path) -> bool:
    """Whether `path` exists and is not older than `than`."""
    return path.exists() and path.stat().st_mtime >= than.stat().st_mtime


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
