"""Sound files as they lie on disk: which files are sound, where they are, and their channels at their own rate.

libsndfile reads most of them. What it lacks (the .m4a of a phone) goes through the program ffmpeg where there is one.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from tinyse.errors import InputError

BY_LIBSNDFILE = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"})
BY_FFMPEG = frozenset({".m4a", ".m4b", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".webm", ".mka", ".g722"})
SUFFIXES = BY_LIBSNDFILE | BY_FFMPEG
"""What counts as sound in a folder; a file that is named on the command line may be called anything."""

EARLY_END = "ends before its header says: used up to there"
RATES = (1000, 768_000)
"""Hz: what a header may say. At 1 Hz a small file would become hours."""
MOST_CHANNELS = 64
"""Of ambisonics of the seventh order; a header that says more is wrong."""
MAX_VALUES = 1 << 31
"""Samples that a file may say it has, of all channels: 8 GiB of memory, a day and a half of one channel at 16 kHz. The header
of a FLAC of 100 bytes can say 2^36."""
_FAILURES = (RuntimeError, ValueError, TypeError, OSError)
"""What soundfile raises for a file that it cannot read; the errors of libsndfile are RuntimeErrors."""
INTERNALS = ("nternal", "struct incomplete", "not a regular file", "must be specified")
"""In what libsndfile and soundfile say of themselves, and not of the file, where a header makes no sense (a rate of 0) or
an MP3 has no frame."""


@dataclass(frozen=True)
class Listing:
    """What is in a folder and in the folders below it."""

    paths: tuple[Path, ...]
    """The sound files, sorted."""
    left_out: tuple[tuple[str, str], ...]
    """The path of everything that could not be read, in printable characters, and the reason."""


def find_sounds(folder: str | Path) -> Listing:
    """The sound files under a folder. Links are followed; hidden files and folders (`._x.wav` of a Mac) are skipped."""
    paths: list[Path] = []
    left_out: list[tuple[str, str]] = []
    _walk(Path(folder), (), paths, left_out)
    return Listing(tuple(sorted(paths)), tuple(left_out))


def _walk(folder: Path, above: tuple[tuple[int, int], ...], paths: list[Path], left_out: list[tuple[str, str]]) -> None:
    try:
        status = os.stat(folder)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        left_out.append((str(folder), error.strerror or str(error)))
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        left_out.append((str(folder), "a link to a folder that it is in"))
        return
    for entry in entries:
        path = folder / entry.name
        is_sound = path.suffix.lower() in SUFFIXES
        if entry.name.startswith("."):
            continue
        if not _is_utf8(entry.name):
            if is_sound or entry.is_dir():
                named = os.fsencode(path).decode("utf-8", "backslashreplace")
                left_out.append((named, "the name is not UTF-8; rename it"))
        elif entry.is_dir():
            _walk(path, (*above, here), paths, left_out)
        elif is_sound and entry.is_file():
            paths.append(path)
        elif entry.is_symlink() and not path.exists():
            if is_sound or not path.suffix:
                left_out.append((str(path), "a link to nothing"))
        elif is_sound:
            left_out.append((str(path), "not a file"))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def decode(path: str | Path) -> tuple[np.ndarray, int, list[str]]:
    """A file's samples, float32 (samples, channels), its rate in Hz, and notices of what is wrong with it.

    Raises InputError, with the path, for a file that is missing, broken or empty, or that needs ffmpeg where there is none.
    """
    path = Path(path)
    _check_exists(path)
    if path.suffix.lower() in BY_FFMPEG:
        return _decode_by_ffmpeg(path)
    sizes = _wav_sizes(path)
    unfinished = _unfinished_wav(path, sizes)
    try:
        with soundfile.SoundFile(path if unfinished is None else io.BytesIO(unfinished)) as file:
            promised, rate = file.frames, file.samplerate
            check_layout(path, rate, file.channels)
            _check_size(path, promised * file.channels)
            # Codecs such as GSM 6.10 cannot seek: soundfile then has to know how much to read.
            channels = file.read(promised if promised and not file.seekable() else -1, "float32", always_2d=True)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(
            f"cannot read {path}: there is no memory for {promised} samples; cut it into shorter files"
        ) from error
    except _FAILURES as error:
        raise InputError(f"cannot read {path}: {_reason(error, path)}") from error
    if not len(channels):
        raise InputError(f"cannot read {path}: it holds no samples")
    notices = []
    if unfinished is not None:
        notices.append("the header says 0 bytes, as of a recorder that crashed: read to the end of the file")
    elif len(channels) < promised or _ends_early(sizes):
        notices.append(EARLY_END)
    return channels, rate, notices


def check_layout(source: str | Path, rate: int, channels: int = 1) -> None:
    """Raise InputError that names `source`, for a rate or a number of channels that sound does not have."""
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"cannot use {source}: a rate of {rate} Hz; sound has {RATES[0]} to {RATES[1]} Hz")
    if not 1 <= channels <= MOST_CHANNELS:
        raise InputError(f"cannot use {source}: {channels} channels; sound has 1 to {MOST_CHANNELS}")


def _check_size(path: Path, values: int) -> None:
    if values > MAX_VALUES:
        raise InputError(
            f"cannot read {path}: its header says {values} samples, over {MAX_VALUES}; cut it into shorter files"
        )


def duration(path: str | Path) -> float:
    """Seconds of sound in a file, from its header alone. Raises InputError as `decode` does."""
    path = Path(path)
    _check_exists(path)
    if path.suffix.lower() in BY_FFMPEG:
        return _duration_by_ffmpeg(path)
    try:
        info = soundfile.info(path)
        if info.frames <= 0 and (unfinished := _unfinished_wav(path, _wav_sizes(path))) is not None:
            info = soundfile.info(io.BytesIO(unfinished))
        check_layout(path, info.samplerate, info.channels)
    except InputError:
        raise
    except _FAILURES as error:
        raise InputError(f"cannot read {path}: {_reason(error, path)}") from error
    if info.frames <= 0:
        raise InputError(f"cannot read {path}: it holds no samples")
    return info.frames / info.samplerate


def _check_exists(path: Path) -> None:
    if not path.is_file():
        no_file = "it is not a file: give - as IN and pipe the sound in" if path.exists() else "no such file"
        raise InputError(f"cannot read {path}: {'it is a folder' if path.is_dir() else no_file}")
    if not os.access(path, os.R_OK):
        raise InputError(f"cannot read {path}: permission denied")


def _reason(error: Exception, path: Path) -> str:
    """What libsndfile says, without the file's name in front: the caller has named it."""
    text = getattr(error, "error_string", str(error)).strip().rstrip(".")
    if path.suffix.lower() == ".raw":
        return (
            "raw samples do not say their rate and format: pipe them in and give both "
            "(tinyse denoise - OUT --rate 16000 --format s16)"
        )
    if any(words in text for words in INTERNALS):
        return "it is damaged, or not the kind of sound that its name says"
    return f"{text} (wav, flac, ogg, opus, mp3, aiff and, through ffmpeg, m4a can be read)" if "ormat" in text else text


# ffmpeg


def _decode_by_ffmpeg(path: Path) -> tuple[np.ndarray, int, list[str]]:
    """By way of Sun's .au, whose header of six numbers says rate and channels and, unlike a wav's, fits a pipe."""
    line = ["-nostdin", "-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "-"]
    sound, complaints = _run("ffmpeg", line, path)
    start, _, _, rate, count = struct.unpack(">5I", sound[4:24]) if len(sound) >= 24 else (0, 0, 0, 0, 1)
    samples = np.frombuffer(sound[start:], ">f4").astype(np.float32)
    if not start or not len(samples):
        raise InputError(f"cannot read {path}: it holds no samples")
    check_layout(path, rate, count)
    return samples.reshape(-1, count), rate, [EARLY_END] if complaints else []


def _duration_by_ffmpeg(path: Path) -> float:
    if shutil.which("ffprobe") is None:
        channels, rate, _ = _decode_by_ffmpeg(path)
        return len(channels) / rate
    entries = "stream=duration:format=duration"
    line = ["-select_streams", "a:0", "-show_entries", entries, "-of", "json", f"file:{path}"]
    facts = json.loads(_run("ffprobe", line, path)[0])
    if not facts.get("streams"):
        raise InputError(f"cannot read {path}: it holds no sound")
    seconds = facts["streams"][0].get("duration") or facts.get("format", {}).get("duration") or "0"
    if not float(seconds) > 0:
        raise InputError(f"cannot read {path}: it holds no samples")
    return float(seconds)


def _run(program: str, arguments: list[str], path: Path) -> tuple[bytes, bytes]:
    """What a program of ffmpeg's writes, and what it complains of."""
    found = shutil.which(program)
    if found is None:
        raise InputError(
            f"cannot read {path}: {path.suffix} is read through ffmpeg, which is not installed (apt-get install ffmpeg)"
        )
    run = subprocess.run([found, "-v", "error", *arguments], capture_output=True, check=False)
    if run.returncode:
        lines = run.stderr.decode(errors="replace").strip().splitlines() or [f"{program} failed"]
        raise InputError(f"cannot read {path}: {lines[-1].replace(f'file:{path}: ', '')}")
    return run.stdout, run.stderr


# WAV headers that are not true


class _WavSizes(NamedTuple):
    """What the header of a wav says of its sizes, in bytes, and what there is."""

    riff: int
    """What follows the first 8."""
    start: int
    """Where the samples begin."""
    samples: int
    there: int


def _wav_sizes(path: Path) -> _WavSizes | None:
    """None for a file that is no wav, and for one without a chunk of samples."""
    with open(path, "rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        (riff,) = struct.unpack("<I", head[4:8])
        while len(chunk := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", chunk)
            if name == b"data":
                return _WavSizes(riff, file.tell(), size, os.fstat(file.fileno()).st_size)
            file.seek(size + size % 2, os.SEEK_CUR)
    return None


def _ends_early(sizes: _WavSizes | None) -> bool:
    """Whether a wav's header promises more bytes than there are: libsndfile reads what is left without a word."""
    return sizes is not None and any(
        # Recorders that stream cannot know the sizes in advance and leave 0 or the largest number.
        0 < promised < 0xFFFFFF00 and start + promised > sizes.there + 1
        for start, promised in ((8, sizes.riff), (sizes.start, sizes.samples))
    )


def _unfinished_wav(path: Path, sizes: _WavSizes | None) -> bytes | None:
    """The file with its sizes filled in where the chunk of samples says 0 bytes though there are more: a recorder writes
    the sizes last. None for any other file."""
    if sizes is None or sizes.samples or sizes.start >= sizes.there:
        return None
    with open(path, "rb") as file:
        before, rest = file.read(sizes.start), file.read()
    if _is_chunks(rest):
        return None  # no samples indeed: what follows describes the file
    return b"RIFF" + struct.pack("<I", sizes.start + len(rest) - 8) + before[8:-4] + struct.pack("<I", len(rest)) + rest


def _is_chunks(data: bytes) -> bool:
    """Whether bytes are whole RIFF chunks, one after another, to the end."""
    place = 0
    while place + 8 <= len(data):
        name, size = struct.unpack("<4sI", data[place : place + 8])
        if not (name.isascii() and name.decode("ascii").isprintable()):
            return False
        place += 8 + size + size % 2
    return place >= len(data) and place - len(data) <= 1


def not_written(error: soundfile.LibsndfileError) -> str:
    """Why libsndfile did not write a file; of a full disk it says "System error" alone."""
    if error.code == 2:
        return "the system takes no more of it: is the disk full?"
    return str(error.error_string).strip().rstrip(".")
