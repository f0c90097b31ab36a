"""Batches for a stage: mixtures by number, so that stopping, resuming and the number of workers change nothing."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import scipy.signal  # noqa: F401 - before the fork: else each process that mixes imports it anew
import torch
from torch.utils.data import DataLoader, default_collate

from tinyse.distillation.external import OnnxTeacher
from tinyse.errors import InputError
from tinyse.tasks.task import Batch, Examples
from tinyse.termination import on_termination

LOST = ("exited unexpectedly", "shared memory", "(shm)", "No space left on device")
"""How torch's loader says that a process of its own died, or found no room for a batch."""


class WithTeachers:
    """Examples with the sound (samples,) that each external teacher makes of theirs.

    They run where the examples are mixed, that is, in the loader's processes. Nothing is kept: a run uses a mixture once.
    """

    def __init__(self, examples: Examples, teachers: Sequence[OnnxTeacher]) -> None:
        self.examples, self.teachers = examples, teachers

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Batch:
        """One example: arrays where a batch has tensors."""
        sound, truth = self.examples[index]
        return Batch(sound, truth, tuple(teacher.open().denoise(sound) for teacher in self.teachers))  # type: ignore[arg-type,misc]


def batches(
    examples: WithTeachers, batch: int, first: int, last: int, workers: int, rank: int = 0, world: int = 1
) -> Generator[Batch, None, None]:
    """Batches of batch / world examples for updates `first` to `last` - 1.

    Update u takes examples u * batch to (u + 1) * batch - 1, of which process `rank` of `world` mixes every `world`-th.
    Raises InputError, between two batches, for what the user can fix and where a process that mixes was killed.
    """
    loader = _Loader(
        _WithErrors(examples),  # type: ignore[arg-type]
        batch_sampler=_Order(batch, first, last, rank, world),  # type: ignore[arg-type]
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        collate_fn=_stacked,
        worker_init_fn=_prepare_worker,
    )
    with contextlib.ExitStack() as stack:
        try:
            arrays = _started(loader)
        except OSError as error:
            raise InputError(f"cannot start {workers} processes that mix: {error.strerror or error}; "
                             "use --set workers=0") from error  # fmt: skip
        if workers:  # they ignore SIGTERM, with which torch would end them
            stack.callback(arrays._shutdown_workers)
        try:
            for made in arrays:
                if isinstance(made, InputError):
                    raise made
                yield made
        except (RuntimeError, ConnectionError, EOFError) as error:
            if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in LOST):
                raise
            raise InputError("a process that mixes was killed, or found no shared memory: main memory or /dev/shm is full "
                             "(containers: --shm-size); start again with the same command, with fewer than "
                             f"{workers} `workers` if it happens again") from error  # fmt: skip


def in_batches(examples: WithTeachers, batch: int) -> list[Batch]:
    """A fixed list as batches of at least two clips where there are two."""
    made = [examples[index] for index in range(len(examples))]
    groups = [made[start : start + batch] for start in range(0, len(made), batch)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = [[*groups[-2], *groups[-1]]]
    return [default_collate(group) for group in groups]


@dataclass(frozen=True)
class _Order:
    """Which examples make each batch; a list of millions of them would take gigabytes."""

    batch: int
    first: int
    last: int
    rank: int
    world: int

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[range]:
        for update in range(self.first, self.last):
            yield range(update * self.batch + self.rank, (update + 1) * self.batch, self.world)


class _Loader(DataLoader[Batch]):
    """A loader without advice: how many processes mix is the recipe's, or what suits the machine."""

    def check_worker_number_rationality(self) -> None:
        """torch warns here, twice a stage, of more processes than cores."""


class _WithErrors:
    """Examples, or the InputError that one raised: a loader would wrap it in the traceback of its process."""

    def __init__(self, examples: WithTeachers) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Batch | InputError:
        try:
            return self.examples[index]
        except InputError as error:
            return error


def _stacked(group: Sequence[Batch | InputError]) -> Batch | InputError:
    for example in group:
        if isinstance(example, InputError):
            return example
    return default_collate(list(group))


def _started(loader: _Loader) -> Any:
    """The loader's iterator; a dead process of its is noticed where the next batch is waited for, never inside an update."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        return iter(loader)
    before = signal.getsignal(signal.SIGCHLD)
    arrays = iter(loader)
    signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
    return arrays


def _prepare_worker(_worker: int) -> None:
    # Ctrl-C reaches the whole process group, and so do the signals of a scheduler or a closed terminal; only the main
    # process answers them, and ends these once it has finished its update.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    on_termination(signal.SIG_IGN)
    torch.set_num_threads(1)
