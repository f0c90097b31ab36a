"""The float model in torch as an engine; and on whole clips, the first backend of the chain of numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinyse.engines.engine import Engine
from tinyse.errors import needs
from tinyse.spectra.front_end import FrontEnd

with needs("train"):
    import torch

    from tinyse.models.files import load_model
    from tinyse.models.making import Networks


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work in this thread alone for the block; afterwards it has as many as before.

    A frame is too little work to share: two threads took 60 times as long as one on a machine that was busy.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class TorchEngine(Engine):
    """Runs a `.safetensors` model frame by frame."""

    name = "torch"

    def __init__(self, path: str | Path, networks: Networks = ()) -> None:
        """`networks` are classes of your own that the model may be made of. Raises InputError for a file that is broken or
        not ours."""
        self.network, self.front_end_config, self.metadata = load_model(path, networks)

    @property
    def state_bytes(self) -> int:
        """Size of the state between frames, in bytes."""
        return sum(tensor.nbytes for tensor in self.initial_state().values())

    def initial_state(self) -> dict[str, Any]:
        """Silence."""
        return self.network.initial_state()

    def step(self, features: np.ndarray, state: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
        """(bands,) float32 -> (bands,) float32."""
        with one_thread(), torch.inference_mode():
            mask, state = self.network(torch.from_numpy(np.ascontiguousarray(features))[None, None], state)
        return mask[0, 0].numpy(), state

    def denoise_clip(self, samples: np.ndarray, limit: float = 0.0) -> np.ndarray:
        """A whole clip (samples,) float32 in one step from silence, aligned with its input and as long."""
        front_end = FrontEnd(self.front_end_config)
        hop, delay = self.front_end_config.hop, self.front_end_config.delay
        length = -(-(len(samples) + delay) // hop) * hop
        padded = np.zeros(length, np.float32)
        padded[: len(samples)] = samples
        analysis, level, synthesis = front_end.initial_state()
        spectra, _ = front_end.analyze(padded, analysis)
        features, _ = front_end.features(spectra, level)
        with one_thread(), torch.inference_mode():
            mask, _ = self.network(torch.from_numpy(features)[None], self.network.initial_state())
        enhanced, _ = front_end.enhance(spectra, mask[0].numpy(), synthesis, limit)
        return enhanced[delay : delay + len(samples)]
