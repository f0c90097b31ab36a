"""A network whose forward pass is that of the exported quantized graph, and whose backward pass is that of the float network.

The forward pass quantizes the present weights exactly as export does, runs the integer reference over the whole clips,
and puts its values, in real units, in the place of each float layer's: what is trained is what is shipped, bit for bit,
states included. The gradient goes straight through every rounding (Bengio et al. 2013), and is zero where a value lies
beyond its range. Normalizations are folded with the statistics they have, as in the exported weights. The
quantized graph runs in numpy, on the CPU whatever the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tinyse.graph.graph import Graph
from tinyse.graph.sequence import Arrays, Sequence
from tinyse.models.layers import CausalConvolution, GatedRecurrence, SharedGRU, UpsamplingConvolution, folded, projected
from tinyse.models.network import Network, State
from tinyse.models.recurrence import Recurrence
from tinyse.models.wiring import Runner, V
from tinyse.quantization.quantize import quantize
from tinyse.quantization.trained import TrainedQparams


class QuantizedNetwork(Network):
    """Any network with fixed quantization parameters: its blocks, its wiring, its weights' names."""

    def __init__(self, network: Network, qparams: TrainedQparams) -> None:
        """It takes over the blocks of `network`, which is the same weights in float."""
        super().__init__(network.bands)
        self.blocks, self.qparams, self._float = (
            network.blocks,
            qparams,
            (network,),
        )  # a tuple: no second set of weights
        self.architecture, self.task, self.classes = network.architecture, network.task, network.classes
        self.result = network.result  # type: ignore[misc]

    def wire(self, run: Runner[V], x: V) -> V:
        return self._float[0].wire(run, x)

    def exported(self) -> Graph:
        """The step that would be exported now."""
        return quantize(self.emit(), None, self.qparams.precision, self.qparams.qparams)

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """As the float network's. Features and states that are not quantized are rounded first."""
        with torch.autocast(features.device.type, enabled=False):
            return self._forward(features.float(), state)

    def _forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        graph = self.exported()
        values = _Values(graph, _run(graph, features, state), features.device)
        states = {name: values.given(graph.inputs[name]) for name in self.state_shapes}
        run = QuantizedRunner(self.blocks, states, values)
        return self.wire(run, values.map("features"))[:, 0], run.following


class QuantizedRunner:
    """On tensors whose values are those of the quantized graph, and whose gradients are the float network's."""

    def __init__(self, blocks: Mapping[str, Any], states: Mapping[str, Tensor], values: _Values) -> None:
        self.blocks, self.states, self.values = blocks, states, values
        self.following: dict[str, Tensor] = {}

    def layer(self, name: str, x: Tensor) -> Tensor:
        block, place = self.blocks[name], f"{name}/step"
        if name not in self.states:
            return _upsample(self.values, block, place, x)
        function: Any = _downsample if isinstance(block, CausalConvolution) else _recur
        y, self.following[name] = function(self.values, block, place, x, self.states[name])
        return y

    def add(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        return self.values.replace(a + b, name)

    def sigmoid(self, name: str, x: Tensor) -> Tensor:
        return self.values.replace(torch.sigmoid(x), name)


class _Straight(torch.autograd.Function):
    """The second argument forward, the first one's gradient backward."""

    @staticmethod
    def forward(ctx: Any, approximate: Tensor, exact: Tensor) -> Tensor:  # type: ignore[override]
        return exact.view_as(exact)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient, None


class _QuantizedRecurrence(Recurrence):
    """The recurrence whose gates and states the quantized graph has computed: nothing is left to do but the gradient."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, h: Tensor, weight: Tensor, bias: Tensor,
        gates: Tensor, remembered: Tensor, new: Tensor, outputs: Tensor,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(h, weight, gates, remembered, new, outputs)
        return outputs.view_as(outputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        return (*Recurrence.backward(ctx, gradient), None, None, None, None)


class _Values:
    """What the quantized graph has computed, by tensor, in torch's layouts and real units."""

    def __init__(self, graph: Graph, arrays: Arrays, device: torch.device) -> None:
        self.graph, self.arrays, self.device = graph, arrays, device

    def real(self, name: str) -> Tensor:
        """(frames, clips, *shape), or a constant in its own shape."""
        tensor = self.graph.tensors[name]
        value = tensor.dequantize(self.arrays[name] if tensor.data is None else tensor.data)
        return torch.from_numpy(np.ascontiguousarray(value)).to(self.device)

    def map(self, name: str) -> Tensor:
        """(1, 1, bins, channels) of every frame as (clips, channels, frames, bins)."""
        return self.real(name)[:, :, 0, 0].permute(1, 3, 0, 2)

    def given(self, name: str) -> Tensor:
        """A state before the first frame, (clips, channels, 1, bins)."""
        return self.map(name)[:, :, :1]

    def rows(self, names: list[str]) -> Tensor:
        """(rows, width) of every frame and group as (frames, groups, clips * rows, width)."""
        return torch.stack([self.real(name).flatten(1, 2) for name in names], dim=1)

    def replace(self, y: Tensor, name: str) -> Tensor:
        """The quantized map for the float one, with the gradient of clipping to the range."""
        return _Straight.apply(self.clipped(y, name), self.map(name))

    def replace_rows(self, y: Tensor, names: list[str]) -> Tensor:
        """The same of rows; groups have scales of their own."""
        parts = [self.clipped(part, name) for part, name in zip(y.unbind(1), names, strict=True)]
        return _Straight.apply(torch.stack(parts, dim=1), self.rows(names))

    def clipped(self, y: Tensor, name: str) -> Tensor:
        """`y` within the range of a tensor, half a step beyond its ends included."""
        tensor = self.graph.tensors[name]
        limits, scale = np.iinfo(tensor.dtype), float(tensor.scale)
        low, high = (scale * (end - tensor.zero_point) for end in (limits.min - 0.5, limits.max + 0.5))
        return y.clamp(low, high)

    def constant(self, weight: Tensor, name: str, layout: Any = None) -> Tensor:
        """The quantized constant, in the layout of `weight`, with its gradient; `layout` brings it there."""
        exact = self.real(name)
        return _Straight.apply(weight, layout(exact) if layout else exact)


def _run(graph: Graph, features: Tensor, state: State) -> Arrays:
    """The integer step over (clips, frames, bands) from (clips, channels, 1, bins) states."""

    def quantized(value: Tensor, name: str) -> np.ndarray:
        return graph.tensors[name].quantize(value.detach().cpu().numpy())

    inputs = {"features": quantized(features.transpose(0, 1)[:, :, None, None, :, None], graph.inputs["features"])}
    states = {name: quantized(value.permute(0, 2, 3, 1)[:, None], graph.inputs[name]) for name, value in state.items()}
    return Sequence(graph)(inputs, states)


def _downsample(
    values: _Values, block: CausalConvolution, name: str, x: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    weight, bias = folded(block.convolution, block.normalization, torch.float32)
    out, inputs = weight.shape[:2]

    def layout(exact: Tensor) -> Tensor:
        # (out, 1, 3, 2 * in), the past frame's channels first -> (out, in, 2, 3)
        return exact.view(out, 3, 2, inputs).permute(0, 3, 2, 1)

    weight = values.constant(weight, f"{name}/weights", layout)
    bias = values.constant(bias, f"{name}/bias")
    stream = torch.cat([state, x], dim=2)
    y = torch.relu(functional.conv2d(functional.pad(stream, (0, 1)), weight, bias, stride=(1, 2)))
    return values.replace(y, name), stream[:, :, -1:]


def _upsample(values: _Values, block: UpsamplingConvolution, name: str, x: Tensor) -> Tensor:
    weight, bias = folded(block.convolution, block.normalization, torch.float32)
    weight = values.constant(weight, f"{name}/pairs/weights", lambda exact: exact.permute(0, 3, 1, 2))
    bias = values.constant(bias, f"{name}/pairs/bias")
    y = functional.conv2d(x, weight, bias, padding=(0, 1))
    if block.normalization is not None:
        y = torch.relu(y)
    return block.interleave(values.replace(y, f"{name}/pairs"))


def _recur(values: _Values, block: GatedRecurrence, name: str, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    units = [f"{name}/{group}" if block.groups > 1 else name for group in range(block.groups)]

    def weights(parameter: Tensor, of: str, kind: str) -> Tensor:
        exact = torch.stack([values.real(f"{unit}/{of}/{kind}") for unit in units]).view_as(parameter)
        return _Straight.apply(parameter, exact)

    def made(part: str) -> Tensor:
        return values.rows([f"{unit}/{part}" for unit in units])

    input_weight = weights(block.input_weight, "from_input", "weights")
    input_bias = weights(block.input_bias, "from_input", "bias")
    from_input = projected(block.rows(x), input_weight, input_bias)
    from_input = values.replace_rows(from_input, [f"{unit}/from_input" for unit in units])
    rows = _QuantizedRecurrence.apply(
        from_input, block.rows(state)[0],
        weights(block.state_weight, "from_state", "weights"), weights(block.state_bias, "from_state", "bias").transpose(1, 2),
        torch.cat([made("reset"), made("update")], dim=3), made("state_new"), made("new"), made("state"),
    )  # fmt: skip
    y = block.maps(rows, x)
    return values.replace(x + y, f"{name}/sum") if isinstance(block, SharedGRU) else y, y[:, :, -1:]
