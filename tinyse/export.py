"""From a trained model to .tflite files: emit the step, calibrate it, quantize, write, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyse.errors import InputError, needs
from tinyse.files import sha256, write_json
from tinyse.graph.graph import Graph
from tinyse.quantization.calibration import Calibration, calibrate
from tinyse.quantization.quantize import quantize
from tinyse.quantization.trained import TrainedQparams
from tinyse.spectra.front_end import FrontEnd
from tinyse.targets.report import as_text, report
from tinyse.targets.support import refuse_missing
from tinyse.tflite.writer import save

if TYPE_CHECKING:
    from tinyse.models.making import Networks


@dataclass(frozen=True)
class Exported:
    """Files of one export."""

    quantized: Path
    """The .tflite for the device."""
    floats: Path
    """The same step in float32: what the quantized step is compared with, and what runs without torch."""
    report_path: Path
    """Sizes, operators, states and calibration clips."""
    report: dict[str, Any]

    @property
    def summary(self) -> str:
        """Where the .tflite is and what is in it, in a line."""
        facts = self.report
        return (
            f"{self.quantized}: {facts['precision']}, {facts['file_bytes']:,} bytes, {facts['macs']:,} MAC per frame, "
            f"{facts['state_bytes']:,} bytes of state"
        )

    @property
    def text(self) -> str:
        """The report to read."""
        return as_text(self.report)


def export_model(
    model: str | Path,
    clips: Sequence[tuple[str, np.ndarray]],
    folder: str | Path | None = None,
    precision: str | None = None,
    target: str = "tflm",
    networks: Networks = (),
) -> Exported:
    """Export the .safetensors `model` to `folder` (default: its own), named after it.

    `precision`: by default the one that the model was trained in, else int8. `clips` are names and noisy sound (samples,)
    for calibration: from train or valid, never from what the model is scored on; a model that was trained in the
    precision brings its quantization parameters along and needs none. `target` is the runtime, one of
    `support.RUNTIMES`; `networks` are classes of your own that the model may be made of. Raises InputError for a model or
    clips that cannot be used and, by name, for an operator that the target lacks.
    """
    model = Path(model)
    folder = model.parent if folder is None else Path(folder)
    step = float_step(model, networks)
    precision = precision or (step.trained.precision if step.trained else "int8")
    calibration = None if step.is_trained_in(precision) else calibration_of(step.graph, step.front_end, clips)
    quantized = step.quantized(precision, calibration)
    refuse_missing(quantized, target)
    facts = report(quantized, calibration)
    if (facts["arena"]["reason"] or "").startswith("TFLM cannot"):  # it was asked itself; all targets build on it
        raise InputError(facts["arena"]["reason"])
    paths = [folder / f"{model.stem}{ending}" for ending in (".tflite", "-float.tflite", "-report.json")]
    result = Exported(paths[0], paths[1], paths[2], facts)
    save(step.graph, result.floats)
    write_json(result.report_path, result.report)
    save(quantized, result.quantized)  # last: where it is, the others are
    return result


@dataclass(frozen=True)
class FloatStep:
    """A trained model on its way to a quantized one."""

    graph: Graph
    """The step in float32, with all that its file must say of it."""
    front_end: FrontEnd
    trained: TrainedQparams | None
    """The quantization parameters that it was trained with, if any."""

    def is_trained_in(self, precision: str) -> bool:
        """Whether the model brings the quantization parameters of a precision along."""
        return self.trained is not None and self.trained.precision == precision

    def quantized(self, precision: str, calibration: Calibration | None) -> Graph:
        """The integer step: with the parameters of training where they are of this precision, else with calibrated ones."""
        if self.trained is not None and self.is_trained_in(precision):
            return quantize(self.graph, None, precision, self.trained.qparams)
        return quantize(self.graph, calibration, precision)


def float_step(model: str | Path, networks: Networks = ()) -> FloatStep:
    """The step of a .safetensors, before it is quantized; `networks` are classes of your own that it may be made of.

    Raises InputError for a model that cannot be used.
    """
    with needs("train"):
        from tinyse.models.files import load_model
    model = Path(model)
    network, front_end_config, header = load_model(model, networks)
    graph = network.emit(_printable(model.stem))
    graph.metadata = {
        **{key: header[key] for key in ("format", "task", "front_end", "architecture", "classes") if key in header},
        **({"teachers": header["teachers"]} if header.get("teachers") else {}),
        "model": _printable(header.get("model", model.stem)),
        "weights_sha256": sha256(model),
    }
    trained = header.get("quantization")
    return FloatStep(
        graph, FrontEnd(front_end_config), TrainedQparams.from_json(trained, str(model)) if trained else None
    )


def _printable(name: object) -> str:
    """What a model is called in its .tflite; a file may be called by any bytes, and its header may say anything."""
    return "".join(filter(str.isprintable, str(name)))[:100] or "model"


def calibration_of(graph: Graph, front_end: FrontEnd, clips: Sequence[tuple[str, np.ndarray]]) -> Calibration:
    """What a step's activations take on noisy sound: `clips` are names and sounds (samples,)."""
    if not clips:
        raise InputError("calibration needs at least one clip of noisy sound")
    return calibrate(graph, [(name, {"features": front_end.clip_features(clip)}) for name, clip in clips])
