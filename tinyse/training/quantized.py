"""The quantization parameters of a stage of quantization-aware training: chosen once by error, as export chooses them,
and then fixed."""

from __future__ import annotations

from tinyse.clips import valid_clips
from tinyse.export import calibration_of, float_step
from tinyse.quantization.quantize import activation_qparams
from tinyse.quantization.trained import TrainedQparams
from tinyse.recipe import Recipe
from tinyse.recordings import open_data
from tinyse.tasks.stage_networks import networks_of
from tinyse.training.start import start_path


def choose_qparams(recipe: Recipe, name: str) -> TrainedQparams:
    """From the finished model that the stage `name` starts from; the same at every call, so a run can resume."""
    stage = recipe.stages[name]
    if stage.quantize is None:
        raise ValueError(f"the stage {name} does not train a quantized network")
    step, precision = float_step(start_path(recipe, name), networks_of(recipe)), stage.quantize.precision
    if step.trained is not None and step.is_trained_in(precision):
        return step.trained
    rate = step.front_end.config.sample_rate
    clips = [(clip.name, clip.sound) for clip in valid_clips(open_data(recipe.data_paths), stage.quantize.clips, rate)]
    quantized = step.quantized(precision, calibration_of(step.graph, step.front_end, clips))
    return TrainedQparams(precision, activation_qparams(quantized))
