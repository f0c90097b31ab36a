"""What values the activations of a float step take: clips replayed frame by frame from silence, the state carried."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyse.errors import InputError
from tinyse.graph import float_execution
from tinyse.graph.graph import Graph
from tinyse.quantization.structure import sources

BINS = 4096
TOGETHER = 16
"""Frames that are counted at once."""


class Histogram:
    """Counts of values in equal bins over [-limit, limit); exact zeros, which every scale represents, are left out.

    `limit` is a power of two that doubles as values come, two bins becoming one.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.limit = 2.0**-20
        self.low = self.high = 0.0

    @property
    def width(self) -> float:
        """Width of a bin."""
        return 2 * self.limit / BINS

    @property
    def centers(self) -> np.ndarray:
        """(bins,) the middle of each bin."""
        return (np.arange(BINS) + 0.5) * self.width - self.limit

    def add(self, values: np.ndarray) -> None:
        """Count finite values."""
        self.add_frames(values.reshape(1, -1))

    def add_frames(self, frames: np.ndarray) -> None:
        """Count finite values (frames, ...) as if the frames came one by one; at once as long as none widens the range."""
        frames = frames.reshape(len(frames), -1)
        low, high = frames.min(axis=1), frames.max(axis=1)
        self.low, self.high = min(self.low, float(low.min())), max(self.high, float(high.max()))
        reach, first = np.maximum(-low, high), 0
        while first < len(frames):
            self._widen(float(reach[first]))
            wider = np.flatnonzero(reach[first:] >= self.limit)
            last = first + int(wider[0]) if len(wider) else len(frames)
            self._count(frames[first:last])
            first = last

    def _count(self, values: np.ndarray) -> None:
        values = values[values != 0]
        bins = ((values.ravel() + self.limit) / self.width).astype(np.int64)
        self.counts += np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)

    def merge(self, other: Histogram) -> None:
        """Count what `other` has counted."""
        self._widen(other.limit / 2)
        counts = other.counts
        for _ in range(round(np.log2(self.limit / other.limit))):
            counts = _halved(counts)
        self.counts = self.counts + counts
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def _widen(self, reach: float) -> None:
        while reach >= self.limit:
            self.counts, self.limit = _halved(self.counts), 2 * self.limit


def _halved(counts: np.ndarray) -> np.ndarray:
    """The same counts over twice the range: pairs become one, in the middle."""
    result = np.zeros_like(counts)
    result[BINS // 4 : 3 * BINS // 4] = counts.reshape(-1, 2).sum(axis=1)
    return result


@dataclass
class Calibration:
    """A histogram of every activation that is made and not only moved, and the clips that it was taken from.

    `clips` has a {"name", "frames", "sha256"} of each.
    """

    histograms: dict[str, Histogram] = field(default_factory=dict)
    clips: list[dict[str, Any]] = field(default_factory=list)

    def of(self, tensors: Sequence[str]) -> Histogram:
        """One histogram of several tensors' values."""
        total = Histogram()
        for name in tensors:
            if name not in self.histograms:
                raise InputError(f"the calibration has not seen {name!r}: calibrate the same graph that is quantized")
            total.merge(self.histograms[name])
        return total


def calibrate(graph: Graph, clips: Iterable[tuple[str, Mapping[str, np.ndarray]]]) -> Calibration:
    """Replay `clips`, pairs of a name and {input: float32 (frames, ...)}, and count what every activation takes.

    A clip has all inputs of the signature that are not states; each frame is reshaped to the input's shape. Raises
    InputError for a clip that does not fit and for an activation that is not finite, by name.
    """
    program = float_execution.compile(graph)
    calibration = Calibration({name: Histogram() for name in sources(graph)})
    for name, inputs in clips:
        frames = frames_of(graph, name, inputs)
        replayed = float_execution.replay(program, frames)
        for first in range(0, len(frames), TOGETHER):
            some = list(itertools.islice(replayed, TOGETHER))
            made = {tensor: np.stack([values[tensor] for values in some]) for tensor in calibration.histograms}
            _check_finite(made, first, name)
            for tensor, histogram in calibration.histograms.items():
                histogram.add_frames(made[tensor])
        calibration.clips.append({"name": name, "frames": len(frames), "sha256": _digest(inputs)})
    if not calibration.clips:
        raise InputError("calibration needs at least one clip")
    return calibration


def _check_finite(made: Mapping[str, np.ndarray], first: int, clip: str) -> None:
    """Raise InputError for the first frame of (frames, ...), whose numbers begin at `first`, that has other values."""
    finite = {tensor: np.isfinite(values).reshape(len(values), -1).all(axis=1) for tensor, values in made.items()}
    wrong = [(int(np.argmin(frames)), tensor) for tensor, frames in finite.items() if not frames.all()]
    if wrong:
        frame, tensor = min(wrong, key=lambda place: place[0])
        raise InputError(f"{tensor!r} is not finite in frame {first + frame} of clip {clip}")


def frames_of(graph: Graph, name: str, inputs: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The frames of a clip, each in the shapes of the step's inputs. Raises InputError where it does not fit."""
    wanted = {key: graph.shape(tensor) for key, tensor in graph.inputs.items() if key not in graph.states}
    if set(inputs) != set(wanted):
        raise InputError(f"clip {name}: it has {sorted(inputs)}, the step takes {sorted(wanted)}")
    lengths = {len(values) for values in inputs.values()}
    sizes = {key: np.asarray(values[0]).size if len(values) else 0 for key, values in inputs.items()}
    if len(lengths) != 1 or 0 in lengths or any(sizes[key] != np.prod(shape) for key, shape in wanted.items()):
        raise InputError(f"clip {name}: frames of {sizes} values given, {wanted} expected")
    return [
        {key: np.asarray(values[i], np.float32).reshape(wanted[key]) for key, values in inputs.items()}
        for i in range(lengths.pop())
    ]


def _digest(inputs: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for key in sorted(inputs):
        digest.update(key.encode() + np.ascontiguousarray(inputs[key], "<f4").tobytes())
    return digest.hexdigest()
