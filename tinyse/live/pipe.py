"""Sound on standard input and output: raw samples, or a wav as recorders write it to a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedIOBase
from typing import BinaryIO

import numpy as np

from tinyse.audio import pcm
from tinyse.errors import InputError
from tinyse.streaming.hops import as_float

BLOCK_BYTES = 1 << 16
"""The most that is read at a time; a pipe gives what it holds."""


class PipeReader:
    """Sound from a stream of bytes. `spec` is what it said of itself, or else what was assumed of it."""

    def __init__(self, stream: BufferedIOBase, assumed: pcm.SampleSpec) -> None:
        """Reads as much as shows whether it is a wav. Raises InputError for a wav that cannot be read."""
        header, self._first = pcm.read_header(stream)
        self._stream, self.spec, self.is_wav = stream, header or assumed, header is not None
        self.cut = 0
        """Bytes at the end that were no whole sample."""

    def __iter__(self) -> Iterator[np.ndarray]:
        """Blocks (samples, channels) float32, as they come. Raises InputError for what is not sound."""
        whole = len(self._first) // self.spec.frame * self.spec.frame
        yield self._sound(self._first[:whole])
        rest, left = self._first[whole:], self.spec.size
        while left is None or left > 0:
            # read1 gives what a pipe holds now, where read would wait for more.
            content = self._stream.read1(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left))
            if not content:
                break
            left = None if left is None else left - len(content)
            rest += content
            whole = len(rest) // self.spec.frame * self.spec.frame
            yield self._sound(rest[:whole])
            rest = rest[whole:]
        self.cut = len(rest)

    def _sound(self, content: bytes) -> np.ndarray:
        try:
            return as_float(pcm.decode(content, self.spec)).reshape(-1, self.spec.channels)
        except InputError as error:
            hint = "" if self.is_wav else f"; it was read as {self.spec.format}; give --format if it is another"
            raise InputError(f"standard input: {error}{hint}") from error


class PipeWriter:
    """Sound to a stream of bytes, each block at once."""

    def __init__(self, stream: BinaryIO, spec: pcm.SampleSpec, wav: bool) -> None:
        """`wav`: with a header in front, which says that the end is not known."""
        self._stream, self._format = stream, spec.format
        if wav:
            stream.write(pcm.wav_header(spec.format, spec.rate, channels=spec.channels))

    def write(self, samples: np.ndarray) -> None:
        """(samples, channels) float32."""
        self._stream.write(pcm.encode(samples, self._format))
        self._stream.flush()
