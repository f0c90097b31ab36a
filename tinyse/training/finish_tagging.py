"""What follows training a tagger: integers of the last stage's model, and its scores on the folds kept for that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np

from tinyse.errors import InputError
from tinyse.evaluation.report import Table, as_markdown
from tinyse.evaluation.tag_links import float_tags, integer_tags
from tinyse.evaluation.tags import TagScores
from tinyse.export import export_model
from tinyse.files import write_json, write_text
from tinyse.training.recipe import Recipe
from tinyse.training.tagging import Tagging

SECONDS = 4.0
"""Of a clip that calibrates or is scored."""


def export_and_score_tags(recipe: Recipe, model: Path, say: Callable[[str], None]) -> tuple[Path, list[Table]]:
    """Write the .tflite beside `model`, calibrated on the valid folds, and score both on the test folds, if there are any.

    Writes scores.json and scores.md. Returns the .tflite and the tables.
    """
    clips, _, _ = labelled_mixtures(recipe, "valid", SECONDS, recipe.export.clips)
    named = [(f"valid mixture {index}", clip) for index, clip in enumerate(clips)]
    exported = export_model(model, named, precision=recipe.export.precision)
    say(exported.summary)
    if not recipe.tagging.test:
        return exported.integers, []
    say(f"scoring {recipe.tagging.test_clips} mixtures of the test folds")
    clips, labels, classes = labelled_mixtures(recipe, "test", SECONDS, recipe.tagging.test_clips)
    scores = {
        "float": TagScores.of(float_tags(model, clips), labels, classes),
        recipe.export.precision: TagScores.of(integer_tags(exported.integers, clips), labels, classes),
    }
    write_json(model.parent / "scores.json", {link: asdict(score) for link, score in scores.items()})
    made = tables(scores)
    write_text(model.parent / "scores.md", as_markdown(made))
    return exported.integers, made


def labelled_mixtures(
    recipe: Recipe, part: Literal["valid", "test"], seconds: float, count: int
) -> tuple[list[np.ndarray], np.ndarray, tuple[str, ...]]:
    """The first `count` mixtures of a part's folds, the same in every run: sounds, labels (clips, classes), classes."""
    task, folds = Tagging(recipe), getattr(recipe.tagging, part)
    if not folds:
        raise InputError(f"tagging.{part}: name one fold or more")
    mixer = task.mixer(folds, seconds, 0)
    sounds, labels = zip(*(mixer(0, index) for index in range(count)), strict=True)
    return list(sounds), np.stack(labels), task.data.classes


def tables(scores: dict[str, TagScores]) -> list[Table]:
    """All links beside one another, and their classes."""
    rows = tuple(
        (link, *(f"{value:.3f}" for value in (s.micro_auprc, s.macro_auprc, s.mean_average_precision)))
        for link, s in scores.items()
    )
    classes = next(iter(scores.values())).average_precision
    by_class = tuple((name, *(f"{s.average_precision[name]:.3f}" for s in scores.values())) for name in classes)
    clips = next(iter(scores.values())).clips
    return [
        Table("Tags of the test folds", ("link", "micro AUPRC", "macro AUPRC", "mAP"), rows, f"{clips} mixtures."),
        Table("Average precision by class", ("class", *scores), by_class),
    ]
