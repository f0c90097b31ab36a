"""What is in a .tflite: size, operators, states and the memory it takes, as a dictionary and as text."""

from __future__ import annotations

import collections
from typing import Any

from tinyse.engines.tflite_engines import least_arena
from tinyse.errors import InputError
from tinyse.graph import memory
from tinyse.graph.graph import Graph
from tinyse.quantization.calibration import Calibration
from tinyse.tflite.writer import write


def report(graph: Graph, calibration: Calibration | None = None) -> dict[str, Any]:
    """JSON-able facts about a graph as it is written; with the clips of the calibration where one is given."""
    return {
        "name": graph.name,
        "precision": graph.metadata.get("precision", "float32"),
        "file_bytes": len(write(graph)),
        "constant_bytes": memory.constant_bytes(graph),
        "macs": graph.macs,
        "operators": dict(sorted(collections.Counter(operator.kind for operator in graph.operators).items())),
        "inputs": _values(graph, {name: t for name, t in graph.inputs.items() if name not in graph.states}),
        "outputs": _values(graph, {name: t for name, t in graph.outputs.items() if name not in graph.states}),
        "states": _values(graph, {name: graph.inputs[name] for name in graph.states}),
        "state_bytes": memory.state_bytes(graph),
        "arena": arena(graph),
        "calibration": list(calibration.clips) if calibration is not None else None,
    }


def as_text(facts: dict[str, Any]) -> str:
    """The facts of `report` as lines for a terminal."""
    used = facts["arena"]
    memory = f"{used['bytes']:,} bytes" if used["bytes"] is not None else f"unknown ({used['reason']})"
    lines = [
        f"{facts['name']}: {facts['precision']}, {facts['file_bytes']:,} bytes, of them {facts['constant_bytes']:,} of "
        f"constants; {facts['macs']:,} MAC per frame",
        "operators: " + ", ".join(f"{count} {kind}" for kind, count in facts["operators"].items()),
        f"TFLM arena on this computer (64-bit pointers): {memory}",
        f"state: {facts['state_bytes']:,} bytes",
    ]
    for title in ("inputs", "outputs", "states"):
        for value in facts[title]:
            scale = f"scale {value['scale']:.9g}, zero point {value['zero_point']}" if value["scale"] else "no scale"
            shape = " x ".join(map(str, value["shape"]))
            lines.append(f"  {title[:-1]} {value['name']}: {value['dtype']} {shape}, {scale}")
    if clips := facts["calibration"]:
        frames = sum(clip["frames"] for clip in clips)
        lines.append(f"calibrated on {len(clips)} clips, {frames:,} frames; the report has their names and SHA-256")
    return "\n".join(lines)


def arena(graph: Graph) -> dict[str, Any]:
    """{"bytes", "reason"}: the least arena in which TFLM loads the graph on this computer, or None and the reason."""
    try:
        return {"bytes": least_arena(graph), "reason": None}
    except InputError as error:
        return {"bytes": None, "reason": str(error)}


def _values(graph: Graph, names: dict[str, str]) -> list[dict[str, Any]]:
    result = []
    for name, tensor_name in names.items():
        tensor = graph.tensors[tensor_name]
        qparams = tensor.quantization
        result.append(
            {
                "name": name,
                "shape": list(tensor.shape),
                "dtype": str(tensor.dtype),
                "scale": float(qparams.tensor_scale) if qparams is not None else None,
                "zero_point": qparams.zero_point if qparams is not None else None,
            }
        )
    return result
