"""A 16-bit wav that grows while sound comes, and is there as a whole or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile

from tinyse import audio
from tinyse.errors import InputError
from tinyse.files import replacing


class WavWriter:
    """Mono at 16 kHz; it takes its name when it is closed."""

    def __init__(self, path: str | Path) -> None:
        """Raises InputError where the file cannot be written."""
        self.path = Path(path)
        self._stack = ExitStack()
        temporary = self._stack.enter_context(replacing(self.path))
        try:
            opened = soundfile.SoundFile(temporary, "w", audio.SAMPLE_RATE, 1, subtype="PCM_16", format="WAV")
            self._file = self._stack.enter_context(opened)
        except soundfile.LibsndfileError as error:
            self._stack.close()
            raise InputError(f"cannot write {path}: {error}") from error

    def write(self, samples: np.ndarray) -> None:
        """Append (samples,) float32. Raises InputError when the disk is full."""
        try:
            self._file.write(audio.to_pcm16(samples))
        except soundfile.LibsndfileError as error:
            raise InputError(f"cannot write {self.path}: {error}") from error

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._stack.close()
