"""The endpoints of a session: a source of sound and a sink, devices or files."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Protocol

from tinyse.audio import DEFAULT_RATE, read_channels
from tinyse.audio.encoding import SoundWriter
from tinyse.errors import InputError
from tinyse.live.ring import Ring

BLOCK_SECONDS = 0.01
"""Sound moves in pieces of this length, as from a sound card."""


class Endpoint(Protocol):
    """A source or a sink. It works in a thread of its own between `start` and `stop`."""

    name: str
    rate: int
    """Samples per second."""
    waits: bool
    """Whether it can wait for the rest, as a file can; a sound card cannot."""
    faults: int
    """Over- or underruns that it has seen."""

    @property
    def latency(self) -> float:
        """Seconds between the air and the ring, as the driver says."""
        ...

    def start(self, ring: Ring, target: int) -> None:
        """Begin to fill or to empty `ring`, in which `target` samples may wait; a sink that cannot wait begins with them."""
        ...

    def check(self) -> None:
        """Raise InputError where the endpoint was lost."""
        ...

    def finish(self) -> None:
        """Wait until the rest of a closed ring is out."""
        ...

    def stop(self) -> None:
        """End at once, and leave what was written whole."""
        ...


class FileSource:
    """A sound file, mixed down to one channel, at its own rate: as fast as it is taken, or no faster than `realtime`."""

    waits, latency, faults = True, 0.0, 0

    def __init__(self, path: Path, realtime: bool, seconds: float | None = None) -> None:
        """`seconds`: how much of it to give; all by default. Raises InputError for a file that is not sound."""
        mixed, self.rate, notices = read_channels(path, mono=True)
        self.notices = tuple(notices)
        """What was done to the sound, and what is wrong with it."""
        self._samples = mixed[: None if seconds is None else round(seconds * self.rate), 0]
        self.name, self._realtime = str(path), realtime
        self._thread = threading.Thread(target=self._run, name="file source", daemon=True)
        self._stopped = threading.Event()

    def start(self, ring: Ring, target: int) -> None:
        self._ring = ring
        self._thread.start()

    def check(self) -> None:
        pass

    def finish(self) -> None:
        self._thread.join()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        block = max(round(BLOCK_SECONDS * self.rate), 1)
        begin = time.monotonic()
        for first in range(0, len(self._samples), block):
            due = begin + (first + block) / self.rate  # a microphone has a block when its last sample was recorded
            if self._stopped.wait(max(due - time.monotonic(), 0) if self._realtime else 0):
                break
            self._ring.put(self._samples[first : first + block])
        self._ring.close()


class FileSink:
    """A sound file, in the format of its suffix.

    What was there before stays where a write fails, or where it is stopped before anything came.
    """

    waits, latency, faults = True, 0.0, 0

    def __init__(self, path: Path, rate: int = DEFAULT_RATE) -> None:
        """Raises InputError where the file cannot be written."""
        self.name, self.rate = str(path), rate
        self._file = SoundWriter(path, sample_rate=rate)
        self._thread = threading.Thread(target=self._run, name="file sink", daemon=True)
        self._error: InputError | None = None
        self._stopped = False

    def start(self, ring: Ring, target: int) -> None:
        self._ring = ring
        self._thread.start()

    def check(self) -> None:
        if self._error:
            raise self._error

    def finish(self) -> None:
        self._thread.join()
        self.check()

    def stop(self) -> None:
        if self._thread.ident is None:
            self._file.discard()
        elif self._thread.is_alive():
            self._stopped = True
            self._ring.close()
            self._thread.join()

    def _run(self) -> None:
        samples = 0
        try:
            with self._file:
                while not self._ring.drained:
                    block = self._ring.take(self.rate, 1.0)
                    self._file.write(block)
                    samples += len(block)
                if self._stopped and not samples:
                    raise InputError("no sound came")
        except InputError as error:
            self._error = error
            self._ring.close()
