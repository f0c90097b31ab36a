"""What a recipe says: what is trained on what, in which stages, and what comes out. `tinyse.training.recipe` reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from tinyse import released
from tinyse.config import Between, as_dict, build, check_bounds, did_you_mean
from tinyse.corpus import BUILT_IN, data_paths
from tinyse.distillation.external import OnnxTeacher
from tinyse.distillation.objective import Distillation
from tinyse.errors import InputError
from tinyse.mixtures.config import SECONDS, MixtureConfig
from tinyse.models.architecture import ARCHITECTURES, Architecture, OwnNetwork, check_fits, named
from tinyse.quantization.precision import PRECISIONS
from tinyse.spectra.front_end import FrontEnd, FrontEndConfig

_Count = Annotated[int, Between(1, 1_000_000)]
_Weight = Annotated[float, Between(0, 1e40)]


def _check_precision(precision: str) -> None:
    if precision not in PRECISIONS:
        raise InputError(f"precision: {precision!r} is not one of {', '.join(PRECISIONS)}")


@dataclass(frozen=True)
class Quantize:
    """Quantization-aware training: the stage's forward pass is that of the exported graph, bit for bit, its gradient
    float32."""

    precision: str = "int8"
    """Arithmetic of the step: int8, int8-state16, int8-gru16 or int16x8."""
    clips: _Count = 24
    """Mixtures of the valid split on which the quantization parameters are chosen, once, before the first update."""

    def __post_init__(self) -> None:
        _check_precision(self.precision)
        check_bounds(self)


@dataclass(frozen=True)
class Stage:
    """One training run of one model. Supervised losses, distillation, or both: the two-step schedule is two stages."""

    model: str | Architecture | OwnNetwork
    """A name that `tinyse models` lists, the widths of another member of the family, or `{python: package.module:Class, ...}`,
    a network of your own."""
    updates: Annotated[int, Between(1, 1e9)]
    """Optimizer steps."""
    start: str | None = None
    """Weights that the stage starts from: those of an earlier stage, of a released model by its name (`tinyse models`), or of
    a model file (.safetensors); without it, random weights. A network wider than that one first computes the same as it; the
    weights that it has beyond those are random."""
    losses: dict[str, _Weight] = field(default_factory=dict)
    """Weight of each supervised loss; empty for a stage that only distills."""
    distillation: Distillation | None = None
    """Distillation from a teacher, alone or together with the supervised losses."""
    quantize: Quantize | None = None
    """Quantization-aware training; needs `start`. Exporting then calibrates nothing again."""
    batch: Annotated[int, Between(1, 65536)] = 16
    """Clips per update, over all processes."""
    accumulate: Annotated[int, Between(1, 65536)] = 1
    """Number of parts in which a process computes its share of a batch, one after another, to save memory. Losses and gradients
    are those of the whole batch, except that batch normalization uses the statistics of a part; a quantized stage has none."""
    seconds: Annotated[float, SECONDS] = 4.0
    """Length of a clip."""
    learning_rate: Annotated[float, Between(1e-12, 1e6)] = 1e-3
    """Highest learning rate, reached after `warmup` updates; from there it falls to zero along half a cosine."""
    warmup: Annotated[int, Between(0, 1e9)] = 50
    """Updates over which the learning rate rises linearly."""
    weight_decay: Annotated[float, Between(0, 1e3)] = 0.01
    """Weight decay of AdamW; biases and normalizations are exempt."""
    clip_gradient: Annotated[float, Between(1e-9, 1e9)] = 5.0
    """Largest norm of the gradient of all weights; a larger one is scaled down."""
    average: Annotated[float, Between(0, 1)] = 0.998
    """Decay of the running average of the weights, which is validated and kept; 0 keeps the last weights."""
    learned: Annotated[float, Between(0, 1)] = 1.0
    """Share of the learned change that is validated and kept: the weights are on the line from those of `start` to the
    running average (arXiv 2109.01903). Below 1, a model learns a little less of what is new and forgets much less of the
    rest."""
    valid_every: Annotated[int, Between(1, 1e9)] = 100
    """Updates between two validations, and between two checkpoints."""
    patience: Annotated[int, Between(0, 1e9)] = 0
    """The stage stops early after this many validations in a row without a better loss; 0: never."""
    keep: Literal["best", "last"] = "best"
    """Which running average becomes the model: that with the lowest validation loss, or that of the last update. The validation
    split has no clean clips, so a stage that should preserve clean speech keeps the last."""
    mixture: dict[str, Any] | None = None
    """Keys of the recipe's `mixture` that differ in this stage, such as {clean_probability: 0.2}."""

    def __post_init__(self) -> None:
        check_bounds(self)
        if not any(self.losses.values()) and self.distillation is None:
            raise InputError("a stage needs losses with a weight, distillation, or both")
        if self.distillation and self.distillation.target and not any(self.losses.values()):
            raise InputError("distillation.target: it is what supervised losses compare with; give the stage losses")
        if self.learned < 1 and self.start is None:
            raise InputError(
                "learned: below 1 the kept weights lie between those of `start` and what was learned; name a `start`"
            )
        if self.quantize and self.start is None:
            raise InputError(
                "quantize: name the stage or model to start from in `start`; its ranges give the quantization parameters"
            )
        if self.quantize and self.distillation and self.distillation.views:
            raise InputError(
                "quantize: a quantized network has no float layers to view; distill their output instead (output: 1.0)"
            )
        if self.batch % self.accumulate:
            raise InputError(f"accumulate: {self.batch} clips do not divide into {self.accumulate} equal parts")
        if self.accumulate > 1 and self.distillation and self.distillation.compares_clips:
            raise InputError("accumulate: the views of this stage compare all clips of a batch with one another, which its "
                             "parts cannot; use accumulate: 1, more processes, or the view 'utterance'")  # fmt: skip
        if self.distillation and self.distillation.compares_clips and self.batch < 2:
            raise InputError("batch: the views of this stage compare clips with one another, which a batch of one cannot; "
                             "use a batch of at least 2, or the view 'utterance'")  # fmt: skip

    @property
    def architecture(self) -> Architecture | OwnNetwork:
        """What the model is made by."""
        return named(self.model) if isinstance(self.model, str) else self.model

    @property
    def external_teachers(self) -> tuple[OnnxTeacher, ...]:
        """Teachers that are not ours, whose sound the batches bring along."""
        return self.distillation.external if self.distillation else ()


@dataclass(frozen=True)
class Export:
    """How the last stage's model is quantized."""

    precision: str = "int8"
    """Arithmetic of the step: int8, int8-state16, int8-gru16 or int16x8."""
    clips: _Count = 24
    """Mixtures of the valid split that calibration replays, frame by frame."""

    def __post_init__(self) -> None:
        _check_precision(self.precision)


@dataclass(frozen=True)
class Evaluation:
    """What the chain of numbers is measured on."""

    pairs: str | None = None
    """A folder of pairs. By default those of the data (`benchmark/` in its folder, or VoiceBank-DEMAND's test set), else
    mixtures of the test split, which are written to `pairs/` in the output folder."""
    mixtures: _Count = 60
    """How many mixtures of the test split are scored if no pairs are given."""
    limit: Annotated[int, Between(0, 1e9)] = 0
    """Only the first pairs; 0 takes all."""


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the result of a run."""

    stages: dict[str, Stage]
    """Training stages by name, in order. The last one's model is exported."""
    task: str = "denoise"
    """What the model does (`tinyse.tasks`): denoise removes noise from speech, tagging names the sounds, activity detects
    speech."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keys of the task's own. In a recipe they stand under its name: `tagging: {valid: [4]}`."""
    data: str | tuple[str, ...] = BUILT_IN
    """A folder or manifest of recordings (see `tinyse data scan`), a list of them, a folder or an address (https, s3) of
    shards (`tinyse data shard`), or `built-in`, the small corpus that tinyse ships; for the task `tagging`, one folder of
    clips with labels."""
    output: str = "runs/recipe"
    """Folder for checkpoints, logs, models and reports; by default `runs/` and the name of the recipe's file. In a recipe, it
    must be below the folder in which the run is started; for another place use `--set output=FOLDER`."""
    ship: bool = False
    """Train only on recordings whose license allows the weights to be released."""
    seed: Annotated[int, Between(0, 2**63 - 1)] = 0
    """Seed of weights and mixtures: the same seed gives the same run."""
    broken: Annotated[float, Between(0, 0.5)] = 0.05
    """Share of the recordings that may turn out broken, counted as if they were at least 100. They are left out, and named
    in `broken.jsonl` in the output folder; more of them end the run."""
    front_end: FrontEndConfig = field(default_factory=FrontEndConfig)
    """Frames and bands that the network sees; part of the model."""
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    """How noisy and clean clips are made of the recordings, for the task `denoise`."""
    valid_clips: _Count = 64
    """Mixtures of the valid split, fixed, on which losses are compared."""
    export: Export = field(default_factory=Export)
    """How the last stage's model becomes a .tflite."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """What the finished model is scored on."""
    precision: Literal["auto", "bf16-mixed", "32-true"] = "auto"
    """Arithmetic of training, as Lightning Fabric names it; `auto` is bf16-mixed if the machine has instructions for
    it, else 32-true (float32). A run keeps its choice when it resumes."""
    threads: Annotated[int, Between(0, 1024)] = 0
    """Threads of a training process; 0 uses all cores, divided among the processes of torchrun."""
    workers: Literal["auto"] | Annotated[int, Between(0, 1024)] = "auto"
    """Processes that load and mix data, for each process that trains; the result does not depend on their number."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise InputError("stages: a recipe trains at least one model")
        if not self.data_paths:
            raise InputError("data: name a folder or a manifest of recordings")
        try:
            _ = FrontEnd(self.front_end).bands
        except InputError as error:
            raise InputError(f"front_end.{error}") from error
        earlier: list[str] = []
        for name, stage in self.stages.items():
            if not name.replace("-", "").replace("_", "").isalnum():
                raise InputError(f"stages.{name}: use letters, digits, '-' and '_' only, it names a folder")
            stage.architecture.check_bands(self.front_end.bands)
            self._check_length(name, stage)
            self.mixture_of(stage, f"stages.{name}.mixture")
            if stage.start in earlier:
                try:
                    check_fits(stage.architecture, self.stages[stage.start].architecture, stage.quantize is not None)
                except InputError as error:
                    raise InputError(
                        f"stages.{name}.start: stage {stage.start!r} trains another architecture: {error}"
                    ) from error
            elif stage.start is not None and (stage.start in self.stages or not is_model_file(stage.start)):
                choices = [*earlier, *released.weights()]
                raise InputError(f"stages.{name}.start: {stage.start!r} is neither an earlier stage nor a released model nor "
                                 f"a .safetensors file{did_you_mean(stage.start, choices)}")  # fmt: skip
            for teacher in stage.distillation.ours if stage.distillation else ():
                known = teacher in released.weights() or Path(teacher).suffix
                if teacher not in earlier and (teacher in self.stages or not known):
                    raise InputError(
                        f"stages.{name}.distillation.teacher: {_no_teacher(teacher, self.stages, earlier)}"
                    )
            earlier.append(name)
        last = list(self.stages.values())[-1].quantize
        if last and last.precision != self.export.precision:
            raise InputError(f"export.precision: the last stage trains {last.precision!r}, export it in that, "
                             f"not in {self.export.precision!r}")  # fmt: skip

    def _check_length(self, name: str, stage: Stage) -> None:
        """Raise InputError for clips of which no frame becomes sound."""
        front_end = self.front_end
        samples = round(stage.seconds * front_end.sample_rate)
        if samples // front_end.hop * front_end.hop < front_end.synthesis:
            raise InputError(f"stages.{name}.seconds: {stage.seconds:g} s are no whole frame of {front_end.window_ms:g} ms in "
                             f"hops of {front_end.hop_ms:g} ms")  # fmt: skip

    @property
    def data_paths(self) -> tuple[Path, ...]:
        """The folders and manifests that `data` names."""
        return data_paths(self.data)

    def mixture_of(self, stage: Stage, where: str = "mixture") -> MixtureConfig:
        """How the mixtures of `stage` are drawn; `where` names the stage's own keys in messages."""
        return (
            build(MixtureConfig, {**as_dict(self.mixture), **stage.mixture}, where) if stage.mixture else self.mixture
        )


def is_model_file(start: str) -> bool:
    """Whether `start`, which no stage is called, names a model: one that was released, or a file of weights."""
    return start in released.weights() or Path(start).suffix == ".safetensors"


def _no_teacher(name: str, stages: Iterable[str], earlier: Sequence[str]) -> str:
    """Why nothing of this name can teach."""
    if name in stages:
        return f"the stage {name!r} is not before this one; to learn from a model of that name, call the stage something else"
    if name in ARCHITECTURES:
        return (
            f"no stage before this one is called {name!r}, and this tinyse came without the weights of the model {name!r}: "
            "add a stage that trains it, or give the path of its .safetensors"
        )
    choices = [*earlier, *released.weights()]
    return f"{name!r} is neither an earlier stage nor a released model nor a model file{did_you_mean(name, choices)}"
