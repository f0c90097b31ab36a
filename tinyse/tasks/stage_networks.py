"""The networks of a recipe's stages: the only place where code that a recipe names is imported."""

from __future__ import annotations

from dataclasses import replace

from tinyse.errors import InputError
from tinyse.models.architecture import OwnNetwork
from tinyse.models.making import Networks, find_class, make, name_of
from tinyse.models.network import Network
from tinyse.recipe import Recipe, Stage


def networks_of(recipe: Recipe) -> Networks:
    """The classes of your own that the stages of a recipe name. Raises InputError for a class that is not a network."""
    named = [
        (stage.model.python, key_of(recipe, stage))
        for stage in recipe.stages.values()
        if isinstance(stage.model, OwnNetwork)
    ]
    return tuple(dict.fromkeys(find_class(name, key) for name, key in named))


def network_of(recipe: Recipe, stage: Stage, task: str, classes: tuple[str, ...]) -> Network:
    """The untrained network of a stage. Raises InputError, by key, for what it cannot be made with."""
    architecture, networks = stage.architecture, networks_of(recipe)
    if isinstance(architecture, OwnNetwork):
        # By the name that model files give it, whichever module the recipe takes it from.
        architecture = replace(architecture, python=name_of(find_class(architecture.python, key_of(recipe, stage))))
    try:
        return make(architecture, recipe.front_end.bands, task, classes, networks)
    except InputError as error:
        raise InputError(f"{key_of(recipe, stage)}: {error}") from error


def key_of(recipe: Recipe, stage: Stage) -> str:
    """The key of a stage's model, for messages."""
    return next((f"stages.{name}.model" for name, each in recipe.stages.items() if each is stage), "model")
