"""Tagging: clips with labels to the probability of each class, once about every second."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from tinyse.config import Between, build, check_bounds
from tinyse.corpus import BUILT_IN, data_paths
from tinyse.errors import InputError
from tinyse.evaluation.report import Table, as_markdown
from tinyse.evaluation.tag_backends import float_tags, quantized_tags
from tinyse.evaluation.tags import TagScores
from tinyse.files import write_json, write_text
from tinyse.mixtures.labeled import LabeledDataset, LabeledMixer, LabeledMixtureConfig
from tinyse.models.architecture import TAGGERS
from tinyse.models.classifier import pooled
from tinyse.models.front_end import TorchFrontEnd
from tinyse.recipe import Recipe, Stage
from tinyse.recordings import AudioStore
from tinyse.recordings.labeled import LabeledData, Level, open_labeled
from tinyse.spectra.front_end import TAGGING, rate_in
from tinyse.tasks.losses import PROBABILITY_LOSSES, weighted_sum
from tinyse.tasks.stage_networks import networks_of
from tinyse.tasks.task import Batch, Plan, Say, Scored, Task, results_of

Part = Literal["train", "valid", "test"]

DRY_RUN_MIXTURES = 32
"""Mixtures of a dry run."""
SECONDS = 4.0
"""Length of a clip that calibrates or is scored."""


@dataclass(frozen=True)
class TaggingOptions:
    """How the task `tagging` uses clips with labels (`tinyse.recordings.labeled`)."""

    train: tuple[str, ...] = ()
    """Folds to train on."""
    valid: tuple[str, ...] = ()
    """Folds on whose mixtures losses are compared and activations calibrated."""
    test: tuple[str, ...] = ()
    """Folds on which the finished model is scored; none for no scores."""
    level: Level = "coarse"
    """Which classes of SONYC-UST are learned."""
    mixture: LabeledMixtureConfig = field(default_factory=LabeledMixtureConfig)
    """How clips are mixed."""
    test_clips: Annotated[int, Between(1, 1_000_000)] = 256
    """Mixtures of the test folds, fixed."""

    def __post_init__(self) -> None:
        names = [*self.train, *self.valid, *self.test]
        if len(set(names)) != len(names):
            raise InputError(f"folds: {', '.join(names)}: a fold is in one of train, valid and test")
        check_bounds(self)


class Tagging(Task):
    """The truth is the labels (batch, classes); the output is the clips' tags (batch, classes)."""

    name = "tagging"
    losses = PROBABILITY_LOSSES
    options = TaggingOptions
    models = TAGGERS
    example_classes = tuple(f"class {number}" for number in range(20))
    front_end = TAGGING
    usage = "tinyse tag street.wav --model {model}"

    @classmethod
    def check(cls, recipe: Recipe) -> None:
        super().check(recipe)
        for name, stage in recipe.stages.items():
            if stage.mixture:
                raise InputError(f"stages.{name}.mixture: a tagger's mixing is tagging.mixture, in all stages the same")
            if stage.external_teachers:
                raise InputError(f"stages.{name}.distillation.teacher: an ONNX model teaches by its sound, and only the task "
                                 "'denoise' learns sound; name a tinyse tagger")  # fmt: skip
        if recipe.data == BUILT_IN:
            raise InputError(
                "data: the built-in corpus has no labels; name a folder with labels.csv: --set data=FOLDER"
            )
        if len(recipe.data_paths) != 1:
            raise InputError("data: a tagger trains on one folder of clips with labels")
        if recipe.ship:
            raise InputError("ship: labels do not say which weights may be released; use data of which all may")
        for part in ("train", "valid"):
            if not getattr(cls.options_of(recipe), part):
                raise InputError(f"tagging.{part}: name one fold or more")

    @classmethod
    def classes_of(cls, recipe: Recipe) -> tuple[str, ...]:
        """Those of the labels, which are read."""
        return open_labeled(recipe.data_paths[0], cls.options_of(recipe).level).classes

    @classmethod
    def for_dry_run(cls, recipe: Recipe) -> dict[str, Any]:
        """Scores of tags need clips with a class and without it; two mixtures of few classes have all of them."""
        few = min(cls.options_of(recipe).test_clips, DRY_RUN_MIXTURES)
        return {
            "valid_clips": min(recipe.valid_clips, DRY_RUN_MIXTURES),
            "options": {**recipe.options, "test_clips": few},
        }

    @classmethod
    def plan(cls, recipe: Recipe) -> Plan:
        if cls.options_of(recipe).test:
            return Plan()
        return Plan(notes=("tagging.test names no folds: the model will not be scored",))

    @classmethod
    def calibration(cls, recipe: Recipe, clips: int) -> list[tuple[str, np.ndarray]]:
        rate = recipe.front_end.sample_rate
        return _named(fixed_mixtures(recipe.data_paths[0], cls.options_of(recipe), "valid", clips, rate)[0])

    @classmethod
    def calibration_for(cls, header: Mapping[str, Any], data: str, clips: int) -> list[tuple[str, np.ndarray]]:
        """Its recipe knows the valid folds; other data must have them, too."""
        recipe = header.get("whole_recipe", {})
        options = build(TaggingOptions, recipe.get("options", recipe.get(cls.name, {})), "whole_recipe.tagging")
        (path,) = data_paths(recipe.get("data", "") if data == BUILT_IN else data)
        return _named(fixed_mixtures(path, options, "valid", clips, rate_in(header))[0])

    @classmethod
    def score(cls, recipe: Recipe, plan: Plan, model: Path, quantized: Path, say: Say, processes: int) -> Scored:
        """Both backends on mixtures of the test folds, if there are any."""
        options = cls.options_of(recipe)
        if not options.test:
            return Scored()
        rate = recipe.front_end.sample_rate
        say(f"scoring {options.test_clips} mixtures of the test folds")
        sounds, labels, classes = fixed_mixtures(recipe.data_paths[0], options, "test", options.test_clips, rate)
        scores = {
            "float": TagScores.of(float_tags(model, sounds, networks_of(recipe)), labels, classes),
            recipe.export.precision: TagScores.of(quantized_tags(quantized, sounds), labels, classes),
        }
        write_json(model.parent / "scores.json", {backend: asdict(score) for backend, score in scores.items()})
        made, report = tables(scores), model.parent / "scores.md"
        write_text(report, as_markdown(made))
        return Scored(made, report)

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.settings: TaggingOptions = self.options_of(recipe)
        self.data = open_labeled(recipe.data_paths[0], self.settings.level)
        self.store = self.data.open(sample_rate=recipe.front_end.sample_rate)
        self.notices = self.store.notices
        self.torch_front_end = TorchFrontEnd(recipe.front_end)

    def record(self) -> list[dict[str, Any]]:
        counts = Counter((clip.fold, label) for clip in self.data.clips for label in clip.labels)
        return [
            {"fold": fold, "clips": len(self.data.members([fold])),
             "labels": {label: counts[fold, label] for label in self.data.classes}}
            for fold in self.data.folds
        ]  # fmt: skip

    def open(self, stage: Stage) -> dict[str, str]:
        self.training = self._mixer("train", stage.seconds, self.recipe.seed)
        # The sound of all folds has one name; labels and folds are named beside it.
        labels = [f"{clip.path.name}\0{clip.fold}\0{','.join(sorted(clip.labels))}\n" for clip in self.data.clips]
        valid_hash = hashlib.sha256("".join(labels).encode()).hexdigest()[:16]
        return {"data_hash": self.training.data_hash, "valid_hash": valid_hash}

    def _mixer(self, part: Part, seconds: float, seed: int) -> LabeledMixer:
        return _mixer(self.data, self.store, self.settings, part, seconds, seed)

    def examples(self, epoch: int, length: int) -> LabeledDataset:
        return LabeledDataset(self.training, epoch, length)

    def valid(self, stage: Stage) -> list[tuple[np.ndarray, np.ndarray]]:
        # Its own seed: the same clips whatever the run's.
        mixer = self._mixer("valid", stage.seconds, 0)
        return [mixer(0, index) for index in range(self.recipe.valid_clips)]

    def to(self, device: Any) -> None:
        self.torch_front_end.to(device)

    def run(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        features = self.torch_front_end.features(self.torch_front_end.analyze(batch.sound))
        tags = pooled(results_of(network, features))
        return tags, tags

    def answer(self, made: Tensor, batch: Batch) -> Tensor:
        return made

    def supervised(self, made: Tensor, batch: Batch, weights: Mapping[str, float], shares: Tensor) -> Tensor:
        return weighted_sum(self.losses, weights, made, batch.truth)

    def scores(self, made: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        tags = torch.cat(list(made)).float().cpu().numpy()
        labels = torch.cat([batch.truth for batch in batches]).cpu().numpy()
        scores = TagScores.of(tags, labels, self.data.classes)
        return {"micro_auprc": scores.micro_auprc, "mean_average_precision": scores.mean_average_precision}


def fixed_mixtures(
    path: Path, options: TaggingOptions, part: Part, count: int, sample_rate: int
) -> tuple[list[np.ndarray], np.ndarray, tuple[str, ...]]:
    """The first `count` mixtures of a part's folds, the same in every run: sounds, labels (clips, classes), classes."""
    data = open_labeled(path, options.level)
    mixer = _mixer(data, data.open(sample_rate=sample_rate), options, part, SECONDS, 0)
    sounds, labels = zip(*(mixer(0, index) for index in range(count)), strict=True)
    return list(sounds), np.stack(labels), data.classes


def _mixer(
    data: LabeledData, store: AudioStore, options: TaggingOptions, part: Part, seconds: float, seed: int
) -> LabeledMixer:
    folds = getattr(options, part)
    if not folds:
        raise InputError(f"tagging.{part}: name one fold or more")
    return LabeledMixer(data, store, data.members(folds), options.mixture, seconds, seed)


def _named(sounds: Sequence[np.ndarray]) -> list[tuple[str, np.ndarray]]:
    return [(f"valid mixture {index}", sound) for index, sound in enumerate(sounds)]


def tables(scores: dict[str, TagScores]) -> list[Table]:
    """All backends beside one another, and their classes."""
    rows = tuple(
        (backend, *(f"{value:.3f}" for value in (s.micro_auprc, s.macro_auprc, s.mean_average_precision)))
        for backend, s in scores.items()
    )
    classes = next(iter(scores.values())).average_precision
    by_class = tuple((name, *(f"{s.average_precision[name]:.3f}" for s in scores.values())) for name in classes)
    clips = next(iter(scores.values())).clips
    return [
        Table("Tags of the test folds", ("backend", "micro AUPRC", "macro AUPRC", "mAP"), rows, f"{clips} mixtures."),
        Table("Average precision by class", ("class", *scores), by_class),
    ]
