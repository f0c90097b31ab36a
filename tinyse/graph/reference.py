"""The integer step in numpy: the specification that firmware and files are held to, bit for bit.

It equals the pinned TFLM interpreter in every output and state. Multiplications of matrices are done in float64 by
BLAS, exact for these integers and faster than int64. An operator with one or two 8-bit inputs has at most 65,536
different results, so it is a table. What is precomputed here is what TFLM's kernels do in Prepare.
"""

from __future__ import annotations

import numpy as np

from tinyse.errors import InputError
from tinyse.graph import arithmetic
from tinyse.graph.execution import MOVING, Function, Kernel, Program, patches, products
from tinyse.graph.graph import Graph, Operator, Tensor
from tinyse.graph.tables import hard_swish_table, int8_table, int16_table


def compile(graph: Graph) -> Program:
    """The step of an integer graph as a function of {name: int8 or int16 array}.

    Raises InputError for a graph that is not valid, is float, or whose accumulators could overflow on a device.
    """
    for tensor in graph.tensors.values():
        if tensor.dtype == np.float32:
            raise InputError(f"tensor {tensor.name!r} is float32: the integer reference runs quantized graphs")
    return Program(graph, KERNELS, {})


def limits(operator: Operator, output: Tensor) -> tuple[int, int]:
    """The least and the greatest integer that an operator may give: RELU's zero is the zero point."""
    info = np.iinfo(output.dtype)
    rectified = operator.options.get("activation", "NONE") == "RELU"
    return (max(info.min, output.zero_point) if rectified else info.min), info.max


def weighted(graph: Graph, operator: Operator, weights: np.ndarray) -> Function:
    """From rows of raw integers to (rows, out): weights (in, out) with bias, multipliers, zero point and clipping.

    Rows and weights are as `patches` makes them. The input's zero point is folded into the bias.
    TFLM's ConvPerChannel, DepthwiseConvPerChannel and FullyConnected, int8 and 16x8.
    """
    x, kernel, bias = (graph.tensors[name] for name in operator.inputs)
    y = graph.tensors[operator.outputs[0]]
    multipliers, shifts = arithmetic.quantize_multipliers(output_scales(operator, x, kernel, y))
    wide = x.dtype == np.int16
    weights = np.ascontiguousarray(weights, np.float64)
    folded = bias.constant.astype(np.float64) - x.zero_point * weights.sum(axis=-2).ravel()
    info = np.iinfo(x.dtype)
    reach = max(info.max - x.zero_point, x.zero_point - info.min)
    largest = reach * np.abs(weights).sum(axis=-2).ravel() + np.abs(bias.constant.astype(np.float64))
    arithmetic.check_accumulator(f"{operator.kind} {y.name!r}", largest, shifts, wide)
    requantize, finish = arithmetic.requantizer(multipliers, shifts, wide), _finisher(operator, y)
    multiply = products(graph, operator)

    def function(rows: np.ndarray) -> np.ndarray:
        accumulator = multiply(rows, weights)
        accumulator += folded
        return finish(requantize(accumulator.astype(np.int64)))

    return function


def output_scales(operator: Operator, x: Tensor, weights: Tensor, y: Tensor) -> np.ndarray:
    """Input scale x weight scale / output scale in double, in TFLM's order of operations."""
    sx, sw, sy = x.scale, weights.qparams.scale, np.float64(y.scale)
    if operator.kind == "FULLY_CONNECTED" and len(sw) == 1:
        return (sx * sw).astype(np.float64) / sy  # GetQuantizedConvolutionMultipler: a float product
    scales = np.float64(sx) * sw.astype(np.float64) / sy
    return np.broadcast_to(scales, y.shape[-1:])


def _finisher(operator: Operator, y: Tensor) -> Function:
    """From requantized int64 to the output: zero point, clipping, type. The argument is scratch."""
    zero_point, dtype = np.int64(y.zero_point), y.dtype
    low, high = (np.int64(limit) for limit in limits(operator, y))

    def finish(x: np.ndarray) -> np.ndarray:
        x += zero_point
        np.maximum(x, low, out=x)
        np.minimum(x, high, out=x)
        return x.astype(dtype)

    return finish


def _convolution(graph: Graph, operator: Operator) -> Function:
    indices, weights = patches(graph, operator)
    rows = weighted(graph, operator, weights)
    shape = graph.shape(operator.outputs[0])
    x = graph.tensors[operator.inputs[0]]
    padding = np.full(1, x.zero_point, x.dtype)

    def function(value: np.ndarray) -> np.ndarray:
        padded = np.concatenate([value.ravel(), padding])
        return rows(padded.take(indices).astype(np.float64)).reshape(shape)

    return function


def _fully_connected(graph: Graph, operator: Operator) -> Function:
    rows = weighted(graph, operator, graph.tensors[operator.inputs[1]].constant.T)
    return lambda x: rows(x.astype(np.float64))


def _binary(graph: Graph, operator: Operator) -> Function:
    a, b = (graph.tensors[name] for name in operator.inputs)
    exact = (_product if operator.kind == "MUL" else _sum)(graph, operator)
    function = exact
    if a.dtype == np.int8:
        every = _every(a.dtype)
        table = exact(every[:, None], every[None, :])
        function = lambda a, b: table[_index(a), _index(b)]  # noqa: E731
    if a.data is not None:
        return lambda b: function(a.data, b)
    if b.data is not None:
        return lambda a: function(a, b.data)
    return function


def _sum(graph: Graph, operator: Operator) -> Function:
    """ADD and SUB: both inputs at a common, finer scale, then back. TFLM's AddFunc and SubElementwise."""
    a, b, y = (graph.tensors[name] for name in (*operator.inputs, *operator.outputs))
    left = 15 if y.dtype == np.int16 else 20
    # TFLM's Prepare works in double for ADD and in float for SUB.
    real = np.float64 if operator.kind == "ADD" else np.float32
    sa, sb, sy = (real(tensor.scale) for tensor in (a, b, y))
    common = real(2) * max(sa, sb)
    to_common = [arithmetic.requantizer(*arithmetic.quantize_multipliers(scale / common)) for scale in (sa, sb)]
    back = arithmetic.requantizer(*arithmetic.quantize_multipliers(common / (real(1 << left) * sy)))
    finish, combine = _finisher(operator, y), np.add if operator.kind == "ADD" else np.subtract
    on_common = []
    for tensor, requantize in zip((a, b), to_common, strict=True):
        centered = _every(tensor.dtype).astype(np.int64) - tensor.zero_point
        on_common.append(requantize(centered << left).astype(np.int32))

    def function(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return finish(back(combine(on_common[0][_index(a)], on_common[1][_index(b)], dtype=np.int64)))

    return function


def _product(graph: Graph, operator: Operator) -> Function:
    """MUL: TFLM's MulElementwise, for 16-bit values too with a 32-bit product."""
    a, b, y = (graph.tensors[name] for name in (*operator.inputs, *operator.outputs))
    sa, sb, sy = (np.float64(tensor.scale) for tensor in (a, b, y))
    multiplier, shift = arithmetic.quantize_multipliers(sa * sb / sy)
    requantize = arithmetic.requantizer(multiplier, shift)
    za, zb = a.zero_point, b.zero_point
    largest = (np.iinfo(a.dtype).max + abs(za) + 1) * (np.iinfo(b.dtype).max + abs(zb) + 1)
    arithmetic.check_accumulator(f"MUL {y.name!r}", largest, shift)
    finish = _finisher(operator, y)

    def function(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return finish(requantize((a.astype(np.int64) - za) * (b.astype(np.int64) - zb)))

    return function


def _unary(graph: Graph, operator: Operator) -> Function:
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    if operator.kind == "QUANTIZE":
        table = _requantize_table(x, y)
    elif operator.kind == "LEAKY_RELU":
        table = _leaky_relu_table(operator, x, y)
    elif operator.kind == "HARD_SWISH":
        table = np.roll(hard_swish_table(x.qparams, y.qparams), 128)
    else:
        ascending = (int8_table if x.dtype == np.int8 else int16_table)(operator.kind, x.qparams)
        table = np.roll(ascending, len(ascending) // 2)
    return lambda x: table[_index(x)]


def _every(dtype: np.dtype) -> np.ndarray:
    """Every integer of a type in the order of `_index`: 0, 1, ..., -2, -1."""
    unsigned = np.uint8 if dtype == np.int8 else np.uint16
    return np.arange(np.iinfo(unsigned).max + 1).astype(unsigned).view(dtype)


def _index(x: np.ndarray) -> np.ndarray:
    """The place of each integer in a table in the order of `_every`: its bits, read as unsigned."""
    return x.view(np.uint8 if x.dtype == np.int8 else np.uint16)


def _requantize_table(x: Tensor, y: Tensor) -> np.ndarray:
    """QUANTIZE between integers: TFLM's Requantize."""
    centered = _every(x.dtype).astype(np.int64) - x.zero_point
    scale = np.float64(x.scale) / np.float64(y.scale)
    return _rescaled(f"QUANTIZE {y.name!r}", centered, scale, y)


def _leaky_relu_table(operator: Operator, x: Tensor, y: Tensor) -> np.ndarray:
    """LEAKY_RELU: TFLM's QuantizeLeakyRelu, one multiplier above zero and one below it."""
    centered = _every(x.dtype).astype(np.int64) - x.zero_point
    scale, where = np.float64(x.scale), f"LEAKY_RELU {y.name!r}"
    above = _rescaled(where, centered, scale / np.float64(y.scale), y)
    below = _rescaled(where, centered, scale * np.float32(operator.options["slope"]) / np.float64(y.scale), y)
    return np.where(centered < 0, below, above)


def _rescaled(where: str, centered: np.ndarray, scale: np.float64, y: Tensor) -> np.ndarray:
    """Integers around zero, times `scale`, as `y` holds them."""
    multiplier, shift = arithmetic.quantize_multiplier(float(scale))
    arithmetic.check_accumulator(where, int(np.abs(centered).max()), shift)
    ends = np.iinfo(y.dtype)
    result = arithmetic.multiply(centered, multiplier, shift) + y.zero_point
    return np.clip(result, ends.min, ends.max).astype(y.dtype)


KERNELS: dict[str, Kernel] = {
    **MOVING,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "ADD": _binary,
    "SUB": _binary,
    "MUL": _binary,
    "LOGISTIC": _unary,
    "TANH": _unary,
    "HARD_SWISH": _unary,
    "LEAKY_RELU": _unary,
    "QUANTIZE": _unary,
}
