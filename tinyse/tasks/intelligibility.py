"""How intelligible speech is: extended short-time objective intelligibility (ESTOI) with a gradient, at any sample rate.

Jensen and Taal 2016, "An Algorithm for Predicting the Intelligibility of Speech Masked by Modulated Noise Maskers". Unlike
the measure, this stays at the sound's own rate, and pauses count nothing by their level instead of being cut out.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy
import torch
from torch import Tensor

FRAME_SECONDS = 0.0256
SEGMENT = 30
"""Frames that are compared together: 384 ms."""
BANDS, LOWEST_HZ = 15, 150.0
"""Third-octave bands, and the center of the first."""
RANGE_DB = 40.0
"""Frames this far below the loudest are pauses."""
EPSILON = 1e-8


@cache
def _tables(sample_rate: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """A window (frame,) and what sums the power of FFT bins into third octaves (bins, bands), float32."""
    frame = 2 * round(FRAME_SECONDS * sample_rate / 2)
    hertz = np.fft.rfftfreq(2 * frame, 1 / sample_rate)
    centers = LOWEST_HZ * 2 ** (np.arange(BANDS) / 3)
    centers = centers[centers * 2 ** (1 / 6) <= sample_rate / 2]
    within = (hertz[:, None] >= centers * 2 ** (-1 / 6)) & (hertz[:, None] < centers * 2 ** (1 / 6))
    window = scipy.signal.get_window("hann", frame)
    return tuple(torch.from_numpy(table.astype(np.float32)).to(device) for table in (window, within))  # type: ignore[return-value]


def intelligibility(clean: Tensor, samples: Tensor, sample_rate: int) -> Tensor:
    """Sound (batch, samples), twice -> ESTOI of the second, (batch,), at most 1; 0 without speech or below 0.4 s."""
    with torch.autocast(clean.device.type, enabled=False):
        window, bands = _tables(sample_rate, clean.device)
        frames = [_third_octaves(sound.float(), window, bands) for sound in (clean, samples)]
        if frames[0].shape[1] < SEGMENT:
            return samples.sum(1) * 0
        power = frames[0].square().sum(2)
        spoken = (power > power.amax(1, keepdim=True) * 10 ** (-RANGE_DB / 10)).float()
        weight = spoken.unfold(1, SEGMENT, SEGMENT // 4).mean(2)
        segments = [_normalized(_normalized(each.unfold(1, SEGMENT, SEGMENT // 4), 3), 2) for each in frames]
        correlation = (segments[0] * segments[1]).sum((2, 3)) / SEGMENT
        return (correlation * weight).sum(1) / weight.sum(1).clamp_min(EPSILON)


def _third_octaves(sound: Tensor, window: Tensor, bands: Tensor) -> Tensor:
    """(batch, samples) -> magnitudes (batch, frames, bands)."""
    frame = len(window)
    spectra = torch.stft(sound, 2 * frame, frame // 2, frame, window, center=False, return_complex=True).transpose(1, 2)
    return ((spectra.real.square() + spectra.imag.square()) @ bands + EPSILON).sqrt()


def _normalized(segments: Tensor, axis: int) -> Tensor:
    """(batch, segments, bands, frames): no mean and a norm of 1 along an axis."""
    centered = segments - segments.mean(axis, keepdim=True)
    return centered * (centered.square().sum(axis, keepdim=True) + EPSILON).rsqrt()
