"""Gated recurrent units: over all bins of groups of channels, or shared by all bins."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tinyse.errors import InputError
from tinyse.graph.graph import Graph
from tinyse.models.layers.layer import StreamingLayer, array
from tinyse.models.recurrence import Recurrence, ReplayedRecurrence, on_gpu
from tinyse.models.replay import Straight, Values


class GatedRecurrence(StreamingLayer):
    """Parallel gated recurrent units of equal size, each as wide as its input (Cho et al. 2014, as in torch.nn.GRU).

    r, z = sigmoid(W x + U h), n = tanh(W x + r * (U h + b)), h = n + z * (h - n). Groups share no weights and run in one call.
    """

    label: ClassVar[str]
    """What a unit takes in the exported step, in the names of tensors."""

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
        if x.is_cuda:
            with torch.autocast(x.device.type, enabled=False):
                return on_gpu(
                    x.float(), h.float(), self.input_weight, self.state_weight, self.input_bias, self.state_bias
                )
        from_input = projected(x, self.input_weight, self.input_bias)
        with torch.autocast(x.device.type, enabled=False):
            return Recurrence.apply(from_input, h.float(), self.state_weight, self.state_bias.transpose(1, 2))

    def units(self, name: str) -> list[str]:
        """The names of the exported units: one for each group."""
        return [f"{name}/{group}" if self.groups > 1 else name for group in range(self.groups)]

    def replayed(self, values: Values, name: str, x: Tensor, state: Tensor) -> Tensor:
        """The recurrence's outputs, shaped as x, with their gradient."""
        units = self.units(name)

        def weights(parameter: Tensor, of: str, kind: str) -> Tensor:
            exact = torch.stack([values.real(f"{unit}/{of}/{kind}") for unit in units]).view_as(parameter)
            return Straight.apply(parameter, exact)

        def made(part: str) -> Tensor:
            return values.rows([f"{unit}/{part}" for unit in units])

        input_weight = weights(self.input_weight, "from_input", "weights")
        input_bias = weights(self.input_bias, "from_input", "bias")
        from_input = projected(self.rows(x), input_weight, input_bias)
        from_input = values.replace_rows(from_input, [f"{unit}/from_input" for unit in units])
        rows = ReplayedRecurrence.apply(
            from_input, self.rows(state)[0],
            weights(self.state_weight, "from_state", "weights"), weights(self.state_bias, "from_state", "bias").transpose(1, 2),
            torch.cat([made("reset"), made("update")], dim=3), made("state_new"), made("new"), made("state"),
        )  # fmt: skip
        return self.maps(rows, x)

    def emit_units(self, graph: Graph, name: str, x: str, state: str, shape: tuple[int, int], whole: str) -> str:
        """One unit a group on rows of `shape`; their outputs side by side, as `whole` where there are several."""
        _, _, bins, channels = graph.shape(x)
        names = self.units(name)

        def parts(value: str, label: str) -> list[str]:
            if self.groups == 1:
                return [value]
            return graph.split([f"{unit}/{label}_part" for unit in names], value, axis=3)

        outputs = []
        for group, (unit, xs, hs) in enumerate(zip(names, parts(x, "input"), parts(state, "state"), strict=True)):
            x_rows = graph.reshape(f"{unit}/input_{self.label}", xs, shape)
            h_rows = graph.reshape(f"{unit}/state_{self.label}", hs, shape)
            h = self.emit_unit(graph, unit, x_rows, h_rows, group)
            outputs.append(graph.reshape(f"{unit}/output", h, (1, 1, bins, channels // self.groups)))
        return outputs[0] if self.groups == 1 else graph.concatenation(whole, outputs, axis=3)

    def emit_unit(self, graph: Graph, name: str, x: str, h: str, group: int) -> str:
        """One unit on rows (rows, width); returns the name of the new h."""
        arrays = [array(p)[group] for p in (self.input_weight, self.state_weight, self.input_bias, self.state_bias)]
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

    label = "row"

    def __init__(self, groups: int, channels: int, bins: int) -> None:
        if channels % groups:
            raise InputError(f"groups: {channels} channels do not divide into {groups} equal groups")
        super().__init__(groups, channels // groups * bins)
        self.state_shape = (channels, 1, bins)

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
        y = self.emit_units(graph, name, x, state, (1, self.width), f"{name}/all")
        return y, y

    def replay(self, values: Values, name: str, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y = self.replayed(values, name, x, state)
        return y, y[:, :, -1:]


class SharedGRU(GatedRecurrence):
    """One small GRU, or one for each group, that every bin runs for itself with the same weights, added to its input.

    Local memory at a cost of few weights: they are used once a bin (as the inter-frame path of dual-path networks).
    """

    label = "rows"

    def __init__(self, channels: int, bins: int, groups: int = 1) -> None:
        if channels % groups:
            raise InputError(f"groups: {channels} channels do not divide into {groups} equal groups")
        super().__init__(groups, channels // groups)
        self.state_shape = (channels, 1, bins)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`state`: the last output of the recurrence, before x is added."""
        y = self.maps(self.recur(self.rows(x), self.rows(state)[0]), x)
        return x + y, y[:, :, -1:]

    def rows(self, value: Tensor) -> Tensor:
        """(batch, channels, frames, bins) -> (frames, groups, batch * bins, width), as `recur` takes it."""
        batch, _, _, bins = value.shape
        split = value.view(batch, self.groups, self.width, -1, bins)
        return split.permute(3, 1, 0, 4, 2).reshape(-1, self.groups, batch * bins, self.width)

    def maps(self, rows: Tensor, like: Tensor) -> Tensor:
        """The way back, to the shape of `like`."""
        batch, channels, frames, bins = like.shape
        y = rows.view(frames, self.groups, batch, bins, self.width)
        return y.permute(2, 1, 4, 0, 3).reshape(batch, channels, frames, bins)

    def emit(self, graph: Graph, name: str, x: str, state: str) -> tuple[str, str]:
        """Bins are the rows of a unit. Returns output and next state."""
        bins = graph.shape(x)[2]
        h = self.emit_units(graph, name, x, state, (bins, self.width), f"{name}/output")
        return graph.binary("ADD", f"{name}/sum", x, h), h

    def replay(self, values: Values, name: str, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y = self.replayed(values, name, x, state)
        return values.replace(x + y, f"{name}/sum"), y[:, :, -1:]


def projected(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (frames, groups, rows, width), weight (groups, out, width), bias (groups, out, 1) -> (frames, groups, rows, out).

    float32. One product per group for all frames: a product per frame, of a few rows each, is far slower on a CPU.
    """
    frames, groups, rows, width = x.shape
    product = x.transpose(0, 1).reshape(groups, frames * rows, width) @ weight.transpose(1, 2)
    return product.view(groups, frames, rows, -1).transpose(0, 1).float() + bias.transpose(1, 2)
