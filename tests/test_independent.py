"""What is not ours against what is: other runtimes on our files, TensorFlow's converter on our step.

Two tests need what `make setup` does not install, and skip without: the extra `tensorflow`, and a virtual environment
with tflite-runtime 2.14 whose folder is in TINYSE_TFLITE_RUNTIME (`.ci/run` makes one).
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import steps

from tinyse.engines.tflite_engines import LiteRTEngine
from tinyse.errors import InputError
from tinyse.graph.graph import Graph
from tinyse.quantization.calibration import Calibration, calibrate
from tinyse.quantization.precision import PRECISIONS
from tinyse.quantization.quantize import activation_qparams, quantize
from tinyse.study.converter import convert, requantized_states, stream
from tinyse.study.runtimes import (
    BUILTIN,
    REFERENCE,
    in_environment,
    make_environment,
    masks_of,
    runtimes,
)
from tinyse.tflite.writer import write

CLIPS = [("noise", {"features": steps.features(400)})]
FEATURES = steps.features(500, seed=3)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return steps.denoiser(seed=1)


@pytest.fixture(scope="module")
def calibration(graph: Graph) -> Calibration:
    return calibrate(graph, CLIPS)


@pytest.fixture(scope="module")
def floats(graph: Graph) -> np.ndarray:
    return masks_of(LiteRTEngine(write(graph)), FEATURES)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_runtime_keeps_the_quality_of_the_reference(precision, graph, calibration, floats):
    pytest.importorskip("tflite_micro")
    quantized = quantize(graph, calibration, precision)
    masks = {name: run(quantized, FEATURES) for name, run in runtimes().items()}
    assert list(masks) == [REFERENCE, "TFLM", BUILTIN, "LiteRT XNNPACK"]
    assert np.array_equal(masks["TFLM"], masks[REFERENCE])
    exact = steps.snr_db(floats, masks[REFERENCE])
    assert exact > 20
    for name, mask in masks.items():
        assert abs(steps.snr_db(floats, mask) - exact) < 2, name


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="no TensorFlow: pip install 'tinyse[tensorflow]'")
def test_tensorflows_converter_makes_the_same_values(graph, calibration, floats):
    """On our ranges: its weights, biases, multipliers and file compute what ours do, in the same runtime."""
    quantized = quantize(graph, calibration)
    pinned, own = convert(graph, [], activation_qparams(quantized)), convert(graph, CLIPS)
    assert requantized_states(pinned) == []
    ours = runtimes()[BUILTIN](quantized, FEATURES)
    snr, snr_pinned, snr_own = (
        steps.snr_db(floats, mask)
        for mask in (ours, *(stream(each.content, FEATURES, each.inputs, each.outputs) for each in (pinned, own)))
    )
    assert abs(snr - snr_pinned) < 0.3
    assert snr > snr_own - 0.3  # its ranges are the least and the greatest value; ours are chosen by error


def test_without_tensorflow_its_extra_is_named(graph, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(InputError, match=r"tinyse\[tensorflow\]"):
        convert(graph, CLIPS)


@pytest.mark.skipif(
    "TINYSE_TFLITE_RUNTIME" not in os.environ, reason="TINYSE_TFLITE_RUNTIME names no environment with tflite-runtime"
)
def test_tflite_runtime_computes_what_litert_does(graph, calibration):
    quantized = quantize(graph, calibration)
    masks = in_environment(Path(os.environ["TINYSE_TFLITE_RUNTIME"]), quantized, FEATURES)
    assert np.array_equal(masks, runtimes()[BUILTIN](quantized, FEATURES))


def test_an_environment_that_cannot_be_made_is_refused(graph, calibration, tmp_path):
    with pytest.raises(InputError, match=r"python0\.1 cannot be run"):
        make_environment(tmp_path / "none", "python0.1")
    with pytest.raises(InputError, match="cannot be run"):
        in_environment(tmp_path / "none", quantize(graph, calibration), FEATURES)
