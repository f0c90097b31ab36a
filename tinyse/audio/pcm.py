"""Samples as bytes: the raw formats of pipes, and the header that makes a wav of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Literal

import numpy as np

from tinyse.audio import from_pcm16, to_pcm16
from tinyse.audio.sound_files import check_layout
from tinyse.errors import InputError

Format = Literal["u8", "s16", "s24", "s32", "f32"]
FORMATS: dict[Format, int] = {"u8": 1, "s16": 2, "s24": 3, "s32": 4, "f32": 4}
"""Bytes per sample, little-endian."""
FLOAT_TAG, EXTENSIBLE_TAG = 3, 0xFFFE
WAV_KINDS: dict[tuple[int, int], Format] = {
    (1, 8): "u8",
    (1, 16): "s16",
    (1, 24): "s24",
    (1, 32): "s32",
    (FLOAT_TAG, 32): "f32",
}
"""Formats by a wav's format tag and its bits per sample."""
UNKNOWN_BYTES = 0xFFFFFFFF
"""What a wav that is a stream says of its size."""
OTHER_FILES = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"FORM": "AIFF",
    b"RF64": "RF64",
    b"RIFX": "big-endian wav",
    b"riff": "W64",
    b"caff": "CAF",
    b".snd": "AU",
    b"\x1aE\xdf\xa3": "Matroska",
    b"0&\xb2u": "WMA",
    b"#!AMR": "AMR",
    b"wvpk": "WavPack",
}
"""How files begin whose bytes, taken for raw samples, would be noise at full scale."""
MP3_FRAMES = (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2")
"""How an MP3 without tags begins: with frames of layer III, the first of which holds zeros. Raw sound of 16 bits that begins so
would have to be silent from its third sample on."""
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
    else:
        samples = np.frombuffer(content, "<f4").astype(np.float32)
    return samples


def encode(samples: np.ndarray, format: Format) -> bytes:
    """(samples,) or (samples, channels) float32 -> bytes; integers are rounded and clipped."""
    if format == "f32":
        return samples.astype("<f4").tobytes()
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
    width, tag = FORMATS[format], FLOAT_TAG if format == "f32" else 1
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
    start = stream.read(12)
    if (kind := _other_file(start)) is not None:
        raise InputError(f"standard input is a file of the kind {kind}, not raw sound or a wav: name the file, or pipe it "
                         "through ffmpeg -i - -f wav -")  # fmt: skip
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        return None, start
    spec = None
    while True:
        name, size = struct.unpack("<4sI", _exactly(stream, 8))
        if name == b"data":
            break
        content = _exactly(stream, size + size % 2)
        if name == b"fmt ":
            spec = _sample_spec(content)
    if spec is None:
        raise InputError("standard input is a wav without a format: give raw PCM, or a wav as recorders write it")
    known = 0 < size < ENDLESS_BYTES
    return SampleSpec(spec.format, spec.rate, spec.channels, size if known else None), b""


def _other_file(start: bytes) -> str | None:
    """What kind of sound file begins with these 12 bytes, where it is neither a wav nor raw sound."""
    if start[4:8] == b"ftyp":
        return "MP4"
    if len(start) == 12 and start.startswith(MP3_FRAMES) and not any(start[4:]):
        return "MP3"
    return next((kind for beginning, kind in OTHER_FILES.items() if start.startswith(beginning)), None)


def _sample_spec(content: bytes) -> SampleSpec:
    if len(content) < 16:
        raise InputError("standard input is a wav with a broken header")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == EXTENSIBLE_TAG and len(content) >= 26:
        (tag,) = struct.unpack("<H", content[24:26])
    check_layout("standard input", rate, channels)
    if (tag, bits) not in WAV_KINDS:
        raise InputError(
            f"standard input is a wav of kind {tag} with {bits} bits: PCM of 8 to 32 bits or float of 32 can be read"
        )
    return SampleSpec(WAV_KINDS[tag, bits], rate, channels)


def _exactly(stream: BufferedIOBase, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise InputError("standard input is a wav that ends in its header")
    return content
