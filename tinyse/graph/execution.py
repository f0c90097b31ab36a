"""Running a graph in numpy: a list of closures, made once, that read and write numbered slots.

Float and integer execution differ only in their kernels. A kernel takes a graph and one of its operators and returns a
function of the operator's activations; everything that depends on constants is worked out at that moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Operator
from tinyse.graph.operators import groups
from tinyse.graph.validation import validate

MAX_INDICES = 1 << 24
"""The most of one convolution, 128 MiB: a bound on what an untrusted file can ask for."""

Function = Callable[..., Any]
Kernel = Callable[[Graph, Operator], Function]


class Program:
    """A compiled step. It holds no state: what a frame leaves to the next is among its results."""

    def __init__(self, graph: Graph, kernels: Mapping[str, Kernel], without: Mapping[str, str]) -> None:
        """Raises InputError for a graph that is not valid, or has an operator that is `without` a kernel, with the reason."""
        validate(graph)
        self.graph = graph
        slots = {name: slot for slot, name in enumerate(graph.tensors)}
        self._names = list(graph.tensors)
        self._inputs = [(name, slots[tensor], graph.tensors[tensor]) for name, tensor in graph.inputs.items()]
        self._outputs = [(name, slots[tensor]) for name, tensor in graph.outputs.items()]
        self._calls = []
        for operator in graph.operators:
            if operator.kind in without:
                raise InputError(
                    f"{operator.kind} {operator.outputs[0]!r} cannot be executed: {without[operator.kind]}"
                )
            function = kernels[operator.kind](graph, operator)
            sources = [slots[name] for name in operator.inputs if graph.tensors[name].data is None]
            self._calls.append((function, sources, [slots[name] for name in operator.outputs]))

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One frame: {name of the signature: array} in and out, in the tensors' types and shapes."""
        values = self._run(inputs)
        return {name: values[slot] for name, slot in self._outputs}

    def trace(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One frame, returning every activation by the name of its tensor."""
        values = self._run(inputs)
        return {name: value for name, value in zip(self._names, values, strict=True) if value is not None}

    def _run(self, inputs: Mapping[str, np.ndarray]) -> list[Any]:
        values: list[Any] = [None] * len(self._names)
        for name, slot, tensor in self._inputs:
            value = inputs[name]
            if value.shape != tensor.shape or value.dtype != tensor.dtype:
                raise ValueError(f"{name}: {value.dtype} {value.shape} given, {tensor.dtype} {tensor.shape} expected")
            values[slot] = value
        for function, sources, targets in self._calls:
            result = function(*[values[slot] for slot in sources])
            if len(targets) == 1:
                values[targets[0]] = result
            else:
                for slot, part in zip(targets, result, strict=True):
                    values[slot] = part
        return values


def initial_state(graph: Graph) -> dict[str, np.ndarray]:
    """The states before the first frame: real value zero, which in integers is the zero point."""
    tensors = {name: graph.tensors[graph.inputs[name]] for name in graph.states}
    return {name: tensor.quantize(np.zeros(tensor.shape)) for name, tensor in tensors.items()}


# Kernels that only move values; they are the same for every type.


def _concatenation(graph: Graph, operator: Operator) -> Function:
    axis = operator.options["axis"]
    return lambda *parts: np.concatenate(parts, axis)


def _reshape(graph: Graph, operator: Operator) -> Function:
    shape = graph.shape(operator.outputs[0])
    return lambda x: x.reshape(shape)


def _split(graph: Graph, operator: Operator) -> Function:
    axis = int(np.ravel(graph.tensors[operator.inputs[0]].constant)[0])
    size = graph.shape(operator.outputs[0])[axis]
    before = (slice(None),) * axis
    parts = [(*before, slice(i * size, (i + 1) * size)) for i in range(len(operator.outputs))]
    if len(parts) == 1:
        return lambda x: x
    return lambda x: [x[part] for part in parts]


def _strided_slice(graph: Graph, operator: Operator) -> Function:
    part = slices_of(graph, operator)
    return lambda x: x[part]


def slices_of(graph: Graph, operator: Operator) -> tuple[slice, ...]:
    """The slice of each axis of its input that a STRIDED_SLICE takes."""
    begin, end = (np.ravel(graph.tensors[name].constant).tolist() for name in operator.inputs[1:3])
    return tuple(slice(first, last) for first, last in zip(begin, end, strict=True))


MOVING: dict[str, Kernel] = {
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
}


def patches(graph: Graph, operator: Operator) -> tuple[np.ndarray, np.ndarray]:
    """What a convolution multiplies: (indices, weights), to be taken and multiplied by `products`.

    indices point into the flattened input (1, height, width, in) with one padding value appended: (positions, height *
    width * in) of a CONV_2D, (positions, groups, height * width * in) of one in groups and (positions, height * width,
    channels) of a DEPTHWISE_CONV_2D. weights, (..., out), are the constant's. SAME padding puts the odd one at the end, as
    TensorFlow does.
    """
    x, weights, output = (graph.tensors[name] for name in (operator.inputs[0], operator.inputs[1], operator.outputs[0]))
    if x.shape[0] != 1:
        raise InputError(f"{operator.kind} {output.name!r}: a batch of one is expected, not {x.shape[0]}")
    if output.shape[1] * output.shape[2] * math.prod(weights.shape[1:3]) * x.shape[3] > MAX_INDICES:
        raise InputError(f"{operator.kind} {output.name!r} is too large to be executed here")
    axes = []
    for size, kernel, stride, out in zip(
        x.shape[1:3], weights.shape[1:3], operator.options["stride"], output.shape[1:3], strict=True
    ):
        padding = max((out - 1) * stride + kernel - size, 0) if operator.options["padding"] == "SAME" else 0
        axes.append(np.arange(out)[:, None] * stride + np.arange(kernel) - padding // 2)
    rows, columns = axes[0][:, None, :, None, None], axes[1][None, :, None, :, None]
    height, width, channels = x.shape[1:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    indices = np.where(inside, (rows * width + columns) * channels + np.arange(channels), height * width * channels)
    positions = output.shape[1] * output.shape[2]
    if operator.kind == "DEPTHWISE_CONV_2D":
        return indices.reshape(positions, -1, channels), weights.constant.reshape(-1, channels)
    parts = groups(operator, graph.tensors)
    if parts > 1:
        indices = indices.reshape(positions, -1, parts, channels // parts).swapaxes(1, 2)
        grouped = weights.constant.reshape(parts, output.shape[3] // parts, -1).swapaxes(1, 2)
        return indices.reshape(positions, parts, -1), grouped
    return indices.reshape(positions, -1), weights.constant.reshape(len(weights.constant), -1).T


def products(graph: Graph, operator: Operator) -> Function:
    """(rows, ...) of values and the weights of `patches` to (rows, out): sums of products."""
    if operator.kind == "DEPTHWISE_CONV_2D":
        return lambda rows, weights: np.einsum("rkc,kc->rc", rows, weights)
    if groups(operator, graph.tensors) > 1:
        return lambda rows, weights: np.matmul(rows.swapaxes(0, 1), weights).swapaxes(0, 1).reshape(len(rows), -1)
    return np.matmul
