"""Engines: one protocol, explicit state, the same bits where they are promised."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import steps

from tinyse.engines.tflite_engines import FileEngine, LiteRTEngine, ReferenceEngine, TFLMEngine
from tinyse.errors import InputError
from tinyse.graph.graph import Graph
from tinyse.quantization.calibration import calibrate
from tinyse.quantization.quantize import quantize
from tinyse.tflite.writer import save, write

FRAMES = 500


@pytest.fixture(scope="module")
def float_file(graph: Graph, tmp_path_factory):
    path = tmp_path_factory.mktemp("engines") / "float.tflite"
    save(graph, path)
    return path


@pytest.fixture(scope="module")
def quantized_file(quantized: Graph, float_file):
    path = float_file.with_name("int8.tflite")
    save(quantized, path)
    return path


def run(engine: FileEngine, frames: int = FRAMES) -> np.ndarray:
    state, masks = engine.initial_state(), []
    for features in steps.features(frames, seed=3):
        mask, state = engine.step(features, state)
        masks.append(mask)
    return np.array(masks)


def test_reference_equals_tflm(quantized_file) -> None:
    pytest.importorskip("tflite_micro")
    np.testing.assert_array_equal(run(ReferenceEngine(quantized_file)), run(TFLMEngine(quantized_file)))


@pytest.mark.parametrize("kernels", ["xnnpack", "builtin", "reference"])
def test_litert_has_the_quality_of_the_reference(kernels: str, float_file, quantized_file) -> None:
    truth = run(LiteRTEngine(float_file))
    ours = steps.snr_db(truth, run(ReferenceEngine(quantized_file)))
    theirs = steps.snr_db(truth, run(LiteRTEngine(quantized_file, kernels)))
    assert ours > 20
    assert abs(ours - theirs) < 2


def test_float_files_run_in_litert_and_tflm(float_file) -> None:
    pytest.importorskip("tflite_micro")
    np.testing.assert_allclose(run(LiteRTEngine(float_file, "builtin")), run(TFLMEngine(float_file)), atol=1e-4)


@pytest.mark.parametrize("kind", [LiteRTEngine, TFLMEngine, ReferenceEngine])
def test_state_is_the_callers(kind, quantized_file) -> None:
    """Two streams through one engine, and a step repeated from an old state, give what they give alone."""
    if kind is TFLMEngine:
        pytest.importorskip("tflite_micro")
    engine, x = kind(quantized_file), steps.features(40, seed=4)
    alone = run(engine, 40)
    first, second = engine.initial_state(), engine.initial_state()
    for index, features in enumerate(steps.features(40, seed=3)):
        kept = {name: value.copy() for name, value in first.items()}
        again, _ = engine.step(features, first)
        _, second = engine.step(x[index], second)
        for name in kept:
            np.testing.assert_array_equal(kept[name], first[name], name)
        mask, first = engine.step(features, first)
        np.testing.assert_array_equal(mask, again)
        np.testing.assert_array_equal(mask, alone[index])
    assert all(value.dtype == np.int8 for value in first.values())


def test_facts(quantized_file, float_file) -> None:
    engine = ReferenceEngine(quantized_file)
    assert engine.state_bytes == 136
    assert LiteRTEngine(float_file).state_bytes == 4 * 136
    assert engine.metadata["task"] == "denoise"
    mask, state = engine.step(np.zeros(16, np.float32), engine.initial_state())
    assert (mask.shape, mask.dtype) == ((16,), np.float32)
    assert (mask >= 0).all()
    assert (mask <= 1).all()
    assert set(state) == set(engine.initial_state())


def test_named_inputs_and_outputs_serve_another_task() -> None:
    graph = Graph("tagger", metadata={"format": 1, "task": "tag"})
    w = steps.Weights(0)
    x = graph.add_input("features", (1, 1, 16, 1))
    y = steps.causal_convolution(graph, w, "first", x, 4, 2)
    logits = graph.fully_connected("logits", graph.reshape("flat", y, (1, 32)), w.dense(5, 32), w.bias(5))
    graph.add_output("logits", logits)
    quantized = quantize(graph, calibrate(graph, [("noise", {"features": steps.features(50)})]))
    engine = ReferenceEngine(write(quantized))
    outputs, state = engine.step_named({"features": steps.features(1)[0]}, engine.initial_state())
    assert outputs["logits"].shape == (5,)
    one, _ = engine.step(steps.features(1)[0], engine.initial_state())
    assert np.array_equal(one, outputs["logits"])
    graph.add_output("again", graph.unary("LOGISTIC", "again", logits))
    engine = ReferenceEngine(write(quantize(graph, calibrate(graph, [("noise", {"features": steps.features(50)})]))))
    with pytest.raises(InputError, match="logits, again beside its states, not one result"):
        engine.step(steps.features(1)[0], state)


def test_what_does_not_fit_is_refused(quantized_file, graph: Graph) -> None:
    engine = ReferenceEngine(quantized_file)
    state = engine.initial_state()
    with pytest.raises(InputError, match="16 finite values"):
        engine.step(np.zeros(15, np.float32), state)
    with pytest.raises(InputError, match="finite"):
        engine.step(np.full(16, np.nan, np.float32), state)
    with pytest.raises(InputError, match="takes features"):
        engine.step_named({"spectrum": np.zeros(16)}, state)
    with pytest.raises(InputError, match="'groups'"):
        engine.step(np.zeros(16, np.float32), {**state, "groups": np.zeros((1, 24), np.float32)})
    with pytest.raises(InputError, match="'first/past'"):
        engine.step(np.zeros(16, np.float32), {})
    with pytest.raises(InputError, match="kernels"):
        LiteRTEngine(quantized_file, "fast")
    with pytest.raises(InputError, match="float32"):
        ReferenceEngine(write(graph))


def test_files_that_are_not_ours_are_refused(graph: Graph) -> None:
    anonymous = Graph("g", graph.tensors, graph.operators, graph.inputs, graph.outputs)
    with pytest.raises(InputError, match="no metadata of tinyse"):
        ReferenceEngine(write(anonymous))
    anonymous.metadata = {"format": 99}
    with pytest.raises(InputError, match="newer"):
        LiteRTEngine(write(anonymous))


def test_a_missing_tflm_names_the_extra(quantized_file, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    with pytest.raises(InputError, match=r"tinyse\[export\]"):
        TFLMEngine(quantized_file)


def test_engines_print_nothing(quantized_file, capfd) -> None:
    run(LiteRTEngine(quantized_file), 2)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
