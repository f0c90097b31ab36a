"""The gated recurrence over frames, with its gradient written out.

r = sigmoid(x_r + s_r), z = sigmoid(x_z + s_z), n = tanh(x_n + r * s_n), h' = n + z * (h - n), where s = U h + b: the unit
of Cho et al. 2014 with the reset after the product, as torch.nn.GRU and the exported step have it. On a CPU the
recurrence is bound by the number of calls per frame; with all that does not recur taken out of the loop, forward and
backward, it is three times as fast as automatic differentiation, and parallel groups cost one call. A GPU has a kernel for
all frames (`on_gpu`).
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor


class Recurrence(torch.autograd.Function):
    """x (frames, groups, rows, 3 width) from the input, h (groups, rows, width), U (groups, 3 width, width),
    b (groups, 1, 3 width) -> all h (frames, groups, rows, width). float32 throughout.

    Values come last: few rows before many values is the product that CPU libraries are fast at.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        frames, groups, rows, triple = x.shape
        width = triple // 3
        transposed = weight.transpose(1, 2).contiguous()
        gates = x.new_empty(frames, groups, rows, 2 * width)
        remembered, new, outputs = (x.new_empty(frames, groups, rows, width) for _ in range(3))
        first = h
        for from_input, gate, memory, candidate, output in zip(x, gates, remembered, new, outputs, strict=True):
            state = torch.baddbmm(bias, h, transposed)
            torch.add(from_input[..., : 2 * width], state[..., : 2 * width], out=gate)
            gate.sigmoid_()
            memory.copy_(state[..., 2 * width :])
            torch.addcmul(from_input[..., 2 * width :], gate[..., :width], memory, out=candidate)
            candidate.tanh_()
            h = torch.lerp(candidate, h, gate[..., width:], out=output)
        ctx.save_for_backward(first, weight, gates, remembered, new, outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        first, weight, gates, remembered, new, outputs = ctx.saved_tensors
        frames, groups, _, width = new.shape
        previous = torch.cat([first[None], outputs[:-1]])
        reset, update = gates.chunk(2, dim=-1)
        # What each gate gets is the gradient of h times a slope that is known for all frames beforehand.
        by_new = (1 - update) * (1 - new.square())
        by_memory = by_new * reset
        by_reset = by_memory * (1 - reset) * remembered
        by_update = update * (1 - update) * (previous - new)
        slopes = torch.stack([by_reset, by_update, by_memory], dim=-2)
        totals, from_state = torch.empty_like(new), torch.empty_like(slopes)
        grad_h = torch.zeros_like(first)
        for t in range(frames - 1, -1, -1):
            total = torch.add(grad[t], grad_h, out=totals[t])
            torch.mul(slopes[t], total[..., None, :], out=from_state[t])
            grad_h = torch.baddbmm(total * update[t], from_state[t].flatten(-2), weight)
        from_input = torch.cat([from_state[..., :2, :].flatten(-2), totals * by_new], dim=-1)
        # What the weights get from all frames is one product per group.
        states = previous.transpose(0, 1).reshape(groups, -1, width)
        by_state = from_state.flatten(-2).transpose(0, 1).reshape(groups, -1, 3 * width)
        return from_input, grad_h, by_state.transpose(1, 2) @ states, by_state.sum(dim=1, keepdim=True)


class ReplayedRecurrence(Recurrence):
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


def on_gpu(
    x: Tensor, h: Tensor, input_weight: Tensor, state_weight: Tensor, input_bias: Tensor, state_bias: Tensor
) -> Tensor:
    """The same by torch's fused kernel (cuDNN), from x (frames, groups, rows, width) before the input's weights.

    A GPU waits for every call that a loop over frames makes; this is one. Groups become one unit whose weights, (groups,
    3 width, width) and biases (groups, 3 width, 1), are zero between them.
    """
    frames, groups, rows, width = x.shape

    def matrix(weight: Tensor) -> Tensor:
        gates = weight.view(groups, 3, width, width).unbind(1)
        return torch.cat([torch.block_diag(*gate) for gate in gates])

    def column(bias: Tensor) -> Tensor:
        return bias.view(groups, 3, width).transpose(0, 1).flatten()

    flat = x.transpose(1, 2).reshape(frames, rows, groups * width)
    weights = [matrix(input_weight), matrix(state_weight), column(input_bias), column(state_bias)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
        made, _ = torch.gru(
            flat, h.transpose(0, 1).reshape(1, rows, groups * width), weights, True, 1, 0.0, True, False, False
        )
    return made.view(frames, rows, groups, width).transpose(1, 2)
