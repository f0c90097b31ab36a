"""One training stage: from data and a recipe's stage to a model file, in steps that can stop and resume anywhere.

Every update is a function of the recipe and the update's number: mixtures of (seed, epoch, index), a rate of the step,
no other randomness. So a run that was killed and resumed gives the same weights as one that was not (bit for bit on a
CPU with the same number of threads).
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from tinyse.config import as_dict
from tinyse.distillation.objective import distillation_loss
from tinyse.distillation.views import Gather, alone
from tinyse.errors import InputError
from tinyse.models.files import save_model
from tinyse.models.network import Network
from tinyse.models.quantized import QuantizedNetwork
from tinyse.models.recorder import Recorder
from tinyse.quantization.trained import TrainedQparams
from tinyse.recipe import Recipe, Stage
from tinyse.tasks.losses import equal_shares
from tinyse.tasks.task import Batch, Task
from tinyse.training import checkpoint
from tinyse.training.optimizer import Diverged, Optimization, is_finite, learning_rate, move_average
from tinyse.training.processes import gathered
from tinyse.training.records import Log, refuse_others, stage_record
from tinyse.training.start import Start, checkpoint_path, load_start, model_path, teacher_paths
from tinyse.training.stopping import StopRequest
from tinyse.training.teachers import Teachers


@dataclass
class Progress:
    """Where a stage stands after an update, for `show`."""

    stage: str
    update: int
    updates: int
    loss: float
    audio_per_second: float
    valid: dict[str, float]


class StageRun:
    """A stage in the making: networks, optimizer, and how far it has come."""

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        task: Task,
        name: str,
        data: Mapping[str, str],
        qparams: TrainedQparams | None = None,
    ) -> None:
        """`data` names what it learns from (`Task.open`, `run.names_of`); `qparams` are those of a stage of
        quantization-aware training."""
        self.fabric, self.recipe, self.task, self.name = fabric, recipe, task, name
        self.data, self.qparams = data, qparams
        self.folder = Path(recipe.output)
        self.stage: Stage = recipe.stages[name]
        torch.manual_seed(recipe.seed)
        network = task.untrained(recipe, self.stage)
        if qparams is not None:
            network = QuantizedNetwork(network, qparams)
        teacher_records: list[dict[str, Any]] = []
        self.start: Start | None = None
        if self.stage.start:
            self.start = load_start(recipe, name, network)
            teacher_records += self.start.teachers
        self.training = Optimization(fabric, network, self.stage)
        self.started = copy.deepcopy(self.training.average)
        self.best = copy.deepcopy(self.started)
        task.to(fabric.device)
        self.teachers: Teachers | None = None
        if distillation := self.stage.distillation:
            self.teachers = Teachers(fabric, recipe, task, distillation, teacher_paths(recipe, name))
            teacher_records += self.teachers.origin
        self.teacher_records = list({entry["sha256"]: entry for entry in teacher_records}.values())
        self.update, self.best_loss, self.validations_without_improvement = 0, math.inf, 0
        self.valid: dict[str, float] = {}

    @property
    def beginning(self) -> str:
        """Where the stage begins, in words: an update, or the weights that it starts from."""
        if self.update:
            return f"from update {self.update}"
        if self.start is None:
            return "from random weights"
        grown = f", whose {self.start.parameters:,} parameters are a part of it" if self.start.widened else ""
        return f"from {self.stage.start}{grown}"

    @property
    def checkpoint_path(self) -> Path:
        """The file from which the stage resumes."""
        return checkpoint_path(self.folder, self.name)

    def restore(self) -> None:
        """Go on from the checkpoint, if there is one. Raises InputError if it is another recipe's or of other data."""
        if not self.checkpoint_path.exists():
            return
        training = self.training
        facts = checkpoint.load(self.checkpoint_path, training.bare, training.average, self.best, training.optimizer)
        refuse_others(facts, self.recipe, self.name, self.data, self.checkpoint_path)
        self.update, self.valid = facts["update"], facts["valid"]
        self.best_loss = math.inf if facts["best_loss"] is None else facts["best_loss"]
        self.validations_without_improvement = facts["validations_without_improvement"]

    def run(
        self,
        batches: Iterator[Batch],
        valid_batches: list[Batch],
        show: Callable[[Progress], None],
        stop: StopRequest,
    ) -> Path:
        """Train to the end, from the present update, and write the model. Returns the model's path.

        `batches` begins at the present update. `show(Progress)` is called after every update. When `stop` is asked for, the
        current update is finished, a checkpoint written and KeyboardInterrupt raised. Raises InputError for training that
        diverges, a disk that takes no more, or a process that mixes and was killed; what was reached stays.
        """
        stage = self.stage
        started, audio_seconds = time.perf_counter(), 0.0
        log = Log(self.folder / self.name, self.update) if self.fabric.is_global_zero else None
        with contextlib.closing(log) if log else contextlib.nullcontext():
            while self.update < stage.updates and not (
                stage.patience and self.validations_without_improvement >= stage.patience
            ):
                batch = self._next(batches).to(self.fabric.device)
                try:
                    loss = self.training.learn(self._parts(batch), self.update)
                    self.update += 1
                    is_validation = self.update % stage.valid_every == 0 or self.update == stage.updates
                    if is_validation:
                        self._validate(valid_batches)
                except Diverged as error:
                    raise InputError(self._diverged(error)) from error
                audio_seconds += batch.sound.numel() * self.fabric.world_size / self.recipe.front_end.sample_rate
                rate = audio_seconds / (time.perf_counter() - started)
                if is_validation:
                    try:
                        if log:
                            log.add(self.update, self._entry(loss, rate))
                    finally:
                        self._save_checkpoint()
                show(Progress(self.name, self.update, stage.updates, loss, rate, self.valid))
                if self._is_asked(stop):
                    self._save_checkpoint()
                    self.fabric.barrier()  # torchrun ends all processes when one has ended
                    raise KeyboardInterrupt
        return self._finish()

    def _next(self, batches: Iterator[Batch]) -> Batch:
        try:
            return next(batches)
        except InputError:
            self._save_checkpoint()
            raise

    def _is_asked(self, stop: StopRequest) -> bool:
        """Whether any process was asked to stop: all must end after the same update."""
        if self.fabric.world_size == 1:
            return stop.asked
        asked = torch.tensor(float(stop.asked), device=self.fabric.device)
        return bool(self.fabric.all_reduce(asked, reduce_op="sum") > 0)  # type: ignore[operator]

    def _parts(self, batch: Batch) -> Iterator[Tensor]:
        """The losses of the parts of this process's share of a batch; the mean over parts and processes is the batch's."""
        parts, gather = self.stage.accumulate, partial(gathered, self.fabric)
        counted = self.task.counted(batch)
        total: Any = self.fabric.all_reduce(counted.sum(), reduce_op="sum")
        shares = counted / (total.clamp_min(1) / (parts * self.fabric.world_size))
        for part, share in zip(batch.parts(parts), shares.chunk(parts), strict=True):
            yield self._losses(self.training.network, part, share, gather)[0]

    def _losses(self, network: nn.Module, batch: Batch, shares: Tensor, gather: Gather = alone) -> tuple[Tensor, Any]:
        """The stage's loss of a batch, and what the task made of it on the way."""
        total = torch.zeros((), device=batch.sound.device)
        if self.teachers is None:
            _, made = self.task.run(network, batch)
        else:
            config = self.teachers.config
            with Recorder(getattr(network, "module", network), config.compared) as layers:
                output, made = self.task.run(network, batch)
            taught = self.teachers.teach(batch)
            total = total + distillation_loss(
                config, layers, taught.layers, output, taught.output, gather, taught.ideal
            )
            batch = batch._replace(truth=taught.truth)
        if any(self.stage.losses.values()):
            total = total + self.task.supervised(made, batch, self.stage.losses, shares)
        return total, made

    @torch.no_grad()
    def _validate(self, batches: list[Batch]) -> None:
        """Losses of the weights that would be kept now, on the valid list; the best ones are kept. Raises Diverged."""
        kept = self._present()
        batches = [batch.to(self.fabric.device) for batch in batches]
        with self.fabric.autocast():
            results = [self._losses(kept, batch, equal_shares(self.task.counted(batch))) for batch in batches]
        # All processes must agree on when to stop.
        counts = [len(batch.sound) for batch in batches]
        total = sum(float(loss) * count for (loss, _), count in zip(results, counts, strict=True))
        mean_loss = self.fabric.broadcast(total / sum(counts))
        if not math.isfinite(mean_loss):
            raise Diverged(f"the loss on the valid split became {mean_loss}")
        if not is_finite(kept.state_dict().values()):
            raise Diverged("weights became infinite")
        scores = self.task.scores([made for _, made in results], batches)
        # A score may be undefined, such as one of speech where no clip has any.
        self.valid = {"loss": mean_loss, **{name: score for name, score in scores.items() if math.isfinite(score)}}
        if mean_loss < self.best_loss:
            self.best_loss, self.validations_without_improvement = mean_loss, 0
            self.best.load_state_dict(kept.state_dict())
        else:
            self.validations_without_improvement += 1

    def _present(self) -> Network:
        """The running average, drawn back toward the start by what of it is not to be kept."""
        average = self.training.average
        if self.stage.learned == 1:
            return average
        kept = copy.deepcopy(self.started)
        move_average(kept, average, 1 - self.stage.learned)
        return kept

    def _entry(self, loss: float, rate: float) -> dict[str, float]:
        return {"loss": loss, "learning_rate": learning_rate(self.stage, self.update - 1),
                "audio_seconds_per_second": round(rate, 1), **{f"valid_{k}": v for k, v in self.valid.items()}}  # fmt: skip

    def _diverged(self, error: Diverged) -> str:
        """The message for the user; the best weights before it are written as well."""
        message = (f"stage {self.name}: {error} at update {self.update}; use a smaller learning_rate than "
                   f"{self.stage.learning_rate:g}, or look for broken recordings")  # fmt: skip
        if math.isinf(self.best_loss):
            return message
        path = self.folder / self.name / "before-divergence.safetensors"
        if self.fabric.is_global_zero:
            save_model(path, self.best, self.recipe.front_end, self._model_facts())
        return f"{message}. The best weights before it (valid loss {self.best_loss:.4g}) are in {path}"

    def _facts(self) -> dict[str, Any]:
        best = None if math.isinf(self.best_loss) else self.best_loss
        return {
            "stage": self.name,
            "recipe": stage_record(self.recipe, self.name),
            **self.data,
            "update": self.update,
            "valid": self.valid,
            "best_loss": best,
            "validations_without_improvement": self.validations_without_improvement,
        }

    def _save_checkpoint(self) -> None:
        if self.fabric.is_global_zero:
            training = self.training
            checkpoint.save(
                self.checkpoint_path, training.bare, training.average, self.best, training.optimizer, self._facts()
            )

    def _model_facts(self) -> dict[str, Any]:
        facts = {**self._facts(), "model": self.stage.model if isinstance(self.stage.model, str) else "custom",
                 "whole_recipe": as_dict(self.recipe), "teachers": self.teacher_records}  # fmt: skip
        return facts | ({"quantization": self.qparams.as_json()} if self.qparams else {})

    def _finish(self) -> Path:
        path = model_path(self.folder, self.name)
        if self.fabric.is_global_zero:
            kept = self.best if self.stage.keep == "best" else self._present()
            save_model(path, kept, self.recipe.front_end, self._model_facts())
            self.checkpoint_path.unlink(missing_ok=True)
        self.fabric.barrier()
        return path
