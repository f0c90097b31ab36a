"""Stopping between updates: a signal sets a flag, the current update is finished, then the checkpoint is written."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from tinyse.termination import on_termination

PATIENCE = 1.0
"""Seconds after which another Ctrl-C means it. torchrun passes on the one that its processes have got themselves."""


class StopRequest:
    """Whether Ctrl-C, SIGTERM or SIGHUP came."""

    asked_at: float | None = None

    @property
    def asked(self) -> bool:
        return self.asked_at is not None

    def ask(self, number: int, _frame: FrameType | None) -> None:
        """The handler of these signals. Another Ctrl-C a while after the first ends at once, without a checkpoint."""
        now = time.monotonic()
        if self.asked_at is None:
            self.asked_at = now
        elif number == signal.SIGINT and now - self.asked_at > PATIENCE:
            raise KeyboardInterrupt


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch Ctrl-C, SIGTERM and SIGHUP in the block, and raise KeyboardInterrupt at its end if one came.

    Only a main thread can; in another the request never comes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {signal.SIGINT: signal.signal(signal.SIGINT, request.ask), **on_termination(request.ask)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if request.asked:  # while the finished stage was written
        raise KeyboardInterrupt
