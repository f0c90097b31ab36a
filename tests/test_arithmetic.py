"""Rounding against the C code's words in Python's unbounded integers, gates against their functions."""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyse.errors import InputError
from tinyse.graph import arithmetic, tables
from tinyse.graph.graph import Quantization, Tensor

INT32 = st.integers(-(2**31), 2**31 - 1)


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
    assert arithmetic.requantizer(np.array([multiplier]), np.array([shift]))(np.array([x]))[0] == expected


@given(st.integers(-(2**40), 2**40), st.integers(2**30, 2**31 - 1), st.integers(-31, 7))
def test_requantize_wide(x: int, multiplier: int, shift: int) -> None:
    reduced = (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
    total = 15 - shift
    requantize = arithmetic.requantizer(np.array([multiplier]), np.array([shift]), wide=True)
    assert requantize(np.array([x]))[0] == (x * reduced + (1 << (total - 1))) >> total


@given(st.floats(2.0**-30, 2.0**20))
def test_quantize_multiplier(real: float) -> None:
    multiplier, shift = arithmetic.quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    value = Fraction(multiplier, 2**31) * Fraction(2) ** shift
    assert abs(value - Fraction(real)) <= Fraction(real) / 2**31


def test_multipliers_at_the_ends() -> None:
    assert arithmetic.quantize_multiplier(0.0) == (0, 0)
    assert arithmetic.quantize_multiplier(2.0**-40) == (0, 0)
    assert arithmetic.quantize_multiplier(1 - 2.0**-40) == (2**30, 1)
    with pytest.raises(ValueError, match="finite"):
        arithmetic.quantize_multiplier(float("nan"))


@given(st.floats(-2, 2, width=32), st.integers(-128, 127))
def test_values_round_halves_up_and_clip(x: float, zero_point: int) -> None:
    expected = min(max(math.floor(Fraction(x) * 128 + Fraction(1, 2)) + zero_point, -128), 127)
    value = arithmetic.quantize_values(np.float32([x]), np.float32(1 / 128), zero_point, np.dtype(np.int8))[0]
    assert value == expected or abs(Fraction(x) * 128 % 1 - Fraction(1, 2)) < 1e-5  # float32's own addition


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
def test_gates_are_near_the_function(kind: str) -> None:
    x = np.arange(-128, 128) / 16
    y = 1 / (1 + np.exp(-x)) if kind == "LOGISTIC" else np.tanh(x)
    qparams = Quantization(np.float32(1 / 16), 0)
    scale, zero = (256, -128) if kind == "LOGISTIC" else (128, 0)
    assert np.abs(np.clip(y * scale + zero, -128, 127) - tables.int8_table(kind, qparams)).max() <= 0.5001
    wide = tables.int16_table(kind, Quantization(np.float32(1 / 4096), 0))
    x = np.arange(-32768, 32768) / 4096
    y = 1 / (1 + np.exp(-x)) if kind == "LOGISTIC" else np.tanh(x)
    assert np.abs(np.clip(y * 32768, -32768, 32767) - wide).max() <= 3


@given(
    st.floats(-4, 4, width=32), st.sampled_from([np.int8, np.int16]), st.floats(2.0**-12, 2.0**-4), st.integers(-9, 9)
)
def test_a_tensor_holds_real_values_within_half_a_step(x: float, dtype: type, scale: float, zero_point: int) -> None:
    tensor = Tensor("x", (1,), np.dtype(dtype), None, Quantization(np.float32(scale), zero_point))
    held = tensor.quantize(np.float32([x]))
    assert held.dtype == dtype
    low, high = (tensor.dequantize(np.array([end], dtype))[0] for end in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    assert abs(tensor.dequantize(held)[0] - np.clip(x, low, high)) <= 0.5001 * tensor.scale
    assert np.array_equal(tensor.quantize(tensor.dequantize(held)), held)


def test_constants_have_real_values_per_channel_and_wide_ones_are_exact() -> None:
    weights = np.arange(-6, 6, dtype=np.int8).reshape(3, 2, 2)
    scales = np.float32([0.5, 0.25, 2])
    real = Tensor("w", weights.shape, weights.dtype, weights, Quantization(scales)).dequantize(weights)
    assert real.dtype == np.float32 and np.array_equal(real, weights * scales[:, None, None])
    filters = np.arange(12, dtype=np.int8).reshape(1, 1, 4, 3)
    assert np.array_equal(Quantization(scales, 1, axis=3).dequantize(filters), (filters - 1) * scales)
    bias = np.array([2**40 + 1])  # more bits than float32 has before the product
    assert Quantization(np.float32(2.0**-30)).dequantize(bias) == np.float32((2**40 + 1) / 2**30)
    with pytest.raises(ValueError, match="3 scales"):
        Quantization(scales).quantize(np.zeros(3), np.dtype(np.int8))


def test_a_float_tensor_holds_values_as_they_are() -> None:
    x = np.linspace(-1, 1, 7)
    tensor = Tensor("x", (7,), np.dtype(np.float32))
    assert np.array_equal(tensor.dequantize(tensor.quantize(x)), np.float32(x))


def test_the_most_negative_product_saturates() -> None:
    assert arithmetic.doubling_high_multiply(np.array([-(2**31)]), -(2**31))[0] == 2**31 - 1


@pytest.mark.parametrize(
    ("largest", "shift", "wide", "fits"),
    [
        (2**31 - 257, 0, False, True),
        (2**31 - 256, 0, False, False),  # the output's zero point is added to it
        (2**31 - 1, -5, False, True),
        (2**31, -5, False, False),  # the accumulator itself, however small its result
        (2**28 - 33, 3, False, True),
        (2**28 - 32, 3, False, False),
        (2**47 - 1, -17, True, True),
        (2**47, -20, True, False),
        (2**24 - 1, 7, True, True),
        (2**24, 7, True, False),
        (1, 7, True, True),
        (1, 8, True, False),
        (2**47, 8, True, False),
    ],
)
def test_accumulators_that_leave_their_bits_are_refused(largest: int, shift: int, wide: bool, fits: bool) -> None:
    for sizes in (np.array([1, largest]), np.array([largest, 1])):
        with contextlib.nullcontext() if fits else pytest.raises(InputError, match="here: an accumulator may overflow"):
            arithmetic.check_accumulator("here", sizes, np.array([shift, shift]), wide)


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_values_far_outside_are_clipped_and_come_back_by_scale(dtype: type) -> None:
    limits, scale = np.iinfo(dtype), np.float32(0.25)
    values = arithmetic.quantize_values(np.float32([-1e6, 1e6, 0.375, -0.375, 1]), scale, 3, np.dtype(dtype))
    assert values.dtype == dtype and values.tolist() == [limits.min, limits.max, 5, 2, 7]
    back = arithmetic.dequantize_values(np.array([limits.min, limits.max, 3, 7], dtype), scale, 3)
    assert back.dtype == np.float32 and back.tolist() == [0.25 * (limits.min - 3), 0.25 * (limits.max - 3), 0, 1]


@pytest.mark.parametrize("bad", [-1.0, float("inf")])
def test_multipliers_are_finite_and_not_negative(bad: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        arithmetic.quantize_multiplier(bad)


def test_multipliers_by_channel_and_alone() -> None:
    multipliers, shifts = arithmetic.quantize_multipliers(np.array([0.5, 3.0, 2.0**-31, 2.0**-33]))
    assert multipliers.tolist() == [2**30, 3 * 2**29, 2**30, 0] and shifts.tolist() == [0, 2, -30, 0]
    assert arithmetic.quantize_multipliers(np.float32(1.0))[0].tolist() == [2**30]
    assert arithmetic.quantize_multiplier(2.0**-32) == (2**30, -31)


def test_the_cut_to_16_bits_rounds_and_saturates() -> None:
    given = np.array([0x7FFEFFFF, 0x7FFF0000, 0x40007FFF, 0x40008000])
    assert arithmetic.reduce_multiplier(given).tolist() == [0x7FFF, 0x7FFF, 0x4000, 0x4001]


@given(
    st.lists(st.integers(-(2**24), 2**24), min_size=2, max_size=2),
    st.lists(st.integers(-31, 6), min_size=2, max_size=2),
)
def test_channels_have_multipliers_of_their_own(xs: list[int], shifts: list[int]) -> None:
    multipliers = np.array([2**30 + 12345, 2**31 - 1])
    together = arithmetic.requantizer(multipliers, np.array(shifts))(np.array([xs]))
    alone = [arithmetic.multiply(np.array(x), m, s) for x, m, s in zip(xs, multipliers, shifts, strict=True)]
    assert together.tolist() == [[int(each) for each in alone]]
    assert arithmetic.multiply(np.array([xs]), multipliers, np.array(shifts)).tolist() == together.tolist()
