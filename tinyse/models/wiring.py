"""Ways to run a network's wiring: on tensors, and on the names of a graph's values.

A network says once, in `wire`, which block follows which. What a value is, and what a block does with it, is up to the
runner: `TorchRunner` computes, `GraphRunner` appends operators, and `tinyse.models.quantized.IntegerRunner` replays what
the exported quantized step has computed. All three see the same names, which are the names of the exported
operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from tinyse.graph.graph import Graph

V = TypeVar("V")
"""What a runner's values are: tensors (batch, channels, frames, bins), or names of tensors of a graph."""


class Runner(Protocol[V]):
    """What `wire` may ask for. `name` is that of a block, or of the value that an operator outside of blocks makes."""

    def layer(self, name: str, x: V) -> V:
        """A block without state."""
        ...

    def streaming_layer(self, name: str, x: V, state: V) -> tuple[V, V]:
        """A block with state: its output and its next state."""
        ...

    def add(self, name: str, a: V, b: V) -> V:
        """The sum of two values of one shape."""
        ...

    def sigmoid(self, name: str, x: V) -> V:
        """The logistic function of each value."""
        ...


class TorchRunner:
    """On tensors, with gradients."""

    def __init__(self, blocks: Mapping[str, Any]) -> None:
        self.blocks = blocks

    def layer(self, name: str, x: Tensor) -> Tensor:
        return self.blocks[name](x)

    def streaming_layer(self, name: str, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.blocks[name](x, state)

    def add(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def sigmoid(self, name: str, x: Tensor) -> Tensor:
        return torch.sigmoid(x.float())


class GraphRunner:
    """On names of a graph's tensors: every call appends operators."""

    def __init__(self, blocks: Mapping[str, Any], graph: Graph) -> None:
        self.blocks, self.graph = blocks, graph

    def layer(self, name: str, x: str) -> str:
        return self.blocks[name].emit(self.graph, f"{name}/step", x)

    def streaming_layer(self, name: str, x: str, state: str) -> tuple[str, str]:
        return self.blocks[name].emit(self.graph, f"{name}/step", x, state)

    def add(self, name: str, a: str, b: str) -> str:
        return self.graph.binary("ADD", name, a, b)

    def sigmoid(self, name: str, x: str) -> str:
        return self.graph.unary("LOGISTIC", name, x)
