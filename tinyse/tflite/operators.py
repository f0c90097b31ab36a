"""How each operator's options are serialized in a .tflite file: one row per operator, used by the reader and by the writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Operator
from tinyse.graph.operators import groups

PADDINGS = ("SAME", "VALID")
ACTIVATIONS = ("NONE", "RELU")
GROUPED_VERSION = 6
"""Version of a CONV_2D in groups, in any type."""


@dataclass(frozen=True)
class Serialization:
    """How the options of one operator are written and read.

    `versions` are those of TensorFlow Lite's registry for float32, int8 and int16; an interpreter refuses a newer one
    than it knows. `fixed` are options that must have the given value, since a graph cannot say anything else.
    """

    table: str | None
    versions: tuple[int, int, int]
    write: Callable[[Operator, Graph], dict[str, Any]] = lambda operator, graph: {}
    read: Callable[[Any], dict[str, Any]] = lambda table: {}
    fixed: Mapping[str, Any] = field(default_factory=dict)


def write_options(operator: Operator, graph: Graph) -> tuple[int, Any]:
    """The union's type and object for `operator`; (0, None) for one that has no options."""
    row = SERIALIZATIONS[operator.kind]
    if row.table is None:
        return schema.BuiltinOptions.NONE, None
    options = getattr(schema, f"{row.table}T")()
    for name, value in row.write(operator, graph).items():
        setattr(options, name, value)
    return getattr(schema.BuiltinOptions, row.table), options


def read_options(kind: str, union_type: int, union: Any) -> dict[str, Any]:
    """The options of an operator as a graph has them; raises InputError for a value that a graph cannot express."""
    row = SERIALIZATIONS[kind]
    if row.table is None:
        return {}
    if union_type != getattr(schema.BuiltinOptions, row.table) or union is None:
        raise InputError(f"{kind} has no {row.table}")
    table = getattr(schema, row.table)()
    table.Init(union.Bytes, union.Pos)
    for name, value in row.fixed.items():
        if getattr(table, name)() != value:
            raise InputError(f"{kind}: {name} is {getattr(table, name)()}, only {value} is known")
    return row.read(table)


def version(operator: Operator, graph: Graph) -> int:
    """The version of TensorFlow Lite's registry that has `operator` with its types."""
    tensors = [graph.tensors[name] for name in (*operator.inputs, *operator.outputs)]
    if groups(operator, graph.tensors) > 1:
        return GROUPED_VERSION
    values = [tensor.dtype for tensor in tensors if tensor.data is None]
    column = 2 if np.int16 in values else 1 if np.int8 in values else 0
    return SERIALIZATIONS[operator.kind].versions[column]


def _choice(names: tuple[str, ...], what: str, value: int) -> str:
    if not 0 <= value < len(names):
        raise InputError(f"{what} {value} is not one of {', '.join(names)}")
    return names[value]


def _activation(operator: Operator, graph: Graph) -> dict[str, Any]:
    return {"fusedActivationFunction": ACTIVATIONS.index(operator.options.get("activation", "NONE"))}


def _read_activation(table: Any) -> dict[str, Any]:
    return {"activation": _choice(ACTIVATIONS, "activation", table.FusedActivationFunction())}


def _sum(operator: Operator, graph: Graph) -> dict[str, Any]:
    # The schema's default, scales that are powers of two, belongs to an older int16 kernel.
    return {"potScaleInt16": False, **_activation(operator, graph)}


def _convolution(operator: Operator, graph: Graph) -> dict[str, Any]:
    stride_height, stride_width = operator.options["stride"]
    padding = PADDINGS.index(operator.options["padding"])
    return {"padding": padding, "strideH": stride_height, "strideW": stride_width, **_activation(operator, graph)}


def _read_convolution(table: Any) -> dict[str, Any]:
    padding = _choice(PADDINGS, "padding", table.Padding())
    return {"stride": (table.StrideH(), table.StrideW()), "padding": padding, **_read_activation(table)}


SERIALIZATIONS: dict[str, Serialization] = {
    "CONCATENATION": Serialization(
        "ConcatenationOptions",
        (1, 2, 3),
        lambda operator, graph: {"axis": operator.options["axis"]},
        lambda table: {"axis": table.Axis()},
        {"FusedActivationFunction": 0},
    ),
    "CONV_2D": Serialization(
        "Conv2DOptions",
        (1, 3, 4),
        _convolution,
        _read_convolution,
        {"DilationHFactor": 1, "DilationWFactor": 1},
    ),
    "DEPTHWISE_CONV_2D": Serialization(
        "DepthwiseConv2DOptions",
        (1, 3, 5),
        lambda operator, graph: {"depthMultiplier": 1, **_convolution(operator, graph)},
        _read_convolution,
        {"DepthMultiplier": 1, "DilationHFactor": 1, "DilationWFactor": 1},
    ),
    "FULLY_CONNECTED": Serialization(
        "FullyConnectedOptions",
        (1, 4, 7),
        _activation,
        _read_activation,
        {"WeightsFormat": 0, "KeepNumDims": False},
    ),
    "RESHAPE": Serialization(
        "ReshapeOptions",
        (1, 1, 1),
        lambda operator, graph: {"newShape": list(graph.shape(operator.outputs[0]))},
    ),
    "SPLIT": Serialization(
        "SplitOptions",
        (1, 2, 4),
        lambda operator, graph: {"numSplits": operator.options["splits"]},
        lambda table: {"splits": table.NumSplits()},
    ),
    "STRIDED_SLICE": Serialization(
        "StridedSliceOptions",
        (1, 2, 4),
        fixed=dict.fromkeys(("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask"), 0),
    ),
    "ADD": Serialization("AddOptions", (1, 2, 3), _sum, _read_activation),
    "SUB": Serialization("SubOptions", (1, 2, 3), _sum, _read_activation),
    "MUL": Serialization("MulOptions", (1, 2, 4), _activation, _read_activation),
    "LOGISTIC": Serialization(None, (1, 2, 3)),
    "TANH": Serialization(None, (1, 2, 3)),
    "HARD_SWISH": Serialization("HardSwishOptions", (1, 1, 1)),
    "LEAKY_RELU": Serialization(
        "LeakyReluOptions",
        (1, 1, 2),
        lambda operator, graph: {"alpha": operator.options["slope"]},
        lambda table: {"slope": float(table.Alpha())},
    ),
    "QUANTIZE": Serialization(None, (1, 2, 3)),
}
