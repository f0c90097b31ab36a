"""What one hop costs on a board, operator by operator: time, flash and RAM, each figure with where it comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from firmware_export import front_end as generated
from firmware_export.lowering import lower
from firmware_export.network import constant_bytes
from firmware_export.report import CALL_BYTES, CODE_BYTES, STACK_BYTES, front_end_ram, network_ram
from firmware_export.text import array_bytes
from tinyse.boards.boards import KIB, Board, CoreCosts, Npu
from tinyse.boards.measurements import Measurement, choose, counted
from tinyse.boards.vela import VelaSummary, compile_for
from tinyse.errors import InputError
from tinyse.files import sha256
from tinyse.graph.graph import Graph, Operator
from tinyse.graph.operators import OPERATORS, WEIGHTED, groups, macs
from tinyse.spectra.front_end import FrontEnd, FrontEndConfig, front_end_in
from tinyse.tflite.reader import read

Label = Literal["measured", "modeled", "emulated", "estimated"]

TFLM_CODE_BYTES = 64 * KIB
PLANNED = "as planned by firmware_export"


@dataclass(frozen=True)
class Figure:
    """One addend: `value` in core cycles or bytes, and what it rests on."""

    name: str
    value: float
    label: Label
    basis: str


Figures = list[Figure]


@dataclass(frozen=True)
class Estimate:
    """What one hop of a network and its front end needs of a board. `time` is in cycles of the core's clock."""

    board: Board
    hop_seconds: float
    time: tuple[Figure, ...]
    flash: tuple[Figure, ...]
    ram: tuple[Figure, ...]

    @property
    def cycles(self) -> float:
        """Cycles of one hop, network and front end."""
        return sum(figure.value for figure in self.time)

    @property
    def seconds(self) -> float:
        """Time of one hop."""
        return self.cycles / self.board.clock_hz

    @property
    def flash_bytes(self) -> int:
        """Program and model."""
        return math.ceil(sum(figure.value for figure in self.flash))

    @property
    def ram_bytes(self) -> int:
        """Everything that changes, and what was copied to RAM."""
        return math.ceil(sum(figure.value for figure in self.ram))


def estimate_file(model: str | Path, board: Board, measurements: Iterable[Measurement] = ()) -> Estimate:
    """The estimate of a .tflite, through Vela where the board has an NPU, with measured figures where there are some.

    Raises InputError for a file that is not an int8 or int16 step of a denoiser, or where Vela is needed and not installed.
    """
    graph = read(model)
    npu = compile_for(board.npu, model) if board.npu else None
    return estimate(graph, board, choose((*counted(), *measurements), sha256(model), board.core.name), npu)


def estimate(
    graph: Graph, board: Board, measurement: Measurement | None = None, npu: VelaSummary | None = None
) -> Estimate:
    """The estimate of an integer step. `measurement` is of the core alone and does not speak for an NPU."""
    if any(graph.tensors[name].dtype.kind == "f" for op in graph.operators for name in op.outputs):
        raise InputError(f"{graph.name} computes in float: boards are estimated for integer models, export it first")
    config = front_end_of(graph)
    # A classifier's sound goes in and does not come out again.
    ways = 1 if "classes" in graph.metadata else 2
    ends = _front_end_time(config, board, ways)
    if board.npu is not None and npu is not None:
        around = _around(graph, config)
        time, flash = _on_npu(npu, board, board.npu), [*_npu_flash(npu), *around[0]]
        ram = [*_npu_ram(npu), *around[1]]
    else:
        time = [_operator_time(graph, op, board.core) for op in graph.operators]
        network, around = _network(graph), _around(graph, config)
        flash, ram = [*network[0], *around[0]], [*network[1], *around[1]]
        if measurement is not None:
            time, ends, flash, ram = _replaced(measurement, board, time, ends, flash, ram)
    return Estimate(board, config.hop / config.sample_rate, (*time, *ends), tuple(flash), tuple(ram))


def front_end_of(graph: Graph) -> FrontEndConfig:
    """The front end that the model carries in its metadata. Raises InputError where it carries none."""
    if "front_end" not in graph.metadata:
        raise InputError(f"{graph.name} carries no tinyse metadata with a front end: make it with tinyse export")
    return front_end_in(graph.metadata, graph.name).config


def _operator_time(graph: Graph, operator: Operator, core: CoreCosts) -> Figure:
    output = operator.outputs[0]
    elements = sum(int(np.prod(graph.shape(name))) for name in operator.outputs)
    specification = OPERATORS[operator.kind]
    if operator.kind in WEIGHTED:
        instructions = macs(operator, graph.tensors) * specification.instructions * core.instructions_per_mac
        if groups(operator, graph.tensors) > 1:  # whose channels are put together, and outputs taken apart
            instructions += (int(np.prod(graph.shape(operator.inputs[0]))) + elements) * core.element_share
        basis = core.basis
    else:
        instructions, basis = elements * specification.instructions * core.element_share, core.basis
    if any(graph.tensors[name].dtype == np.int16 for name in (*operator.inputs, *operator.outputs)):
        instructions *= core.factor_of_16_bits
    return Figure(f"{operator.kind} {output}", instructions * core.cycles_per_instruction, "estimated", basis)


def _front_end_time(config: FrontEndConfig, board: Board, ways: int) -> list[Figure]:
    """Windows, transforms, bands, logarithms and gains of one hop, counted from what tinyse/spectra does.

    `ways` is 2 for sound in and out, 1 where sound only goes in.
    """
    size = config.transform_size
    butterflies = size // 4 * int(math.log2(size // 2))
    passes = {
        "transforms": ways * (20 * butterflies + 30 * size // 4),
        "windows and overlap": 5 * config.window + 10 * (ways - 1) * config.synthesis,
        "powers and gains of bins": 12 * ways * config.bins,
        "features and mask of bands": (20 + 10 * ways) * config.bands,
        **({"spectrum that waits": 5 * (size + 2)} if config.look_ahead and ways == 2 else {}),
    }
    # Without an FPU the front end is the fixed-point one, whose products have 64 bits.
    factor = 1 if board.core.fpu else board.core.fixed_point_factor
    scale = board.core.cycles_per_instruction * board.core.front_end_share * factor
    basis = "float32 operations of the front end, loads and stores included"
    basis += "" if board.core.fpu else f"; in fixed point {factor:g} times as many"
    return [Figure(name, count * scale, "estimated", basis) for name, count in passes.items()]


def _network(graph: Graph) -> tuple[Figures, Figures]:
    """Flash and RAM of the network, as `firmware_export` plans them."""
    program = lower(graph)
    flash = [Figure(name, size, "measured", PLANNED) for name, size in constant_bytes(program).items() if size]
    ram = [Figure(name, size, "measured", PLANNED) for name, size in network_ram(program).items()]
    return [*flash, _code(len(program.calls))], ram


def _code(calls: int) -> Figure:
    size = CODE_BYTES + CALL_BYTES * calls
    return Figure("code", size, "estimated", "as those of student-62k and student-30k, built with -O2")


def _around(graph: Graph, config: FrontEndConfig) -> tuple[Figures, Figures]:
    """Flash and RAM of what stands around the network; its code is counted with the network's."""
    front_end, mask = FrontEnd(config), graph.outputs.get("mask")
    features = graph.tensors[graph.inputs["features"]]
    sources = generated.sources(front_end, features, graph.tensors[mask] if mask else None)
    tables = sum(map(array_bytes, sources.values()))
    ram = front_end_ram(front_end, graph.metadata.get("classes"))
    return [Figure("tables of the front end", tables, "measured", "arrays of the generated C")], [
        *(Figure(name.replace("_", " "), size, "measured", PLANNED) for name, size in ram.items()),
        Figure("other halves of audio buffers", ram["audio_buffers"], "measured", "one is played while one is made"),
        Figure("stack", STACK_BYTES, "estimated", "428 (M4) to 620 (M55) were counted by benchmarks/firmware.py"),
    ]


def _on_npu(summary: VelaSummary, board: Board, npu: Npu) -> list[Figure]:
    basis = f"Vela's performance model, weights in SRAM, {summary.on_npu:.0%} of the operators on the NPU"
    if summary.cpu_operators:
        basis += ", the others NOT counted"
    return [Figure(f"network on {npu.name}", summary.cycles * board.clock_hz / npu.clock_hz, "estimated", basis)]


def _npu_flash(npu: VelaSummary) -> list[Figure]:
    return [
        Figure("weights", npu.weight_bytes, "measured", "as encoded by Vela"),
        Figure("TFLM and the NPU's driver", TFLM_CODE_BYTES, "estimated", "one custom operator"),
        _code(0),
    ]


def _npu_ram(npu: VelaSummary) -> list[Figure]:
    return [
        Figure("arena", npu.arena_bytes, "measured", "as planned by Vela, states included"),
        Figure("weights, copied", npu.weight_bytes, "measured", "from flash at start, so that the NPU need not wait"),
    ]


def _replaced(
    measurement: Measurement, board: Board, time: Figures, ends: Figures, flash: Figures, ram: Figures
) -> tuple[Figures, Figures, Figures, Figures]:
    """Sums that were measured in place of their estimated parts."""
    source, label = measurement.source, measurement.label
    if measurement.cycles is not None:
        time, ends = [Figure("network and front end", measurement.cycles, label, source)], []
    elif measurement.modeled_cycles is not None:
        basis = f"{source}; cycles modeled from {measurement.modeled_from}"
        time, ends = [Figure("network and front end", measurement.modeled_cycles, "modeled", basis)], []
        if board.wait_states:
            waiting = f"{board.wait_states} wait states of each of {measurement.flash_lines:,} lines"
            time.append(Figure("flash", board.wait_states * measurement.flash_lines, "modeled", waiting))
    elif measurement.instructions is not None:
        per_instruction = board.core.cycles_per_instruction
        basis = f"{source}; instructions x {per_instruction} cycles, an estimate"
        time, ends = [Figure("network and front end", measurement.instructions * per_instruction, label, basis)], []
    if measurement.flash_bytes is not None:
        flash = [Figure("program", measurement.flash_bytes, label, source)]
    if measurement.ram_bytes is not None:
        ram = [Figure("data, states, buffers", measurement.ram_bytes, label, source)]
    return time, ends, flash, ram
