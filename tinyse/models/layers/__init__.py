"""Streaming layers: `layer(x, state) -> (y, state)` on activations (batch, channels, frames, bins).

A clip is one call with many frames, a stream one call per frame; the state carries what lies in between. A state is one
frame of an activation or a few, (batch, channels, frames, bins): the last inputs of a convolution, the last output of a
GRU. All start from zero. A layer without a state is `layer(x) -> y`.

Each layer also emits itself as operators of an exported step (`emit`), with its normalization folded into weights; the
layout there is (1, frames, bins, channels). In quantization-aware training it replays what these operators have computed
(`replay`).
"""

from tinyse.models.layers.activations import ACTIVATIONS, Activation
from tinyse.models.layers.convolutions import CausalConvolution, Convolution, UpsamplingConvolution
from tinyse.models.layers.delay import Delay
from tinyse.models.layers.dense import BinMixing, Classifier
from tinyse.models.layers.layer import Layer, StreamingLayer
from tinyse.models.layers.recurrent import GatedRecurrence, GroupedGRU, SharedGRU

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "BinMixing",
    "CausalConvolution",
    "Classifier",
    "Convolution",
    "Delay",
    "GatedRecurrence",
    "GroupedGRU",
    "Layer",
    "SharedGRU",
    "StreamingLayer",
    "UpsamplingConvolution",
]
