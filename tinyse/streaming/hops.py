"""Chunks of sound as they come, of any length and type, to the whole hops that are worked on."""

from __future__ import annotations

import numpy as np

from tinyse.audio import from_pcm16, to_pcm16
from tinyse.errors import InputError

LOUDEST = 2.0**31
"""Samples beyond this are not sound, whatever a file was scaled to, and their powers would leave float32."""

NOTHING = np.zeros(0, np.float32)
"""What waits at the start of a stream."""


def whole_hops(waiting: np.ndarray, samples: np.ndarray, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """What waited and what came, (samples,) each -> (hops * hop,), all whole hops of them, and what waits now."""
    stream = np.concatenate([waiting, samples])
    whole = len(stream) // hop * hop
    return stream[:whole], stream[whole:].copy()


def as_float(chunk: np.ndarray) -> np.ndarray:
    """A chunk of sound, int16 or float, as float32 (samples,). Raises InputError for what is not sound."""
    if chunk.ndim != 1:
        raise InputError(f"a chunk is one channel of samples, not an array of shape {chunk.shape}")
    if np.issubdtype(chunk.dtype, np.int16):  # in either order of bytes
        return from_pcm16(chunk)
    if not np.issubdtype(chunk.dtype, np.floating):
        raise InputError(f"samples are int16 or float, not {chunk.dtype}")
    loudest = float(np.abs(chunk).max(initial=0))  # a float16 has no number as large as the limit
    if not loudest <= LOUDEST:  # or NaN
        if not np.isfinite(loudest):
            raise InputError("samples hold NaN or infinite values")
        raise InputError(f"samples reach {loudest:.1e}, sound is float in [-1, 1)")
    return chunk.astype(np.float32)


def from_device(samples: np.ndarray) -> np.ndarray:
    """float32 samples of a device, which cannot be refused: what is not a number is silence, and what no sound reaches, as
    infinity, is full scale. The plugin does the same."""
    if np.abs(samples).max(initial=0) <= LOUDEST:  # also False for NaN
        return samples
    loud = np.where(np.abs(samples) > LOUDEST, np.sign(samples), samples)
    return np.where(np.isnan(samples), np.float32(0), loud)


def as_type(samples: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """float32 sound as the type that it came in."""
    return (to_pcm16(samples) if np.issubdtype(dtype, np.int16) else samples).astype(dtype, copy=False)
