"""What optimizes a stage: rate, weight decay, clipping and the running average, each a function of the update's number.

torch's LambdaLR and AveragedModel would keep that number in states of their own, and a checkpoint would have to agree with
them; the first average of AveragedModel is a copy, ours has begun at the network's beginning since the first release.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from tinyse.models.network import Network
from tinyse.recipe import Stage
from tinyse.training.processes import synchronized


class Diverged(ArithmeticError):
    """A loss, gradient or weight is not finite; the message says which."""


class Optimization:
    """A network in training: itself, its running average, and its optimizer."""

    def __init__(self, fabric: Fabric, network: Network, stage: Stage) -> None:
        self.fabric, self.stage = fabric, stage
        network = synchronized(fabric, network)
        self.bare: Network = network.to(fabric.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.bare).eval().requires_grad_(False)
        groups = decay_groups(self.bare, stage.weight_decay)
        optimizer = torch.optim.AdamW(groups, lr=stage.learning_rate, betas=(0.9, 0.99))
        self.network, self.optimizer = fabric.setup(self.bare, optimizer)

    def learn(self, losses: Iterable[Tensor], update: int) -> float:
        """Make update number `update` (from 0) of this process's share of the loss, as many parts as the stage accumulates.

        Each part is asked for when the one before has its gradient. Returns the loss of all processes and parts, their
        mean. Raises Diverged before any weight is changed.
        """
        self.optimizer.zero_grad()
        total = torch.zeros((), device=self.fabric.device)
        for loss in losses:
            part = loss / self.stage.accumulate
            total += part.detach()
            self.fabric.backward(part)
        value = float(self.fabric.all_reduce(total, reduce_op="mean"))  # type: ignore[arg-type]
        if not math.isfinite(value):
            raise Diverged(f"the loss became {value}")
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.stage, update)
        # Parameters that the loss does not reach have no gradient, and the optimizer leaves them alone.
        self._mean_of_processes([p.grad for p in self.bare.parameters() if p.grad is not None])
        norm = self.fabric.clip_gradients(
            self.network, self.optimizer, max_norm=self.stage.clip_gradient, error_if_nonfinite=False
        )
        if norm is not None and not torch.isfinite(norm):
            raise Diverged(f"the gradient became {float(norm)}")
        self.optimizer.step()
        move_average(self.average, self.bare, average_decay(self.stage, update))
        return value

    @torch.no_grad()
    def _mean_of_processes(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes into each tensor: one message for all of them."""
        if self.fabric.world_size == 1 or not tensors:
            return
        flat: Any = self.fabric.all_reduce(torch.cat([tensor.reshape(-1) for tensor in tensors]), reduce_op="mean")
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


def learning_rate(stage: Stage, update: int) -> float:
    """Linear warm-up that reaches the highest rate at update `warmup` - 1, then half a cosine that would reach zero one
    update after the last."""
    if update < stage.warmup:
        return stage.learning_rate * (update + 1) / stage.warmup
    share = (update - stage.warmup) / max(1, stage.updates - stage.warmup)
    return stage.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def average_decay(stage: Stage, update: int) -> float:
    """The share of the running average that update number `update` keeps: it begins as a plain mean, more or less."""
    return min(stage.average, (1 + update) / (10 + update)) if stage.average else 0.0


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; biases and normalizations do not, except for the biases of GRUs, which are columns."""
    parameters = list(network.parameters())
    decayed = [p for p in parameters if is_matrix(p)]
    others = [p for p in parameters if not is_matrix(p)]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def is_matrix(parameter: Tensor) -> bool:
    """Whether a parameter mixes inputs: more than one axis, more than one input."""
    return parameter.ndim > 1 and parameter.shape[1] > 1


@torch.no_grad()
def move_average(average: nn.Module, present: nn.Module, decay: float) -> None:
    """Move a running average, statistics of normalizations included, toward the present weights; counters are copied."""
    for mean, value in zip(average.state_dict().values(), present.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def is_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no tensor holds NaN or an infinity."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
