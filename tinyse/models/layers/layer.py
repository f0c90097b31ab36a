"""What every layer is: a torch module that also says which operators it becomes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tinyse.graph.graph import Graph
from tinyse.models.replay import Values, replayed


class Layer(nn.Module):
    """A layer without a state. A network's own layer defines `forward` and `emit`."""

    def emit(self, graph: Graph, name: str, x: str) -> str:
        """Append operators to `graph` that work on the tensor `x`; returns the name of what comes out.

        Every tensor that is made is called `name`, or `name` with something after a slash.
        """
        raise NotImplementedError

    def replay(self, values: Values, name: str, x: Tensor) -> Tensor:
        """What the operators of `emit` have computed, with the gradient of `forward`."""
        made: Tensor = replayed(self, values, name, x)
        return made


class StreamingLayer(nn.Module):
    """A layer with a state, of which it says itself what it looks like. It defines `forward`, `emit` and `state_shape`."""

    state_shape: tuple[int, int, int]
    """(channels, frames, bins)."""

    def initial_state(self, batch: int = 1) -> Tensor:
        """Silence: zeros (batch, channels, frames, bins) on the layer's device."""
        device = next((parameter.device for parameter in self.parameters()), None)
        return torch.zeros(batch, *self.state_shape, device=device)

    def emit(self, graph: Graph, name: str, x: str, state: str) -> tuple[str, str]:
        """As `Layer.emit`, from `x` and `state`, (1, frames, bins, channels); returns output and next state."""
        raise NotImplementedError

    def replay(self, values: Values, name: str, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """As `Layer.replay`; the values of the next state are the caller's to replace."""
        made: tuple[Tensor, Tensor] = replayed(self, values, name, x, state)
        return made


def keep(graph: Graph, name: str, x: str, state: str) -> str:
    """Operators of a state of past frames: `x` comes in as the newest, and the oldest goes. Returns the next state."""
    frames = graph.shape(state)[1]
    if frames == 1:
        # A step's input cannot also be its output: it is copied.
        return graph.reshape(f"{name}/present", x, graph.shape(x)) if x in graph.inputs.values() else x
    newer = graph.slice(f"{name}/newer", state, 1, 1, frames)
    return graph.concatenation(f"{name}/kept", [newer, x], axis=1)


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


def array(tensor: Tensor) -> np.ndarray:
    """float32 values, as a graph holds them."""
    return tensor.detach().float().cpu().numpy()
