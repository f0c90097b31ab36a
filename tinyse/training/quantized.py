"""The grids of a stage that trains integers: chosen once by error, as export chooses them, and then fixed."""

from __future__ import annotations

from pathlib import Path

from tinyse.clips import valid_clips
from tinyse.export import calibration_of, float_step
from tinyse.quantization.quantize import activation_grids
from tinyse.quantization.trained import TrainedGrids
from tinyse.recipe import Stage
from tinyse.recordings import Manifest
from tinyse.training.stage import model_path


def choose_grids(stage: Stage, manifest: Manifest, folder: Path) -> TrainedGrids:
    """From the finished stage that this one goes on from; the same grids whenever it is asked, so a run can go on."""
    if stage.quantize is None or stage.start is None:
        raise ValueError("the stage does not train integers")
    step, precision = float_step(model_path(folder, stage.start)), stage.quantize.precision
    if step.trained is not None and step.is_trained_in(precision):
        return step.trained
    clips = [(clip.name, clip.sound) for clip in valid_clips(manifest, stage.quantize.clips)]
    integers = step.integers(precision, calibration_of(step.graph, step.front_end, clips))
    return TrainedGrids(precision, activation_grids(integers))
