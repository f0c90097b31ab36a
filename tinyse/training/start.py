"""What a stage starts or resumes from: its checkpoint, an earlier stage, a released model, or a model file of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from tinyse import released
from tinyse.config import as_dict
from tinyse.errors import InputError
from tinyse.files import sha256
from tinyse.models.architecture import check_fits
from tinyse.models.files import load_model, load_weights
from tinyse.models.network import Encoder, Network, parameters
from tinyse.models.widening import widen
from tinyse.recipe import Recipe
from tinyse.tasks import TASKS
from tinyse.tasks.stage_networks import networks_of


def model_path(folder: Path, stage: str) -> Path:
    """Where a finished stage's model lies."""
    return folder / stage / "model.safetensors"


def checkpoint_path(folder: Path, stage: str) -> Path:
    """Where the checkpoint of an unfinished stage lies."""
    return folder / stage / "checkpoint.safetensors"


def start_path(recipe: Recipe, name: str) -> Path:
    """The weights that the stage `name` starts from. Raises InputError, by key, where there is no such file."""
    start = recipe.stages[name].start
    if start is None:
        raise ValueError(f"the stage {name} starts from random weights")
    if start in recipe.stages:
        return model_path(Path(recipe.output), start)
    try:
        return released.find_weights(start)
    except InputError as error:
        raise InputError(f"stages.{name}.start: {error}") from error


def start_hash(recipe: Recipe, name: str) -> dict[str, str]:
    """`{"start_hash": SHA-256}` of a file that is no stage's of this recipe; empty where there is none, or it is gone."""
    start = recipe.stages[name].start
    if start is None or start in recipe.stages:
        return {}
    try:
        return {"start_hash": sha256(start_path(recipe, name))}
    except InputError:
        return {}


def teacher_paths(recipe: Recipe, name: str) -> dict[str, Path]:
    """The weights of our own teachers of the stage `name`, by what the recipe calls them. Raises InputError, by key, where
    there is no such file and no stage will make it."""
    distillation = recipe.stages[name].distillation
    try:
        return {
            each: model_path(Path(recipe.output), each) if each in recipe.stages else released.find_weights(each)
            for each in (distillation.ours if distillation else ())
        }
    except InputError as error:
        raise InputError(f"stages.{name}.distillation.teacher: {error}; train the teacher first, or name another model "
                         f"({', '.join(released.weights())})") from error  # fmt: skip


def teacher_hash(recipe: Recipe, name: str) -> dict[str, str]:
    """`{"teacher_hash": SHA-256}` of the files that teach the stage `name` and are no stage's of this recipe; empty where
    there is none, or one is gone."""
    distillation = recipe.stages[name].distillation
    if distillation is None:
        return {}
    try:
        ours = [path for each, path in teacher_paths(recipe, name).items() if each not in recipe.stages]
        digests = [sha256(path) for path in [*ours, *(Path(each.onnx) for each in distillation.external)]]
    except InputError:
        return {}
    return {"teacher_hash": " ".join(digests)} if digests else {}


def check_start(recipe: Recipe, name: str) -> None:
    """Check that the stage's teachers exist, and open the model that it starts from; stages of the recipe come later.

    Raises InputError, by key, for a model that is missing or broken, or of another task or front end, or whose weights the
    stage's network has no room for.
    """
    teacher_paths(recipe, name)
    start = recipe.stages[name].start
    if start is None or start in recipe.stages:
        return
    path, where = start_path(recipe, name), f"stages.{name}.start"
    trained, front_end, header = load_model(path, networks_of(recipe))
    stage = recipe.stages[name]
    untrained = TASKS[recipe.task].untrained(recipe, stage)
    if header["task"] != recipe.task:
        raise InputError(f"{where}: the task of {path} is {header['task']!r}, the recipe's {recipe.task!r}")
    found, wanted = as_dict(front_end), as_dict(recipe.front_end)
    for key in wanted:
        if found[key] != wanted[key]:
            raise InputError(f"{where}: {path} was trained with front_end.{key} {found[key]}, the recipe says "
                             f"{wanted[key]}; take its front end, or another start")  # fmt: skip
    try:
        check_fits(untrained.architecture, trained.architecture, same=stage.quantize is not None)
    except InputError as error:
        raise InputError(
            f"{where}: {path} has another architecture: {error}; take its widths, or another start"
        ) from error


class Start(NamedTuple):
    """The weights that a stage started from."""

    parameters: int
    widened: bool
    """Whether they are a part of a wider network."""
    teachers: list[dict[str, Any]]
    """Records of the teachers that they learned from."""


def load_start(recipe: Recipe, name: str, network: Network) -> Start:
    """Give `network` the weights that its stage starts from, a wider one as a part of its own.

    Raises InputError, by weight, where they do not fit.
    """
    path = start_path(recipe, name)
    trained, _, header = load_model(path, networks_of(recipe))
    if (
        widened := trained.architecture != network.architecture
        and isinstance(trained, Encoder)
        and isinstance(network, Encoder)
    ):
        widen(trained, network)
    else:
        load_weights(network, trained.state_dict(), f"stages.{name}.start: {path}")
    return Start(parameters(trained), widened, header.get("teachers", []))
