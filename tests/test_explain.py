"""What is said about an integer step: where its error comes from, what is in it, what runs it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import steps

from tinyse.errors import InputError
from tinyse.graph.graph import Graph
from tinyse.quantization import explain
from tinyse.quantization.calibration import Calibration
from tinyse.quantization.precision import PRECISIONS
from tinyse.quantization.quantize import quantize
from tinyse.quantization.structure import MOVES
from tinyse.targets import report, support
from tinyse.tflite.writer import save, write


@pytest.mark.parametrize("precision", PRECISIONS)
def test_explained_parts_add_up(precision: str, graph: Graph, calibration: Calibration) -> None:
    quantized = quantize(graph, calibration, precision)
    errors = explain.explain(graph, quantized, [("noise", {"features": steps.features(100, seed=2)})])
    by_name = {error.output: error for error in errors}
    assert set(by_name) == {o.outputs[0] for o in quantized.operators if o.kind not in MOVES}
    for error in errors:
        parts = np.sqrt([error.propagated, error.weights, error.quantization, error.rounding])
        assert np.sqrt(error.total) <= parts.sum() + 1e-9
        assert 0 <= error.clipped <= 1
        # A kernel's own arithmetic adds less than a step.
        assert error.rounding <= float(quantized.tensors[error.output].scale) ** 2
    assert by_name["first"].weights > 0
    assert by_name["mask"].weights == 0
    text = explain.as_text(errors, only=3)
    assert len(text.splitlines()) == 4
    assert "propagated" in text


def test_explain_refuses_graphs_of_different_origin(quantized: Graph) -> None:
    other = steps.denoiser(bins=8, channels=4)
    del other.outputs["shared"]
    with pytest.raises(InputError, match="different signatures"):
        explain.explain(other, quantized, [])


def test_report(quantized: Graph, calibration: Calibration) -> None:
    facts = report.report(quantized, calibration)
    assert facts["operators"]["FULLY_CONNECTED"] == 7
    assert [state["name"] for state in facts["states"]] == quantized.states
    assert facts["state_bytes"] == 16 + 64 + 24 + 32
    assert facts["calibration"][0]["frames"] == 400
    pytest.importorskip("tflite_micro")
    assert 5_000 < facts["arena"]["bytes"] < 50_000
    assert steps.loads_in_tflm(write(quantized), facts["arena"]["bytes"])
    assert not steps.loads_in_tflm(write(quantized), facts["arena"]["bytes"] - 16)
    text = report.as_text(facts)
    assert "state groups: int8 1 x 24, scale 0.0078125, zero point 0" in text


def test_support_is_what_tflm_runs(graph: Graph, calibration: Calibration) -> None:
    for precision in PRECISIONS:
        quantized = quantize(graph, calibration, precision)
        findings = support.check(quantized, "tflm")
        assert sum(finding.count for finding in findings) == len(quantized.operators)
        assert all(finding.support == "plain" for finding in findings)
        assert {finding.support for finding in support.check(quantized, "ethos-u")} == {"fast"}
    worst = support.check(quantized, "cmsis-nn")
    assert [finding.support for finding in worst] == sorted((f.support for f in worst), reverse=True)
    assert support.support("tflm", "SOFTMAX", "int8") == "none"
    with pytest.raises(InputError, match="cmsis-nn"):
        support.support("cmsis", "ADD", "int8")


@pytest.mark.parametrize("precision", ["int8", "int8-gru16"])
def test_vela_puts_every_operator_on_the_npu(precision: str, graph: Graph, calibration: Calibration, tmp_path) -> None:
    pytest.importorskip("ethosu.vela")
    save(quantize(graph, calibration, precision), tmp_path / "step.tflite")
    command = [sys.executable, "-m", "ethosu.vela", "step.tflite", "--accelerator-config", "ethos-u55-128"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "CPU operators = 0 (0.0%)" in finished.stdout
