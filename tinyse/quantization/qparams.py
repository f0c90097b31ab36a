"""The quantization parameters (scale and zero point) of each activation.

Values that are only moved share one scale and zero point by construction. Those of the outputs of LOGISTIC and TANH, of
the state of a GRU and of the features are fixed: calibration cannot change them. Every other range is chosen by the
error that it makes on the calibration values: where they only feed a gate, the error after the gate.
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
    """The quantization parameters of every activation; `types` has int8 or int16 for each.

    Raises InputError, by name, where one group would need two fixed scales, and where a fixed range would cut off
    values that are joined to it.
    """
    fixed = _fixed(graph, types)
    qparams = {}
    for group in groups(graph):
        pinned = [name for name in group.tensors if name in fixed]
        if pinned:
            shared = fixed[pinned[0]]
            for name in pinned:
                if fixed[name] != shared:
                    raise InputError(
                        f"{pinned[0]!r} and {name!r} are joined but need different quantization parameters"
                    )
            _check_reach(group, shared, calibration)
        else:
            histogram, use = calibration.of(group.sources), _use(graph, group)
            if types[group.tensors[0]] == INT8:
                shared = asymmetric_qparams(*best_range(histogram, use))
            else:
                shared = symmetric_qparams(wide_range(histogram, use))
        qparams.update(dict.fromkeys(group.tensors, shared))
    return qparams


def asymmetric_qparams(low: float, high: float) -> Quantization:
    """The 8-bit parameters that cover [low, high] and represent zero exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    # Values close to zero get no smaller a scale than one that 16-bit copies can follow and validate() allows.
    scale = np.float32(max((high - low) / 255, 128 * SCALES[0])) if high > low else np.float32(1 / 128)
    return Quantization(scale, int(np.clip(round(-128 - low / float(scale)), -128, 127)))


def symmetric_qparams(end: float) -> Quantization:
    """The 16-bit parameters that cover [-end, end]."""
    return Quantization(np.float32(max(end / 32767, SCALES[0])) if end else np.float32(1 / 32768), 0)


def _fixed(graph: Graph, types: Mapping[str, np.dtype]) -> dict[str, Quantization]:
    """The quantization parameters that do not depend on data, by tensor."""
    fixed = {}
    if FEATURES in graph.inputs:
        fixed[graph.inputs[FEATURES]] = UNIT_RANGE[types[graph.inputs[FEATURES]]]
    for operator in graph.operators:
        qparams = OPERATORS[operator.kind].fixed.get(types[operator.outputs[0]])
        if qparams is not None:
            fixed[operator.outputs[0]] = qparams
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


def _check_reach(group: Group, qparams: Quantization, calibration: Calibration) -> None:
    """A fixed range must hold what is joined to it: values a tenth beyond its end would be clipped noticeably."""
    low, high = _limits(qparams)
    for name in group.sources:
        histogram = calibration.of([name])
        if histogram.low < 1.1 * low - 0.1 or histogram.high > 1.1 * high + 0.1:
            raise InputError(
                f"{name!r} reaches {histogram.low:.3g} to {histogram.high:.3g} but shares the quantization parameters of "
                f"{[other for other in group.tensors if other != name][:3]}, which ends at {low:.3g} and {high:.3g}"
            )


def _limits(qparams: Quantization) -> tuple[float, float]:
    """The range of fixed parameters: [0, 1), [-1, 1) or [-2, 2)."""
    if qparams.zero_point:
        return 0.0, 1.0
    return (-2.0, 2.0) if qparams == DOUBLE_UNIT_RANGE else (-1.0, 1.0)
