"""A branch that waits for another one, which has seen later frames."""

from __future__ import annotations

import torch
from torch import Tensor

from tinyse.graph.graph import Graph
from tinyse.models.layers.layer import StreamingLayer, keep


class Delay(StreamingLayer):
    """Every frame, `frames` later. It has no weights.

    With `front_end.look_ahead`, the network's output is for the frame before. A convolution that sees the present frame
    looks ahead then, and a skip around it that is delayed by one meets the frame that it belongs to.
    """

    def __init__(self, channels: int, bins: int, frames: int = 1) -> None:
        super().__init__()
        self.state_shape = (channels, frames, bins)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`state`: the frames that wait."""
        stream = torch.cat([state.to(x.dtype), x], dim=2)
        return stream[:, :, : x.shape[2]], stream[:, :, x.shape[2] :]

    def emit(self, graph: Graph, name: str, x: str, state: str) -> tuple[str, str]:
        """The oldest frame of the state, a view of it."""
        y = graph.slice(name, state, 1, 0, 1)
        return y, keep(graph, name, x, state)
