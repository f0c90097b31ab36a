"""One process at a time in a folder, or at a file. The system lets go of a lock when its process ends, however it does.

Some network drives have no locks: there, nobody waits and nobody is refused.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinyse.errors import InputError


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
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Held(f"another process is writing to {folder}: wait for its end, or give another folder") from error
        except OSError:
            pass
        yield
    finally:
        if not was_there:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        os.close(handle)


@contextmanager
def in_turn(lock: Path, say: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Wait for the processes that hold this file, then hold it in this block. Its folder exists, the file is made.

    `say` is called where it has to wait. Raises OSError where the file cannot be made.
    """
    with open(lock, "w") as file:
        with suppress(OSError):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say()
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
