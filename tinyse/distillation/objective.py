"""The distillation part of a training stage: which views on which layers, and how much of the teacher's output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from tinyse.config import Between, check_bounds
from tinyse.distillation import views
from tinyse.distillation.external import OnnxTeacher
from tinyse.errors import InputError


@dataclass(frozen=True)
class Distillation:
    """What the student learns from the teacher. Alone in a stage, it is the first of two steps; together with a supervised
    loss, it is the weighted mixture, the usual baseline."""

    teacher: str | OnnxTeacher | tuple[str | OnnxTeacher, ...]
    """The stage of this recipe whose model teaches, a released model by its name, the path of a .safetensors, or
    `{onnx: PATH, window: hann}` for a third-party model; several are an ensemble, which teaches their mean output."""
    views: dict[str, Annotated[float, Between(0, 1e9)]] = field(default_factory=dict)
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
    """Blocks that the views compare, in student and teacher by the same name."""
    output: Annotated[float, Between(0, 1e9)] = 0.0
    """Weight of output distillation: the squared difference of the two outputs (masks, or logits' probabilities)."""
    patches: Annotated[int, Between(0, 1024)] = 0
    """Above 0, `output` counts only where the teacher is nearer to the truth than the student: in patches of so many frames
    and bands (DISPatch, arXiv 2509.15922)."""
    target: Annotated[float, Between(0, 1)] = 0.0
    """Share of the teacher's result (sound, or tags) in the target of the supervised losses; the rest is the truth."""

    def __post_init__(self) -> None:
        check_bounds(self)
        if not self.teachers:
            raise InputError("teacher: name at least one")
        for path in self.ours:
            if path.endswith(".onnx"):
                raise InputError(f"teacher: say which window {path} uses: "
                                 f"{{onnx: {path}, window: hann}}, or sqrt-hann")  # fmt: skip
        for view in self.views:
            views.named(view)
        if not (self.output or self.target or any(self.views.values())):
            raise InputError("give a view, the output or the target a weight")
        if any(self.views.values()) and (len(self.teachers) > 1 or self.external):
            raise InputError("views: they compare layers with those of one tinyse network; "
                             "an ensemble or an ONNX model teaches by `output` or `target`")  # fmt: skip
        if self.patches and not self.output:
            raise InputError("patches: they choose where `output` counts; give it a weight")
        if any(self.views.values()) and not self.layers:
            raise InputError("views: they need layers to compare")

    @property
    def teachers(self) -> tuple[str | OnnxTeacher, ...]:
        """All teachers: one, or an ensemble."""
        return self.teacher if isinstance(self.teacher, tuple) else (self.teacher,)

    @property
    def ours(self) -> tuple[str, ...]:
        """Those that are networks of ours: names of stages, or paths."""
        return tuple(teacher for teacher in self.teachers if isinstance(teacher, str))

    @property
    def external(self) -> tuple[OnnxTeacher, ...]:
        """Those that are not ours and teach by their sound."""
        return tuple(teacher for teacher in self.teachers if isinstance(teacher, OnnxTeacher))

    @property
    def compared(self) -> list[str]:
        """The layers whose outputs are needed: none without a view."""
        return list(self.layers) if any(self.views.values()) else []

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
    gather: views.Gather = views.alone,
    ideal: Tensor | None = None,
) -> Tensor:
    """The weighted sum over views of the mean over layers, plus output distillation; `ideal` is the true output, for `patches`.

    Where processes share a batch, `gather` brings the clips of all, and the mean over processes is the whole batch's.
    """
    total = student_output.new_zeros(())
    for view, weight in config.views.items():
        if weight:
            losses = [views.similarity_loss(student_layers[k], teacher_layers[k], view, gather) for k in config.layers]
            total = total + weight * torch.stack(losses).mean()
    if config.output:
        teacher_output = teacher_output.detach()
        difference = (student_output - teacher_output).square()
        if config.patches:
            if ideal is None:
                raise ValueError("patches compare both outputs with the true one")
            difference = difference * teacher_is_nearer(student_output.detach(), teacher_output, ideal, config.patches)
        total = total + config.output * difference.mean()
    return total


def teacher_is_nearer(student: Tensor, teacher: Tensor, truth: Tensor, size: int) -> Tensor:
    """All (batch, frames, bands); 1 in patches of `size` frames and bands where the student's squared error is larger than
    the teacher's, else 0: the sign of the Knowledge Gap Score of arXiv 2509.15922, here of masks. The last patches are
    smaller where the size does not divide."""
    gap = ((student - truth).square() - (teacher - truth).square()).float()
    patches = functional.avg_pool2d(gap[:, None], size, ceil_mode=True, count_include_pad=False)
    chosen = (patches > 0).to(student.dtype).repeat_interleave(size, 2).repeat_interleave(size, 3)
    return chosen[:, 0, : gap.shape[1], : gap.shape[2]]
