"""The whole signal path of a denoiser as one step: sound in, sound out, state in, state out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinyse.engines.engine import Engine
from tinyse.spectra.front_end import AnalysisState, FrontEnd, LevelState, SynthesisState


class PathState(NamedTuple):
    """All that is carried from hop to hop."""

    analysis: AnalysisState
    level: LevelState
    network: Any
    synthesis: SynthesisState


class SignalPath:
    """Front end and network, for any number of hops at a time."""

    def __init__(self, front_end: FrontEnd, engine: Engine) -> None:
        self.front_end, self.engine = front_end, engine

    def initial_state(self) -> PathState:
        """Silence."""
        analysis, level, synthesis = self.front_end.initial_state()
        return PathState(analysis, level, self.engine.initial_state(), synthesis)

    def step(self, samples: np.ndarray, state: PathState, limit: float = 0.0) -> tuple[np.ndarray, PathState]:
        """(hops * hop,) float32 -> as many samples that are `delay` older, denoised. `limit`: see FrontEnd.apply.

        The front end takes all hops at once, which is the same numbers and less work; the network goes frame by frame.
        """
        spectra, analysis = self.front_end.analyze(samples, state.analysis)
        features, level = self.front_end.features(spectra, state.level)
        mask, network = np.empty_like(features), state.network
        for frame, values in enumerate(features):
            mask[frame], network = self.engine.step(values, network)
        enhanced, synthesis = self.front_end.enhance(spectra, mask, state.synthesis, limit)
        return enhanced, PathState(analysis, level, network, synthesis)
