"""Progress of training on a terminal, or in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinyse.progress import EVERY_S

if TYPE_CHECKING:
    from rich.console import Console

    from tinyse.training.stage import Progress

WIDE = 100
"""Columns of a terminal from which on the bar has the loss and the rate in front of its times."""


class Screen:
    """Progress: on a terminal a bar per stage with count and time, elsewhere a line every half minute.

    Each validation adds a line of its own to both.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.table import Column

        self.console = console or Console(stderr=True)
        self._clock = clock
        # A column that may not wrap keeps its width; the bar takes what is left.
        self._bars = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="fold")),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[facts]}", table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=self.console,
            disable=not self.console.is_terminal,
            expand=True,
        )
        self._tasks: dict[str, int] = {}
        self._valid: dict[str, float] = {}
        self._told = -EVERY_S
        self._begun: dict[str, tuple[float, int]] = {}
        self._shown: dict[str, int] = {}

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def say(self, line: str) -> None:
        """A line of its own."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show on a terminal that work is in progress; away from one, nothing."""
        task = self._bars.add_task(text, total=None, facts="")
        try:
            yield
        finally:
            self._bars.remove_task(task)

    def show(self, progress: Progress) -> None:
        """Move the stage's bar."""
        if progress.update < self._shown.get(progress.stage, 0):  # another run with a stage of this name
            self._begun.pop(progress.stage)
            if progress.stage in self._tasks:
                self._bars.remove_task(self._tasks.pop(progress.stage))  # type: ignore[arg-type]
        self._shown[progress.stage] = progress.update
        # Scores at a stage's first update are a checkpoint's.
        looked = progress.valid and progress.valid is not self._valid and progress.stage in self._begun
        self._valid = progress.valid
        start, first = self._begun.setdefault(progress.stage, (self._clock(), progress.update))
        if looked:
            found = ", ".join(f"{name} {value:.4f}" for name, value in progress.valid.items())
            self.say(f"{progress.stage} {progress.update}/{progress.updates}: valid {found}")
        facts = f"loss {progress.loss:.4f}  {progress.audio_per_second:.0f} s/s"
        if not self.console.is_terminal:
            self._log(progress, facts, start, first)
            return
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(
                progress.stage, total=progress.updates, completed=progress.update, facts=""
            )
        shown = facts if self.console.width >= WIDE else f"loss {progress.loss:.3f}"
        self._bars.update(self._tasks[progress.stage], completed=progress.update, facts=shown)  # type: ignore[arg-type]

    def _log(self, progress: Progress, facts: str, start: float, first: int) -> None:
        now = self._clock()
        if now - self._told < EVERY_S:
            return
        self._told = now
        left = ""
        if progress.update > first:
            seconds = (now - start) / (progress.update - first) * (progress.updates - progress.update)
            left = f"  {_duration(seconds)} left"
        self.say(f"{progress.stage} {progress.update}/{progress.updates}  {facts}{left}")


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
