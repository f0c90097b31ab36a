"""A process pool that stays small in memory, and whose processes end with the one that opened it, however that ends."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from tinyse.errors import InputError
from tinyse.files import remove_unfinished
from tinyse.termination import on_termination


class ProcessPool:
    """`submit` work to `processes` others, or do it at once in this one where `processes` is 1.

    No more than a few jobs per process wait at a time: `submit` blocks until there is room, so that the sounds of a
    thousand files are not held in memory. Workers are spawned, not forked: runtimes of models hold threads and locks.
    A worker that was killed ends the block with an InputError.
    """

    def __init__(self, processes: int) -> None:
        if processes < 1:
            raise InputError(f"the number of processes is at least 1, not {processes}")
        self._waiting: set[concurrent.futures.Future[Any]] = set()
        self._room = 4 * processes
        self._executor: concurrent.futures.ProcessPoolExecutor | None = None
        if processes > 1:
            self._executor = concurrent.futures.ProcessPoolExecutor(
                processes, multiprocessing.get_context("spawn"), initializer=_end_with_the_parent
            )

    def submit(self, work: Callable[..., Any], *arguments: Any) -> concurrent.futures.Future[Any]:
        """Like the executor's, after waiting for room."""
        if self._executor is None:
            done: concurrent.futures.Future[Any] = concurrent.futures.Future()
            done.set_result(work(*arguments))
            return done
        while len(self._waiting) >= self._room:
            first = concurrent.futures.FIRST_COMPLETED
            self._waiting = set(concurrent.futures.wait(self._waiting, return_when=first).not_done)
        with _deaf_to_ctrl_c():
            job = self._executor.submit(work, *arguments)
        self._waiting.add(job)
        return job

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            workers = list((self._executor._processes or {}).values())
            try:
                # After an error the results are not needed any more, but what is running may end.
                self._executor.shutdown(wait=True, cancel_futures=kind is not None)
            except KeyboardInterrupt:  # another Ctrl-C: nobody tells the workers to end, and Python would wait for them
                for worker in workers:
                    worker.terminate()
                raise
        if isinstance(error, BrokenProcessPool):
            raise InputError(
                "a process of this command was killed, perhaps because memory ran out: try again with fewer --processes"
            ) from error


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A process that is started in this block never gets Ctrl-C; this one gets it at the end of the block.

    What a process ignores by itself it hears until it has started, and that takes a second.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_the_parent() -> None:
    """Ctrl-C reaches every process of a terminal: only the parent answers it, the workers end with the pool. A scheduler's
    SIGTERM and a terminal's SIGHUP end them at once. A parent that is killed ends no pool, so each worker watches for that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    on_termination(_terminated)
    threading.Thread(target=_watch_the_parent, name="parent watch", daemon=True).start()


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    _end()


def _watch_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        _end()


def _end() -> None:
    """End at once, whatever a library is doing, but leave no incomplete file."""
    remove_unfinished()
    os._exit(1)
