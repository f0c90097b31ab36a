"""Finds GRUs in a graph, whose gates one kernel computes: ten operators that follow the two matrix products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from firmware_export import layers
from firmware_export.layers import Layer, Rows
from tinyse.graph.graph import Graph, Operator

KINDS = {
    "update_sum": "ADD", "update": "LOGISTIC", "reset_sum": "ADD", "reset": "LOGISTIC", "remembered": "MUL",
    "new_sum": "ADD", "new": "TANH", "difference": "SUB", "kept": "MUL", "state": "ADD",
}  # fmt: skip
"""The operators by their role, as docs/explanation/design.md writes the GRU out."""


@dataclass(frozen=True)
class Gates:
    """A GRU's operators by role, and the tensors that it reads: thirds of the two products, and the old state.

    `first` and `last` are the positions of its operators in the graph, with no others in between.
    """

    operators: Mapping[str, Operator]
    x: Mapping[str, str]
    h: Mapping[str, str]
    state: str
    first: int
    last: int


def find(graph: Graph) -> list[Gates]:
    """All GRUs that are written as ours are, in the order of the graph."""
    made_by = {name: operator for operator in graph.operators for name in operator.outputs}
    return [gates for operator in graph.operators if (gates := _ending_in(graph, made_by, operator)) is not None]


def _ending_in(graph: Graph, made_by: Mapping[str, Operator], state: Operator) -> Gates | None:
    """The GRU whose new state `state` makes: new + update * (old - new)."""
    found = {"state": state}

    def operand(role: str, of: str) -> bool:
        """Finds operand `role` of operator `of`: the only one that is made by such a kind."""
        candidates = [made_by[name] for name in found[of].inputs if name in made_by]
        matching = [candidate for candidate in candidates if candidate.kind == KINDS[role]]
        found.update({role: matching[0]} if len(matching) == 1 else {})
        return len(matching) == 1

    links = (
        ("kept", "state"), ("new", "state"), ("difference", "kept"), ("update", "kept"), ("update_sum", "update"),
        ("new_sum", "new"), ("remembered", "new_sum"), ("reset", "remembered"), ("reset_sum", "reset"),
    )  # fmt: skip
    if state.kind != "ADD" or not all(operand(role, of) for role, of in links):
        return None
    inner = {role: operator.outputs[0] for role, operator in found.items() if role != "state"}
    uses = [name for operator in graph.operators for name in operator.inputs]
    wanted = {role: 2 if role == "new" else 1 for role in inner}
    private = all(uses.count(name) == wanted[role] for role, name in inner.items())
    old = [name for name in found["difference"].inputs if name != inner["new"]]
    if (
        not private
        or set(inner.values()) & set(graph.outputs.values())
        or found["difference"].inputs[1] != inner["new"]
    ):
        return None
    positions = sorted(graph.operators.index(operator) for operator in found.values())
    if positions != list(range(positions[0], positions[0] + len(KINDS))):
        return None
    sums = {gate: found[f"{gate}_sum"].inputs for gate in ("update", "reset")}
    remembered = next(name for name in found["remembered"].inputs if name != inner["reset"])
    fresh = next(name for name in found["new_sum"].inputs if name != inner["remembered"])
    # The product with the state is the one that the reset gate multiplies.
    parts = made_by.get(remembered)
    if parts is None or parts.kind != "SPLIT":
        return None
    h = {gate: [name for name in names if name in parts.outputs] for gate, names in sums.items()}
    x = {gate: [name for name in names if name not in parts.outputs] for gate, names in sums.items()}
    if any(len(names) != 1 for names in (*h.values(), *x.values())):
        return None
    first = {gate: names[0] for gate, names in x.items()} | {"new": fresh}
    second = {gate: names[0] for gate, names in h.items()} | {"new": remembered}
    return Gates(found, first, second, old[0], positions[0], positions[-1])


ORDER = {"update_sum": 1, "reset_sum": 2, "new_sum": 4, "difference": 8, "state": 16}
"""Bits of `exchanged` in C."""


@dataclass(frozen=True)
class Thirds:
    """Where the thirds of a product lie: rows of `columns` bytes, `stride` apart, each gate's part from `at` on."""

    rows: int
    columns: int
    stride: int
    at: Mapping[str, int]


def layer(
    graph: Graph,
    gates: Gates,
    where: str,
    x: Thirds,
    h: Thirds,
    state: tuple[int, int, int],
    layout: Callable[..., Rows],
) -> Layer | None:
    """The numbers of `tinyse_gru`; None where the kernels for special cores may not run one of its operators.

    `state` is stored in (rows, columns, stride); `layout` makes rows of (rows, columns, stride of a, stride of b).
    """
    rows, units = x.rows, x.columns
    operators = gates.operators
    state_rows, state_columns, state_stride = state
    first = {  # the operand that the kernel gives first, rows and columns, and the strides of both
        "update_sum": (gates.x["update"], rows, units, x.stride, h.stride),
        "reset_sum": (gates.x["reset"], rows, units, x.stride, h.stride),
        "new_sum": (gates.x["new"], rows, units, x.stride, units),
        "difference": (gates.state, state_rows, state_columns, state_stride, state_columns),
        "state": (operators["new"].outputs[0], 1, rows * units, 0, 0),
    }
    fields: dict[str, Any] = {f"{gate}_at": x.at[gate] for gate in ("update", "reset", "new")}
    exchanged, fast, sums = 0, True, {}
    for role, (name, height, width, *strides) in first.items():
        operator = operators[role]
        numbers, swapped = layers.addition(graph, operator, where)
        if swapped != (operator.inputs[0] != name):
            exchanged |= ORDER[role]
            strides.reverse()
        sums[role] = (layout(height, width, *strides), *numbers.fields.values())
        fast &= numbers.fast
    fields |= {"exchanged": exchanged, **sums}
    for role, (name, stride) in {
        "remembered": (gates.h["new"], h.stride), "kept": (operators["update"].outputs[0], units),
    }.items():  # fmt: skip
        operator = operators[role]
        numbers = layers.product(graph, operator, where)
        zeros = [numbers.fields["a_zero"], numbers.fields["b_zero"]]
        if operator.inputs[0] != name:
            zeros.reverse()
        rest = [value for key, value in numbers.fields.items() if key not in ("a_zero", "b_zero")]
        fields[role] = (layout(rows, units, stride, units), *zeros, *rest)
        fast &= numbers.fast
    tables = {
        f"{role}_table": layers.table(graph, operators[role]).arrays["table"] for role in ("update", "reset", "new")
    }
    return Layer(layers.GRU, "tinyse_gru", fields, tables) if fast else None
