"""What one hop costs on a board, operator by operator: time, flash and RAM, each figure with where it comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tinyse.boards.boards import KIB, Board, Core, Npu
from tinyse.boards.measurements import Measurement, choose
from tinyse.boards.vela import VelaSummary, compile_for
from tinyse.config import build
from tinyse.errors import InputError
from tinyse.files import sha256
from tinyse.graph import memory
from tinyse.graph.graph import Graph, Operator
from tinyse.graph.operators import OPERATORS, WEIGHTED, macs
from tinyse.spectra.front_end import FrontEndConfig
from tinyse.tflite.reader import read

Label = Literal["measured", "emulated", "estimated"]

ELEMENT_BASIS = "scalar code on every core; copies a byte at a time at worst"
NETWORK_CODE_BYTES, FRONT_END_CODE_BYTES, RUNTIME_CODE_BYTES = 16 * KIB, 8 * KIB, 8 * KIB
TFLM_CODE_BYTES = 64 * KIB
STACK_BYTES = 4 * KIB


@dataclass(frozen=True)
class Figure:
    """One addend: `value` in core cycles or bytes, and what it rests on."""

    name: str
    value: float
    label: Label
    basis: str


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
        """Of one hop, network and front end."""
        return sum(figure.value for figure in self.time)

    @property
    def seconds(self) -> float:
        """Of one hop."""
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

    Raises InputError for a file that is no int8 or int16 step of a denoiser, or where Vela is needed and not installed.
    """
    graph = read(model)
    npu = compile_for(board.npu, model) if board.npu else None
    return estimate(graph, board, choose(measurements, sha256(model), board.core.name), npu)


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
        time, flash, ram = _on_npu(npu, board, board.npu), _npu_flash(npu, config), _npu_ram(npu, config)
    else:
        time = [_operator_time(graph, op, board.core) for op in graph.operators]
        flash, ram = _flash(graph, config), _ram(graph, config)
        if measurement is not None:
            time, ends, flash, ram = _replaced(measurement, board.core, time, ends, flash, ram)
    return Estimate(board, config.hop / config.sample_rate, (*time, *ends), tuple(flash), tuple(ram))


def front_end_of(graph: Graph) -> FrontEndConfig:
    """The front end that the model carries in its metadata. Raises InputError where it carries none."""
    if "front_end" not in graph.metadata:
        raise InputError(f"{graph.name} carries no tinyse metadata with a front end: it was not exported by tinyse")
    return build(FrontEndConfig, graph.metadata["front_end"], "front_end")


def _operator_time(graph: Graph, operator: Operator, core: Core) -> Figure:
    output = operator.outputs[0]
    elements = sum(int(np.prod(graph.shape(name))) for name in operator.outputs)
    specification = OPERATORS[operator.kind]
    if operator.kind in WEIGHTED:
        instructions = macs(operator, graph.tensors) * specification.instructions * core.instructions_per_mac
        basis = core.basis
    else:
        instructions, basis = elements * specification.instructions, ELEMENT_BASIS
    return Figure(f"{operator.kind} {output}", instructions * core.cycles_per_instruction, "estimated", basis)


def _front_end_time(config: FrontEndConfig, board: Board, ways: int) -> list[Figure]:
    """Windows, transforms, bands, logarithms and gains of one hop, counted from what tinyse/spectra does.

    `ways` is 2 for sound in and out, 1 where there is no way back.
    """
    size = config.transform_size
    butterflies = size // 4 * int(math.log2(size // 2))
    passes = {
        "transforms": ways * (20 * butterflies + 30 * size // 4),
        "windows and overlap": (2 * ways - 1) * 5 * config.window,
        "powers and gains of bins": 12 * ways * config.bins,
        "features and mask of bands": (20 + 10 * ways) * config.bands,
    }
    # Without an FPU a float operation is a call of some ten times the instructions.
    scale = board.core.cycles_per_instruction * (1 if board.fpu else 10)
    basis = "float32 operations of the front end, loads and stores included" + ("" if board.fpu else ", in software")
    return [Figure(name, count * scale, "estimated", basis) for name, count in passes.items()]


def _flash(graph: Graph, config: FrontEndConfig) -> list[Figure]:
    channels = sum(graph.shape(op.inputs[1])[0] for op in graph.operators if op.kind in WEIGHTED)
    return [
        Figure("weights and biases", memory.constant_bytes(graph), "measured", "size of the graph's constants"),
        Figure("multipliers and shifts", 8 * channels, "estimated", "eight bytes an output channel"),
        Figure("code of the network", NETWORK_CODE_BYTES, "estimated", "generated C, unrolled kernels"),
        *_front_end_flash(config),
    ]


def _front_end_flash(config: FrontEndConfig) -> list[Figure]:
    size = config.transform_size
    floats = 2 * config.window + size // 2 + size // 2 + 2 + config.bins + 8 * config.bands
    tables = 4 * floats + 2 * (size // 2 + config.bins + config.bands)
    return [
        Figure("tables of the front end", tables, "estimated", "windows, turns and bands in float32"),
        Figure("code of the front end", FRONT_END_CODE_BYTES, "estimated", "C with -O2"),
        Figure("start-up, audio driver, libc", RUNTIME_CODE_BYTES, "estimated", "bare metal"),
    ]


def _ram(graph: Graph, config: FrontEndConfig) -> list[Figure]:
    return [
        Figure("activations", memory.peak_activation_bytes(graph), "estimated", "lifetimes of buffers, well packed"),
        Figure("states", memory.state_bytes(graph), "measured", "size of the graph's states"),
        *_front_end_ram(config),
    ]


def _front_end_ram(config: FrontEndConfig) -> list[Figure]:
    past = config.window - config.hop
    work = 4 * (2 * past + 2 * config.transform_size + 2 * config.bins + 2 * config.bands)
    return [
        Figure("front end", work, "estimated", "past, tail, transform, spectrum and bands in float32"),
        Figure("audio double buffers", 2 * 2 * 2 * config.hop, "measured", "two hops of PCM16 in and two out"),
        Figure("stack", STACK_BYTES, "estimated", "calls are not deep"),
    ]


def _on_npu(summary: VelaSummary, board: Board, npu: Npu) -> list[Figure]:
    basis = f"Vela's performance model, weights in SRAM, {summary.on_npu:.0%} of the operators on the NPU"
    if summary.cpu_operators:
        basis += ", the others NOT counted"
    return [Figure(f"network on {npu.name}", summary.cycles * board.clock_hz / npu.clock_hz, "estimated", basis)]


def _npu_flash(npu: VelaSummary, config: FrontEndConfig) -> list[Figure]:
    return [
        Figure("weights", npu.weight_bytes, "measured", "as encoded by Vela"),
        Figure("TFLM and the NPU's driver", TFLM_CODE_BYTES, "estimated", "one custom operator"),
        *_front_end_flash(config),
    ]


def _npu_ram(npu: VelaSummary, config: FrontEndConfig) -> list[Figure]:
    return [
        Figure("arena", npu.arena_bytes, "measured", "as planned by Vela, states included"),
        Figure("weights, copied", npu.weight_bytes, "measured", "from flash at start, so that the NPU need not wait"),
        *_front_end_ram(config),
    ]


Figures = list[Figure]


def _replaced(
    measurement: Measurement, core: Core, time: Figures, ends: Figures, flash: Figures, ram: Figures
) -> tuple[Figures, Figures, Figures, Figures]:
    """Sums that were measured in place of their estimated parts."""
    source, label = measurement.source, measurement.label
    if measurement.cycles is not None:
        time, ends = [Figure("network and front end", measurement.cycles, label, source)], []
    elif measurement.instructions is not None:
        cycles = measurement.instructions * core.cycles_per_instruction
        basis = f"{source}; instructions x {core.cycles_per_instruction} cycles, an estimate"
        time, ends = [Figure("network and front end", cycles, label, basis)], []
    if measurement.flash_bytes is not None:
        flash = [Figure("program", measurement.flash_bytes, label, source)]
    if measurement.ram_bytes is not None:
        ram = [Figure("data, states, buffers", measurement.ram_bytes, label, source)]
    return time, ends, flash, ram
