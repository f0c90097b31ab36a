"""Quantization: scales that are shared, ranges by error, precisions, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import steps

from tinyse.errors import InputError
from tinyse.graph import float_execution, reference
from tinyse.graph.execution import initial_state
from tinyse.graph.graph import Graph, Quantization
from tinyse.graph.validation import SCALES
from tinyse.quantization import qparams, ranges, structure
from tinyse.quantization.calibration import Calibration, Histogram, calibrate
from tinyse.quantization.precision import PRECISIONS
from tinyse.quantization.quantize import quantize
from tinyse.tflite.writer import write


def run_float(graph: Graph, x: np.ndarray) -> np.ndarray:
    program, state, masks = float_execution.compile(graph), initial_state(graph), []
    for frame in x:
        outputs = program({"features": frame.reshape(graph.shape("features")), **state})
        state = {name: outputs[name] for name in state}
        masks.append(outputs["mask"].ravel())
    return np.array(masks)


def test_states_have_one_scale(quantized: Graph) -> None:
    for name in quantized.states:
        before, after = (quantized.tensors[names[name]] for names in (quantized.inputs, quantized.outputs))
        assert before.quantization == after.quantization
    for name in ("groups", "shared"):
        assert quantized.tensors[name].quantization == qparams.UNIT_RANGE[qparams.INT8]
    assert quantized.tensors["features"].quantization == qparams.UNIT_RANGE[qparams.INT8]
    assert quantized.tensors["mask"].quantization == Quantization(np.float32(1 / 256), -128)


def run_quantized(quantized: Graph, x: np.ndarray) -> np.ndarray:
    program, state, masks = reference.compile(quantized), initial_state(quantized), []
    features, mask = quantized.tensors["features"], quantized.tensors[quantized.outputs["mask"]]
    for frame in x:
        values = features.quantize(frame)
        outputs = program({"features": values.reshape(features.shape), **state})
        state = {name: outputs[name] for name in state}
        masks.append(mask.dequantize(outputs["mask"]).ravel())
    return np.array(masks)


@pytest.mark.parametrize("seed", range(4))
def test_quality_of_int8(seed: int) -> None:
    graph = steps.denoiser(seed)
    quantized = quantize(graph, calibrate(graph, [("noise", {"features": steps.features(400)})]))
    x = steps.features(1000, seed=9)
    assert steps.snr_db(run_float(graph, x), run_quantized(quantized, x)) > 20


def test_wide_states_mend_slow_gates() -> None:
    """An update gate near one: in 8 bits the state sticks, in 16 it moves; each wider precision is better."""
    graph = steps.denoiser(seed=2, update_bias=4.0)
    calibration, x = calibrate(graph, [("noise", {"features": steps.features(400)})]), steps.features(1000, seed=9)
    truth = run_float(graph, x)
    quality = [steps.snr_db(truth, run_quantized(quantize(graph, calibration, p), x)) for p in PRECISIONS]
    assert quality[1] > quality[0] + 10
    assert quality[1] > 28
    assert all(after > before - 1 for before, after in itertools.pairwise(quality))


def test_types_of_precisions(graph: Graph, calibration: Calibration) -> None:
    def widths(precision: str) -> dict[str, str]:
        quantized = quantize(graph, calibration, precision)
        assert quantized.metadata["precision"] == precision
        return {name: str(tensor.dtype) for name, tensor in quantized.tensors.items() if tensor.data is None}

    state16, gru16, all16 = (widths(precision) for precision in PRECISIONS[1:])
    wide = ("groups", "shared_gru/h", "shared_gru/update", "shared_gru/new", "shared_gru/change", "shared_gru/kept")
    assert {state16[name] for name in wide} == {"int16"}
    assert {state16[name] for name in ("shared_gru/gx", "shared_gru/z", "first", "features", "mask")} == {"int8"}
    assert state16["shared_gru/z/int16"] == "int16"
    assert {gru16[name] for name in (*wide, "shared_gru/gx", "shared_gru/reset")} == {"int16"}
    assert {gru16[name] for name in ("first", "features", "mask")} == {"int8"}
    assert set(all16.values()) == {"int16"}
    with pytest.raises(InputError, match="int4"):
        quantize(graph, calibration, "int4")


def test_quantization_is_deterministic(graph: Graph, calibration: Calibration, quantized: Graph) -> None:
    again = quantize(graph, calibrate(graph, [("noise", {"features": steps.features(400)})]))
    assert write(again) == write(quantized)


def test_weights_that_are_not_finite_are_refused_by_name(graph: Graph, calibration: Calibration) -> None:
    broken = Graph("g", dict(graph.tensors), graph.operators, graph.inputs, graph.outputs)
    weights = graph.tensors["group1/gh/weights"].data.copy()
    weights[0, 0] = np.nan
    steps.change(broken, "group1/gh/weights", data=weights)
    with pytest.raises(InputError, match="group1/gh/weights"):
        quantize(broken, calibration)
    with pytest.raises(InputError, match="not finite in frame 0"):
        calibrate(broken, [("noise", {"features": steps.features(5)})])
    features = steps.features(40)
    features[33:] = np.nan
    with pytest.raises(InputError, match="'features' is not finite in frame 33 of clip noise"):
        calibrate(graph, [("noise", {"features": features})])


def test_calibration_refuses_what_does_not_fit(graph: Graph, quantized: Graph) -> None:
    for clip in ({"sound": steps.features(5)}, {"features": steps.features(5, 8)}, {"features": np.zeros((0, 16))}):
        with pytest.raises(InputError, match="clip strange"):
            calibrate(graph, [("strange", clip)])
    with pytest.raises(InputError, match="at least one clip"):
        calibrate(graph, [])
    other = calibrate(steps.denoiser(bins=8, channels=4), [("noise", {"features": steps.features(5, 8)})])
    del other.histograms["first"]
    with pytest.raises(InputError, match="'first'"):
        quantize(graph, other)
    with pytest.raises(InputError, match="quantized already"):
        quantize(quantized, other)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (5.0, 6.0), (-6.0, -5.0), (0.0, 3.0), (0.0, 0.0)])
def test_parameters_of_8_bits_reach_both_ends_and_zero(low: float, high: float) -> None:
    found = qparams.asymmetric_qparams(low, high)
    step = float(found.tensor_scale)
    least, most = (step * (end - found.zero_point) for end in (-128, 127))
    assert -128 <= found.zero_point <= 127
    assert least <= min(low, 0) + step and most >= max(high, 0) - step
    assert step == pytest.approx((max(high, 0) - min(low, 0)) / 255 or 1 / 128)


def test_values_near_zero_keep_a_scale_that_16_bits_can_follow() -> None:
    assert qparams.asymmetric_qparams(0.0, 1e-30).tensor_scale >= 128 * SCALES[0]
    assert qparams.symmetric_qparams(1e-30).tensor_scale >= SCALES[0]


@pytest.mark.parametrize("leaves", [False, True])
def test_what_feeds_a_gate_is_clipped_unless_it_leaves_the_graph(leaves: bool) -> None:
    graph = Graph("g")
    x = graph.add_input("features", (1, 4))
    large = graph.fully_connected("large", x, 60 * np.eye(4), np.zeros(4))
    graph.add_output("mask", graph.unary("LOGISTIC", "gate", large))
    if leaves:
        graph.add_output("seen", large)
    clips = [("noise", {"features": np.float32(np.random.default_rng(0).uniform(-1, 1, (50, 1, 4)))})]
    quantization = quantize(graph, calibrate(graph, clips)).tensors["large"].quantization
    reach = 127 * float(quantization.tensor_scale)
    assert reach > 25 if leaves else reach <= ranges.GATE_LIMIT


@pytest.mark.parametrize("taken", ["new", "other"])
def test_a_blend_takes_away_the_state_that_it_adds(taken: str) -> None:
    """Only n + z * (h - n) stays between h and n."""
    graph = Graph("g")
    h, new, other, z = (graph.add_input(name, (1, 4)) for name in ("h", "n", "m", "z"))
    tensors = {"new": graph.unary("TANH", "tanh", new), "other": graph.unary("TANH", "other", other)}
    change = graph.binary("SUB", "change", h, tensors[taken])
    kept = graph.binary("MUL", "kept", graph.unary("LOGISTIC", "update", z), change)
    graph.add_output("h", graph.binary("ADD", "sum", tensors["new"], kept))
    assert [blend.state for blend in structure.blends(graph)] == (["sum"] if taken == "new" else [])


def test_two_fixed_scales_that_are_joined_are_refused() -> None:
    graph = Graph("g")
    x = graph.add_input("features", (1, 4))
    graph.add_output("y", graph.concatenation("y", [x, graph.unary("LOGISTIC", "gate", x)], 1))
    with pytest.raises(InputError, match=r"features.*gate|gate.*features"):
        quantize(graph, calibrate(graph, [("noise", {"features": steps.features(5, 4)})]))


def test_a_value_that_leaves_a_fixed_range_is_refused() -> None:
    graph = Graph("g")
    x = graph.add_input("features", (1, 4))
    large = graph.fully_connected("large", x, 9 * np.eye(4), np.zeros(4))
    graph.add_output("y", graph.concatenation("y", [x, large], 1))
    with pytest.raises(InputError, match="large"):
        quantize(graph, calibrate(graph, [("noise", {"features": steps.features(50, 4)})]))


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
    mean = (histogram.centers * histogram.counts).sum() / 4000
    assert abs(mean - everything.mean()) < histogram.width


def test_frames_that_are_counted_at_once_count_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    scales = np.repeat([1e-3, 0.3, 0.1, 40.0, 2.0], 8)[:, None, None]
    frames = (rng.normal(size=(40, 5, 20)) * scales).astype(np.float32)
    frames[3] = 0
    at_once, one_by_one = Histogram(), Histogram()
    at_once.add_frames(frames)
    for frame in frames:
        one_by_one.add(frame)
    np.testing.assert_array_equal(at_once.counts, one_by_one.counts)
    assert (at_once.limit, at_once.low, at_once.high) == (one_by_one.limit, one_by_one.low, one_by_one.high)


def test_ranges_clip_outliers_but_not_uniform_values() -> None:
    rng = np.random.default_rng(0)
    flat, heavy = Histogram(), Histogram()
    flat.add(rng.uniform(-1, 1, 10000).astype(np.float32))
    heavy.add(rng.standard_t(3, 100000).astype(np.float32))
    low, high = ranges.best_range(flat)
    assert low < -0.99
    assert high > 0.99
    low, high = ranges.best_range(heavy)
    assert high - low < 0.9 * (heavy.high - heavy.low)
    low, high = ranges.best_range(heavy, ranges.GATES["LOGISTIC"])
    assert max(-low, high) <= ranges.GATE_LIMIT
