"""The networks of your own in a recipe, tried before anything is written or trained."""

from __future__ import annotations

from firmware_export.program import lower
from tinyse.errors import InputError
from tinyse.models.architecture import OwnNetwork
from tinyse.models.check import check_network
from tinyse.recipe import Recipe
from tinyse.targets.forecast import random_step
from tinyse.targets.support import refuse_missing
from tinyse.tasks import TASKS

C_PRECISION = "int8"
"""What the kernels of the firmware compute in."""


def check_networks(recipe: Recipe) -> None:
    """Import and try each class of your own that a stage names.

    Raises InputError, by key, for what cannot be imported or made, is not causal, or has layers that no backend has: the
    last one is quantized and becomes C, in small.
    """
    last = list(recipe.stages)[-1]
    for name, stage in recipe.stages.items():
        if not isinstance(stage.model, OwnNetwork):
            continue
        network = TASKS[recipe.task].untrained(recipe, stage)
        try:
            check_network(network)
            if name == last:
                quantized = random_step(network.emit(), recipe.export.precision)
                refuse_missing(quantized, "tflm")
                if recipe.export.precision == C_PRECISION:
                    lower(quantized)
        except InputError as error:
            raise InputError(f"stages.{name}.model: {stage.model.python}: {error}") from error
