"""Sizes of an export, known without a compiler: flash of constants by kind, RAM by part, and what is live at most."""

from __future__ import annotations

from typing import Any

from firmware_export import network
from firmware_export.program import Program
from tinyse.spectra.front_end import FrontEnd


def report(program: Program, front_end: FrontEnd | None, digest: str) -> dict[str, Any]:
    """JSON-able: everything in bytes but `macs` and `operators`."""
    graph, plan = program.graph, program.plan
    ram = {"states": program.state_bytes, "arena": plan.bytes, "scratch": 4 * program.scratch_words, "overread": 64}
    if front_end is not None:
        listens = "classes" in graph.metadata
        ram["front_end"] = front_end_bytes(front_end, not listens)
        ram["audio_buffers"] = 2 * 2 * front_end.config.hop
        if listens:
            ram["pooling"] = 12 * len(graph.metadata["classes"])
    moment = graph.operators[min(plan.largest_moment, len(graph.operators) - 1)]
    return {
        "model": digest,
        "operators": len(graph.operators),
        "macs": graph.macs,
        "constants": network.constant_bytes(program),
        "ram": ram,
        "ram_in_all": sum(ram.values()),
        "largest_live_set": {
            "operator": f"{moment.kind} {moment.outputs[0]}",
            "bytes": plan.largest_live_bytes,
            "buffers": plan.largest_live,
        },
    }


def front_end_bytes(front_end: FrontEnd, synthesis: bool = True) -> int:
    """The size of `tinyse_front_end`, with or without what makes sound again."""
    config = front_end.config
    words = config.transform_size + 2 + config.bands + 2 + (config.delay + 1 if synthesis else 0)
    return 4 * words + 2 * config.delay


def lines(values: dict[str, Any]) -> str:
    """The report as a page of Markdown."""
    live = values["largest_live_set"]
    rows = [
        "# Sizes\n",
        f"Model {values['model'][:16]}: {values['operators']} operators, {values['macs']:,} multiplications a frame.\n",
        "| part | bytes |",
        "|---|---:|",
        *(f"| flash: {name} | {size:,} |" for name, size in values["constants"].items() if size),
        *(f"| RAM: {name.replace('_', ' ')} | {size:,} |" for name, size in values["ram"].items()),
        f"| **RAM in all, without the stack** | **{values['ram_in_all']:,}** |\n",
        f"The arena is as large as what is live during {live['operator']}, {live['bytes']:,} bytes:\n",
        *(f"- {name}: {size:,}" for name, size in live["buffers"].items()),
        "\nThe flash of code depends on core and compiler: benchmarks/firmware.py of tinyse measures it.",
    ]
    return "\n".join(rows) + "\n"
