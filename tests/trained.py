"""Networks that look trained: their normalizations have seen something."""

from __future__ import annotations

from typing import TypeVar

import torch

M = TypeVar("M", bound=torch.nn.Module)


def as_trained(module: M) -> M:
    """`module` for evaluation, its batch normalizations with statistics and weights drawn from torch's present seed."""
    for each in module.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(each.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(each.running_var, 0.2, 2)
            torch.nn.init.uniform_(each.weight, 0.5, 1.5)
            torch.nn.init.uniform_(each.bias, -0.2, 0.2)
    return module.eval()
