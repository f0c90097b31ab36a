"""tinyse: speech enhancement for microcontrollers, from recordings to bit-exact firmware.

    from tinyse import Denoiser
    clean = Denoiser().denoise(noisy)      # float32 mono at its sample_rate, 16 kHz

`Tagger` tags sound; both raise `InputError` for what the user can fix.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyse.errors import InputError
    from tinyse.streaming.denoiser import Denoiser
    from tinyse.streaming.tagger import Tagger

__all__ = ["Denoiser", "InputError", "Tagger", "__version__"]

_PLACES = {"Denoiser": "tinyse.streaming.denoiser", "Tagger": "tinyse.streaming.tagger", "InputError": "tinyse.errors"}


def __getattr__(name: str) -> Any:
    """What is exported is looked up when asked for, so that importing tinyse costs nothing."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    if name == "__version__":
        return import_module("importlib.metadata").version("tinyse")
    raise AttributeError(f"module 'tinyse' has no attribute {name!r}")
