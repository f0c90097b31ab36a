"""How annoying a listener finds what is left: a loss after ITU-T P.862.2 (PESQ, wideband), for sound at 16 kHz.

P.862 compares loudness, in sone per Bark, of the speech and of what came out. Missing and added sound is masked by what both
have; added sound counts more than missing sound. This follows it from the power spectra on, with what a loss does not need
left out: alignment in time, and its recursive filters, which act here as gains on the spectra. `score` correlates with the
standard's own (tests/test_losses.py).

Martín-Doñas et al. 2018, "A Deep Learning Loss Function Based on the Perceptual Evaluation of the Speech Quality".
"""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy
import torch
from torch import Tensor

SAMPLE_RATE = 16000
WINDOW, HOP = 512, 256
TARGET_POWER = 1e7
"""Mean square of both sounds between 325 and 3250 Hz after the alignment of levels (P.862, 10.1.2)."""
POWER_FACTOR, LOUDNESS_FACTOR = 6.910853e-6, 0.1866055
"""Sp and Sl of P.862 at 16 kHz, which calibrate power and loudness."""
EXPONENT = 0.23
"""The exponent of Zwicker's law of loudness."""

# fmt: off
BINS = (1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 3, 4, 5, 4, 5, 6, 6, 7, 8, 9,
        9, 12, 12, 15, 16, 18, 21, 25, 20)
"""Spectral bins of each band."""
WIDTHS = (
    0.157344, 0.317994, 0.322441, 0.326934, 0.331474, 0.336061, 0.340697, 0.345381, 0.350114, 0.354897, 0.359729, 0.364611,
    0.369544, 0.374529, 0.379565, 0.384653, 0.389794, 0.394989, 0.400236, 0.405538, 0.410894, 0.416306, 0.421773, 0.427297,
    0.432877, 0.438514, 0.444209, 0.449962, 0.455774, 0.461645, 0.467577, 0.473569, 0.479621, 0.485736, 0.491912, 0.498151,
    0.504454, 0.510819, 0.517250, 0.523745, 0.530308, 0.536934, 0.543629, 0.550390, 0.557220, 0.564119, 0.571085, 0.578125,
    0.585232,
)
"""The width of each band, in Bark."""
CORRECTIONS = (
    100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 50.0, 100.0, 100.0, 100.0, 100.0, 100.0, 53.047, 110.0, 117.992,
    65.0, 68.760, 70.0, 71.429, 75.0, 76.843, 80.969, 88.646, 63.864, 68.155, 72.548, 75.585, 58.379, 80.951, 64.136, 54.385,
    73.822, 64.437, 59.176, 65.522, 61.400, 58.144, 57.005, 64.126, 54.311, 61.115, 55.078, 56.849, 55.629, 53.137, 54.985,
    79.547,
)
"""Factors on the power density of each band."""
THRESHOLDS_DB = (
    77.1, 63.9, 48.5, 36.9, 30.7, 25.9, 20.3, 16.6, 12.5, 9.9, 6.9, 4.9, 2.8, 0.9, -0.1, -1.4, -2.4, -3.6, -4.2, -4.7, -5.1,
    -5.5, -5.9, -6.0, -6.0, -6.0, -6.0, -5.8, -5.4, -5.1, -4.7, -4.3, -3.8, -3.3, -3.1, -3.0, -3.0, -2.9, -2.8, -2.8, -2.8,
    -2.9, -3.2, -3.7, -4.3, -4.4, -4.2, -3.8, -2.7,
)
"""The threshold of hearing in each band."""
# fmt: on


@cache
def _tables(device: torch.device) -> dict[str, Tensor]:
    """Constants, float32: `window` (512,), `passed` and `level` (256,), `bands` (256, 49), and (49,) each of the rest."""
    hertz = np.arange(WINDOW // 2) * SAMPLE_RATE / WINDOW
    # The wideband input filter, a high-pass at 100 Hz (P.862.2).
    _, response = scipy.signal.freqz(
        [2.740826, -5.4816519, 2.740826], [1.0, -1.9444777, 0.94597794], worN=hertz, fs=SAMPLE_RATE
    )
    bands = np.repeat(np.eye(len(BINS)), BINS, axis=0)
    bands = np.concatenate([bands, np.zeros((len(hertz) - len(bands), len(BINS)))])
    widths = np.array(WIDTHS)
    centers = np.cumsum(widths) - widths / 2
    window = scipy.signal.get_window("hann", WINDOW)
    tables = {
        "window": window,
        "passed": np.abs(response) ** 2 * (hertz > 0),
        "level": ((hertz >= 325) & (hertz <= 3250)) * 2 / (WINDOW * np.sum(window**2)),
        "bands": bands * np.array(CORRECTIONS) * POWER_FACTOR,
        "widths": widths,
        "thresholds": 10 ** (np.array(THRESHOLDS_DB) / 10),
        "exponents": EXPONENT * np.clip(6 / (centers + 2), 1, 2) ** 0.15,
    }
    return {name: torch.from_numpy(table.astype(np.float32)).to(device) for name, table in tables.items()}


def disturbances(clean: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Sound (batch, samples), twice -> the symmetric and the asymmetric disturbance of P.862, (batch,) each."""
    t = _tables(clean.device)
    speech, made = (_bark_power(sound, t) for sound in (clean, samples))
    heard = _audible(speech, t["thresholds"] * 1e2).sum(2, keepdim=True) >= 1e7
    # A steady filter is compensated for, and so are slow changes of gain, each in part.
    means = [(_audible(each, t["thresholds"] * 1e2) * heard).mean(1, keepdim=True) + 1e3 for each in (made, speech)]
    speech = speech * (means[0] / means[1]).clamp(0.01, 100)
    totals = [_audible(each, t["thresholds"]).sum(2, keepdim=True) + 5e3 for each in (speech, made)]
    gain = totals[0] / totals[1]
    gain = torch.cat([gain[:, :1], 0.8 * gain[:, 1:] + 0.2 * gain[:, :-1]], 1).clamp(3e-4, 5)
    made = made * gain

    loudness = [_loudness(each, t["thresholds"], t["exponents"]) for each in (made, speech)]
    difference = loudness[0] - loudness[1]
    masked = 0.25 * torch.minimum(*loudness)
    difference = difference.sign() * (difference.abs() - masked).clamp_min(0)
    added = ((made + 50) / (speech + 50)) ** 1.2
    added = torch.where(added < 3, torch.zeros_like(added), added.clamp_max(12))

    widths = t["widths"][1:]
    total = widths.sum()
    symmetric = (total * (widths * difference[..., 1:]).square().sum(2) + 1e-12).sqrt()
    asymmetric = (widths * (difference * added)[..., 1:].abs()).sum(2)
    weight = ((_audible(speech, t["thresholds"]).sum(2) + 1e5) / 1e7) ** 0.04
    return tuple(_over_time((each / weight).clamp_max(45)) for each in (symmetric, asymmetric))  # type: ignore[return-value]


def distance(clean: Tensor, samples: Tensor) -> Tensor:
    """Sound (batch, samples) at 16 kHz, twice -> how far the second is from the first, (batch,): 4.5 less PESQ's raw score."""
    with torch.autocast(clean.device.type, enabled=False):
        symmetric, asymmetric = disturbances(clean.float(), samples.float())
    return 0.1 * symmetric + 0.0309 * asymmetric


def score(clean: Tensor, samples: Tensor) -> Tensor:
    """The same on the scale of wideband PESQ, 1 to 4.6 (P.862.2)."""
    return 0.999 + 4 / (1 + torch.exp(-1.3669 * (4.5 - distance(clean, samples)) + 3.8224))


def _bark_power(sound: Tensor, t: dict[str, Tensor]) -> Tensor:
    """(batch, samples) -> power per Bark band (batch, frames, 49), at the level that P.862 listens at."""
    spectra = torch.stft(sound, WINDOW, HOP, window=t["window"], center=False, return_complex=True)[:, :-1]
    power = (spectra.real.square() + spectra.imag.square()).transpose(1, 2)
    level = (power @ t["level"]).mean(1)
    power = power * (TARGET_POWER / (level + 1e-5))[:, None, None]
    return (power * t["passed"]) @ t["bands"]


def _audible(power: Tensor, threshold: Tensor) -> Tensor:
    return torch.where(power > threshold, power, torch.zeros_like(power))


def _loudness(power: Tensor, threshold: Tensor, exponent: Tensor) -> Tensor:
    """Zwicker's law: sone per Bark."""
    sone = (threshold / 0.5) ** exponent * ((0.5 + 0.5 * power / threshold) ** exponent - 1)
    return LOUDNESS_FACTOR * torch.where(power > threshold, sone, torch.zeros_like(sone))


def _over_time(disturbance: Tensor) -> Tensor:
    """(batch, frames) -> (batch,): the L6 norm of each 20 frames, half overlapped, then the L2 norm of these."""
    parts = disturbance.unfold(1, min(20, disturbance.shape[1]), 10)
    return ((parts**6).mean(2) + 1e-12).pow(1 / 3).mean(1).sqrt()
