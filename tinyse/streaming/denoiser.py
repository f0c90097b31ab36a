"""`Denoiser`: chunks of any length in, what is ready out; the same for float and integer models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tinyse.audio import from_pcm16, to_pcm16
from tinyse.config import build
from tinyse.errors import InputError
from tinyse.released import find
from tinyse.spectra.front_end import FrontEnd, FrontEndConfig
from tinyse.streaming.path import SignalPath

EngineName = Literal["litert", "tflm", "reference", "c", "torch"]
ENGINES = ("litert", "tflm", "reference", "c", "torch")
LOUDEST = 2.0**31
"""Samples beyond this are no sound, whatever a file was scaled to, and their powers would leave float32."""


class Denoiser:
    """A stream of 16 kHz mono sound through a model.

    The output stream is the input stream, denoised and `delay` samples late: it begins with `delay` samples before the
    first one. `process` returns what whole hops have made ready, `flush` the rest.

        denoiser = Denoiser()
        for chunk in microphone:
            loudspeaker.play(denoiser.process(chunk))
    """

    def __init__(
        self,
        model: str | Path | None = None,
        engine: EngineName | None = None,
        attenuation_limit_db: float | None = None,
    ) -> None:
        """`model`: a `.tflite` (engines litert, tflm, reference, c) or a `.safetensors` (engine torch), or the name of a
        model that tinyse brings along (see `tinyse.released`), by default student-62k.

        `attenuation_limit_db` is the strength: the most that is taken away of anything, in dB; 0 leaves the sound
        untouched, None sets no limit. Raises InputError for a model that cannot be used, an engine that does not fit it
        or a negative limit.
        """
        path = find(model)
        name = engine or ("torch" if path.suffix == ".safetensors" else "litert")
        self.engine = open_engine(path, name)
        metadata = self.engine.metadata
        if metadata.get("task") != "denoise":
            raise InputError(f"{path} is no denoiser of tinyse: its metadata names the task {metadata.get('task')!r}")
        self.front_end = FrontEnd(build(FrontEndConfig, metadata.get("front_end", {}), f"{path}: front_end"))
        check_fit(self.engine, self.front_end.config.bands, self.front_end.config.bands, path)
        self.attenuation_limit_db = attenuation_limit_db
        # The engine c is the firmware, which has a front end of its own.
        own_path = getattr(self.engine, "signal_path", None)
        self._path = own_path() if own_path else SignalPath(self.front_end, self.engine)
        self.reset()

    @property
    def attenuation_limit_db(self) -> float | None:
        """Most that is taken away, in dB; may be changed while a stream runs."""
        return self._attenuation_limit_db

    @attenuation_limit_db.setter
    def attenuation_limit_db(self, value: float | None) -> None:
        if value is not None and not value >= 0:
            raise InputError(f"attenuation limit: {value} dB; give 0 (untouched) or more, or none for no limit")
        self._attenuation_limit_db = value

    @property
    def sample_rate(self) -> int:
        """Samples a second, in and out."""
        return self.front_end.config.sample_rate

    @property
    def hop(self) -> int:
        """Samples that are worked on at a time."""
        return self.front_end.config.hop

    @property
    def delay(self) -> int:
        """Samples by which the output stream lags behind the input stream."""
        return self.front_end.config.delay

    @property
    def latency_ms(self) -> float:
        """Algorithmic latency: from a sample's arrival to the moment it can leave, at worst; computing comes on top."""
        return 1000 * self.front_end.config.window / self.sample_rate

    def reset(self) -> None:
        """Forget everything that was heard."""
        self._state: Any = self._path.initial_state()
        self._waiting = np.zeros(0, np.float32)

    def process(self, chunk: np.ndarray) -> np.ndarray:
        """A chunk (samples,) of any length, int16 or float in [-1, 1), to what is ready, of the same type.

        Raises InputError for another shape or type, and for NaN or infinite samples; the stream then stands where it was.
        """
        chunk = np.asarray(chunk)
        samples = as_float(chunk)
        stream = np.concatenate([self._waiting, samples])
        whole = len(stream) // self.hop * self.hop
        result, self._state = self._path.step(stream[:whole], self._state, self._limit)
        self._waiting = stream[whole:].copy()
        return _as_type(result, chunk.dtype)

    def flush(self) -> np.ndarray:
        """End the stream: the samples that are still inside, as float32, and a reset.

        All outputs together are then as long as all inputs and `delay` samples.
        """
        missing = len(self._waiting) + self.delay
        padding = math.ceil(missing / self.hop) * self.hop - len(self._waiting)
        rest = self.process(np.zeros(padding, np.float32))[:missing]
        self.reset()
        return rest

    def denoise(self, samples: np.ndarray) -> np.ndarray:
        """A whole clip (samples,) as a stream from silence: aligned with its input, as long, of the same type."""
        samples = np.asarray(samples)
        floats = as_float(samples)  # before the reset: what is refused leaves the stream where it stood
        self.reset()
        stream = np.concatenate([self.process(floats), self.flush()])[self.delay :]
        return _as_type(stream, samples.dtype)

    def denoise_clip(self, samples: np.ndarray) -> np.ndarray:
        """A whole clip in one step of many frames, which only the engine torch can do: what streaming must equal."""
        if not hasattr(self.engine, "denoise_clip"):
            raise InputError("only the engine torch takes a clip in one step; the others are streams: use denoise")
        samples = np.asarray(samples)
        return _as_type(self.engine.denoise_clip(as_float(samples), self._limit), samples.dtype)

    @property
    def _limit(self) -> float:
        """The share of the gain that stays at one."""
        return 0.0 if self.attenuation_limit_db is None else 10 ** (-self.attenuation_limit_db / 20)


def open_engine(path: Path, name: str) -> Any:
    """The engine of that name on a model file. Raises InputError where they do not fit."""
    if name not in ENGINES:
        raise InputError(f"no engine is named {name!r}: there are {', '.join(ENGINES)}")
    if not path.is_file():
        raise InputError(f"there is no model file {path}")
    if (path.suffix == ".safetensors") != (name == "torch"):
        fitting = "torch" if path.suffix == ".safetensors" else "litert, tflm, reference or c"
        raise InputError(f"engine {name!r} does not run {path.name}: use {fitting}")
    if name == "torch":
        from tinyse.streaming.torch_engine import TorchEngine

        return TorchEngine(path)
    if name == "c":
        from firmware_export.host import HostEngine

        return HostEngine(path)
    from tinyse.streaming import engines

    return {"litert": engines.LiteRTEngine, "tflm": engines.TFLMEngine, "reference": engines.ReferenceEngine}[name](
        path
    )


def check_fit(engine: Any, bands: int, results: int, path: Path) -> None:
    """Raise InputError where the network is not for this front end: a file's metadata may say what is not so.

    `results` is how many values its mask or its tags have.
    """
    try:
        result, _ = engine.step(np.zeros(bands, np.float32), engine.initial_state())
    except InputError as error:
        raise InputError(
            f"{path}: its front end has {bands} bands, which its network does not take: {error}"
        ) from error
    if result.shape != (results,):
        raise InputError(f"{path}: {bands} bands give {result.size} values in its network, not {results}")


def as_float(chunk: np.ndarray) -> np.ndarray:
    """A chunk of sound, int16 or float, as float32 (samples,). Raises InputError for what is no sound."""
    if chunk.ndim != 1:
        raise InputError(f"a chunk is one channel of samples, not an array of shape {chunk.shape}")
    if chunk.dtype == np.int16:
        return from_pcm16(chunk)
    if not np.issubdtype(chunk.dtype, np.floating):
        raise InputError(f"samples are int16 or float, not {chunk.dtype}")
    if not np.isfinite(chunk).all():
        raise InputError("samples hold NaN or infinite values")
    if np.abs(chunk).max(initial=0) > LOUDEST:
        raise InputError(f"samples reach {np.abs(chunk).max():.1e}, sound is float in [-1, 1)")
    return chunk.astype(np.float32)


def _as_type(samples: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """float32 sound as the type that it came in."""
    return to_pcm16(samples) if dtype == np.int16 else samples.astype(dtype, copy=False)
