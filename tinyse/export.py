"""From a trained model to .tflite files: emit the step, calibrate it, make integers, write, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyse.errors import InputError
from tinyse.files import sha256, write_json
from tinyse.integers.calibration import calibrate
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
    from tinyse.models.files import load_model

    model = Path(model)
    folder = model.parent if folder is None else Path(folder)
    network, front_end_config, header = load_model(model)
    if not clips:
        raise InputError("calibration needs at least one clip of noisy sound")
    graph = network.emit(model.stem)
    graph.metadata = {
        **{key: header[key] for key in ("format", "task", "front_end", "architecture")},
        "model": header.get("model", model.stem),
        "weights_sha256": sha256(model),
    }
    front_end = FrontEnd(front_end_config)
    calibration = calibrate(graph, [(name, {"features": clip_features(front_end, clip)}) for name, clip in clips])
    integers: Graph = quantise(graph, calibration, precision)
    result = Exported(folder / f"{model.stem}.tflite", folder / f"{model.stem}-float.tflite", {})
    save(graph, result.floats)
    save(integers, result.integers)
    result.report.update(report(integers, calibration))
    write_json(folder / f"{model.stem}-report.json", result.report)
    return result


def clip_features(front_end: FrontEnd, samples: np.ndarray) -> np.ndarray:
    """(samples,) -> (frames, bands): what the network sees of a clip; samples behind the last whole hop are left out."""
    whole = len(samples) // front_end.config.hop * front_end.config.hop
    analysis, level, _ = front_end.initial_state()
    spectra, _ = front_end.analyse(samples[:whole], analysis)
    return front_end.features(spectra, level)[0]
