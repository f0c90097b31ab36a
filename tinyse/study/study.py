"""One model in every precision, side by side: what each loses against the float stream, and what it costs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyse.boards.boards import ETHOS_U55_128
from tinyse.boards.vela import VelaSummary, compile_for
from tinyse.config import did_you_mean
from tinyse.engines.tflite_engines import ENGINES, FileEngine, LiteRTEngine, TFLMEngine
from tinyse.errors import InputError
from tinyse.evaluation.chain import Scores, score
from tinyse.evaluation.pairs import LoadedPair, Pair
from tinyse.export import FloatStep, calibration_of, float_step
from tinyse.graph.graph import Graph
from tinyse.quantization.precision import PRECISIONS
from tinyse.streaming.denoiser import Denoiser
from tinyse.streaming.opening import EngineName
from tinyse.study.stress import LongStream, Sticking, check_minutes, long_streams, sticking
from tinyse.targets.report import report
from tinyse.tflite.writer import save

if TYPE_CHECKING:
    from tinyse.models.making import Networks

FLOAT = "float stream"
METRICS = ("si_sdr", "pesq", "stoi")
TIMED_FRAMES = 200
GENERAL_STEM = "model"
"""What training calls every file: no name of a model."""

Progress = Callable[[str, float], None]
"""Gets what is being done, and the share of it that is, 0 to 1."""


@dataclass(frozen=True)
class Cost:
    """What one precision takes."""

    file_bytes: int
    state_bytes: int
    arena_bytes: int | None
    """TFLM's on this computer, whose pointers are twice a device's; None without the package."""
    litert_us: float
    """Median of a frame on this computer, one thread: XNNPACK's kernels."""
    tflm_us: float | None
    """The same in TFLM's reference kernels."""
    vela: VelaSummary | None
    """The figures of an Ethos-U55-128, all in SRAM; None without Vela."""


@dataclass(frozen=True)
class Study:
    """All that was measured. The dictionaries run over the precisions; `scores` has the float stream, too."""

    model: str
    trained: str | None
    """The precision that the model was trained in, with quantization parameters of its own; the others are post-training."""
    engine: str
    clips: list[dict[str, Any]]
    """What calibration replayed."""
    scores: Scores
    streams: dict[str, LongStream]
    sticking: dict[str, Sticking]
    costs: dict[str, Cost]


def study(
    model: str | Path,
    clips: Sequence[tuple[str, np.ndarray]],
    pairs: Sequence[Pair],
    folder: Path,
    precisions: Sequence[str] = PRECISIONS,
    minutes: float = 1.0,
    engine: EngineName = "tflm",
    processes: int = 1,
    parent: str | Path | None = None,
    vela: bool = False,
    progress: Progress = lambda part, share: None,
    networks: Networks = (),
) -> Study:
    """Export the .safetensors `model` in all `precisions` to `folder`, run each with `engine` and measure.

    `parent` is for a model from quantization-aware training: the float .safetensors that it came from. Then all is measured
    against the parent's float stream, the precisions are the parent's after training, and the model's own is one more.
    `clips` calibrate and `pairs` are scored: have them compared by `clips.refuse_scored` first. `vela` asks Arm's
    compiler for cycles and memory on an NPU; `networks` are classes of your own that the models may be made of. Raises
    InputError for what cannot be used.
    """
    _check(precisions, engine)
    check_minutes(minutes)
    step = float_step(model, networks)
    origin = step if parent is None else _parent(step, model, parent, networks)
    front_end = step.front_end
    progress(f"calibrating on {len(clips)} clips", 0)
    calibration = calibration_of(origin.graph, front_end, clips)
    graphs = {precision: origin.quantized(precision, calibration) for precision in precisions}
    if origin is not step and step.trained is not None:
        graphs[f"{step.trained.precision}, trained"] = step.quantized(step.trained.precision, None)
    files = _saved(Path(model).stem, origin.graph, graphs, folder)
    engines = {name: ENGINES["litert" if name == FLOAT else engine](path) for name, path in files.items()}
    features = front_end.clip_features(clips[0][1])
    costs = {}
    for index, (name, graph) in enumerate(graphs.items()):
        progress("sizes and times", index / len(graphs))
        costs[name] = _cost(report(graph), files[name], features, vela)

    loaded = enough(pairs, minutes, front_end.config.sample_rate)
    progress("silence, quiet speech, jumps", 0)
    speech = np.concatenate([pair.clean for pair in loaded])[: 10 * front_end.config.sample_rate]
    stuck = sticking(engines, front_end, speech)
    long = f"a stream of {minutes:g} minutes"
    streams = long_streams(engines, front_end, loaded, minutes, _part(minutes), lambda share: progress(long, share))
    runs: dict[str, EngineName] = {name: "litert" if name == FLOAT else engine for name in files}
    backends = {name: Denoiser(path, engine=runs[name]).denoise for name, path in files.items()}
    done = itertools.count(1)
    scores = score(backends, pairs, METRICS, processes,
                   sample_rate=front_end.config.sample_rate,
                   progress=lambda: progress(f"scoring {len(pairs)} pairs", next(done) / len(pairs)))  # fmt: skip
    trained = step.trained.precision if step.trained and origin is step else None
    return Study(_title(step, model), trained, engine, list(calibration.clips), scores, streams, stuck, costs)


def _check(precisions: Sequence[str], engine: str) -> None:
    for precision in precisions:
        if precision not in PRECISIONS:
            raise InputError(f"unknown precision {precision!r}{did_you_mean(precision, PRECISIONS)}")
    if engine not in ENGINES:
        raise InputError(f"no engine is named {engine!r}{did_you_mean(engine, ENGINES)}")


def _saved(stem: str, origin: Graph, graphs: Mapping[str, Graph], folder: Path) -> dict[str, Path]:
    """The files in which the float step and those of each precision are now, the float one first."""
    files = {FLOAT: folder / f"{stem}-float.tflite"}
    files |= {name: folder / f"{stem}-{name.replace(', ', '-')}.tflite" for name in graphs}
    for name, graph in {FLOAT: origin, **graphs}.items():
        save(graph, files[name])
    return files


def _parent(step: FloatStep, model: str | Path, parent: str | Path, networks: Networks) -> FloatStep:
    """The float step that `step` was trained from. Raises InputError where they are not such a pair."""
    if step.trained is None:
        raise InputError(f"{model} does not come from quantization-aware training: study it without a parent")
    origin = float_step(parent, networks)
    if origin.front_end.config != step.front_end.config:
        raise InputError(f"{parent} has another front end than {model}: it is not its parent")
    return origin


def _title(step: FloatStep, model: str | Path) -> str:
    """What the model is called: by its recipe, or where that has widths of its own, by its file or folder."""
    named, path = step.graph.metadata["model"], Path(model).resolve()
    if named not in ("custom", GENERAL_STEM):
        return str(named)
    return path.parent.name if path.stem == GENERAL_STEM else path.stem


def _part(minutes: float) -> float:
    """Seconds of a part of the long stream: ten parts or more, each long enough to hold speech."""
    return min(60.0, max(3.0, 6 * minutes))


def enough(pairs: Sequence[Pair], minutes: float, sample_rate: int) -> list[LoadedPair]:
    """The first pairs, as many as fill the long stream, and ten seconds at least; or all."""
    loaded, samples = [], 0
    for pair in pairs:
        loaded.append(pair.load(sample_rate))
        samples += len(loaded[-1].noisy)
        if samples >= 60 * max(minutes, 1 / 6) * sample_rate:
            break
    return loaded


def _cost(facts: dict[str, Any], path: Path, features: np.ndarray, vela: bool) -> Cost:
    arena = facts["arena"]["bytes"]
    return Cost(
        facts["file_bytes"],
        facts["state_bytes"],
        arena,
        _median_us(LiteRTEngine(path), features),
        _median_us(TFLMEngine(path), features) if arena is not None else None,
        compile_for(ETHOS_U55_128, path) if vela else None,
    )


def _median_us(engine: FileEngine, features: np.ndarray) -> float:
    """Median microseconds of a frame of `features` (frames, bands), what quantizes and copies around it included."""
    state, times = engine.initial_state(), []
    for frame in np.resize(features, (TIMED_FRAMES, features.shape[1])):
        started = time.perf_counter()
        _, state = engine.step(frame, state)
        times.append(time.perf_counter() - started)
    return 1e6 * float(np.median(times))
