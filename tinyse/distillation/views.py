"""Views of an activation for similarity-preserving distillation: which items are compared with which.

An activation is (batch, channels, frames, bins). A view turns it into items (groups, items, values): within a group,
every item is compared with every other. Teacher and student may differ in channels, never in what a view groups by.

    batch       b x b over channels, frames and bins        SP, Tung and Mori, arXiv 1907.09682
    frame       b x b at each frame                         arXiv 2309.08144, in our reading
    bin         b x b at each frame and bin                 arXiv 2309.08144, in our reading (the finest)
    utterance   frames x frames inside each clip            IUSP, arXiv 2009.01759
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from tinyse.config import did_you_mean
from tinyse.errors import InputError


def by_batch(activation: Tensor) -> Tensor:
    """Clips with one another, all of them at once: (b, c, t, f) -> (1, b, c t f). SP, arXiv 1907.09682."""
    return activation.flatten(1)[None]


def by_frame(activation: Tensor) -> Tensor:
    """Clips with one another at each frame: (b, c, t, f) -> (t, b, c f). arXiv 2309.08144."""
    return activation.permute(2, 0, 1, 3).flatten(2)


def by_bin(activation: Tensor) -> Tensor:
    """Clips with one another at each frame and bin, the finest: (b, c, t, f) -> (t f, b, c). arXiv 2309.08144."""
    return activation.permute(2, 3, 0, 1).flatten(0, 1)


def by_utterance(activation: Tensor) -> Tensor:
    """Frames with one another inside each clip: (b, c, t, f) -> (b, t, c f). IUSP, arXiv 2009.01759."""
    return activation.permute(0, 2, 1, 3).flatten(2)


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "batch": by_batch,
    "frame": by_frame,
    "bin": by_bin,
    "utterance": by_utterance,
}
SHARED = {"batch": (), "frame": (2,), "bin": (2, 3), "utterance": (2,)}
"""Axes on which teacher and student must agree, besides the batch."""


def named(view: str) -> Callable[[Tensor], Tensor]:
    """The view of that name. Raises InputError with the closest one."""
    if view not in VIEWS:
        raise InputError(f"no view is named {view!r}{did_you_mean(view, VIEWS)}")
    return VIEWS[view]


Gather = Callable[[Tensor], Tensor]
"""The clips (batch, ...) of one share of a batch to those of the whole batch."""


def alone(clips: Tensor) -> Tensor:
    """Where the share is the whole batch."""
    return clips


def gram(items: Tensor, others: Tensor) -> Tensor:
    """(groups, items, values), (groups, others, values) -> (groups, items, others): inner products, then each row divided by
    its L2 norm."""
    with torch.autocast(items.device.type, enabled=False):  # in bf16, what is left of a small loss would be rounding
        return functional.normalize(items.float() @ others.float().transpose(1, 2), dim=2)


def similarity_loss(student: Tensor, teacher: Tensor, view: str, gather: Gather = alone) -> Tensor:
    """||G_T - G_S||_F^2 over the number of entries, averaged over the view's groups. The teacher gives no gradient.

    Where processes share a batch, `gather` brings the clips of all, and a process makes the rows of its own: the mean over
    processes is the loss of the whole batch. Raises InputError for a batch of one under a view that compares clips, and for
    resolutions that differ.
    """
    items = named(view)
    if len(student) != len(teacher):
        raise InputError(
            f"student and teacher saw batches of {len(student)} and {len(teacher)} clips: use the same ones"
        )
    gather = alone if view == "utterance" else gather
    every_student, every_teacher = gather(student), gather(teacher.detach())
    if view != "utterance" and len(every_student) < 2:
        raise InputError(f"view {view!r} compares the clips of a batch with one another: a batch of one says nothing, "
                         "use a batch of at least 2, or the view 'utterance'")  # fmt: skip
    for axis in SHARED[view]:
        if student.shape[axis] != teacher.shape[axis]:
            label = {2: "frames", 3: "bins"}[axis]
            raise InputError(f"view {view!r}: the student's layer has {student.shape[axis]} {label}, the teacher's "
                             f"{teacher.shape[axis]}; match layers of equal resolution")  # fmt: skip
    difference = gram(items(teacher.detach()), items(every_teacher)) - gram(items(student), items(every_student))
    return difference.square().mean(dim=(1, 2)).mean()
