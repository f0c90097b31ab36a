"""The tagging task: what clips with labels become on the way to the losses."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tinyse.errors import InputError
from tinyse.evaluation.tags import TagScores
from tinyse.mixtures.labelled import LabelledDataset, LabelledMixer
from tinyse.models.classifier import ClassifierNetwork, pooled
from tinyse.models.front_end import TorchFrontEnd
from tinyse.quantization.trained import TrainedGrids
from tinyse.recordings.labelled import open_labelled
from tinyse.training.losses import TAGGING_LOSSES
from tinyse.training.task import Batch

if TYPE_CHECKING:
    from tinyse.training.recipe import Recipe, Stage


class Tagging:
    """Batches are sound (batch, samples) and labels (batch, classes); the output is the clips' tags (batch, classes)."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.data = open_labelled(recipe.data_paths[0], recipe.tagging.level)
        self.store = self.data.open()
        self.notices = self.store.notices
        self.front_end = TorchFrontEnd(recipe.front_end)

    def record(self) -> list[dict[str, Any]]:
        counts = Counter((clip.fold, label) for clip in self.data.clips for label in clip.labels)
        return [
            {"fold": fold, "clips": len(self.data.members([fold])),
             "labels": {label: counts[fold, label] for label in self.data.classes}}
            for fold in self.data.folds
        ]  # fmt: skip

    def mixer(self, folds: Sequence[str], seconds: float, seed: int) -> LabelledMixer:
        """Mixtures of these folds."""
        return LabelledMixer(
            self.data, self.store, self.data.members(folds), self.recipe.tagging.mixture, seconds, seed
        )

    def open(self, stage: Stage) -> dict[str, str]:
        self.training = self.mixer(self.recipe.tagging.train, stage.seconds, self.recipe.seed)
        # The sound of all folds has one name; labels and folds are named beside it.
        labels = [f"{clip.path.name}\0{clip.fold}\0{','.join(sorted(clip.labels))}\n" for clip in self.data.clips]
        valid_hash = hashlib.sha256("".join(labels).encode()).hexdigest()[:16]
        return {"data_hash": self.training.data_hash, "valid_hash": valid_hash}

    def examples(self, epoch: int, length: int) -> LabelledDataset:
        return LabelledDataset(self.training, epoch, length)

    def valid(self, stage: Stage) -> list[tuple[np.ndarray, ...]]:
        # Its own seed: the same clips whatever the run's.
        mixer = self.mixer(self.recipe.tagging.valid, stage.seconds, 0)
        return [mixer(0, index) for index in range(self.recipe.valid_clips)]

    def network(self, stage: Stage, grids: TrainedGrids | None) -> ClassifierNetwork:
        return ClassifierNetwork(stage.architecture, self.recipe.front_end.bands, self.data.classes)

    def to(self, device: Any) -> None:
        self.front_end.to(device)

    def run(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        bare: Any = getattr(network, "module", network)
        features = self.front_end.features(self.front_end.analyse(batch[0]))
        probabilities, _ = network(features, bare.initial_state(len(features)))
        tags = pooled(probabilities)
        return tags, tags

    def answer(self, made: Tensor, batch: Batch) -> Tensor:
        return made

    def output_for(self, sound: Tensor, batch: Batch) -> Tensor:
        raise InputError("sound says nothing of tags: a tagger learns from taggers")

    def supervised(self, made: Tensor, batch: Batch, weights: Mapping[str, float]) -> Tensor:
        return torch.stack([weight * TAGGING_LOSSES[name](made, batch[1]) for name, weight in weights.items()]).sum()

    def scores(self, made: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        tags = torch.cat(list(made)).float().cpu().numpy()
        labels = torch.cat([batch[1] for batch in batches]).cpu().numpy()
        scores = TagScores.of(tags, labels, self.data.classes)
        return {"micro_auprc": scores.micro_auprc, "mean_average_precision": scores.mean_average_precision}
