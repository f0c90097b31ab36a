"""The operators: one row for each, with all that does not depend on what runs it.

Each module that runs operators, or converts them, has a table of kernels by kind: float and integer execution, sequences,
the .tflite file, the C lowering, TensorFlow's converter. A table that lacks a kind says why in its `WITHOUT`;
tests/test_operators.py checks each of them against this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tinyse.errors import InputError
from tinyse.graph.tensor import Operator, Quantization, Tensor

Category = Literal["weighted", "binary", "gate", "activation", "move", "conversion"]
"""Sums of products with constant weights; elementwise of two; elementwise of one with fixed output parameters, or any;
what changes only the place of values; what changes only their type or scale."""

Shapes = Callable[[Operator, list[Tensor]], list[tuple[int, ...]]]
Check = Callable[[str, Operator, list[Tensor], list[Tensor]], None]

INT8: np.dtype = np.dtype(np.int8)
INT16: np.dtype = np.dtype(np.int16)


@dataclass(frozen=True)
class Specification:
    """One operator."""

    kind: str
    """Its name in TensorFlow Lite."""
    code: int
    """Its number in a .tflite file."""
    category: Category
    inputs: int | None
    """How many; None for one or more."""
    outputs: int | None
    shapes: Shapes
    """Shapes of the outputs; ValueError for inputs that do not fit."""
    check: Check
    """Raises InputError for types or quantizations that kernels cannot work with."""
    instructions: float
    """Per output element in scalar C; per multiply-accumulate, against that of a convolution, where there are weights."""
    fixed: Mapping[np.dtype, Quantization] = field(default_factory=dict)
    """The quantization that TensorFlow Lite's kernels demand of the output, by its type."""
    channel_axis: int = 0
    """The axis of the weights' output channels."""

    def takes(self, inputs: int, outputs: int) -> bool:
        """Whether it may have this many inputs and outputs."""
        return all(n == of if of is not None else n >= 1 for n, of in ((inputs, self.inputs), (outputs, self.outputs)))


def kinds(category: Category) -> tuple[str, ...]:
    """The names of the operators of one category."""
    return tuple(kind for kind, specification in OPERATORS.items() if specification.category == category)


def macs(operator: Operator, tensors: Mapping[str, Tensor]) -> int:
    """Multiply-accumulates with weights: none where there are none."""
    specification = OPERATORS.get(operator.kind)
    if specification is None or specification.category != "weighted":
        return 0
    weights, output = tensors[operator.inputs[1]], tensors[operator.outputs[0]]
    return math.prod(weights.shape) // weights.shape[specification.channel_axis] * math.prod(output.shape)


def groups(operator: Operator, tensors: Mapping[str, Tensor]) -> int:
    """The number of equal parts of a CONV_2D's channels, each convolved by itself; 1 for all other operators."""
    if operator.kind != "CONV_2D":
        return 1
    return tensors[operator.inputs[0]].shape[-1] // tensors[operator.inputs[1]].shape[-1]


# Shapes: what comes out, or an error about what went in.


def _concatenation_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    axis, shapes = operator.options["axis"], [tensor.shape for tensor in tensors]
    rest = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    _require(0 <= axis < len(shapes[0]) and len(rest) == 1, "all sizes but the axis's must be equal")
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])]


def _convolution_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    (out, *kernel, channels_in), channels = tensors[1].shape, tensors[0].shape[-1]
    _require(channels % channels_in == 0, f"{channels} channels meet weights for {channels_in}")
    _require(out % (channels // channels_in) == 0, f"{out} outputs do not divide into {channels // channels_in} groups")
    return _window_shape(operator, tensors, kernel, out)


def _window_shape(operator: Operator, tensors: list[Tensor], kernel: list[int], out: int) -> list[tuple[int, ...]]:
    """The output's shape of a kernel that goes over height and width."""
    batch, *sizes, _ = tensors[0].shape
    _require(len(sizes) == len(kernel) == 2, "the input and the weights have four dimensions")
    _require(tensors[2].shape == (out,), f"the bias must be ({out},)")
    strides, padding = operator.options["stride"], operator.options["padding"]
    _require(len(strides) == 2 and min(strides) >= 1, "strides are 1 or more")
    _require(padding in ("SAME", "VALID"), "the padding is SAME or VALID")
    reach = kernel if padding == "VALID" else (1, 1)
    _require(all(size >= k for size, k in zip(sizes, reach, strict=True)), "the kernel is larger than its input")
    return [(batch, *(1 + (size - k) // s for size, k, s in zip(sizes, reach, strides, strict=True)), out)]


def _depthwise_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    (one, *kernel, out), channels = tensors[1].shape, tensors[0].shape[-1]
    _require(one == 1 and out == channels, f"weights (1, height, width, {channels}) are needed, one filter per channel")
    return _window_shape(operator, tensors, kernel, out)


def _fully_connected_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    (rows, columns), (out, columns_in) = tensors[0].shape, tensors[1].shape
    _require(columns == columns_in, f"rows of {columns} meet weights for {columns_in}")
    _require(tensors[2].shape == (out,), f"the bias must be ({out},)")
    return [(rows, out)]


def _reshape_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    shape = _int32_constant(tensors[1])
    _require(math.prod(shape) == math.prod(tensors[0].shape), f"the shape {shape} has another size")
    return [tuple(shape)]


def _split_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    (axis,), shape, splits = _int32_constant(tensors[0]), list(tensors[1].shape), operator.options["splits"]
    _require(0 <= axis < len(shape), f"there is no axis {axis}")
    _require(splits == len(operator.outputs) and shape[axis] % splits == 0, f"{shape[axis]} by {splits} is not whole")
    shape[axis] //= splits
    return [tuple(shape)] * splits


def _slice_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    begin, end, strides = (_int32_constant(tensor) for tensor in tensors[1:])
    shape = tensors[0].shape
    _require(len(begin) == len(end) == len(strides) == len(shape), f"begin, end and strides have {len(shape)} values")
    _require(all(stride == 1 for stride in strides), f"strides are 1, not {strides}")
    inside = all(0 <= first < last <= size for first, last, size in zip(begin, end, shape, strict=True))
    _require(inside, f"{begin} to {end} is not a part of {list(shape)}")
    return [tuple(last - first for first, last in zip(begin, end, strict=True))]


def _binary_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    a, b = tensors[0].shape, tensors[1].shape
    _require(a == b or max(len(a), len(b)) <= 4, "broadcasting reaches four dimensions")
    return [np.broadcast_shapes(a, b)]


def _same_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    return [tensors[0].shape]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _int32_constant(tensor: Tensor) -> list[int]:
    _require(tensor.data is not None and tensor.dtype == np.int32, f"{tensor.name!r} must be an int32 constant")
    return [int(value) for value in np.ravel(tensor.constant)]


# Types and quantization parameters.


def _moved(where: str, operator: Operator, tensors: list[Tensor], outputs: list[Tensor]) -> None:
    """Values that are only moved keep their type and quantization parameters."""
    # The other inputs of these say what is moved where: a shape, an axis, the ends of a slice.
    moved = {"RESHAPE": tensors[:1], "STRIDED_SLICE": tensors[:1], "SPLIT": tensors[1:]}
    values = moved.get(operator.kind, tensors)
    for tensor in [*values[1:], *outputs]:
        _same_type(where, values[0], tensor)
        if tensor.quantization != values[0].quantization:
            raise InputError(
                f"{where}: {_named(values[0])} and {_named(tensor)} must have the same quantization parameters"
            )


def _weighted(where: str, operator: Operator, tensors: list[Tensor], outputs: list[Tensor]) -> None:
    """Weights are symmetric int8 with a scale for each output channel; a bias lies on input scale x weight scale."""
    x, weights, bias = tensors
    _same_type(where, x, outputs[0])
    if x.dtype == np.float32:
        for tensor in (weights, bias):
            _same_type(where, x, tensor)
        return
    if weights.data is None or bias.data is None:
        raise InputError(f"{where}: weights and bias must be constants")
    wide = np.int32 if x.dtype == np.int8 else np.int64
    if weights.dtype != np.int8 or bias.dtype != wide or weights.quantization is None or bias.quantization is None:
        raise InputError(f"{where}: {x.dtype} values take quantized int8 weights and an {np.dtype(wide)} bias")
    axes = {OPERATORS[operator.kind].channel_axis, *([0] if len(weights.qparams.scale) == 1 else [])}
    if weights.zero_point or bias.zero_point or weights.qparams.axis not in axes:
        raise InputError(f"{where}: weights and bias have zero point 0, and scales along the output channels")
    expected = x.qparams.scale * weights.qparams.scale
    if not np.allclose(bias.qparams.scale, expected, rtol=1e-3, atol=0):
        raise InputError(f"{where}: the bias's scale must be the input's times the weights'")


def _elementwise(where: str, operator: Operator, tensors: list[Tensor], outputs: list[Tensor]) -> None:
    for tensor in [*tensors[1:], *outputs]:
        _same_type(where, tensors[0], tensor)
    if operator.kind in ("ADD", "SUB") and outputs[0].quantization is not None:
        # Kernels scale the sum of inputs at a finer scale down to the output, and stop the program where it is not down.
        finer = 2 ** (14 if outputs[0].dtype == np.int16 else 19)
        if max(tensor.scale for tensor in tensors) >= finer * outputs[0].scale:
            raise InputError(f"{where}: the scale of {_named(outputs[0])} is too fine for its inputs")
    fixed = OPERATORS[operator.kind].fixed.get(outputs[0].dtype)
    if fixed is not None and outputs[0].quantization != fixed:
        expected = f"scale 1/{round(1 / fixed.tensor_scale)}, zero point {fixed.zero_point}"
        raise InputError(f"{where}: {_named(outputs[0])} must have {expected}")


def _hard_swish(where: str, operator: Operator, tensors: list[Tensor], outputs: list[Tensor]) -> None:
    _elementwise(where, operator, tensors, outputs)
    if outputs[0].dtype == INT16:
        raise InputError(f"{where}: TFLM has it in 8 bits alone, {_named(outputs[0])} has 16")
    if outputs[0].quantization is not None and tensors[0].scale >= 128 * outputs[0].scale:
        raise InputError(f"{where}: the scale of {_named(outputs[0])} is too fine for its input")


def _leaky_relu(where: str, operator: Operator, tensors: list[Tensor], outputs: list[Tensor]) -> None:
    _elementwise(where, operator, tensors, outputs)
    slope = operator.options["slope"]
    if not (isinstance(slope, float) and 0 <= slope <= 1):
        raise InputError(f"{where}: the slope below zero lies between 0 and 1, it is {slope!r}")
    # A centered 16-bit number that goes left by 14 bits or more can leave 32.
    finer = 2**14 if outputs[0].dtype == INT16 else 2**20
    if outputs[0].quantization is not None and tensors[0].scale >= finer * outputs[0].scale:
        raise InputError(f"{where}: the scale of {_named(outputs[0])} is too fine for its input")


def _requantized(where: str, operator: Operator, tensors: list[Tensor], outputs: list[Tensor]) -> None:
    if np.float32 in (tensors[0].dtype, outputs[0].dtype):
        raise InputError(f"{where}: QUANTIZE goes between integers here")


def _same_type(where: str, first: Tensor, second: Tensor) -> None:
    if first.dtype != second.dtype:
        raise InputError(f"{where}: {first.name!r} is {first.dtype} and {second.name!r} is {second.dtype}")


def described(tensor: Tensor) -> str:
    """A tensor's quantization, for a message."""
    qparams = tensor.quantization
    return "no scale" if qparams is None else f"scale {qparams.scale[0]:.9g}, zero point {qparams.zero_point}"


def _named(tensor: Tensor) -> str:
    return f"{tensor.name!r} ({described(tensor)})"


_ADDITION, _PRODUCT, _TABLE = 40, 18, 6
"""Instructions per element: three roundings in a sum, one in a product, a look-up."""

_LOGISTIC = {INT8: Quantization(np.float32(1 / 256), -128), INT16: Quantization(np.float32(1 / 32768), 0)}
_TANH = {INT8: Quantization(np.float32(1 / 128), 0), INT16: Quantization(np.float32(1 / 32768), 0)}

OPERATORS: Mapping[str, Specification] = {
    specification.kind: specification
    for specification in (
        Specification("CONCATENATION", 2, "move", None, 1, _concatenation_shape, _moved, 1),
        Specification("CONV_2D", 3, "weighted", 3, 1, _convolution_shape, _weighted, 1),
        Specification("DEPTHWISE_CONV_2D", 4, "weighted", 3, 1, _depthwise_shape, _weighted, 4, channel_axis=3),
        Specification("FULLY_CONNECTED", 9, "weighted", 3, 1, _fully_connected_shape, _weighted, 1),
        Specification("RESHAPE", 22, "move", 2, 1, _reshape_shape, _moved, 1),
        Specification("SPLIT", 49, "move", 2, None, _split_shape, _moved, 1),
        Specification("STRIDED_SLICE", 45, "move", 4, 1, _slice_shape, _moved, 1),
        Specification("ADD", 0, "binary", 2, 1, _binary_shape, _elementwise, _ADDITION),
        Specification("SUB", 41, "binary", 2, 1, _binary_shape, _elementwise, _ADDITION),
        Specification("MUL", 18, "binary", 2, 1, _binary_shape, _elementwise, _PRODUCT),
        Specification("LOGISTIC", 14, "gate", 1, 1, _same_shape, _elementwise, _TABLE, fixed=_LOGISTIC),
        Specification("TANH", 28, "gate", 1, 1, _same_shape, _elementwise, _TABLE, fixed=_TANH),
        Specification("HARD_SWISH", 117, "activation", 1, 1, _same_shape, _hard_swish, _TABLE),
        Specification("LEAKY_RELU", 98, "activation", 1, 1, _same_shape, _leaky_relu, _TABLE),
        Specification("QUANTIZE", 114, "conversion", 1, 1, _same_shape, _requantized, 14),
    )
}
"""All that a graph may have."""

WEIGHTED, BINARY, GATES, MOVES = kinds("weighted"), kinds("binary"), kinds("gate"), kinds("move")
