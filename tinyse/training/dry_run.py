"""A dry run: the whole recipe in small before the first real update, so that no error waits for the hours after it.

Every stage makes one update of its real batch from its real data, with its teachers and losses, on the way that the run
will take; the last model is exported and scored on one pair. What cannot work ends here, in seconds: layers that a network
does not have, views of unequal resolution, a teacher of another front end, a batch that memory does not hold, an operator
that the runtime lacks, a folder that cannot be written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tinyse.errors import InputError
from tinyse.files import free_bytes
from tinyse.models.network import parameters
from tinyse.progress import silent
from tinyse.recipe import Recipe, Stage
from tinyse.tasks import TASKS
from tinyse.tasks.task import Plan
from tinyse.training.finish import finish
from tinyse.training.run import run
from tinyse.training.stage import Progress
from tinyse.training.start import model_path

FOLDER = ".dry-run"
MEGABYTE = 1_000_000
FULL = ("out of memory", "allocate memory")
"""How torch says that there was no memory, of a GPU and of the machine."""
OTHER_FILES = 100 * MEGABYTE
"""Logs, examples, pairs, exported files."""


def dry_run(
    recipe: Recipe,
    plan: Plan | None,
    rank: int = 0,
    updates: int = 1,
    show: Callable[[Progress], None] = silent,
) -> None:
    """Run `recipe` in small, and what `plan` says follows it, in a folder inside its output that is then removed.

    Every stage makes `updates`, and `show` is called after each. Nothing that the run computes depends on it. Under torchrun
    all processes take part; `rank` is this one's. Raises InputError for what the user can fix.
    """
    folder = Path(recipe.output) / FOLDER
    if rank == 0:
        shutil.rmtree(folder, ignore_errors=True)
    small = replace(
        recipe,
        output=str(folder),
        stages={name: _small(stage, updates) for name, stage in recipe.stages.items()},
        **TASKS[recipe.task].for_dry_run(recipe),
        export=replace(recipe.export, clips=1),
    )
    try:
        model = run(small, show, silent)
        if plan is not None and rank == 0:
            finish(small, replace(plan, limit=1), model, silent, processes=1)
    except (MemoryError, RuntimeError) as error:  # torch has a class of its own for a GPU's memory alone
        if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in FULL):
            raise
        raise InputError(
            "the dry run ran out of memory: give the largest stage a smaller batch or shorter clips"
        ) from error
    finally:
        if rank == 0:
            shutil.rmtree(folder, ignore_errors=True)


def is_finished(recipe: Recipe) -> bool:
    """Whether every stage is trained already."""
    return all(model_path(Path(recipe.output), name).exists() for name in recipe.stages)


def refuse_full_disk(recipe: Recipe) -> None:
    """Raise InputError where the output's disk cannot take models, checkpoints and reports of a run."""
    folder = Path(recipe.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output: cannot make the folder {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"output: the folder {folder} cannot be written; name another with --set output=FOLDER")
    needed, free = bytes_needed(recipe), free_bytes(folder)
    if free < needed:
        raise InputError(
            f"output: the disk of {folder} has {free // MEGABYTE} MB free, this run needs {needed // MEGABYTE} MB; free "
            "some, or name a folder of another disk with --set output=FOLDER"
        )


def bytes_needed(recipe: Recipe) -> int:
    """An upper bound: a float32 model per stage, and twice a checkpoint, which is written beside the old one."""
    sizes = [4 * parameters(TASKS[recipe.task].untrained(recipe, stage)) for stage in recipe.stages.values()]
    copies = 5  # network, average, best, two moments
    return sum(sizes) + 2 * copies * max(sizes) + OTHER_FILES


def _small(stage: Stage, updates: int) -> Stage:
    quantize = replace(stage.quantize, clips=1) if stage.quantize else None
    return replace(stage, updates=updates, quantize=quantize, patience=0)  # a pace is measured on all of them
