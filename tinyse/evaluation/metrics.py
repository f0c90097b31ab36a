"""How close an estimate is to its reference: one function a measure, and a table of them by name.

All take a reference and an estimate of the same length, float, (samples,), and return a float. Those of `RATED` take
the sample rate, too: PESQ is narrow-band at 8 kHz; above 16 kHz, PESQ and STOI get copies at 16 kHz. A measure that
is not defined for a pair (a silent reference, no speech to be found) is nan, never an exception: statistics count and
leave out what is not finite. Energies are summed in float64.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from tinyse.audio import DEFAULT_RATE, resampled
from tinyse.config import did_you_mean
from tinyse.errors import InputError, needs

WIDE_BAND_RATE = 16000
"""The highest that PESQ is defined for."""


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, "SDR - half-baked or well done?").

    The reference is scaled to the estimate by least squares; what is left is distortion. As in the paper's equations no
    mean is removed: an offset in the output is a distortion. nan for a silent reference, -inf for a silent estimate,
    +inf for an exact multiple of the reference.
    """
    reference, estimate = _pair(reference, estimate)
    energy = reference @ reference
    if energy == 0:
        return float("nan")
    target = (reference @ estimate) / energy * reference
    return _decibels(target @ target, _energy(estimate - target))


def sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Plain signal-to-distortion ratio in dB, |s|^2 / |s - e|^2: a wrong level counts as distortion here.

    nan for a silent reference, 0 for a silent estimate, +inf for an exact copy.
    """
    reference, estimate = _pair(reference, estimate)
    energy = reference @ reference
    return _decibels(energy, _energy(reference - estimate)) if energy else float("nan")


def level_change_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Level at which the estimate carries the reference, in dB: 20 log10 of <e, s> / <s, s>.

    Noise that is left does not count, as it does not project onto the speech: -3 dB says that the speech itself has
    become 3 dB quieter. nan for a silent reference, and where the estimate does not resemble the reference at all
    (no positive projection).
    """
    reference, estimate = _pair(reference, estimate)
    energy, projection = reference @ reference, reference @ estimate
    return float(20 * np.log10(projection / energy)) if energy > 0 and projection > 0 else float("nan")


def segmental_snr(reference: np.ndarray, estimate: np.ndarray, sample_rate: int = DEFAULT_RATE) -> float:
    """Mean over segments of 32 ms of their SNR in dB, each limited to -10 .. 35 (Hansen and Pellom 1998).

    Loud passages cannot hide what happens in soft ones. Segments in which the reference is silent are left out, an
    unfinished one at the end too; nan if none is left.
    """
    reference, estimate = _pair(reference, estimate)
    segment = round(0.032 * sample_rate)
    whole = len(reference) // segment * segment
    clean = reference[:whole].reshape(-1, segment)
    energies = (clean**2).sum(1)
    errors = ((clean - estimate[:whole].reshape(-1, segment)) ** 2).sum(1)
    has_speech = energies > 0
    if not has_speech.any():
        return float("nan")
    with np.errstate(divide="ignore"):  # a segment without any error counts as 35 dB
        ratios_db = 10 * (np.log10(energies[has_speech]) - np.log10(errors[has_speech]))
    return float(np.clip(ratios_db, -10, 35).mean())


def attenuation_db(before: np.ndarray, after: np.ndarray) -> float:
    """By how many dB the energy went down from `before` to `after`; nan where `before` is silent, +inf to silence."""
    before, after = _pair(before, after)
    energy = before @ before
    return _decibels(energy, after @ after) if energy else float("nan")


def pesq(reference: np.ndarray, estimate: np.ndarray, sample_rate: int = DEFAULT_RATE) -> float:
    """Wide-band PESQ (ITU-T P.862.2), MOS-LQO from 1.04 to 4.64; narrow-band (P.862) at 8 kHz.

    nan where it finds no utterance in the reference, and for clips shorter than its quarter of a second."""
    with needs("metrics", "pesq"):
        import pesq as package
    reference, estimate, rate = _up_to_wide_band(*_pair(reference, estimate), sample_rate)
    if not (reference.any() and estimate.any()):
        return float("nan")
    try:
        return float(package.pesq(rate, reference, estimate, "wb" if rate == WIDE_BAND_RATE else "nb"))
    except (package.NoUtterancesError, package.BufferTooShortError):
        return float("nan")


def stoi(reference: np.ndarray, estimate: np.ndarray, sample_rate: int = DEFAULT_RATE) -> float:
    """Short-time objective intelligibility (Taal et al. 2011), up to 1. nan below 30 frames (384 ms) of speech."""
    return _stoi(reference, estimate, sample_rate, extended=False)


def estoi(reference: np.ndarray, estimate: np.ndarray, sample_rate: int = DEFAULT_RATE) -> float:
    """Extended STOI (Jensen and Taal 2016), up to 1, also right for noises that come and go. nan as in `stoi`."""
    return _stoi(reference, estimate, sample_rate, extended=True)


METRICS: dict[str, Callable[..., float]] = {
    "si_sdr": si_sdr,
    "sdr": sdr,
    "pesq": pesq,
    "stoi": stoi,
    "estoi": estoi,
    "segmental_snr": segmental_snr,
    "level_change_db": level_change_db,
}
"""Every intrusive measure by its name on the command line, in the order of columns in every table. Higher is better in all
but the last."""
RATED = frozenset({"pesq", "stoi", "estoi", "segmental_snr"})
"""Those that take the sample rate as a third argument."""


LEAST = {"si_sdr": -20.0, "pesq": 1.0, "stoi": 0.0, "estoi": 0.0, "level_change_db": -60.0}
"""What silence counts as in tables, and everything below it: otherwise muting a hard file would leave it out of the mean,
or be better than to try. SDR has its own answer to silence: 0 dB."""
MOST_DB = 100.0
"""What a perfect copy, and noise that is gone entirely, count as: more than 16 bits can tell apart."""


def bounded(name: str, value: float, defined: bool) -> float:
    """A measure as tables count it: within the limits above; nan where it is not `defined` for the pair, whatever was
    made of it, so that all backends are measured on the same files."""
    if not defined:
        return math.nan
    least = LEAST.get(name, -MOST_DB)
    return least if math.isnan(value) else min(max(value, least), MOST_DB)


def measure(
    reference: np.ndarray, estimate: np.ndarray, names: Sequence[str], sample_rate: int = DEFAULT_RATE
) -> dict[str, float]:
    """The named measures of one estimate, in the order of METRICS.

    Raises InputError for an unknown name, unequal lengths or a missing package.
    """
    for name in names:
        if name not in METRICS:
            raise InputError(f"unknown metric {name!r}{did_you_mean(name, METRICS)}")
    rate = {name: (sample_rate,) if name in RATED else () for name in names}
    return {name: METRICS[name](reference, estimate, *rate[name]) for name in METRICS if name in rate}


def _stoi(reference: np.ndarray, estimate: np.ndarray, sample_rate: int, extended: bool) -> float:
    with needs("metrics", "pystoi"):
        import pystoi
    reference, estimate, rate = _up_to_wide_band(*_pair(reference, estimate), sample_rate)
    if not (reference.any() and estimate.any()):
        return float("nan")
    with warnings.catch_warnings():
        # pystoi warns and returns 1e-5 where too little is left once silent frames are gone: no score, not a bad one.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(pystoi.stoi(reference, estimate, rate, extended=extended))
        except (RuntimeWarning, ValueError, IndexError):
            return float("nan")


def _up_to_wide_band(
    reference: np.ndarray, estimate: np.ndarray, sample_rate: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Both sounds and their rate, or copies at 16 kHz where it is higher."""
    rate = min(sample_rate, WIDE_BAND_RATE)
    return resampled(reference, sample_rate, rate), resampled(estimate, sample_rate, rate), rate


def _pair(reference: np.ndarray, estimate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64; refuses what is not a pair of equally long sounds of finite samples."""
    reference, estimate = np.asarray(reference, np.float64), np.asarray(estimate, np.float64)
    if reference.shape != estimate.shape or reference.ndim != 1:
        raise InputError(f"reference {reference.shape} and estimate {estimate.shape} must be two equally long sounds")
    if not (np.isfinite(reference).all() and np.isfinite(estimate).all()):
        raise InputError("a sound to be measured has samples that are not finite")
    return reference, estimate


def _energy(samples: np.ndarray) -> float:
    return float(samples @ samples)


def _decibels(signal: float, distortion: float) -> float:
    """10 log10 of a ratio of energies, with its limits: -inf for no signal, +inf for no distortion."""
    if signal == 0:
        return float("-inf")
    return float(10 * np.log10(signal / distortion)) if distortion > 0 else float("inf")
