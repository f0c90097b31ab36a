"""What a stage needs to know of its task: the data it draws, the network it trains, the losses it has.

All else of a stage (schedule, averages, checkpoints, distillation, records) is the same for every task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from torch import Tensor, nn

from tinyse.models.network import Encoder
from tinyse.quantization.trained import TrainedGrids

if TYPE_CHECKING:
    from tinyse.training.recipe import Recipe, Stage

Batch = tuple[Tensor, ...]
"""Sound (batch, samples), the truth about it (clean sound, or labels), and what each external teacher made of the sound."""


class Examples(Protocol):
    """One epoch by number: arrays that become the tensors of a `Batch`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]: ...


class Task(Protocol):
    """A recipe's data and what is made of it. A batch is passed back as it was drawn."""

    notices: tuple[str, ...]
    """About the recordings, for whoever looks."""

    def record(self) -> list[dict[str, Any]]:
        """What the data was, for recipe.json."""
        ...

    def open(self, stage: Stage) -> dict[str, str]:
        """Prepare the training clips of a stage; returns names of exactly what it learns from: `data_hash` of the training
        clips' sound, `valid_hash` of what it is validated on."""
        ...

    def examples(self, epoch: int, length: int) -> Examples:
        """An epoch of the opened stage."""
        ...

    def valid(self, stage: Stage) -> Sequence[tuple[np.ndarray, ...]]:
        """The fixed list on which the stage's losses are compared."""
        ...

    def network(self, stage: Stage, grids: TrainedGrids | None) -> Encoder:
        """An untrained network; `grids` are those of a stage that trains integers."""
        ...

    def to(self, device: Any) -> None:
        """Move what computes to a device."""
        ...

    def run(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Any]:
        """The output that output distillation compares, and what the other methods need of this run."""
        ...

    def answer(self, made: Any, batch: Batch) -> Tensor:
        """What a run says in place of the batch's truth: clean sound, or tags."""
        ...

    def output_for(self, sound: Tensor, batch: Batch) -> Tensor:
        """The output with which a network would have made this sound (batch, samples) of the batch's."""
        ...

    def supervised(self, made: Any, batch: Batch, weights: Mapping[str, float]) -> Tensor:
        """The weighted sum of the named losses."""
        ...

    def scores(self, made: Sequence[Any], batches: Sequence[Batch]) -> dict[str, float]:
        """What is told of the valid split beside the loss."""
        ...


def untrained(recipe: Recipe, stage: Stage) -> Encoder:
    """A stage's network without its data; a tagger's classes are those of the labels, which are read."""
    from tinyse.models.classifier import ClassifierNetwork
    from tinyse.models.network import MaskNetwork
    from tinyse.recordings.labelled import open_labelled

    if recipe.task == "tagging":
        classes = open_labelled(recipe.data_paths[0], recipe.tagging.level).classes
        return ClassifierNetwork(stage.architecture, recipe.front_end.bands, classes)
    return MaskNetwork(stage.architecture, recipe.front_end.bands)
