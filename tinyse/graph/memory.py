"""Bytes that one step of a graph needs at once, from the lifetimes of its tensors."""

from __future__ import annotations

from tinyse.graph.graph import Graph


def constant_bytes(graph: Graph) -> int:
    """Weights, biases, shapes and axes."""
    return sum(tensor.bytes for tensor in graph.tensors.values() if tensor.data is not None)


def state_bytes(graph: Graph) -> int:
    """States that live from frame to frame."""
    return sum(graph.tensors[graph.inputs[name]].bytes for name in graph.states)


def peak_activation_bytes(graph: Graph) -> int:
    """The most bytes of activations alive during any one operator, the incoming states left out.

    A tensor lives from the operator that makes it to the last one that reads it; an output of the graph, new states
    included, to the end. No planner needs less without computing in place; a good one reaches it within alignment.
    """
    end = len(graph.operators)
    born = {graph.inputs[name]: 0 for name in graph.inputs if name not in graph.states}
    dies = dict.fromkeys(born, 0)
    for index, operator in enumerate(graph.operators):
        born |= dict.fromkeys(operator.outputs, index)
        dies |= dict.fromkeys((*operator.inputs, *operator.outputs), index)
    dies |= dict.fromkeys(graph.outputs.values(), end)
    alive = [0] * max(end, 1)
    for name, first in born.items():
        for index in range(first, min(dies[name] + 1, end)):
            alive[index] += graph.tensors[name].bytes
    return max(alive)
