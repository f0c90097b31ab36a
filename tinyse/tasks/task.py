"""What a task is: everything that differs between taking noise out, tagging, and whatever is learned next.

All else (schedule, averages, checkpoints, distillation, records, quantization, files, engines, firmware) is the same for
every task. A task is one module of this folder with one subclass of `Task`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tinyse.config import build, did_you_mean
from tinyse.errors import InputError
from tinyse.evaluation.backends import DEFAULT_BACKENDS
from tinyse.evaluation.chain import DEFAULT_METRICS
from tinyse.evaluation.pairs import Pair
from tinyse.evaluation.report import Table
from tinyse.models.architecture import Architecture
from tinyse.models.making import Networks, make
from tinyse.models.network import Network
from tinyse.recipe import Recipe, Stage
from tinyse.spectra.front_end import FrontEndConfig
from tinyse.tasks.stage_networks import network_of

Say = Callable[[str], None]


class Batch(NamedTuple):
    """Examples side by side, or one of them, as arrays, where they are made."""

    sound: Tensor
    """(batch, samples), the input of the network."""
    truth: Tensor
    """What is true of it: clean sound (batch, samples), or labels (batch, classes)."""
    teacher_sounds: tuple[Tensor, ...] = ()
    """What each external teacher made of the sound, (batch, samples) each."""

    def to(self, device: Any) -> Batch:
        """The batch on a device."""
        return Batch(self.sound.to(device), self.truth.to(device), tuple(s.to(device) for s in self.teacher_sounds))

    def parts(self, count: int) -> list[Batch]:
        """The batch in `count` equal ones."""
        sounds = [sound.chunk(count) for sound in self.teacher_sounds]
        sides = zip(self.sound.chunk(count), self.truth.chunk(count), strict=True)
        return [Batch(*part, tuple(sound[n] for sound in sounds)) for n, part in enumerate(sides)]


class Examples(Protocol):
    """One epoch by number: the sound and the truth of each example, as arrays."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]: ...


@dataclass(frozen=True)
class Plan:
    """What will follow training, and what of it cannot be done."""

    pairs: Path | None = None
    """The folder that is scored on; None for no scores, or scores on what the task keeps for them."""
    limit: int | None = None
    """Only the first pairs."""
    metrics: tuple[str, ...] = DEFAULT_METRICS
    backends: tuple[str, ...] = DEFAULT_BACKENDS
    notes: tuple[str, ...] = ()
    """For the user, before training: what is scored on, what is left out and how to get it."""


@dataclass(frozen=True)
class Scored:
    """What scoring a finished model came to."""

    tables: Sequence[Table] = ()
    """The scores in short; none where nothing was scored now."""
    report: Path | None = None
    """All scores, to read; None where there are none."""


def results_of(network: nn.Module, features: Tensor) -> Tensor:
    """What a network, as it is or set up by Fabric, makes of features (batch, frames, bands), from silence: (batch, frames,
    values)."""
    bare: Any = getattr(network, "module", network)
    results, _ = network(features, bare.initial_state(len(features)))
    return results


def _check_listening(name: str, stage: Stage) -> None:
    """Raise InputError, by key, for what only a network that makes sound has."""
    if stage.quantize:
        raise InputError(f"stages.{name}.quantize: quantization-aware training is for the task 'denoise' only")
    if stage.distillation and stage.distillation.patches:
        raise InputError(
            f"stages.{name}.distillation.patches: a network that listens gives no frames and bands to choose from"
        )
    for layer in stage.distillation.compared if stage.distillation else ():
        if layer.startswith("decoder"):
            raise InputError(f"stages.{name}.distillation.layers: there is no {layer!r} in a network that listens; name "
                             "blocks such as encoder_1 and gru")  # fmt: skip


class Task(ABC):
    """A recipe's data, opened, and what is made of it. A batch is passed back as it was drawn."""

    name: ClassVar[str]
    """What recipes and model files call it."""
    losses: ClassVar[Mapping[str, Callable[..., Tensor]]]
    """Supervised losses by name."""
    options: ClassVar[type | None] = None
    """The dataclass of the keys of its own, which stand under its name in a recipe; None for none."""
    models: ClassVar[Mapping[str, Architecture]] = {}
    """Named members of the family that it trains."""
    example_classes: ClassVar[tuple[str, ...]] = ()
    """What a network of a task that listens usually tells apart, to say what a named model costs."""
    front_end: ClassVar[FrontEndConfig] = FrontEndConfig()
    """What these are made for."""
    listens: ClassVar[bool] = True
    """Whether its output says what is heard. What makes sound may wait for a later frame, has a decoder, and is trained as it
    is quantized."""
    usage: ClassVar[str]
    """The command that uses a finished model, with {model} in it."""

    # What needs no data, or little of it.

    @classmethod
    def check(cls, recipe: Recipe) -> None:
        """Raise InputError, by key, for what a recipe says and the task does not do."""
        if cls.listens and recipe.front_end.look_ahead:
            raise InputError("front_end.look_ahead: a task that listens has no sound that could wait: leave it at 0")
        for name, stage in recipe.stages.items():
            if cls.listens:
                _check_listening(name, stage)
            for loss in stage.losses:
                if loss not in cls.losses:
                    raise InputError(
                        f"stages.{name}.losses: no supervised loss is named {loss!r}{did_you_mean(loss, cls.losses)}"
                    )
        cls.options_of(recipe)

    @classmethod
    def options_of(cls, recipe: Recipe) -> Any:
        """The recipe's keys of the task's own. Raises InputError for one that is unknown or does not fit."""
        if cls.options is None:
            if recipe.options:
                raise InputError(f"{cls.name}: the task has no keys of its own")
            return None
        return build(cls.options, recipe.options, cls.name)

    @classmethod
    def example_network(cls, architecture: Architecture, bands: int) -> Network:
        """A network with the usual number of results, to say what a named model costs."""
        return make(architecture, bands, cls.name, cls.example_classes)

    @classmethod
    def classes_of(cls, recipe: Recipe) -> tuple[str, ...]:
        """What a network of a task that listens tells apart; none for one that denoises."""
        return ()

    @classmethod
    def untrained(cls, recipe: Recipe, stage: Stage) -> Network:
        """A stage's network with random weights. Raises InputError, by key, for what it cannot be made with."""
        return network_of(recipe, stage, cls.name, cls.classes_of(recipe))

    @classmethod
    def for_dry_run(cls, recipe: Recipe) -> dict[str, Any]:
        """Fields of the recipe with as few clips as a dry run can do with."""
        return {"valid_clips": 2}

    @classmethod
    @abstractmethod
    def plan(cls, recipe: Recipe) -> Plan:
        """Look at everything that scoring will need. Raises InputError for what would fail after hours."""

    @classmethod
    @abstractmethod
    def calibration(cls, recipe: Recipe, clips: int) -> list[tuple[str, np.ndarray]]:
        """Names and sounds (samples,) that quantization replays, of the valid split."""

    @classmethod
    @abstractmethod
    def calibration_for(cls, header: Mapping[str, Any], data: str, clips: int) -> list[tuple[str, np.ndarray]]:
        """The same for a model file's header and what the user names as data."""

    @classmethod
    @abstractmethod
    def score(cls, recipe: Recipe, plan: Plan, model: Path, quantized: Path, say: Say, processes: int) -> Scored:
        """Score a finished model beside which its .tflite lies, and write the report there."""

    @classmethod
    def score_pairs(
        cls, backends: Mapping[str, Path], pairs: Sequence[Pair], networks: Networks = ()
    ) -> tuple[list[Table], dict[str, Any]]:
        """Tables and JSON of model files, by backend, on pairs of noisy and clean sound; `networks` may be in the files."""
        raise InputError(f"models of the task {cls.name!r} are not scored on pairs of noisy and clean sound")

    # What works on the data.

    notices: tuple[str, ...] = ()
    """About the recordings, for the user."""

    @abstractmethod
    def __init__(self, recipe: Recipe) -> None:
        """Open the recipe's data. Raises InputError where it cannot be used."""

    @abstractmethod
    def record(self) -> list[dict[str, Any]]:
        """What the data was, for recipe.json."""

    @abstractmethod
    def open(self, stage: Stage) -> dict[str, str]:
        """Prepare the training clips of a stage; returns names of exactly what it learns from: `data_hash` of the training
        clips' sound, `valid_hash` of what it is validated on."""

    def broken(self) -> list[str]:
        """The recordings that turned out broken in this run, as its record names them."""
        return []

    @abstractmethod
    def examples(self, epoch: int, length: int) -> Examples:
        """An epoch of the opened stage."""

    @abstractmethod
    def valid(self, stage: Stage) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """The fixed list on which the stage's losses are compared."""

    @abstractmethod
    def to(self, device: Any) -> None:
        """Move what computes to a device."""

    @abstractmethod
    def run(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Any]:
        """The output that output distillation compares, and what the other methods need of this run."""

    @abstractmethod
    def supervised(self, made: Any, batch: Batch, weights: Mapping[str, float], shares: Tensor) -> Tensor:
        """The weighted sum of the named losses, each a mean over the batch.

        `shares` (batch,) is what each clip adds to a mean over those that `counted` names: the batch may be a part of an
        update's, which all have the mean in common.
        """

    def counted(self, batch: Batch) -> Tensor:
        """(batch,) 1 for clips that count in losses which are not means over all clips, 0 for others. The truth alone says."""
        return torch.ones(len(batch.sound), device=batch.sound.device)

    @abstractmethod
    def scores(self, made: Sequence[Any], batches: Sequence[Batch]) -> dict[str, float]:
        """Scores of the valid split that are reported beside the loss."""

    def answer(self, made: Any, batch: Batch) -> Tensor:
        """A run's output as the batch's truth. Raises InputError where it cannot take the truth's place."""
        raise InputError(f"distillation.target: models of the task {self.name!r} give nothing that could be the truth")

    def output_for(self, sound: Tensor, batch: Batch) -> Tensor:
        """The output with which a network would have made this sound (batch, samples) of the batch's."""
        raise InputError(f"an external teacher's sound says nothing of the task {self.name!r}")
