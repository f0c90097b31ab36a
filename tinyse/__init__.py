"""tinyse: speech enhancement for microcontrollers, from recordings to bit-exact firmware.

    from tinyse import Denoiser
    clean = Denoiser().denoise(noisy)      # float32 mono at 16 kHz
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyse.streaming.denoiser import Denoiser

__all__ = ["Denoiser", "__version__"]


def __getattr__(name: str) -> Any:
    """`Denoiser` and `__version__` are looked up when asked for, so that importing tinyse costs nothing."""
    if name == "Denoiser":
        return import_module("tinyse.streaming.denoiser").Denoiser
    if name == "__version__":
        return import_module("importlib.metadata").version("tinyse")
    raise AttributeError(f"module 'tinyse' has no attribute {name!r}")
