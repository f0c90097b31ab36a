"""A float graph's step in numpy float32: for calibration, and as the truth for the quantized step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from tinyse.graph.execution import MOVING, Function, Kernel, Program, initial_state, patches, products
from tinyse.graph.graph import Graph, Operator


def compile(graph: Graph) -> Program:
    """The step of a float graph as a function of {name: float32 array}."""
    return Program(graph, KERNELS, WITHOUT)


def replay(program: Program, frames: Iterable[Mapping[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    """Every activation of each frame in turn, from silence on, the state carried; `frames` give the step's data."""
    graph = program.graph
    state = initial_state(graph)
    for frame in frames:
        values = program.trace({**frame, **state})
        state = {name: values[graph.outputs[name]] for name in state}
        yield values


def _activated(operator: Operator, function: Function) -> Function:
    if operator.options.get("activation", "NONE") == "NONE":
        return function
    return lambda *inputs: np.maximum(function(*inputs), np.float32(0))


def _convolution(graph: Graph, operator: Operator) -> Function:
    indices, weights = patches(graph, operator)
    weights = np.ascontiguousarray(weights)
    bias, multiply = graph.tensors[operator.inputs[2]].constant, products(graph, operator)
    shape, zero = graph.shape(operator.outputs[0]), np.zeros(1, np.float32)

    def function(x: np.ndarray) -> np.ndarray:
        return (multiply(np.concatenate([x.ravel(), zero]).take(indices), weights) + bias).reshape(shape)

    return _activated(operator, function)


def _fully_connected(graph: Graph, operator: Operator) -> Function:
    weights, bias = (graph.tensors[name].constant for name in operator.inputs[1:])
    transposed = np.ascontiguousarray(weights.T)
    return _activated(operator, lambda x: x @ transposed + bias)


def _binary(function: Function) -> Kernel:
    def kernel(graph: Graph, operator: Operator) -> Function:
        constants = [graph.tensors[name].data for name in operator.inputs]
        if constants[1] is not None:
            return _activated(operator, lambda a: function(a, constants[1]))
        if constants[0] is not None:
            return _activated(operator, lambda b: function(constants[0], b))
        return _activated(operator, function)

    return kernel


def _logistic(graph: Graph, operator: Operator) -> Function:
    half = np.float32(0.5)
    return lambda x: np.tanh(x * half) * half + half  # does not overflow, whatever x is


def _tanh(graph: Graph, operator: Operator) -> Function:
    return np.tanh


def _hard_swish(graph: Graph, operator: Operator) -> Function:
    return lambda x: x * np.clip(x + np.float32(3), np.float32(0), np.float32(6)) * np.float32(1 / 6)


def _leaky_relu(graph: Graph, operator: Operator) -> Function:
    slope = np.float32(operator.options["slope"])
    return lambda x: np.where(x < 0, slope * x, x)


KERNELS: dict[str, Kernel] = {
    **MOVING,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "ADD": _binary(np.add),
    "SUB": _binary(np.subtract),
    "MUL": _binary(np.multiply),
    "LOGISTIC": _logistic,
    "TANH": _tanh,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": _leaky_relu,
}

WITHOUT = {"QUANTIZE": "it goes between integers, of which a float graph has none"}
