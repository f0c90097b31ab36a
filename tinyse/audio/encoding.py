"""Sound files that grow while sound comes: in the format that their suffix names, whole or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile

from tinyse.audio import DEFAULT_RATE, to_pcm16
from tinyse.audio.sound_files import not_written
from tinyse.errors import InputError
from tinyse.files import replacing

FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".aiff": ("AIFF", "PCM_16"),
    ".aif": ("AIFF", "PCM_16"),
    "": ("WAV", "PCM_16"),
}
"""What a suffix means to libsndfile: the format, and the samples in it where nothing else is asked for."""
KEPT = frozenset({"PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"})
"""Sample formats that an output may take over from its input."""


CODEC_RATES = {
    "OPUS": (8000, 12000, 16000, 24000, 48000),
    "MPEG_LAYER_III": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
}
"""Hz that codecs have, where not all."""
HIGHEST_RATES = {"VORBIS": 200_000}
"""Hz up to which codecs have any rate: beyond it libvorbis does not refuse, it crashes."""


def possible_rate(path: str | Path, rate: int) -> int:
    """`rate`, or the next higher one, else the highest, that the format of a file has."""
    codec = _format(Path(path))[1]
    rates = CODEC_RATES.get(codec, (min(rate, HIGHEST_RATES.get(codec, rate)),))
    return min((known for known in rates if known >= rate), default=rates[-1])


def notices(path: str | Path, rate: int) -> list[str]:
    """What is to be said of a file whose format lacks `rate`."""
    possible = possible_rate(path, rate)
    return [f"written at {possible} Hz: {Path(path).suffix} has no {rate} Hz"] if possible != rate else []


def check_writable(path: str | Path) -> None:
    """Raise InputError for a name whose suffix is not a format that can be written."""
    _format(Path(path))


def check_apart(source: str | Path, target: str | Path) -> None:
    """Raise InputError where a file would be written over the one that it is made of."""
    if Path(source).resolve() == Path(target).resolve():
        raise InputError(f"{target} would be overwritten by what is made of it: name another place")


def sample_format(path: str | Path) -> str | None:
    """libsndfile's name of the samples in a sound file, None where it cannot say."""
    try:
        return str(soundfile.info(path).subtype)
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        return None


class SoundWriter:
    """Sound, in the format of the path's suffix; the file takes its name when it is closed.

    As a context it closes the file at the end of the block, and leaves none where the block raised.
    """

    def __init__(
        self, path: str | Path, samples: str | None = None, sample_rate: int = DEFAULT_RATE, channels: int = 1
    ) -> None:
        """`samples`: the sample format of libsndfile, say PCM_24; the suffix's own where it cannot have that one.

        Raises InputError where the file cannot be written.
        """
        self.path = Path(path)
        kind, usual = _format(self.path)
        if sample_rate > HIGHEST_RATES.get(usual, sample_rate):
            raise InputError(
                f"cannot write {path} at {sample_rate} Hz: {self.path.suffix} has {HIGHEST_RATES[usual]} Hz at most"
            )
        fits = samples in KEPT and soundfile.check_format(kind, samples)
        self._samples = str(samples) if fits else usual
        self._stack = ExitStack()
        temporary = self._stack.enter_context(replacing(self.path))
        try:
            opened = soundfile.SoundFile(temporary, "w", sample_rate, channels, subtype=self._samples, format=kind)
            self._file = self._stack.enter_context(opened)
        except soundfile.LibsndfileError as error:
            self._stack.close()
            raise InputError(
                f"cannot write {path} with {channels} channels at {sample_rate} Hz: {not_written(error)}"
                "; a wav takes any, --mono and --rate ask for others"
            ) from error

    def write(self, samples: np.ndarray) -> None:
        """Append (samples,) or (samples, channels) float32. Raises InputError when the disk is full."""
        # libsndfile scales floats to 16 bits in its own way; ours is the one that the firmware is compared with.
        content = to_pcm16(samples) if self._samples == "PCM_16" else samples
        try:
            self._file.write(content)
        except soundfile.LibsndfileError as error:
            raise InputError(f"cannot write {self.path}: {not_written(error)}") from error

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._stack.close()

    def discard(self) -> None:
        """Leave no file, and what had the name before."""
        self._stack.__exit__(InputError, InputError(f"{self.path} is not wanted"), None)

    def __enter__(self) -> SoundWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]


def _format(path: Path) -> tuple[str, str]:
    known = FORMATS.get(path.suffix.lower())
    if known is None or known[0] not in soundfile.available_formats():
        can = ", ".join(suffix for suffix in FORMATS if suffix)
        raise InputError(f"cannot write {path}: {path.suffix} is not a format that can be written; name it {can}")
    return known
