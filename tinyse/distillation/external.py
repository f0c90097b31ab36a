"""Third-party teachers: published streaming ONNX models, which process a mixture frame by frame and return sound.

Nothing of them is part of tinyse: a recipe names the file, its license is its own. The package onnxruntime is the extra `onnx`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from tinyse.errors import InputError
from tinyse.onnx import first_line, open_network

SAMPLE_RATE = 16000
"""Hz that the published models were trained for; their files do not say."""
WINDOWS = {"hann": 1.0, "sqrt-hann": 0.5}
"""Analysis and synthesis windows of a streaming ONNX model: the power of the periodic Hann window."""


@dataclass(frozen=True)
class OnnxTeacher:
    """A streaming ONNX model that teaches by its sound."""

    onnx: str
    """Path of the file: `mix` (1, bins, 1, 2) and caches in, a spectrum and the caches in that order out."""
    window: Literal["hann", "sqrt-hann"]
    """The analysis window that the model was trained with: UL-UNAS hann, GTCRN sqrt-hann. The file does not record it, and a
    wrong one degrades the teacher without an error."""

    def open(self) -> OnnxStream:
        """The model, opened once a process: what was opened before a data loader forked is not used after it.

        Raises InputError where it cannot be used.
        """
        return _opened(self, os.getpid())


class OnnxStream:
    """A streaming ONNX model: (samples,) float32 at 16 kHz to as many that are `delay` samples late, from silence.

    GTCRN and UL-UNAS (Rong Xiaobin) are published so. The window is 2 (bins - 1) long, `window` names its shape, the hop
    is half of it, and synthesis divides by the overlapped squares, as `torch.istft` does. One thread, so that the bits do
    not depend on the machine's cores. Raises InputError where onnxruntime is missing or the file is not such a model.
    """

    def __init__(self, path: str | Path, window: str) -> None:
        if window not in WINDOWS:
            raise InputError(f"{path}: window {window!r} is not one of {', '.join(WINDOWS)}")
        if not Path(path).is_file():
            raise InputError(f"there is no model file {path}")
        self._session = open_network(path, path)
        self._inputs = self._session.get_inputs()
        shapes = [node.shape for node in self._inputs]
        whole = all(isinstance(size, int) for shape in shapes for size in shape)
        if not whole or [*shapes[0][:1], *shapes[0][2:]] != [1, 1, 2]:
            raise InputError(
                f"{path} is not a streaming model: it takes {shapes}, not a spectrum (1, bins, 1, 2) and caches"
            )
        self.delay = hop = shapes[0][1] - 1
        """Samples by which the output is late: the hop, by which a window is longer than what is new in it."""
        self._window = np.hanning(2 * hop + 1)[:-1].astype(np.float32) ** WINDOWS[window]
        self._norm = self._window[:hop] ** 2 + self._window[hop:] ** 2
        try:
            self(np.zeros(2 * hop, np.float32))
        except Exception as error:  # as `open_network` says
            raise InputError(
                f"{path} is not a streaming model: it does not take its own caches: {first_line(error)}"
            ) from error

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """(samples,) -> (samples,), late by `delay`."""
        hop, (spectrum, *caches) = self.delay, self._inputs
        names = (spectrum.name, *(cache.name for cache in caches))
        state = [np.zeros(cache.shape, np.float32) for cache in caches]
        window, summed, result = np.zeros(2 * hop, np.float32), np.zeros(2 * hop, np.float32), []
        for frame in hops(samples, hop):
            window = np.concatenate([window[hop:], frame])
            analyzed = np.fft.rfft(window * self._window)
            mix = np.stack([analyzed.real, analyzed.imag], -1)[None, :, None].astype(np.float32)
            denoised, *state = self._session.run(None, dict(zip(names, (mix, *state), strict=True)))
            values = np.fft.irfft(denoised[0, :, 0, 0] + 1j * denoised[0, :, 0, 1]) * self._window
            summed = np.concatenate([summed[hop:], np.zeros(hop, np.float32)]) + values
            result.append(summed[:hop] / self._norm)
        return np.concatenate(result)[: len(samples)].astype(np.float32)

    def denoise(self, samples: np.ndarray) -> np.ndarray:
        """A whole clip (samples,) -> (samples,), aligned with it; after its end comes silence."""
        return self(np.pad(samples, (0, self.delay)))[self.delay :]


def hops(samples: np.ndarray, hop: int) -> Iterator[np.ndarray]:
    """The samples in pieces of `hop`, the last one filled up with silence."""
    for start in range(0, len(samples), hop):
        piece = samples[start : start + hop]
        yield np.pad(piece, (0, hop - len(piece)))


@lru_cache(maxsize=8)
def _opened(teacher: OnnxTeacher, _process: int) -> OnnxStream:
    return OnnxStream(teacher.onnx, teacher.window)
