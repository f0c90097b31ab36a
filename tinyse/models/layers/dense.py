"""Layers that see all bins of a frame at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tinyse.graph.graph import Graph
from tinyse.models.layers.activations import Activation
from tinyse.models.layers.layer import Layer, array, folded


class BinMixing(Layer):
    """Every channel's bins by one matrix (bins, bins), a ReLU, then every bin's channels by one (channels, channels).

    It stands for the recurrence along frequency of dual-path networks: two matrices, as in an MLP-Mixer (Tolstikhin
    et al. 2021). Batch normalization and `activation` follow; the layer keeps the shape, so it can be added to its input.
    """

    def __init__(self, channels: int, bins: int, activation: str = "none") -> None:
        super().__init__()
        self.channels, self.bins = channels, bins
        # The bins are the channels of a convolution, which is how it is exported.
        self.across_bins = nn.Conv2d(bins, bins, 1)
        self.across_channels = nn.Conv2d(channels, channels, 1, bias=False)
        self.normalization = nn.BatchNorm2d(channels)
        self.activation = Activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames, bins) -> the same."""
        mixed = torch.relu(self.across_bins(x.transpose(1, 3))).transpose(1, 3)
        return self.activation(self.normalization(self.across_channels(mixed)))

    def emit(self, graph: Graph, name: str, x: str) -> str:
        """Two convolutions, whose kernels reach over all bins and over all channels: each of them transposes on its way.

        (1, 1, bins, channels), read as an image of one channel, becomes (1, 1, channels, bins), and that the other way round.
        """
        bins, channels = self.bins, self.channels
        image = graph.reshape(f"{name}/bins", x, (1, bins, channels, 1))
        weights, bias = map(array, folded(self.across_bins, None))
        turned = graph.convolution(
            f"{name}/across_bins", image, weights.reshape(bins, bins, 1, 1), bias, activation="RELU"
        )
        image = graph.reshape(f"{name}/channels", turned, (1, channels, bins, 1))
        weights, bias = map(array, folded(self.across_channels, self.normalization))
        kernel = weights.reshape(channels, channels, 1, 1)
        return self.activation.emit_after(
            graph, name, lambda y, activation: graph.convolution(y, image, kernel, bias, activation=activation)
        )


class Classifier(Layer):
    """A logit for each class from all channels and bins of a frame."""

    def __init__(self, channels: int, bins: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels * bins, classes)
        # Most classes are absent from most clips: beginning there saves the updates that learn it.
        nn.init.constant_(self.linear.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames, bins) -> (batch, 1, frames, classes)."""
        # Bins first, channels within a bin: the order of the exported (1, 1, bins, channels).
        return self.linear(x.permute(0, 2, 3, 1).flatten(2))[:, None]

    def emit(self, graph: Graph, name: str, x: str) -> str:
        """A RESHAPE that moves nothing and a FULLY_CONNECTED: (1, classes)."""
        row = graph.reshape(f"{name}/row", x, (1, self.linear.in_features))
        return graph.fully_connected(name, row, array(self.linear.weight), array(self.linear.bias))
