"""What an engine is: the one interface of everything that runs a network frame by frame, and of a path of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np

from tinyse.errors import InputError


class Path(Protocol):
    """A whole signal path as one step: sound in, sound out, state in, state out."""

    def initial_state(self) -> Any:
        """The state of silence."""
        ...

    def step(self, samples: np.ndarray, state: Any, limit: float = 0.0) -> tuple[np.ndarray, Any]:
        """(hops * hop,) float32 -> as many samples that are `delay` older, denoised. `limit`: see FrontEnd.apply."""
        ...


class Engine(ABC):
    """Runs the network of a denoiser or a tagger. It holds no stream: the state is an argument and a result.

    What only some engines can do has an answer here, so that a caller never asks which class an engine is.
    """

    name: str
    """Name of the kind of engine, as `open_engine` takes it."""
    metadata: dict[str, Any]
    """What the model file says of itself."""

    @property
    @abstractmethod
    def state_bytes(self) -> int:
        """Size of the state between frames, in bytes."""

    @abstractmethod
    def initial_state(self) -> Any:
        """The state of silence."""

    @abstractmethod
    def step(self, features: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        """(bands,) float32 in [-1, 1) -> mask (bands,) or tags (classes,), float32 in [0, 1], and the next state."""

    def signal_path(self) -> Path | None:
        """A path with a front end of the engine's own, as firmware has one; None where tinyse's front end serves."""
        return None

    def denoise_clip(self, samples: np.ndarray, limit: float = 0.0) -> np.ndarray:
        """A whole clip (samples,) float32 in one step of many frames. Raises InputError where the engine only streams."""
        raise InputError("only the engine torch takes a clip in one step; the others are streams: use denoise")
