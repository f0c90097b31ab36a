"""Batches for a stage: mixtures by number, so that stopping, resuming and the number of workers change nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader

from tinyse.distillation.external import OnnxTeacher
from tinyse.training.task import Batch, Examples


class Taught:
    """Examples with the sound (samples,) that each external teacher makes of theirs behind them.

    They listen where the examples are mixed, so in the loader's processes. Nothing is kept: a run hears a mixture once.
    """

    def __init__(self, examples: Examples, teachers: Sequence[OnnxTeacher]) -> None:
        self.examples, self.teachers = examples, teachers

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        example = self.examples[index]
        return (*example, *(teacher.open().denoise(example[0]) for teacher in self.teachers))


def batches(
    examples: Examples, batch: int, first: int, last: int, workers: int, rank: int = 0, world: int = 1
) -> Iterator[Batch]:
    """Batches of batch / world examples for updates `first` to `last` - 1.

    Update u takes examples u * batch to (u + 1) * batch - 1, of which process `rank` of `world` mixes every `world`-th.
    """
    order = [list(range(update * batch + rank, (update + 1) * batch, world)) for update in range(first, last)]
    loader: DataLoader[Batch] = DataLoader(
        examples,  # type: ignore[arg-type]
        batch_sampler=order,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_prepare_worker,
    )
    return iter(loader)


def in_batches(examples: Sequence[tuple[np.ndarray, ...]], batch: int) -> list[Batch]:
    """A fixed list as batches of at least two clips where there are two."""
    groups = [examples[start : start + batch] for start in range(0, len(examples), batch)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = [[*groups[-2], *groups[-1]]]
    return [tuple(torch.from_numpy(np.stack(part)) for part in zip(*group, strict=True)) for group in groups]


def _prepare_worker(_worker: int) -> None:
    # Ctrl-C reaches the whole process group; only the main process answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
