"""Sizes of an export, known without a compiler: flash of constants by kind, RAM by part, and what is live at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from firmware_export import network, text
from firmware_export.program import Program
from tinyse.spectra.front_end import FrontEnd

CODE_BYTES, CALL_BYTES = 7570, 18
"""Flash of the code: kernels, front end and the compiler's library together, and each call of a kernel. As
arm-none-eabi-gcc 12.2 makes them of student-62k and student-30k with -O2, within 260 bytes on Cortex-M4, M33 and M55;
the kernels of 16 bits take 1 kB more, and floats without an FPU 4 kB."""
STACK_BYTES = 1024
"""The most of the deepest call in optimized code; the tests check that no core takes more."""


def report(program: Program, front_end: FrontEnd | None, digest: str, sources: Mapping[str, str]) -> dict[str, Any]:
    """JSON-able: everything in bytes but `macs` and `operators`. `sources` are the product's files.

    All is exact but `code`, which no one knows without a compiler.
    """
    graph, plan = program.graph, program.plan
    constants = network.constant_bytes(program)
    if front_end is not None:
        tables = [content for name, content in sources.items() if name.endswith("_tables.h")]
        constants["front_end"] = sum(map(text.array_bytes, tables))
    code = CODE_BYTES + CALL_BYTES * len(program.calls)
    ram = network_ram(program)
    if front_end is not None:
        ram |= front_end_ram(front_end, graph.metadata.get("classes"))
    moment = graph.operators[plan.largest_moment]
    return {
        "model": digest,
        "operators": len(graph.operators),
        "macs": graph.macs,
        "constants": constants,
        "code": code,
        "flash_in_all": sum(constants.values()) + code,
        "ram": ram,
        "ram_in_all": sum(ram.values()),
        "largest_live_set": {
            "operator": f"{moment.kind} {moment.outputs[0]}",
            "bytes": plan.largest_live_bytes,
            "buffers": plan.largest_live,
        },
    }


def network_ram(program: Program) -> dict[str, int]:
    """Bytes by part; `overread` is what kernels may read beyond the states and beyond the arena."""
    scratch, overread = 4 * program.scratch_words, 2 * network.OVERREAD_BYTES
    return {"states": program.state_bytes, "arena": program.plan.bytes, "scratch": scratch, "overread": overread}


def front_end_ram(front_end: FrontEnd, classes: Sequence[str] | None) -> dict[str, int]:
    """The same of what stands around a network; `classes` are a classifier's, whose sound does not come out again."""
    ram = {"front_end": front_end_bytes(front_end, classes is None), "audio_buffers": 2 * 2 * front_end.config.hop}
    return ram if classes is None else {**ram, "pooling": 12 * len(classes)}


def front_end_bytes(front_end: FrontEnd, synthesis: bool = True) -> int:
    """The size of `tinyse_front_end`, with or without what makes sound again."""
    config = front_end.config
    spectrum = config.transform_size + 2
    words = spectrum + config.bands + 2 + (config.overlap + 1 + config.look_ahead * spectrum if synthesis else 0)
    return 4 * words + 2 * config.past


def lines(values: dict[str, Any]) -> str:
    """The report as a page of Markdown."""
    live = values["largest_live_set"]
    rows = [
        "# Sizes\n",
        f"Model {values['model'][:16]}: {values['operators']} operators, {values['macs']:,} multiplications per frame.\n",
        "| part | bytes |",
        "|---|---:|",
        *(f"| flash: {name.replace('_', ' ')} | {size:,} |" for name, size in values["constants"].items() if size),
        f"| flash: code, estimated | {values['code']:,} |",
        f"| **total flash** | **{values['flash_in_all']:,}** |",
        *(f"| RAM: {name.replace('_', ' ')} | {size:,} |" for name, size in values["ram"].items()),
        f"| **total RAM, without the stack** | **{values['ram_in_all']:,}** |\n",
        f"The arena is as large as what is live during {live['operator']}, {live['bytes']:,} bytes:\n",
        *(f"- {name}: {size:,}" for name, size in live["buffers"].items()),
        "\nCode depends on core and compiler: benchmarks/firmware.py of tinyse measures it.",
    ]
    return "\n".join(rows) + "\n"
