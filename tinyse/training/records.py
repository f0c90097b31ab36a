"""What a stage records beside its weights: log.jsonl, TensorBoard, and the recipe and data that it was made by."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from tinyse.config import as_dict, build
from tinyse.errors import InputError
from tinyse.files import write_text
from tinyse.mixtures.config import MixtureConfig
from tinyse.recipe import Recipe, Stage
from tinyse.spectra.front_end import FrontEndConfig
from tinyse.tasks import TASKS


class Log:
    """A line in FOLDER/log.jsonl and a point in FOLDER/tensorboard for each validation."""

    def __init__(self, folder: Path, update: int) -> None:
        """Lines after `update`, which a killed run wrote and the present one will write again, are dropped; broken ones too."""
        self.path = folder / "log.jsonl"
        try:
            if self.path.exists():
                lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
                write_text(self.path, "".join(line for line in lines if _is_entry(line, update)))
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = SummaryWriter(str(folder / "tensorboard"))
        except OSError as error:
            raise InputError(f"cannot write {folder}: {error.strerror or error}") from error

    def add(self, update: int, values: dict[str, float]) -> None:
        """Raises InputError where the disk takes no more."""
        entry = {"update": update, **{k: v if math.isfinite(v) else None for k, v in values.items()}}
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry, allow_nan=False) + "\n")
            for key, value in values.items():
                self._writer.add_scalar(key, value, update)
        except OSError as error:
            raise InputError(
                f"cannot write {self.path}: {error.strerror or error}; make room and start again with the same command"
            ) from error

    def close(self) -> None:
        """Write what TensorBoard still holds back."""
        try:
            self._writer.close()
        except OSError as error:
            raise InputError(f"cannot write {self.path.parent / 'tensorboard'}: {error.strerror or error}") from error


def _is_entry(line: str, update: int) -> bool:
    try:
        return line.endswith("\n") and json.loads(line)["update"] <= update
    except (KeyError, TypeError, ValueError):
        return False


def stage_record(recipe: Recipe, name: str) -> dict[str, Any]:
    """What of a recipe decides a stage's result: its own keys, those of the stages it builds on, and the common ones."""
    stage = recipe.stages[name]
    teachers = stage.distillation.ours if stage.distillation else ()
    record = {key: value for key, value in as_dict(recipe).items()
              if key in ("data", "ship", "seed", "front_end", "mixture", "valid_clips", "precision")}  # fmt: skip
    if recipe.task != "denoise":  # records from before there were others do not name it
        record |= {"task": recipe.task}
    if (options := TASKS[recipe.task].options_of(recipe)) is not None:
        record |= {recipe.task: as_dict(options)}
    record["stage"] = as_dict(stage)
    record["builds_on"] = {
        other: stage_record(recipe, other) for other in (stage.start, *teachers) if other in recipe.stages
    }
    return record


def refuse_others(facts: Mapping[str, Any], recipe: Recipe, name: str, data: Mapping[str, str], path: Path) -> None:
    """Raise InputError if `path`, whose header is `facts`, was made by another recipe or from other recordings or
    weights than `data`.

    Files from before a name of the data was kept pass.
    """
    refuse_other_recipe(facts.get("recipe"), recipe, name, path)
    for key, what in (
        ("data_hash", "recordings"),
        ("valid_hash", "recordings of the valid split"),
        ("start_hash", "weights in the file that it starts from"),
        ("teacher_hash", "weights in the file that teaches it"),
        ("network_hash", "operators of its network, whose class has changed"),
    ):
        if key in facts and key in data and facts[key] != data[key]:
            raise InputError(f"{path} was made with other {what}; use another output folder, or remove {path.parent}")


def refuse_other_recipe(found: Any, recipe: Recipe, name: str, path: Path) -> None:
    """Raise InputError, naming the first key that differs, if `path` was made by another recipe."""
    wanted = stage_record(recipe, name)
    difference = _first_difference(_completed(found), wanted)
    if difference:
        raise InputError(
            f"{path} was made by another recipe ({difference}); use another output folder, or remove {path.parent}"
        )


def _completed(record: Any) -> Any:
    """A record with the defaults of keys that stages, mixtures and front ends did not have yet when it was made."""
    try:
        stage = as_dict(build(Stage, record["stage"]))
        mixture = as_dict(build(MixtureConfig, record["mixture"]))
        return {
            **record,
            "front_end": as_dict(build(FrontEndConfig, record["front_end"])),
            "stage": stage,
            "mixture": mixture,
            "builds_on": {k: _completed(v) for k, v in record["builds_on"].items()},
        }
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
