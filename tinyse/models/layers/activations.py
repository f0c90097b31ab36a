"""Activations: inside a convolution's own operator, or an operator of their own, which is a table of 256 in C."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinyse.config import did_you_mean
from tinyse.errors import InputError
from tinyse.graph.graph import Graph
from tinyse.models.layers.layer import Layer, array
from tinyse.models.replay import Straight, Values

FUSED = {"none": "NONE", "relu": "RELU"}
"""What a convolution applies itself, at no cost."""

ACTIVATIONS = (*FUSED, "prelu", "hard_swish")
"""`prelu` learns one slope in [0, 1] for what is below zero (He et al. 2015); `hard_swish` is x * relu6(x + 3) / 6 (Howard
et al. 2019), which TFLM has in 8 bits alone."""

FIRST_SLOPE = 0.25


class Activation(Layer):
    """One of ACTIVATIONS, elementwise."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        if kind not in ACTIVATIONS:
            raise InputError(f"no activation is named {kind!r}{did_you_mean(kind, ACTIVATIONS)}")
        self.kind = kind
        if kind == "prelu":
            self.slope = nn.Parameter(torch.full((1,), FIRST_SLOPE))

    @property
    def fused(self) -> bool:
        """Whether a convolution applies it itself."""
        return self.kind in FUSED

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "relu":
            return torch.relu(x)
        if self.kind == "hard_swish":
            return functional.hardswish(x)
        if self.kind == "prelu":
            # Straight, so that a slope that has left [0, 1] finds its way back.
            return functional.prelu(x, Straight.apply(self.slope, self.slope.detach().clamp(0, 1)).to(x.dtype))
        return x

    def emit(self, graph: Graph, name: str, x: str) -> str:
        """HARD_SWISH, or LEAKY_RELU, which is a RELU with a slope of zero and nothing with one of one."""
        if self.kind == "hard_swish":
            return graph.unary("HARD_SWISH", name, x)
        slope = {"none": 1.0, "relu": 0.0}.get(self.kind)
        if slope is None:
            slope = float(array(self.slope)[0].clip(0, 1))
        return graph.leaky_relu(name, x, slope)

    def emit_after(self, graph: Graph, name: str, operator: Callable[[str, str], str]) -> str:
        """What `operator(name, activation)` makes, activated: by the operator itself where it can."""
        if self.fused:
            return operator(name, FUSED[self.kind])
        return self.emit(graph, name, operator(f"{name}/linear", "NONE"))

    def replay_after(self, values: Values, name: str, y: Tensor) -> Tensor:
        """The same of replayed values: `y` is the float layer's before the activation."""
        if not self.fused:
            y = values.replace(y, f"{name}/linear")
        return values.replace(self(y), name)
