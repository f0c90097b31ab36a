"""Post-training quantization of a float graph: types and quantization parameters for activations, then weights and biases.

Weights are symmetric int8 with a scale for each output channel, biases int32 (int64 for 16-bit activations) on input
scale x weight scale. A state has the same parameters on its way in and out, since they belong to groups of tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Quantization, Tensor
from tinyse.graph.operators import BINARY, OPERATORS, WEIGHTED
from tinyse.graph.validation import validate
from tinyse.quantization.calibration import Calibration
from tinyse.quantization.precision import insert_conversions, types
from tinyse.quantization.qparams import INT8, INT16, asymmetric_qparams, choose, symmetric_qparams


def quantize(
    graph: Graph,
    calibration: Calibration | None,
    precision: str = "int8",
    qparams: Mapping[str, Quantization] | None = None,
) -> Graph:
    """The integer graph of a float one in one of `precision.PRECISIONS`.

    `qparams` may replace chosen parameters, by activation. Where they are `activation_qparams` of a graph of the same
    network and precision, nothing is left to choose and `calibration` may be None: so a network from quantization-aware
    training is exported. The metadata gains "precision". Raises InputError, by name, for weights that are not finite,
    for a calibration of another graph, for parameters that cannot be shared where they must be and for missing ones.
    """
    validate(graph)
    for tensor in graph.tensors.values():
        if tensor.quantization is not None:
            raise InputError(f"{tensor.name!r} is quantized already: give the float graph")
        if tensor.data is not None and not np.isfinite(tensor.data).all():
            raise InputError(f"{tensor.name!r} has values that are not finite: the weights are unusable")
    kinds = types(graph, precision)
    if calibration is None:
        chosen, narrow = _given(kinds, qparams or {})
    else:
        chosen = {**choose(graph, calibration, kinds), **(qparams or {})}
        narrow = choose(graph, calibration, dict.fromkeys(kinds, INT8)) if INT16 in kinds.values() else chosen
    quantized = replace(
        graph,
        tensors={
            name: replace(tensor, dtype=kinds[name], quantization=chosen[name]) if tensor.data is None else tensor
            for name, tensor in graph.tensors.items()
        },
        metadata={**graph.metadata, "precision": precision},
    )
    result = insert_conversions(quantized, chosen, narrow)
    for operator in result.operators:
        if operator.kind in WEIGHTED:
            x, weights, bias = (result.tensors[name] for name in operator.inputs)
            axis = OPERATORS[operator.kind].channel_axis
            result.tensors.update((tensor.name, tensor) for tensor in quantize_weights(weights, bias, x, axis))
        elif operator.kind in BINARY:
            for name in operator.inputs:
                if result.tensors[name].data is not None:
                    result.tensors[name] = _operand(graph.tensors[name], kinds[operator.outputs[0]])
    validate(result)
    return result


def activation_qparams(quantized: Graph) -> dict[str, Quantization]:
    """The quantization parameters of every activation of a quantized graph, converted copies included."""
    return {name: tensor.qparams for name, tensor in quantized.tensors.items() if tensor.data is None}


def _given(
    kinds: Mapping[str, np.dtype], qparams: Mapping[str, Quantization]
) -> tuple[dict[str, Quantization], dict[str, Quantization]]:
    """`activation_qparams` as those of the activations, and of their 8-bit copies where they have one."""
    for name in kinds:
        if name not in qparams:
            raise InputError(f"{name!r} has no quantization parameters, and there is no calibration to choose them")
    narrow = {name: qparams.get(f"{name}/{INT8}", qparams[name]) for name in kinds}
    return {name: qparams[name] for name in kinds}, narrow


def quantize_weights(weights: Tensor, bias: Tensor, x: Tensor, axis: int = 0) -> tuple[Tensor, Tensor]:
    """int8 weights, one scale for each output channel (`axis`), and their bias, for the quantized input `x`."""
    wide = x.dtype == INT16
    channels_first = np.moveaxis(weights.constant.astype(np.float64), axis, 0)
    w = channels_first.reshape(len(channels_first), -1)
    b = bias.constant.astype(np.float64)
    # A channel of tiny weights gets a scale that keeps its bias far within its bits.
    least = np.maximum(np.abs(b) / (float(x.scale) * 2.0 ** (38 if wide else 28)), 1e-9)
    scales = np.maximum(_best_scales(w), least).astype(np.float32)
    integers = np.clip(np.rint(w / scales[:, None]), -127, 127).astype(np.int8).reshape(channels_first.shape)
    bias_scales = x.qparams.scale * scales
    return (
        replace(
            weights,
            dtype=np.dtype(np.int8),
            data=np.ascontiguousarray(np.moveaxis(integers, 0, axis)),
            quantization=Quantization(scales, 0, axis),
        ),
        replace(
            bias,
            dtype=np.dtype(np.int64 if wide else np.int32),
            data=np.rint(b / bias_scales.astype(np.float64)).astype(np.int64 if wide else np.int32),
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


def _operand(tensor: Tensor, dtype: np.dtype) -> Tensor:
    """A constant operand of a sum or product, with quantization parameters of its own."""
    low, high = float(tensor.constant.min()), float(tensor.constant.max())
    qparams = asymmetric_qparams(low, high) if dtype == INT8 else symmetric_qparams(max(-low, high))
    limits = np.iinfo(dtype)
    integers = np.rint(tensor.constant / qparams.tensor_scale) + qparams.zero_point
    data = np.clip(integers, limits.min, limits.max).astype(dtype)
    return replace(tensor, dtype=dtype, data=data, quantization=qparams)
