"""Levels of sound: which frames are active, and powers and ratios over them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinyse.audio import DEFAULT_RATE

FRAME_SECONDS = 0.032
ACTIVE_DB = 40.0
"""A frame is active if it is within this many dB of the loudest."""
BURST_DB = 10.0
"""How much louder than the SNR says noise may be where no speech is."""
PEAK = 0.99
"""The largest magnitude of a sample that a mixture may have, on either side."""
SILENCE = 1e-9
"""Mean square (-90 dB re full scale) below which sound is silence: less than one step of 16 bits."""


def frame_length(sample_rate: int) -> int:
    """Samples in a frame: 512 at 16 kHz."""
    return round(FRAME_SECONDS * sample_rate)


def frame_powers(sound: np.ndarray, sample_rate: int = DEFAULT_RATE) -> np.ndarray:
    """Mean squares of whole frames, float32, shape (frames,); an incomplete last frame is ignored."""
    length = frame_length(sample_rate)
    frames = sound[: len(sound) // length * length].reshape(-1, length)
    return np.einsum("ij,ij->i", frames, frames) / length


def active(powers: np.ndarray) -> np.ndarray:
    """Which frames are active, bool, shape (frames,); none of them in silence."""
    loudest = powers.max(initial=0.0)
    return (powers >= loudest * 10 ** (-ACTIVE_DB / 10)) & (powers > SILENCE)


def mean_power(powers: np.ndarray, frames: np.ndarray) -> float:
    """Mean of the powers over the frames chosen, 0 where none is."""
    return float(powers[frames].mean(dtype=np.float64)) if frames.any() else 0.0


@dataclass(frozen=True)
class Balance:
    """How speech and noise are brought together."""

    noise_gain: float
    """Factor on the samples of the noise."""
    snr_db: float
    """Speech against noise over the active frames of the speech, as it comes out."""
    power: float
    """Mean square of the active speech, or of the active noise where there is no speech."""


def balance(speech: np.ndarray, noise: np.ndarray, snr_db: float, sample_rate: int = DEFAULT_RATE) -> Balance:
    """The gain on `noise` that gives `snr_db` over the active frames of `speech`.

    Noise that falls into the pauses could be made as loud as one likes without touching that ratio, so its own active
    frames are held to `BURST_DB` above what the ratio says; then the SNR comes out higher than wanted.
    """
    powers, noise_powers = frame_powers(speech, sample_rate), frame_powers(noise, sample_rate)
    frames = active(powers)
    power, noise_power = mean_power(powers, frames), mean_power(noise_powers, frames)
    own = mean_power(noise_powers, active(noise_powers))
    if not power:
        return Balance(1.0, -math.inf, own)
    if not own or snr_db == math.inf:
        return Balance(0.0, math.inf, power)
    reference = max(noise_power, own * 10 ** (-BURST_DB / 10))
    gain = math.sqrt(power / reference) / amplitude(snr_db)
    return Balance(gain, decibels(power / (gain**2 * noise_power)) if noise_power else math.inf, power)


def decibels(ratio: float) -> float:
    """10 log10 of a ratio of powers; minus infinity for 0."""
    return 10 * math.log10(ratio) if ratio > 0 else -math.inf


def amplitude(db: float) -> float:
    """The factor on samples for a gain of `db`."""
    return 10 ** (db / 20)
