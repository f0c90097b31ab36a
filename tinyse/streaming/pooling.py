"""Pooling of frames' probabilities over time, as a stream: two sums per class, whatever the length.

Tags are sum p^2 / sum p over the frames so far: linear softmax pooling (Wang, Li and Metze 2019, arXiv 1810.09050), in
which a frame counts as much as it is sure. It comes after the network, in float, since an integer average over seconds
would stall in steps of its scale.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class PoolingState(NamedTuple):
    """`sums` and `squares` (classes,) float64: of the probabilities so far. States of two stretches add up."""

    sums: np.ndarray
    squares: np.ndarray


def initial_state(classes: int) -> PoolingState:
    """No frames."""
    return PoolingState(np.zeros(classes), np.zeros(classes))


def pool(probabilities: np.ndarray, state: PoolingState | None = None) -> tuple[np.ndarray, PoolingState]:
    """(frames, classes) in [0, 1] -> tags (classes,) of all frames so far, zero where there were none, and the next state."""
    sums, squares = state or initial_state(probabilities.shape[1])
    values = probabilities.astype(np.float64)
    state = PoolingState(sums + values.sum(0), squares + np.square(values).sum(0))
    return tags(state), state


def tags(state: PoolingState) -> np.ndarray:
    """(classes,) float32 of a state."""
    return (state.squares / np.maximum(state.sums, 1e-6)).astype(np.float32)
