"""Where buffers lie in one arena, so that those in use at the same time do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT = 8


@dataclass(frozen=True)
class Buffer:
    """`bytes` that hold a value from operator `first` to operator `last`, both included."""

    name: str
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class MemoryPlan:
    """`offsets` in the arena by name; `bytes` of the arena; the moment when most is in use, and what is."""

    offsets: dict[str, int]
    bytes: int
    largest_moment: int
    largest_live: dict[str, int]

    @property
    def largest_live_bytes(self) -> int:
        """What no plan can go below."""
        return sum(self.largest_live.values())


def plan(buffers: Sequence[Buffer]) -> MemoryPlan:
    """The largest buffer first, each at the lowest place that is free for all of its life.

    The greedy planner of TFLM; offsets are multiples of 8 bytes.
    """
    placed: list[tuple[int, int, Buffer]] = []
    for buffer in sorted(buffers, key=lambda b: (-b.bytes, b.first, b.name)):
        start = 0
        for low, high, other in sorted(placed, key=lambda item: item[:2]):
            if other.first > buffer.last or other.last < buffer.first:
                continue
            if start + aligned(buffer.bytes) <= low:
                break
            start = max(start, high)
        placed.append((start, start + aligned(buffer.bytes), buffer))
    moments = range(max((buffer.last for buffer in buffers), default=-1) + 1)
    live = [{b.name: aligned(b.bytes) for b in buffers if b.first <= moment <= b.last} for moment in moments]
    largest = max(moments, key=lambda moment: sum(live[moment].values()), default=0)
    return MemoryPlan(
        {buffer.name: start for start, _, buffer in placed},
        max((high for _, high, _ in placed), default=0),
        largest,
        live[largest] if live else {},
    )


def aligned(size: int) -> int:
    """Bytes up to the next place where a buffer may begin."""
    return -(-size // ALIGNMENT) * ALIGNMENT
