"""Standard error: progress (on a terminal a bar, gone when the work is done; elsewhere a line every half minute) and notes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

T = TypeVar("T")

FEW = 100
EVERY_S = 30.0
"""Between two lines of a log."""


def note(text: str) -> None:
    """Print a line on what the user should know and what does not end the command; an error begins with "tinyse:"."""
    print(f"note: {text}", file=sys.stderr)


def silent(_: object) -> None:
    """Takes progress, or a line, and shows nothing of it."""


@contextmanager
def bars(*columns: ProgressColumn) -> Iterator[Progress]:
    """Rich's bars, with its usual columns by default. They leave nothing on the screen."""
    from rich.console import Console
    from rich.progress import Progress

    screen = Console(stderr=True)
    # Away from a terminal there is no bar: rich would leave an empty line of it.
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as shown:
        yield shown


@contextmanager
def counted(text: str, total: float | None) -> Iterator[Callable[..., None]]:
    """One bar, or a count where the total is unknown; call what is yielded after each item, or with the number of items
    that were done."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()) if total is None else ()
    with bars(*columns) as shown:
        task = shown.add_task(text, total=total)
        said = time.monotonic()

        def advance(items: float = 1) -> None:
            nonlocal said
            shown.advance(task, items)
            if shown.disable and time.monotonic() - said >= EVERY_S:
                said = time.monotonic()
                done = shown.tasks[0].completed
                print(f"{text}: {100 * done / total:.0f} %" if total else f"{text}: {done:.0f}", file=sys.stderr)

        yield advance


def track(items: Iterable[T], total: int | None, text: str) -> Iterator[T]:
    """Yield from `items`, with a bar if there are more than a few, or a count where the total is unknown."""
    if total is not None and total < FEW:
        yield from items
        return
    with counted(text, total) as advance:
        for item in items:
            yield item
            advance()
