"""Samples as bytes: the raw formats of pipes, and the header that makes a wav of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from io import BufferedIOBase
from typing import Literal

import numpy as np

from tinyse.audio import from_pcm16, to_pcm16
from tinyse.audio.signatures import other_file
from tinyse.audio.sound_files import check_layout
from tinyse.errors import InputError

Format = Literal["u8", "s16", "s24", "s32", "f32", "f64"]
FORMATS: dict[Format, int] = {"u8": 1, "s16": 2, "s24": 3, "s32": 4, "f32": 4, "f64": 8}
"""Bytes per sample, little-endian."""
FLOAT_TAG, EXTENSIBLE_TAG = 3, 0xFFFE
WAV_KINDS: dict[tuple[int, int], Format] = {
    (1, 1): "u8",
    (1, 2): "s16",
    (1, 3): "s24",
    (1, 4): "s32",
    (FLOAT_TAG, 4): "f32",
    (FLOAT_TAG, 8): "f64",
}
"""Formats by a wav's format tag and its bytes per sample."""
WAVES = (b"RIFF", b"RF64", b"BW64")
"""How a wav begins; the latter two hold their size, which may be beyond 4 GB, in a chunk of its own."""
MAX_FORMAT_BYTES = 1 << 10
"""What is read of the chunk that says the format: it has 16 to 40 bytes, whatever size it promises."""
UNKNOWN_BYTES = 0xFFFFFFFF
"""What a wav says of its size that is a stream, or holds it elsewhere."""
ENDLESS_BYTES = 0x7FFF0000
"""From here on a promised size is not a size: recorders to a pipe promise 2 or 4 GB."""


@dataclass(frozen=True)
class SampleSpec:
    """How samples lie in a stream of bytes."""

    format: Format
    rate: int
    channels: int = 1
    size: int | None = None
    """Bytes of sound, None where the stream ends when it ends."""

    @property
    def frame(self) -> int:
        """Bytes of one sample of every channel."""
        return FORMATS[self.format] * self.channels


def decode(content: bytes, spec: SampleSpec) -> np.ndarray:
    """Whole frames of bytes -> float32, flat, the channels of a sample beside one another."""
    if spec.format == "u8":
        samples = (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / np.float32(128)
    elif spec.format == "s16":
        samples = from_pcm16(np.frombuffer(content, "<i2"))
    elif spec.format == "s24":
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        samples = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
    elif spec.format == "s32":
        samples = np.frombuffer(content, "<i4").astype(np.float32) / np.float32(2**31)
    elif spec.format == "f32":
        samples = np.frombuffer(content, "<f4").astype(np.float32)
    else:
        with np.errstate(over="ignore"):  # infinity is refused where it is used
            samples = np.frombuffer(content, "<f8").astype(np.float32)
    return samples


def encode(samples: np.ndarray, format: Format) -> bytes:
    """(samples,) or (samples, channels) float32 -> bytes; integers are rounded and clipped."""
    if format in ("f32", "f64"):
        return samples.astype("<f4" if format == "f32" else "<f8").tobytes()
    if format == "s16":
        return to_pcm16(samples).astype("<i2").tobytes()
    full = 2.0 ** (8 * FORMATS[format] - 1)
    scaled = np.clip(np.rint(samples.astype(np.float64) * full), -full, full - 1)
    if format == "u8":
        return (scaled + 128).astype(np.uint8).tobytes()
    whole = np.ascontiguousarray(scaled.astype("<i4"))
    return whole.tobytes() if format == "s32" else whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def wav_header(format: Format, rate: int, size: int | None = None, channels: int = 1) -> bytes:
    """The 44 bytes before `size` bytes of sound; None for a stream whose end is not known."""
    width, tag = FORMATS[format], FLOAT_TAG if format in ("f32", "f64") else 1
    size = UNKNOWN_BYTES if size is None else size
    frame = width * channels
    parts = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * frame, frame, 8 * width)
    return (
        struct.pack("<4sI4s", b"RIFF", min(size + 36, UNKNOWN_BYTES), b"WAVE")
        + parts
        + struct.pack("<4sI", b"data", size)
    )


def read_header(stream: BufferedIOBase) -> tuple[SampleSpec | None, bytes]:
    """What the header of a wav says, up to its first sample; or None for raw sound, and what of it was read.

    Raises InputError for a wav of another kind, for one that ends in its header, and for another kind of sound file.
    """
    kind, start = other_file(stream)
    if kind is not None:
        raise InputError(f"standard input is a file of the kind {kind}, not raw sound or a wav: name the file, or pipe it "
                         "through ffmpeg -i - -f wav -")  # fmt: skip
    if start[:4] not in WAVES or start[8:12] != b"WAVE":
        return None, start
    spec, long_size = None, 0
    while True:
        name, size = struct.unpack("<4sI", _exactly(stream, 8))
        if name == b"data":
            break
        content = _exactly(stream, min(size + size % 2, MAX_FORMAT_BYTES))
        _skip(stream, size + size % 2 - len(content))
        if name == b"fmt ":
            spec = _sample_spec(content)
        elif name == b"ds64" and len(content) >= 16:
            (long_size,) = struct.unpack("<Q", content[8:16])
    if spec is None:
        raise InputError("standard input is a wav without a format: give raw PCM, or a wav as recorders write it")
    if size == UNKNOWN_BYTES and 0 < long_size < 1 << 63:
        return replace(spec, size=long_size), b""
    return replace(spec, size=size if 0 < size < ENDLESS_BYTES else None), b""


def _sample_spec(content: bytes) -> SampleSpec:
    if len(content) < 16:
        raise InputError("standard input is a wav with a broken header")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == EXTENSIBLE_TAG and len(content) >= 26:
        (tag,) = struct.unpack("<H", content[24:26])
    check_layout("standard input", rate, channels)
    if (format := WAV_KINDS.get((tag, -(-bits // 8)))) is None:
        raise InputError(
            f"standard input is a wav of kind {tag} with {bits} bits: PCM of 8 to 32 bits or float of 32 or 64 can be read; "
            "name the file, or pipe it through ffmpeg -i - -f wav -"
        )
    return SampleSpec(format, rate, channels)


def _exactly(stream: BufferedIOBase, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise InputError("standard input is a wav that ends in its header")
    return content


def _skip(stream: BufferedIOBase, count: int) -> None:
    """Chunks before the samples may be long, as pictures are: they are not held in memory."""
    while count > 0:
        count -= len(_exactly(stream, min(count, 1 << 16)))
