"""Silences C libraries that write to standard error while sound runs: it belongs to the screen and to error messages."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def silence_libraries() -> Iterator[None]:
    """Drop what is written to file descriptor 2 by anything but Python, whose `sys.stderr` stays as it was."""
    sys.stderr.flush()
    kept, nowhere, python = os.dup(2), os.open(os.devnull, os.O_WRONLY), sys.stderr
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        sys.stderr.close()
        sys.stderr = python
        for descriptor in (kept, nowhere):
            os.close(descriptor)
