"""What follows training: integers of the last stage's model, and the chain of numbers on pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinyse.evaluation.chain import score
from tinyse.evaluation.links import links_for
from tinyse.evaluation.pairs import find_pairs
from tinyse.evaluation.report import as_json, markdown
from tinyse.export import export_model
from tinyse.files import write_json, write_text
from tinyse.mixtures import valid_mixtures
from tinyse.recordings import open_data
from tinyse.training.recipe import Recipe
from tinyse.training.run import data_path


def export_and_evaluate(recipe: Recipe, model: Path, say: Callable[[str], None]) -> None:
    """Write the .tflite beside `model`, score every link on the recipe's pairs and write both reports.

    What is there already and newer than the model is not made again.
    """
    integers, scores = model.with_suffix(".tflite"), model.parent / "scores.json"
    if not newer(integers, model):
        mixtures = valid_mixtures(open_data(data_path(recipe.data)), recipe.export.clips)
        clips = [(f"valid mixture {index}", mixture.noisy) for index, mixture in enumerate(mixtures)]
        say(export_model(model, clips, precision=recipe.export.precision).text)
    if newer(scores, integers):
        say(f"scored before: {scores}")
        return
    pairs = find_pairs(pairs_folder(recipe), recipe.evaluation.limit or None)
    result = score(links_for(model), pairs, processes=2)
    write_json(scores, as_json(result))
    write_text(scores.with_suffix(".md"), markdown(result))
    say(markdown(result))


def pairs_folder(recipe: Recipe) -> Path:
    """Where the recipe's pairs lie."""
    return Path(recipe.evaluation.pairs) if recipe.evaluation.pairs else data_path(recipe.data) / "benchmark"


def newer(path: Path, than: Path) -> bool:
    """Whether `path` is there and not older than `than`."""
    return path.exists() and path.stat().st_mtime >= than.stat().st_mtime
