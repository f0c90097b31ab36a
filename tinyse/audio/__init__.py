"""Sound files in and out: float32 mono in [-1, 1), shape (samples,), and its 16-bit twin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr

from tinyse.audio import sound_files
from tinyse.audio.sound_files import duration
from tinyse.errors import InputError
from tinyse.files import replacing

__all__ = ["DEFAULT_RATE", "FULL_SCALE", "duration", "from_pcm16", "read", "resampled", "to_pcm16", "write"]

DEFAULT_RATE = 16000
"""Hz where no configuration says another rate: a model's is `FrontEndConfig.sample_rate`."""

FULL_SCALE = 32768
"""Steps of 16 bits in a sample of 1."""
CLIPPED = 1 - 2 / FULL_SCALE
"""From this magnitude on a sample counts as clipped."""


def read(path: str | Path, sample_rate: int = DEFAULT_RATE) -> tuple[np.ndarray, list[str]]:
    """The sound in a file as float32 mono at `sample_rate`, shape (samples,), and notices of what was done.

    A notice is a line that does not name the file, so that equal ones can be counted. Raises InputError for a file that
    is missing, broken or empty, or that holds NaN or infinite samples.
    """
    channels, rate, notices = read_channels(path, mono=True)
    samples = channels[:, 0]
    if rate != sample_rate:
        samples = resampled(samples, rate, sample_rate)
        notices.append(f"resampled from {rate} Hz to {sample_rate} Hz")
        if not len(samples):
            raise InputError(f"cannot use {path}: it is shorter than one sample at {sample_rate} Hz")
    return np.ascontiguousarray(samples, dtype=np.float32), notices


def read_channels(path: str | Path, mono: bool = False) -> tuple[np.ndarray, int, list[str]]:
    """The sound in a file as float32 (samples, channels), its rate, and notices. `mono`: mixed down to one channel.

    Raises InputError as `read`.
    """
    channels, rate, notices = sound_files.decode(path)
    if not np.isfinite(channels).all():
        raise InputError(f"cannot use {path}: it holds samples that are NaN or infinite")
    if _is_clipped(channels):
        notices.append("clipped: three or more samples in a row at full scale")
    if mono and channels.shape[1] > 1:
        samples = channels.mean(axis=1, keepdims=True)
        notices += mixed_down(channels.shape[1])
        # Unrelated channels lose 3 dB.
        if np.square(samples).mean() < 0.1 * np.square(channels).mean():
            notices.append("channels that cancel one another when they are mixed down (antiphase)")
        channels = samples
    return channels, rate, notices


def mixed_down(count: int) -> list[str]:
    """What is to be said of `count` channels that become one."""
    return [f"{count} channels mixed down to one"] if count > 1 else []


def write(path: str | Path, samples: np.ndarray, sample_rate: int = DEFAULT_RATE) -> None:
    """Write sound, float in [-1, 1) or int16, shape (samples,), as a 16-bit wav: whole or not at all.

    Raises InputError for NaN or infinite samples, another shape, or a place that cannot be written.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise InputError(f"cannot write {path}: expected the shape (samples,), got {samples.shape}")
    if not np.isfinite(samples).all():
        raise InputError(f"cannot write {path}: the sound holds samples that are NaN or infinite")
    pcm = samples if samples.dtype == np.int16 else to_pcm16(samples)
    with replacing(path) as temporary:
        try:
            soundfile.write(temporary, pcm, sample_rate, format="WAV", subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise InputError(f"cannot write {path}: {sound_files.not_written(error)}") from error


def resampled(samples: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Sound (samples,) at `rate` as it is at `sample_rate`."""
    return samples if rate == sample_rate else soxr.resample(samples, rate, sample_rate)


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """Float sound as int16: round(x * 32768), ties to even, clipped."""
    return np.clip(np.rint(samples * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_pcm16(pcm: np.ndarray) -> np.ndarray:
    """int16 sound as float32 in [-1, 1); `to_pcm16` gives the same integers back."""
    return pcm.astype(np.float32) * np.float32(1 / FULL_SCALE)


def _is_clipped(channels: np.ndarray) -> bool:
    full = np.abs(channels) >= CLIPPED
    return bool((full[2:] & full[1:-1] & full[:-2]).any())
