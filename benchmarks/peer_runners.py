"""Denoisers that are not tinyse's, each as a stream: (samples,) float32 at 16 kHz to (samples,), late by its delay.

They run as their authors prescribe, from silence, on one thread. None is a dependency of tinyse: a missing package is one
line that says how to get it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tinyse.audio import to_pcm16
from tinyse.distillation.external import hops
from tinyse.errors import InputError

Stream = Callable[[np.ndarray], np.ndarray]
SAMPLE_RATE = 16000


def needed(package: str) -> Any:
    """An optional module. Raises InputError with the command that installs it."""
    try:
        return import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        raise InputError(f"this peer needs the package {name!r}: pip install {name}, or leave the peer out") from error


def rnnoise() -> Stream:
    """RNNoise 0.2 as PyPI's `pyrnnoise` brings it: 48 kHz, frames of 10 ms of PCM16; resampled there and back by soxr."""
    library = needed("pyrnnoise.rnnoise")
    import soxr

    def stream(samples: np.ndarray) -> np.ndarray:
        wide = to_pcm16(soxr.resample(samples, SAMPLE_RATE, library.SAMPLE_RATE))
        state = library.create()
        try:
            frames = [library.process_mono_frame(state, frame)[0] for frame in hops(wide, library.FRAME_SIZE)]
        finally:
            library.destroy(state)
        denoised = np.concatenate(frames).astype(np.float32) / 32768
        return soxr.resample(denoised, library.SAMPLE_RATE, SAMPLE_RATE)[: len(samples)]

    return stream


def noisereduce() -> Stream:
    """Spectral gating, PyPI's `noisereduce` with its defaults: no stream, it sees the whole clip at once."""
    package = needed("noisereduce")
    return lambda samples: np.asarray(package.reduce_noise(y=samples, sr=SAMPLE_RATE), np.float32)


def webrtc() -> Stream:
    """WebRTC's noise suppression at its highest level, PyPI's `webrtc-noise-gain`: frames of 10 ms of PCM16 at 16 kHz."""
    package = needed("webrtc_noise_gain")

    def stream(samples: np.ndarray) -> np.ndarray:
        processor = package.AudioProcessor(0, 4)
        frames = [processor.Process10ms(frame.tobytes()).audio for frame in hops(to_pcm16(samples), SAMPLE_RATE // 100)]
        return np.frombuffer(b"".join(frames), np.int16).astype(np.float32)[: len(samples)] / 32768

    return stream


PACKAGES: dict[str, Callable[[], Stream]] = {
    "pyrnnoise": rnnoise,
    "noisereduce": noisereduce,
    "webrtc_noise_gain": webrtc,
}
"""Peers that a package of PyPI brings."""
TITLES = {
    "pyrnnoise": "RNNoise 0.2 (pyrnnoise)",
    "noisereduce": "spectral gating (noisereduce)",
    "webrtc_noise_gain": "WebRTC noise suppression (webrtc-noise-gain)",
}
"""What they are called in tables."""


def dtln(first: Path, second: Path, block: int = 512, hop: int = 128) -> Stream:
    """DTLN (Westhausen and Meyer 2020): a mask on the magnitude of a block, then a network on its samples, overlap-added.

    `first` and `second` are its .tflite files, float or with int8 weights.
    """
    masking, refining = _Stateful(first), _Stateful(second)

    def stream(samples: np.ndarray) -> np.ndarray:
        window, summed, result = np.zeros(block, np.float32), np.zeros(block, np.float32), []
        states = masking.silence(), refining.silence()
        for frame in hops(samples, hop):
            window = np.concatenate([window[hop:], frame])
            spectrum = np.fft.rfft(window)
            mask, state = masking.step(np.abs(spectrum), states[0])
            samples_out, other = refining.step(np.fft.irfft(spectrum * mask), states[1])
            states = state, other
            summed = np.concatenate([summed[hop:], np.zeros(hop, np.float32)]) + samples_out
            result.append(summed[:hop])
        return np.concatenate(result)[: len(samples)]

    return stream


class _Stateful:
    """A .tflite of one frame: data (1, 1, values) and a state go in, data and the next state come out."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        if not path.is_file():
            raise InputError(f"there is no model file {path}")
        try:
            self._interpreter = Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{path} is no TFLite model: {str(error).splitlines()[0]}") from error
        self._inputs = sorted(self._interpreter.get_input_details(), key=lambda tensor: len(tensor["shape"]))
        self._outputs = sorted(self._interpreter.get_output_details(), key=lambda tensor: len(tensor["shape"]))
        if [len(tensor["shape"]) for tensor in (*self._inputs, *self._outputs)] != [3, 4, 3, 4]:
            raise InputError(f"{path} is not a half of DTLN: it has other inputs than a frame and a state")

    def silence(self) -> np.ndarray:
        return np.zeros(self._inputs[1]["shape"], np.float32)

    def step(self, values: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One frame (values,) and a state to the same of what comes out."""
        for tensor, given in zip(self._inputs, (values.reshape(1, 1, -1), state), strict=True):
            self._interpreter.set_tensor(tensor["index"], given.astype(np.float32))
        self._interpreter.invoke()
        frame, following = (self._interpreter.get_tensor(tensor["index"]) for tensor in self._outputs)
        return frame[0, 0], following
