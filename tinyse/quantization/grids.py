"""Which grid each activation lies on.

Values that are only moved share one grid by construction. Outputs of LOGISTIC and TANH, the state of a GRU and the
features have grids of their own that calibration cannot change. Every other range is chosen by the error that it makes
on the calibration's values: where they only feed a gate, the error behind the gate.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Quantization
from tinyse.graph.operators import INT8, INT16, OPERATORS
from tinyse.graph.validation import SCALES
from tinyse.quantization.calibration import Calibration
from tinyse.quantization.ranges import GATES, PLAIN, TO_GATES, Use, best_range, wide_range
from tinyse.quantization.structure import Group, blends, feeds_gates_only, gate_of, groups

FEATURES = "features"

UNIT_RANGE = {INT8: Quantization(np.float32(1 / 128), 0), INT16: Quantization(np.float32(1 / 32768), 0)}
"""[-1, 1): the features as the front end gives them, and the state of a GRU."""

DOUBLE_UNIT_RANGE = Quantization(np.float32(1 / 16384), 0)
"""[-2, 2) in 16 bits: what a GRU's state may change by. In 8 bits a range that is seen is worth more."""


def choose(graph: Graph, calibration: Calibration, types: Mapping[str, np.dtype]) -> dict[str, Quantization]:
    """The grid of every activation; `types` has int8 or int16 for each.

    Raises InputError, by name, where two fixed grids meet in one group and where a fixed grid would cut off values that
    are joined to it.
    """
    fixed = _fixed(graph, types)
    grids = {}
    for group in groups(graph):
        pinned = [name for name in group.tensors if name in fixed]
        if pinned:
            grid = fixed[pinned[0]]
            for name in pinned:
                if fixed[name] != grid:
                    raise InputError(f"{pinned[0]!r} and {name!r} are joined but must have grids of their own")
            _check_reach(group, grid, calibration)
        else:
            histogram, use = calibration.of(group.sources), _use(graph, group)
            if types[group.tensors[0]] == INT8:
                grid = asymmetric_grid(*best_range(histogram, use))
            else:
                grid = symmetric_grid(wide_range(histogram, use))
        grids.update(dict.fromkeys(group.tensors, grid))
    return grids


def asymmetric_grid(low: float, high: float) -> Quantization:
    """The 8-bit grid that covers [low, high], with zero on it exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    # Values that are all but zero get no finer a grid than one that 16-bit copies can follow, and validate() allows.
    scale = np.float32(max((high - low) / 255, 128 * SCALES[0])) if high > low else np.float32(1 / 128)
    return Quantization(scale, int(np.clip(round(-128 - low / float(scale)), -128, 127)))


def symmetric_grid(end: float) -> Quantization:
    """The 16-bit grid that covers [-end, end]."""
    return Quantization(np.float32(max(end / 32767, SCALES[0])) if end else np.float32(1 / 32768), 0)


def _fixed(graph: Graph, types: Mapping[str, np.dtype]) -> dict[str, Quantization]:
    """The grids that do not depend on data, by tensor."""
    fixed = {}
    if FEATURES in graph.inputs:
        fixed[graph.inputs[FEATURES]] = UNIT_RANGE[types[graph.inputs[FEATURES]]]
    for operator in graph.operators:
        grid = OPERATORS[operator.kind].fixed.get(types[operator.outputs[0]])
        if grid is not None:
            fixed[operator.outputs[0]] = grid
    for blend in blends(graph):
        fixed[blend.state] = UNIT_RANGE[types[blend.state]]
        for name in (blend.change, blend.kept):
            if types[name] == INT16:
                fixed[name] = DOUBLE_UNIT_RANGE
    return fixed


def _use(graph: Graph, group: Group) -> Use:
    gate = gate_of(graph, group)
    if gate is not None:
        return GATES[gate]
    return TO_GATES if feeds_gates_only(graph, group.tensors) else PLAIN


def _check_reach(group: Group, grid: Quantization, calibration: Calibration) -> None:
    """A fixed grid must hold what is joined to it: a tenth beyond its end would be cut off in earnest."""
    low, high = _ends(grid)
    for name in group.sources:
        histogram = calibration.of([name])
        if histogram.low < 1.1 * low - 0.1 or histogram.high > 1.1 * high + 0.1:
            raise InputError(
                f"{name!r} reaches {histogram.low:.3g} to {histogram.high:.3g} but shares the grid of "
                f"{[other for other in group.tensors if other != name][:3]}, which ends at {low:.3g} and {high:.3g}"
            )


def _ends(grid: Quantization) -> tuple[float, float]:
    """Of a fixed grid: they are [0, 1), [-1, 1) or [-2, 2)."""
    if grid.zero_point:
        return 0.0, 1.0
    return (-2.0, 2.0) if grid == DOUBLE_UNIT_RANGE else (-1.0, 1.0)
