"""A recording: a 16-bit wav that plays at any moment, whatever ends the program that writes it."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

import numpy as np

from tinyse.audio import DEFAULT_RATE
from tinyse.audio.pcm import encode, wav_header
from tinyse.errors import InputError

HEADER_BYTES = len(wav_header("s16", DEFAULT_RATE, 0))


class Recording:
    """Mono sound in NAME.recording.wav, which becomes NAME.wav when it is closed.

    Each second goes to the disk, and its header with it: a program that was killed leaves a file that plays. An older
    recording of the same name stays until the new one is finished.
    """

    def __init__(self, path: str | Path, sample_rate: int = DEFAULT_RATE) -> None:
        """Raises InputError where the file cannot be written."""
        self.path, self._rate = Path(path), sample_rate
        self._growing = self.path.with_name(f"{self.path.stem}.recording.wav")
        self._waiting: list[np.ndarray] = []
        self._bytes = 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # No buffer of Python's: what was written is in the file, and what did not fit is known at once.
            self._file = FileIO(self._growing, "w")
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._write_header()
        except OSError as error:
            self.discard()
            raise self._failed(error) from error

    def write(self, samples: np.ndarray) -> None:
        """Append (samples,) float32. Raises InputError when the disk is full; `close` then keeps what was written."""
        self._waiting.append(samples)
        if sum(map(len, self._waiting)) >= self._rate:
            self._flush()

    def close(self) -> None:
        """Give the file its name. Raises InputError where its end could not be written: it has its name all the same."""
        try:
            self._flush()
        finally:
            self._file.close()
            try:
                self._growing.replace(self.path)
            except OSError as error:
                raise self._failed(error) from error

    def discard(self) -> None:
        """Leave no file, and what had the name before."""
        self._file.close()
        self._growing.unlink(missing_ok=True)

    def _flush(self) -> None:
        content = encode(np.concatenate([*self._waiting, np.zeros(0, np.float32)]), "s16")
        self._waiting = []
        try:
            while content:
                written = self._file.write(content)
                self._bytes += written
                content = content[written:]
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self._write_header()  # over bytes that are written already: it needs no disk space

    def _write_header(self) -> None:
        self._file.seek(0)
        self._file.write(wav_header("s16", self._rate, self._bytes - self._bytes % 2))
        self._file.seek(HEADER_BYTES + self._bytes)

    def _failed(self, error: OSError) -> InputError:
        return InputError(f"cannot write {self.path}: {error.strerror or error}")


class Recorder:
    """Both sides of a session, aligned, in PREFIX-in.wav and PREFIX-out.wav. A full disk ends the recording and no more."""

    def __init__(self, sample_rate: int = DEFAULT_RATE) -> None:
        self._rate = sample_rate
        self._sides: tuple[Recording, ...] = ()
        self.error = ""
        """Why the last recording ended by itself, in one line."""

    @property
    def path(self) -> str:
        """Where the output is recorded; empty while nothing is recorded."""
        sides = self._sides  # a copy: another thread may be ending it
        return str(sides[1].path) if sides else ""

    def start(self, prefix: Path) -> None:
        """End a recording that runs, and begin one. Raises InputError where the files cannot be written."""
        self.stop()
        self.error = ""
        paths = [prefix.with_name(f"{prefix.name}-{side}.wav") for side in ("in", "out")]
        sides: list[Recording] = []
        try:
            for path in paths:
                sides.append(Recording(path, self._rate))
        except InputError:
            for side in sides:
                side.discard()
            raise
        self._sides = tuple(sides)

    def write(self, *blocks: np.ndarray) -> None:
        """A block (samples,) of each side; nothing happens while nothing is recorded."""
        try:
            for side, samples in zip(self._sides, blocks, strict=False):
                side.write(samples)
        except InputError as error:
            self.stop()
            self.error = str(error)

    def stop(self) -> None:
        """End the recording, and leave both files whole."""
        sides, self._sides = self._sides, ()
        for side in sides:
            try:
                side.close()
            except InputError as error:
                self.error = str(error)
