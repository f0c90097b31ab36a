"""A float graph as integers, after training: grids for activations, then weights and biases on theirs.

Weights are symmetric int8 with a scale for each output channel, biases int32 on input scale x weight scale. A tensor
that is carried as state has one grid on its way in and out, since grids belong to groups of tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinyse.errors import InputError
from tinyse.integers import grids as grid_choice
from tinyse.integers.calibration import Calibration
from tinyse.integers.graph import Graph, Quantization, Tensor
from tinyse.integers.validation import validate

PRECISIONS = ("int8",)


def quantise(
    graph: Graph, calibration: Calibration, precision: str = "int8", grids: Mapping[str, Quantization] | None = None
) -> Graph:
    """The integer graph of a float one; `grids` are those of its activations, from `grids.choose` if not given.

    Its metadata gains "precision". Raises InputError, by name, for weights that are not finite, for a calibration of
    another graph and for grids that cannot be shared where they must be.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
    validate(graph)
    for tensor in graph.tensors.values():
        if tensor.data is not None and not np.isfinite(tensor.data).all():
            raise InputError(f"{tensor.name!r} has values that are not finite: the weights are unusable")
        if tensor.quantization is not None:
            raise InputError(f"{tensor.name!r} is quantised already: give the float graph")
    grids = dict(grids) if grids is not None else grid_choice.choose(graph, calibration)
    result = Graph(
        graph.name,
        {name: _activation(tensor, grids) if tensor.data is None else tensor for name, tensor in graph.tensors.items()},
        list(graph.operators),
        dict(graph.inputs),
        dict(graph.outputs),
        {**graph.metadata, "precision": precision},
    )
    for operator in graph.operators:
        if operator.kind in ("CONV_2D", "FULLY_CONNECTED"):
            x, weights, bias = operator.inputs
            result.tensors[weights], result.tensors[bias] = quantise_weights(
                graph.tensors[weights], graph.tensors[bias], grids[x]
            )
        elif operator.kind in ("ADD", "SUB", "MUL"):
            for name in operator.inputs:
                if graph.tensors[name].data is not None:
                    result.tensors[name] = _constant(graph.tensors[name])
    validate(result)
    return result


def quantise_weights(weights: Tensor, bias: Tensor, x: Quantization) -> tuple[Tensor, Tensor]:
    """int8 weights, one scale for each output channel (axis 0), and their int32 bias for inputs on the grid `x`."""
    w = weights.data.astype(np.float64).reshape(len(weights.data), -1)
    b = bias.data.astype(np.float64)
    # A channel of tiny weights gets a scale that keeps its bias far within 32 bits.
    least = np.maximum(np.abs(b) / (float(x.scale[0]) * 2**28), 1e-9)
    scales = np.maximum(_best_scales(w), least).astype(np.float32)
    integers = np.clip(np.rint(w / scales[:, None]), -127, 127).astype(np.int8).reshape(weights.shape)
    bias_scales = x.scale * scales
    return (
        replace(weights, dtype=np.dtype(np.int8), data=integers, quantization=Quantization(scales, 0, 0)),
        replace(
            bias,
            dtype=np.dtype(np.int32),
            data=np.rint(b / bias_scales.astype(np.float64)).astype(np.int32),
            quantization=Quantization(bias_scales, 0, 0),
        ),
    )


def _best_scales(w: np.ndarray) -> np.ndarray:
    """(channels,) of (channels, n): the scale of least squared error, the largest weight clipped if that helps."""
    extreme = np.abs(w).max(axis=1) / 127
    best, least = extreme.copy(), np.full(len(w), np.inf)
    for factor in np.linspace(1, 0.7, 13):
        scale = np.maximum(factor * extreme, 1e-30)[:, None]
        error = ((w - scale * np.clip(np.rint(w / scale), -127, 127)) ** 2).sum(axis=1)
        better = error < least
        best[better], least[better] = factor * extreme[better], error[better]
    return best


def _activation(tensor: Tensor, grids: Mapping[str, Quantization]) -> Tensor:
    if tensor.name not in grids:
        raise InputError(f"no grid is given for {tensor.name!r}")
    return replace(tensor, dtype=np.dtype(np.int8), quantization=grids[tensor.name])


def _constant(tensor: Tensor) -> Tensor:
    """A constant operand of a sum or product, on a grid of its own."""
    grid = grid_choice.asymmetric_grid(float(tensor.data.min()), float(tensor.data.max()))
    data = np.clip(np.rint(tensor.data / grid.scale) + grid.zero_point, -128, 127).astype(np.int8)
    return replace(tensor, dtype=np.dtype(np.int8), data=data, quantization=grid)
