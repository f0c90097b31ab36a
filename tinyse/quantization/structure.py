"""What a graph's wiring says about its values, before any of them is known: who shares a scale, what is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tinyse.graph.graph import Graph, Operator
from tinyse.graph.operators import GATES, MOVES, WEIGHTED


@dataclass(frozen=True)
class Group:
    """Activations that share quantization parameters, since values are only moved between them.

    `sources` are those whose values are made; the others only receive them.
    """

    tensors: tuple[str, ...]
    sources: tuple[str, ...]


def sources(graph: Graph) -> list[str]:
    """The activations whose values are made: not those of a move, nor of a state that the last frame has made."""
    moved = {name for operator in graph.operators if operator.kind in MOVES for name in operator.outputs}
    moved |= {graph.inputs[state] for state in graph.states}
    return [name for name, tensor in graph.tensors.items() if tensor.data is None and name not in moved]


def groups(graph: Graph) -> list[Group]:
    """Every activation in exactly one group: joined are the two ends of a move, and of a state's way round."""
    parent = {name: name for name, tensor in graph.tensors.items() if tensor.data is None}

    def find(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for operator in graph.operators:
        if operator.kind in MOVES:
            values = [name for name in (*operator.inputs, *operator.outputs) if name in parent]
            for name in values[1:]:
                parent[find(name)] = find(values[0])
    for state in graph.states:
        parent[find(graph.outputs[state])] = find(graph.inputs[state])
    members: dict[str, list[str]] = {}
    for name in parent:
        members.setdefault(find(name), []).append(name)
    made = set(sources(graph))
    return [Group(tuple(names), tuple(name for name in names if name in made)) for names in members.values()]


class Blend(NamedTuple):
    """A GRU's new state n + z * (h - n), by the names of its tensors: it lies between h and n, so within [-1, 1]."""

    new: str
    """n, from a TANH."""
    update: str
    """z, from a LOGISTIC."""
    change: str
    """h - n, within [-2, 2]."""
    kept: str
    """z * (h - n)."""
    state: str
    """The sum."""


def blends(graph: Graph) -> list[Blend]:
    """Every blend of the graph."""
    makers = {name: operator for operator in graph.operators for name in operator.outputs}
    found = [_blend(operator, makers) for operator in graph.operators if operator.kind == "ADD"]
    return [blend for blend in found if blend is not None]


def _blend(addition: Operator, makers: dict[str, Operator]) -> Blend | None:
    for new, kept in (addition.inputs, addition.inputs[::-1]):
        if _kind(makers, new) != "TANH" or _kind(makers, kept) != "MUL":
            continue
        for update, change in (makers[kept].inputs, makers[kept].inputs[::-1]):
            kinds = _kind(makers, update), _kind(makers, change)
            if kinds == ("LOGISTIC", "SUB") and makers[change].inputs[1] == new:
                return Blend(new, update, change, kept, addition.outputs[0])
    return None


def _kind(makers: dict[str, Operator], name: str) -> str | None:
    return makers[name].kind if name in makers else None


def recurrent(graph: Graph) -> set[str]:
    """Everything between the weights of a GRU and its new state, both included: what is recomputed from the state."""
    makers = {name: operator for operator in graph.operators for name in operator.outputs}
    found = {name for blend in blends(graph) for name in blend}
    waiting = [name for blend in blends(graph) for name in (blend.new, blend.update)]
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is None or maker.kind in WEIGHTED:
            continue
        inputs = [name for name in maker.inputs if graph.tensors[name].data is None and name not in found]
        found.update(inputs)
        waiting.extend(inputs)
    return found


def gate_of(graph: Graph, group: Group) -> str | None:
    """The gate that is the only use of the group's values: "LOGISTIC" or "TANH", else None."""
    kinds = {operator.kind for operator in _users(graph, group.tensors)}
    return kinds.pop() if len(kinds) == 1 and kinds <= set(GATES) and not _leaves(graph, group.tensors) else None


def feeds_gates_only(graph: Graph, tensors: tuple[str, ...]) -> bool:
    """Whether all that comes of the values ends in gates, with nothing but sums, products and moves on the way."""
    if _leaves(graph, tensors):
        return False
    users = [op for op in graph.operators if set(op.inputs) & set(tensors) and not set(op.outputs) <= set(tensors)]
    return bool(users) and all(
        op.kind in GATES or (op.kind in ("ADD", "MUL", *MOVES) and feeds_gates_only(graph, tuple(op.outputs)))
        for op in users
    )


def _users(graph: Graph, tensors: tuple[str, ...]) -> list[Operator]:
    return [op for op in graph.operators if op.kind not in MOVES and set(op.inputs) & set(tensors)]


def _leaves(graph: Graph, tensors: tuple[str, ...]) -> bool:
    return bool(set(graph.outputs.values()) & set(tensors))
