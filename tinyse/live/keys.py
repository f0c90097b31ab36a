"""Single keys from a terminal, without Enter."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator

try:
    import termios
    import tty
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

ReadKey = Callable[[float], str]
"""Waits at most the given seconds for a key: its character, or an empty text."""


@contextlib.contextmanager
def keyboard() -> Iterator[ReadKey]:
    """The terminal as a keyboard, and as it was afterwards. Raises io.UnsupportedOperation where stdin is not a file."""
    if termios is None:
        yield _read_windows
        return
    descriptor = sys.stdin.fileno()
    saved = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)  # keys come at once and are not shown; Ctrl-C still interrupts

        def read(seconds: float) -> str:
            waiting, _, _ = select.select([descriptor], [], [], seconds)
            return os.read(descriptor, 1).decode(errors="ignore") if waiting else ""  # past Python's own buffer

        yield read
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, saved)


def _read_windows(seconds: float) -> str:
    import msvcrt
    import time

    end = time.monotonic() + seconds
    while not msvcrt.kbhit():  # type: ignore[attr-defined]
        if time.monotonic() > end:
            return ""
        time.sleep(0.02)
    return msvcrt.getwch()  # type: ignore[attr-defined]
