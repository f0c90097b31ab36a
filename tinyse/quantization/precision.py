"""How many bits each activation has, and the QUANTIZE operators where widths meet.

    int8            all activations in 8 bits
    int8-state16    the GRUs' states and blends n + z * (h - n), with the two gates in them, in 16 bits; the rest in 8
    int8-gru16      the GRUs in 16 bits, the convolutions in 8
    int16x8         all activations in 16 bits

Weights are 8 bits in each. With an update gate near one a GRU moves by less than half a step of 8 bits in a frame and
then not at all; in 16 bits it does, and for that only elementwise operators need be wide. What then limits a GRU is the
8-bit scale of the sums before its gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Operator, Quantization, Tensor
from tinyse.quantization.qparams import INT8, INT16
from tinyse.quantization.structure import blends, groups, recurrent

PRECISIONS = ("int8", "int8-state16", "int8-gru16", "int16x8")


def types(graph: Graph, precision: str) -> dict[str, np.dtype]:
    """int8 or int16 for every activation; a group has one type. Raises InputError for an unknown precision."""
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
    wide: set[str] = set()
    if precision == "int8-state16":
        wide = {name for blend in blends(graph) for name in blend}
    elif precision == "int8-gru16":
        wide = recurrent(graph)
    result = {}
    for group in groups(graph):
        is_wide = precision == "int16x8" or bool(wide & set(group.tensors))
        result.update(dict.fromkeys(group.tensors, INT16 if is_wide else INT8))
    return result


def insert_conversions(graph: Graph, qparams: Mapping[str, Quantization], narrow: Mapping[str, Quantization]) -> Graph:
    """`graph`, quantized but for its operators' agreement, with a QUANTIZE for each input of another type than needed.

    An operator works in the type of its output. `narrow` has the 8-bit parameters of every activation. From 8 to 16 bits
    nothing is lost: a step becomes 128.
    """
    result = replace(graph, tensors=dict(graph.tensors), operators=[])
    converted: dict[tuple[str, np.dtype], str] = {}
    for operator in graph.operators:
        needed = graph.tensors[operator.outputs[0]].dtype
        inputs = []
        for name in operator.inputs:
            tensor = graph.tensors[name]
            if tensor.data is not None or tensor.dtype == needed:
                inputs.append(name)
                continue
            if (name, needed) not in converted:
                copied = narrow[name] if needed == INT8 else _widened(qparams[name])
                copy = Tensor(f"{name}/{needed}", tensor.shape, needed, None, copied)
                result.tensors[copy.name] = copy
                result.operators.append(Operator("QUANTIZE", (name,), (copy.name,)))
                converted[name, needed] = copy.name
            inputs.append(converted[name, needed])
        result.operators.append(replace(operator, inputs=tuple(inputs)))
    return result


def _widened(qparams: Quantization) -> Quantization:
    """16-bit parameters that represent every value of the 8-bit ones exactly, whatever their zero point."""
    return Quantization(qparams.scale / np.float32(128), 0)
