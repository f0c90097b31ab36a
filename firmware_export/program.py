"""A network's step as a list of kernel calls on numbered bytes: what calls what, and where each value lies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from firmware_export import layers, memory
from firmware_export.layers import Layer
from tinyse.graph.graph import Graph

ARENA, STATES, CONSTANT = "arena", "states", "constant"


@dataclass
class Storage:
    """Bytes of one value. `home` is ARENA, STATES or CONSTANT; `first` and `last` are the operators of its life."""

    name: str
    bytes: int
    home: str
    first: int = 0
    last: int = 0
    values: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int8))
    """The values of a constant."""


@dataclass(frozen=True)
class Place:
    """A value's bytes in order: `rows` of `columns`, `stride` bytes apart, from `offset` of a root tensor's storage on."""

    root: str
    offset: int
    rows: int
    columns: int
    stride: int

    @property
    def dense(self) -> bool:
        """Whether the bytes lie in one piece."""
        return self.rows == 1 or self.stride == self.columns

    def as_rows(self, columns: int) -> Place | None:
        """The same bytes as rows of `columns`, or None where they do not lie so."""
        if self.columns == columns:
            return self
        size = self.rows * self.columns
        if not self.dense or size % columns:
            return None
        return replace(self, rows=size // columns, columns=columns, stride=columns)

    def in_rows(self, columns: int) -> Place:
        """`as_rows` where it is known to be possible."""
        place = self.as_rows(columns)
        if place is None:
            raise ValueError(f"{self} does not lie in rows of {columns}")
        return place


@dataclass(frozen=True)
class Call:
    """One kernel call: a constant of the layer's struct, then the addresses (storage, offset) of its operands."""

    operator: int
    title: str
    layer: Layer
    operands: tuple[tuple[Storage, int], ...]


@dataclass
class Program:
    """A network's step. Offsets of states are in the order of the graph's inputs; the arena is planned."""

    graph: Graph
    calls: list[Call]
    state_offsets: dict[str, int]
    state_bytes: int
    plan: memory.MemoryPlan
    inputs: dict[str, tuple[Storage, int]]
    outputs: dict[str, tuple[Storage, int]]
    constants: list[Storage] = field(default_factory=list)

    def offset(self, storage: Storage) -> int:
        """Where a storage starts in its home."""
        if storage.home == STATES:
            return self.state_offsets[storage.name]
        return 0 if storage.home == CONSTANT else self.plan.offsets[storage.name]

    @property
    def scratch_words(self) -> int:
        """Words of scratch for the layer that needs most."""
        return max((layers.scratch_words(call.layer) for call in self.calls), default=0)

    @property
    def cmsis(self) -> bool:
        """Whether it calls CMSIS-NN."""
        return any(call.layer.kernel == layers.CMSIS for call in self.calls)
