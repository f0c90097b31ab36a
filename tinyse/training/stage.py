"""One training stage: from data and a recipe's stage to a model file, in steps that can stop and go on anywhere.

Every update is a function of the recipe and the update's number: mixtures of (seed, epoch, index), a rate of the step,
no other randomness. So a run that was killed and goes on gives the same weights as one that was not (bit for bit on a
CPU with the same number of threads).
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from tinyse.config import as_dict, build
from tinyse.distillation.objective import distillation_loss
from tinyse.distillation.views import Recorder
from tinyse.errors import InputError
from tinyse.models.files import load_model, save_model
from tinyse.quantization.trained import TrainedGrids
from tinyse.training import checkpoint
from tinyse.training.recipe import Recipe, Stage
from tinyse.training.task import Batch, Task
from tinyse.training.teachers import Teachers


@dataclass
class Progress:
    """Where a stage stands after an update; given to whoever shows it."""

    stage: str
    update: int
    updates: int
    loss: float
    audio_per_second: float
    valid: dict[str, float]


class StageRun:
    """A stage in the making: networks, optimiser, and how far it has come."""

    def __init__(
        self, fabric: Fabric, recipe: Recipe, task: Task, name: str, data_hash: str, grids: TrainedGrids | None = None
    ) -> None:
        """`data_hash` names the sound that it trains on, `grids` are those of a stage that trains integers."""
        self.fabric, self.recipe, self.task, self.name = fabric, recipe, task, name
        self.data_hash, self.grids = data_hash, grids
        self.folder = Path(recipe.output)
        self.stage: Stage = recipe.stages[name]
        torch.manual_seed(recipe.seed)
        network = task.network(self.stage, grids)
        taught_by: list[dict[str, Any]] = []
        if self.stage.start:
            trained, _, header = load_model(model_path(self.folder, self.stage.start))
            network.load_state_dict(trained.state_dict())
            taught_by += header.get("teachers", [])
        network = network.to(fabric.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.best = copy.deepcopy(self.average)
        decayed = [p for p in network.parameters() if p.ndim > 1 and p.shape[1] > 1]
        others = [p for p in network.parameters() if not (p.ndim > 1 and p.shape[1] > 1)]
        groups = [{"params": decayed, "weight_decay": self.stage.weight_decay}, {"params": others, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=self.stage.learning_rate, betas=(0.9, 0.99))
        self.bare = network
        self.network, self.optimiser = fabric.setup(network, optimiser)
        task.to(fabric.device)
        self.teachers: Teachers | None = None
        if distillation := self.stage.distillation:
            paths = {t: model_path(self.folder, t) if t in recipe.stages else Path(t) for t in distillation.ours}
            self.teachers = Teachers(fabric, recipe, task, distillation, paths)
            taught_by += self.teachers.origin
        self.taught_by = list({entry["sha256"]: entry for entry in taught_by}.values())
        self.update, self.best_loss, self.looks_without_gain = 0, math.inf, 0
        self.valid: dict[str, float] = {}

    @property
    def checkpoint_path(self) -> Path:
        """The file that a stopped stage goes on from."""
        return checkpoint_path(self.folder, self.name)

    def restore(self) -> None:
        """Go on from the checkpoint, if there is one. Raises InputError if it is another recipe's."""
        if not self.checkpoint_path.exists():
            return
        facts = checkpoint.load(self.checkpoint_path, self.bare, self.average, self.best, self.optimiser)
        refuse_other_recipe(facts.get("recipe"), self.recipe, self.name, self.checkpoint_path)
        if facts["data_hash"] != self.data_hash:
            raise InputError(f"{self.checkpoint_path} was made with other recordings; use another output folder, "
                             f"or remove {self.checkpoint_path.parent}")  # fmt: skip
        self.update, self.valid = facts["update"], facts["valid"]
        self.best_loss = math.inf if facts["best_loss"] is None else facts["best_loss"]
        self.looks_without_gain = facts["looks_without_gain"]
        self._forget_log_after(self.update)

    def run(self, batches: Iterator[Batch], valid_batches: list[Batch], show: Any) -> Path:
        """Train to the end, from wherever it stands, and write the model. Returns the model's path.

        `batches` begins at the present update. `show(Progress)` is called after every update. KeyboardInterrupt leaves a
        checkpoint behind.
        """
        stage = self.stage
        started, heard = time.perf_counter(), 0.0
        writer = SummaryWriter(str(self.folder / self.name / "tensorboard")) if self.fabric.is_global_zero else None
        try:
            while self.update < stage.updates and not (stage.patience and self.looks_without_gain >= stage.patience):
                batch = self._moved(next(batches))
                loss = self._learn(batch)
                self.update += 1
                heard += batch[0].numel() * self.fabric.world_size / self.recipe.front_end.sample_rate
                rate = heard / (time.perf_counter() - started)
                if self.update % stage.valid_every == 0 or self.update == stage.updates:
                    self._look(valid_batches)
                    self._log(writer, loss, rate)
                    self._save_checkpoint()
                show(Progress(self.name, self.update, stage.updates, loss, rate, self.valid))
        except KeyboardInterrupt:
            self._save_checkpoint()
            raise
        finally:
            if writer:
                writer.close()
        return self._finish()

    def _moved(self, batch: Batch) -> Batch:
        return tuple(part.to(self.fabric.device) for part in batch)

    def _losses(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Any]:
        """The stage's loss of a batch, and what the task made of it on the way."""
        total = torch.zeros((), device=batch[0].device)
        if self.teachers is None:
            _, made = self.task.run(network, batch)
        else:
            config = self.teachers.config
            with Recorder(getattr(network, "module", network), config.compared) as layers:
                output, made = self.task.run(network, batch)
            lesson = self.teachers.teach(batch)
            total = total + distillation_loss(config, layers, lesson.layers, output, lesson.output)
            batch = (batch[0], lesson.truth)
        if self.stage.losses:
            total = total + self.task.supervised(made, batch, self.stage.losses)
        return total, made

    def _learn(self, batch: Batch) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.stage, self.update)
        self.optimiser.zero_grad()
        loss, _ = self._losses(self.network, batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(f"stage {self.name}: the loss became {value} at update {self.update}; "
                             "use a smaller learning_rate, or look for broken recordings")  # fmt: skip
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.network, self.optimiser, max_norm=self.stage.clip_gradient)
        self.optimiser.step()
        # The average starts as a plain mean and becomes an exponential one.
        decay = min(self.stage.average, (1 + self.update) / (10 + self.update)) if self.stage.average else 0.0
        with torch.no_grad():
            for mean, present in zip(self.average.state_dict().values(), self.bare.state_dict().values(), strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(present, 1 - decay)
                else:
                    mean.copy_(present)
        return value

    @torch.no_grad()
    def _look(self, batches: list[Batch]) -> None:
        """Losses of the averaged weights on the valid list; the best ones are kept."""
        batches = [self._moved(batch) for batch in batches]
        with self.fabric.autocast():
            looks = [self._losses(self.average, batch) for batch in batches]
        scores = self.task.scores([made for _, made in looks], batches)
        # All processes must agree on when to stop.
        mean_loss = self.fabric.broadcast(sum(float(loss) for loss, _ in looks) / len(looks))
        self.valid = {"loss": mean_loss, **scores}
        if mean_loss < self.best_loss:
            self.best_loss, self.looks_without_gain = mean_loss, 0
            self.best.load_state_dict(self.average.state_dict())
        else:
            self.looks_without_gain += 1

    def _log(self, writer: SummaryWriter | None, loss: float, rate: float) -> None:
        if writer is None:
            return
        entry = {"update": self.update, "loss": loss, "learning_rate": learning_rate(self.stage, self.update),
                 "audio_seconds_per_second": round(rate, 1), **{f"valid_{k}": v for k, v in self.valid.items()}}  # fmt: skip
        with open(self._log_path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        for key, value in entry.items():
            writer.add_scalar(key, value, self.update)

    @property
    def _log_path(self) -> Path:
        path = self.folder / self.name / "log.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _forget_log_after(self, update: int) -> None:
        """Lines of updates that a killed run wrote and the present one will write again."""
        if self._log_path.exists() and self.fabric.is_global_zero:
            lines = self._log_path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["update"] <= update]
            self._log_path.write_text("".join(kept), encoding="utf-8")

    def _facts(self) -> dict[str, Any]:
        best = None if math.isinf(self.best_loss) else self.best_loss
        return {
            "stage": self.name,
            "recipe": stage_record(self.recipe, self.name),
            "data_hash": self.data_hash,
            "update": self.update,
            "valid": self.valid,
            "best_loss": best,
            "looks_without_gain": self.looks_without_gain,
        }

    def _save_checkpoint(self) -> None:
        if self.fabric.is_global_zero:
            checkpoint.save(self.checkpoint_path, self.bare, self.average, self.best, self.optimiser, self._facts())

    def _finish(self) -> Path:
        path = model_path(self.folder, self.name)
        if self.fabric.is_global_zero:
            facts = {**self._facts(), "model": self.stage.model if isinstance(self.stage.model, str) else "custom",
                     "whole_recipe": as_dict(self.recipe), "teachers": self.taught_by}  # fmt: skip
            facts |= {"quantisation": self.grids.as_json()} if self.grids else {}
            kept = self.best if self.stage.keep == "best" else self.average
            save_model(path, kept, self.recipe.front_end, facts)
            self.checkpoint_path.unlink(missing_ok=True)
        self.fabric.barrier()
        return path


def learning_rate(stage: Stage, update: int) -> float:
    """Linear warm-up, then half a cosine to zero at the stage's last update."""
    if update < stage.warmup:
        return stage.learning_rate * (update + 1) / stage.warmup
    share = (update - stage.warmup) / max(1, stage.updates - stage.warmup)
    return stage.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def model_path(folder: Path, stage: str) -> Path:
    """Where a finished stage's model lies."""
    return folder / stage / "model.safetensors"


def checkpoint_path(folder: Path, stage: str) -> Path:
    """Where a stage that is not finished leaves what it goes on from."""
    return folder / stage / "checkpoint.safetensors"


def stage_record(recipe: Recipe, name: str) -> dict[str, Any]:
    """What of a recipe decides a stage's result: its own keys, those of the stages it builds on, and the common ones."""
    stage = recipe.stages[name]
    teachers = stage.distillation.ours if stage.distillation else ()
    record = {key: value for key, value in as_dict(recipe).items()
              if key in ("data", "ship", "seed", "front_end", "mixture", "valid_clips", "precision")}  # fmt: skip
    if recipe.task == "tagging":
        record |= {"task": recipe.task, "tagging": as_dict(recipe.tagging)}
    record["stage"] = as_dict(stage)
    record["builds_on"] = {
        other: stage_record(recipe, other) for other in (stage.start, *teachers) if other in recipe.stages
    }
    return record


def refuse_other_recipe(found: Any, recipe: Recipe, name: str, path: Path) -> None:
    """Raise InputError, naming the first key that differs, if `path` was made by another recipe."""
    wanted = stage_record(recipe, name)
    difference = _first_difference(_completed(found), wanted)
    if difference:
        raise InputError(
            f"{path} was made by another recipe ({difference}); use another output folder, or remove {path.parent}"
        )


def _completed(record: Any) -> Any:
    """A record with the defaults of keys that stages did not have yet when it was made."""
    try:
        stage = as_dict(build(Stage, record["stage"]))
        return {**record, "stage": stage, "builds_on": {k: _completed(v) for k, v in record["builds_on"].items()}}
    except (AttributeError, InputError, KeyError, TypeError):
        return record


def _first_difference(found: Any, wanted: Any, where: str = "") -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(k for k in found if k not in wanted)]:
            difference = _first_difference(found.get(key), wanted.get(key), f"{where}.{key}" if where else key)
            if difference:
                return difference
        return ""
    return "" if found == wanted else f"{where or 'recipe'}: {found!r} then, {wanted!r} now"
