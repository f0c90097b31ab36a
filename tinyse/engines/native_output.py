"""What C++ libraries print below Python: caught, so that a command's output is its own and an error can quote it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


class NativeOutput:
    """The text that came while the block of `captured` ran; empty before it ends."""

    text: str = ""


@contextlib.contextmanager
def captured() -> Iterator[NativeOutput]:
    """Redirect the process's standard output and error to a temporary file for the block, and read it at the end.

    It works on file descriptors, since a C++ library writes there: other threads' output is caught meanwhile, too.
    Where the process has no such descriptors nothing is caught.
    """
    output = NativeOutput()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    try:
        saved = [os.dup(descriptor) for descriptor in (1, 2)]
    except OSError:
        yield output
        return
    with tempfile.TemporaryFile() as file:
        try:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
            yield output
        finally:
            for descriptor, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, descriptor)
                os.close(copy)
            file.seek(0)
            output.text = file.read().decode(errors="replace")
