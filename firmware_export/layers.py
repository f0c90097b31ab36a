"""An operator's numbers as the C kernels take them: weights in the kernel's order, multipliers, tables.

Every function returns a Layer, the initializer of one of the structs in c/kernels.h. `fast` says whether the kernels
for special cores may run it; their arithmetic saves an instruction where no shift goes left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyse.errors import InputError
from tinyse.graph import arithmetic, reference, tables
from tinyse.graph.graph import Graph, Operator, Tensor
from tinyse.graph.operators import OPERATORS, groups

WORD = 4
"""Weights of one output that lie together."""
OVERREAD_WORDS = 16
"""After the last pair, for vector loads."""
SUMS = 64
"""Words of scratch after a window, as c/kernels.h says."""
LARGEST_SIZE = 32767
"""Sizes, and multipliers of a sigmoid, are int16 in C."""
CONVOLVE = "tinyse_convolve"
ADD = "tinyse_add"
DEPTHWISE = "tinyse_depthwise"
CONVOLVE16 = "tinyse_convolve16"
GRU = "tinyse_gru_gates"
CMSIS = "tinyse_convolve_cmsis"
"""The kernel that calls CMSIS-NN."""


STRUCT_BYTES = {
    "tinyse_convolution": 36,
    "tinyse_addition": 48,
    "tinyse_product": 32,
    "tinyse_gru": 324,
    "tinyse_table": 12,
    "tinyse_sigmoid": 20,
    "tinyse_conversion": 32,
    "tinyse_rows": 8,
}
"""Sizes of the structs in c/kernels.h, on a core of 32 bits."""


@dataclass(frozen=True)
class Rows:
    """How the operands of an elementwise operator lie; `tinyse_rows` in C."""

    rows: int
    columns: int
    a_stride: int
    b_stride: int


@dataclass(frozen=True)
class Layer:
    """A constant of C type `struct`; `arrays` are fields that point to constants of their own, the others numbers."""

    kernel: str
    struct: str
    fields: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    fast: bool = True


def convolutions(graph: Graph, operator: Operator, where: str, cmsis: bool = False) -> list[Layer]:
    """CONV_2D, DEPTHWISE_CONV_2D, or FULLY_CONNECTED as a 1 x 1 convolution over its rows: a layer for each group.

    All but depthwise ones by CMSIS-NN where wanted and possible.
    """
    x, kernel, bias = (graph.tensors[name] for name in operator.inputs)
    y = graph.tensors[operator.outputs[0]]
    parts = groups(operator, graph.tensors)
    sizes = _sizes(operator, x, kernel, y, parts, where)
    channels_first = np.moveaxis(kernel.constant, OPERATORS[operator.kind].channel_axis, 0)
    all_weights = channels_first.reshape(len(channels_first), -1).astype(np.int64)
    scales = reference.output_scales(operator, x, kernel, y)
    divided = (np.split(values, parts) for values in (all_weights, bias.constant, scales))
    return [_convolution(operator, where, cmsis, x, y, sizes, *numbers) for numbers in zip(*divided, strict=True)]


def _convolution(
    operator: Operator, where: str, cmsis: bool, x: Tensor, y: Tensor, sizes: dict[str, int],
    weights: np.ndarray, bias: np.ndarray, scales: np.ndarray,
) -> Layer:  # fmt: skip
    """One group: `weights` (outputs, depth), `bias` and `scales` (outputs,)."""
    if x.dtype == np.int16:
        return _convolution16(operator, where, y, sizes, weights, bias, scales)
    folded = bias.astype(np.int64) - x.zero_point * weights.sum(1)
    multipliers, shifts = arithmetic.quantize_multipliers(scales)
    largest = np.abs(folded) + 128 * np.abs(weights).sum(1)
    arithmetic.check_accumulator(where, largest, shifts)
    fields = {
        **sizes,
        "input_zero": x.zero_point,
        "output_zero": y.zero_point,
        "low": reference.limits(operator, y)[0],
    }
    if operator.kind == "DEPTHWISE_CONV_2D":
        numbers = flat(weights.T, folded, multipliers, -shifts)
        return Layer(DEPTHWISE, "tinyse_convolution", fields, {"pairs": numbers})
    if cmsis and _padding_suits_cmsis(sizes):
        numbers = flat(weights, bias, multipliers, shifts)
        return Layer(CMSIS, "tinyse_convolution", fields, {"pairs": numbers})
    pairs = packed(weights, folded, multipliers, -shifts)
    # Fast kernels add the zero point one bit before the last one is shifted out.
    roomy = ((shifts <= -1) & (largest / 2.0 ** (-shifts - 1) < 1 << 30)).all()
    return Layer(CONVOLVE, "tinyse_convolution", fields, {"pairs": pairs}, bool(roomy))


def _convolution16(
    operator: Operator,
    where: str,
    y: Tensor,
    sizes: dict[str, int],
    weights: np.ndarray,
    bias: np.ndarray,
    scales: np.ndarray,
) -> Layer:
    """`_convolution` on values of 16 bits, whose zero points are 0."""
    multipliers, shifts = arithmetic.quantize_multipliers(scales)
    largest = np.abs(bias.astype(np.int64)) + (1 << 15) * np.abs(weights).sum(1)
    arithmetic.check_accumulator(where, largest, shifts, wide=True)
    scale_words = arithmetic.reduce_multiplier(multipliers) << 16 | (15 - shifts)
    biases = bias.astype("<i8").view("<i4").reshape(-1, 2)
    depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    if depthwise:
        numbers = np.concatenate([np.column_stack([biases, scale_words]).ravel(), _words(weights.T.reshape(1, -1))[0]])
    else:
        rows = np.column_stack([biases, _words(weights), scale_words])
        numbers = np.concatenate([rows.ravel(), np.zeros(OVERREAD_WORDS)])
    fields = {
        **sizes,
        "channels": 2 * sizes["channels"],
        "input_zero": 0,
        "output_zero": 0,
        "low": reference.limits(operator, y)[0],
    }
    kernel = "tinyse_depthwise16" if depthwise else CONVOLVE16
    within_32_bits = (largest < 1 << 31).all() and (shifts <= -2).all()
    return Layer(
        kernel, "tinyse_convolution", fields, {"pairs": numbers.astype(np.int32)}, depthwise or bool(within_32_bits)
    )


def _words(weights: np.ndarray) -> np.ndarray:
    """(rows, columns) int8 as (rows, words) int32, filled up with zeros."""
    rows, columns = weights.shape
    padded = np.zeros((rows, -(-columns // WORD) * WORD), np.int8)
    padded[:, :columns] = weights
    return padded.view("<i4")


def scratch_words(layer: Layer) -> int:
    """What a kernel has to be given, as c/kernels.h says."""
    if layer.kernel == GRU:
        layout = layer.fields["kept"][0]
        return -(-2 * layout.rows * layout.columns // WORD)
    if layer.kernel not in (CONVOLVE, CONVOLVE16, CMSIS):
        return 0
    depth = layer.fields["depth"]
    if layer.kernel == CONVOLVE16:
        return 4 * -(-depth // WORD)
    if layer.kernel == CMSIS:
        # Four columns of bytes in whole vectors, on Helium; elsewhere two of int16, which is less.
        return 16 * -(-depth // 16)
    return max(6 * -(-depth // WORD) + 8, -(-depth // WORD) + SUMS)


def flat(weights: np.ndarray, bias: np.ndarray, multipliers: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Weights int8 in their order after three arrays (outputs,), as CMSIS-NN and depthwise kernels read them: int32."""
    return np.concatenate([bias, multipliers, shifts, _words(weights.reshape(1, -1))[0]]).astype(np.int32)


def _padding_suits_cmsis(sizes: Mapping[str, int]) -> bool:
    """Whether what is missing in width lies half on each side, as CMSIS-NN's 1 x n kernel for Helium takes for granted."""
    needed = (sizes["out_width"] - 1) * sizes["stride_width"] + sizes["kernel_width"]
    return needed - sizes["width"] - 2 * sizes["pad_left"] in (0, 1)


def packed(weights: np.ndarray, bias: np.ndarray, multipliers: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Weights (outputs, depth) int8 and three arrays (outputs,) as the pairs of `tinyse_convolution`: flat int32."""
    outputs, depth = weights.shape
    pairs, words = -(-outputs // 2), -(-depth // WORD)
    padded = np.zeros((pairs * 2, words * WORD), np.int8)
    padded[:outputs, :depth] = weights
    bytes_of_pairs = padded.reshape(pairs, 2, words, WORD).transpose(0, 2, 1, 3)
    numbers = np.zeros((2, pairs * 2), np.int32)
    numbers[:, :outputs] = bias, (2 * multipliers).astype(np.uint32).view(np.int32)
    halves = np.zeros(pairs * 2, "<i2")
    halves[:outputs] = shifts - 1
    biases, multipliers = numbers.reshape(2, pairs, 2)
    columns = [biases, bytes_of_pairs.reshape(pairs, -1).view("<i4"), multipliers, halves.view("<i4")[:, None]]
    stream = np.concatenate(columns, axis=1).ravel()
    return np.concatenate([stream, np.zeros(OVERREAD_WORDS)]).astype(np.int32)


def _sizes(operator: Operator, x: Tensor, kernel: Tensor, y: Tensor, parts: int, where: str) -> dict[str, int]:
    """The sizes of one of `parts` groups."""
    if operator.kind == "FULLY_CONNECTED":
        (height, width, channels), (kernel_height, kernel_width) = (1, *x.shape), (1, 1)
        (stride_height, stride_width), (out_height, out_width) = (1, 1), (1, y.shape[0])
    else:
        if x.shape[0] != 1:
            raise InputError(f"{where}: a batch of {x.shape[0]} is not supported, a step has one")
        (height, width, channels), (kernel_height, kernel_width) = x.shape[1:], kernel.shape[1:3]
        (stride_height, stride_width), (out_height, out_width) = operator.options["stride"], y.shape[1:3]
    pad_top, pad_left = (
        max((out - 1) * stride + size - given, 0) // 2 if operator.options.get("padding") == "SAME" else 0
        for out, stride, size, given in (
            (out_height, stride_height, kernel_height, height),
            (out_width, stride_width, kernel_width, width),
        )
    )
    channels //= parts
    sizes = {
        "outputs": y.shape[-1] // parts,
        "depth": kernel_height * kernel_width * channels,
        "height": height,
        "width": width,
        "channels": channels,
        "kernel_height": kernel_height,
        "kernel_width": kernel_width,
        "stride_height": stride_height,
        "stride_width": stride_width,
        "pad_top": pad_top,
        "pad_left": pad_left,
        "out_height": out_height,
        "out_width": out_width,
    }
    for name, size in sizes.items():
        if size > LARGEST_SIZE:
            raise InputError(f"{where}: {name} is {size}, the kernels go up to {LARGEST_SIZE}")
    return sizes


def addition(graph: Graph, operator: Operator, where: str) -> tuple[Layer, bool]:
    """ADD or SUB, without its layout, and whether its operands are to be exchanged: the coarser scale comes first."""
    a, b, y = (graph.tensors[name] for name in (*operator.inputs, *operator.outputs))
    wide = y.dtype == np.int16
    left = 15 if wide else 20
    # TFLM's Prepare works in double for ADD and in float for SUB.
    real = np.float64 if operator.kind == "ADD" else np.float32
    sa, sb, sy = (real(tensor.scale) for tensor in (a, b, y))
    signs = (1, 1 if operator.kind == "ADD" else -1)
    exchanged = bool(sb > sa)
    if exchanged:
        (a, b), (sa, sb), signs = (b, a), (sb, sa), signs[::-1]
    common = real(2) * sa
    b_multiplier, b_shift = arithmetic.quantize_multiplier(float(sb / common))
    if b_shift == 0 and b_multiplier:
        # Equal scales, an exact half. The kernels want a shift: this one gives the same for all numbers of 9 bits << 20,
        # and of 16 bits << 15.
        b_multiplier, b_shift = (1 << 31) - 1, -1
    multiplier, shift = arithmetic.quantize_multiplier(float(common / (real(1 << left) * sy)))
    arithmetic.check_accumulator(where, 1 << (30 if wide else 28), shift)
    factor = signs[0] * (1 << left)
    offset = -signs[0] * signs[1] * a.zero_point * (1 << left - 1)
    layer = Layer(
        "tinyse_add16" if wide else ADD,
        "tinyse_addition",
        {
            "a_factor": factor,
            "offset": offset,
            "b_sign": signs[1],
            "b_zero": b.zero_point,
            "b_scale": (b_multiplier, -b_shift),
            "scale": (multiplier, -shift),
            "output_zero": y.zero_point,
            "low": reference.limits(operator, y)[0],
        },
        fast=b_shift <= -1 and shift <= -1
        if wide
        else (factor > 0 and b_shift <= -1 and abs(offset) << -b_shift < 1 << 30 and _foldable(shift, y)),
    )
    return layer, exchanged


def product(graph: Graph, operator: Operator, where: str) -> Layer:
    """MUL, without its layout."""
    a, b, y = (graph.tensors[name] for name in (*operator.inputs, *operator.outputs))
    sa, sb, sy = (np.float64(tensor.scale) for tensor in (a, b, y))
    multiplier, shift = arithmetic.quantize_multiplier(float(sa * sb / sy))
    wide = y.dtype == np.int16
    arithmetic.check_accumulator(where, 1 << 30 if wide else 255 * 255, shift)
    return Layer(
        "tinyse_multiply16" if wide else "tinyse_multiply",
        "tinyse_product",
        {
            "a_zero": a.zero_point,
            "b_zero": b.zero_point,
            "scale": (multiplier, -shift),
            "output_zero": y.zero_point,
            "low": reference.limits(operator, y)[0],
        },
        fast=shift <= -1 if wide else _foldable(shift, y),
    )


def function(graph: Graph, operator: Operator, where: str) -> Layer:
    """An operator of one operand, without its layout."""
    x, y = (graph.tensors[name] for name in (operator.inputs[0], operator.outputs[0]))
    if x.dtype == y.dtype == np.int8:
        return table(graph, operator)
    return _sigmoid(operator, x, where) if operator.kind in ("LOGISTIC", "TANH") else _conversion(operator, x, y, where)


def table(graph: Graph, operator: Operator) -> Layer:
    """LOGISTIC, TANH, HARD_SWISH, LEAKY_RELU or QUANTIZE, without its layout: the reference's results for every input."""
    every = np.arange(256).astype(np.uint8).view(np.int8)
    results = reference.KERNELS[operator.kind](graph, operator)(every)
    return Layer("tinyse_look_up", "tinyse_table", {}, {"table": results})


def _sigmoid(operator: Operator, x: Tensor, where: str) -> Layer:
    """LOGISTIC or TANH on 16 bits: 512 bytes of table, not 131,072."""
    multiplier, shift = tables.int16_multiplier(operator.kind, float(x.scale))
    if multiplier > LARGEST_SIZE:
        raise InputError(
            f"{where}: its input's scale is {x.scale:g}, the kernels go up to {LARGEST_SIZE / (3 << 12):.4g}"
        )
    fields = {"multiplier": multiplier, "shift": shift, "is_tanh": int(operator.kind == "TANH")}
    return Layer("tinyse_sigmoid16", "tinyse_sigmoid", fields, {"table": tables.SIGMOID_TABLE.astype(np.uint16)})


def _conversion(operator: Operator, x: Tensor, y: Tensor, where: str) -> Layer:
    """QUANTIZE with 16 bits on a side, or LEAKY_RELU on 16 bits."""
    scale = np.float64(x.scale)
    slope = np.float32(operator.options["slope"]) if operator.kind == "LEAKY_RELU" else np.float32(1)
    scales = []
    for factor in (scale / np.float64(y.scale), scale * slope / np.float64(y.scale)):
        multiplier, shift = arithmetic.quantize_multiplier(float(factor))
        arithmetic.check_accumulator(where, np.iinfo(x.dtype).max + 1 + abs(x.zero_point), shift)
        scales.append((multiplier, -shift))
    fields = {
        "input_bytes": x.dtype.itemsize,
        "output_bytes": y.dtype.itemsize,
        "input_zero": x.zero_point,
        "output_zero": y.zero_point,
        "above": scales[0],
        "below": scales[1],
    }
    return Layer("tinyse_convert", "tinyse_conversion", fields)


def _foldable(shift: int, y: Tensor) -> bool:
    """Whether the zero point can be added before the shift to the right without leaving 31 bits."""
    return shift <= -1 and (abs(y.zero_point) + 1) << -shift < 1 << 30
