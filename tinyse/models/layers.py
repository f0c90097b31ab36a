"""Streaming layers: `layer(x, state) -> (y, state)` on activations (batch, channels, frames, bins).

A clip is one call with many frames, a stream one call per frame; the state carries what lies in between. Every state is
one frame of an activation, (batch, channels, 1, bins): the last input of a convolution, the last output of a GRU. All
start from zero.

Each layer also emits itself as operators of an exported step (`emit`), with its normalization folded into weights; the
layout there is (1, 1, bins, channels).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinyse.graph.graph import Graph
from tinyse.models.recurrence import Recurrence


class StreamingLayer(nn.Module):
    """A layer with a state, of which it says itself what it looks like."""

    state_shape: tuple[int, int]
    """(channels, bins)."""

    def initial_state(self, batch: int = 1) -> Tensor:
        """Silence: zeros (batch, channels, 1, bins) on the layer's device."""
        channels, bins = self.state_shape
        return torch.zeros(batch, channels, 1, bins, device=next(self.parameters()).device)


class CausalConvolution(StreamingLayer):
    """Kernel (2, 3) over (frames, bins), halving the bins; batch normalization; ReLU.

    It sees the frame before and the present one. The last bin is padded with zero: at an even number of bins that is
    SAME padding at stride 2, so the exported convolution needs no PAD.
    """

    def __init__(self, inputs: int, outputs: int, bins: int) -> None:
        """`bins` are those of its input."""
        super().__init__()
        self.state_shape = (inputs, bins)
        self.convolution = nn.Conv2d(inputs, outputs, (2, 3), stride=(1, 2), bias=False)
        self.normalization = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`state`: the last frame of x that was seen."""
        stream = torch.cat([state.to(x.dtype), x], dim=2)
        y = self.convolution(functional.pad(stream, (0, 1)))
        return torch.relu(self.normalization(y)), stream[:, :, -1:]

    def emit(self, graph: Graph, name: str, x: str, state: str) -> tuple[str, str]:
        """Past and present frame on the channel axis, then a (1, 3) convolution. Returns output and next state."""
        weights, bias = map(_numpy, folded(self.convolution, self.normalization))
        # (out, in, 2, 3) -> (out, 1, 3, 2 * in): the past frame's channels come first, as in the concatenation.
        kernel = weights.transpose(0, 2, 3, 1).transpose(0, 2, 1, 3).reshape(len(bias), 1, 3, -1)
        both = graph.concatenation(f"{name}/past_and_present", [state, x], axis=3)
        y = graph.convolution(name, both, kernel, bias, stride=2, activation="RELU")
        # A step's input cannot also be its output: it is copied.
        return y, graph.reshape(f"{name}/present", x, graph.shape(x)) if x in graph.inputs.values() else x


class UpsamplingConvolution(nn.Module):
    """Kernel 3 over bins, doubling the bins: two filters for each channel, one for even bins and one for odd ones.

    The sub-pixel convolution of Shi et al. 2016 in one dimension. Exported, the interleaving is a RESHAPE that moves
    nothing, and every kernel on the device is a plain convolution.
    """

    def __init__(self, inputs: int, outputs: int, last: bool = False) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, 2 * outputs, (1, 3), padding=(0, 1), bias=last)
        self.normalization = None if last else nn.BatchNorm2d(2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, frames, bins) -> (batch, outputs, frames, 2 * bins); the last layer is linear."""
        y = self.convolution(x)
        if self.normalization is not None:
            y = torch.relu(self.normalization(y))
        return self.interleave(y)

    @staticmethod
    def interleave(y: Tensor) -> Tensor:
        """(batch, 2 * outputs, frames, bins) -> (batch, outputs, frames, 2 * bins)."""
        batch, channels, frames, bins = y.shape
        y = y.view(batch, 2, channels // 2, frames, bins)
        return y.permute(0, 2, 3, 4, 1).reshape(batch, channels // 2, frames, 2 * bins)

    def emit(self, graph: Graph, name: str, x: str) -> str:
        """A (1, 3) convolution and a RESHAPE."""
        weights, bias = map(_numpy, folded(self.convolution, self.normalization))
        activation = "NONE" if self.normalization is None else "RELU"
        y = graph.convolution(f"{name}/pairs", x, weights.transpose(0, 2, 3, 1), bias, activation=activation)
        _, _, bins, channels = graph.shape(y)
        return graph.reshape(name, y, (1, 1, 2 * bins, channels // 2))


class GatedRecurrence(StreamingLayer):
    """Parallel gated recurrent units of equal size, each as wide as its input (Cho et al. 2014, as in torch.nn.GRU).

    r, z = sigmoid(W x + U h), n = tanh(W x + r * (U h + b)), h = n + z * (h - n). Groups share no weights and run in one call.
    """

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.groups, self.width = groups, width
        self.input_weight = nn.Parameter(torch.empty(groups, 3 * width, width).uniform_(-bound, bound))
        self.state_weight = nn.Parameter(torch.empty(groups, 3 * width, width).uniform_(-bound, bound))
        self.input_bias = nn.Parameter(torch.zeros(groups, 3 * width, 1))
        self.state_bias = nn.Parameter(torch.zeros(groups, 3 * width, 1))

    def rows(self, value: Tensor) -> Tensor:
        """(batch, channels, frames, bins) -> (frames, groups, rows, width), as `recur` takes it."""
        raise NotImplementedError

    def maps(self, rows: Tensor, like: Tensor) -> Tensor:
        """The way back, to the shape of `like`."""
        raise NotImplementedError

    def recur(self, x: Tensor, h: Tensor) -> Tensor:
        """x (frames, groups, rows, width), h (groups, rows, width) -> all h, shaped as x. The recurrence is float32."""
        from_input = projected(x, self.input_weight, self.input_bias)
        with torch.autocast(x.device.type, enabled=False):
            return Recurrence.apply(from_input, h.float(), self.state_weight, self.state_bias.transpose(1, 2))

    def emit_unit(self, graph: Graph, name: str, x: str, h: str, group: int) -> str:
        """One unit on rows (rows, width); returns the name of the new h."""
        arrays = [_numpy(p)[group] for p in (self.input_weight, self.state_weight, self.input_bias, self.state_bias)]
        input_weight, state_weight, input_bias, state_bias = arrays
        gates = graph.fully_connected(f"{name}/from_input", x, input_weight, input_bias[:, 0])
        state = graph.fully_connected(f"{name}/from_state", h, state_weight, state_bias[:, 0])
        parts = ("reset", "update", "new")
        gate_parts = graph.split([f"{name}/input_{part}" for part in parts], gates, axis=1)
        state_parts = graph.split([f"{name}/state_{part}" for part in parts], state, axis=1)
        sums = [graph.binary("ADD", f"{name}/{parts[i]}_sum", gate_parts[i], state_parts[i]) for i in range(2)]
        reset, update = (graph.unary("LOGISTIC", f"{name}/{parts[i]}", sums[i]) for i in range(2))
        remembered = graph.binary("MUL", f"{name}/remembered", reset, state_parts[2])
        new = graph.unary("TANH", f"{name}/new", graph.binary("ADD", f"{name}/new_sum", gate_parts[2], remembered))
        difference = graph.binary("SUB", f"{name}/difference", h, new)
        kept = graph.binary("MUL", f"{name}/kept", update, difference)
        return graph.binary("ADD", f"{name}/state", new, kept)


class GroupedGRU(GatedRecurrence):
    """Disconnected GRUs side by side, each over all bins of its own channels (the P parallel GRUs of CRUSE)."""

    def __init__(self, groups: int, channels: int, bins: int) -> None:
        if channels % groups:
            raise ValueError(f"{channels} channels do not split into {groups} equal groups")
        super().__init__(groups, channels // groups * bins)
        self.state_shape = (channels, bins)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`state`: the last output."""
        y = self.maps(self.recur(self.rows(x), self.rows(state)[0]), x)
        return y, y[:, :, -1:]

    def rows(self, value: Tensor) -> Tensor:
        """(batch, channels, frames, bins) -> (frames, groups, batch, width), as `recur` takes it."""
        batch, channels, _, bins = value.shape
        # Bins first and channels within a bin: the order of the exported (1, 1, bins, channels).
        split = value.view(batch, self.groups, channels // self.groups, -1, bins)
        return split.permute(3, 1, 0, 4, 2).reshape(-1, self.groups, batch, self.width)

    def maps(self, rows: Tensor, like: Tensor) -> Tensor:
        """The way back, to the shape of `like`."""
        batch, channels, frames, bins = like.shape
        y = rows.view(frames, self.groups, batch, bins, channels // self.groups)
        return y.permute(2, 1, 4, 0, 3).reshape(batch, channels, frames, bins)

    def emit(self, graph: Graph, name: str, x: str, state: str) -> tuple[str, str]:
        """SPLIT on the channel axis, one unit a group, CONCATENATION. Returns output and next state (the same)."""
        _, _, bins, channels = graph.shape(x)
        names = [f"{name}/{group}" if self.groups > 1 else name for group in range(self.groups)]
        shape = (1, 1, bins, channels // self.groups)

        def parts(value: str, label: str) -> list[str]:
            if self.groups == 1:
                return [value]
            return graph.split([f"{n}/{label}_part" for n in names], value, axis=3)

        outputs = []
        for group, (n, xs, hs) in enumerate(zip(names, parts(x, "input"), parts(state, "state"), strict=True)):
            x_row = graph.reshape(f"{n}/input_row", xs, (1, self.width))
            h_row = graph.reshape(f"{n}/state_row", hs, (1, self.width))
            outputs.append(graph.reshape(f"{n}/output", self.emit_unit(graph, n, x_row, h_row, group), shape))
        y = outputs[0] if self.groups == 1 else graph.concatenation(f"{name}/all", outputs, axis=3)
        return y, y


class SharedGRU(GatedRecurrence):
    """One small GRU that every bin runs for itself with the same weights, added to its input.

    Local memory at a cost of few weights: they are used once a bin (as the inter-frame path of dual-path networks).
    """

    def __init__(self, channels: int, bins: int) -> None:
        super().__init__(1, channels)
        self.state_shape = (channels, bins)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`state`: the last output of the recurrence, before x is added."""
        y = self.maps(self.recur(self.rows(x), self.rows(state)[0]), x)
        return x + y, y[:, :, -1:]

    def rows(self, value: Tensor) -> Tensor:
        """(batch, channels, frames, bins) -> (frames, 1, batch * bins, channels), as `recur` takes it."""
        batch, channels, _, bins = value.shape
        return value.permute(2, 0, 3, 1).reshape(-1, 1, batch * bins, channels)

    def maps(self, rows: Tensor, like: Tensor) -> Tensor:
        """The way back, to the shape of `like`."""
        batch, channels, frames, bins = like.shape
        return rows.view(frames, batch, bins, channels).permute(1, 3, 0, 2)

    def emit(self, graph: Graph, name: str, x: str, state: str) -> tuple[str, str]:
        """Bins are the rows of one unit. Returns output and next state."""
        _, _, bins, channels = graph.shape(x)
        x_rows = graph.reshape(f"{name}/input_rows", x, (bins, channels))
        h_rows = graph.reshape(f"{name}/state_rows", state, (bins, channels))
        h = graph.reshape(f"{name}/output", self.emit_unit(graph, name, x_rows, h_rows, 0), (1, 1, bins, channels))
        return graph.binary("ADD", f"{name}/sum", x, h), h


class Classifier(nn.Module):
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
        return graph.fully_connected(name, row, _numpy(self.linear.weight), _numpy(self.linear.bias))


def projected(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (frames, groups, rows, width), weight (groups, out, width), bias (groups, out, 1) -> (frames, groups, rows, out).

    float32. One product per group for all frames: a product per frame, of a few rows each, is far slower on a CPU.
    """
    frames, groups, rows, width = x.shape
    product = x.transpose(0, 1).reshape(groups, frames * rows, width) @ weight.transpose(1, 2)
    return product.view(groups, frames, rows, -1).transpose(0, 1).float() + bias.transpose(1, 2)


def folded(
    convolution: nn.Conv2d, normalization: nn.BatchNorm2d | None, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Weights (out, in, frames, bins) and bias (out,) of a convolution with its normalization folded in.

    Computed in `dtype`, with gradients: `torch.nn.utils.fuse_conv_bn_weights` returns new parameters, which have none.
    """
    weights = convolution.weight.to(dtype)
    bias = weights.new_zeros(len(weights)) if convolution.bias is None else convolution.bias.to(dtype)
    if normalization is None:
        return weights, bias
    mean, variance = normalization.running_mean, normalization.running_var
    if mean is None or variance is None:
        raise ValueError("a normalization without running statistics cannot be exported")
    scale = normalization.weight / torch.sqrt(variance.to(dtype) + normalization.eps)
    return weights * scale[:, None, None, None], (bias - mean) * scale + normalization.bias


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
