"""The networks: causal convolutions down over the bins and GRUs, followed by what the task asks for.

A denoiser goes up again by convolutions with added skips to a mask, the family of CRUSE (arXiv 2101.09249); a tagger
(`tinyse.models.classifier`) has a layer for its classes. Operators are chosen for the device (docs/explanation/design.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from tinyse.graph.graph import Graph
from tinyse.models.architecture import Architecture
from tinyse.models.layers import CausalConvolution, GroupedGRU, SharedGRU, StreamingLayer, UpsamplingConvolution
from tinyse.models.wiring import GraphRunner, Runner, TorchRunner, V

State = dict[str, Tensor]


class Encoder(nn.Module):
    """What every network begins with: features (batch, frames, bands) to the output of the bottleneck's GRUs.

    Blocks are named `encoder_1` ..., `shared_gru_N` (after encoder block N) and `gru`. A network adds its own blocks and
    says in `wire` what follows what; from that come both its forward pass and the exported step.
    """

    task: str
    """What its model file names."""
    result: ClassVar[str]
    """Name of the step's output."""

    def __init__(self, architecture: Architecture, bands: int) -> None:
        super().__init__()
        architecture.check_bands(bands)
        self.architecture, self.bands = architecture, bands
        channels = (1, *architecture.channels)
        self.blocks: Any = nn.ModuleDict()  # its items are our blocks, with `emit`
        bins = bands
        for level in range(1, architecture.depth + 1):
            self.blocks[f"encoder_{level}"] = CausalConvolution(channels[level - 1], channels[level], bins)
            bins //= 2
            if level in architecture.shared_gru:
                self.blocks[f"shared_gru_{level}"] = SharedGRU(channels[level], bins)
        self.blocks["gru"] = GroupedGRU(architecture.groups, channels[-1], bins)

    @property
    def _streaming(self) -> dict[str, StreamingLayer]:
        return {name: block for name, block in self.blocks.items() if isinstance(block, StreamingLayer)}

    @property
    def state_shapes(self) -> dict[str, tuple[int, int]]:
        """(channels, bins) of each state, by the name of its block, in the order of the blocks."""
        return {name: block.state_shape for name, block in self._streaming.items()}

    def initial_state(self, batch: int = 1) -> State:
        """Silence: the initial state of every block that has one."""
        return {name: block.initial_state(batch) for name, block in self._streaming.items()}

    def facts(self) -> dict[str, Any]:
        """What a model file says of the network beside its architecture: JSON-able."""
        return {}

    def wire(self, run: Runner[V], x: V, states: Mapping[str, V]) -> tuple[V, dict[str, V]]:
        """The whole step, in terms of any runner: features and states to the result and the next states."""
        raise NotImplementedError

    def encode(self, run: Runner[V], x: V, states: Mapping[str, V]) -> tuple[V, list[V], dict[str, V]]:
        """The part of `wire` that all networks share: output of the GRUs, each level's skip, and the next states."""
        following: dict[str, V] = {}
        skips = []
        for level in range(1, self.architecture.depth + 1):
            for name in (f"encoder_{level}", f"shared_gru_{level}"):
                if name in self.blocks:
                    x, following[name] = run.streaming_layer(name, x, states[name])
            skips.append(x)
        x, following["gru"] = run.streaming_layer("gru", x, states["gru"])
        return x, skips, following

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of any number of frames: the result is (batch, frames, values)."""
        result, following = self.wire(TorchRunner(self.blocks), features[:, None], state)
        return result[:, 0], following

    def emit(self, name: str = "step") -> Graph:
        """One frame's step as a graph of float operators. The network's normalizations use their running statistics."""
        graph = Graph(name)
        features = graph.add_input("features", (1, 1, self.bands, 1))
        states = {key: graph.add_input(key, (1, 1, bins, c)) for key, (c, bins) in self.state_shapes.items()}
        result, following = self.wire(GraphRunner(self.blocks, graph), features, states)
        graph.add_output(self.result, result)
        for key in states:
            graph.add_output(key, following[key])
        return graph


class MaskNetwork(Encoder):
    """Features (batch, frames, bands) and a state to a mask (batch, frames, bands) in (0, 1) and the next state.

    After the encoder come `decoder_N` ... `decoder_1`.
    """

    task = "denoise"
    result = "mask"

    def __init__(self, architecture: Architecture, bands: int = 128) -> None:
        super().__init__(architecture, bands)
        channels = (1, *architecture.channels)
        for level in range(architecture.depth, 0, -1):
            self.blocks[f"decoder_{level}"] = UpsamplingConvolution(
                channels[level], channels[level - 1], last=level == 1
            )

    def wire(self, run: Runner[V], x: V, states: Mapping[str, V]) -> tuple[V, dict[str, V]]:
        x, skips, following = self.encode(run, x, states)
        for level in range(self.architecture.depth, 0, -1):
            x = run.layer(f"decoder_{level}", run.add(f"decoder_{level}/skip", x, skips[level - 1]))
        return run.sigmoid("mask", x), following


def parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in network.parameters())
