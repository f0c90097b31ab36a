"""Analysis of decoded sound: faults that a sound engineer would note, and landmarks by which it is recognized.

Marks are spectrogram landmarks (Wang, "An industrial-strength audio search algorithm", ISMIR 2003): pairs of
peaks, each a number for two frequencies and the time between. They do not depend on the level, survive lossy encoding and
are the same in an excerpt, so that two recordings which share many at one distance in time are one sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tinyse.audio import DEFAULT_RATE

WINDOW_SECONDS = 0.064
HOP_SECONDS = 0.016
"""Between two frames: the time unit of marks, whatever the sample rate. Bins are 15.625 Hz apart at every rate."""
BLOCK = 4096
"""Frames processed at once, so that hours of sound need little memory."""
REACH = (10, 10)
"""A peak is the highest value within this many frames and bins."""
BINS = 256
"""Up to 4 kHz: what narrow encodings leave."""
FOLLOWERS = 8
"""Peaks that a peak is paired with, the next ones in time."""


class SoundAnalysis(NamedTuple):
    """The result for one recording."""

    faults: list[str]
    marks: np.ndarray
    """uint32 (marks, 2): number and time."""
    offset: float
    """Its mean (DC), re full scale."""


SILENT = "silent throughout"
DC = "a constant offset (DC), which the mixing removes"
NARROW = (
    "nothing above 4 kHz, as of 8 kHz sound stored at a higher rate: what is trained on it learns to remove high sounds"
)
NOISY = "a noise floor of its own less than 20 dB below the speech: it stays in the target"


def analyze(samples: np.ndarray, is_speech: bool, sample_rate: int = DEFAULT_RATE) -> SoundAnalysis:
    """Faults and landmarks of mono sound, float32 (samples,)."""
    offset = float(samples.mean(dtype=np.float64))
    if np.abs(samples - np.float32(offset)).max() < 2 / 32768:
        return SoundAnalysis([SILENT], np.zeros((0, 2), np.uint32), offset)
    power = float(np.square(samples, dtype=np.float64).mean()) - offset**2
    found = [DC] if offset**2 > max(1e-6, 0.01 * power) else []
    window = round(WINDOW_SECONDS * sample_rate)
    spectrum, powers, peaks = np.zeros(window // 2 + 1), [], []
    for first, before, block in _spectra(samples - np.float32(offset), window, round(HOP_SECONDS * sample_rate)):
        own = block[before : before + BLOCK]
        spectrum += own.sum(axis=0, dtype=np.float64)
        powers.append(own[:, 8:].sum(axis=1))
        peaks.append(_peaks(block, before) + np.array([first, 0]))
    faults = [*found, *_faults(spectrum, np.concatenate(powers), is_speech, sample_rate)]
    return SoundAnalysis(faults, _marks(np.concatenate(peaks)), offset)


def _faults(spectrum: np.ndarray, powers: np.ndarray, is_speech: bool, sample_rate: int) -> list[str]:
    def density(low_hz: float, high_hz: float) -> float:
        first, last = (round(hz * WINDOW_SECONDS) for hz in (low_hz, high_hz))
        return float(spectrum[first:last].mean())

    found = []
    # A filter's edge and not a sound that merely is low: within half an octave 40 dB are lost.
    wide = sample_rate >= DEFAULT_RATE
    if wide and density(4400, 7600) < 1e-4 * density(3000, 3700) and density(3000, 3700) > 1e-6 * spectrum.max():
        found.append(NARROW)
    if is_speech and len(powers) >= 60:
        loud = powers[powers > 0.01 * powers.max()].mean()
        if np.percentile(powers, 5) > 0.01 * loud:
            found.append(NOISY)
    return found


def _peaks(block: np.ndarray, before: int) -> np.ndarray:
    """The peaks (peaks, 2) of a block of spectra: frame, counted from its first own one, and bin; in order of time."""
    level = block[:, :BINS]
    peaks = (level == _highest(_highest(level, REACH[0], 0), REACH[1], 1)) & (level > 1e-5 * level.max())
    peaks[:, :6] = False  # below 100 Hz everything hums
    return np.argwhere(peaks[before : before + BLOCK])


def _marks(peaks: np.ndarray) -> np.ndarray:
    time, frequency = peaks[:, 0], peaks[:, 1]
    found = [np.zeros((0, 2), np.uint32)]
    for step in range(1, FOLLOWERS + 1):
        apart, up = time[step:] - time[:-step], frequency[step:] - frequency[:-step]
        good = (apart >= 2) & (apart < 64) & (np.abs(up) < 64)
        number = (frequency[:-step] << 13 | (up + 64) << 6 | apart)[good]
        found.append(np.stack([number, time[:-step][good]], axis=1).astype(np.uint32))
    return np.concatenate(found)


def _spectra(samples: np.ndarray, window: int, hop: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Power spectra (frames, bins) in blocks: the number of a block's first own frame, how many come before it in the
    block, since blocks overlap by the reach of a peak, and the block."""
    if len(samples) < window:
        samples = np.pad(samples, (0, window - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    hann = np.hanning(window).astype(np.float32)
    for first in range(0, len(frames), BLOCK):
        start = max(first - REACH[0], 0)
        spectra = np.fft.rfft(frames[start : first + BLOCK + REACH[0]] * hann, axis=1)
        yield first, first - start, spectra.real**2 + spectra.imag**2


def _highest(values: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """The maximum within `reach` on either side along an axis, by doubling."""
    width, size = 2 * reach + 1, values.shape[axis]
    padding = [(0, 0), (0, 0)]
    padding[axis] = (reach, reach)
    padded = np.pad(values, padding, constant_values=-np.inf)

    def cut(first: int, count: int) -> np.ndarray:
        return padded[first : first + count] if axis == 0 else padded[:, first : first + count]

    covered = 1
    while covered < width:
        step = min(covered, width - covered)
        count = padded.shape[axis] - step
        padded = np.maximum(cut(0, count), cut(step, count))
        covered += step
    return cut(0, size)
