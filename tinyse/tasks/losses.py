"""Supervised losses between what was estimated and what was clean, each a mean over the batch.

All see sound whose level was normalized by the noisy clip, so that quiet and loud clips count alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tinyse.tasks.intelligibility import intelligibility as estoi
from tinyse.tasks.perceptual import distance

EPSILON = 1e-8
EXPONENT = 0.3
"""Compression of magnitudes, c of CRUSE (arXiv 2101.09249)."""


@dataclass(frozen=True)
class Estimate:
    """What the losses compare; spectra are complex (batch, frames, bins), samples are (batch, samples)."""

    spectra: Tensor
    clean_spectra: Tensor
    noisy_spectra: Tensor
    gains: Tensor
    """(batch, frames, bins), the estimated real mask."""
    samples: Tensor
    clean_samples: Tensor
    resynthesized_spectra: Tensor
    """Spectra of `samples`: what a listener's analysis would see (CRUSE's consistency)."""
    resynthesized_clean: Tensor
    """Spectra of `clean_samples`, in the same way."""
    shares: Tensor
    """(batch,), what each clip counts in a mean over clips with speech: the same for all of these, 0 without speech."""
    sample_rate: int

    @cached_property
    def compressed(self) -> tuple[Tensor, Tensor]:
        """|S'|^c of the estimate and of the clean sound, re-analyzed; (|S'|^2 + eps)^(c/2), whose gradient is finite."""
        made, clean = (power(s) + EPSILON for s in (self.resynthesized_spectra, self.resynthesized_clean))
        return made.pow(EXPONENT / 2), clean.pow(EXPONENT / 2)


def phase_sensitive(estimate: Estimate) -> Tensor:
    """Phase-sensitive spectrum approximation: (gain |Y| - |S| cos(phi_S - phi_Y))^2, with the target in [0, |Y|].

    Erdogan et al. 2015; the supervised loss of arXiv 2309.08144.
    """
    magnitude = (power(estimate.noisy_spectra) + EPSILON).sqrt()
    aligned = (estimate.clean_spectra * estimate.noisy_spectra.conj()).real / magnitude
    target = torch.minimum(aligned.clamp_min(0), magnitude)
    return (estimate.gains * magnitude - target).square().mean()


def compressed_spectral(estimate: Estimate, complex_share: float = 0.3) -> Tensor:
    """(1 - l) | |S|^c - |S'|^c |^2 + l | |S|^c e^(j phi_S) - |S'|^c e^(j phi_S') |^2 on the re-analyzed sound.

    Equation 4 of CRUSE (arXiv 2101.09249) with c = l = 0.3.
    """
    made, clean = estimate.compressed
    magnitude = (made - clean).square().mean()
    # |S|^c e^(j phi) = S |S|^c / |S|
    spectra = (estimate.resynthesized_spectra, estimate.resynthesized_clean)
    with_phase = [s * (c * (power(s) + EPSILON).rsqrt()) for s, c in zip(spectra, estimate.compressed, strict=True)]
    difference = with_phase[0] - with_phase[1]
    return (1 - complex_share) * magnitude + complex_share * power(difference).mean()


def lost_speech(estimate: Estimate) -> Tensor:
    """max(0, |S|^c - |S'|^c)^2 on the re-analyzed sound: only what is missing of the speech, not noise that is left.

    The asymmetric term of Wang et al. 2020 (VoiceFilter-Lite, arXiv 2009.04323). Squared errors alone shrink what is
    uncertain, so speech in loud noise comes out too quiet.
    """
    made, clean = estimate.compressed
    return (clean - made).clamp_min(0).square().mean()


def signal_to_noise(estimate: Estimate, floor: float = 1e-3) -> Tensor:
    """Negative signal-to-noise ratio in units of 10 dB, with its level; clips without speech do not count.

    The plain ratio |s|^2 / |s - s'|^2 keeps the speech's level, which the scale-free one does not. `floor` is added to
    the error's share, so that clips that are good already (30 dB) stop pulling.
    """
    speech = estimate.clean_samples.square().sum(1)
    error = (estimate.clean_samples - estimate.samples).square().sum(1)
    return (torch.log10(error / (speech + EPSILON) + floor) * estimate.shares).sum()


def si_sdr(estimate: Estimate, floor: float = 1e-3) -> Tensor:
    """Negative scale-invariant ratio in units of 10 dB (Le Roux et al. 2019). It lets the speech shrink.

    Not `evaluation.metrics.si_sdr`: a loss needs torch's gradient, and a floor below which a clip stops pulling.
    """
    clean, samples = estimate.clean_samples, estimate.samples
    speech = clean.square().sum(1, keepdim=True)
    scaled = (samples * clean).sum(1, keepdim=True) / (speech + EPSILON) * clean
    error = (scaled - samples).square().sum(1) / (scaled.square().sum(1) + EPSILON)
    return (torch.log10(error + floor) * estimate.shares).sum()


def perceptual(estimate: Estimate) -> Tensor:
    """ITU-T P.862.2 (wideband PESQ) as a loss: 4.5 less its raw score, see `tasks/perceptual.py`. At 16 kHz only.

    It ignores the level, so combine it with a loss that does not. Clips without speech do not count.
    """
    return (distance(estimate.clean_samples, estimate.samples) * estimate.shares).sum()


def intelligibility(estimate: Estimate) -> Tensor:
    """1 - ESTOI (Jensen and Taal 2016), see `tasks/intelligibility.py`. Clips without speech do not count."""
    return ((1 - estoi(estimate.clean_samples, estimate.samples, estimate.sample_rate)) * estimate.shares).sum()


def power(spectra: Tensor) -> Tensor:
    """|S|^2 without the square root, whose gradient is infinite at zero."""
    return spectra.real.square() + spectra.imag.square()


def equal_shares(counted: Tensor) -> Tensor:
    """(batch,) 1 or 0 -> what each clip counts in a mean over those that are 1; zeros where none is."""
    return counted / counted.sum().clamp_min(1)


LOSSES: dict[str, Callable[[Estimate], Tensor]] = {
    "phase_sensitive": phase_sensitive,
    "compressed_spectral": compressed_spectral,
    "lost_speech": lost_speech,
    "signal_to_noise": signal_to_noise,
    "si_sdr": si_sdr,
    "perceptual": perceptual,
    "intelligibility": intelligibility,
}


def binary_cross_entropy(probabilities: Tensor, labels: Tensor) -> Tensor:
    """-(y log p + (1 - y) log(1 - p)) mean over all: every probability answers a question of its own."""
    with torch.autocast(probabilities.device.type, enabled=False):
        return functional.binary_cross_entropy(probabilities.float(), labels)


PROBABILITY_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"binary_cross_entropy": binary_cross_entropy}
"""Losses of probabilities, as `LOSSES` are those of sound."""


def weighted_sum(losses: Mapping[str, Callable[..., Tensor]], weights: Mapping[str, float], *compared: Any) -> Tensor:
    """The weighted sum of the named losses of what is compared: an `Estimate`, or probabilities and labels.

    A loss of weight 0 is not computed. At least one weight is more.
    """
    return torch.stack([weight * losses[name](*compared) for name, weight in weights.items() if weight]).sum()
