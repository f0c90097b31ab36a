"""Convolutions over bins, and over the frames before the present one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinyse.errors import InputError
from tinyse.graph.graph import Graph
from tinyse.models.layers.activations import Activation
from tinyse.models.layers.layer import Layer, StreamingLayer, array, folded, keep
from tinyse.models.replay import Values


class _Kernel(nn.Module):
    """What both kinds share: weights (out, in / groups, frames, bins), batch normalization and an activation.

    Bins are padded with zeros as TensorFlow's SAME does, the odd one last, so an exported convolution needs no PAD.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        frames: int,
        width: int,
        stride: int,
        groups: int,
        dilation: int,
        activation: str,
    ) -> None:
        super().__init__()
        sizes = {"inputs": inputs, "outputs": outputs, "frames": frames, "width": width, "stride": stride, "groups": groups,
                 "dilation": dilation}  # fmt: skip
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"a convolution's {name} must be 1 or more, not {size}")
        if inputs % groups or outputs % groups:
            raise InputError(
                f"groups: {inputs} channels in and {outputs} out do not both divide into {groups} equal groups"
            )
        self.convolution = nn.Conv2d(
            inputs, outputs, (frames, width), (1, stride), dilation=(dilation, 1), groups=groups, bias=False
        )
        self.normalization = nn.BatchNorm2d(outputs)
        self.activation = Activation(activation)

    @property
    def groups(self) -> int:
        """Equal parts of the channels, each convolved by itself."""
        return self.convolution.groups

    @property
    def depthwise(self) -> bool:
        """Whether there is one filter per channel."""
        return 1 < self.groups == self.convolution.in_channels == self.convolution.out_channels

    def padded(self, x: Tensor) -> Tensor:
        """Zeros before the first bin and after the last."""
        bins, width, stride = x.shape[-1], self.convolution.kernel_size[1], self.convolution.stride[1]
        missing = max((-(-bins // stride) - 1) * stride + width - bins, 0)
        return functional.pad(x, (missing // 2, missing - missing // 2))

    def convolved(self, x: Tensor) -> Tensor:
        """(batch, inputs, frames, bins), past frames included, to the activated output."""
        if self.convolution.dilation[0] == 1:
            return self.activation(self.normalization(self.convolution(self.padded(x))))
        # On a CPU, torch 2.13 gives wrong gradients to dilated kernels in bfloat16 and channels_last: infinite ones, too.
        with torch.autocast(x.device.type, enabled=False):
            y = self.convolution(self.padded(x.float()))
        return self.activation(self.normalization(y))

    def kernel(self, weights: np.ndarray) -> np.ndarray:
        """Weights in the layout of the exported operator."""
        if self.depthwise:
            return weights.transpose(1, 2, 3, 0)
        if self.groups > 1:
            return weights.transpose(0, 2, 3, 1)
        # (out, in, frames, width) -> (out, 1, width, frames * in): the past frames' channels come first.
        return weights.transpose(0, 3, 2, 1).reshape(len(weights), 1, weights.shape[3], -1)

    def weights(self, kernel: Tensor) -> Tensor:
        """The way back."""
        if self.depthwise:
            return kernel.permute(3, 0, 1, 2)
        if self.groups > 1:
            return kernel.permute(0, 3, 1, 2)
        out, inputs, frames, width = self.convolution.weight.shape
        return kernel.view(out, width, frames, inputs).permute(0, 3, 2, 1)

    def emit_convolution(self, graph: Graph, name: str, frames: list[str]) -> str:
        """The operators on frames, oldest first: put together on the channel axis, or, in groups, on the axis of heights."""
        x = frames[0]
        if len(frames) > 1:
            x = graph.concatenation(f"{name}/past_and_present", frames, axis=1 if self.groups > 1 else 3)
        weights, bias = map(array, folded(self.convolution, self.normalization))
        append = graph.depthwise_convolution if self.depthwise else graph.convolution
        kernel, stride = self.kernel(weights), self.convolution.stride[1]
        return self.activation.emit_after(
            graph, name, lambda y, activation: append(y, x, kernel, bias, stride, activation)
        )

    def replay_convolution(self, values: Values, name: str, x: Tensor) -> Tensor:
        """`convolved` with the quantized weights and values."""
        weight, bias = folded(self.convolution, self.normalization, torch.float32)
        made = name if self.activation.fused else f"{name}/linear"
        weight = values.constant(weight, f"{made}/weights", self.weights)
        bias = values.constant(bias, f"{made}/bias")
        options = self.convolution.stride, 0, self.convolution.dilation, self.groups
        return self.activation.replay_after(values, name, functional.conv2d(self.padded(x), weight, bias, *options))


class Convolution(_Kernel, Layer):
    """Kernel `width` over the bins of each frame by itself; batch normalization; activation.

    A width of 1 is a pointwise convolution. With `groups`, the channels divide into that many equal parts, each convolved by
    itself; as many groups as channels in and out are a depthwise convolution, one filter per channel.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int = 1, stride: int = 1, groups: int = 1, activation: str = "relu"
    ) -> None:
        super().__init__(inputs, outputs, 1, width, stride, groups, 1, activation)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, frames, bins) -> (batch, outputs, frames, bins / stride, rounded up)."""
        return self.convolved(x)

    def emit(self, graph: Graph, name: str, x: str) -> str:
        """A CONV_2D, or a DEPTHWISE_CONV_2D."""
        return self.emit_convolution(graph, name, [x])

    def replay(self, values: Values, name: str, x: Tensor) -> Tensor:
        return self.replay_convolution(values, name, x)


class CausalConvolution(_Kernel, StreamingLayer):
    """Kernel (frames, width) over the present frame and those before it; batch normalization; activation.

    As it stands in our own networks it sees the frame before and the present one, and halves the bins. With `dilation`, the
    frames that it sees are that many apart, and its state keeps all in between. For `groups` see `Convolution`.
    """

    def __init__(
        self, inputs: int, outputs: int, bins: int, frames: int = 2, width: int = 3, stride: int = 2, groups: int = 1,
        dilation: int = 1, activation: str = "relu",
    ) -> None:  # fmt: skip
        """`bins` are those of its input."""
        super().__init__(inputs, outputs, frames, width, stride, groups, dilation, activation)
        if frames < 2:
            raise InputError("frames: a causal convolution sees 2 or more; a Convolution sees the present one alone")
        self.state_shape = (inputs, (frames - 1) * dilation, bins)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`state`: the last frames of x that were seen."""
        stream = torch.cat([state.to(x.dtype), x], dim=2)
        return self.convolved(stream), stream[:, :, -state.shape[2] :]

    def emit(self, graph: Graph, name: str, x: str, state: str) -> tuple[str, str]:
        """One CONV_2D or DEPTHWISE_CONV_2D of past and present frames. Returns output and next state."""
        kept, dilation = self.state_shape[1], self.convolution.dilation[0]
        seen = [state]
        if kept > 1:
            seen = [graph.slice(f"{name}/past_{kept - at}", state, 1, at, at + 1) for at in range(0, kept, dilation)]
        return self.emit_convolution(graph, name, [*seen, x]), keep(graph, name, x, state)

    def replay(self, values: Values, name: str, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        stream = torch.cat([state, x], dim=2)
        return self.replay_convolution(values, name, stream), stream[:, :, -state.shape[2] :]


class UpsamplingConvolution(Layer):
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
        weights, bias = map(array, folded(self.convolution, self.normalization))
        activation = "NONE" if self.normalization is None else "RELU"
        y = graph.convolution(f"{name}/pairs", x, weights.transpose(0, 2, 3, 1), bias, activation=activation)
        _, _, bins, channels = graph.shape(y)
        return graph.reshape(name, y, (1, 1, 2 * bins, channels // 2))

    def replay(self, values: Values, name: str, x: Tensor) -> Tensor:
        weight, bias = folded(self.convolution, self.normalization, torch.float32)
        weight = values.constant(weight, f"{name}/pairs/weights", lambda exact: exact.permute(0, 3, 1, 2))
        bias = values.constant(bias, f"{name}/pairs/bias")
        y = functional.conv2d(x, weight, bias, padding=(0, 1))
        if self.normalization is not None:
            y = torch.relu(y)
        return self.interleave(values.replace(y, f"{name}/pairs"))
