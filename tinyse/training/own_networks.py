"""The networks of your own in a recipe, tried before anything is written or trained."""

from __future__ import annotations

import hashlib
import json

from firmware_export.lowering import lower
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


def network_hash(recipe: Recipe, name: str) -> dict[str, str]:
    """`{"network_hash": ...}` of the operators that the class of a stage emits; empty for a network of ours.

    A class may change while its recipe stays: what it computes may not, while its run is unfinished.
    """
    stage = recipe.stages[name]
    if not isinstance(stage.model, OwnNetwork):
        return {}
    graph = TASKS[recipe.task].untrained(recipe, stage).eval().emit()
    operators = [(each.kind, each.inputs, each.outputs, sorted(each.options.items())) for each in graph.operators]
    shapes = {name: tensor.shape for name, tensor in graph.tensors.items()}
    text = json.dumps([operators, shapes, graph.inputs, graph.outputs], default=str)
    return {"network_hash": hashlib.sha256(text.encode()).hexdigest()}
