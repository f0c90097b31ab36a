"""A study's progress for whoever waits: a bar on a terminal, lines in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinyse.study.study import Progress


@contextmanager
def shown(lines: bool = False) -> Iterator[Progress]:
    """What `study` takes as `progress`, on standard error; away from a terminal nothing, or a line a part with `lines`."""
    from rich import progress
    from rich.console import Console

    screen = Console(stderr=True)
    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.TimeElapsedColumn())
    # Where nobody looks there is no bar: rich would leave an empty line of it.
    with progress.Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bars:
        task, last = bars.add_task("", total=1.0), ""

        def show(part: str, share: float) -> None:
            nonlocal last
            if lines and part != last and not screen.is_terminal:
                screen.print(part, highlight=False)
            last = part
            bars.update(task, description=part, completed=share)

        yield show
