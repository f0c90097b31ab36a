"""Instructions, flash, RAM and stack of exported firmware, on every core that QEMU emulates here.

    python benchmarks/firmware.py student.tflite                              # tables in Markdown
    python benchmarks/firmware.py student.tflite --json firmware.json         # for `tinyse bench --firmware firmware.json`
    python benchmarks/firmware.py student.tflite --cores cortex-m4 --portable # without SMLAD and Helium

Cores without an FPU have the fixed-point front end. Every replay is also a check: a core whose outputs or states differ
from the integer reference gives no figures. Instructions are emulated: QEMU counts them. Cycles are modeled, by function,
as cycles.py says: from Arm's reference manuals (M3, M4) or by llvm-mca (M7, M33, M55). `--wait-states` overrides what
tinyse/boards knows of a board's flash.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import command
import cycles
import record

from firmware_export import layers, targets
from firmware_export.export import Firmware, export
from tinyse.boards.boards import BOARDS
from tinyse.errors import InputError
from tinyse.evaluation.report import Table
from tinyse.files import write_json
from tinyse.released import find

BOARD_CORES = {
    "cortex-m4": "Cortex-M4",
    "cortex-m7": "Cortex-M7",
    "cortex-m33": "Cortex-M33",
    "cortex-m55": "Cortex-M55",
    "cortex-m0plus": "Cortex-M0+",
    "rv32imac": "RISC-V RV32IMAC",
    "rv32imafc": "RISC-V RV32IMAFC",
}
"""Names of tinyse/boards."""
WITH_DSP = ("cortex-m4", "cortex-m7", "cortex-m33")
LEAST_CYCLES = 500
"""Of a function that the table names."""


@dataclass(frozen=True)
class Figures:
    """One core's: instructions per frame, mean over the golden vectors, and sizes in bytes."""

    core: targets.Core
    analysis: int
    synthesis: int
    operators: tuple[int, ...]
    flash: int
    ram: int
    """Of one stream, without audio buffers."""
    stack: int
    """The deepest of a hop, the test's own frames included."""
    modeled: cycles.Cycles | None

    @property
    def network(self) -> int:
        """Instructions of the network's step."""
        return sum(self.operators)

    @property
    def hop(self) -> int:
        """Instructions of everything."""
        return self.analysis + self.network + self.synthesis


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a denoiser's quantized .tflite, or the name of a model that comes with tinyse")
    parser.add_argument("--cores", nargs="+", choices=list(targets.CORES), default=list(targets.CORES))
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--portable", action="store_true", help="portable C on every core")
    parser.add_argument("--json", type=Path, help="write what `tinyse bench` reads")
    parser.add_argument(
        "--times-only", action="store_true", help="without flash and RAM, as in tinyse/boards/counted.json"
    )
    parser.add_argument("--wait-states", type=int, help="of a line of flash on every board")
    parser.add_argument("--operators", action="store_true", help="one line for every operator of the file too")
    record.add_option(parser)
    arguments = parser.parse_args()
    flags = ["-DTINYSE_PORTABLE"] if arguments.portable else []
    model = find(arguments.model)
    with tempfile.TemporaryDirectory() as temporary:
        floats, quantized = Path(temporary) / "float", Path(temporary) / "fixed"
        firmware = export(model, floats, arguments.frames)
        if firmware.front_end is None:
            raise InputError(f"{arguments.model} is not a denoiser: its front end is unknown")
        export(model, quantized, arguments.frames, fixed_point=True)
        cores = [targets.CORES[name] for name in arguments.cores]
        found = [measure(floats if core.fpu else quantized, core, flags, arguments.frames) for core in cores]
    figures = [one for one in found if one is not None]
    print(tables(firmware, figures, arguments.wait_states))
    if arguments.operators:
        print("\n" + operators(firmware, figures))
    record.keep(arguments.results, summary(firmware, figures), "emulated")
    if arguments.json:
        measurements = [measurement(firmware, one, arguments.times_only) for one in figures]
        write_json(arguments.json, {"format": 1, "measurements": measurements})
    return 0 if figures else 1


def measure(folder: Path, core: targets.Core, flags: Sequence[str], frames: int) -> Figures | None:
    """Build and run; None, with a line, where a tool is missing."""
    if core.missing:
        print(f"{core.title}: {core.missing}", file=sys.stderr)
        return None
    binary = folder / f"{core.name}.elf"
    targets.build(folder, core, binary, flags)
    code, output = targets.run(core, binary)
    if code:
        raise InputError(f"{core.title} is not exact:\n{output}")
    plain = dict(line.split() for line in output.splitlines())
    lacking = cycles.missing(core)
    if lacking:
        print(f"{core.title}, modeled cycles: {lacking}", file=sys.stderr)
    modeled = None if lacking else cycles.model(core, binary, frames)
    targets.build(folder, core, binary, [*flags, "-DTINYSE_PROFILE"])
    pairs = [line.split() for line in targets.run(core, binary)[1].splitlines()]
    profile = {name: int(value) for name, value in pairs}
    return Figures(
        core,
        profile["analysis"],
        profile["synthesis"],
        tuple(int(value) for name, value in pairs if name == "operator"),
        targets.flash_bytes(folder, core, flags),
        int(plain["ram"]),
        int(plain["stack"]),
        modeled,
    )


def tables(firmware: Firmware, figures: Sequence[Figures], wait_states: int | None = None) -> str:
    """Cores, kinds of operator, and boards."""
    graph = firmware.program.graph
    audio = 4 * firmware.front_end.config.hop if firmware.front_end else 0
    rows = [
        f"{graph.macs:,} multiplications per frame; {emulator()}; instructions, not cycles.\n",
        "| core | front end | network | a MAC | hop in all | flash | RAM with audio buffers and stack | stack |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in figures:
        ram = one.ram + audio + one.stack
        front_end = f"{one.analysis + one.synthesis:,}{'' if one.core.fpu else ' (fixed point)'}"
        rows.append(
            f"| {one.core.title} | {front_end} | {one.network:,} | {one.network / graph.macs:.2f} "
            f"| {one.hop:,} | {one.flash:,} | {ram:,} | {one.stack:,} |"
        )
    rows += ["", *functions(firmware, [one for one in figures if one.modeled is not None])]
    rows += [
        "",
        "| board | clock | wait states | cycles per hop | modeled from | ms per hop | of real time |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    seconds = 1 / firmware.front_end.config.frames_per_second if firmware.front_end else 1
    for one in figures:
        for board in BOARDS.values():
            if board.core.name == BOARD_CORES.get(one.core.name) and board.npu is None:
                states = board.wait_states if wait_states is None else wait_states
                count, source = one.hop * board.core.cycles_per_instruction, "instructions, assumed"
                if one.modeled is not None:
                    count, source = one.modeled.total, one.modeled.source
                count += states * flash_lines(firmware, one)
                spent = count / board.clock_hz
                rows.append(
                    f"| {board.title} | {board.clock_hz / 1e6:.0f} MHz | {states} | {count:,.0f} | {source} "
                    f"| {spent * 1e3:.2f} | {spent / seconds:.1%} |"
                )
    return "\n".join(rows)


def functions(firmware: Firmware, figures: Sequence[Figures]) -> list[str]:
    """Modeled cycles per hop by function, those of all together first."""
    models = [one.modeled for one in figures if one.modeled is not None]
    spent = []
    for modeled in models:
        by_name: Counter[str] = Counter()
        for symbol, count in modeled.cycles.items():
            by_name[plain_name(firmware, symbol)] += round(count)
        spent.append(by_name)
    rows = [
        "| modeled cycles of | " + " | ".join(one.core.title for one in figures if one.modeled is not None) + " |",
        "|---|" + "---:|" * len(models),
        "| **all** | " + " | ".join(f"**{modeled.total:,.0f}**" for modeled in models) + " |",
        "| per instruction | " + " | ".join(f"{modeled.per_instruction:.2f}" for modeled in models) + " |",
        "| modeled from | " + " | ".join(modeled.source for modeled in models) + " |",
    ]
    for name, _ in sum(spent, Counter()).most_common():
        if max(by_name[name] for by_name in spent) >= LEAST_CYCLES:
            counts = (f"{by_name[name]:,}" if name in by_name else "" for by_name in spent)
            rows.append(f"| {name} | " + " | ".join(counts) + " |")
    return rows if models else []


def plain_name(firmware: Firmware, symbol: str) -> str:
    """A function's name without the export's prefix, the kernels' version and the variant."""
    name = re.sub(rf"^(tinyse|{firmware.names.prefix})_", "", symbol)
    return re.sub(r"(_(portable|dsp|mve|fixed))?(_[0-9a-f]{8})?(\.\w+)*$", "", name)


def flash_lines(firmware: Firmware, one: Figures) -> int:
    """Lines of flash that are waited for in a hop: of code after jumps, and of weights, which no small cache holds.

    The DSP kernel reads weights once for two positions, portable C once for each.
    """
    together = 2 if one.core.name in WITH_DSP else 1
    streamed = 0
    for call in firmware.program.calls:
        if call.layer.kernel == layers.CONVOLVE:
            positions = call.layer.fields["out_height"] * call.layer.fields["out_width"]
            streamed += -(-positions // together) * call.layer.arrays["pairs"].nbytes
    code = one.modeled.waited_lines if one.modeled else 0
    return round(code + streamed / cycles.LINE_BYTES)


def summary(firmware: Firmware, figures: Sequence[Figures]) -> Table:
    """A row per core, as numbers: bytes, then instructions and modeled cycles of a hop."""
    audio = 4 * firmware.front_end.config.hop if firmware.front_end else 0
    rows = []
    for one in figures:
        sizes = one.flash, one.ram + audio + one.stack, one.stack
        modeled = ("", "") if one.modeled is None else (f"{one.modeled.total:,.0f}", one.modeled.source)
        rows.append(
            (one.core.title, *(f"{size:,}" for size in (*sizes, one.hop)), *modeled, f"{flash_lines(firmware, one):,}")
        )
    header = (
        "core",
        "flash",
        "RAM",
        "stack",
        "instructions per hop",
        "cycles per hop",
        "modeled from",
        "flash lines per hop",
    )
    return Table("Firmware", header, tuple(rows))


def operators(firmware: Firmware, figures: Sequence[Figures]) -> str:
    """Every operator that takes instructions, in the order of the file."""
    rows = ["| operator | " + " | ".join(one.core.title for one in figures) + " |", "|---|" + "---:|" * len(figures)]
    for number, operator in enumerate(firmware.program.graph.operators):
        counts = [one.operators[number] for one in figures]
        if any(counts):
            title = f"{number} {operator.kind} {operator.outputs[0]}"
            rows.append(f"| {title} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    return "\n".join(rows)


def measurement(firmware: Firmware, one: Figures, times_only: bool = False) -> dict[str, object]:
    """One entry of the file that tinyse/boards/measurements.py reads."""
    audio = 4 * firmware.front_end.config.hop if firmware.front_end else 0
    values: dict[str, object] = {
        "model": firmware.digest,
        "core": BOARD_CORES.get(one.core.name, one.core.title),
        "label": "emulated",
        "source": f"{emulator()} {' '.join(one.core.machine)}, icount",
        "instructions": one.hop,
    }
    if one.modeled is not None:
        values |= {"modeled_cycles": round(one.modeled.total), "modeled_from": one.modeled.source,
                   "flash_lines": flash_lines(firmware, one)}  # fmt: skip
    if not times_only:
        values |= {"flash_bytes": one.flash, "ram_bytes": one.ram + audio + one.stack}
    return values


def emulator() -> str:
    """QEMU's name and version."""
    result = subprocess.run(["qemu-system-arm", "--version"], capture_output=True, text=True)
    return " ".join(["QEMU", *result.stdout.split()[3:4]])


if __name__ == "__main__":
    command.run(main)
