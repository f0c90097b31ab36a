"""The classifier: the denoiser's encoder and GRUs, and the probability of each class in every frame.

Convolutional-recurrent, as the networks of arXiv 2009.01759 are. Pooling over time is not part of the step: probabilities
of frames leave it, and its caller pools them (`tinyse.streaming.pooling`), so the quantized step needs no slow average.
"""

from __future__ import annotations

from torch import Tensor

from tinyse.errors import InputError
from tinyse.models.architecture import Architecture
from tinyse.models.layers import Classifier
from tinyse.models.network import Encoder
from tinyse.models.wiring import Runner, V


class ClassifierNetwork(Encoder):
    """Features (batch, frames, bands) and a state to probabilities (batch, frames, classes) and the next state.

    After the encoder comes `classifier`. It serves every task that listens: `task` is the one that its file names.
    """

    result = "tags"

    def __init__(self, architecture: Architecture, bands: int, classes: tuple[str, ...], task: str = "tagging") -> None:
        super().__init__(architecture, bands)
        self.task = task
        if not classes or len(set(classes)) != len(classes):
            raise InputError(f"classes: one or more different names are needed, not {list(classes)}")
        self.classes = classes
        channels, _, bins = self.state_shapes["gru"]
        self.blocks["classifier"] = Classifier(channels, bins, len(classes))

    def wire(self, run: Runner[V], x: V) -> V:
        x, _ = self.encode(run, x)
        return run.sigmoid("tags", run.layer("classifier", x))


def pooled(probabilities: Tensor) -> Tensor:
    """(batch, frames, classes) -> (batch, classes): sum p^2 / sum p over the frames.

    Linear softmax pooling (Wang, Li and Metze 2019, arXiv 1810.09050): frames count as much as they are sure, so a bark in
    a long silence is a bark. Two running sums compute it as a stream.
    """
    return probabilities.square().sum(1) / probabilities.sum(1).clamp_min(1e-6)
