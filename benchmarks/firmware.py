"""Instructions, flash, RAM and stack of exported firmware, on every core that QEMU emulates here.

    python benchmarks/firmware.py student.tflite                              # tables in Markdown
    python benchmarks/firmware.py student.tflite --json firmware.json         # for `tinyse bench --firmware firmware.json`
    python benchmarks/firmware.py student.tflite --cores cortex-m4 --portable # without SMLAD and Helium

Cores without an FPU have the fixed-point front end. Every replay is also a check: a core whose outputs or states differ
from the integer reference gives no figures. All figures are emulated: QEMU counts instructions, not cycles. Times are
instructions times the cycles an instruction that tinyse/boards supposes for the kind of core, at the board's clock; they
leave out the wait states of flash.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware_export import targets
from firmware_export.export import Firmware, export
from tinyse.boards.boards import BOARDS
from tinyse.errors import InputError
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


@dataclass(frozen=True)
class Figures:
    """One core's: instructions a frame, mean over the golden vectors, and sizes in bytes."""

    core: targets.Core
    analysis: int
    synthesis: int
    operators: tuple[int, ...]
    flash: int
    ram: int
    """Of one stream, without audio buffers."""
    stack: int
    """The deepest of a hop, the test's own frames included."""

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
    parser.add_argument("model", help="a denoiser's int8 .tflite, or the name of a model that tinyse brings")
    parser.add_argument("--cores", nargs="+", choices=list(targets.CORES), default=list(targets.CORES))
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--portable", action="store_true", help="portable C on every core")
    parser.add_argument("--json", type=Path, help="write what `tinyse bench` reads")
    parser.add_argument("--operators", action="store_true", help="one line for every operator of the file too")
    arguments = parser.parse_args()
    flags = ["-DTINYSE_PORTABLE"] if arguments.portable else []
    try:
        model = find(arguments.model)
        with tempfile.TemporaryDirectory() as temporary:
            floats, integers = Path(temporary) / "float", Path(temporary) / "fixed"
            firmware = export(model, floats, arguments.frames)
            if firmware.front_end is None:
                raise InputError(f"{arguments.model} is no denoiser: its front end is unknown")
            export(model, integers, arguments.frames, fixed_point=True)
            cores = [targets.CORES[name] for name in arguments.cores]
            found = [measure(floats if core.fpu else integers, core, flags) for core in cores]
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    figures = [one for one in found if one is not None]
    print(tables(firmware, figures))
    if arguments.operators:
        print("\n" + operators(firmware, figures))
    if arguments.json:
        write_json(arguments.json, {"format": 1, "measurements": [measurement(firmware, one) for one in figures]})
    return 0 if figures else 1


def measure(folder: Path, core: targets.Core, flags: Sequence[str]) -> Figures | None:
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
    )


def tables(firmware: Firmware, figures: Sequence[Figures]) -> str:
    """Cores, kinds of operator, and boards."""
    graph = firmware.program.graph
    audio = 4 * firmware.front_end.config.hop if firmware.front_end else 0
    rows = [
        f"{graph.macs:,} multiplications a frame; {emulator()}; instructions, not cycles.\n",
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
    kinds = list(dict.fromkeys(operator.kind for operator in graph.operators))
    rows += ["", "| instructions of | " + " | ".join(one.core.title for one in figures) + " |"]
    rows.append("|---|" + "---:|" * len(figures))
    for kind in kinds:
        sums = [
            sum(n for n, o in zip(one.operators, graph.operators, strict=True) if o.kind == kind) for one in figures
        ]
        rows.append(f"| {kind} | " + " | ".join(f"{total:,}" for total in sums) + " |")
    rows += [
        "",
        "| board | clock | cycles an instruction (supposed) | estimated ms a hop | of real time |",
        "|---|---:|---:|---:|---:|",
    ]
    seconds = 1 / firmware.front_end.config.frames_per_second if firmware.front_end else 1
    for one in figures:
        for board in BOARDS.values():
            if board.core.name == BOARD_CORES.get(one.core.name):
                spent = one.hop * board.core.cycles_per_instruction / board.clock_hz
                rows.append(
                    f"| {board.title} | {board.clock_hz / 1e6:.0f} MHz | {board.core.cycles_per_instruction} "
                    f"| {spent * 1e3:.2f} | {spent / seconds:.1%} |"
                )
    return "\n".join(rows)


def operators(firmware: Firmware, figures: Sequence[Figures]) -> str:
    """Every operator that takes instructions, in the order of the file."""
    rows = ["| operator | " + " | ".join(one.core.title for one in figures) + " |", "|---|" + "---:|" * len(figures)]
    for number, operator in enumerate(firmware.program.graph.operators):
        counts = [one.operators[number] for one in figures]
        if any(counts):
            title = f"{number} {operator.kind} {operator.outputs[0]}"
            rows.append(f"| {title} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    return "\n".join(rows)


def measurement(firmware: Firmware, one: Figures) -> dict[str, object]:
    """One entry of the file that tinyse/boards/measurements.py reads."""
    audio = 4 * firmware.front_end.config.hop if firmware.front_end else 0
    return {
        "model": firmware.digest,
        "core": BOARD_CORES.get(one.core.name, one.core.title),
        "label": "emulated",
        "source": f"{emulator()} {' '.join(one.core.machine)}, icount",
        "instructions": one.hop,
        "flash_bytes": one.flash,
        "ram_bytes": one.ram + audio + one.stack,
    }


def emulator() -> str:
    """QEMU's name and version."""
    result = subprocess.run(["qemu-system-arm", "--version"], capture_output=True, text=True)
    return " ".join(["QEMU", *result.stdout.split()[3:4]])


if __name__ == "__main__":
    sys.exit(main())
