"""From the keys and values of a recipe to the recipe, checked by the task that is to take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyse.config import build
from tinyse.recipe import Recipe
from tinyse.recipe_files import read_recipe
from tinyse.tasks import TASKS, task_named


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a YAML file; each override is KEY=VALUE, with dots between keys and the value in YAML.

    Raises InputError for a missing file, broken YAML, an unknown key or a value that does not fit.
    """
    return recipe_from(read_recipe(path, overrides))


def recipe_from(values: Mapping[str, Any]) -> Recipe:
    """The recipe of plain values, checked by its task; the keys of a task stand under the task's name.

    Raises InputError, by key, for what is unknown or does not fit. Keys of other tasks mean nothing and are dropped.
    """
    task = task_named(values.get("task", "denoise"))
    common = {key: value for key, value in values.items() if key not in TASKS}
    if task.name in values:
        common["options"] = values[task.name]
    recipe = build(Recipe, common)
    task.check(recipe)
    return recipe
