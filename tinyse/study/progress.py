"""A study's progress: a bar on a terminal, lines in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinyse.progress import bars
from tinyse.study.study import Progress


@contextmanager
def shown(lines: bool = False) -> Iterator[Progress]:
    """What `study` takes as `progress`, on standard error; away from a terminal nothing, or a line a part with `lines`."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    with bars(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()) as screen:
        task, last = screen.add_task("", total=1.0), ""

        def show(part: str, share: float) -> None:
            nonlocal last
            if lines and part != last and not screen.console.is_terminal:
                screen.console.print(part, highlight=False)
            last = part
            screen.update(task, description=part, completed=share)

        yield show
