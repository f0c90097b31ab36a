"""A ring buffer between two threads: it takes up the jitter of audio callbacks and counts what it could not."""

from __future__ import annotations

import threading

import numpy as np


class Ring:
    """Mono float32 samples in their order, for one thread that writes and one that reads.

    A sound card cannot wait, so `write` and `read` return at once; a file can, so `put` waits for room and `take` for
    samples. When a writer that cannot wait finds no room, the oldest samples go, down to `keep`: the output jumps
    once, instead of staying late for ever.
    """

    def __init__(self, capacity: int, keep: int = 0) -> None:
        self._samples = np.zeros(capacity, np.float32)
        self._keep = min(keep, capacity)
        self._start = self._fill = 0
        self._changed = threading.Condition()
        self.closed = False
        """Whether the writer has said that no more will come."""
        self.dropped = 0
        """Samples that were thrown away because the ring was full."""
        self.overruns = 0
        """How many times that happened."""

    def __len__(self) -> int:
        return self._fill

    @property
    def drained(self) -> bool:
        """Whether all has been written and all has been read."""
        return self.closed and not self._fill

    def write(self, samples: np.ndarray) -> None:
        """Append (samples,) now; see the class for what happens when the ring is full."""
        capacity = len(self._samples)
        with self._changed:
            if self._fill + len(samples) > capacity:
                self.overruns += 1
                self.dropped += max(len(samples) - capacity, 0)
                samples = samples[-capacity:]
                excess = max(self._fill - self._keep, self._fill + len(samples) - capacity)
                self.dropped += excess
                self._forget(excess)
            self._append(samples)

    def put(self, samples: np.ndarray) -> None:
        """Append (samples,), waiting for room as long as it takes, or until the ring is closed."""
        while len(samples):
            with self._changed:
                self._changed.wait_for(lambda: self._fill < len(self._samples) or self.closed)
                if self.closed:
                    return
                room = len(self._samples) - self._fill
                self._append(samples[:room])
            samples = samples[room:]

    def read(self, count: int) -> np.ndarray:
        """At most `count` samples of those that the ring holds now."""
        with self._changed:
            count = min(count, self._fill)
            places = np.arange(self._start, self._start + count) % len(self._samples)
            samples = self._samples[places]
            self._forget(count)
            return samples

    def take(self, count: int, seconds: float) -> np.ndarray:
        """At most `count` samples, and none only if none came within `seconds` or the ring is drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._fill or self.closed, seconds)
        return self.read(count)

    def close(self) -> None:
        """Say that no more will come."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _append(self, samples: np.ndarray) -> None:
        end = self._start + self._fill
        self._samples[np.arange(end, end + len(samples)) % len(self._samples)] = samples
        self._fill += len(samples)
        self._changed.notify_all()

    def _forget(self, count: int) -> None:
        self._start = (self._start + count) % len(self._samples)
        self._fill -= count
        self._changed.notify_all()
