"""One run in a folder at a time: two would write each other's log, checkpoints and models."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from lightning_fabric import Fabric

from tinyse.errors import InputError
from tinyse.files import remove_leftovers, write_text

HOLDER = ".holder"
"""Who has the lock, in the folder; what a process that has ended left there means nothing."""


@contextmanager
def locked(folder: Path, fabric: Fabric | None = None) -> Iterator[None]:
    """Hold the folder, which is made, in this block. The system lets go of it when the process ends, however it does.

    With `fabric`, its first process holds it for all. Blocks of one process may nest. What a killed run left half written is
    removed. Raises InputError, in every process, where another run has the folder, which is named, or it cannot be written.
    """
    lock = FileLock(folder / ".lock", timeout=0, is_singleton=True)
    refusal = ""
    if fabric is None or fabric.is_global_zero:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            if lock.lock_counter == 1:
                remove_leftovers(folder)
                write_text(folder / HOLDER, _this_process())
        except Timeout:
            refusal = (
                f"another run is at work in {folder}{_holder(folder)}: wait for its end, or use another output folder"
            )
        except OSError as error:
            refusal = f"cannot write {folder}: {error.strerror or error}"
        except InputError as error:  # of the holder's name: the disk is full
            lock.release()
            refusal = str(error)
    if fabric is not None:
        refusal = fabric.broadcast(refusal)
    if refusal:
        raise InputError(refusal)
    try:
        yield
    finally:
        lock.release()


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M')}"


def _holder(folder: Path) -> str:
    """The process that holds the lock, in parentheses; empty where its name is not written yet."""
    try:
        return f" ({(folder / HOLDER).read_text(encoding='utf-8', errors='replace')[:200]})"
    except OSError:
        return ""
