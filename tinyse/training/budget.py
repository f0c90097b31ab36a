"""A budget of wall time: the updates of all stages scaled to what this machine makes of them in so many minutes."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinyse.documents import read_own_json
from tinyse.errors import InputError
from tinyse.files import write_json
from tinyse.recipe import Recipe
from tinyse.training.dry_run import dry_run
from tinyse.training.stage import Progress

FILE = "budget.json"
"""In the output folder: the minutes, the pace that was measured, and the updates that followed."""
MEASURED = 6
"""Updates of each stage that are timed."""
TRAINING = 0.85
"""Share of the minutes that is left for training: the rest is for calibration, export and scores."""
FEWEST = 20
"""Updates of a stage: with fewer the average of the weights is still the start's."""


@dataclass(frozen=True)
class Pace:
    """What a stage takes, in seconds."""

    update: float
    validation: float


def fitted(recipe: Recipe, minutes: float, since: float) -> Recipe:
    """The recipe with as many updates as fit, stages in the proportion that they have (as `schedule` says).

    `since` is when the minutes began, by `time.monotonic`. The first time, every stage makes a few updates, which are timed;
    later the folder has the numbers, so that the same command resumes. Raises InputError for too few minutes, and for a
    folder that was begun with others.
    """
    path = Path(recipe.output) / FILE
    if path.exists():
        found = read_own_json(path, "minutes", "updates")
        if found["minutes"] != minutes:
            raise InputError(f"{recipe.output} was begun with --minutes {found['minutes']:g}, not {minutes:g}: "
                             "say the same, or use another output folder")  # fmt: skip
        return with_updates(recipe, found["updates"])
    paces = measured(recipe)
    before = time.monotonic() - since
    least = math.ceil((before + FEWEST * sum(costs(recipe, paces).values())) / TRAINING / 60)
    if minutes < least:
        raise InputError(
            f"--minutes {minutes:g}: too few, {FEWEST} updates of each stage take {least} minutes on this machine"
        )
    updates = schedule(recipe, paces, 60 * minutes * TRAINING - before)
    facts: dict[str, Any] = {name: vars(pace) for name, pace in paces.items()}
    write_json(path, {"minutes": minutes, "seconds": facts, "updates": updates})
    return with_updates(recipe, updates)


def measured(recipe: Recipe) -> dict[str, Pace]:
    """What each stage takes on this machine, as it is used now, from a dry run."""
    moments: dict[str, list[float]] = defaultdict(list)

    def show(progress: Progress) -> None:
        moments[progress.stage].append(time.monotonic())

    dry_run(recipe, None, updates=MEASURED, show=show)
    return {name: _pace(at) for name, at in moments.items()}


def _pace(moments: list[float]) -> Pace:
    """From the moments after each update: the last one has the validation in it."""
    steps = [after - before for before, after in itertools.pairwise(moments)]
    update = statistics.median(steps[:-1])
    return Pace(update, max(steps[-1] - update, 0.0))


def schedule(recipe: Recipe, paces: Mapping[str, Pace], budget: float) -> dict[str, int]:
    """Updates by stage that take `budget` seconds in all, validations included. A stage that is short in the recipe gets
    the fewest that help it, and the others share what is left."""
    cost = costs(recipe, paces)
    updates: dict[str, int] = {}
    while True:
        others = {name: stage.updates for name, stage in recipe.stages.items() if name not in updates}
        left = budget - sum(count * cost[name] for name, count in updates.items())
        share = left / sum(count * cost[name] for name, count in others.items()) if others else 0.0
        short = dict.fromkeys((name for name, count in others.items() if count * share < FEWEST), FEWEST)
        if not short:
            return {name: updates.get(name) or int(others[name] * share) for name in recipe.stages}
        updates |= short


def costs(recipe: Recipe, paces: Mapping[str, Pace]) -> dict[str, float]:
    """What an update of each stage takes in seconds, with its part of a validation."""
    return {
        name: paces[name].update + paces[name].validation / stage.valid_every for name, stage in recipe.stages.items()
    }


def with_updates(recipe: Recipe, updates: Mapping[str, int]) -> Recipe:
    """The recipe with these updates."""
    return replace(
        recipe, stages={name: replace(stage, updates=updates[name]) for name, stage in recipe.stages.items()}
    )
