"""What comes through a pipe: a wav is read as the same file would be, and other files are not taken for raw samples."""

from __future__ import annotations

import io
import shutil
import subprocess
import tracemalloc

import numpy as np
import pytest
import soundfile

from firmware_export.vectors import sound
from tinyse.audio import pcm
from tinyse.errors import InputError
from tinyse.live.pipe import PipeReader

RATE = 16000


def reader_of(content: bytes) -> PipeReader:
    return PipeReader(io.BufferedReader(io.BytesIO(content)), pcm.SampleSpec("s16", RATE))


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "AIFF", "W64", "CAF", "AU"])
def test_other_files_on_standard_input_are_not_taken_for_samples(kind):
    """They would be noise at full scale."""
    file = io.BytesIO()
    soundfile.write(file, sound(300), RATE, format=kind)
    with pytest.raises(InputError, match="not raw sound or a wav"):
        reader_of(file.getvalue())


@pytest.mark.parametrize(
    "start",
    [
        b"\xff\xfb\x50\xc4" + bytes(8),
        b"\xff\xf3\x88\xc4" + bytes(8),
        b"\0\0\0 ftypisom",
        b"\0\0\0\10wide\0\0\0\0",
        b"RIFF\0\0\0\0AVI ",
        b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81",
        b"#!AMR-WB\n\4\0\0",
        b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa",
    ],
    ids=["MP3 without tags", "MP3 at 24 kHz", "M4A", "QuickTime", "AVI", "WebM", "AMR", "WMA"],
)
def test_files_without_a_magic_word_at_the_start_are_not_taken_for_samples(start):
    with pytest.raises(InputError, match="not raw sound or a wav"):
        reader_of(start + bytes(300))


def adts(frames: int, size: int = 300, index: int = 8) -> bytes:
    """Frames of AAC as a radio sends them: each of `size` bytes, the sample rate by its number."""
    header = [0xFF, 0xF1, 0x40 | index << 2, 0x40 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC]
    return (bytes(header) + bytes(range(1, 250)) * 2)[:size] * frames


def mpeg(header: bytes, size: int) -> bytes:
    return (header + bytes(range(1, 250)) * 9)[:size] * 2 + b"\xff"


FRAMES = {
    "AAC": adts(3),
    "AAC of one frame": adts(1),
    "MP3 at 44.1 kHz": mpeg(b"\xff\xfb\x90\x64", 417),
    "MP3 at 16 kHz": mpeg(b"\xff\xf3\x38\xc4", 108),
    "MP3 at 8 kHz": mpeg(b"\xff\xe3\x18\xc4", 72),
    "layer II": mpeg(b"\xff\xfd\xa4\x04", 576),
    "layer I": mpeg(b"\xff\xff\x54\x04", 160),
}
"""Streams that begin with a frame, without tags and with sound at once."""


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_compressed_sound_are_not_taken_for_samples(kind):
    with pytest.raises(InputError, match=r"a file of the kind (AAC|MPEG audio), not raw sound or a wav"):
        reader_of(FRAMES[kind])


@pytest.mark.parametrize(
    "code", ["-c:a aac -f adts", "-c:a mp2 -f mp2", "-c:a libmp3lame -write_xing 0 -id3v2_version 0 -f mp3"]
)
def test_what_ffmpeg_writes_is_not_taken_for_samples(code):
    if not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg is not installed")
    line = ["ffmpeg", "-v", "error", "-f", "s16le", "-ar", str(RATE), "-i", "-", *code.split(), "-"]
    written = subprocess.run(line, input=sound(RATE).tobytes(), capture_output=True, check=False).stdout
    if not written:
        pytest.skip("ffmpeg lacks this encoder")
    with pytest.raises(InputError, match=r"a file of the kind (AAC|MPEG audio)"):
        reader_of(written)


@pytest.mark.parametrize(
    "given",
    [
        np.array([-1025, 3, 0, 0, 5, 0, 0, 0], "<i2").tobytes(),
        adts(1)[:-1],
        adts(1) + bytes(400),
        adts(1) + adts(1, index=3),
        mpeg(b"\xff\xfb\x90\x64", 417)[:417] + bytes(400),
        b"\xff" * 800,
        b"\xff\xf1",
    ],
    ids=[
        "16 bits",
        "cut AAC",
        "no second frame",
        "a frame of another rate",
        "no second MP3",
        "minus one",
        "one sample",
    ],
)
def test_samples_that_begin_like_a_frame_are_samples(given):
    given = given[: len(given) // 2 * 2]
    reader = reader_of(given)
    assert pcm.encode(np.concatenate(list(reader)), "s16") == given


def wav_of(kind: str, subtype: str, samples: np.ndarray, channels: int = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.stack(channels * [samples], axis=1), RATE, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_wav_in_a_pipe_is_what_it_is_as_a_file(kind, subtype, channels):
    given = wav_of(kind, subtype, sound(300) / np.float32(40000), channels)
    if kind == "RF64":  # its samples end where it says, and not with the file
        given += b"LIST\4\0\0\0note"
    reader = reader_of(given)
    expected, rate = soundfile.read(io.BytesIO(given), dtype="float32", always_2d=True)
    assert (reader.is_wav, reader.spec.rate, reader.spec.channels) == (True, rate, channels)
    assert (np.concatenate(list(reader)) == expected).all()
    width = {"FLOAT": 4, "DOUBLE": 8}.get(subtype) or int(subtype.strip("PCM_U")) // 8
    assert pcm.FORMATS[reader.spec.format] == width


def test_the_header_of_doubles_is_read_by_others():
    samples = np.float32([0.5, -0.25])
    written = pcm.wav_header("f64", RATE, 16) + pcm.encode(samples, "f64")
    assert (soundfile.read(io.BytesIO(written))[0] == samples).all()


@pytest.mark.parametrize("subtype", ["ULAW", "IMA_ADPCM", "GSM610"])
def test_a_wav_of_a_codec_in_a_pipe_says_what_to_do(subtype):
    given = wav_of("WAV", subtype, sound(3000) / 32768)
    with pytest.raises(InputError, match=r"standard input is a wav of kind \d+ with \d+ bits: .* through ffmpeg"):
        reader_of(given)


def test_a_chunk_of_a_gigabyte_before_the_samples_is_not_held_in_memory():
    class Zeros(io.RawIOBase):
        left = 1 << 30

        def readable(self):
            return True

        def readinto(self, room):
            count = min(len(room), self.left)
            room[:count] = bytes(count)
            self.left -= count
            return count

    class Joined(io.RawIOBase):
        parts = (
            io.BytesIO(b"RIFF\0\0\0\0WAVEjunk\0\0\0\x40"),
            Zeros(),
            io.BytesIO(pcm.wav_header("s16", RATE, 4)[12:] + b"\1\0\2\0"),
        )

        def readable(self):
            return True

        def readinto(self, room):
            return next((count for part in self.parts if (count := part.readinto(room))), 0)

    tracemalloc.start()
    reader = PipeReader(io.BufferedReader(Joined()), pcm.SampleSpec("s16", RATE))
    assert sum(map(len, reader)) == 2
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


def test_a_known_size_ends_the_sound_before_what_follows_it():
    """Editors put their notes after the samples: they are not sound."""
    header = pcm.wav_header("s16", RATE, 8)
    reader = reader_of(header + b"\1\0" * 4 + b"LIST\4\0\0\0note")
    assert sum(map(len, reader)) == 4


@pytest.mark.parametrize("samples", range(9))
def test_a_sound_shorter_than_a_header_is_heard_whole(samples):
    reader = reader_of(b"\1\0" * samples)
    assert sum(map(len, reader)) == samples
    assert reader.cut == 0
