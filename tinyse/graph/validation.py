"""What every graph must satisfy before it is written, executed or trusted: one pass, one error that names the tensor.

Reading a file ends here, and so does everything that is about to be exported: after `validate` an executor needs no
checks of its own, and the interpreters written in C++ never see a graph whose shapes or grids disagree.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Operator, Quantization, Tensor

ACTIVATIONS = (np.dtype(np.float32), np.dtype(np.int8), np.dtype(np.int16))
"""The types that a value between operators may have."""

FIXED_GRIDS = {
    ("LOGISTIC", np.dtype(np.int8)): Quantization(np.float32(1 / 256), -128),
    ("LOGISTIC", np.dtype(np.int16)): Quantization(np.float32(1 / 32768), 0),
    ("TANH", np.dtype(np.int8)): Quantization(np.float32(1 / 128), 0),
    ("TANH", np.dtype(np.int16)): Quantization(np.float32(1 / 32768), 0),
}
"""The grid that TensorFlow Lite's kernels demand of an output."""

SCALES = (2.0**-24, 2.0**16)
"""The least and the greatest scale of an activation: beyond them kernels shift by more bits than there are."""

MAX_RANK = 5

MAX_OPERATORS = 1 << 11
MAX_MACS = 1 << 28
"""Of one step: far beyond what is meant for a device, and a bound on what a file from elsewhere can ask for."""


def validate(graph: Graph) -> None:
    """Raise InputError, naming the operator or the tensor, unless every executor can run `graph`."""
    for tensor in graph.tensors.values():
        _check_tensor(tensor)
    _check_wiring(graph)
    if len(graph.operators) > MAX_OPERATORS:
        raise InputError(f"{len(graph.operators)} operators are too many: {MAX_OPERATORS} are the most")
    for operator in graph.operators:
        _check_operator(graph, operator)
    check_states(graph)
    if graph.macs > MAX_MACS:
        raise InputError(f"{graph.macs:,} multiplications a frame are too many: {MAX_MACS:,} are the most")


def check_states(graph: Graph) -> None:
    """Refuse a state that leaves a step in another shape, type or grid than the one in which the next step takes it."""
    for name in graph.states:
        before, after = graph.tensors[graph.inputs[name]], graph.tensors[graph.outputs[name]]
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            raise InputError(
                f"state {name!r} goes in as {before.dtype} {before.shape} and comes out as {after.dtype} {after.shape}"
            )
        if before.quantization != after.quantization:
            raise InputError(
                f"state {name!r} goes in with {_grid(before)} and comes out with {_grid(after)}: they must be equal"
            )


def _check_tensor(tensor: Tensor) -> None:
    if len(tensor.shape) > MAX_RANK or any(size < 1 for size in tensor.shape):
        raise InputError(f"tensor {tensor.name!r} has the unusable shape {tensor.shape}")
    if tensor.data is None and tensor.dtype not in ACTIVATIONS:
        raise InputError(f"tensor {tensor.name!r} is {tensor.dtype}: values are float32, int8 or int16")
    if tensor.data is not None and (tensor.data.shape, tensor.data.dtype) != (tensor.shape, tensor.dtype):
        raise InputError(f"constant {tensor.name!r} is declared {tensor.dtype} {tensor.shape} but holds other data")
    grid = tensor.quantization
    if grid is None:
        if tensor.data is None and tensor.dtype != np.float32:
            raise InputError(f"tensor {tensor.name!r} is {tensor.dtype} but has no scale")
        return
    if tensor.dtype == np.float32:
        raise InputError(f"tensor {tensor.name!r} is float32 and has a scale")
    limits = np.iinfo(tensor.dtype)
    if not limits.min <= grid.zero_point <= limits.max:
        raise InputError(f"tensor {tensor.name!r}: zero point {grid.zero_point} is not an {tensor.dtype}")
    if tensor.dtype == np.int16 and grid.zero_point:
        raise InputError(f"tensor {tensor.name!r}: an int16 tensor's zero point must be 0, not {grid.zero_point}")
    if tensor.data is None and not SCALES[0] <= grid.scale[0] <= SCALES[1]:
        raise InputError(f"tensor {tensor.name!r}: the scale {grid.scale[0]:g} is out of range")
    if len(grid.scale) > 1:
        if tensor.data is None:
            raise InputError(f"tensor {tensor.name!r}: only a constant may have a scale for each channel")
        if not (0 <= grid.axis < len(tensor.shape) and len(grid.scale) == tensor.shape[grid.axis]):
            raise InputError(f"constant {tensor.name!r}: {len(grid.scale)} scales do not fit the shape {tensor.shape}")


def _check_wiring(graph: Graph) -> None:
    """Every value has one source, which comes before its uses; a signature names values of the right kind."""
    sources = list(graph.inputs.values())
    for name in [*sources, *graph.outputs.values()]:
        if name not in graph.tensors:
            raise InputError(f"the signature names a tensor {name!r}, which does not exist")
    if not sources or not graph.outputs:
        raise InputError("a step needs inputs and outputs")
    if len(set(sources)) != len(sources):
        raise InputError("two inputs of the signature are the same tensor")
    available = {name for name, tensor in graph.tensors.items() if tensor.data is not None}
    for name in sources:
        if name in available:
            raise InputError(f"input {name!r} is a constant")
    constants, available = available, available | set(sources)
    for index, operator in enumerate(graph.operators):
        for name in operator.inputs:
            if name not in available:
                raise InputError(f"operator {index} ({operator.kind}) uses {name!r} before it is made")
        for name in operator.outputs:
            if name in available or name not in graph.tensors:
                raise InputError(f"operator {index} ({operator.kind}) makes {name!r}, which another source makes")
            available.add(name)
    for name in graph.tensors:
        if name not in available:
            raise InputError(f"tensor {name!r} is made by no operator")
    for name, tensor in graph.outputs.items():
        if tensor in sources or tensor in constants:
            raise InputError(f"output {name!r} is an input or a constant: copy it with a RESHAPE")


def _check_operator(graph: Graph, operator: Operator) -> None:
    where = f"{operator.kind} {operator.outputs[0] if operator.outputs else '?'!r}"
    if operator.kind not in _RULES:
        raise InputError(f"{where}: the known operators are {', '.join(_RULES)}")
    arity, shapes, grids = _RULES[operator.kind]
    tensors = [graph.tensors[name] for name in operator.inputs]
    outputs = [graph.tensors[name] for name in operator.outputs]
    if not arity(len(tensors), len(outputs)):
        raise InputError(f"{where}: {len(tensors)} inputs and {len(outputs)} outputs are not what it takes")
    if operator.options.get("activation", "NONE") not in ("NONE", "RELU"):
        raise InputError(f"{where}: the activation is NONE or RELU, not {operator.options['activation']!r}")
    try:
        expected = shapes(operator, tensors)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"{where}: inputs {[t.shape for t in tensors]} do not fit: {error}") from error
    if [tensor.shape for tensor in outputs] != [tuple(shape) for shape in expected]:
        raise InputError(f"{where}: its output is {[t.shape for t in outputs]} where {expected} comes out")
    grids(where, operator, tensors, outputs)


# Shapes: what comes out, or an error about what went in.


def _concatenation_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    axis, shapes = operator.options["axis"], [tensor.shape for tensor in tensors]
    rest = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    _require(0 <= axis < len(shapes[0]) and len(rest) == 1, "all sizes but the axis's must be equal")
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])]


def _convolution_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    (batch, *sizes, channels), (out, *kernel, channels_in) = tensors[0].shape, tensors[1].shape
    _require(len(sizes) == len(kernel) == 2, "the input and the weights have four dimensions")
    _require(channels == channels_in, f"{channels} channels meet weights for {channels_in}")
    _require(tensors[2].shape == (out,), f"the bias must be ({out},)")
    strides, padding = operator.options["stride"], operator.options["padding"]
    _require(len(strides) == 2 and min(strides) >= 1, "strides are 1 or more")
    _require(padding in ("SAME", "VALID"), "the padding is SAME or VALID")
    reach = kernel if padding == "VALID" else (1, 1)
    _require(all(size >= k for size, k in zip(sizes, reach, strict=True)), "the kernel is larger than its input")
    return [(batch, *(1 + (size - k) // s for size, k, s in zip(sizes, reach, strides, strict=True)), out)]


def _fully_connected_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    (rows, columns), (out, columns_in) = tensors[0].shape, tensors[1].shape
    _require(columns == columns_in, f"rows of {columns} meet weights for {columns_in}")
    _require(tensors[2].shape == (out,), f"the bias must be ({out},)")
    return [(rows, out)]


def _reshape_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    shape = _integer_constant(tensors[1])
    _require(math.prod(shape) == math.prod(tensors[0].shape), f"the shape {shape} has another size")
    return [tuple(shape)]


def _split_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    (axis,), shape, splits = _integer_constant(tensors[0]), list(tensors[1].shape), operator.options["splits"]
    _require(0 <= axis < len(shape), f"there is no axis {axis}")
    _require(splits == len(operator.outputs) and shape[axis] % splits == 0, f"{shape[axis]} by {splits} is not whole")
    shape[axis] //= splits
    return [tuple(shape)] * splits


def _binary_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    a, b = tensors[0].shape, tensors[1].shape
    _require(a == b or max(len(a), len(b)) <= 4, "broadcasting reaches four dimensions")
    return [np.broadcast_shapes(a, b)]


def _same_shape(operator: Operator, tensors: list[Tensor]) -> list[tuple[int, ...]]:
    return [tensors[0].shape]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _integer_constant(tensor: Tensor) -> list[int]:
    _require(tensor.data is not None and tensor.dtype == np.int32, f"{tensor.name!r} must be an int32 constant")
    return [int(value) for value in np.ravel(tensor.constant)]


# Types and grids.


def _moved(where: str, operator: Operator, tensors: list[Tensor], outputs: list[Tensor]) -> None:
    """Values that are only moved keep their type and their grid."""
    values = {"RESHAPE": tensors[:1], "SPLIT": tensors[1:]}.get(operator.kind, tensors)
    for tensor in [*values[1:], *outputs]:
        _same_type(where, values[0], tensor)
        if tensor.quantization != values[0].quantization:
            raise InputError(f"{where}: {_named(values[0])} and {_named(tensor)} must have one grid")


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
        raise InputError(f"{where}: {x.dtype} values take quantised int8 weights and an {np.dtype(wide)} bias")
    if weights.zero_point or bias.zero_point or weights.grid.axis:
        raise InputError(f"{where}: weights and bias have zero point 0, and scales along the output channels")
    expected = x.grid.scale * weights.grid.scale
    if not np.allclose(bias.grid.scale, expected, rtol=1e-3, atol=0):
        raise InputError(f"{where}: the bias's scale must be the input's times the weights'")


def _elementwise(where: str, operator: Operator, tensors: list[Tensor], outputs: list[Tensor]) -> None:
    for tensor in [*tensors[1:], *outputs]:
        _same_type(where, tensors[0], tensor)
    if operator.kind in ("ADD", "SUB") and outputs[0].quantization is not None:
        # Kernels scale the sum of inputs on a finer grid down to the output, and stop the program where it is not down.
        finer = 2 ** (14 if outputs[0].dtype == np.int16 else 19)
        if max(tensor.scale for tensor in tensors) >= finer * outputs[0].scale:
            raise InputError(f"{where}: the scale of {_named(outputs[0])} is too fine for its inputs")
    fixed = FIXED_GRIDS.get((operator.kind, outputs[0].dtype))
    if fixed is not None and outputs[0].quantization != fixed:
        grid = f"scale 1/{round(1 / fixed.tensor_scale)}, zero point {fixed.zero_point}"
        raise InputError(f"{where}: {_named(outputs[0])} must have {grid}")


def _requantised(where: str, operator: Operator, tensors: list[Tensor], outputs: list[Tensor]) -> None:
    if np.float32 in (tensors[0].dtype, outputs[0].dtype):
        raise InputError(f"{where}: QUANTIZE goes between integers here")


def _same_type(where: str, first: Tensor, second: Tensor) -> None:
    if first.dtype != second.dtype:
        raise InputError(f"{where}: {first.name!r} is {first.dtype} and {second.name!r} is {second.dtype}")


def _grid(tensor: Tensor) -> str:
    grid = tensor.quantization
    return "no scale" if grid is None else f"scale {grid.scale[0]:.9g}, zero point {grid.zero_point}"


def _named(tensor: Tensor) -> str:
    return f"{tensor.name!r} ({_grid(tensor)})"


Shapes = Callable[[Operator, list[Tensor]], list[tuple[int, ...]]]
Grids = Callable[[str, Operator, list[Tensor], list[Tensor]], None]

_RULES: dict[str, tuple[Callable[[int, int], bool], Shapes, Grids]] = {
    "CONCATENATION": (lambda inputs, outputs: inputs >= 1 and outputs == 1, _concatenation_shape, _moved),
    "CONV_2D": (lambda inputs, outputs: (inputs, outputs) == (3, 1), _convolution_shape, _weighted),
    "FULLY_CONNECTED": (lambda inputs, outputs: (inputs, outputs) == (3, 1), _fully_connected_shape, _weighted),
    "RESHAPE": (lambda inputs, outputs: (inputs, outputs) == (2, 1), _reshape_shape, _moved),
    "SPLIT": (lambda inputs, outputs: inputs == 2 and outputs >= 1, _split_shape, _moved),
    "ADD": (lambda inputs, outputs: (inputs, outputs) == (2, 1), _binary_shape, _elementwise),
    "SUB": (lambda inputs, outputs: (inputs, outputs) == (2, 1), _binary_shape, _elementwise),
    "MUL": (lambda inputs, outputs: (inputs, outputs) == (2, 1), _binary_shape, _elementwise),
    "LOGISTIC": (lambda inputs, outputs: (inputs, outputs) == (1, 1), _same_shape, _elementwise),
    "TANH": (lambda inputs, outputs: (inputs, outputs) == (1, 1), _same_shape, _elementwise),
    "QUANTIZE": (lambda inputs, outputs: (inputs, outputs) == (1, 1), _same_shape, _requantised),
}
