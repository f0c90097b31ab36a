"""The distillation part of a training stage: which views on which layers, and how much of the teacher's output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tinyse.distillation import views
from tinyse.errors import InputError


@dataclass(frozen=True)
class Distillation:
    """What the student learns of the teacher. Alone in a stage it is the first of two steps; beside a supervised loss
    it is the weighted mixture, the usual baseline."""

    teacher: str
    """The stage of this recipe whose model teaches, or the path of a model file."""
    views: dict[str, float] = field(default_factory=dict)
    """Weight of the similarity loss for each view (batch, frame, bin, utterance)."""
    layers: tuple[str, ...] = (
        "encoder_1",
        "encoder_2",
        "encoder_3",
        "encoder_4",
        "gru",
        "decoder_4",
        "decoder_3",
        "decoder_2",
    )
    """Blocks compared by the views, student's and teacher's of the same name."""
    output: float = 0.0
    """Weight of output distillation: the squared difference of the two outputs (masks, or logits' probabilities)."""

    def __post_init__(self) -> None:
        for view in self.views:
            views.named(view)
        if not self.output and not any(self.views.values()):
            raise InputError("distillation: give a view or the output a weight")
        if any(self.views.values()) and not self.layers:
            raise InputError("distillation: the views need layers to compare")

    @property
    def compares_clips(self) -> bool:
        """Whether a view needs at least two clips in a batch."""
        return any(weight and view != "utterance" for view, weight in self.views.items())


def distillation_loss(
    config: Distillation,
    student_layers: Mapping[str, Tensor],
    teacher_layers: Mapping[str, Tensor],
    student_output: Tensor,
    teacher_output: Tensor,
) -> Tensor:
    """The weighted sum over views of the mean over layers, plus output distillation."""
    total = student_output.new_zeros(())
    for view, weight in config.views.items():
        if weight:
            losses = [views.similarity_loss(student_layers[k], teacher_layers[k], view) for k in config.layers]
            total = total + weight * torch.stack(losses).mean()
    if config.output:
        total = total + config.output * (student_output - teacher_output.detach()).square().mean()
    return total
