"""The networks: causal convolutions down over the bins and GRUs, and behind them what the task asks for.

A denoiser goes up again by convolutions with added skips to a mask, the family of CRUSE (arXiv 2101.09249); a tagger
(`tinyse.models.tagger`) has a layer for its classes. Operators are chosen for the device (docs/design.md).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tinyse.integers.graph import Graph
from tinyse.models.architecture import Architecture
from tinyse.models.layers import CausalConvolution, GroupedGRU, SharedGRU, UpsamplingConvolution

State = dict[str, Tensor]


class Encoder(nn.Module):
    """What every network begins with: features (batch, frames, bands) to the output of the bottleneck's GRUs.

    Blocks are named `encoder_1` ..., `shared_gru_N` (behind encoder block N) and `gru`; the states carry the name of the
    block that they belong to.
    """

    task: ClassVar[str]
    """What its model file names."""

    def __init__(self, architecture: Architecture, bands: int) -> None:
        super().__init__()
        architecture.check_bands(bands)
        self.architecture, self.bands = architecture, bands
        channels = (1, *architecture.channels)
        self.blocks: Any = nn.ModuleDict()  # its items are our blocks, with `emit`
        self.state_shapes: dict[str, tuple[int, int]] = {}
        """(channels, bins) of each state, in the order of the blocks."""
        bins = bands
        for level in range(1, architecture.depth + 1):
            self.state_shapes[f"encoder_{level}"] = (channels[level - 1], bins)
            self.blocks[f"encoder_{level}"] = CausalConvolution(channels[level - 1], channels[level])
            bins //= 2
            if level in architecture.shared_gru:
                self.state_shapes[f"shared_gru_{level}"] = (channels[level], bins)
                self.blocks[f"shared_gru_{level}"] = SharedGRU(channels[level])
        self.state_shapes["gru"] = (channels[-1], bins)
        self.blocks["gru"] = GroupedGRU(architecture.groups, channels[-1], bins)

    def initial_state(self, batch: int = 1) -> State:
        """Silence: all states zero, each (batch, channels, 1, bins)."""
        device = next(self.parameters()).device
        return {name: torch.zeros(batch, c, 1, bins, device=device) for name, (c, bins) in self.state_shapes.items()}

    def encode(self, features: Tensor, state: State) -> tuple[Tensor, list[Tensor], State]:
        """Output of the GRUs (batch, channels, frames, bins), what each level hands on to a skip, and the next state."""
        x = features[:, None]
        following: State = {}
        skips = []
        for level in range(1, self.architecture.depth + 1):
            for name in (f"encoder_{level}", f"shared_gru_{level}"):
                if name in self.blocks:
                    x, following[name] = self.blocks[name](x, state[name])
            skips.append(x)
        x, following["gru"] = self.blocks["gru"](x, state["gru"])
        return x, skips, following

    def emit_encoder(self, graph: Graph) -> tuple[str, list[str], dict[str, str]]:
        """`encode` as operators, the inputs of the signature declared: the same three, as names."""
        x = graph.add_input("features", (1, 1, self.bands, 1))
        states = {key: graph.add_input(key, (1, 1, bins, c)) for key, (c, bins) in self.state_shapes.items()}
        following: dict[str, str] = {}
        skips = []
        for level in range(1, self.architecture.depth + 1):
            for key in (f"encoder_{level}", f"shared_gru_{level}"):
                if key in self.blocks:
                    x, following[key] = self.blocks[key].emit(graph, f"{key}/step", x, states[key])
            skips.append(x)
        x, following["gru"] = self.blocks["gru"].emit(graph, "gru/step", x, states["gru"])
        return x, skips, {key: following[key] for key in states}

    def emit(self, name: str = "step") -> Graph:
        """One frame's step as a graph of float operators. The network's normalisations use their running statistics."""
        raise NotImplementedError


class MaskNetwork(Encoder):
    """Features (batch, frames, bands) and a state to a mask (batch, frames, bands) in (0, 1) and the next state.

    Behind the encoder come `decoder_N` ... `decoder_1`.
    """

    task = "denoise"

    def __init__(self, architecture: Architecture, bands: int = 128) -> None:
        super().__init__(architecture, bands)
        channels = (1, *architecture.channels)
        for level in range(architecture.depth, 0, -1):
            self.blocks[f"decoder_{level}"] = UpsamplingConvolution(
                channels[level], channels[level - 1], last=level == 1
            )

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of any number of frames."""
        x, skips, following = self.encode(features, state)
        for level in range(self.architecture.depth, 0, -1):
            x = self.blocks[f"decoder_{level}"](x + skips[level - 1])
        return torch.sigmoid(x[:, 0].float()), following

    def emit(self, name: str = "step") -> Graph:
        """`mask` (1, 1, bands, 1) of one frame."""
        graph = Graph(name)
        x, skips, following = self.emit_encoder(graph)
        for level in range(self.architecture.depth, 0, -1):
            x = graph.binary("ADD", f"decoder_{level}/skip", x, skips[level - 1])
            x = self.blocks[f"decoder_{level}"].emit(graph, f"decoder_{level}/step", x)
        graph.add_output("mask", graph.unary("LOGISTIC", "mask", x))
        for key, value in following.items():
            graph.add_output(key, value)
        return graph


def parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in network.parameters())
