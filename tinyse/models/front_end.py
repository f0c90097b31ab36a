"""The front end in torch, for training: batches of clips, gradients through mask and synthesis.

`tinyse.spectra` is the specification; this follows it to float rounding (tested), with the library's transform.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinyse.spectra import front_end as reference

SILENT_POWER = 1e-10
"""Power of a band that is not sound any more: below 1 / 100 of 16-bit rounding noise."""


class TorchFrontEnd(nn.Module):
    """Clips (batch, samples) <-> spectra (batch, frames, bins) complex64, features and gains (batch, frames, bands)."""

    window: Tensor
    synthesis_window: Tensor
    share: Tensor
    spread: Tensor

    def __init__(self, config: reference.FrontEndConfig) -> None:
        super().__init__()
        self.config = config
        self.tables = reference.FrontEnd(config)
        bands = self.tables.bands
        share = np.zeros((config.bins, config.bands), np.float32)
        for band in range(config.bands):
            taps = bands.taps[band][: config.bins - bands.first[band]]
            share[bands.first[band] : bands.first[band] + len(taps), band] = taps
        spread = np.zeros((config.bands, config.bins), np.float32)
        np.add.at(spread, (bands.lower, np.arange(config.bins)), bands.weight)
        upper = np.minimum(bands.lower + 1, config.bands - 1)
        np.add.at(spread, (upper, np.arange(config.bins)), 1 - bands.weight)
        for name, table in (("window", self.tables.window), ("synthesis_window", self.tables.synthesis_window),
                            ("share", share), ("spread", spread)):  # fmt: skip
            self.register_buffer(name, torch.from_numpy(table), persistent=False)

    def analyze(self, samples: Tensor) -> Tensor:
        """(batch, samples) from silence -> (batch, frames, bins): frames end with each whole hop; the rest is dropped."""
        frames = functional.pad(samples, (self.config.past, 0)).unfold(1, self.config.window, self.config.hop)
        return torch.fft.rfft(frames * self.window, n=self.config.transform_size)

    @torch.no_grad()
    def features(self, spectra: Tensor) -> Tensor:
        """(batch, frames, bins) -> (batch, frames, bands) in [-1, 1), from the level of silence."""
        powers = spectra.real.square() + spectra.imag.square()
        with torch.autocast(spectra.device.type, enabled=False):  # bf16 would round levels to 0.4 dB and more
            logs = torch.log2(powers @ self.share + float(reference.POWER_FLOOR))
        features = (logs - self._levels(logs.mean(2))[:, :, None]) * float(self.tables.feature_scale)
        return features.clamp(-1, 127 / 128)

    def _levels(self, means: Tensor) -> Tensor:
        """The running level (batch, frames) of what each frame has on average."""
        # Hundreds of steps of a few numbers each: numpy has less to do for each, and a GPU would wait for every one.
        frames = means.cpu().numpy().T
        is_audible, raised = frames > reference.SILENCE, frames - reference.JUMP
        levels = np.empty_like(frames)
        level, rate = np.full_like(frames[0], np.log2(reference.POWER_FLOOR)), np.ones_like(frames[0])
        for t, mean in enumerate(frames):
            level = np.where(is_audible[t], np.maximum(level + rate * (mean - level), raised[t]), level)
            rate = np.where(is_audible[t], np.maximum(rate / (1 + rate), self.tables.slowest_rate), rate)
            levels[t] = level
        return torch.from_numpy(levels.T).to(means.device)

    def gains(self, mask: Tensor) -> Tensor:
        """(batch, frames, bands) -> (batch, frames, bins)."""
        with torch.autocast(mask.device.type, enabled=False):
            return mask.float() @ self.spread

    @torch.no_grad()
    def mask(self, spectra: Tensor, wanted: Tensor) -> Tensor:
        """Both (batch, frames, bins) -> (batch, frames, bands) in [0, 1]: the gains that bring `spectra` nearest `wanted`.

        Least squares over the bins of each band, as features weigh them: sum Re(W Y*) / sum |Y|^2. That is the ideal
        phase-sensitive mask where a band is one bin. Digital silence gives 0.
        """
        with torch.autocast(spectra.device.type, enabled=False):
            shared = (wanted * spectra.conj()).real @ self.share
            powers = (spectra.real.square() + spectra.imag.square()) @ self.share
            return (shared / powers.clamp_min(SILENT_POWER)).clamp(0, 1)

    def synthesize(self, spectra: Tensor) -> Tensor:
        """(batch, frames, bins) -> (batch, frames * hop - overlap): what is complete, aligned with the analyzed clip."""
        config = self.config
        newest = slice(config.window - config.synthesis, config.window)
        frames = torch.fft.irfft(spectra, n=config.transform_size)[..., newest] * self.synthesis_window
        batch, count, length = frames.shape
        parts = -(-length // config.hop)  # hops that a frame lasts
        pieces = functional.pad(frames, (0, parts * config.hop - length)).view(batch, count, parts, config.hop)
        hops = [functional.pad(pieces[:, :, part], (0, 0, part, parts - 1 - part)) for part in range(parts)]
        stream = torch.stack(hops).sum(0).view(batch, -1)
        return stream[:, config.overlap : count * config.hop]
