"""The denoising task: what a batch of noisy and clean clips becomes on the way to the losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tinyse.models.front_end import TorchFrontEnd
from tinyse.training.losses import Estimate


def masks(network: nn.Module, front_end: TorchFrontEnd, noisy: Tensor) -> tuple[Tensor, Tensor]:
    """Noisy clips (batch, samples) to spectra (batch, frames, bins) and masks (batch, frames, bands), from silence."""
    spectra = front_end.analyse(noisy)
    bare: nn.Module = getattr(network, "module", network)
    mask, _ = network(front_end.features(spectra), bare.initial_state(len(noisy)))
    return spectra, mask.float()


def estimate(front_end: TorchFrontEnd, spectra: Tensor, mask: Tensor, noisy: Tensor, clean: Tensor) -> Estimate:
    """Apply masks, synthesise and re-analyse, with each clip divided by its noisy root mean square."""
    scale = noisy.square().mean(1, keepdim=True).clamp_min(1e-10).rsqrt()
    spectra, clean = spectra * scale[..., None], clean * scale
    gains = front_end.gains(mask)
    estimated = spectra * gains
    samples = front_end.synthesise(estimated)
    clean_samples = clean[:, : samples.shape[1]]
    resynthesised_clean = front_end.analyse(clean_samples)
    return Estimate(
        spectra=estimated,
        clean_spectra=front_end.analyse(clean),
        noisy_spectra=spectra,
        gains=gains,
        samples=samples,
        clean_samples=clean_samples,
        resynthesised_spectra=front_end.analyse(samples),
        resynthesised_clean=resynthesised_clean,
    )


@torch.no_grad()
def improvement_db(result: Estimate, noisy: Tensor) -> tuple[Tensor, Tensor]:
    """Per clip with speech: gain in SI-SDR over noisy, and SDR (the plain ratio), both in dB."""
    clean, samples = result.clean_samples, result.samples
    scale = noisy.square().mean(1, keepdim=True).clamp_min(1e-10).rsqrt()
    noisy = (noisy * scale)[:, : clean.shape[1]]
    heard = clean.square().mean(1) > 1e-3
    clean, samples, noisy = clean[heard], samples[heard], noisy[heard]

    def si_sdr(x: Tensor) -> Tensor:
        projection = (x * clean).sum(1, keepdim=True) / clean.square().sum(1, keepdim=True) * clean
        return 10 * torch.log10(projection.square().sum(1) / ((x - projection).square().sum(1) + 1e-10) + 1e-10)

    sdr = 10 * torch.log10(clean.square().sum(1) / ((clean - samples).square().sum(1) + 1e-10))
    return si_sdr(samples) - si_sdr(noisy), sdr
