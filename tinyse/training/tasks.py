"""The task of a recipe, opened."""

from __future__ import annotations

from tinyse.training.enhancement import Enhancement
from tinyse.training.recipe import Recipe
from tinyse.training.tagging import Tagging
from tinyse.training.task import Task


def open_task(recipe: Recipe) -> Task:
    """The task that a recipe names, its data opened. Raises InputError where that cannot be used."""
    return Tagging(recipe) if recipe.task == "tagging" else Enhancement(recipe)
