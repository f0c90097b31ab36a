"""Denoising: noisy sound to a mask, and the mask back to sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinyse import audio
from tinyse.distillation import external
from tinyse.documents import read_own_json
from tinyse.engines.tflite_engines import require_tflm
from tinyse.errors import InputError
from tinyse.evaluation.backends import BACKENDS, backends_for
from tinyse.evaluation.chain import FEW, NOISY, score
from tinyse.evaluation.metrics import bounded, measure, sdr, si_sdr
from tinyse.evaluation.pairs import Pair, digest_of, find_pairs
from tinyse.evaluation.report import as_json, as_markdown, summary_tables, tables
from tinyse.files import newer, write_json, write_text
from tinyse.models.architecture import ARCHITECTURES
from tinyse.models.front_end import TorchFrontEnd
from tinyse.progress import counted
from tinyse.recipe import Recipe
from tinyse.spectra.picture import draw_spectrograms, require_matplotlib
from tinyse.streaming.denoiser import Denoiser
from tinyse.tasks import perceptual
from tinyse.tasks.losses import LOSSES, Estimate, equal_shares, weighted_sum
from tinyse.tasks.mixtures import MixtureTask, usable
from tinyse.tasks.stage_networks import networks_of
from tinyse.tasks.task import Batch, Plan, Say, Scored, results_of


class Denoise(MixtureTask):
    """The truth is the clean sound (batch, samples); the output is the mask (batch, frames, bands)."""

    name = "denoise"
    losses = LOSSES
    models = ARCHITECTURES
    listens = False
    usage = "tinyse denoise noisy.wav clean.wav --model {model}"

    @classmethod
    def check(cls, recipe: Recipe) -> None:
        super().check(recipe)
        for name, stage in recipe.stages.items():
            if stage.losses.get("perceptual") and recipe.front_end.sample_rate != perceptual.SAMPLE_RATE:
                raise InputError(f"stages.{name}.losses.perceptual: it is defined at {perceptual.SAMPLE_RATE} Hz, the front "
                                 f"end takes {recipe.front_end.sample_rate} Hz")  # fmt: skip
            if stage.external_teachers and recipe.front_end.sample_rate != external.SAMPLE_RATE:
                raise InputError(f"stages.{name}.distillation.teacher: ONNX models take {external.SAMPLE_RATE} Hz, the "
                                 f"front end {recipe.front_end.sample_rate} Hz; name a tinyse model")  # fmt: skip

    @classmethod
    def plan(cls, recipe: Recipe) -> Plan:
        plan = super().plan(recipe)
        if plan.pairs is None:
            return plan
        require_matplotlib()
        notes, rate = list(plan.notes), recipe.front_end.sample_rate
        metrics = usable(plan.metrics, lambda name: measure(np.zeros(1), np.zeros(1), [name], rate), notes)
        backends = usable(plan.backends, lambda name: require_tflm() if name == "tflm" else None, notes)
        return replace(plan, metrics=metrics, backends=backends, notes=tuple(notes))

    @classmethod
    def score(cls, recipe: Recipe, plan: Plan, model: Path, quantized: Path, say: Say, processes: int) -> Scored:
        """Every backend on the planned pairs, and examples to listen to. Scores on the same pairs that are newer than the
        .tflite are not made again."""
        if plan.pairs is None:
            return Scored()
        scores = model.parent / "scores.json"
        report = scores.with_suffix(".md")
        pairs = find_pairs(plan.pairs, plan.limit)
        digest = digest_of(pairs)
        if newer(scores, quantized) and _has(read_own_json(scores), plan, digest):
            say(f"scored before: {scores}")
            return Scored(report=report)
        say(f"examples to listen to and see: {write_examples(quantized, pairs, Path(recipe.output) / 'examples')}")
        say(f"scoring {len(pairs)} pairs in {plan.pairs}")
        with counted("scoring", len(pairs)) as advance:
            backends = backends_for(model, names=plan.backends, networks=networks_of(recipe))
            rate = recipe.front_end.sample_rate
            processes = processes if len(pairs) > FEW else 1
            result = score(backends, pairs, plan.metrics, processes, progress=advance, sample_rate=rate)
        for notice in result.notices:
            say(f"note: {notice}")
        write_text(report, as_markdown(tables(result)))
        write_json(scores, as_json(result) | {"pairs_hash": digest})  # last: where it is, the report is
        return Scored(summary_tables(result), report)

    def run(self, network: nn.Module, batch: Batch) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        spectra, mask = masks(network, self.torch_front_end, batch.sound)
        return mask, (spectra, mask)

    def answer(self, made: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
        """The denoised sound (batch, samples). Its last window, which later frames would complete, is the clean one."""
        spectra, mask = made
        sound = self.torch_front_end.synthesize(spectra * self.torch_front_end.gains(mask))
        return torch.cat([sound, batch.truth[:, sound.shape[1] :]], dim=1)

    def output_for(self, sound: Tensor, batch: Batch) -> Tensor:
        return self.torch_front_end.mask(self.torch_front_end.analyze(batch.sound), self.torch_front_end.analyze(sound))

    def supervised(
        self,
        made: tuple[Tensor, Tensor],
        batch: Batch,
        weights: Mapping[str, float],
        shares: Tensor,
    ) -> Tensor:
        compared = estimate(self.torch_front_end, *made, batch.sound, batch.truth, shares)
        return weighted_sum(self.losses, weights, compared)

    def counted(self, batch: Batch) -> Tensor:
        """Clips with speech."""
        return with_speech(self.torch_front_end, batch.sound, batch.truth)

    def scores(self, made: Sequence[tuple[Tensor, Tensor]], batches: Sequence[Batch]) -> dict[str, float]:
        pairs = [
            improvement_db(estimate(self.torch_front_end, *each, batch.sound, batch.truth), batch.sound)
            for each, batch in zip(made, batches, strict=True)
        ]
        gains, ratios = (np.concatenate(values) for values in zip(*pairs, strict=True))
        return {"si_sdr_gain_db": float(gains.mean()), "sdr_db": float(ratios.mean())}


def _has(scores: Mapping[str, Any], plan: Plan, digest: str) -> bool:
    """Whether a file of scores has all that is planned. Those of older versions name no pairs."""
    rows: Mapping[str, Any] = scores["summary"]
    if not rows.keys() >= {BACKENDS[name] for name in plan.backends}:
        return False
    return rows[NOISY].keys() >= set(plan.metrics) and scores.get("pairs_hash", digest) == digest


def write_examples(model: Path, pairs: Sequence[Pair], folder: Path, count: int = 3) -> Path:
    """Noisy, denoised and clean wav of `count` pairs spread over the input SNRs, and a picture of them. Returns `folder`."""
    ordered = sorted(pairs, key=lambda pair: pair.snr_db if pair.snr_db is not None else 0.0)
    denoiser = Denoiser(model)
    rows = []
    for place in range(min(count, len(ordered))):
        pair = ordered[(2 * place + 1) * len(ordered) // (2 * min(count, len(ordered)))].load(denoiser.sample_rate)
        sounds = {"noisy": pair.noisy, "denoised": denoiser.denoise(pair.noisy), "clean": pair.clean}
        for side, sound in sounds.items():
            audio.write(folder / f"{pair.name}-{side}.wav", sound, denoiser.sample_rate)
        rows.append([(f"{pair.name} {side}, input SNR {pair.snr_db:.0f} dB", sound) for side, sound in sounds.items()])
    draw_spectrograms(rows, folder / "spectrograms.png", denoiser.sample_rate)
    return folder


def masks(network: nn.Module, front_end: TorchFrontEnd, noisy: Tensor) -> tuple[Tensor, Tensor]:
    """Noisy clips (batch, samples) to spectra (batch, frames, bins) and masks (batch, frames, bands), from silence.

    With `look_ahead`, the mask of a frame comes with the frame after it; after the last one comes silence, as in a stream
    that ends.
    """
    config = front_end.config
    spectra = front_end.analyze(functional.pad(noisy, (0, config.look_ahead * config.hop)))
    mask = results_of(network, front_end.features(spectra))
    return spectra[:, : spectra.shape[1] - config.look_ahead], mask[:, config.look_ahead :].float()


def estimate(
    front_end: TorchFrontEnd,
    spectra: Tensor,
    mask: Tensor,
    noisy: Tensor,
    clean: Tensor,
    shares: Tensor | None = None,
) -> Estimate:
    """Apply masks, synthesize and re-analyze, with each clip divided by its noisy root mean square.

    `shares` are those of clips with speech; by default each has the same.
    """
    if shares is None:
        shares = equal_shares(with_speech(front_end, noisy, clean))
    scale = level_scale(noisy)
    spectra, clean = spectra * scale[..., None], clean * scale
    gains = front_end.gains(mask)
    estimated = spectra * gains
    samples = front_end.synthesize(estimated)
    clean_samples = clean[:, : samples.shape[1]]
    clean_spectra, resynthesized = front_end.analyze(clean), front_end.analyze(samples)
    return Estimate(
        spectra=estimated,
        clean_spectra=clean_spectra,
        noisy_spectra=spectra,
        gains=gains,
        samples=samples,
        clean_samples=clean_samples,
        resynthesized_spectra=resynthesized,
        # A frame sees nothing later than itself: those of the shorter clip are the same.
        resynthesized_clean=clean_spectra[:, : resynthesized.shape[1]],
        shares=shares,
        sample_rate=front_end.config.sample_rate,
    )


def level_scale(noisy: Tensor) -> Tensor:
    """(batch, samples) -> (batch, 1): what brings each clip to a root mean square of 1."""
    return noisy.square().mean(1, keepdim=True).clamp_min(1e-10).rsqrt()


def with_speech(front_end: TorchFrontEnd, noisy: Tensor, clean: Tensor) -> Tensor:
    """(batch,) 1 where the clean side, as far as it is synthesized, is within 30 dB of the noisy one, else 0."""
    hop, overlap = front_end.config.hop, front_end.config.overlap
    heard = (clean * level_scale(noisy))[:, : clean.shape[1] // hop * hop - overlap]
    return (heard.square().mean(1) > 1e-3).float()


def improvement_db(result: Estimate, noisy: Tensor) -> tuple[list[float], list[float]]:
    """Per clip with speech: gain in SI-SDR over noisy, and SDR (the plain ratio), both in dB, as the evaluation counts them."""
    has_speech = result.clean_samples.square().mean(1) > 1e-3
    sides = (result.clean_samples, result.samples, noisy[:, : result.clean_samples.shape[1]])
    gains, ratios = [], []
    for clean, made, given in zip(*(side[has_speech].detach().cpu().double().numpy() for side in sides), strict=True):
        after, before = (bounded("si_sdr", si_sdr(clean, sound), True) for sound in (made, given))
        gains.append(after - before)
        ratios.append(bounded("sdr", sdr(clean, made), True))
    return gains, ratios
