"""The integer step over whole clips at once: the bits of the reference, frame by frame, in a fraction of the time.

Only what depends on its own past goes frame by frame: a GRU from its state to its next state. All else is done for all
frames and all clips in one call. Quantization-aware training runs this; kernels and rounding are the reference's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple

import numpy as np

from tinyse.graph import reference
from tinyse.graph.execution import Function, Kernel, patches, slices_of
from tinyse.graph.graph import Graph, Operator

Arrays = dict[str, np.ndarray]
"""By tensor: (frames, clips, *the tensor's shape)."""


class Call(NamedTuple):
    """One operator, ready to run on arrays with any leading axes."""

    function: Function
    sources: list[str]
    targets: list[str]


class Sequence:
    """A compiled step; calling it runs it over time."""

    def __init__(self, graph: Graph) -> None:
        """Raises InputError for a graph that the reference would refuse."""
        reference.compile(graph)
        self.graph = graph
        self._actions = _plan(graph)

    def __call__(self, inputs: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray]) -> Arrays:
        """Every activation of every frame.

        `inputs` (frames, clips, *shape) by the names of the signature that are not states, `state` (clips, *shape) by
        those that are, all in the tensors' types.
        """
        arrays: Arrays = {self.graph.inputs[name]: value for name, value in inputs.items()}
        for action in self._actions:
            action(arrays, state)
        return arrays


Action = Callable[[Arrays, Mapping[str, np.ndarray]], None]


class _Part(NamedTuple):
    """Something to run once what it needs is there; both sets are names of tensors."""

    needed: set[str]
    made: set[str]
    action: Action


def _plan(graph: Graph) -> list[Action]:
    """Operators, delays and loops in an order in which each finds what it needs."""
    loops = _loops(graph)
    in_loop = {name for loop in loops for name in loop}
    parts = []
    for operator in graph.operators:
        if operator.outputs[0] not in in_loop:
            parts.append(_Part(set(operator.inputs), set(operator.outputs), _at_once(_call(graph, operator))))
    for name in graph.states:
        if graph.inputs[name] not in in_loop:
            source, target = graph.outputs[name], graph.inputs[name]
            parts.append(_Part({source}, {target}, _delay(name, source, target)))
    for loop in loops:
        operators = [operator for operator in graph.operators if set(operator.outputs) & loop]
        needed = {name for operator in operators for name in operator.inputs} - loop
        made = {name for operator in operators for name in operator.outputs} | loop
        parts.append(_Part(needed - made, made, _loop(graph, operators, loop)))
    makers = {name: index for index, part in enumerate(parts) for name in part.made}
    order = TopologicalSorter({i: {makers[n] for n in part.needed if n in makers} for i, part in enumerate(parts)})
    return [parts[index].action for index in order.static_order()]


def _loops(graph: Graph) -> list[set[str]]:
    """The sets of activations that depend on one another through time."""
    following: dict[str, set[str]] = {name: set() for name in graph.tensors}
    for operator in graph.operators:
        for name in operator.inputs:
            following[name] |= set(operator.outputs)
    for name in graph.states:
        following[graph.outputs[name]].add(graph.inputs[name])
    reached = {name: _reach(following, name) for name in following}
    loops: list[set[str]] = []
    for name in following:
        if name in reached[name] and not any(name in loop for loop in loops):
            loops.append({other for other in reached[name] if name in reached[other]})
    return loops


def _reach(following: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(following[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(following[name])
    return found


def _call(graph: Graph, operator: Operator) -> Call:
    sources = [name for name in operator.inputs if graph.tensors[name].data is None]
    return Call(KERNELS[operator.kind](graph, operator), sources, list(operator.outputs))


def _results(call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
    result = call.function(*values)
    return [result] if len(call.targets) == 1 else result


def _at_once(call: Call) -> Action:
    def action(arrays: Arrays, state: Mapping[str, np.ndarray]) -> None:
        arrays.update(zip(call.targets, _results(call, [arrays[name] for name in call.sources]), strict=True))

    return action


def _delay(name: str, source: str, target: str) -> Action:
    """A state that does not depend on itself: the values of the frame before."""

    def action(arrays: Arrays, state: Mapping[str, np.ndarray]) -> None:
        arrays[target] = np.concatenate([state[name][None], arrays[source][:-1]])

    return action


def _loop(graph: Graph, operators: list[Operator], loop: set[str]) -> Action:
    """Operators that go frame by frame."""
    calls = [_call(graph, operator) for operator in operators]
    states = [(name, graph.inputs[name], graph.outputs[name]) for name in graph.states if graph.inputs[name] in loop]
    outside = sorted({name for call in calls for name in call.sources} - loop - {t for c in calls for t in c.targets})
    kept = [name for call in calls for name in call.targets] + [into for _, into, _ in states]

    def action(arrays: Arrays, state: Mapping[str, np.ndarray]) -> None:
        frames, clips = arrays[outside[0]].shape[:2]
        for name in kept:
            tensor = graph.tensors[name]
            arrays[name] = np.empty((frames, clips, *tensor.shape), tensor.dtype)
        now = {into: state[name] for name, into, _ in states}
        for frame in range(frames):
            now |= {name: arrays[name][frame] for name in outside}
            for call in calls:
                now.update(zip(call.targets, _results(call, [now[name] for name in call.sources]), strict=True))
            for name in kept:
                arrays[name][frame] = now[name]
            now = {into: now[out] for _, into, out in states}

    return action


# Kernels that care for leading axes; the others are elementwise and take any.


def _concatenation(graph: Graph, operator: Operator) -> Function:
    axis = operator.options["axis"] - len(graph.shape(operator.outputs[0]))
    return lambda *parts: np.concatenate(parts, axis)


def _reshape(graph: Graph, operator: Operator) -> Function:
    rank, shape = len(graph.shape(operator.inputs[0])), graph.shape(operator.outputs[0])
    return lambda x: x.reshape(x.shape[: x.ndim - rank] + shape)


def _split(graph: Graph, operator: Operator) -> Function:
    axis = int(np.ravel(graph.tensors[operator.inputs[0]].constant)[0]) - len(graph.shape(operator.inputs[1]))
    count = len(operator.outputs)
    return lambda x: np.split(x, count, axis) if count > 1 else x


def _strided_slice(graph: Graph, operator: Operator) -> Function:
    part = (..., *slices_of(graph, operator))
    return lambda x: x[part]


def _convolution(graph: Graph, operator: Operator) -> Function:
    indices, weights = patches(graph, operator)
    rows = reference.weighted(graph, operator, weights)
    x, shape = graph.tensors[operator.inputs[0]], graph.shape(operator.outputs[0])

    def function(value: np.ndarray) -> np.ndarray:
        leading = value.shape[: value.ndim - len(x.shape)]
        padding = np.full((*leading, 1), x.zero_point, x.dtype)
        padded = np.concatenate([value.reshape(*leading, -1), padding], axis=-1)
        taken = padded.take(indices, axis=-1).reshape(-1, *indices.shape[1:])
        return rows(taken.astype(np.float64)).reshape(*leading, *shape)

    return function


def _fully_connected(graph: Graph, operator: Operator) -> Function:
    rows = reference.weighted(graph, operator, graph.tensors[operator.inputs[1]].constant.T)

    def function(x: np.ndarray) -> np.ndarray:
        return rows(x.reshape(-1, x.shape[-1]).astype(np.float64)).reshape(*x.shape[:-1], -1)

    return function


KERNELS: dict[str, Kernel] = {
    **reference.KERNELS,
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
}
