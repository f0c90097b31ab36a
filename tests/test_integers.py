"""Integers: rounding against a literal version, execution against interpreters, quantisation against float."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import steps
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyse.errors import InputError
from tinyse.integers import arithmetic, float_execution, grids, reference, report, tables
from tinyse.integers.calibration import Calibration, Histogram, calibrate
from tinyse.integers.execution import initial_state
from tinyse.integers.graph import Graph, Quantization
from tinyse.integers.quantise import quantise
from tinyse.tflite.writer import write

INT32 = st.integers(-(2**31), 2**31 - 1)


# Arithmetic against the C code's words, in Python's unbounded integers.


def literal_doubling_high_multiply(a: int, b: int) -> int:
    if a == b == -(2**31):
        return 2**31 - 1
    product = a * b
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    return int(math.copysign(abs(nudged) // 2**31, nudged)) if nudged else 0  # C truncates


def literal_rounding_divide(x: int, exponent: int) -> int:
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


@given(INT32, INT32)
def test_doubling_high_multiply(a: int, b: int) -> None:
    if not (a == b == -(2**31)):
        assert arithmetic.doubling_high_multiply(np.array([a]), b)[0] == literal_doubling_high_multiply(a, b)


@given(INT32, st.integers(0, 31))
def test_rounding_divide(x: int, exponent: int) -> None:
    assert arithmetic.rounding_divide(np.array([x]), exponent)[0] == literal_rounding_divide(x, exponent)


@given(st.integers(-(2**24), 2**24), st.integers(2**30, 2**31 - 1), st.integers(-31, 6))
def test_multiply(x: int, multiplier: int, shift: int) -> None:
    left, right = max(shift, 0), max(-shift, 0)
    expected = literal_rounding_divide(literal_doubling_high_multiply(x << left, multiplier), right)
    assert arithmetic.multiply(np.array([x]), multiplier, shift)[0] == expected


@given(st.integers(-(2**40), 2**40), st.integers(2**30, 2**31 - 1), st.integers(-31, 7))
def test_multiply_wide(x: int, multiplier: int, shift: int) -> None:
    reduced = (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
    total = 15 - shift
    assert arithmetic.multiply_wide(np.array([x]), multiplier, shift)[0] == (x * reduced + (1 << (total - 1))) >> total


@given(st.floats(2.0**-30, 2.0**20))
def test_quantise_multiplier(real: float) -> None:
    multiplier, shift = arithmetic.quantise_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    value = Fraction(multiplier, 2**31) * Fraction(2) ** shift
    assert abs(value - Fraction(real)) <= Fraction(real) / 2**31


def test_multipliers_at_the_ends() -> None:
    assert arithmetic.quantise_multiplier(0.0) == (0, 0)
    assert arithmetic.quantise_multiplier(2.0**-40) == (0, 0)
    assert arithmetic.quantise_multiplier(1 - 2.0**-40) == (2**30, 1)
    with pytest.raises(ValueError, match="finite"):
        arithmetic.quantise_multiplier(float("nan"))


@given(st.floats(-2, 2, width=32), st.integers(-128, 127))
def test_values_round_halves_up_and_clip(x: float, zero_point: int) -> None:
    expected = min(max(math.floor(Fraction(x) * 128 + Fraction(1, 2)) + zero_point, -128), 127)
    value = arithmetic.quantise_values(np.float32([x]), np.float32(1 / 128), zero_point, np.dtype(np.int8))[0]
    assert value == expected or abs(Fraction(x) * 128 % 1 - Fraction(1, 2)) < 1e-5  # float32's own addition


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
def test_gates_are_near_the_function(kind: str) -> None:
    x = np.arange(-128, 128) / 16
    y = 1 / (1 + np.exp(-x)) if kind == "LOGISTIC" else np.tanh(x)
    grid = Quantization(np.float32(1 / 16), 0)
    scale, zero = (256, -128) if kind == "LOGISTIC" else (128, 0)
    assert np.abs(np.clip(y * scale + zero, -128, 127) - tables.int8_table(kind, grid)).max() <= 0.5001
    wide = tables.int16_table(kind, Quantization(np.float32(1 / 4096), 0))
    x = np.arange(-32768, 32768) / 4096
    y = 1 / (1 + np.exp(-x)) if kind == "LOGISTIC" else np.tanh(x)
    assert np.abs(np.clip(y * 32768, -32768, 32767) - wide).max() <= 3


# Execution.


@pytest.fixture(scope="module")
def graph() -> Graph:
    return steps.denoiser()


@pytest.fixture(scope="module")
def calibration(graph: Graph) -> Calibration:
    return calibrate(graph, [("noise", {"features": steps.features(400)})])


@pytest.fixture(scope="module")
def integers(graph: Graph, calibration: Calibration) -> Graph:
    return quantise(graph, calibration)


def run_float(graph: Graph, x: np.ndarray) -> np.ndarray:
    program, state, masks = float_execution.compile(graph), initial_state(graph), []
    for frame in x:
        outputs = program({"features": frame.reshape(graph.shape("features")), **state})
        state = {name: outputs[name] for name in state}
        masks.append(outputs["mask"].ravel())
    return np.array(masks)


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


def test_float_run_gives_intermediates(graph: Graph) -> None:
    feed = {"features": np.zeros((1, 1, 16, 1), np.float32), **initial_state(graph)}
    outputs, values = float_execution.run(graph, feed, intermediates=True)
    assert set(outputs) == set(graph.outputs)
    assert set(values) == {name for name, tensor in graph.tensors.items() if tensor.data is None}


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 0},
        {"seed": 1, "update_bias": 4.0},
        {"seed": 2, "bins": 32, "channels": 6, "hidden": 8},
        {"seed": 3, "bins": 8, "channels": 4, "hidden": 3},
    ],
    ids=["plain", "slow gates", "more bins", "odd sizes"],
)
def test_reference_equals_tflm_over_2000_recurrent_frames(options: dict) -> None:
    pytest.importorskip("tflite_micro")
    from tinyse.streaming.engines import tflm_interpreter

    graph = steps.denoiser(**options)
    bins = graph.shape("features")[2]
    integers = quantise(graph, calibrate(graph, [("noise", {"features": steps.features(200, bins)})]))
    program, interpreter, state = reference.compile(integers), tflm_interpreter(integers), initial_state(integers)
    grid = integers.tensors["features"].quantization
    for index, frame in enumerate(steps.features(2000, bins, seed=5)):
        x = arithmetic.quantise_values(frame, grid.scale[0], grid.zero_point, np.dtype(np.int8))
        feed = {"features": x.reshape(1, 1, bins, 1), **state}
        for position, name in enumerate(integers.inputs):
            interpreter.set_input(np.ascontiguousarray(feed[name]), position)
        interpreter.invoke()
        results = program(feed)
        for position, name in enumerate(integers.outputs):
            np.testing.assert_array_equal(results[name], interpreter.get_output(position), f"{name}, frame {index}")
        state = {name: results[name] for name in state}


def single(kind: str, rng: np.random.Generator) -> tuple[Graph, np.dtype]:
    """A graph of one integer operator on random grids; a product and a sum broadcast over bins or channels."""
    dtype = np.dtype(np.int16 if rng.random() < 0.4 else np.int8)

    def grid(low: float = 0.002, high: float = 0.05) -> Quantization:
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
            graph.replace_tensor(name, dtype=dtype, quantization=grid())
    if kind == "QUANTIZE" and rng.random() < 0.5:
        dtype = np.dtype(np.int16) if dtype == np.int8 else np.dtype(np.int8)
    graph.replace_tensor("y", dtype=dtype, quantization=grid())
    return graph, dtype


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL", "QUANTIZE"])
def test_one_operator_equals_tflm(kind: str) -> None:
    pytest.importorskip("tflite_micro")
    from tinyse.streaming.engines import tflm_interpreter

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
    from tinyse.integers.validation import FIXED_GRIDS
    from tinyse.streaming.engines import tflm_interpreter

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
        graph.replace_tensor("x", dtype=dtype, quantization=Quantization(scale, zero_point))
        graph.replace_tensor("y", dtype=dtype, quantization=FIXED_GRIDS[kind, dtype])
        interpreter = tflm_interpreter(graph)
        interpreter.set_input(every, 0)
        interpreter.invoke()
        np.testing.assert_array_equal(reference.compile(graph)({"x": every})["y"], interpreter.get_output(0))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_convolutions_equal_tflm(padding: str) -> None:
    pytest.importorskip("tflite_micro")
    from tinyse.streaming.engines import tflm_interpreter

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
        integers = quantise(graph, calibrate(graph, [("noise", clip)]))
        value = rng.integers(-128, 128, integers.shape("x")).astype(np.int8)
        interpreter = tflm_interpreter(integers)
        interpreter.set_input(value, 0)
        interpreter.invoke()
        np.testing.assert_array_equal(reference.compile(integers)({"x": value})["y"], interpreter.get_output(0))


def test_an_accumulator_that_could_overflow_is_refused(integers: Graph) -> None:
    graph = Graph("g", dict(integers.tensors), integers.operators, integers.inputs, integers.outputs)
    graph.replace_tensor("back/bias", data=np.full_like(graph.tensors["back/bias"].data, 2**31 - 1))
    with pytest.raises(InputError, match=r"back.*overflow"):
        reference.compile(graph)


def test_the_reference_refuses_floats(graph: Graph) -> None:
    with pytest.raises(InputError, match="float32"):
        reference.compile(graph)


# Quantisation.


def test_states_have_one_grid(integers: Graph) -> None:
    for name in integers.states:
        before, after = (integers.tensors[names[name]] for names in (integers.inputs, integers.outputs))
        assert before.quantization == after.quantization
    for name in ("groups", "shared"):
        assert integers.tensors[name].quantization == grids.UNIT_RANGE
    assert integers.tensors["features"].quantization == grids.UNIT_RANGE
    assert integers.tensors["mask"].quantization == Quantization(np.float32(1 / 256), -128)


@pytest.mark.parametrize("seed", range(4))
def test_quality_of_int8(seed: int) -> None:
    graph = steps.denoiser(seed)
    integers = quantise(graph, calibrate(graph, [("noise", {"features": steps.features(400)})]))
    x = steps.features(1000, seed=9)
    program, state, masks = reference.compile(integers), initial_state(integers), []
    for frame in x:
        values = arithmetic.quantise_values(frame, np.float32(1 / 128), 0, np.dtype(np.int8)).reshape(1, 1, -1, 1)
        outputs = program({"features": values, **state})
        state = {name: outputs[name] for name in state}
        masks.append((outputs["mask"].ravel().astype(float) + 128) / 256)
    assert steps.snr_db(run_float(graph, x), np.array(masks)) > 20


def test_quantisation_is_deterministic(graph: Graph, calibration: Calibration, integers: Graph) -> None:
    again = quantise(graph, calibrate(graph, [("noise", {"features": steps.features(400)})]))
    assert write(again) == write(integers)


def test_weights_that_are_not_finite_are_refused_by_name(graph: Graph, calibration: Calibration) -> None:
    broken = Graph("g", dict(graph.tensors), graph.operators, graph.inputs, graph.outputs)
    weights = graph.tensors["group1/gh/weights"].data.copy()
    weights[0, 0] = np.nan
    broken.replace_tensor("group1/gh/weights", data=weights)
    with pytest.raises(InputError, match="group1/gh/weights"):
        quantise(broken, calibration)
    with pytest.raises(InputError, match="not finite in frame 0"):
        calibrate(broken, [("noise", {"features": steps.features(5)})])


def test_calibration_refuses_what_does_not_fit(graph: Graph, integers: Graph) -> None:
    for clip in ({"sound": steps.features(5)}, {"features": steps.features(5, 8)}, {"features": np.zeros((0, 16))}):
        with pytest.raises(InputError, match="clip strange"):
            calibrate(graph, [("strange", clip)])
    with pytest.raises(InputError, match="at least one clip"):
        calibrate(graph, [])
    other = calibrate(steps.denoiser(bins=8, channels=4), [("noise", {"features": steps.features(5, 8)})])
    del other.histograms["first"]
    with pytest.raises(InputError, match="'first'"):
        quantise(graph, other)
    with pytest.raises(InputError, match="quantised already"):
        quantise(integers, other)


def test_two_fixed_grids_that_are_joined_are_refused() -> None:
    graph = Graph("g")
    x = graph.add_input("features", (1, 4))
    graph.add_output("y", graph.concatenation("y", [x, graph.unary("LOGISTIC", "gate", x)], 1))
    with pytest.raises(InputError, match=r"features.*gate|gate.*features"):
        quantise(graph, calibrate(graph, [("noise", {"features": steps.features(5, 4)})]))


def test_a_value_that_leaves_a_fixed_grid_is_refused() -> None:
    graph = Graph("g")
    x = graph.add_input("features", (1, 4))
    large = graph.fully_connected("large", x, 9 * np.eye(4), np.zeros(4))
    graph.add_output("y", graph.concatenation("y", [x, large], 1))
    with pytest.raises(InputError, match="large"):
        quantise(graph, calibrate(graph, [("noise", {"features": steps.features(50, 4)})]))


def test_histograms_widen_without_losing_counts() -> None:
    rng = np.random.default_rng(0)
    histogram, other, values = Histogram(), Histogram(), []
    for scale in (1e-3, 1.0, 30.0, 0.1):
        values.append((rng.normal(size=1000) * scale).astype(np.float32))
        histogram.add(values[-1])
    everything = np.concatenate(values)
    other.add(np.zeros(4, np.float32))
    other.merge(histogram)
    for one in (histogram, other):
        assert one.counts.sum() == 4000
        assert (one.low, one.high) == (everything.min(), everything.max())
    mean = (histogram.centres * histogram.counts).sum() / 4000
    assert abs(mean - everything.mean()) < histogram.width


def test_ranges_clip_outliers_but_not_uniform_values() -> None:
    rng = np.random.default_rng(0)
    flat, heavy = Histogram(), Histogram()
    flat.add(rng.uniform(-1, 1, 10000).astype(np.float32))
    heavy.add(rng.standard_t(3, 100000).astype(np.float32))
    low, high = grids.best_range(flat)
    assert low < -0.99
    assert high > 0.99
    low, high = grids.best_range(heavy)
    assert high - low < 0.9 * (heavy.high - heavy.low)
    low, high = grids.best_range(heavy, grids.GATES["LOGISTIC"])
    assert max(-low, high) <= grids.GATE_LIMIT


def test_report(integers: Graph, calibration: Calibration) -> None:
    facts = report.report(integers, calibration)
    assert facts["operators"]["FULLY_CONNECTED"] == 7
    assert [state["name"] for state in facts["states"]] == integers.states
    assert facts["state_bytes"] == 16 + 64 + 24 + 32
    assert facts["calibration"][0]["frames"] == 400
    pytest.importorskip("tflite_micro")
    assert 5_000 < facts["arena"]["bytes"] < 50_000
    text = report.as_text(facts)
    assert "state groups: int8 1 x 24, scale 0.0078125, zero point 0" in text


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_every_random_step_is_valid_and_runs(seed: int) -> None:
    graph = steps.denoiser(seed, bins=8, channels=2, hidden=2)
    integers = quantise(graph, calibrate(graph, [("noise", {"features": steps.features(10, 8, seed)})]))
    feed = {"features": np.zeros((1, 1, 8, 1), np.int8), **initial_state(integers)}
    assert reference.compile(integers)(feed)["mask"].dtype == np.int8
