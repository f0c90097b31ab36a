"""What a network will be once it is exported, before it has been trained: operators, memory, and who can run it.

Shapes, operators, types and sizes do not depend on what the weights are. A step with random weights is quantized as a
trained one will be, and the result is measured.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyse.graph.graph import Graph, Operator
from tinyse.graph.memory import peak_activation_bytes
from tinyse.graph.operators import macs
from tinyse.quantization.calibration import calibrate
from tinyse.quantization.quantize import quantize
from tinyse.targets.report import report
from tinyse.targets.support import NOTES, RUNTIMES, Support, support

FRAMES = 20
"""Frames of noise that give the ranges."""


@dataclass(frozen=True)
class Row:
    """Operators of one kind and type with equal shapes, and what each runtime has for them."""

    kind: str
    dtype: str
    inputs: tuple[tuple[int, ...], ...]
    """Shapes of the activations that go in."""
    outputs: tuple[tuple[int, ...], ...]
    count: int
    macs: int
    """Multiply-accumulates of all `count` in a frame."""
    support: dict[str, Support]
    note: str


@dataclass(frozen=True)
class Forecast:
    """What will be exported, and what stands in the way."""

    rows: list[Row]
    facts: dict[str, Any]
    """As `report.report` has them; the file's size is that of untrained weights, which is that of trained ones."""
    activation_bytes: int
    """The most that is alive at once, states left out."""
    missing: list[str]
    """Why TFLM cannot run the step: operators that it lacks, or its own words; empty if it can."""

    @property
    def ships(self) -> bool:
        """Whether TFLM runs it."""
        return not self.missing


def random_step(graph: Graph, precision: str) -> Graph:
    """The integer graph of `graph` with ranges taken from noise: right in everything but the sound.

    Raises InputError for an unknown precision and for a graph that cannot be quantized.
    """
    rng = np.random.default_rng(0)
    shapes = {name: graph.shape(tensor) for name, tensor in graph.inputs.items() if name not in graph.states}
    noise = {name: np.float32(rng.uniform(-1, 127 / 128, (FRAMES, *shape))) for name, shape in shapes.items()}
    return quantize(graph, calibrate(graph, [("noise", noise)]), precision)


def forecast(quantized: Graph) -> Forecast:
    """Judge an integer graph. TFLM itself is asked where it is installed; its missing package counts nothing."""
    facts = report(quantized)
    rows = _rows(quantized)
    missing = [
        f"TFLM has no {row.kind} in {row.dtype}: {row.count} of them, giving {shapes_text(row.outputs)}"
        for row in rows
        if row.support["tflm"] == "none"
    ]
    reason = facts["arena"]["reason"]
    if reason and reason.startswith("TFLM cannot"):
        missing.append(reason)
    return Forecast(rows, facts, peak_activation_bytes(quantized), missing)


def shapes_text(shapes: tuple[tuple[int, ...], ...]) -> str:
    """Shapes to read, without leading ones: "64x12 + 20", and equal ones once: "3 of 96"."""
    if len(shapes) > 1 and len(set(shapes)) == 1:
        return f"{len(shapes)} of {shapes_text(shapes[:1])}"
    return " + ".join("x".join(map(str, shape)).removeprefix("1x").removeprefix("1x") for shape in shapes)


def _rows(graph: Graph) -> list[Row]:
    """In the order in which the kinds first come up."""
    keys = [(op.kind, *_signature(graph, op)) for op in graph.operators]
    counts, counted = collections.Counter(keys), collections.Counter[Any]()
    for key, operator in zip(keys, graph.operators, strict=True):
        counted[key] += macs(operator, graph.tensors)
    return [
        Row(
            kind,
            dtype,
            inputs,
            outputs,
            counts[key],
            counted[key],
            {runtime: support(runtime, kind, dtype) for runtime in RUNTIMES},
            NOTES.get((kind, dtype), ""),
        )
        for key in counts
        for kind, dtype, inputs, outputs in [key]
    ]


def _signature(
    graph: Graph, operator: Operator
) -> tuple[str, tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    inputs = tuple(graph.shape(name) for name in operator.inputs if graph.tensors[name].data is None)
    outputs = tuple(graph.shape(name) for name in operator.outputs)
    return str(graph.tensors[operator.outputs[0]].dtype), inputs, outputs
