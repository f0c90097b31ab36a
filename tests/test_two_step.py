"""The comparison of schedules: equal lengths, finalists by the valid split alone, and nothing is done twice."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("pesq")

from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import two_step
from two_step_plan import SCHEDULES, Comparison, Run, finalists, planned, recipe

from tinyse.errors import InputError
from tinyse.recipe import Quantize
from tinyse.training.recipe import load_recipe

RECIPE = """
stages:
  supervise: {model: student-30k, updates: 5, batch: 2, seconds: 0.5, losses: {signal_to_noise: 0.05}}
valid_clips: 2
precision: 32-true
workers: 0
"""
TEACHER = "{channels: [4, 4, 4, 4], groups: 2}"


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return load_recipe(path)


def first_seed(comparison, student, scores):
    return {Run(student, schedule, comparison.seeds[0]): score for schedule, score in scores.items()}


@pytest.mark.parametrize("updates", [2, 7, 1000])
def test_every_student_gets_the_same_number_of_updates(base, updates):
    comparison = Comparison(base, "out", updates=updates)
    for schedule in SCHEDULES:
        stages = recipe(comparison, Run("student-62k", schedule, 0)).stages
        assert sum(stage.updates for stage in stages.values()) == updates
        assert all(stage.patience == 0 for stage in stages.values())


def test_two_steps_first_only_distill_and_then_only_supervise(base):
    distill, supervise = recipe(Comparison(base, "out"), Run("student-62k", "two-step-bin", 3)).stages.values()
    assert distill.losses == {} and distill.distillation.views == {"bin": 1.0}
    assert supervise.losses == base.stages["supervise"].losses and supervise.distillation is None
    mixed = recipe(Comparison(base, "out"), Run("student-62k", "mixture-batch", 3)).stages["supervise"]
    assert mixed.losses == supervise.losses and set(mixed.distillation.views) == {"batch"}


def test_a_variant_changes_what_its_name_says_and_nothing_else(base):
    names = "two-step-bin", "two-step-bin@share=0.4@rate=1e-3@then=2e-3@layers=encoder+gru"
    comparison = Comparison(base, "out", schedules=names, updates=100)
    plain, other = (recipe(comparison, Run("student-62k", name, 0)) for name in names)
    assert plain.output != other.output
    distill, supervise = other.stages.values()
    assert (distill.updates, supervise.updates) == (40, 60)
    assert (distill.learning_rate, supervise.learning_rate) == (1e-3, 2e-3)
    layers = ("encoder_1", "encoder_2", "encoder_3", "encoder_4", "gru")
    assert distill.distillation == dataclasses.replace(plain.stages["distill"].distillation, layers=layers)


def test_one_step_has_a_rate_too(base):
    (stage,) = recipe(Comparison(base, "out"), Run("student-62k", "supervised@rate=8e-3", 0)).stages.values()
    (plain,) = recipe(Comparison(base, "out"), Run("student-62k", "supervised", 0)).stages.values()
    assert stage == dataclasses.replace(plain, learning_rate=8e-3)


def test_views_may_be_combined(base):
    distill, _ = recipe(
        Comparison(base, "out"), Run("student-62k", "two-step-bin+utterance@share=0.4", 0)
    ).stages.values()
    assert list(distill.distillation.views) == ["bin", "utterance"]
    assert distill.distillation.views["bin"] == 1.0 and distill.distillation.views["utterance"] > 1.0


def test_a_stage_of_quantization_aware_training_lends_no_settings(base):
    stage = base.stages["supervise"]
    quantized = dataclasses.replace(stage, start="supervise", quantize=Quantize(), learning_rate=1e-5)
    both = dataclasses.replace(base, stages={"supervise": stage, "integers": quantized})
    (trained,) = recipe(Comparison(both, "out"), Run("student-62k", "supervised", 0)).stages.values()
    assert trained.learning_rate == stage.learning_rate and trained.quantize is None


def test_all_students_learn_from_one_teacher_in_a_folder_of_its_own(base):
    comparison = Comparison(base, "out")
    folders = {recipe(comparison, run).output for run in planned(comparison, {})}
    assert len(folders) == len(planned(comparison, {}))
    learned = recipe(comparison, Run("student-30k", "output", 1)).stages["supervise"].distillation
    assert learned.teacher == str(comparison.teacher_path)


def test_the_finalists_are_the_baseline_and_the_best_on_valid_of_each_kind():
    scores = dict.fromkeys(SCHEDULES, 5.0) | {"two-step-bin": 6.0, "mixture-frame": 5.5, "supervised": 1.0}
    assert finalists(tuple(SCHEDULES), scores) == ["supervised", "mixture-frame", "two-step-bin"]
    assert finalists(("supervised", "output"), {"supervised": 2.0, "output": 1.0}) == ["supervised", "output"]
    assert finalists(tuple(SCHEDULES), {"supervised": 1.0}) == []


def test_the_baseline_is_tuned_like_its_rivals():
    schedules = ("supervised", "supervised@rate=8e-3", "two-step-bin", "two-step-bin@rate=8e-3")
    scores = dict(zip(schedules, (5.0, 5.2, 5.4, 5.3), strict=True))
    assert finalists(schedules, scores) == ["supervised@rate=8e-3", "two-step-bin"]


def test_the_teacher_runs_first_and_further_seeds_last(base):
    comparison = Comparison(base, "out", seeds=(4, 5))
    runs = planned(comparison, {})
    assert runs[0] == comparison.teacher_run
    assert runs[1:5] == [
        Run("student-62k", name, 4) for name in ("supervised", "two-step-frame", "output", "mixture-batch")
    ]
    assert [run.model for run in runs[1:]] == ["student-62k"] * 8 + ["student-30k"] * 8
    valid = first_seed(comparison, "student-62k", {name: float(index) for index, name in enumerate(SCHEDULES)})
    assert planned(comparison, valid)[len(runs) :] == [
        Run("student-62k", name, 5) for name in ("supervised", "mixture-frame", "two-step-utterance")
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedules": ("two-step-frames",)}, "two-step-frame"),
        ({"schedules": ("two-step-bins@share=0.4",)}, "two-step-bin"),
        ({"schedules": ("two-step-bin+frames",)}, "two-step-frame"),
        ({"schedules": ("two-step-bin@shares=0.4",)}, "share"),
        ({"schedules": ("two-step-bin@share=half",)}, "half"),
        ({"schedules": ("two-step-bin@share=1",)}, "share"),
        ({"schedules": ("two-step-bin@layers=decoders",)}, "decoder_4"),
        ({"schedules": ("two-step-bin@layers=gru+decodr",)}, "decodr"),
        ({"schedules": ("two-step-bin@layers=",)}, "encoder_1"),
        ({"schedules": ("two-step-bin@rate=-1",)}, "above 0"),
        ({"schedules": ("two-step-bin@rate=1e-3@rate=2e-3",)}, "once"),
        ({"schedules": ("two-step-bin+bin",)}, "two-step-bin"),
        ({"schedules": ("two-step-",)}, "two-step-bin"),
        ({"schedules": ("mixture-bin@share=0.4",)}, "share=0.4"),
        ({"schedules": ("supervised@layers=gru",)}, "layers=gru"),
        ({"students": ("student-60k",)}, "student-62k"),
        ({"seeds": (1, 1)}, "seeds"),
        ({"distill_share": 1.0}, "distill_share"),
        ({"updates": 1}, "updates"),
    ],
)
def test_what_cannot_be_compared_is_named(base, changes, said):
    with pytest.raises(InputError, match=said):
        Comparison(base, "out", **changes)


class Screen:
    """Where runs show themselves; `stop_at` interrupts the nth run that is trained."""

    def __init__(self, stop_at: int = 0) -> None:
        self.stop_at, self.lines = stop_at, []

    def say(self, line):
        self.lines.append(line)

    def show(self, progress):
        if sum("updates of" in line for line in self.lines) == self.stop_at:
            raise KeyboardInterrupt


@pytest.mark.timeout(900)  # trains five networks and scores each, PESQ included: half a minute of a free core
def test_a_comparison_goes_on_where_it_was_stopped(base, tmp_path):
    settings = {"students": ("student-30k",), "schedules": ("supervised", "two-step-frame"), "updates": 4, "pairs": 2}
    teacher = two_step._teacher(TEACHER)
    comparison = Comparison(base, str(tmp_path / "out"), **settings, teacher=teacher, teacher_updates=2)
    with pytest.raises(KeyboardInterrupt):
        two_step.compare(comparison, Screen(stop_at=3))
    done = two_step.finished(comparison)
    assert list(done) == [comparison.teacher_run, Run("student-30k", "supervised", 0)]
    report = tmp_path / "out" / "two_step.md"
    assert "student-30k two-step-frame 0" in report.read_text()  # among what is missing

    models = {run: comparison.folder(run) / "result.json" for run in done}
    times = {run: path.stat().st_mtime_ns for run, path in models.items()}
    two_step.compare(comparison, Screen())
    assert all(path.stat().st_mtime_ns == times[run] for run, path in models.items())
    found = json.loads((tmp_path / "out" / "two_step.json").read_text())
    drawn = (tmp_path / "out" / "two_step.svg").read_text()
    assert found["missing"] == [] and "student-30k, all pairs" in drawn and "two-step, view frame" in drawn
    assert [(run["schedule"], run["seed"]) for run in found["runs"]] == [
        ("teacher", 0), ("supervised", 0), ("two-step-frame", 0), ("supervised", 1), ("two-step-frame", 1),
    ]  # fmt: skip
    assert two_step.begun(comparison.output) == comparison
    kept = two_step.quoted(two_step.Findings(comparison, two_step.finished(comparison)))
    gain, against, seeds = (f"student-30k: {what}" for what in ("SDR gain dB", "against supervised only", "seeds"))
    assert kept.header == ("schedule", gain, against, seeds)
    assert [row[0] for row in kept.rows] == ["supervised only", "two-step, view frame"]
    assert kept.rows[0][2] == "" and "±" in kept.rows[1][1] and [row[3] for row in kept.rows] == ["2", "2"]

    other = dataclasses.replace(comparison, updates=6)
    with pytest.raises(InputError, match=r"supervise.*updates"):
        two_step.compare(other, Screen())


def test_a_report_without_a_comparison_is_one_line(tmp_path):
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "two_step.py"), "--report", "--output", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1 and "no comparison" in ended.stderr
