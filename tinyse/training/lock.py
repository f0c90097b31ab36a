"""One run in a folder at a time: two would write each other's log, checkpoints and models."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lightning_fabric import Fabric

from tinyse.errors import InputError
from tinyse.files import remove_leftovers, write_text
from tinyse.locks import Held, alone_in

HOLDER = ".holder"
"""Who has the lock, in the folder; what a process that has ended left there means nothing."""


_held: set[Path] = set()
"""The folders that this process holds."""


@contextmanager
def locked(folder: Path, fabric: Fabric | None = None) -> Iterator[None]:
    """Hold the folder, which is made, in this block. The system lets go of it when the process ends, however it does.

    With `fabric`, its first process holds it for all. Blocks of one process may nest. What a killed run left half written is
    removed. Raises InputError, in every process, where another run has the folder, which is named, or it cannot be written.
    """
    with ExitStack() as stack:
        refusal = ""
        if fabric is None or fabric.is_global_zero:
            try:
                _hold(folder, stack)
            except InputError as error:
                refusal = str(error)
        if fabric is not None:
            refusal = fabric.broadcast(refusal)
        if refusal:
            raise InputError(refusal)
        yield


def _hold(folder: Path, stack: ExitStack) -> None:
    place = folder.resolve()
    if place in _held:
        return
    try:
        stack.enter_context(alone_in(folder))
    except Held as error:
        told = f"another run is at work in {folder}{_holder(folder)}"
        raise InputError(f"{told}: wait for its end, or use another output folder") from error
    _held.add(place)
    stack.callback(_held.remove, place)
    try:
        remove_leftovers(folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
    write_text(folder / HOLDER, _this_process())


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M')}"


def _holder(folder: Path) -> str:
    """The process that holds the lock, in parentheses; empty where its name is not written yet."""
    try:
        return f" ({(folder / HOLDER).read_text(encoding='utf-8', errors='replace')[:200]})"
    except OSError:
        return ""
