"""Records what the blocks of a network give on the way, so that runs can be compared."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from tinyse.config import did_you_mean
from tinyse.errors import InputError


class Recorder:
    """Records outputs of blocks while it is entered: `with Recorder(network, names) as seen: ...; seen["gru"]`."""

    def __init__(self, network: torch.nn.Module, layers: Collection[str]) -> None:
        """Raises InputError, with the closest name, for a block that the network does not have."""
        blocks = {name.removeprefix("blocks."): module for name, module in network.named_modules()}
        for layer in layers:
            if layer not in blocks:
                known = [name for name in blocks if name and "." not in name and name != "blocks"]
                raise InputError(f"no layer is named {layer!r}{did_you_mean(layer, known)}")
        self._modules = {layer: blocks[layer] for layer in layers}
        self._seen: dict[str, Tensor] = {}

    def __enter__(self) -> dict[str, Tensor]:
        def keep(layer: str) -> Callable[..., None]:
            def hook(_module: torch.nn.Module, _inputs: object, output: object) -> None:
                # A streaming layer gives (y, state); others give y.
                self._seen[layer] = output[0] if isinstance(output, tuple) else output  # type: ignore[assignment]

            return hook

        self._hooks = [module.register_forward_hook(keep(layer)) for layer, module in self._modules.items()]
        return self._seen

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
