"""The table of operators, and every backend against it: a kernel for each operator, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import steps
from ai_edge_litert.schema_py_generated import BuiltinOperator

from firmware_export import lowering
from tinyse.boards.boards import Npu
from tinyse.boards.vela import compile_graph
from tinyse.engines.tflite_engines import LiteRTEngine, tflm_interpreter
from tinyse.errors import InputError
from tinyse.graph import float_execution, reference, sequence
from tinyse.graph.execution import initial_state
from tinyse.graph.graph import Graph, Quantization
from tinyse.graph.operators import BINARY, GATES, MOVES, OPERATORS, WEIGHTED
from tinyse.quantization.calibration import calibrate
from tinyse.quantization.quantize import quantize
from tinyse.study import converter
from tinyse.targets import support
from tinyse.tflite import operators as serialized
from tinyse.tflite import runtime_versions
from tinyse.tflite.reader import read
from tinyse.tflite.writer import write

BACKENDS: dict[str, tuple[Mapping, Mapping[str, str]]] = {
    "float execution": (float_execution.KERNELS, float_execution.WITHOUT),
    "integer reference": (reference.KERNELS, {}),
    "sequences": (sequence.KERNELS, {}),
    ".tflite": (serialized.SERIALIZATIONS, {}),
    "TensorFlow's converter": (converter.KERNELS, converter.WITHOUT),
    "firmware": (lowering.KERNELS, {}),
}


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_has_every_operator_or_says_why_not(name: str) -> None:
    kernels, without = BACKENDS[name]
    assert not set(kernels) & set(without)
    assert set(kernels) | set(without) == set(OPERATORS)
    assert all(len(reason) > 10 for reason in without.values())


def test_codes_are_those_of_the_schema() -> None:
    assert {kind: row.code for kind, row in OPERATORS.items()} == {
        kind: getattr(BuiltinOperator, kind) for kind in OPERATORS
    }


def test_the_oldest_runtime_of_every_version_is_known() -> None:
    assert [
        (kind, version)
        for kind, row in serialized.SERIALIZATIONS.items()
        for version in row.versions
        if runtime_versions.oldest_runtime([(kind, version)]) is None
    ] == []


def test_every_operator_has_one_category_and_a_cost() -> None:
    others = {kind for kind, row in OPERATORS.items() if row.category in ("conversion", "activation")}
    assert sorted([*WEIGHTED, *BINARY, *GATES, *MOVES, *others]) == sorted(OPERATORS)
    assert all(row.instructions > 0 for row in OPERATORS.values())
    assert {kind for kind, row in OPERATORS.items() if row.fixed} == set(GATES)


def test_runtimes_answer_for_every_operator() -> None:
    """What TFLM's folder kernels/cmsis_nn has, by name: a table that forgets one is wrong in `tinyse check`."""
    fast = {kind for kind in OPERATORS if support.support("cmsis-nn", kind, "int8") == "fast"}
    assert fast == {*WEIGHTED, "ADD", "MUL"}
    for kind in OPERATORS:
        assert support.support("tflm", kind, "int8") == "plain"
        for runtime, dtype, found in (("ethos-u", "int16", "fast"), ("tflm", "float32", "plain")):
            assert support.support(runtime, kind, dtype) == ("none" if (kind, dtype) in support.WITHOUT else found)


def depthwise(precision: str, rng: np.random.Generator) -> tuple[Graph, Graph]:
    """A float step whose convolutions are depthwise, with a state and a skip; and the same quantized."""
    bins, channels = int(rng.integers(3, 12)), int(rng.integers(1, 9))
    graph = Graph("step", metadata={"format": 1})
    x = graph.add_input("x", (1, 1, bins, channels))
    state = graph.add_input("state", (1, 1, bins, channels))
    for number, stride in enumerate((1, 2)):
        name, width = f"filters{number}", int(rng.integers(1, 6))
        weights, bias = rng.normal(0, 0.5, (1, 1, width, channels)), rng.normal(0, 0.2, channels)
        x = graph.depthwise_convolution(name, x, weights, bias, stride, "RELU" if number else "NONE")
        if stride == 1:
            x = graph.binary("ADD", "sum", x, state)
            graph.add_output("state", x)
    graph.add_output("y", x)
    clip = rng.uniform(-1, 1, (40, bins, channels)).astype(np.float32)
    return graph, quantize(graph, calibrate(graph, [("noise", {"x": clip * 0.5})]), precision)


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_a_depthwise_convolution_is_tflms(precision: str) -> None:
    """Float execution as LiteRT, the reference and the sequence as TFLM bit for bit, after a way through the file."""
    pytest.importorskip("tflite_micro")
    rng = np.random.default_rng(5)
    for _ in range(12):
        graph, quantized = depthwise(precision, rng)
        # The file calls a state's next value after the state, so names of tensors may differ.
        found = [(operator.kind, operator.options) for operator in read(write(quantized)).operators]
        assert found == [(operator.kind, operator.options) for operator in quantized.operators]
        tensor = quantized.tensors["x"]
        info = np.iinfo(tensor.dtype)
        given = rng.integers(info.min, info.max, (6, *tensor.shape), tensor.dtype, endpoint=True)
        interpreter, program, state = (
            tflm_interpreter(quantized),
            reference.compile(quantized),
            initial_state(quantized),
        )
        clip = sequence.Sequence(quantized)({"x": given[:, None]}, {"state": state["state"][None]})
        for frame, x in enumerate(given):
            interpreter.set_input(x, 0)
            interpreter.set_input(state["state"], 1)
            interpreter.invoke()
            results = program({"x": x, **state})
            for place, (name, output) in enumerate(quantized.outputs.items()):
                np.testing.assert_array_equal(results[name], interpreter.get_output(place))
                np.testing.assert_array_equal(results[name], clip[output][frame, 0])
            state = {"state": results["state"]}
        x = rng.uniform(-1, 1, tensor.shape).astype(np.float32)
        zeros = np.zeros(tensor.shape, np.float32)
        expected, _ = LiteRTEngine(write(graph), "reference").step_named({"x": x}, {"state": zeros})
        made = float_execution.compile(graph)({"x": x, "state": zeros})["y"]
        np.testing.assert_allclose(made.ravel(), expected["y"], atol=1e-6)
        assert graph.macs == sum(
            graph.tensors[op.inputs[1]].data.size // graph.shape(op.inputs[0])[3] * np.prod(graph.shape(op.outputs[0]))
            for op in graph.operators
            if op.kind == "DEPTHWISE_CONV_2D"
        )


def hard_swish(scale: float, zero: int, out_scale: float, out_zero: int) -> Graph:
    graph = Graph("step", metadata={"format": 1})
    graph.add_output("y", graph.unary("HARD_SWISH", "y", graph.add_input("x", (1, 256))))
    for name, qparams in (
        ("x", Quantization(np.float32(scale), zero)),
        ("y", Quantization(np.float32(out_scale), out_zero)),
    ):
        steps.change(graph, name, dtype=np.dtype(np.int8), quantization=qparams)
    return graph


def test_hard_swish_is_tflms_for_every_input() -> None:
    pytest.importorskip("tflite_micro")
    rng, every = np.random.default_rng(4), np.arange(-128, 128).astype(np.int8)[None]
    for _ in range(150):
        scale = np.exp(rng.uniform(np.log(0.002), np.log(0.5)))
        graph = hard_swish(scale, rng.integers(-128, 128), scale * np.exp(rng.uniform(-4, 2)), rng.integers(-128, 128))
        interpreter = tflm_interpreter(read(write(graph)))
        interpreter.set_input(every, 0)
        interpreter.invoke()
        np.testing.assert_array_equal(reference.compile(graph)({"x": every})["y"], interpreter.get_output(0))


def test_hard_swish_is_near_the_function_and_litert() -> None:
    graph = hard_swish(1 / 20, 3, 1 / 20, -100)
    every = np.arange(-128, 128).astype(np.int8)
    x, y = graph.tensors["x"], graph.tensors["y"]
    real = x.dequantize(every)
    exact = real * np.clip(real + 3, 0, 6) / 6
    made = y.dequantize(reference.compile(graph)({"x": every[None]})["y"][0])
    low, high = y.dequantize(np.array([-128, 127], np.int8))
    assert np.abs(made - np.clip(exact, low, high)).max() <= 0.55 * y.scale
    floats = Graph("step", metadata={"format": 1})
    floats.add_output("y", floats.unary("HARD_SWISH", "y", floats.add_input("x", (1, 256))))
    expected, _ = LiteRTEngine(write(floats)).step_named({"x": real[None]}, {})
    np.testing.assert_allclose(
        float_execution.compile(floats)({"x": real[None]})["y"].ravel(), expected["y"], atol=1e-6
    )


@pytest.mark.parametrize(("change", "message"), [({"scale": 1.0}, "too fine"), ({"wide": True}, "in 8 bits alone")])
def test_a_hard_swish_that_no_kernel_has_is_refused(change: dict, message: str) -> None:
    graph = hard_swish(change.get("scale", 0.01), 0, 0.005, 0)
    if "wide" in change:
        for name in ("x", "y"):
            steps.change(graph, name, dtype=np.dtype(np.int16))
    with pytest.raises(InputError, match=message):
        reference.compile(graph)


def test_vela_puts_a_depthwise_convolution_on_the_npu() -> None:
    pytest.importorskip("ethosu.vela")
    _, quantized = depthwise("int8", np.random.default_rng(2))
    assert compile_graph(Npu("Ethos-U55-128", "ethos-u55-128", 500e6), quantized).cpu_operators == 0


def test_a_depthwise_convolution_is_one_filter_per_channel() -> None:
    graph, _ = depthwise("int8", np.random.default_rng(1))
    operator = next(op for op in graph.operators if op.kind == "DEPTHWISE_CONV_2D")
    weights = graph.tensors[operator.inputs[1]]
    steps.change(graph, weights.name, shape=(2, *weights.shape[1:]), data=np.concatenate([weights.data] * 2))
    with pytest.raises(InputError, match="one filter per channel"):
        float_execution.compile(graph)


def test_what_a_backend_lacks_is_refused_with_the_reason() -> None:
    graph = Graph("step")
    graph.add_output("y", graph.unary("QUANTIZE", "y", graph.add_input("x", (1, 4))))
    for name in ("x", "y"):
        steps.change(graph, name, dtype=np.dtype(np.int8), quantization=OPERATORS["TANH"].fixed[np.dtype(np.int8)])
    with pytest.raises(InputError, match="QUANTIZE 'y' cannot be executed: it goes between integers"):
        float_execution.compile(graph)


def leaky_relu(slope: float, dtype: type, x: tuple[float, int], y: tuple[float, int]) -> Graph:
    graph = Graph("step", metadata={"format": 1})
    graph.add_output("y", graph.leaky_relu("y", graph.add_input("x", (1, 256)), slope))
    for name, (scale, zero) in (("x", x), ("y", y)):
        steps.change(graph, name, dtype=np.dtype(dtype), quantization=Quantization(np.float32(scale), zero))
    return graph


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_leaky_relu_is_tflms_for_every_input(dtype: type) -> None:
    pytest.importorskip("tflite_micro")
    rng, info = np.random.default_rng(4), np.iinfo(dtype)
    for slope in (0.0, 1.0, 2**-30, *rng.uniform(0, 1, 60)):
        scale = np.exp(rng.uniform(np.log(1e-4), np.log(0.5)))
        zeros = rng.integers(-128, 128, 2) if dtype == np.int8 else (0, 0)
        graph = leaky_relu(slope, dtype, (scale, zeros[0]), (scale * np.exp(rng.uniform(-4, 4)), zeros[1]))
        interpreter = tflm_interpreter(read(write(graph)))
        given = np.arange(-128, 128) if dtype == np.int8 else rng.integers(info.min, info.max, 256, endpoint=True)
        given = given.astype(dtype)[None]
        interpreter.set_input(given, 0)
        interpreter.invoke()
        np.testing.assert_array_equal(reference.compile(graph)({"x": given})["y"], interpreter.get_output(0))


@pytest.mark.parametrize(
    ("slope", "y", "message"),
    [(-0.1, 0.01, "between 0 and 1"), (1.5, 0.01, "between 0 and 1"), (0.2, 1e-7, "too fine")],
)
def test_a_leaky_relu_that_no_kernel_has_is_refused(slope: float, y: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        reference.compile(leaky_relu(slope, np.int8, (0.5, 0), (y, 0)))


def test_groups_that_do_not_divide_are_refused() -> None:
    graph = Graph("step")
    x = graph.add_input("x", (1, 1, 5, 6))
    graph.add_output("y", graph.convolution("y", x, np.ones((4, 1, 3, 2)), np.ones(4)))
    with pytest.raises(InputError, match="4 outputs do not divide into 3 groups"):
        float_execution.compile(graph)
    graph = Graph("step")
    x = graph.add_input("x", (1, 1, 5, 6))
    graph.add_output("y", graph.convolution("y", x, np.ones((4, 1, 3, 4)), np.ones(4)))
    with pytest.raises(InputError, match="6 channels meet weights for 4"):
        float_execution.compile(graph)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("y/strides", [1, 2, 1], "strides are 1"),
        ("y/begin", [0, -1, 0], "is not a part of"),
        ("y/end", [1, 9, 3], "is not a part of"),
        ("y/begin", [0, 2, 0], "is not a part of"),
        ("y/end", [1, 3], "have 3 values"),
    ],
)
def test_a_slice_that_is_no_part_is_refused(name: str, data: list[int], message: str) -> None:
    graph = Graph("step")
    graph.add_output("y", graph.slice("y", graph.add_input("x", (1, 4, 3)), 1, 1, 2))
    float_execution.compile(graph)
    steps.change(graph, name, shape=(len(data),), data=np.asarray(data, np.int32))
    with pytest.raises(InputError, match=message):
        float_execution.compile(graph)
