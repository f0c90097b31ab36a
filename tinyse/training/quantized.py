"""The quantization parameters of a stage of quantization-aware training: chosen once by error, as export chooses them,
and then fixed."""

from __future__ import annotations

from pathlib import Path

from tinyse.clips import valid_clips
from tinyse.export import calibration_of, float_step
from tinyse.quantization.quantize import activation_qparams
from tinyse.quantization.trained import TrainedQparams
from tinyse.recipe import Stage
from tinyse.recordings import Manifest
from tinyse.training.stage import model_path


def choose_qparams(stage: Stage, manifest: Manifest, folder: Path) -> TrainedQparams:
    """From the finished stage that this one goes on from; the same whenever it is asked, so a run can resume."""
    if stage.quantize is None or stage.start is None:
        raise ValueError("the stage does not train a quantized network")
    step, precision = float_step(model_path(folder, stage.start)), stage.quantize.precision
    if step.trained is not None and step.is_trained_in(precision):
        return step.trained
    rate = step.front_end.config.sample_rate
    clips = [(clip.name, clip.sound) for clip in valid_clips(manifest, stage.quantize.clips, rate)]
    quantized = step.quantized(precision, calibration_of(step.graph, step.front_end, clips))
    return TrainedQparams(precision, activation_qparams(quantized))
