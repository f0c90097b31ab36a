"""`tinyse check`: a recipe's network is judged before it is trained."""

from __future__ import annotations

import json

import pytest
import steps
from typer.testing import CliRunner

from tinyse.commands.main import app
from tinyse.errors import InputError
from tinyse.graph.operators import OPERATORS
from tinyse.quantization.precision import PRECISIONS
from tinyse.targets import support
from tinyse.targets.forecast import forecast, random_step, shapes_text

RECIPE = """
stages:
  one: {model: teacher, updates: 4, losses: {phase_sensitive: 1.0}}
  two: {model: {channels: [4, 4], groups: 2, shared_gru: [1]}, updates: 4, losses: {phase_sensitive: 1.0}}
"""


@pytest.fixture
def recipe(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE)
    return path


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_forecast_has_every_operator_once(precision):
    graph = random_step(steps.denoiser(), precision)
    found = forecast(graph)
    assert sum(row.count for row in found.rows) == len(graph.operators)
    assert sum(row.macs for row in found.rows) == graph.macs == found.facts["macs"]
    assert found.ships and not found.missing
    assert found.activation_bytes > 0


def test_what_tflm_lacks_is_named(monkeypatch):
    graph = random_step(steps.denoiser(), "int8")
    monkeypatch.setattr(support, "WITHOUT", {("TANH", "int8"): "a test"})
    found = forecast(graph)
    assert not found.ships
    assert all(reason.startswith("TFLM has no TANH in int8") for reason in found.missing)
    assert {row.kind for row in found.rows if row.support["tflm"] == "none"} == {"TANH"}


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="precision 'int4'"):
        random_step(steps.denoiser(), "int4")


def test_equal_shapes_are_written_once():
    assert shapes_text(((1, 96),) * 3) == "3 of 96"
    assert shapes_text(((1, 1, 64, 12), (16, 28))) == "64x12 + 16x28"


def test_check_prints_the_last_stage(recipe):
    answer = CliRunner().invoke(app, ["check", str(recipe), "--set", "export.precision=int8-state16", "--json"])
    assert answer.exit_code == 0
    said = json.loads(answer.stdout)
    assert said["name"] == "two" and said["precision"] == "int8-state16" and said["ships"]
    assert {row["dtype"] for row in said["operators"]} == {"int8", "int16"}
    shown = CliRunner().invoke(app, ["check", str(recipe)])
    assert shown.exit_code == 0
    assert "it can ship on TFLM" in shown.stdout and "CONV_2D" in shown.stdout


def test_check_leaves_with_1_where_it_cannot_ship(recipe, monkeypatch):
    monkeypatch.setattr(support, "WITHOUT", {(kind, "int8"): "a test" for kind in set(OPERATORS) - {"CONV_2D"}})
    answer = CliRunner().invoke(app, ["check", str(recipe)])
    assert answer.exit_code == 1
    assert "it cannot ship on TFLM" in answer.stdout


def test_vela_is_asked(recipe):
    pytest.importorskip("ethosu.vela")
    answer = CliRunner().invoke(app, ["check", str(recipe), "--vela", "--json"])
    assert json.loads(answer.stdout)["vela"]["cpu_operators"] == 0
