"""The denoising task: what a batch of noisy and clean clips becomes on the way to the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tinyse.mixtures import Mixer, MixtureConfig, MixtureDataset, open_mixer, valid_mixtures
from tinyse.models.front_end import TorchFrontEnd
from tinyse.models.network import MaskNetwork
from tinyse.models.quantised import QuantisedNetwork
from tinyse.quantization.trained import TrainedGrids
from tinyse.recordings import Manifest, content, open_data
from tinyse.training.losses import Estimate, supervised
from tinyse.training.task import Batch

if TYPE_CHECKING:
    from tinyse.training.recipe import Recipe, Stage


class Enhancement:
    """Batches are noisy, clean and external teachers' sound (batch, samples); the output is the mask (batch, frames, bands)."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.manifest = open_data(recipe.data_paths)
        self.front_end = TorchFrontEnd(recipe.front_end)
        self.notices: tuple[str, ...] = ()
        self._content: list[str] | None = None

    def record(self) -> list[dict[str, Any]]:
        return self.manifest.summary()

    def open(self, stage: Stage) -> dict[str, str]:
        self.mixer = training_mixer(self.recipe, stage, self.manifest)
        if self._content is None:
            self._content = content.check_splits(self.manifest, True if self.recipe.ship else None)
        self.notices = (*self.mixer.notices, *self._content)
        valid = open_mixer(self.manifest, MixtureConfig().plain(), stage.seconds, 0, "valid")
        return {"data_hash": self.mixer.data_hash, "valid_hash": valid.data_hash}

    def examples(self, epoch: int, length: int) -> MixtureDataset:
        return MixtureDataset(self.mixer, epoch, length)

    def valid(self, stage: Stage) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(m.noisy, m.clean) for m in valid_mixtures(self.manifest, self.recipe.valid_clips, stage.seconds)]

    def network(self, stage: Stage, grids: TrainedGrids | None) -> MaskNetwork:
        bands = self.recipe.front_end.bands
        if grids is None:
            return MaskNetwork(stage.architecture, bands)
        return QuantisedNetwork(stage.architecture, bands, grids)

    def to(self, device: Any) -> None:
        self.front_end.to(device)

    def run(self, network: nn.Module, batch: Batch) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        spectra, mask = masks(network, self.front_end, batch[0])
        return mask, (spectra, mask)

    def answer(self, made: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
        """The denoised sound (batch, samples). Its last window, which later frames would complete, is the clean one."""
        spectra, mask = made
        sound = self.front_end.synthesise(spectra * self.front_end.gains(mask))
        return torch.cat([sound, batch[1][:, sound.shape[1] :]], dim=1)

    def output_for(self, sound: Tensor, batch: Batch) -> Tensor:
        return self.front_end.mask(self.front_end.analyse(batch[0]), self.front_end.analyse(sound))

    def supervised(self, made: tuple[Tensor, Tensor], batch: Batch, weights: Mapping[str, float]) -> Tensor:
        return supervised(estimate(self.front_end, *made, batch[0], batch[1]), weights)

    def scores(self, made: Sequence[tuple[Tensor, Tensor]], batches: Sequence[Batch]) -> dict[str, float]:
        pairs = [
            improvement_db(estimate(self.front_end, *each, noisy, clean), noisy)
            for each, (noisy, clean, *_) in zip(made, batches, strict=True)
        ]
        gains, ratios = zip(*pairs, strict=True)
        return {"si_sdr_gain_db": float(torch.cat(gains).mean()), "sdr_db": float(torch.cat(ratios).mean())}


def training_mixer(
    recipe: Recipe, stage: Stage, manifest: Manifest, seconds: float | None = None, seed: int | None = None
) -> Mixer:
    """What mixes the training clips of a stage; of another length or seed where given."""
    return open_mixer(
        manifest,
        recipe.mixture_of(stage),
        stage.seconds if seconds is None else seconds,
        recipe.seed if seed is None else seed,
        "train",
        recipe.ship or None,
    )


def masks(network: nn.Module, front_end: TorchFrontEnd, noisy: Tensor) -> tuple[Tensor, Tensor]:
    """Noisy clips (batch, samples) to spectra (batch, frames, bins) and masks (batch, frames, bands), from silence."""
    spectra = front_end.analyse(noisy)
    bare: Any = getattr(network, "module", network)
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
