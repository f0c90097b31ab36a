"""The option by which a command that reads a .safetensors gets the classes of a network of your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyse.errors import needs

if TYPE_CHECKING:
    from tinyse.models.making import Networks

FromRecipe = Annotated[
    Path | None,
    typer.Option("--recipe", metavar="FILE", help="For a network of your own: the recipe that names its class."),
]


def networks_in(recipe: Path | None) -> Networks:
    """The classes that a recipe names; none without one. Raises InputError for what is no network."""
    if recipe is None:
        return ()
    with needs("train"):
        from tinyse.tasks.stage_networks import networks_of
        from tinyse.training.recipe import load_recipe
    return networks_of(load_recipe(recipe))
