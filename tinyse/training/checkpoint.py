"""Checkpoints: all that a stage needs to resume as if it had never stopped, in one safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tinyse.errors import InputError
from tinyse.models.files import load_tensors, load_weights, save_tensors


def save(
    path: Path,
    network: nn.Module,
    average: nn.Module,
    best: nn.Module,
    optimizer: torch.optim.Optimizer,
    facts: dict[str, Any],
) -> None:
    """Write the three sets of weights, the optimizer's moments and `facts`, whole or not at all."""
    tensors: dict[str, torch.Tensor] = {}
    for label, module in (("network", network), ("average", average), ("best", best)):
        tensors |= {f"{label}/{name}": tensor for name, tensor in module.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in moments.items()}
    # Equal weights may share memory, which the format does not allow.
    save_tensors(path, {name: tensor.clone() for name, tensor in tensors.items()}, facts)


def load(
    path: Path, network: nn.Module, average: nn.Module, best: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put everything back in place and return the facts. Raises InputError for a broken file."""
    tensors, facts = load_tensors(path)
    for label, module in (("network", network), ("average", average), ("best", best)):
        part = {name.partition("/")[2]: t for name, t in tensors.items() if name.startswith(f"{label}/")}
        load_weights(module, part, str(path))
    state = optimizer.state_dict()
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "optimizer":
            index, _, moment = rest.partition("/")
            moments.setdefault(int(index), {})[moment] = tensor
    try:
        optimizer.load_state_dict({**state, "state": moments})
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path}: the optimizer's state does not fit the model; remove it to begin the stage again"
        ) from error
    return facts
