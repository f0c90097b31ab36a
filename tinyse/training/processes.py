"""One run in several processes, which torchrun starts and Lightning Fabric connects: each learns from its share of every batch.

All that a single process computes of a whole batch is computed of the whole batch here, too: gradients and losses are means
over processes, statistics of normalizations are those of all clips, and views compare all clips. DistributedDataParallel is
not used: it waits for a gradient of every parameter, and a distillation loss does not reach all of them.
"""

from __future__ import annotations

import logging
import os
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn

from tinyse.errors import InputError
from tinyse.recipe import Recipe

Module = TypeVar("Module", bound=nn.Module)


class Processes(DDPStrategy):
    """Processes that share each batch. `Optimization` takes the mean of their gradients itself."""

    def setup_module(self, module: nn.Module) -> nn.Module:  # type: ignore[override]
        return module


def launch(precision: str) -> Fabric:
    """One process on the GPU if there is one; under torchrun, one of its processes."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # what it would say of itself at every stage
    processes = processes_here()
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // processes
    many = processes * nodes > 1
    # Without torchrun it is one process, also inside a job of SLURM, whose variables Fabric would follow.
    how: dict[str, Any] = {"strategy": Processes()} if many else {"plugins": [LightningEnvironment()]}
    fabric = Fabric(accelerator="auto", devices=processes, num_nodes=nodes, precision=precision, **how)  # type: ignore[arg-type]
    fabric.launch()
    return fabric


def processes_here() -> int:
    """How many processes of this run torchrun started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def refuse_undivided(recipe: Recipe, processes: int) -> None:
    """Raise InputError for a batch that does not divide among `processes`, and among the parts that each accumulates."""
    for name, stage in recipe.stages.items():
        if stage.batch % (processes * stage.accumulate):
            parts = f", each in {stage.accumulate} parts" if stage.accumulate > 1 else ""
            raise InputError(
                f"stages.{name}.batch: {stage.batch} clips do not divide among {processes} processes{parts}"
            )


def gathered(fabric: Fabric, clips: Tensor) -> Tensor:
    """The clips (batch, ...) of all processes in the order of the whole batch, with gradients back to where they came from.

    Process r of p has clips r, r + p, r + 2 p ... (`batches`).
    """
    if fabric.world_size == 1:
        return clips
    return of_all(fabric, clips).transpose(0, 1).flatten(0, 1)


def of_all(fabric: Fabric, share: Tensor) -> Tensor:
    """What every process has, (processes, *shape); its gradient, summed over processes, goes back to where it came from."""
    every: Tensor = fabric.all_gather(share, sync_grads=True)  # type: ignore[assignment]
    if every.requires_grad:
        # torch's way back sends and receives in the gradient's layout; one that is not contiguous arrives scrambled.
        every.register_hook(lambda gradient: gradient.contiguous())
    return every


def synchronized(fabric: Fabric, network: Module) -> Module:
    """The network, its batch normalizations replaced by ones of the clips of all processes where there are several."""
    if fabric.world_size > 1:
        for module in list(network.modules()):
            for name, child in module.named_children():
                if type(child) is nn.BatchNorm2d:
                    setattr(module, name, SynchronizedNorm(fabric, child))
    return network


class SynchronizedNorm(nn.BatchNorm2d):
    """Batch normalization by mean and variance of the clips of all processes, under the names of `nn.BatchNorm2d`.

    `nn.SyncBatchNorm` does the same and refuses CPUs; this is one way for all devices. Shares are of equal size, so the
    variance of all is the mean of each share's variance and squared distance from the common mean (Chan et al. 1979).
    """

    def __init__(self, fabric: Fabric, single: nn.BatchNorm2d) -> None:
        """It takes the place of `single`, and its tensors."""
        super().__init__(single.num_features, single.eps, single.momentum)
        self.load_state_dict(single.state_dict())
        self.to(single.weight.device)
        self._fabric = fabric

    def __deepcopy__(self, memo: dict[int, object]) -> nn.BatchNorm2d:
        """A copy only averages weights and is used alone: it is a plain one."""
        copied = nn.BatchNorm2d(self.num_features, self.eps, self.momentum).to(self.weight.device)
        copied.load_state_dict(self.state_dict())
        return copied.train(self.training)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames, bins), statistics in float32 as torch takes them under autocast."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        variance, mean = torch.var_mean(values, (0, 2, 3), correction=0)
        shares = of_all(self._fabric, torch.stack([mean, variance]))
        mean = shares[:, 0].mean(0)
        variance = (shares[:, 1] + (shares[:, 0] - mean).square()).mean(0)
        count = len(shares) * values.numel() // self.num_features
        self._follow(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return ((values - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr,arg-type]
        self.running_var.lerp_(variance, self.momentum)  # type: ignore[union-attr,arg-type]
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
