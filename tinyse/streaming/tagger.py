"""`Tagger`: chunks of sound of any length in, a decision about every second out; the same for float and integer models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyse.errors import InputError
from tinyse.models.architecture import classes_of
from tinyse.released import find
from tinyse.spectra.front_end import front_end_in
from tinyse.streaming import hops, pooling
from tinyse.streaming.opening import EngineName, check_fit, open_engine
from tinyse.streaming.pooling import PoolingState


@dataclass(frozen=True)
class Decision:
    """The tags of a stretch of the stream."""

    start_seconds: float
    end_seconds: float
    tags: dict[str, float]
    """Probability of each class."""

    def likeliest(self, least: float = 0.5, count: int = 3) -> dict[str, float]:
        """At most `count` tags of a probability of at least `least`, the likeliest first."""
        ordered = sorted(self.tags.items(), key=lambda item: -item[1])
        return {name: value for name, value in ordered[:count] if value >= least}

    def as_text(self, least: float = 0.5, count: int = 3) -> str:
        """`likeliest` in one line; a dash where there are none."""
        return ", ".join(f"{name} {value:.2f}" for name, value in self.likeliest(least, count).items()) or "-"


class Tagger:
    """A stream of mono sound, at the model's `sample_rate`, through one that names classes: tags, or whether anyone speaks.

    The network keeps its state; a decision pools the frames of its own stretch, `whole` those of all. What
    `whole` says after a clip is what the clip's tags are in training and evaluation.

        tagger = Tagger("model.tflite")
        for chunk in microphone:
            for decision in tagger.process(chunk):
                print(decision.likeliest())

    Threads and processes as with a `Denoiser`.
    """

    def __init__(self, model: str | Path, engine: EngineName | None = None, every_seconds: float = 1.0) -> None:
        """`model` and `engine` as in `Denoiser`; the engine c is the firmware's network after the front end in numpy.

        `every_seconds` is rounded to whole hops. Raises InputError for a model that cannot be used.
        """
        path = find(model)
        self.engine = open_engine(path, engine)
        metadata = self.engine.metadata
        if "classes" not in metadata:
            raise InputError(f"{path} is not a tagger of tinyse: its metadata names no classes (its task is "
                             f"{metadata.get('task')!r})")  # fmt: skip
        self.front_end = front_end_in(metadata, str(path))
        self.classes = classes_of(metadata, str(path))
        check_fit(self.engine, self.front_end.config.bands, len(self.classes), path)
        self.frames_a_decision = round(every_seconds * self.front_end.config.frames_per_second)
        if self.frames_a_decision < 1:
            raise InputError(f"a decision every {every_seconds:g} s is less than one hop of "
                             f"{self.front_end.config.hop_ms:g} ms")  # fmt: skip
        self.reset()

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return self.front_end.config.sample_rate

    @property
    def hop(self) -> int:
        """Samples that are worked on at a time."""
        return self.front_end.config.hop

    def reset(self) -> None:
        """Reset the stream to silence."""
        self._analysis, self._level, _ = self.front_end.initial_state()
        self._network = self.engine.initial_state()
        self._waiting = hops.NOTHING
        self._heard = 0
        self._frames = 0
        self._pooled = pooling.initial_state(len(self.classes))
        self._total = pooling.initial_state(len(self.classes))

    def process(self, chunk: np.ndarray) -> list[Decision]:
        """A chunk (samples,) of any length, int16 or float in [-1, 1), to the decisions that it completes.

        Raises InputError for another shape or type, and for NaN or infinite samples; the stream then stands where it was.
        """
        whole, self._waiting = hops.whole_hops(self._waiting, hops.as_float(np.asarray(chunk)), self.hop)
        spectra, self._analysis = self.front_end.analyze(whole, self._analysis)
        features, self._level = self.front_end.features(spectra, self._level)
        decisions = []
        for frame in features:
            probabilities, self._network = self.engine.step(frame, self._network)
            _, self._pooled = pooling.pool(probabilities[None], self._pooled)
            self._frames += 1
            self._heard += 1
            if self._frames == self.frames_a_decision:
                decisions.append(self._decide())
        return decisions

    def flush(self) -> list[Decision]:
        """The decision about a last, shorter stretch, if there is one; samples after the last whole hop are left out."""
        self._waiting = hops.NOTHING
        return [self._decide()] if self._frames else []

    def whole(self) -> Decision:
        """About all since the last reset."""
        return self._decision(0, self._heard, self._summed())

    def _summed(self) -> PoolingState:
        return PoolingState(*(a + b for a, b in zip(self._total, self._pooled, strict=True)))

    def _decide(self) -> Decision:
        decision = self._decision(self._heard - self._frames, self._heard, self._pooled)
        self._total, self._pooled = self._summed(), pooling.initial_state(len(self.classes))
        self._frames = 0
        return decision

    def _decision(self, start: int, end: int, state: PoolingState) -> Decision:
        rate = self.front_end.config.frames_per_second
        values = pooling.tags(state)
        return Decision(start / rate, end / rate, {n: float(v) for n, v in zip(self.classes, values, strict=True)})
