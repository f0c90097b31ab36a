"""The float model in torch as an engine; and on whole clips, the first link of the chain of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinyse.errors import missing_extra
from tinyse.spectra.front_end import FrontEnd

try:
    import torch

    from tinyse.models.files import load_model
except ModuleNotFoundError as error:  # the base install has no torch
    raise missing_extra(error.name or "torch", "train") from error


class TorchEngine:
    """Runs a `.safetensors` model frame by frame."""

    def __init__(self, path: str | Path) -> None:
        """Raises InputError for a file that is broken or not ours."""
        self.network, self.front_end_config, self.metadata = load_model(path)

    def initial_state(self) -> dict[str, Any]:
        """Silence."""
        return self.network.initial_state()

    def step(self, features: np.ndarray, state: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
        """(bands,) float32 -> (bands,) float32."""
        with torch.inference_mode():
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
        spectra, _ = front_end.analyse(padded, analysis)
        features, _ = front_end.features(spectra, level)
        with torch.inference_mode():
            mask, _ = self.network(torch.from_numpy(features)[None], self.network.initial_state())
        enhanced, _ = front_end.synthesise(front_end.apply(spectra, mask[0].numpy(), limit), synthesis)
        return enhanced[delay : delay + len(samples)]
