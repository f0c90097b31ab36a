"""Cycles and memory of a step on an Ethos-U NPU, from the performance model of Arm's compiler Vela."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tinyse.boards.boards import Npu
from tinyse.errors import InputError, missing_extra
from tinyse.graph.graph import Graph
from tinyse.tflite.writer import save

SYSTEM = "Ethos_U55_High_End_Embedded"
MEMORY_MODE = "Sram_Only"
"""Weights lie in SRAM beside the arena. Streamed from slow flash the same network takes several times longer."""


@dataclass(frozen=True)
class VelaSummary:
    """What Vela prints of one step. Bytes are those of the compressed weights and of the arena."""

    cycles: int
    weight_bytes: int
    arena_bytes: int
    npu_operators: int
    cpu_operators: int

    @property
    def on_npu(self) -> float:
        """Share of the operators that the NPU runs, 0 to 1; the others fall back to the core, uncounted."""
        return self.npu_operators / max(self.npu_operators + self.cpu_operators, 1)


def compile_for(npu: Npu, model: str | Path) -> VelaSummary:
    """Compile a .tflite in a temporary folder and read the summary.

    Raises InputError where Vela is not installed or refuses the model.
    """
    if find_spec("ethosu") is None:
        raise missing_extra("ethos-u-vela", "export")
    with tempfile.TemporaryDirectory(prefix="tinyse-vela-") as folder:
        options = {"accelerator-config": npu.accelerator, "system-config": SYSTEM, "memory-mode": MEMORY_MODE}
        command = [sys.executable, "-m", "ethosu.vela", str(model), "--config", "Arm/vela.ini"]
        command += [part for name, value in options.items() for part in (f"--{name}", value)]
        finished = subprocess.run(
            [*command, "--output-dir", folder], capture_output=True, text=True, errors="replace", check=False
        )
        summaries = list(Path(folder).glob("*_summary_*.csv"))
        if finished.returncode or len(summaries) != 1:
            lines = (finished.stderr or finished.stdout).strip().splitlines()
            raise InputError(f"Vela cannot compile {model}: {lines[-1] if lines else 'it gave no reason'}")
        return parse(summaries[0].read_text(), finished.stdout)


def compile_graph(npu: Npu, graph: Graph) -> VelaSummary:
    """`compile_for` of a graph that is in no file yet."""
    with tempfile.TemporaryDirectory(prefix="tinyse-vela-") as folder:
        path = Path(folder) / "model.tflite"  # a graph's own name comes from its file
        save(graph, path)
        return compile_for(npu, path)


def parse(summary: str, printed: str) -> VelaSummary:
    """The summary from its CSV (whose KiB are binary) and the printed counts of operators, which the CSV lacks."""
    row = list(csv.DictReader(summary.splitlines()))[-1]
    counts = {"CPU": 0, "NPU": 0}
    for line in printed.splitlines():
        for kind in counts:
            if line.startswith(f"{kind} operators = "):
                counts[kind] = int(line.split("=")[1].split()[0])
    stored = sum(float(row[f"{place}_flash_memory_used"]) for place in ("on_chip", "off_chip"))
    return VelaSummary(
        cycles=int(float(row["cycles_total"])),
        weight_bytes=round(1024 * stored),
        arena_bytes=round(1024 * float(row["sram_memory_used"])),
        npu_operators=counts["NPU"],
        cpu_operators=counts["CPU"],
    )
