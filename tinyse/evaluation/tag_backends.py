"""Probabilities from a classifier's float and integer forms: the backends of its chain of numbers.

The quantized results are the reference's own, run over many clips at once; TFLM and the C compute the same bits (tests).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinyse.errors import InputError
from tinyse.graph.execution import initial_state
from tinyse.graph.sequence import Sequence as QuantizedSequence
from tinyse.spectra.front_end import FrontEnd, FrontEndConfig, front_end_in
from tinyse.streaming.pooling import pool
from tinyse.tflite.reader import read

if TYPE_CHECKING:
    from tinyse.models.making import Networks

CLIPS = 32
"""Number of clips that are computed at once."""


def float_tags(model: Path, sounds: Sequence[np.ndarray], networks: Networks = ()) -> np.ndarray:
    """(clips, classes) of a .safetensors for sounds of one length, (samples,) each."""
    return pooled_clips(float_probabilities(model, sounds, networks)[0])


def quantized_tags(model: Path, sounds: Sequence[np.ndarray]) -> np.ndarray:
    """(clips, classes) of an int8 .tflite, in the arithmetic of a device."""
    return pooled_clips(quantized_probabilities(model, sounds)[0])


def float_probabilities(
    model: Path, sounds: Sequence[np.ndarray], networks: Networks = ()
) -> tuple[np.ndarray, FrontEndConfig]:
    """(clips, frames, classes) of a .safetensors for sounds of one length, (samples,) each, and its front end.

    `networks`: see `tinyse.models.files.load_model`.
    """
    import torch

    from tinyse.models.files import load_model

    network, config, _ = load_model(model, networks)
    probabilities = []
    for group in _groups(features_of(config, sounds)):
        with torch.inference_mode():
            probabilities.append(network(torch.from_numpy(group), network.initial_state(len(group)))[0].numpy())
    return np.concatenate(probabilities), config


def quantized_probabilities(model: Path, sounds: Sequence[np.ndarray]) -> tuple[np.ndarray, FrontEndConfig]:
    """The same of an int8 .tflite, in the arithmetic of a device."""
    graph = read(model)
    if "tags" not in graph.outputs:
        raise InputError(f"{model} is not a classifier: its step gives {', '.join(graph.outputs)}")
    features, tags = graph.tensors[graph.inputs["features"]], graph.tensors[graph.outputs["tags"]]
    run, probabilities = QuantizedSequence(graph), []
    config = front_end_in(graph.metadata, str(model)).config
    for group in _groups(features_of(config, sounds)):
        given = features.quantize(group).transpose(1, 0, 2).reshape(group.shape[1], len(group), *features.shape)
        state = {name: np.stack([value] * len(group)) for name, value in initial_state(graph).items()}
        made = tags.dequantize(run({"features": given}, state)[tags.name])
        probabilities.append(made[:, :, 0].transpose(1, 0, 2))
    return np.concatenate(probabilities), config


def features_of(config: FrontEndConfig, sounds: Sequence[np.ndarray]) -> np.ndarray:
    """(clips, frames, bands) of sounds of one length."""
    front_end = FrontEnd(config)
    return np.stack([front_end.clip_features(sound) for sound in sounds])


def pooled_clips(probabilities: np.ndarray) -> np.ndarray:
    """(clips, frames, classes) -> (clips, classes): what a stream says at the end of each clip."""
    return np.stack([pool(clip)[0] for clip in probabilities])


def _groups(features: np.ndarray) -> list[np.ndarray]:
    return np.split(features, range(CLIPS, len(features), CLIPS))
