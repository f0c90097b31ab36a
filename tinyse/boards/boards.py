"""Boards: what a data sheet says of a microcontroller, and what a network costs on its kind of core.

Figures of cores are instructions that benchmarks/firmware.py counted under QEMU for the generated C of student-62k, 386 k
MAC per frame; QEMU counts instructions, so cycles per instruction are estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from tinyse.config import did_you_mean
from tinyse.errors import InputError

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class CoreCosts:
    """What a kind of core needs for the work, whatever chip it sits in."""

    name: str
    instructions_per_mac: float
    """In convolutions and fully connected layers of an int8 step, with everything around the multiplications."""
    element_share: float
    """Instructions of all other operators, as a share of what tinyse/graph/operators.py says of scalar code."""
    front_end_share: float
    """Instructions of the front end, as a share of its float operations, loads and stores in scalar code."""
    instructions_label: str
    """Where the figure comes from: "emulated" where it was counted on this kind of core, else "estimated"."""
    cycles_per_instruction: float
    """Modeled by benchmarks/cycles.py, with flash without wait states, or assumed, as the basis says: not a measurement."""
    basis: str
    """The assumption of both figures, in a sentence."""
    fpu: bool = True
    """Whether float32 is computed by instructions; without, the front end is the fixed-point one."""
    fixed_point_factor: float = 2.1
    """Instructions of the fixed-point front end over those of the one in float32; of a Cortex-M3 unless it is said."""
    factor_of_16_bits: float = 3.0
    """Instructions of an operator on values of 16 bits over those on 8: counted on a student-30k whose GRUs have 16 bits,
    3.0 on Cortex-M4, M7 and M33, 3.4 on M0+, 2.5 on RISC-V, 6.6 with Helium."""


@dataclass(frozen=True)
class Npu:
    """A neural coprocessor, as Vela compiles for it."""

    name: str
    accelerator: str
    """Vela's --accelerator-config."""
    clock_hz: float


ETHOS_U55_128 = Npu("Ethos-U55-128", "ethos-u55-128", 500e6)
"""What a network is compiled for where no board is named."""


@dataclass(frozen=True)
class Board:
    """A microcontroller. `flash_bytes` and `ram_bytes` are all that the chip has, not what an application leaves."""

    name: str
    title: str
    core: CoreCosts
    clock_hz: float
    flash_bytes: int
    ram_bytes: int
    source: str
    npu: Npu | None = None
    notes: str = ""
    wait_states: int = 0
    """Wait states of a line of flash that no accelerator or cache holds; 0 where all of it is assumed to be ready."""


_COUNTED = "student-62k as firmware_export builds it, counted by benchmarks/firmware.py under QEMU"
M4 = CoreCosts("Cortex-M4", 1.31, 0.43, 1.09, "emulated", 1.38, f"{_COUNTED}; cycles modeled from Arm DDI 0439")
M33 = CoreCosts("Cortex-M33", 1.31, 0.43, 1.09, "emulated", 1.15, f"{_COUNTED}; cycles modeled by llvm-mca 16")
M7 = CoreCosts("Cortex-M7", 1.31, 0.43, 1.09, "emulated", 1.06, f"{_COUNTED}; cycles modeled by llvm-mca 16")
M0_PLUS = CoreCosts(
    "Cortex-M0+", 9.6, 2.5, 1.0, "emulated", 1.35,
    f"{_COUNTED} (its code, on a Cortex-M3); cycles: loads and stores of two, taken branches of two",
    fpu=False, fixed_point_factor=10.2,
)  # fmt: skip
RV32IMAC = CoreCosts(
    "RISC-V RV32IMAC", 4.82, 1.3, 1.0, "emulated", 1.3, f"{_COUNTED}; cycles: assumed, for a short pipeline",
    fpu=False, fixed_point_factor=2.6,
)  # fmt: skip
RV32IMAFC = CoreCosts(
    "RISC-V RV32IMAFC", 4.82, 1.3, 1.0, "emulated", 1.3, f"{_COUNTED}; cycles: assumed, for a short pipeline"
)
_XTENSA = "portable C, assumed to need what RISC-V needs (for size only, compiled for an LX106: 105 kB); cycles assumed"
LX6 = CoreCosts("Xtensa LX6", 4.82, 1.3, 1.0, "estimated", 1.3, _XTENSA)
LX7 = CoreCosts("Xtensa LX7", 4.82, 1.3, 1.0, "estimated", 1.3, f"{_XTENSA}; its vector instructions are not used")
M55 = CoreCosts(
    "Cortex-M55",
    0.35,
    0.16,
    0.39,
    "emulated",
    1.36,
    f"{_COUNTED}; cycles modeled by llvm-mca 16",
    factor_of_16_bits=6.6,
)

_ALIF_E7 = Board(
    "alif-e7",
    "Alif Ensemble E7, Cortex-M55 HP alone",
    M55,
    400e6,
    int(5.5 * MIB),
    int(13.5 * MIB),
    source="Alif Ensemble E7 data sheet; RAM regions: Alif AWPR0003",
    notes="Flash is MRAM. DTCM is 1 MiB of the RAM, the rest is shared with the other cores.",
)

BOARDS: Mapping[str, Board] = MappingProxyType(
    {
        board.name: board
        for board in (
            Board(
                "stm32f446",
                "STM32F446RE",
                M4,
                180e6,
                512 * KIB,
                128 * KIB,
                source="ST DS10693",
                notes="Flash at 180 MHz has five wait states, which its accelerator (ART) hides for loops, not for weights.",
                wait_states=5,
            ),
            Board(
                "stm32h743",
                "STM32H743",
                M7,
                480e6,
                2 * MIB,
                1 * MIB,
                source="ST DS12110",
                notes="RAM in pieces: 512 KiB AXI, 128 KiB DTCM, 288 KiB D2 and others. 480 MHz from revision V on.",
            ),
            Board(
                "nrf5340",
                "nRF5340 application core",
                M33,
                128e6,
                1 * MIB,
                512 * KIB,
                source="Nordic nRF5340 product specification",
                notes="The network core (64 MHz, no FPU) is left to the radio.",
            ),
            Board(
                "stm32u585",
                "STM32U585",
                M33,
                160e6,
                2 * MIB,
                786 * KIB,
                source="ST DS13086",
                notes="RAM in pieces: SRAM1 192, SRAM2 64, SRAM3 512, SRAM4 16, backup 2 KiB.",
            ),
            Board(
                "corstone-300",
                "Corstone-300 on MPS3 (AN547), Cortex-M55",
                M55,
                32e6,
                512 * KIB,
                512 * KIB,
                source="Arm AN547; QEMU's machine mps3-an547",
                notes="An FPGA prototype: 32 MHz is the board's clock, silicon runs ten times faster. "
                "Flash stands for ITCM, RAM for DTCM.",
            ),
            Board(
                "nrf54l15",
                "nRF54L15",
                M33,
                128e6,
                1524 * KIB,
                256 * KIB,
                source="Nordic nRF54L15 data sheet",
                notes="Flash is RRAM. The RISC-V coprocessor is left alone.",
            ),
            Board(
                "rp2040",
                "RP2040 (Raspberry Pi Pico)",
                M0_PLUS,
                133e6,
                2 * MIB,
                264 * KIB,
                source="RP2040 and Raspberry Pi Pico data sheets",
                notes="One of two cores. Flash is a QSPI chip behind a cache of 16 KiB: weights are better in RAM.",
            ),
            Board(
                "rp2350",
                "RP2350 (Raspberry Pi Pico 2), a Cortex-M33",
                M33,
                150e6,
                4 * MIB,
                520 * KIB,
                source="RP2350 and Raspberry Pi Pico 2 data sheets",
                notes="One of two cores. Flash is a QSPI chip behind a cache of 16 KiB: weights are better in RAM.",
            ),
            Board(
                "esp32",
                "ESP32 (WROOM-32)",
                LX6,
                240e6,
                4 * MIB,
                520 * KIB,
                source="Espressif ESP32 and ESP32-WROOM-32 data sheets",
                notes="One of two cores. Flash is a SPI chip behind a cache.",
            ),
            Board(
                "esp32-s3",
                "ESP32-S3 (WROOM-1-N8)",
                LX7,
                240e6,
                8 * MIB,
                512 * KIB,
                source="Espressif ESP32-S3 and ESP32-S3-WROOM-1 data sheets",
                notes="One of two cores. Flash is a SPI chip behind a cache.",
            ),
            Board(
                "esp32-c3",
                "ESP32-C3 (MINI-1)",
                RV32IMAC,
                160e6,
                4 * MIB,
                400 * KIB,
                source="Espressif ESP32-C3 and ESP32-C3-MINI-1 data sheets",
                notes="Its core is an RV32IMC: atomics, which it lacks, are not used. Flash is behind a cache of 16 KiB.",
            ),
            Board(
                "esp32-c6",
                "ESP32-C6 (WROOM-1-N8)",
                RV32IMAC,
                160e6,
                8 * MIB,
                512 * KIB,
                source="Espressif ESP32-C6 and ESP32-C6-WROOM-1 data sheets",
                notes="The low-power core is left alone. Flash is a SPI chip behind a cache.",
            ),
            Board(
                "esp32-p4",
                "ESP32-P4 (Function EV board)",
                RV32IMAFC,
                400e6,
                16 * MIB,
                768 * KIB,
                source="Espressif ESP32-P4 data sheet",
                notes="One of two cores; its vector instructions are not used. Flash is a SPI chip behind a cache.",
            ),
            _ALIF_E7,
            replace(
                _ALIF_E7,
                name="alif-e7-u55",
                title="Alif Ensemble E7, Cortex-M55 HP and Ethos-U55",
                npu=Npu("Ethos-U55-256", "ethos-u55-256", 400e6),
                notes="The network runs on the NPU, the front end on the Cortex-M55.",
            ),
        )
    }
)


CORES: Mapping[str, CoreCosts] = MappingProxyType(
    {core.name.lower(): core for core in (M0_PLUS, M4, M7, M33, M55, RV32IMAC, RV32IMAFC, LX6, LX7)}
)


def own_board(core: str, mhz: float, ram_kib: int, flash_kib: int) -> Board:
    """A product's own board, without an NPU, with an FPU where such cores have one.

    Raises InputError for a core whose cost is not known.
    """
    if core.lower() not in CORES:
        raise InputError(f"unknown core {core!r}{did_you_mean(core.lower(), CORES)}")
    for option, value in (("--mhz", mhz), ("--ram", ram_kib), ("--flash", flash_kib)):
        if not 0 < value < 1e9:
            raise InputError(f"{option} is {value:g}: it has to lie between 0 and 1e9")
    kind = CORES[core.lower()]
    title = f"a board of your own, {kind.name}"
    return Board("own", title, kind, 1e6 * mhz, flash_kib * KIB, ram_kib * KIB, source="as given",
                 notes="All of its flash and RAM are counted as free.")  # fmt: skip


def find_board(name: str) -> Board:
    """The board of that name, upper or lower case. Raises InputError with the nearest name for an unknown one."""
    if name.lower() not in BOARDS:
        raise InputError(f"unknown board {name!r}{did_you_mean(name.lower(), BOARDS)}")
    return BOARDS[name.lower()]
