"""Options that several commands have, and what they are read as."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyse.errors import needs
from tinyse.released import DEFAULT
from tinyse.streaming.opening import EngineName

if TYPE_CHECKING:
    from tinyse.models.making import Networks

Model = Annotated[
    str | None,
    typer.Option(help=f"A .tflite, a .safetensors or a name; by default {DEFAULT}, which comes with tinyse."),
]
Engine = Annotated[
    EngineName | None,
    typer.Option(help="The engine; by default c for the models that come with tinyse, else one that fits the file."),
]
AttenuationLimit = Annotated[
    float | None, typer.Option(help="Attenuate by at most this many dB: 12 leaves some of the noise.", min=0)
]
Purpose = Annotated[
    str | None,
    typer.Option("--for", metavar="PRESET", help="Strength by purpose: listening, or recognition for a recognizer."),
]
FromRecipe = Annotated[
    Path | None,
    typer.Option("--recipe", metavar="FILE", help="For a network of your own: the recipe that names its class."),
]


def listed(text: str) -> tuple[str, ...]:
    """The parts of a list with commas."""
    return tuple(part for each in text.split(",") if (part := each.strip()))


def networks_in(recipe: Path | None) -> Networks:
    """The classes that a recipe names; none without one. Raises InputError for a class that is not a network."""
    if recipe is None:
        return ()
    from tinyse.recipe_files import read_recipe

    values = read_recipe(recipe)
    with needs("train"):
        from tinyse.tasks.stage_networks import networks_of
        from tinyse.training.recipe import recipe_from
    return networks_of(recipe_from(values))
