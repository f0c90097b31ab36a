"""Voice activity: whether anyone speaks, a probability for every frame, learned from the clean side of mixtures.

It shares data and encoder with the denoiser, so a product can run it beside one; firmware asks `tinyse_latest` after each hop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tinyse.errors import InputError, needs
from tinyse.evaluation.backends import rate_of
from tinyse.evaluation.pairs import Pair, find_pairs
from tinyse.evaluation.report import Table, as_markdown
from tinyse.evaluation.tag_backends import float_probabilities, quantized_probabilities
from tinyse.files import write_json, write_text
from tinyse.models.front_end import TorchFrontEnd
from tinyse.models.making import Networks
from tinyse.recipe import Recipe
from tinyse.spectra.front_end import FrontEndConfig
from tinyse.tasks.losses import PROBABILITY_LOSSES, weighted_sum
from tinyse.tasks.mixtures import MixtureTask
from tinyse.tasks.stage_networks import networks_of
from tinyse.tasks.task import Batch, Plan, Say, Scored, results_of

CLASSES = ("speech",)
ACTIVE_DB = 30.0
"""Speech is present in a frame whose clean side is within this many dB of the clip's loudest frame."""
SILENCE = 1e-6
"""Power of a frame's spectrum, summed over its bins, below which there is no speech however loud the rest is."""


class Activity(MixtureTask):
    """The truth is the clean sound (batch, samples); the output is the probability of speech (batch, frames)."""

    name = "activity"
    losses = PROBABILITY_LOSSES
    example_classes = CLASSES
    usage = "tinyse tag talk.wav --every 0.1 --model {model}"

    @classmethod
    def check(cls, recipe: Recipe) -> None:
        super().check(recipe)
        for name, stage in recipe.stages.items():
            if stage.distillation and (stage.distillation.target or stage.external_teachers):
                raise InputError(
                    f"stages.{name}.distillation: sound says nothing of probabilities; use views or output"
                )

    @classmethod
    def classes_of(cls, recipe: Recipe) -> tuple[str, ...]:
        return CLASSES

    @classmethod
    def score(cls, recipe: Recipe, plan: Plan, model: Path, quantized: Path, say: Say, processes: int) -> Scored:
        if plan.pairs is None:
            return Scored()
        pairs = find_pairs(plan.pairs, plan.limit)
        say(f"scoring {len(pairs)} pairs in {plan.pairs}")
        backends = {"float": model, recipe.export.precision: quantized}
        tables, facts = cls.score_pairs(backends, pairs, networks_of(recipe))
        report = model.parent / "scores.md"
        write_json(model.parent / "scores.json", facts)
        write_text(report, as_markdown(tables))
        return Scored(tables, report)

    @classmethod
    def score_pairs(
        cls, backends: Mapping[str, Path], pairs: Sequence[Pair], networks: Networks = ()
    ) -> tuple[list[Table], dict[str, Any]]:
        """Areas under ROC curves over all frames, in all and by input SNR, and what a threshold of one half finds."""
        with needs("metrics", "scikit-learn"):
            from sklearn.metrics import roc_auc_score
        probabilities: dict[str, list[np.ndarray]] = {backend: [] for backend in backends}
        truth, ratios = [], []
        for pair in pairs:
            for backend, path in backends.items():
                loaded = pair.load(rate_of(path))
                if path.suffix == ".tflite":
                    made, config = quantized_probabilities(path, [loaded.noisy])
                else:
                    made, config = float_probabilities(path, [loaded.noisy], networks)
                probabilities[backend].append(made[0, :, 0])
            frames = len(probabilities[backend][-1])
            truth.append(presence(config, loaded.clean)[:frames])
            ratios.append(np.full(frames, np.nan if pair.snr_db is None else round(pair.snr_db)))
        speech, snr = np.concatenate(truth), np.concatenate(ratios)
        if speech.all() or not speech.any():
            raise InputError("speech is in every frame of the pairs or in none: there is nothing to score")

        def area(p: np.ndarray, chosen: np.ndarray) -> float | None:
            y = speech[chosen]
            return float(roc_auc_score(y, p[chosen])) if y.any() and not y.all() else None

        everywhere, levels = np.ones(len(speech), bool), sorted(set(snr[~np.isnan(snr)].tolist()))
        facts: dict[str, Any] = {}
        for backend, parts in probabilities.items():
            p = np.concatenate(parts)
            facts[backend] = {
                "auc": area(p, everywhere),
                "speech_found": float((p[speech] >= 0.5).mean()),
                "false_alarms": float((p[~speech] >= 0.5).mean()),
                "auc_by_snr_db": {f"{level:g}": area(p, snr == level) for level in levels},
            }
        rows = [
            (backend, *(f"{f[key]:.3f}" for key in ("auc", "speech_found", "false_alarms")))
            for backend, f in facts.items()
        ]
        by_level = [
            (f"{level:g}", *(_shown(f["auc_by_snr_db"][f"{level:g}"]) for f in facts.values())) for level in levels
        ]
        note = f"{len(pairs)} pairs, {len(speech)} frames, {speech.mean():.0%} of them with speech."
        tables = [Table("Speech activity", ("backend", "AUC", "speech found", "false alarms"), tuple(rows), note)]
        if by_level:
            tables.append(Table("AUC by input SNR", ("dB", *facts), tuple(by_level)))
        return tables, facts

    def run(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        features = self.torch_front_end.features(self.torch_front_end.analyze(batch.sound))
        probabilities = results_of(network, features)[..., 0].float()
        return probabilities, probabilities

    def supervised(self, made: Tensor, batch: Batch, weights: Mapping[str, float], shares: Tensor) -> Tensor:
        return weighted_sum(self.losses, weights, made, self._labels(batch))

    def scores(self, made: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        with needs("train", "scikit-learn"):
            from sklearn.metrics import roc_auc_score
        labels = torch.cat([self._labels(batch).flatten() for batch in batches]).cpu().numpy()
        probabilities = torch.cat([part.flatten() for part in made]).float().cpu().numpy()
        return {"auc": float(roc_auc_score(labels, probabilities))} if 0 < labels.mean() < 1 else {}

    def _labels(self, batch: Batch) -> Tensor:
        return frames_with_speech(self.torch_front_end, batch.truth)


def frames_with_speech(front_end: TorchFrontEnd, clean: Tensor) -> Tensor:
    """Clean sound (batch, samples) to 0 or 1 for each frame that the network sees, (batch, frames) float32."""
    spectra = front_end.analyze(clean)
    powers = (spectra.real.square() + spectra.imag.square()).sum(-1)
    loudest = powers.amax(-1, keepdim=True)
    return ((powers >= loudest * 10 ** (-ACTIVE_DB / 10)) & (powers > SILENCE)).float()


def presence(config: FrontEndConfig, clean: np.ndarray) -> np.ndarray:
    """`frames_with_speech` of one clip (samples,), bool (frames,)."""
    return frames_with_speech(TorchFrontEnd(config), torch.from_numpy(clean)[None])[0].numpy() > 0.5


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
