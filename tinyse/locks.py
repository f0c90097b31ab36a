"""One process at a time in a folder, or at a file. The system lets go of a lock when its process ends, however it does.

Some network drives have no locks, and Windows has none of this kind: there, nobody waits and nobody is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tinyse.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Held(InputError):
    """Another process holds it."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made, in this block: what is written there belongs together.

    The folder itself is locked, so no file of the lock lies in it. One that was made and is empty at the end goes again.
    Raises Held where another process holds it, and InputError where it cannot be made.
    """
    was_there = folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY) if fcntl else None
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
    try:
        if not _take(handle):
            raise Held(f"another process is writing to {folder}: wait for its end, or give another folder")
        yield
    finally:
        if not was_there:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        if handle is not None:
            os.close(handle)


@contextmanager
def in_turn(lock: Path, say: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Wait for the processes that hold this file, then hold it in this block. Its folder exists, the file is made.

    `say` is called where it has to wait. Raises OSError where the file cannot be made.
    """
    with open(lock, "w") as file:
        if not _take(file):
            say()
            _take(file, wait=True)
        yield


def in_use(file: IO[bytes]) -> None:
    """Mark a file as used by this process, for as long as it or a map of it is open; any number of processes may."""
    if fcntl:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def is_unused(file: IO[bytes]) -> bool:
    """Whether no other process marked the file with `in_use`; none will while it stays open."""
    return _take(file)


def _take(file: IO[bytes] | IO[str] | int | None, wait: bool = False) -> bool:
    """Lock an open file or folder; False where another holds it. True without a lock where there are none."""
    if fcntl and file is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True
