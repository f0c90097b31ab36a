"""What a network is, and the family of them that comes with tinyse.

In the family, causal convolutions go down over the bins to GRUs, followed by what the task asks for. A denoiser goes up
again by convolutions with added skips to a mask, the family of CRUSE (arXiv 2101.09249); a tagger
(`tinyse.models.classifier`) has a layer for its classes. Operators are chosen for the device (docs/explanation/design.md).
A network of any other form is another subclass of `Network` (docs/tutorials/own-network.md).
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from tinyse.graph.graph import Graph
from tinyse.models.architecture import Architecture, OwnNetwork
from tinyse.models.layers import CausalConvolution, GroupedGRU, SharedGRU, StreamingLayer, UpsamplingConvolution
from tinyse.models.wiring import GraphRunner, Runner, TorchRunner, V

State = dict[str, Tensor]


class Network(nn.Module):
    """What every network is: features (batch, frames, bands) to a result of each frame, by named blocks and their states.

    A network makes its blocks in `__init__`, each under a name in `blocks`, and says in `wire` what follows what; from that
    come its forward pass, the exported step and quantization-aware training. A block is a layer of
    `tinyse.models.layers` or one of your own: a `Layer`, with `forward(x)` and `emit(graph, name, x)`, or a
    `StreamingLayer`.
    """

    task: str = "denoise"
    """What its model file names."""
    result: ClassVar[str] = "mask"
    """Name of the step's output: a denoiser's mask (batch, frames, bands), or the `tags` (batch, frames, classes) of a
    network that listens."""
    classes: tuple[str, ...] = ()
    """What each tag of a network that listens stands for."""
    architecture: Architecture | OwnNetwork
    """What a recipe and a model file call it: set by what makes the network (`tinyse.models.making`)."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.bands = bands
        self.blocks: Any = nn.ModuleDict()  # its items are our blocks, with `emit`

    def wire(self, run: Runner[V], x: V) -> V:
        """The whole step, in terms of any runner: features (batch, 1, frames, bands) to the result."""
        raise NotImplementedError

    @property
    def _streaming(self) -> dict[str, StreamingLayer]:
        return {name: block for name, block in self.blocks.items() if isinstance(block, StreamingLayer)}

    @property
    def state_shapes(self) -> dict[str, tuple[int, int, int]]:
        """(channels, frames, bins) of each state, by the name of its block, in the order of the blocks."""
        return {name: block.state_shape for name, block in self._streaming.items()}

    def initial_state(self, batch: int = 1) -> State:
        """Silence: the initial state of every block that has one."""
        return {name: block.initial_state(batch) for name, block in self._streaming.items()}

    def facts(self) -> dict[str, Any]:
        """What a model file says of the network beside its architecture: JSON-able."""
        return {"classes": list(self.classes)} if self.classes else {}

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of any number of frames: the result is (batch, frames, values)."""
        run = TorchRunner(self.blocks, state)
        return self.wire(run, features[:, None])[:, 0], run.following

    def emit(self, name: str = "step") -> Graph:
        """One frame's step as a graph of float operators. The network's normalizations use their running statistics."""
        return self.emitted(name).graph

    def emitted(self, name: str = "step") -> GraphRunner:
        """`emit`, with the names of what each block gives."""
        graph = Graph(name)
        features = graph.add_input("features", (1, 1, self.bands, 1))
        shapes = self.state_shapes.items()
        states = {key: graph.add_input(key, (1, frames, bins, c)) for key, (c, frames, bins) in shapes}
        run = GraphRunner(self.blocks, states, graph)
        graph.add_output(self.result, self.wire(run, features))
        for key in states:
            graph.add_output(key, run.following[key])
        return run


class Encoder(Network):
    """What every network of our family begins with: features to the output of the bottleneck's GRUs.

    Blocks are named `encoder_1` ..., `shared_gru_N` (after encoder block N) and `gru`.
    """

    architecture: Architecture

    def __init__(self, architecture: Architecture, bands: int) -> None:
        super().__init__(bands)
        architecture.check_bands(bands)
        self.architecture = architecture
        channels = (1, *architecture.channels)
        bins = bands
        for level in range(1, architecture.depth + 1):
            self.blocks[f"encoder_{level}"] = CausalConvolution(channels[level - 1], channels[level], bins)
            bins //= 2
            if level in architecture.shared_gru:
                self.blocks[f"shared_gru_{level}"] = SharedGRU(channels[level], bins)
        self.blocks["gru"] = GroupedGRU(architecture.groups, channels[-1], bins)

    def encode(self, run: Runner[V], x: V) -> tuple[V, list[V]]:
        """The part of `wire` that all of them share: output of the GRUs and each level's skip."""
        skips = []
        for level in range(1, self.architecture.depth + 1):
            for name in (f"encoder_{level}", f"shared_gru_{level}"):
                if name in self.blocks:
                    x = run.layer(name, x)
            skips.append(x)
        return run.layer("gru", x), skips


class MaskNetwork(Encoder):
    """Features (batch, frames, bands) and a state to a mask (batch, frames, bands) in (0, 1) and the next state.

    After the encoder come `decoder_N` ... `decoder_1`.
    """

    def __init__(self, architecture: Architecture, bands: int = 128) -> None:
        super().__init__(architecture, bands)
        channels = (1, *architecture.channels)
        for level in range(architecture.depth, 0, -1):
            self.blocks[f"decoder_{level}"] = UpsamplingConvolution(
                channels[level], channels[level - 1], last=level == 1
            )

    def wire(self, run: Runner[V], x: V) -> V:
        x, skips = self.encode(run, x)
        for level in range(self.architecture.depth, 0, -1):
            x = run.layer(f"decoder_{level}", run.add(f"decoder_{level}/skip", x, skips[level - 1]))
        return run.sigmoid("mask", x)


def parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in network.parameters())
