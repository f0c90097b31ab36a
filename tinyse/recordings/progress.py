"""A progress bar where somebody is looking and it takes long enough to wonder."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

FEW = 100


def track(items: Iterable[T], total: int, text: str) -> Iterator[T]:
    """Yield from `items`, with a bar on standard error if that is a terminal and there are more than a few."""
    if total < FEW or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track as bar

    yield from bar(items, description=text, total=total, console=Console(stderr=True), transient=True)
