"""What an exported quantized step has computed, handed to the layers of a network that is trained as it will be exported.

The forward pass takes the integers' values, in real units; the backward pass goes through the float layers as if nothing
had been rounded (Bengio et al. 2013), and is zero where a value lies beyond its range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tinyse.graph.graph import Graph
from tinyse.graph.sequence import Arrays


class Straight(torch.autograd.Function):
    """The second argument forward, the first one's gradient backward."""

    @staticmethod
    def forward(ctx: Any, approximate: Tensor, exact: Tensor) -> Tensor:
        return exact.view_as(exact)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class Values:
    """What the quantized graph has computed over whole clips, by tensor, in torch's layouts and real units."""

    def __init__(self, graph: Graph, arrays: Arrays, device: torch.device, made: Mapping[str, str]) -> None:
        """`made` has the tensor that each layer's `emit` has returned, by the name that it was given."""
        self.graph, self.arrays, self.device, self.made = graph, arrays, device, made

    def real(self, name: str) -> Tensor:
        """(frames, clips, *shape), or a constant in its own shape."""
        tensor = self.graph.tensors[name]
        value = tensor.dequantize(self.arrays[name] if tensor.data is None else tensor.data)
        return torch.from_numpy(np.ascontiguousarray(value)).to(self.device)

    def map(self, name: str) -> Tensor:
        """(1, 1, bins, channels) of every frame as (clips, channels, frames, bins); (1, classes) have one channel."""
        value = self.real(name)
        return value.permute(1, 2, 0, 3) if value.ndim == 4 else value[:, :, 0, 0].permute(1, 3, 0, 2)

    def before(self, state: str) -> Tensor:
        """A state before the first frame, (clips, channels, frames, bins)."""
        return self.real(self.graph.inputs[state])[0, :, 0].permute(0, 3, 1, 2)

    def after(self, state: str) -> Tensor:
        """The same after the last frame."""
        return self.real(self.graph.outputs[state])[-1, :, 0].permute(0, 3, 1, 2)

    def rows(self, names: list[str]) -> Tensor:
        """(rows, width) of every frame and group as (frames, groups, clips * rows, width)."""
        return torch.stack([self.real(name).flatten(1, 2) for name in names], dim=1)

    def replace(self, y: Tensor, name: str) -> Tensor:
        """The quantized map for the float one, with the gradient of clipping to the range."""
        return Straight.apply(self.clipped(y, name), self.map(name))

    def replace_rows(self, y: Tensor, names: list[str]) -> Tensor:
        """The same of rows; groups have scales of their own."""
        parts = [self.clipped(part, name) for part, name in zip(y.unbind(1), names, strict=True)]
        return Straight.apply(torch.stack(parts, dim=1), self.rows(names))

    def clipped(self, y: Tensor, name: str) -> Tensor:
        """`y` within the range of a tensor, half a step beyond its ends included."""
        tensor = self.graph.tensors[name]
        limits, scale = np.iinfo(tensor.dtype), float(tensor.scale)
        low, high = (scale * (end - tensor.zero_point) for end in (limits.min - 0.5, limits.max + 0.5))
        return y.clamp(low, high)

    def constant(self, weight: Tensor, name: str, layout: Any = None) -> Tensor:
        """The quantized constant, in the layout of `weight`, with its gradient; `layout` brings it there."""
        exact = self.real(name)
        return Straight.apply(weight, layout(exact) if layout else exact)


@contextmanager
def as_exported(layer: nn.Module) -> Iterator[None]:
    """Normalizations use the statistics that they have, and leave them as they are."""
    training = layer.training
    layer.eval()
    try:
        yield
    finally:
        layer.train(training)


def replayed(layer: nn.Module, values: Values, name: str, *inputs: Tensor) -> Any:
    """What the operators that `layer` has emitted have computed, with the gradient of its forward pass: `y`, or, of a layer
    with a state, `y` and the float layer's next state."""
    with as_exported(layer):
        result = layer(*inputs)
    if isinstance(result, tuple):
        return values.replace(result[0], values.made[name]), result[1]
    return values.replace(result, values.made[name])
