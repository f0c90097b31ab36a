"""Several engines on one long sound, side by side: what each makes of it, and how far their states drift apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tinyse.engines.tflite_engines import FileEngine
from tinyse.graph.graph import Graph, Tensor
from tinyse.progress import silent
from tinyse.quantization.structure import blends, groups
from tinyse.spectra.front_end import FrontEnd

MOST_DB = 120.0
"""The largest ratio: equal signals do not give infinity, so that means and pictures stay finite."""


@dataclass(frozen=True)
class Stream:
    """One sound through one engine."""

    output: np.ndarray
    """(samples,) float32, aligned with the input; its last `delay` samples are not there yet and are left out."""
    state_power: np.ndarray
    """(frames,) sum of squares of the float engine's recurrent states."""
    state_error: np.ndarray
    """(frames,) sum of squares of this engine's difference from them."""

    def state_snr_db(self, first: int = 0, last: int | None = None) -> float:
        """SNR of the recurrent states over frames `first` to `last`, against the float engine's."""
        return ratio_db(self.state_power[first:last].sum(), self.state_error[first:last].sum())


def run_streams(
    engines: Mapping[str, FileEngine],
    front_end: FrontEnd,
    sound: np.ndarray,
    progress: Callable[[float], None] = silent,
) -> dict[str, Stream]:
    """`sound` (samples,) through all engines from silence, frame by frame; the first engine is the float one.

    Whole hops only. States are compared in real units, those of GRUs alone: what a convolution keeps is its input.
    `progress` gets the share that is done, 0 to 1, in each frame.
    """
    hop, delay = front_end.config.hop, front_end.config.delay
    analysis, level, synthesis = front_end.initial_state()
    spectra, _ = front_end.analyze(sound[: len(sound) // hop * hop], analysis)
    features, _ = front_end.features(spectra, level)
    names, first = list(engines), next(iter(engines.values()))
    kept = recurrent_states(first.graph)
    tensors = {name: {key: _state(engine.graph, key) for key in kept} for name, engine in engines.items()}
    states = {name: engine.initial_state() for name, engine in engines.items()}
    masks = {name: np.empty_like(features) for name in names}
    power, errors = np.zeros(len(features)), {name: np.zeros(len(features)) for name in names}
    for frame, values in enumerate(features):
        for name, engine in engines.items():
            masks[name][frame], states[name] = engine.step(values, states[name])
        truth = {key: tensors[names[0]][key].dequantize(states[names[0]][key]) for key in kept}
        power[frame] = sum(_energy(value) for value in truth.values())
        for name in names[1:]:
            errors[name][frame] = sum(
                _energy(tensors[name][key].dequantize(states[name][key]) - truth[key]) for key in kept
            )
        progress((frame + 1) / len(features))
    outputs = {name: front_end.enhance(spectra, mask, synthesis)[0][delay:] for name, mask in masks.items()}
    return {name: Stream(outputs[name], power, errors[name]) for name in names}


def recurrent_states(graph: Graph) -> list[str]:
    """The states that GRUs keep: those that a blend of old and new reaches by moves alone."""
    blended = {blend.state for blend in blends(graph)}
    joined = {name for group in groups(graph) if blended & set(group.tensors) for name in group.tensors}
    return [name for name in graph.states if graph.inputs[name] in joined]


def ratio_db(signal: float, error: float) -> float:
    """10 log10 of a ratio of energies within +-MOST_DB; nan where there is no signal."""
    if signal <= 0:
        return float("nan")
    return float(np.clip(10 * np.log10(signal / max(error, 1e-300)), -MOST_DB, MOST_DB))


def snr_db(exact: np.ndarray, other: np.ndarray) -> float:
    """`ratio_db` of a signal and of what another one of its shape differs by."""
    exact, other = np.asarray(exact, np.float64), np.asarray(other, np.float64)
    return ratio_db(np.square(exact).sum(), np.square(other - exact).sum())


def _state(graph: Graph, name: str) -> Tensor:
    return graph.tensors[graph.inputs[name]]


def _energy(values: np.ndarray) -> float:
    return float(np.square(values, dtype=np.float64).sum())
