"""Ways to run a network's wiring: on tensors, and on the names of a graph's values.

A network says once, in `wire`, which block follows which. What a value is, and what a block does with it, is up to the
runner: `TorchRunner` computes, `GraphRunner` appends operators, and `tinyse.models.quantized.QuantizedRunner` replays what
the exported quantized step has computed. All three see the same names, which are the names of the exported
operators. A runner holds the states: the block of a name takes its own, and leaves the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from tinyse.errors import InputError
from tinyse.graph.graph import Graph

V = TypeVar("V")
"""What a runner's values are: tensors (batch, channels, frames, bins), or names of tensors of a graph."""


class Runner(Protocol[V]):
    """What `wire` may ask for. `name` is that of a block, or of the value that an operator outside of blocks makes."""

    def layer(self, name: str, x: V) -> V:
        """What the block of that name makes of a value, and of its state where it has one."""
        ...

    def add(self, name: str, a: V, b: V) -> V:
        """The sum of two values of one shape."""
        ...

    def sigmoid(self, name: str, x: V) -> V:
        """The logistic function of each value."""
        ...


class TorchRunner:
    """Runs the wiring on tensors, with gradients."""

    def __init__(self, blocks: Mapping[str, Any], states: Mapping[str, Tensor]) -> None:
        self.blocks, self.states = blocks, states
        self.following: dict[str, Tensor] = {}
        """The next state of each block that has one."""

    def layer(self, name: str, x: Tensor) -> Tensor:
        if name not in self.states:
            return self.blocks[name](x)
        y, self.following[name] = self.blocks[name](x, self.states[name])
        return y

    def add(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def sigmoid(self, name: str, x: Tensor) -> Tensor:
        return torch.sigmoid(x.float())


class GraphRunner:
    """Runs the wiring on names of a graph's tensors: every call appends operators."""

    def __init__(self, blocks: Mapping[str, Any], states: Mapping[str, str], graph: Graph) -> None:
        self.blocks, self.states, self.graph = blocks, states, graph
        self.following: dict[str, str] = {}
        self.made: dict[str, str] = {}
        """The tensor that each block gives, in the order in which they run."""

    def layer(self, name: str, x: str) -> str:
        if name in self.made:
            raise InputError(f"wire runs block {name!r} twice: a second place needs a block of its own")
        block, place = self.blocks[name], f"{name}/step"
        if name in self.states:
            self.made[name], self.following[name] = block.emit(self.graph, place, x, self.states[name])
        else:
            self.made[name] = block.emit(self.graph, place, x)
        return self.made[name]

    def add(self, name: str, a: str, b: str) -> str:
        return self.graph.binary("ADD", name, a, b)

    def sigmoid(self, name: str, x: str) -> str:
        return self.graph.unary("LOGISTIC", name, x)
