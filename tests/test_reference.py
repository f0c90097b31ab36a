"""Execution: the integer reference against TFLM bit for bit, float execution against LiteRT."""

from __future__ import annotations

import math

import numpy as np
import pytest
import steps
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyse.errors import InputError
from tinyse.graph import float_execution, reference
from tinyse.graph.execution import initial_state
from tinyse.graph.graph import Graph, Quantization
from tinyse.graph.operators import OPERATORS
from tinyse.quantization.calibration import calibrate
from tinyse.quantization.precision import PRECISIONS
from tinyse.quantization.quantize import quantize
from tinyse.tflite.writer import write

STEPS = {
    "plain": {"seed": 0},
    "slow gates": {"seed": 1, "update_bias": 4.0},
    "more bins": {"seed": 2, "bins": 32, "channels": 6, "hidden": 8},
    "odd sizes": {"seed": 3, "bins": 8, "channels": 4, "hidden": 3},
}


@pytest.mark.parametrize(
    ("step", "precision"),
    [(step, "int8") for step in STEPS]
    + [(step, precision) for step in ("slow gates", "odd sizes") for precision in PRECISIONS[1:]],
)
def test_reference_equals_tflm_over_2000_recurrent_frames(step: str, precision: str) -> None:
    pytest.importorskip("tflite_micro")
    from tinyse.engines.tflite_engines import tflm_interpreter

    graph = steps.denoiser(**STEPS[step])
    bins = graph.shape("features")[2]
    calibration = calibrate(graph, [("noise", {"features": steps.features(200, bins)})])
    quantized = quantize(graph, calibration, precision)
    program, interpreter, state = reference.compile(quantized), tflm_interpreter(quantized), initial_state(quantized)
    tensor = quantized.tensors["features"]
    for index, frame in enumerate(steps.features(2000, bins, seed=5)):
        x = tensor.quantize(frame)
        feed = {"features": x.reshape(1, 1, bins, 1), **state}
        for position, name in enumerate(quantized.inputs):
            interpreter.set_input(np.ascontiguousarray(feed[name]), position)
        interpreter.invoke()
        results = program(feed)
        for position, name in enumerate(quantized.outputs):
            np.testing.assert_array_equal(results[name], interpreter.get_output(position), f"{name}, frame {index}")
        state = {name: results[name] for name in state}


def single(kind: str, rng: np.random.Generator) -> tuple[Graph, np.dtype]:
    """A graph of one integer operator with random scales; a product and a sum broadcast over bins or channels."""
    dtype = np.dtype(np.int16 if rng.random() < 0.4 else np.int8)

    def qparams(low: float = 0.002, high: float = 0.05) -> Quantization:
        scale = np.exp(rng.uniform(np.log(low), np.log(high))) / (1 if dtype == np.int8 else 256)
        return Quantization(np.float32(scale), int(rng.integers(-128, 128)) if dtype == np.int8 else 0)

    graph = Graph(kind)
    shape = (1, 1, int(rng.integers(1, 9)), int(rng.integers(1, 9)))
    a = graph.add_input("a", shape)
    if kind == "QUANTIZE":
        graph.unary(kind, "y", a)
    else:
        other = tuple(1 if rng.random() < 0.3 else size for size in shape)
        graph.binary(kind, "y", a, graph.add_input("b", other))
    graph.add_output("y", "y")
    for name in ("a", "b"):
        if name in graph.tensors:
            steps.change(graph, name, dtype=dtype, quantization=qparams())
    if kind == "QUANTIZE" and rng.random() < 0.5:
        dtype = np.dtype(np.int16) if dtype == np.int8 else np.dtype(np.int8)
    steps.change(graph, "y", dtype=dtype, quantization=qparams())
    return graph, dtype


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL", "QUANTIZE"])
def test_one_operator_equals_tflm(kind: str) -> None:
    pytest.importorskip("tflite_micro")
    from tinyse.engines.tflite_engines import tflm_interpreter

    rng = np.random.default_rng(7)
    for _ in range(60):
        graph, _ = single(kind, rng)
        program, interpreter = reference.compile(graph), tflm_interpreter(graph)
        for _ in range(4):
            feed = {}
            for position, (name, tensor) in enumerate(graph.inputs.items()):
                info = np.iinfo(graph.tensors[tensor].dtype)
                feed[name] = rng.integers(info.min, info.max + 1, graph.shape(tensor)).astype(info.dtype)
                interpreter.set_input(feed[name], position)
            interpreter.invoke()
            np.testing.assert_array_equal(program(feed)["y"], interpreter.get_output(0))


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_gate_tables_equal_tflm(kind: str, dtype: type) -> None:
    pytest.importorskip("tflite_micro")
    from tinyse.engines.tflite_engines import tflm_interpreter

    rng = np.random.default_rng(3)
    dtype = np.dtype(dtype)
    info = np.iinfo(dtype)
    every = np.arange(info.min, info.max + 1).astype(dtype)[None]
    for index in range(20):
        # Among them scales that put a value on a rounding tie, where a float exp would decide by luck.
        y = rng.integers(135, 250) / 256 + 1 / 512
        tie = (math.log(y / (1 - y)) if kind == "LOGISTIC" else math.atanh(2 * y - 1)) / rng.integers(1, 100)
        scale = np.float32(tie if index % 2 else np.exp(rng.uniform(-6, -1)))
        scale = scale / np.float32(256 if dtype == np.int16 else 1)
        graph = Graph("gate")
        graph.add_output("y", graph.unary(kind, "y", graph.add_input("x", every.shape)))
        zero_point = int(rng.integers(-128, 128)) if dtype == np.int8 else 0
        steps.change(graph, "x", dtype=dtype, quantization=Quantization(scale, zero_point))
        steps.change(graph, "y", dtype=dtype, quantization=OPERATORS[kind].fixed[dtype])
        interpreter = tflm_interpreter(graph)
        interpreter.set_input(every, 0)
        interpreter.invoke()
        np.testing.assert_array_equal(reference.compile(graph)({"x": every})["y"], interpreter.get_output(0))


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_convolutions_equal_tflm(padding: str, precision: str) -> None:
    pytest.importorskip("tflite_micro")
    from tinyse.engines.tflite_engines import tflm_interpreter

    rng = np.random.default_rng(11)
    for _ in range(25):
        height, width = rng.integers(3, 9, 2)
        kernel, stride, channels, out = (
            rng.integers(1, 4, 2),
            rng.integers(1, 3, 2),
            rng.integers(1, 6),
            rng.integers(1, 6),
        )
        graph = Graph("convolution")
        x = graph.add_input("x", (1, height, width, channels))
        weights = graph.add_constant("w", rng.normal(size=(out, *kernel, channels)).astype(np.float32))
        bias = graph.add_constant("b", rng.normal(size=out).astype(np.float32))
        sizes = [
            -(-s // d) if padding == "SAME" else (s - k) // d + 1
            for s, k, d in zip((height, width), kernel, stride, strict=True)
        ]
        options = {
            "stride": tuple(map(int, stride)),
            "padding": padding,
            "activation": rng.choice(["NONE", "RELU"]).item(),
        }
        y = graph.add_operator("CONV_2D", (x, weights, bias), "y", (1, *map(int, sizes), int(out)), **options)
        graph.add_output("y", y)
        clip = {"x": rng.normal(size=(20, height * width * channels)).astype(np.float32)}
        quantized = quantize(graph, calibrate(graph, [("noise", clip)]), precision)
        info = np.iinfo(quantized.tensors["x"].dtype)
        value = rng.integers(info.min, info.max + 1, quantized.shape("x")).astype(info.dtype)
        interpreter = tflm_interpreter(quantized)
        interpreter.set_input(value, 0)
        interpreter.invoke()
        np.testing.assert_array_equal(reference.compile(quantized)({"x": value})["y"], interpreter.get_output(0))


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_fully_connected_equals_tflm(precision: str) -> None:
    """Among them layers of one output, whose single scale sends TFLM down another path, and channels of zeros."""
    pytest.importorskip("tflite_micro")
    from tinyse.engines.tflite_engines import tflm_interpreter

    rng = np.random.default_rng(13)
    for case in range(25):
        rows, columns, out = int(rng.integers(1, 5)), int(rng.integers(1, 40)), int(rng.integers(1, 4))
        graph = Graph("layer")
        x = graph.add_input("x", (rows, columns))
        weights = rng.normal(size=(out, columns)) * np.exp(rng.normal(size=(out, 1)))
        if case % 5 == 0:
            weights[0] = 0
        activation = rng.choice(["NONE", "RELU"]).item()
        graph.add_output("y", graph.fully_connected("y", x, weights, rng.normal(size=out), activation))
        clip = {"x": rng.normal(size=(20, rows * columns)).astype(np.float32)}
        quantized = quantize(graph, calibrate(graph, [("noise", clip)]), precision)
        info = np.iinfo(quantized.tensors["x"].dtype)
        value = rng.integers(info.min, info.max + 1, (rows, columns)).astype(info.dtype)
        interpreter = tflm_interpreter(quantized)
        interpreter.set_input(value, 0)
        interpreter.invoke()
        np.testing.assert_array_equal(reference.compile(quantized)({"x": value})["y"], interpreter.get_output(0))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_every_random_step_is_valid_and_runs(seed: int) -> None:
    graph = steps.denoiser(seed, bins=8, channels=2, hidden=2)
    quantized = quantize(graph, calibrate(graph, [("noise", {"features": steps.features(10, 8, seed)})]))
    feed = {"features": np.zeros((1, 1, 8, 1), np.int8), **initial_state(quantized)}
    assert reference.compile(quantized)(feed)["mask"].dtype == np.int8


def test_an_accumulator_that_could_overflow_is_refused(quantized: Graph) -> None:
    graph = Graph("g", dict(quantized.tensors), quantized.operators, quantized.inputs, quantized.outputs)
    steps.change(graph, "back/bias", data=np.full_like(graph.tensors["back/bias"].data, 2**31 - 1))
    with pytest.raises(InputError, match=r"back.*overflow"):
        reference.compile(graph)


def test_the_reference_refuses_floats(graph: Graph) -> None:
    with pytest.raises(InputError, match="float32"):
        reference.compile(graph)


def test_float_execution_equals_litert(graph: Graph) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=write(graph), num_threads=1)
    interpreter.allocate_tensors()
    inputs = dict(zip(graph.inputs, interpreter.get_input_details(), strict=True))
    outputs = dict(zip(graph.outputs, interpreter.get_output_details(), strict=True))
    program, state = float_execution.compile(graph), initial_state(graph)
    for frame in steps.features(200):
        feed = {"features": frame.reshape(1, 1, -1, 1), **state}
        for name, value in feed.items():
            interpreter.set_tensor(inputs[name]["index"], value)
        interpreter.invoke()
        results = program(feed)
        for name, value in results.items():
            np.testing.assert_allclose(value, interpreter.get_tensor(outputs[name]["index"]), atol=1e-5)
        state = {name: results[name] for name in state}


def test_a_trace_has_every_activation_and_the_outputs_among_them(graph: Graph) -> None:
    feed = {"features": np.full((1, 1, 16, 1), 0.5, np.float32), **initial_state(graph)}
    program = float_execution.compile(graph)
    values = program.trace(feed)
    assert set(values) == {name for name, tensor in graph.tensors.items() if tensor.data is None}
    for name, value in program(feed).items():
        np.testing.assert_array_equal(value, values[graph.outputs[name]])
