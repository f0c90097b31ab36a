"""One run in a folder at a time: two would write each other's log, checkpoints and models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from lightning_fabric import Fabric

from tinyse.errors import InputError


@contextmanager
def locked(folder: Path, fabric: Fabric | None = None) -> Iterator[None]:
    """Hold the folder, which is made, in this block. The system lets go of it when the process ends, however it does.

    With `fabric`, its first process holds it for all. Blocks of one process may nest. Raises InputError, in every process,
    where another run has the folder or it cannot be written.
    """
    lock = FileLock(folder / ".lock", timeout=0, is_singleton=True)
    refusal = ""
    if fabric is None or fabric.is_global_zero:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            refusal = f"another run is at work in {folder}: wait for its end, or use another output folder"
        except OSError as error:
            refusal = f"cannot write {folder}: {error.strerror or error}"
    if fabric is not None:
        refusal = fabric.broadcast(refusal)
    if refusal:
        raise InputError(refusal)
    try:
        yield
    finally:
        lock.release()
