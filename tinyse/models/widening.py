"""A wide network that begins where a narrow one of the family has come to.

Every channel of the narrow network has a place in the wide one, with its weights. Nothing leads from the other channels to
these, so the wide network computes what the narrow one does, to rounding; the others have random weights, and training
connects them. (Net2Net, Chen et al. 2016, arXiv 1511.05641, copies channels instead, which then have to be told apart.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tinyse.errors import InputError
from tinyse.models.layers import CausalConvolution, Classifier, GatedRecurrence, UpsamplingConvolution
from tinyse.models.network import Encoder


@torch.no_grad()
def widen(narrow: Encoder, wide: Encoder) -> None:
    """Make `wide`, a network with random weights, compute what `narrow` does. Raises InputError where it has no room."""
    places = [torch.tensor(level) for level in wide.architecture.places(narrow.architecture)]
    for name, block in wide.blocks.items():
        old, number = narrow.blocks[name], name.rpartition("_")[2]
        level = (
            int(number) if number.isdigit() else wide.architecture.depth
        )  # `gru` and `classifier` are at the deepest
        if isinstance(block, CausalConvolution):
            _convolution(old, block, places[level], places[level - 1])
        elif isinstance(block, UpsamplingConvolution):
            # The filters of all even bins come before those of the odd ones.
            out = torch.cat([places[level - 1], places[level - 1] + block.convolution.out_channels // 2])
            _convolution(old, block, out, places[level])
        elif isinstance(block, GatedRecurrence):
            _recurrence(old, block, places[level])
        elif isinstance(block, Classifier):
            _embed(old.linear.weight, block.linear.weight, torch.arange(len(old.linear.bias)),
                   _by_bin(places[level], wide.architecture.channels[-1], wide.state_shapes["gru"][2]))  # fmt: skip
            block.linear.bias.copy_(old.linear.bias)
        else:
            raise InputError(f"{name}: a {type(block).__name__} cannot be widened")


def _embed(old: Tensor, new: Tensor, rows: Tensor, columns: Tensor) -> None:
    """Put (rows, columns, ...) into a larger tensor, and zeros in what else these rows have."""
    new[rows] = 0
    new[rows[:, None], columns] = old


def _convolution(
    old: CausalConvolution | UpsamplingConvolution,
    new: CausalConvolution | UpsamplingConvolution,
    out: Tensor,
    into: Tensor,
) -> None:
    _embed(old.convolution.weight, new.convolution.weight, out, into)
    if old.convolution.bias is not None and new.convolution.bias is not None:
        new.convolution.bias[out] = old.convolution.bias
    if isinstance(old.normalization, nn.BatchNorm2d) and isinstance(new.normalization, nn.BatchNorm2d):
        for key, value in new.normalization.state_dict().items():
            if value.dim():
                value[out] = old.normalization.state_dict()[key]


def _recurrence(old: GatedRecurrence, new: GatedRecurrence, places: Tensor) -> None:
    """Each old group's unit lies in one new group's, beside zeros."""
    channels = len(places) // old.groups  # of an old group, and its bins where it sees all of them
    bins = old.width // channels
    width = new.width // bins
    for group, own in enumerate(places.view(old.groups, channels)):
        at = _by_bin(own % width, width, bins)
        rows = torch.cat([at + gate * new.width for gate in range(3)])
        for name in ("input_weight", "state_weight", "input_bias", "state_bias"):
            before, after = getattr(old, name)[group], getattr(new, name)[own[0] // width]
            _embed(before, after, rows, at if name.endswith("weight") else torch.zeros(1, dtype=torch.long))


def _by_bin(places: Tensor, channels: int, bins: int) -> Tensor:
    """Where values lie that have the channels of one bin after those of another."""
    return (torch.arange(bins)[:, None] * channels + places).flatten()
