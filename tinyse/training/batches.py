"""Batches for a stage: mixtures by number, so that stopping, resuming and the number of workers change nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tinyse.mixtures import Mixer, Mixture, MixtureDataset


def batches(
    mixer: Mixer, epoch: int, batch: int, first: int, last: int, workers: int, rank: int = 0, world: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    """Noisy and clean (batch / world, samples) of updates `first` to `last` - 1.

    Update u takes mixtures u * batch to (u + 1) * batch - 1 of the epoch, of which process `rank` of `world` mixes every
    `world`-th.
    """
    dataset = MixtureDataset(mixer, epoch, last * batch)
    order = [list(range(update * batch + rank, (update + 1) * batch, world)) for update in range(first, last)]
    loader = DataLoader(
        dataset,  # type: ignore[arg-type]
        batch_sampler=order,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_prepare_worker,
    )
    return iter(loader)


def in_batches(mixtures: list[Mixture], batch: int) -> list[tuple[Tensor, Tensor]]:
    """A fixed list of mixtures as batches of at least two clips where there are two."""
    groups = [mixtures[start : start + batch] for start in range(0, len(mixtures), batch)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    return [
        (torch.stack([torch.from_numpy(m.noisy) for m in g]), torch.stack([torch.from_numpy(m.clean) for m in g]))
        for g in groups
    ]


def _prepare_worker(_worker: int) -> None:
    # Ctrl-C reaches the whole process group; only the main process answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
