"""What `two_step.py` compares: the schedules of arXiv 2309.08144 as recipes of equal length, and the order of the runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from tinyse.config import did_you_mean
from tinyse.distillation.objective import Distillation
from tinyse.distillation.views import VIEWS
from tinyse.errors import InputError
from tinyse.models.architecture import Architecture, named
from tinyse.recipe import Recipe, Stage

BASELINE = "supervised"
MIXTURE, TWO_STEP = "mixture-", "two-step-"
SCHEDULES = {
    "supervised": "supervised only",
    "two-step-frame": "two-step, view frame",
    "output": "output distillation",
    "mixture-batch": "weighted mixture, SP (view batch)",
    "mixture-frame": "weighted mixture, fine-grained (view frame)",
    "two-step-bin": "two-step, view bin",
    "two-step-batch": "two-step, view batch",
    "two-step-utterance": "two-step, view utterance",
}
"""Schedules in the order in which they run: the first four are the paper's question already."""

SIMILARITY_WEIGHTS = {"batch": 20.0, "frame": 10.0, "bin": 10.0, "utterance": 300.0}
"""Weight of a similarity loss beside the supervised ones, by view, before `Comparison.similarity`. With these its gradient
begins at about the supervised one's norm: measured for a new student-62k, 0.22 supervised, 0.017 batch, 0.033 frame,
0.033 bin, 0.001 utterance."""
LAYERS: tuple[str, ...] = Distillation.layers
OUTPUT_WEIGHT = 0.5
"""The same for output distillation, whose gradient begins at 0.45."""


@dataclass(frozen=True)
class Variant:
    """What a schedule does otherwise; its name says it: supervised@rate=8e-3, two-step-bin@share=0.4@layers=encoder+gru."""

    share: float | None = None
    """Of two steps: share of the updates in the first, in place of `Comparison.distill_share`."""
    rate: float | None = None
    """Highest learning rate of the first step, or of the only one, in place of the recipe's."""
    then: float | None = None
    """Of two steps: highest learning rate of the second."""
    layers: tuple[str, ...] = LAYERS
    """Of views: the layers that are compared; in the name, how they begin."""

    @classmethod
    def read(cls, schedule: str) -> Variant:
        """The variant that a schedule's name asks for. Raises InputError for what is not a setting of it."""
        name, *texts = schedule.split("@")
        known = [
            "rate",
            *(["share", "then"] if name.startswith(TWO_STEP) else []),
            *(["layers"] if views_of(name) else []),
        ]
        settings: dict[str, Any] = {}
        for text in texts:
            key, _, value = text.partition("=")
            if key not in known or key in settings:
                raise InputError(f"schedule {schedule}: {text!r} is not a setting of {name}, which has each of "
                                 f"{', '.join(known)} once")  # fmt: skip
            settings[key] = _layers(value) if key == "layers" else _number(text, 1 if key == "share" else math.inf)
        return cls(**settings)


def _number(setting: str, end: float) -> float:
    """The number of `rate=8e-3`, between 0 and `end`."""
    try:
        number = float(setting.partition("=")[2])
    except ValueError:
        number = math.nan
    if not 0 < number < end:
        raise InputError(f"{setting}: expected a number above 0" + (f" and below {end:g}" if end < math.inf else ""))
    return number


def _layers(beginnings: str) -> tuple[str, ...]:
    """The layers that begin so, in their own order."""
    for beginning in beginnings.split("+"):
        if not beginning or not any(layer.startswith(beginning) for layer in LAYERS):
            raise InputError(f"layers={beginnings}: no layer begins with {beginning!r}; there are {', '.join(LAYERS)}")
    return tuple(layer for layer in LAYERS if layer.startswith(tuple(beginnings.split("+"))))


class Run(NamedTuple):
    """One training: which model, under which schedule, from which seed."""

    model: str
    schedule: str
    seed: int


@dataclass(frozen=True)
class Comparison:
    """All that decides a comparison's result."""

    base: Recipe
    """Data, mixing, front end and, in `last_stage`, batch, learning rate and losses: the same for all runs."""
    output: str
    students: tuple[str, ...] = ("student-62k", "student-30k")
    schedules: tuple[str, ...] = tuple(SCHEDULES)
    seeds: tuple[int, ...] = (0, 1)
    """The first is for all schedules, the others are for the finalists."""
    updates: int = 1000
    """Updates of every student, whatever its schedule."""
    distill_share: float = 0.2
    """Share of the updates that the first of two steps takes."""
    teacher: str | Architecture = Architecture(channels=(24, 40, 64, 64), groups=4, shared_gru=(3,))  # noqa: RUF009
    """A model's name or widths, or the path of a trained .safetensors."""
    teacher_updates: int = 1500
    teacher_learning_rate: float = 3e-3
    similarity: float = 1.0
    """Factor of `SIMILARITY_WEIGHTS` in the weighted mixtures."""
    output_weight: float = OUTPUT_WEIGHT
    pairs: int = 0
    """Only the first pairs of the benchmark; 0 takes all."""

    def __post_init__(self) -> None:
        for name in ("students", "schedules", "seeds"):
            chosen = getattr(self, name)
            if not chosen or len(set(chosen)) != len(chosen):
                raise InputError(f"{name}: expected different ones, at least one, not {', '.join(map(str, chosen))}")
        for student in self.students:
            named(student)
        for schedule in self.schedules:
            name = schedule.partition("@")[0]
            views = views_of(name)
            if name not in SCHEDULES and (not views or not set(views) <= set(VIEWS) or len(set(views)) < len(views)):
                raise InputError(f"no schedule is named {name!r}{did_you_mean(name, SCHEDULES)}")
            Variant.read(schedule)
        if not 0 < self.distill_share < 1:
            raise InputError(f"distill_share is {self.distill_share:g}: it lies between 0 and 1")
        if self.updates < 2 or self.teacher_updates < 1:
            raise InputError("updates: a student needs at least 2, one for each step, and a teacher 1")

    @property
    def teacher_run(self) -> Run:
        """The run that all others learn from."""
        return Run("teacher", "teacher", self.seeds[0])

    @property
    def trained_teacher(self) -> Path | None:
        """The model file that was given as the teacher; None where the comparison trains its own."""
        given = isinstance(self.teacher, str) and self.teacher.endswith(".safetensors")
        return Path(str(self.teacher)) if given else None

    @property
    def teacher_path(self) -> Path:
        """Where the teacher's weights are, or will be."""
        return self.trained_teacher or self.folder(self.teacher_run) / "teacher" / "model.safetensors"

    def folder(self, run: Run) -> Path:
        """The folder of a run's checkpoints, model and scores."""
        if run == self.teacher_run:
            return Path(self.output) / "teacher"
        return Path(self.output) / run.model / run.schedule / f"seed-{run.seed}"


def views_of(schedule: str) -> list[str]:
    """The views that a schedule distills by, as in two-step-bin+utterance; none for those without one."""
    for kind in (MIXTURE, TWO_STEP):
        if schedule.startswith(kind):
            return schedule.removeprefix(kind).partition("@")[0].split("+")
    return []


def title(schedule: str) -> str:
    """A schedule in words."""
    name, *settings = schedule.split("@")
    return ", ".join([SCHEDULES.get(name, name), *settings])


def recipe(comparison: Comparison, run: Run) -> Recipe:
    """The run as a recipe in a folder of its own. Every student's stages sum to `Comparison.updates`."""
    model = comparison.teacher if run == comparison.teacher_run else run.model
    base = replace(last_stage(comparison.base), model=model, start=None, distillation=None, quantize=None, patience=0)

    def stage(updates: int, **changes: object) -> Stage:
        # The running average spans the last twentieth of a stage: what suits thousands of updates is too slow for a hundred.
        average = min(0.998, max(0.0, 1 - 20 / updates))
        lengths = {"updates": updates, "warmup": min(50, updates // 10), "valid_every": max(1, min(100, updates // 4))}
        return replace(base, **lengths, average=average, **changes)  # type: ignore[arg-type]

    def distillation(**weights: object) -> Distillation:
        return Distillation(teacher=str(comparison.teacher_path), **weights)  # type: ignore[arg-type]

    variant = Variant.read(run.schedule)
    rates = [base.learning_rate if rate is None else rate for rate in (variant.rate, variant.then)]
    weights = {view: SIMILARITY_WEIGHTS[view] for view in views_of(run.schedule)}
    if run == comparison.teacher_run:
        rate = comparison.teacher_learning_rate
        stages = {"teacher": stage(comparison.teacher_updates, learning_rate=rate)}
    elif run.schedule.startswith(TWO_STEP):
        first = min(
            comparison.updates - 1, max(1, round(comparison.updates * (variant.share or comparison.distill_share)))
        )
        # Alone in its stage a loss needs no weight; several are weighted against the first.
        shares = {view: weight / next(iter(weights.values())) for view, weight in weights.items()}
        learned = distillation(views=shares, layers=variant.layers)
        stages = {
            "distill": stage(first, losses={}, distillation=learned, learning_rate=rates[0]),
            "supervise": stage(comparison.updates - first, start="distill", learning_rate=rates[1]),
        }
    else:
        learned = None
        if run.schedule.startswith(MIXTURE):
            scaled = {view: weight * comparison.similarity for view, weight in weights.items()}
            learned = distillation(views=scaled, layers=variant.layers)
        elif run.schedule.startswith("output"):
            learned = distillation(output=comparison.output_weight)
        stages = {"supervise": stage(comparison.updates, distillation=learned, learning_rate=rates[0])}
    return replace(comparison.base, stages=stages, seed=run.seed, output=str(comparison.folder(run)))


def last_stage(base: Recipe) -> Stage:
    """The stage whose batch, rate and losses a comparison takes over: the last that supervises in float."""
    stages = [stage for stage in base.stages.values() if stage.losses and stage.quantize is None]
    if not stages:
        raise InputError("the recipe has no stage with losses to take batch, learning rate and losses from")
    return stages[-1]


def baseline(schedules: Sequence[str], valid: Mapping[str, float]) -> str:
    """Supervision only, of its variants that have a score the best on the valid split: an opponent is tuned as well."""
    variants = [name for name in schedules if name.partition("@")[0] == BASELINE and name in valid]
    return max(variants, key=lambda name: valid[name], default=BASELINE)


def finalists(schedules: Sequence[str], valid: Mapping[str, float]) -> list[str]:
    """The schedules that deserve further seeds: the baseline, the best two-step one and the best of the others.

    `valid` holds the score of each schedule on the valid split, and nothing else may decide. Empty while a score is missing.
    """
    if any(schedule not in valid for schedule in schedules):
        return []
    two_step = [schedule for schedule in schedules if schedule.startswith(TWO_STEP)]
    others = [name for name in schedules if name.partition("@")[0] != BASELINE and name not in two_step]
    best = [max(group, key=lambda schedule: valid[schedule]) for group in (two_step, others) if group]
    return [schedule for schedule in schedules if schedule in (baseline(schedules, valid), *best)]


def planned(comparison: Comparison, valid: Mapping[Run, float]) -> list[Run]:
    """All runs in order, as far as the valid scores of finished runs let them be known."""
    seed, *further = comparison.seeds
    runs = [comparison.teacher_run]
    runs += [Run(student, schedule, seed) for student in comparison.students for schedule in comparison.schedules]
    for later in further:
        for student in comparison.students:
            found = {run.schedule: score for run, score in valid.items() if (run.model, run.seed) == (student, seed)}
            runs += [Run(student, schedule, later) for schedule in finalists(comparison.schedules, found)]
    return runs
