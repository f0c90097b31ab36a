"""A budget of minutes: updates follow from the pace of the machine, once, and stay when the run resumes."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from tinyse import shipped_recipes  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.training import adaptation, budget  # noqa: E402
from tinyse.training.budget import Pace  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.stage import Progress  # noqa: E402

PACES = {"adapt": Pace(0.5, 4.0), "integers": Pace(2.0, 10.0)}


@pytest.fixture
def recipe(tmp_path):
    return load_recipe(shipped_recipes.folder() / "adapt.yaml", [f"output={tmp_path / 'out'}"])


def seconds(recipe, updates, paces):
    return sum(
        updates[name] * (paces[name].update + paces[name].validation / stage.valid_every)
        for name, stage in recipe.stages.items()
    )


@pytest.mark.parametrize("minutes", [20, 90])
def test_updates_take_the_time_and_keep_their_proportion(recipe, minutes):
    updates = budget.schedule(recipe, PACES, 60 * minutes)
    assert seconds(recipe, updates, PACES) == pytest.approx(60 * minutes, rel=0.1)
    whole = {name: stage.updates for name, stage in recipe.stages.items()}
    assert updates["adapt"] / updates["integers"] == pytest.approx(whole["adapt"] / whole["integers"], rel=0.2)


@pytest.mark.parametrize("minutes", [1, 2, 5])
def test_a_short_stage_does_not_make_the_long_one_long(recipe, minutes):
    """A third of the updates of both was the least there was: ten minutes of one core."""
    updates = budget.schedule(recipe, PACES, 60 * minutes)
    assert updates["integers"] == budget.FEWEST and updates["adapt"] >= budget.FEWEST
    assert seconds(recipe, updates, PACES) == pytest.approx(60 * minutes, rel=0.1)


def test_a_machine_of_half_the_pace_makes_half_the_updates(recipe):
    slow = {name: Pace(2 * pace.update, 2 * pace.validation) for name, pace in PACES.items()}
    fast, half = (budget.schedule(recipe, paces, 1200) for paces in (PACES, slow))
    assert half["adapt"] == pytest.approx(fast["adapt"] / 2, abs=1)


def test_the_pace_leaves_the_first_update_and_the_validation_out(recipe, monkeypatch):
    """The first update waits for what is loaded and compiled, the last one validates."""
    now = [0.0]

    def dry_run(recipe, plan, updates, show):
        for name in recipe.stages:
            for update in range(1, updates + 1):
                now[0] += 30 if update == 1 else 3.5 if update == updates else 0.5
                show(Progress(name, update, updates, 0.0, 0.0, {}))

    monkeypatch.setattr(budget, "dry_run", dry_run)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert budget.measured(recipe) == dict.fromkeys(recipe.stages, Pace(0.5, 3.0))


def test_what_was_fitted_once_stays_and_other_minutes_are_refused(recipe, monkeypatch):
    monkeypatch.setattr(budget, "measured", lambda recipe: PACES)
    first = budget.fitted(recipe, 20, time.monotonic())
    assert 0.7 * 1200 < seconds(recipe, {k: v.updates for k, v in first.stages.items()}, PACES) < 1200
    monkeypatch.setattr(budget, "measured", lambda recipe: pytest.fail("it was measured before"))
    assert budget.fitted(recipe, 20, time.monotonic()) == first
    with pytest.raises(InputError, match="begun with --minutes 20, not 10"):
        budget.fitted(recipe, 10, time.monotonic())


def test_too_few_minutes_are_refused_before_anything_is_written(recipe, monkeypatch, tmp_path):
    monkeypatch.setattr(budget, "measured", lambda recipe: PACES)
    with pytest.raises(InputError, match=r"--minutes 1: too few, .* take 2 minutes"):
        budget.fitted(recipe, 1, time.monotonic())
    assert not (tmp_path / "out").exists()
    fitted = budget.fitted(recipe, 2, time.monotonic())
    assert min(stage.updates for stage in fitted.stages.values()) >= budget.FEWEST
    with pytest.raises(InputError, match="--minutes 20"):
        budget.fitted(replace(recipe, output=str(tmp_path / "other")), 20, time.monotonic() - 1200)


def test_a_dry_run_measures_every_stage(tiny, tmp_path, monkeypatch):
    import own_recordings
    from test_adapt import SHORT

    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    rehearsal = own_recordings.write(tmp_path / "rehearsal")
    early = ("stages.adapt.patience=1", "stages.adapt.valid_every=1", "stages.adapt.learned=0")
    base = adaptation.base_of(str(tiny.weights))
    recipe = replace(
        adaptation.recipe_of(base, str(rehearsal), tmp_path / "out", [*SHORT, *early]), data=str(rehearsal)
    )
    paces = budget.measured(recipe)
    assert list(paces) == ["adapt", "integers"] and all(pace.update > 0 for pace in paces.values())
