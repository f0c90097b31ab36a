"""What follows training: the last stage's model quantized, and its scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinyse.documents import read_own_json
from tinyse.export import export_model
from tinyse.files import newer
from tinyse.recipe import Recipe
from tinyse.tasks import TASKS
from tinyse.tasks.stage_networks import networks_of
from tinyse.tasks.task import Plan, Scored


@dataclass(frozen=True)
class Finished:
    """What a finished run leaves for the user."""

    quantized: Path
    """The .tflite."""
    scored: Scored


def plan(recipe: Recipe) -> Plan:
    """Look at everything that a run needs once it is trained. Raises InputError for what would fail after hours."""
    return TASKS[recipe.task].plan(recipe)


def finish(recipe: Recipe, plan: Plan, model: Path, say: Callable[[str], None], processes: int = 2) -> Finished:
    """Write the .tflite beside `model` and score it as planned. What the same recipe made before is kept."""
    task, quantized = TASKS[recipe.task], model.with_suffix(".tflite")
    if is_exported(recipe, model, quantized):
        say(f"exported before: {quantized}")
    else:
        say(
            export_model(
                model,
                task.calibration(recipe, recipe.export.clips),
                precision=recipe.export.precision,
                networks=networks_of(recipe),
            ).summary
        )
    return Finished(quantized, task.score(recipe, plan, model, quantized, say, processes))


def is_exported(recipe: Recipe, model: Path, quantized: Path) -> bool:
    """Whether the .tflite is newer than the model, and of the precision and the number of clips that the recipe asks for."""
    report = quantized.with_name(f"{quantized.stem}-report.json")
    if not (newer(quantized, model) and report.exists()):
        return False
    made = read_own_json(report, "precision", "calibration")
    clips = made["calibration"]  # none where the model brought its quantization parameters along
    return made["precision"] == recipe.export.precision and (clips is None or len(clips) == recipe.export.clips)
