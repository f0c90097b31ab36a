"""Which grid each activation lies on: who must share one, which are fixed, and how the others are chosen.

Tensors that are concatenated, reshaped, split or carried from frame to frame only move their values, so they share one
grid by construction. Outputs of LOGISTIC and TANH, the state of a GRU and the features have grids of their own that
calibration cannot change. Every other range is the one with the least squared error over the calibration's values:
where a value only feeds a gate, the error behind the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinyse.errors import InputError
from tinyse.integers.calibration import MOVES, Calibration, Histogram, sources
from tinyse.integers.graph import Graph, Operator, Quantization
from tinyse.integers.validation import FIXED_GRIDS

FEATURES = "features"
UNIT_RANGE = Quantization(np.float32(1 / 128), 0)
"""[-1, 1) in 8 bits: the features as the front end gives them, and the state of a GRU."""

GATE_LIMIT = 8.0
"""What only feeds gates is clipped to +-8: a sigmoid's 8-bit output is 0 or 1 beyond 6.3."""


@dataclass
class Group:
    """Activations that share one grid; `sources` are those whose values are made and not only moved."""

    tensors: list[str]
    sources: list[str]
    fixed: Quantization | None = None


def groups(graph: Graph, fixed: Mapping[str, Quantization]) -> list[Group]:
    """Every activation in exactly one group. Raises InputError, by name, where two fixed grids meet in one."""
    parent = {name: name for name, tensor in graph.tensors.items() if tensor.data is None}

    def find(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    made = set(sources(graph))
    for operator in graph.operators:
        if operator.kind in MOVES:
            values = [name for name in (*operator.inputs, *operator.outputs) if name in parent]
            for name in values[1:]:
                parent[find(name)] = find(values[0])
    for state in graph.states:
        parent[find(graph.outputs[state])] = find(graph.inputs[state])
    found: dict[str, Group] = {}
    for name in parent:
        group = found.setdefault(find(name), Group([], []))
        group.tensors.append(name)
        if name in made:
            group.sources.append(name)
    for group in found.values():
        pinned = [name for name in group.tensors if name in fixed]
        for name in pinned:
            if fixed[name] != fixed[pinned[0]]:
                raise InputError(
                    f"{pinned[0]!r} and {name!r} are joined, so they must share a grid, but each has its own"
                )
        group.fixed = fixed[pinned[0]] if pinned else None
    return list(found.values())


def fixed_grids(graph: Graph) -> dict[str, Quantization]:
    """The 8-bit grids that do not depend on data, by tensor."""
    grids = {FEATURES: UNIT_RANGE} if FEATURES in graph.inputs else {}
    grids = {graph.inputs[name]: grid for name, grid in grids.items()}
    for operator in graph.operators:
        grid = FIXED_GRIDS.get((operator.kind, np.dtype(np.int8)))
        if grid is not None:
            grids[operator.outputs[0]] = grid
        elif is_blend(graph, operator):
            grids[operator.outputs[0]] = UNIT_RANGE
    return grids


def is_blend(graph: Graph, operator: Operator) -> bool:
    """Whether `operator` is the last of n + z * (h - n), n from a TANH and z from a LOGISTIC: a GRU's new state.

    It lies between its old state and n, so it never leaves [-1, 1].
    """
    made_by = {name: op for op in graph.operators for name in op.outputs}
    if operator.kind != "ADD":
        return False
    for new, product in (operator.inputs, operator.inputs[::-1]):
        maker, step = made_by.get(new), made_by.get(product)
        if maker is None or step is None or (maker.kind, step.kind) != ("TANH", "MUL"):
            continue
        kinds = {made_by[name].kind: made_by[name] for name in step.inputs if name in made_by}
        if set(kinds) == {"LOGISTIC", "SUB"} and kinds["SUB"].inputs[1] == new:
            return True
    return False


def choose(graph: Graph, calibration: Calibration) -> dict[str, Quantization]:
    """The 8-bit grid of every activation. Raises InputError where a fixed grid cuts off values joined to it."""
    grids = {}
    for group in groups(graph, fixed_grids(graph)):
        histogram = calibration.of(group.sources)
        if group.fixed is not None:
            _check_reach(group, calibration)
            grid = group.fixed
        else:
            grid = asymmetric_grid(*best_range(histogram, _behind(graph, group)))
        grids.update(dict.fromkeys(group.tensors, grid))
    return grids


def asymmetric_grid(low: float, high: float) -> Quantization:
    """The 8-bit grid that covers [low, high], with zero on it exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / 255) if high > low else np.float32(1 / 128)
    return Quantization(scale, int(np.clip(round(-128 - low / float(scale)), -128, 127)))


class Use(NamedTuple):
    """What values are for: the function behind which their error counts, and the limit beyond which they are alike."""

    function: Callable[[np.ndarray], np.ndarray]
    limit: float = np.inf


def identity(x: np.ndarray) -> np.ndarray:
    return x


PLAIN = Use(identity)
GATES = {"LOGISTIC": Use(lambda x: 0.5 + 0.5 * np.tanh(x / 2), GATE_LIMIT), "TANH": Use(np.tanh, GATE_LIMIT)}


def best_range(histogram: Histogram, use: Use = PLAIN, steps: int = 255) -> tuple[float, float]:
    """(low, high) with the least expected squared error of `steps` equal steps, behind the function of `use`.

    The error is that of the clipped values plus step^2 / 12 for the others, weighted by the function's slope; values
    that are exactly zero lie on the grid.
    """
    centres, counts = histogram.centres, histogram.counts
    if not counts.any():
        return 0.0, 0.0
    y = use.function(centres)
    slope = np.gradient(y, centres)
    noise = float((counts * slope**2).sum())
    used = np.flatnonzero(counts)
    edge = histogram.width / 2
    lows = _candidates(min(centres[used[0]] - edge, 0.0), use.limit, histogram.low)
    highs = _candidates(max(centres[used[-1]] + edge, 0.0), use.limit, histogram.high)
    clipped_low = np.array([(counts * (y - use.function(low)) ** 2)[centres < low].sum() for low in lows])
    clipped_high = np.array([(counts * (y - use.function(high)) ** 2)[centres > high].sum() for high in highs])
    step = (highs[None, :] - lows[:, None]) / steps
    error = clipped_low[:, None] + clipped_high[None, :] + noise * step**2 / 12
    low, high = np.unravel_index(int(np.argmin(error)), error.shape)
    return float(lows[low]), float(highs[high])


def _candidates(extreme: float, limit: float, seen: float) -> np.ndarray:
    """Ends of a range from `extreme` down to a twentieth of it; the exact extreme that was seen comes first."""
    if extreme == 0:
        return np.zeros(1)
    extreme = seen if abs(seen) < abs(extreme) else extreme
    return np.clip(extreme * np.geomspace(1, 0.05, 121), -limit, limit)


def _behind(graph: Graph, group: Group) -> Use:
    """How the group's values are used: behind one gate, on the way to gates only, or plainly."""
    users = [op for op in graph.operators if set(op.inputs) & set(group.tensors) and op.kind not in MOVES]
    if set(graph.outputs.values()) & set(group.tensors) or not users:
        return PLAIN
    kinds = {op.kind for op in users}
    if len(kinds) == 1 and kinds <= set(GATES):
        return GATES[kinds.pop()]
    return Use(identity, GATE_LIMIT) if all(_reaches_gates_only(graph, op) for op in users) else PLAIN


def _reaches_gates_only(graph: Graph, operator: Operator) -> bool:
    """Whether all that comes of `operator` ends in a LOGISTIC or TANH, with sums, products and moves on the way."""
    if operator.kind in GATES:
        return True
    if operator.kind not in ("ADD", "MUL", *MOVES) or set(operator.outputs) & set(graph.outputs.values()):
        return False
    users = [op for op in graph.operators if set(op.inputs) & set(operator.outputs)]
    return bool(users) and all(_reaches_gates_only(graph, op) for op in users)


def _check_reach(group: Group, calibration: Calibration) -> None:
    """A fixed grid must hold what is joined to it: a tenth beyond its end would be cut off in earnest."""
    grid = group.fixed
    low, high = ((limit - grid.zero_point) * float(grid.scale[0]) for limit in (-128, 127))
    for name in group.sources:
        histogram = calibration.of([name])
        if histogram.low < 1.1 * low - 0.1 or histogram.high > 1.1 * high + 0.1:
            raise InputError(
                f"{name!r} reaches {histogram.low:.3g} to {histogram.high:.3g} but shares the grid of "
                f"{[other for other in group.tensors if other != name][:3]}, which ends at {low:.3g} and {high:.3g}"
            )
