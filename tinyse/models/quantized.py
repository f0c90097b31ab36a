"""A network whose forward pass is that of the exported quantized graph, and whose backward pass is that of the float network.

The forward pass quantizes the present weights exactly as export does, runs the integer reference over the whole clips,
and puts its values, in real units, in the place of each float layer's: what is trained is what is shipped, bit for bit,
states included. The gradient goes straight through every rounding (Bengio et al. 2013), and is zero where a value lies
beyond its range. Normalizations are folded with the statistics they have, as in the exported weights. The
quantized graph runs in numpy, on the CPU whatever the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tinyse.graph.graph import Graph
from tinyse.graph.sequence import Arrays, Sequence
from tinyse.models.network import Network, State
from tinyse.models.replay import Straight, Values, replayed
from tinyse.models.wiring import Runner, V
from tinyse.quantization.quantize import quantize
from tinyse.quantization.trained import TrainedQparams


class QuantizedNetwork(Network):
    """Any network with fixed quantization parameters: its blocks, its wiring, its weights' names."""

    def __init__(self, network: Network, qparams: TrainedQparams) -> None:
        """It takes over the blocks of `network`, which is the same weights in float."""
        super().__init__(network.bands)
        self.blocks, self.qparams = network.blocks, qparams
        self._float = (network,)  # in a tuple, where torch does not look for weights: they would be there twice
        self.architecture, self.task, self.classes = network.architecture, network.task, network.classes
        self.result = network.result  # type: ignore[misc]

    def wire(self, run: Runner[V], x: V) -> V:
        return self._float[0].wire(run, x)

    def exported(self) -> Graph:
        """The step that would be exported now."""
        return self._quantized(self.emit())

    def _quantized(self, graph: Graph) -> Graph:
        return quantize(graph, None, self.qparams.precision, self.qparams.qparams)

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """As the float network's. Features and states that are not quantized are rounded first."""
        with torch.autocast(features.device.type, enabled=False):
            return self._forward(features.float(), state)

    def _forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        emitted = self.emitted()
        graph = self._quantized(emitted.graph)
        made = {f"{name}/step": tensor for name, tensor in emitted.made.items()}
        values = Values(graph, _run(graph, features, state), features.device, made)
        run = QuantizedRunner(self.blocks, {name: values.before(name) for name in self.state_shapes}, values)
        return self.wire(run, values.map("features"))[:, 0], run.following


class QuantizedRunner:
    """Runs the wiring on tensors with the values of the quantized graph and the gradients of the float network."""

    def __init__(self, blocks: Mapping[str, Any], states: Mapping[str, Tensor], values: Values) -> None:
        self.blocks, self.states, self.values = blocks, states, values
        self.following: dict[str, Tensor] = {}

    def layer(self, name: str, x: Tensor) -> Tensor:
        block, place = self.blocks[name], f"{name}/step"
        if name not in self.states:
            return _replay(block)(self.values, place, x)
        y, following = _replay(block)(self.values, place, x, self.states[name])
        self.following[name] = Straight.apply(following, self.values.after(name))
        return y

    def add(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        return self.values.replace(a + b, name)

    def sigmoid(self, name: str, x: Tensor) -> Tensor:
        return self.values.replace(torch.sigmoid(x), name)


def _replay(block: Any) -> Any:
    """A user's own module needs no more than forward and emit."""
    return getattr(block, "replay", partial(replayed, block))


def _run(graph: Graph, features: Tensor, state: State) -> Arrays:
    """The integer step over (clips, frames, bands) from (clips, channels, frames, bins) states."""

    def quantized(value: Tensor, name: str) -> np.ndarray:
        return graph.tensors[name].quantize(value.detach().cpu().numpy())

    inputs = {"features": quantized(features.transpose(0, 1)[:, :, None, None, :, None], graph.inputs["features"])}
    states = {name: quantized(value.permute(0, 2, 3, 1)[:, None], graph.inputs[name]) for name, value in state.items()}
    return Sequence(graph)(inputs, states)
