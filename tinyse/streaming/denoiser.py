"""`Denoiser`: chunks of any length in, what is ready out; the same for float and integer models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyse.audio.sound_files import check_layout
from tinyse.engines.path import SignalPath
from tinyse.errors import InputError
from tinyse.presets import limit_for
from tinyse.released import find
from tinyse.spectra.front_end import front_end_in, latency_ms
from tinyse.streaming import hops, sound
from tinyse.streaming.opening import EngineName, check_fit, open_engine

if TYPE_CHECKING:
    from tinyse.models.making import Networks


class Denoiser:
    """A stream of mono sound, at the model's `sample_rate`, through it.

    The output stream is the input stream, denoised and `delay` samples late: it begins with `delay` samples before the
    first one. `process` returns what whole hops have made ready, `flush` the rest.

        denoiser = Denoiser()
        for chunk in microphone:
            loudspeaker.play(denoiser.process(chunk))

    It serves one thread at a time. A pickle, which goes to another process, and a `copy.deepcopy`, for another thread, go
    on from where it stands.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        engine: EngineName | None = None,
        attenuation_limit_db: float | None = None,
        preset: str | None = None,
        networks: Networks = (),
    ) -> None:
        """`model`: a `.tflite` (engines litert, tflm, reference, c) or a `.safetensors` (engine torch), or the name of a
        model that tinyse comes with (see `tinyse.released`), by default student-62k.

        `attenuation_limit_db` is the strength: the most that is taken away of anything, in dB; 0 leaves the sound
        untouched, None sets no limit. `preset` sets it by purpose: "listening" (no limit), or "recognition" for a speech
        recognizer. `networks` are classes of your own that a `.safetensors` may be made of. Raises InputError for a model
        that cannot be used, an engine that does not fit it, a negative limit, an unknown preset, or a preset and a limit.
        """
        path = find(model)
        self.engine = open_engine(path, engine, networks)
        metadata = self.engine.metadata
        if metadata.get("task") != "denoise":
            raise InputError(
                f"{path} is not a denoiser of tinyse: its metadata names the task {metadata.get('task')!r}; `tinyse models` "
                "lists denoisers"
            )
        self.front_end = front_end_in(metadata, str(path))
        check_fit(self.engine, self.front_end.config.bands, self.front_end.config.bands, path)
        self.attenuation_limit_db = limit_for(preset, attenuation_limit_db)
        # The engine c is the firmware, which has a front end of its own.
        self._path = self.engine.signal_path() or SignalPath(self.front_end, self.engine)
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
        """Samples per second, in and out."""
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
        """Algorithmic latency (see `tinyse.spectra.front_end.latency_ms`); computing comes on top."""
        return latency_ms(self.front_end.config)

    def reset(self) -> None:
        """Reset the stream to silence."""
        self._state: Any = self._path.initial_state()
        self._waiting = hops.NOTHING

    def process(self, chunk: np.ndarray) -> np.ndarray:
        """A chunk (samples,) of any length, int16 or float in [-1, 1), to what is ready, of the same type.

        Raises InputError for another shape or type, and for NaN or infinite samples; the stream then stands where it was.
        """
        chunk = np.asarray(chunk)
        whole, waiting = hops.whole_hops(self._waiting, hops.as_float(chunk), self.hop)
        result, self._state = self._path.step(whole, self._state, self._limit)
        self._waiting = waiting
        return hops.as_type(result, chunk.dtype)

    def flush(self) -> np.ndarray:
        """End the stream: the samples that are still inside, as float32, and a reset.

        All outputs together are then as long as all inputs and `delay` samples.
        """
        missing = len(self._waiting) + self.delay
        padding = math.ceil(missing / self.hop) * self.hop - len(self._waiting)
        rest = self.process(np.zeros(padding, np.float32))[:missing]
        self.reset()
        return rest

    def denoise(self, samples: np.ndarray, sample_rate: int | None = None) -> np.ndarray:
        """A whole clip (samples,) as a stream from silence: aligned with its input, as long, of the same type.

        One of (samples, channels), each channel a stream of its own, or at another `sample_rate` than the model's comes
        back as it was given. Raises InputError as `process`, and for a rate or a number of channels that sound does not have.
        """
        samples = np.asarray(samples)
        rate = self.sample_rate if sample_rate is None else sample_rate
        if samples.ndim == 2 or (samples.ndim == 1 and rate != self.sample_rate):
            return self._denoise_any(samples, rate)
        floats = hops.as_float(samples)  # before the reset: what is refused leaves the stream where it stood
        self.reset()
        stream = np.concatenate([self.process(floats), self.flush()])[self.delay :]
        return hops.as_type(stream, samples.dtype)

    def _denoise_any(self, samples: np.ndarray, rate: int) -> np.ndarray:
        columns = samples[:, None] if samples.ndim == 1 else samples
        check_layout("the sound", rate, columns.shape[1])
        floats = hops.as_float(columns.ravel()).reshape(columns.shape)
        result = np.concatenate(list(sound.denoised(self, [floats], rate)))
        return hops.as_type(result, samples.dtype).reshape(samples.shape)

    def denoise_clip(self, samples: np.ndarray) -> np.ndarray:
        """A whole clip in one step of many frames, which only the engine torch can do: what streaming must equal."""
        samples = np.asarray(samples)
        return hops.as_type(self.engine.denoise_clip(hops.as_float(samples), self._limit), samples.dtype)

    @property
    def _limit(self) -> float:
        """The share of the gain that stays at one."""
        return 0.0 if self.attenuation_limit_db is None else 10 ** (-self.attenuation_limit_db / 20)
