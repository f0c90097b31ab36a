"""From a trained model to .tflite files: emit the step, calibrate it, make integers, write, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyse.errors import InputError, missing_extra
from tinyse.files import sha256, write_json
from tinyse.integers.calibration import Calibration, calibrate
from tinyse.integers.graph import Graph
from tinyse.integers.quantise import quantise
from tinyse.integers.report import as_text, report
from tinyse.spectra.front_end import FrontEnd
from tinyse.tflite.writer import save


@dataclass(frozen=True)
class Exported:
    """Files of one export."""

    integers: Path
    """The .tflite for the device."""
    floats: Path
    """The same step in float32: what the integers are compared with, and what runs without torch."""
    report: dict[str, Any]

    @property
    def text(self) -> str:
        """The report to read."""
        return as_text(self.report)


def export_model(
    model: str | Path,
    clips: Sequence[tuple[str, np.ndarray]],
    folder: str | Path | None = None,
    precision: str = "int8",
) -> Exported:
    """Export the .safetensors `model` to `folder` (default: its own), named after it.

    `clips` are names and noisy sound (samples,) for calibration: from train or valid, never from what the model is scored
    on. Raises InputError for a model or clips that cannot be used.
    """
    model = Path(model)
    folder = model.parent if folder is None else Path(folder)
    graph, front_end = float_step(model)
    calibration = calibration_of(graph, front_end, clips)
    integers: Graph = quantise(graph, calibration, precision)
    result = Exported(folder / f"{model.stem}.tflite", folder / f"{model.stem}-float.tflite", {})
    save(graph, result.floats)
    save(integers, result.integers)
    result.report.update(report(integers, calibration))
    write_json(folder / f"{model.stem}-report.json", result.report)
    return result


def float_step(model: str | Path) -> tuple[Graph, FrontEnd]:
    """The step of a .safetensors in float32, with all that its file must say of it, and the front end before it.

    Raises InputError for a model that cannot be used.
    """
    try:
        from tinyse.models.files import load_model
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tinyse"):
            raise
        raise missing_extra(error.name or "torch", "train") from error
    model = Path(model)
    network, front_end_config, header = load_model(model)
    graph = network.emit(model.stem)
    graph.metadata = {
        **{key: header[key] for key in ("format", "task", "front_end", "architecture")},
        "model": header.get("model", model.stem),
        "weights_sha256": sha256(model),
    }
    return graph, FrontEnd(front_end_config)


def calibration_of(graph: Graph, front_end: FrontEnd, clips: Sequence[tuple[str, np.ndarray]]) -> Calibration:
    """What a step's activations take on noisy sound: `clips` are names and sounds (samples,)."""
    if not clips:
        raise InputError("calibration needs at least one clip of noisy sound")
    return calibrate(graph, [(name, {"features": clip_features(front_end, clip)}) for name, clip in clips])


def clip_features(front_end: FrontEnd, samples: np.ndarray) -> np.ndarray:
    """(samples,) -> (frames, bands): what the network sees of a clip; samples behind the last whole hop are left out."""
    whole = len(samples) // front_end.config.hop * front_end.config.hop
    analysis, level, _ = front_end.initial_state()
    spectra, _ = front_end.analyse(samples[:whole], analysis)
    return front_end.features(spectra, level)[0]
