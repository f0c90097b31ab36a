"""The one place of rounding: everything that turns an accumulator into a quantized value.

These are the functions of TensorFlow Lite for Microcontrollers, which rounds twice as gemmlowp does: a multiplier is a
Q31 number in [1/2, 1) and a power of two; the product's high half is rounded (halves up), then the shift is rounded
(halves away from zero). LiteRT's desktop kernels round once in some operators and may differ in the last bit. 16-bit
values have 64-bit accumulators and a multiplier of 16 bits. Arrays are int64 throughout, so that nothing wraps; where
the C code would wrap, `check_accumulator` refuses the graph beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinyse.errors import InputError

HALF_Q31 = np.int64(1) << 30


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real = multiplier / 2^31 * 2^shift and multiplier in [2^30, 2^31).

    `QuantizeMultiplier` of TensorFlow Lite: halves away from zero, and below 2^-31 it is zero.
    """
    if real < 0 or not math.isfinite(real):
        raise ValueError(f"a multiplier must be finite and not negative: {real}")
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = 1 << 30, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def quantize_multipliers(reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`quantize_multiplier` of each of (channels,) numbers, as two int64 arrays."""
    pairs = [quantize_multiplier(float(real)) for real in np.atleast_1d(reals)]
    multipliers, shifts = np.array(pairs, np.int64).T
    return multipliers, shifts


def doubling_high_multiply(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """round(a * b / 2^31) of 32-bit numbers, halves up; -2^31 times itself saturates to 2^31 - 1.

    gemmlowp's SaturatingRoundingDoublingHighMul: its nudge and truncating division come to the same as this shift.
    """
    return np.minimum((np.asarray(a, np.int64) * b + HALF_Q31) >> 31, 2**31 - 1)


def rounding_divide(x: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """round(x / 2^exponent), halves away from zero: gemmlowp's RoundingDivideByPOT, 0 <= exponent <= 31."""
    x, exponent = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    half = (np.int64(1) << exponent) >> 1
    return (x + half + ((x >> 63) & -(exponent > 0).astype(np.int64))) >> exponent


def multiply(x: np.ndarray, multiplier: np.ndarray | int, shift: np.ndarray | int) -> np.ndarray:
    """x * multiplier / 2^31 * 2^shift of a 32-bit accumulator, rounded twice.

    TFLM's MultiplyByQuantizedMultiplier(int32). `multiplier` and `shift` are scalars or have one entry for each entry
    of the last axis.
    """
    shift = np.asarray(shift, np.int64)
    x = np.asarray(x, np.int64) << np.maximum(shift, 0)
    return rounding_divide(doubling_high_multiply(x, multiplier), np.maximum(-shift, 0))


def requantizer(multipliers: np.ndarray, shifts: np.ndarray, wide: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """`multiply` by fixed multipliers, in place on an int64 accumulator.

    Multipliers and shifts have one entry, or one for each entry of the accumulator's last axis. `wide` is for 64-bit
    accumulators, |x| < 2^47, which 16-bit values with 8-bit weights have: the multiplier is cut to 16 bits and the
    result rounded once, as in TFLM's MultiplyByQuantizedMultiplier(int64).
    """
    if wide:
        reduced, total = reduce_multiplier(multipliers), 15 - shifts
        half = np.int64(1) << (total - 1)

        def requantize_wide(x: np.ndarray) -> np.ndarray:
            x *= reduced
            x += half
            x >>= total
            return x

        return requantize_wide
    if (shifts >= 0).any():
        return lambda x: multiply(x, multipliers, shifts)
    right = -shifts
    half_right = (np.int64(1) << right) >> 1

    def requantize(x: np.ndarray) -> np.ndarray:
        x *= multipliers
        x += HALF_Q31
        x >>= 31
        sign = x >> 63
        x += half_right
        x += sign
        x >>= right
        return x

    return requantize


def reduce_multiplier(multiplier: np.ndarray | int) -> np.ndarray:
    """A Q31 multiplier as Q15, rounded, at most 2^15 - 1."""
    multiplier = np.asarray(multiplier, np.int64)
    return np.where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF)


def check_accumulator(where: str, largest: np.ndarray | int, shift: np.ndarray | int, wide: bool = False) -> None:
    """Refuse an operator whose accumulator can leave the bits that the C code has for it.

    `largest` is the greatest magnitude that any input can give, one for each channel; `shift` the multiplier's. The
    output's zero point, of 8 bits, is added to what 32 bits hold. Raises InputError that names `where`.
    """
    # A channel of zeros is shifted like any other: it may not go further to the left than a one.
    largest, factor = np.maximum(np.asarray(largest, np.float64), 1), 2.0 ** np.asarray(shift)
    if wide:
        overflows = (largest >= 2.0**47) | (largest * factor >= 2.0**31) | (factor >= 2.0**8)
    else:
        overflows = (largest >= 2.0**31) | (largest * factor >= 2.0**31 - 2.0**8)
    if overflows.any():
        raise InputError(f"{where}: an accumulator may overflow; its weights or scales are out of range")


def quantize_values(x: np.ndarray, scale: np.float32, zero_point: int, dtype: np.dtype) -> np.ndarray:
    """float32 values quantized: floor(x / scale + 1/2) + zero point, clipped, all of it in float32.

    The rule for what enters a step from outside. A device computes the same bits in float32: one division, one
    addition, one floor; halves go up.
    """
    limits = np.iinfo(dtype)
    steps = np.floor(np.asarray(x, np.float32) / np.float32(scale) + np.float32(0.5)) + np.float32(zero_point)
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def dequantize_values(x: np.ndarray, scale: np.float32, zero_point: int) -> np.ndarray:
    """Quantized values as float32: (x - zero point) * scale, one rounding."""
    return (np.asarray(x, np.int32) - np.int32(zero_point)).astype(np.float32) * np.float32(scale)
