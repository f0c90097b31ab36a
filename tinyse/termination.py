"""The signals by which a process is told to end from outside: by a scheduler, or by a terminal that is closed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Windows has no SIGHUP."""

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


def on_termination(handler: Handler) -> dict[signal.Signals, Handler | int | None]:
    """Let `handler` answer these signals; returns the handlers before. What the caller ignores (`nohup`) stays ignored."""
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}
