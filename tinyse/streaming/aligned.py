"""Blocks of sound through a denoiser as a whole: aligned with what came in, and as long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np


class Stream(Protocol):
    """What is needed of a `Denoiser`."""

    @property
    def delay(self) -> int:
        """Samples by which the output is late."""
        ...

    def process(self, chunk: np.ndarray) -> np.ndarray:
        """Samples in, what is ready out."""
        ...

    def flush(self) -> np.ndarray:
        """The rest of the stream, and a reset."""
        ...


def aligned(denoiser: Stream, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """(samples,) float32 each -> the same sound denoised, in blocks of other lengths; the stream ends with the blocks."""
    late = denoiser.delay
    for block in blocks:
        clean = denoiser.process(block)
        yield clean[late:]
        late -= min(late, len(clean))
    yield denoiser.flush()[late:]
