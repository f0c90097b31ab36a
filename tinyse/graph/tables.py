"""LOGISTIC, TANH and HARD_SWISH on integers, as tables of every input: 256 entries for int8, 65,536 for int16.

An int8 table is computed in fixed point alone, in the steps of gemmlowp's exp, logistic and tanh that TFLM's reference
kernels use, so it has the same bits on every machine whatever its libm. The int16 functions interpolate in a table of
sigmoid(i / 24), as TFLM's kernels do.
"""

from __future__ import annotations

import math

import numpy as np

from tinyse.graph.arithmetic import (
    doubling_high_multiply,
    multiply,
    quantize_multiplier,
    reduce_multiplier,
    rounding_divide,
)
from tinyse.graph.graph import Quantization

INTEGER_BITS = 4
"""Inputs are Q4.27: |x| < 16 covers all that changes an 8-bit result."""

ONE = 2**31 - 1


def _sigmoid_table() -> np.ndarray:
    """(256,) sigmoid(i / 24) as Q16, each entry raised by half of what the chord to the next loses in its middle.

    These are the integers of TFLM's and CMSIS-NN's `sigmoid_table_uint16`; the last one is the saturation.
    """

    def sigmoid(i: np.ndarray) -> np.ndarray:
        return 65536 / (1 + np.exp(-i / 24))

    i = np.arange(256)
    lost = sigmoid(i + 0.5) - (sigmoid(i) + sigmoid(i + 1)) / 2
    table = np.floor(sigmoid(i) + lost / 2 + 0.5).astype(np.int64)
    table[-1] = 65535
    return table


SIGMOID_TABLE = _sigmoid_table()


def int8_table(kind: str, qparams: Quantization) -> np.ndarray:
    """(256,) int8: the output for the inputs -128 to 127 at `qparams`; the output's scale is the operator's fixed one."""
    real = float(qparams.tensor_scale) * (1 << (31 - INTEGER_BITS))
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    x = np.arange(-128, 128, dtype=np.int64) - qparams.zero_point
    radius = math.floor(((1 << INTEGER_BITS) - 1) * (1 << (31 - INTEGER_BITS)) / 2.0**shift)
    inside = np.abs(x) < radius
    q4 = np.where(inside, multiply(np.where(inside, x, 0), multiplier, shift), 0)
    y = rounding_divide(_logistic(q4), 31 - 8) - 128 if kind == "LOGISTIC" else rounding_divide(_tanh(q4), 31 - 7)
    return np.where(inside, np.clip(y, -128, 127), np.where(x < 0, -128, 127)).astype(np.int8)


def hard_swish_table(x: Quantization, y: Quantization) -> np.ndarray:
    """(256,) int8: x min(max(x + 3, 0), 6) / 6 on `y` for the inputs -128 to 127 on `x`, in the 16-bit steps of TFLM.

    HardSwish of TFLM's reference kernels. The input is scaled by 2^7 first; `gate`, the clipped x / 3, becomes [0, 1] in
    Q15; the product's fraction is cut off.
    """
    fine = x.tensor_scale * np.float32(1 / 128)
    to_output, output_shift = quantize_multiplier(float(fine / y.tensor_scale))
    to_gate, gate_shift = quantize_multiplier(float(fine / np.float32(3 / 32768)))
    value = (np.arange(-128, 128, dtype=np.int64) - x.zero_point) << 7
    gate = _saturated(value << max(gate_shift - 1, 0))
    gate = _saturated(_high_product(gate, to_gate) << (gate_shift > 0))
    gate = (rounding_divide(gate, max(-gate_shift, 0)) + (1 << 15)) >> 1
    product = gate * _high_product(value, to_output)
    product = np.sign(product) * (np.abs(product) >> 15)
    return np.clip(rounding_divide(product, -output_shift) + y.zero_point, -128, 127).astype(np.int8)


def _high_product(x: np.ndarray, multiplier: int) -> np.ndarray:
    """round(x * multiplier / 2^31) of 16-bit numbers, the multiplier cut to 16 bits."""
    return np.minimum((x * reduce_multiplier(multiplier) + (1 << 14)) >> 15, 32767)


def _saturated(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -32768, 32767)


def int16_table(kind: str, qparams: Quantization) -> np.ndarray:
    """(65536,) int16: the output on 1/32768 for the inputs -32768 to 32767 at `qparams`, whose zero point is 0."""
    multiplier, shift = int16_multiplier(kind, float(qparams.tensor_scale))
    x = np.arange(-32768, 32768, dtype=np.int64)
    x = (x * multiplier + ((1 << shift) >> 1)) >> shift
    # tanh(x) = 2 sigmoid(2 x) - 1: the same table with an index of one bit more.
    bits = 9 if kind == "LOGISTIC" else 8
    index, rest = np.abs(x) >> bits, np.abs(x) & ((1 << bits) - 1)
    low = SIGMOID_TABLE[np.minimum(index, 254)]
    high = SIGMOID_TABLE[np.minimum(index, 254) + 1]
    y = (low << bits) + rest * (high - low)
    if kind == "LOGISTIC":
        y = np.where(index >= 255, 0x7FFF << 10, y)
        y = np.where(x >= 0, y + (1 << 9), (1 << 25) - y + (1 << 9) - 1) >> 10
    else:
        y = np.where(index >= 255, 0xFFFF << 8, y)
        y = np.where(x >= 0, y - (1 << 23) + (1 << 7), -y + (1 << 23) + (1 << 7) - 1) >> 8
    return y.astype(np.int16)


def int16_multiplier(kind: str, scale: float) -> tuple[int, int]:
    """(multiplier, right shift) that take the input to 1/(3 * 4096), as TFLM's Prepare chooses them."""
    log2 = math.log(np.float32(scale)) / math.log(2.0)
    left_shift = 12 + round(log2)
    if abs(log2 - round(log2)) < 1e-3 and left_shift in ((0,) if kind == "LOGISTIC" else (0, 1)):
        return 3 << left_shift, 0
    multiplier, shift = scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    return int(multiplier), shift


# gemmlowp's fixed-point functions. A number with b integer bits is an integer over 2^(31 - b).


def _exp_of_negative(x: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp(x) for x <= 0, Q(integer_bits) to Q0: a polynomial on [-1/4, 0), then one factor for each higher bit."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    part = (x & (quarter - 1)) - quarter
    t = (part << integer_bits) + (1 << 28)  # around -1/8
    t2 = doubling_high_multiply(t, t)
    t3, t4 = doubling_high_multiply(t2, t), doubling_high_multiply(t2, t2)
    tail = doubling_high_multiply(rounding_divide(t4, 2) + t3, 715827883) + t2  # 1/3
    result = 1895147668 + doubling_high_multiply(t + rounding_divide(tail, 1), 1895147668)  # exp(-1/8)
    rest = part - x
    # exp(-2^k) for k from -2 on
    for k, factor in enumerate((1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242), start=-2):
        if integer_bits > k:
            bit = 1 << (fraction_bits + k)
            result = np.where(rest & bit, doubling_high_multiply(result, factor), result)
    return np.where(x == 0, ONE, result)


def _two_over_one_plus(x: np.ndarray) -> np.ndarray:
    """2 / (1 + x) for x in [0, 1], Q0 to Q2: three steps of Newton-Raphson on half the denominator."""
    half = (x + ONE + 1) >> 1
    y = 1515870810 + doubling_high_multiply(half, -1010580540)  # 48/17 - 32/17 half
    for _ in range(3):
        error = (1 << 29) - doubling_high_multiply(half, y)
        y = y + _saturating_shift(doubling_high_multiply(y, error), 2)
    return y


def _logistic(x: np.ndarray) -> np.ndarray:
    """Q4 to Q0."""
    positive = _saturating_shift(_two_over_one_plus(_exp_of_negative(-np.abs(x), INTEGER_BITS)), 1)
    return np.where(x == 0, 1 << 30, np.where(x > 0, positive, ONE - positive))


def _tanh(x: np.ndarray) -> np.ndarray:
    """Q4 to Q0: the doubling of exp(-2 |x|) is one integer bit more."""
    y = _saturating_shift(_two_over_one_plus(_exp_of_negative(-np.abs(x), INTEGER_BITS + 1)) - (1 << 29), 2)
    return np.where(x == 0, 0, np.where(x < 0, -y, y))


def _saturating_shift(x: np.ndarray, bits: int) -> np.ndarray:
    return np.clip(x << bits, -(2**31), 2**31 - 1)
