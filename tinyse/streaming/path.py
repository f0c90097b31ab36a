"""The whole signal path of a denoiser as one step: sound in, sound out, state in, state out."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from tinyse.spectra.front_end import AnalysisState, FrontEnd, LevelState, SynthesisState


class Engine(Protocol):
    """What runs the network: one frame's features and a state to one frame's mask and the next state."""

    def initial_state(self) -> Any:
        """The state of silence."""
        ...

    def step(self, features: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        """(bands,) float32 in [-1, 1) -> (bands,) float32 in [0, 1]."""
        ...


class PathState(NamedTuple):
    """All that is carried from hop to hop."""

    analysis: AnalysisState
    level: LevelState
    network: Any
    synthesis: SynthesisState


class SignalPath:
    """Front end and network, hop by hop."""

    def __init__(self, front_end: FrontEnd, engine: Engine) -> None:
        self.front_end, self.engine = front_end, engine

    def initial_state(self) -> PathState:
        """Silence."""
        analysis, level, synthesis = self.front_end.initial_state()
        return PathState(analysis, level, self.engine.initial_state(), synthesis)

    def step(self, samples: np.ndarray, state: PathState, limit: float = 0.0) -> tuple[np.ndarray, PathState]:
        """One hop (hop,) float32 -> the hop that is `delay` samples older, denoised. `limit`: see FrontEnd.apply."""
        spectra, analysis = self.front_end.analyse(samples, state.analysis)
        features, level = self.front_end.features(spectra, state.level)
        mask, network = self.engine.step(features[0], state.network)
        enhanced, synthesis = self.front_end.synthesise(
            self.front_end.apply(spectra, mask[None], limit), state.synthesis
        )
        return enhanced, PathState(analysis, level, network, synthesis)
