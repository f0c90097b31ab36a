"""Sound files in and out: float32 mono at 16 kHz in [-1, 1), shape (samples,), and its 16-bit twin."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tinyse.errors import InputError
from tinyse.files import replacing

SAMPLE_RATE = 16000
"""The one sample rate of the toolkit, in Hz; other rates are resampled on reading."""

FULL_SCALE = 32768


def read(path: str | Path) -> tuple[np.ndarray, list[str]]:
    """The sound in a file as float32 mono at 16 kHz, shape (samples,), and notices of what was done to it.

    A notice is a line that does not name the file, so that equal ones can be counted. Raises InputError for a file that
    is missing, broken or empty, or that holds NaN or infinite samples.
    """
    path = Path(path)
    _check_exists(path)
    try:
        with soundfile.SoundFile(path) as file:
            promised, rate = file.frames, file.samplerate
            channels = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise InputError(f"cannot read {path}: {_reason(error)}") from error
    if not len(channels):
        raise InputError(f"cannot read {path}: it holds no samples")
    if not np.isfinite(channels).all():
        raise InputError(f"cannot use {path}: it holds samples that are NaN or infinite")
    notices = []
    if len(channels) < promised or _ends_early(path):
        notices.append("ends before its header says: used up to there")
    if _is_clipped(channels):
        notices.append("clipped: three or more samples in a row at full scale")
    samples = channels[:, 0]
    if channels.shape[1] > 1:
        samples = channels.mean(axis=1)
        notices.append(f"{channels.shape[1]} channels mixed down to one")
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE)
        notices.append(f"resampled from {rate} Hz to {SAMPLE_RATE} Hz")
        if not len(samples):
            raise InputError(f"cannot use {path}: it is shorter than one sample at {SAMPLE_RATE} Hz")
    return np.ascontiguousarray(samples, dtype=np.float32), notices


def duration(path: str | Path) -> float:
    """Seconds of sound in a file, from its header alone. Raises InputError where it is missing, broken or empty."""
    path = Path(path)
    _check_exists(path)
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise InputError(f"cannot read {path}: {_reason(error)}") from error
    if info.frames <= 0:
        raise InputError(f"cannot read {path}: it holds no samples")
    return info.frames / info.samplerate


def write(path: str | Path, samples: np.ndarray) -> None:
    """Write sound, float in [-1, 1) or int16, shape (samples,), as a 16-bit wav at 16 kHz: whole or not at all.

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
            soundfile.write(temporary, pcm, SAMPLE_RATE, format="WAV", subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise InputError(f"cannot write {path}: {_reason(error)}") from error


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """Float sound as int16: round(x * 32768), ties to even, clipped."""
    return np.clip(np.rint(samples * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_pcm16(pcm: np.ndarray) -> np.ndarray:
    """int16 sound as float32 in [-1, 1); `to_pcm16` gives the same integers back."""
    return pcm.astype(np.float32) * np.float32(1 / FULL_SCALE)


def _check_exists(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"cannot read {path}: {'it is a folder' if path.is_dir() else 'no such file'}")
    if not os.access(path, os.R_OK):
        raise InputError(f"cannot read {path}: permission denied")


def _reason(error: Exception) -> str:
    """What libsndfile says, without the file's name in front: the caller has named it."""
    text = getattr(error, "error_string", str(error)).strip().rstrip(".")
    return f"{text} (wav, flac, ogg, opus, mp3 and aiff can be read)" if "ormat" in text else text


def _ends_early(path: Path) -> bool:
    """Whether a wav's header promises more bytes than there are: libsndfile reads what is left without a word."""
    with open(path, "rb") as file:
        head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return False
    (size,) = struct.unpack("<I", head[4:8])
    # Recorders that stream cannot know the size in advance and leave 0 or the largest number.
    return 0 < size < 0xFFFFFF00 and size + 8 > path.stat().st_size + 1


def _is_clipped(channels: np.ndarray) -> bool:
    full = np.abs(channels) >= 1 - 2 / FULL_SCALE
    return bool((full[2:] & full[1:-1] & full[:-2]).any())
