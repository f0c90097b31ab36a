"""DNSMOS P.835: three opinion scores without a reference, from Microsoft's network (Reddy et al. 2022).

The network `sig_bak_ovr.onnx` is not part of tinyse: give its path. The procedure is that of Microsoft's
`dnsmos_local.py`: 9.01 s windows every second, a shorter clip repeated until it fills one, the raw outputs through a
polynomial each, the mean over the windows.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinyse.audio import resampled
from tinyse.errors import InputError
from tinyse.onnx import open_network

NETWORK_RATE = 16000
WINDOW = 144160
DNSMOS_COLUMNS = ("dnsmos_speech", "dnsmos_background", "dnsmos_overall")
CALIBRATION = np.array(
    [
        [-0.08397278, 1.22083953, 0.0052439],
        [-0.13166888, 1.60915514, -0.39604546],
        [-0.06766283, 1.11546468, 0.04602535],
    ]
)
"""Coefficients of x^2, x and 1 for the three raw outputs, speech, background and overall."""


class Opinion(NamedTuple):
    """Mean opinion scores, 1 to 5."""

    speech: float
    background: float
    overall: float


def dnsmos(samples: np.ndarray, onnx_path: str | Path, sample_rate: int = NETWORK_RATE) -> Opinion:
    """Opinion scores of float samples (samples,) in [-1, 1); nan for an empty clip. The network gets a copy at 16 kHz.

    Raises InputError where onnxruntime is not installed or the file is not the network.
    """
    samples = resampled(np.asarray(samples, np.float32), sample_rate, NETWORK_RATE)
    if not samples.size:
        return Opinion(*[float("nan")] * 3)
    raw = np.concatenate([_run(onnx_path, window[None]) for window in windows(samples)])
    scores = CALIBRATION[:, 0] * raw**2 + CALIBRATION[:, 1] * raw + CALIBRATION[:, 2]
    return Opinion(*(float(score) for score in scores.mean(0)))


def windows(samples: np.ndarray) -> np.ndarray:
    """(samples,) -> (windows, 144160): one every second; a clip below 9.01 s is doubled until it is longer."""
    while len(samples) < WINDOW:
        samples = np.concatenate([samples, samples])
    count = int(len(samples) // NETWORK_RATE - WINDOW / NETWORK_RATE) + 1
    return np.stack([samples[start : start + WINDOW] for start in range(0, max(count, 1) * NETWORK_RATE, NETWORK_RATE)])


def _run(path: str | Path, batch: np.ndarray) -> np.ndarray:
    """(1, 144160) -> (1, 3) raw outputs."""
    session = _session(str(path))
    return np.asarray(session.run(None, {session.get_inputs()[0].name: batch})[0], np.float64)


@functools.lru_cache(maxsize=1)
def _session(path: str) -> Any:
    if not Path(path).is_file():
        raise InputError(f"there is no DNSMOS network at {path}: give the path of sig_bak_ovr.onnx")
    session = open_network(path, path)
    shape = session.get_inputs()[0].shape
    if len(shape) != 2 or shape[1] != WINDOW:
        raise InputError(f"{path} takes inputs of shape {shape}, not (windows, {WINDOW}): give sig_bak_ovr.onnx")
    return session
