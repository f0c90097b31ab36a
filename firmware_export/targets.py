"""The processors that the firmware is tested on, all of them emulated by QEMU, and how to build for them.

The one table of flags: exported CMake files are made from it too.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyse.errors import InputError

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-pedantic")
EXACT = ("-std=c99", "-ffp-contract=off")
OPTIMIZATION = ("-O2", "-ffunction-sections", "-fdata-sections")
RUN_SECONDS = 120


@dataclass(frozen=True)
class Core:
    """A processor on a board of QEMU's. `hertz` drives the timer that counts instructions."""

    name: str
    title: str
    compiler: str
    flags: tuple[str, ...]
    emulator: str
    machine: tuple[str, ...]
    port: str
    flash: tuple[int, int]
    ram: tuple[int, int]
    hertz: int = 0

    @property
    def fpu(self) -> bool:
        """Whether float32 is computed by instructions; without, the fixed-point front end is the one to take."""
        return "-mfloat-abi=hard" in self.flags or "-mabi=ilp32f" in self.flags

    @property
    def definitions(self) -> tuple[str, ...]:
        """Preprocessor definitions of the port."""
        return (f"-DTICKS_PER_125_INSTRUCTIONS={self.hertz * 8 // 1_000_000}",) if self.hertz else ()

    @property
    def link_flags(self) -> tuple[str, ...]:
        """What the linker needs, but for the script."""
        symbols = zip(("FLASH_START", "FLASH_BYTES", "RAM_START", "RAM_BYTES"), (*self.flash, *self.ram), strict=True)
        return (
            "-nostartfiles", "-Wl,--gc-sections",
            *(f"-Wl,--defsym={name}={value:#x}" for name, value in symbols),
        )  # fmt: skip

    @property
    def emulator_flags(self) -> tuple[str, ...]:
        """Semihosting, and one instruction every 64 ns of the emulated time: the counters count instructions."""
        return (
            "-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=6",
            "-semihosting-config", "enable=on,target=native", "-kernel",
        )  # fmt: skip

    @property
    def missing(self) -> str:
        """What has to be installed first, empty if nothing."""
        packages = {
            "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
            "qemu-system-arm": "qemu-system-arm",
            "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
            "qemu-system-riscv32": "qemu-system-misc",
        }
        absent = [packages[tool] for tool in (self.compiler, self.emulator) if shutil.which(tool) is None]
        return f"apt-get install {' '.join(absent)}" if absent else ""


def _arm(
    name: str,
    title: str,
    flags: str,
    machine: str,
    hertz: int,
    code: int = 0,
    ram: int = 0x20000000,
    size: int = 4 << 20,
) -> Core:
    return Core(
        name, title, "arm-none-eabi-gcc", (f"-mcpu={name}", "-mthumb", *flags.split(), "--specs=nano.specs"), "qemu-system-arm",
        ("-M", machine), "cortex_m", (code, size), (ram, size), hertz,
    )  # fmt: skip


def _riscv(name: str, abi: str) -> Core:
    return Core(
        name, f"RISC-V {name.upper()}",
        "riscv64-unknown-elf-gcc", (f"-march={name}", f"-mabi={abi}", "--specs=picolibc.specs"),
        "qemu-system-riscv32", ("-M", "virt", "-bios", "none"),
        "riscv", (0x80000000, 4 << 20), (0x80400000, 4 << 20),
    )  # fmt: skip


CORES = {
    core.name: core
    for core in (
        _arm("cortex-m4", "Cortex-M4F", "-mfpu=fpv4-sp-d16 -mfloat-abi=hard", "mps2-an386", 25_000_000),
        _arm("cortex-m7", "Cortex-M7F", "-mfpu=fpv5-sp-d16 -mfloat-abi=hard", "mps2-an500", 25_000_000),
        _arm("cortex-m33", "Cortex-M33F", "-mfpu=fpv5-sp-d16 -mfloat-abi=hard", "mps2-an505", 20_000_000,
             0x10000000, 0x38000000),
        _arm("cortex-m55", "Cortex-M55 (Helium)", "-mfloat-abi=hard", "mps3-an547", 32_000_000, size=512 << 10),
        _arm("cortex-m3", "Cortex-M3", "-mfloat-abi=soft", "mps2-an385", 25_000_000),
        # QEMU's only board with an Armv6-M core counts no instructions; its code is a part of Armv7-M's.
        _arm("cortex-m0plus", "Cortex-M0+", "-mfloat-abi=soft", "mps2-an385", 25_000_000),
        _riscv("rv32imac", "ilp32"),
        _riscv("rv32imafc", "ilp32f"),
    )
}  # fmt: skip


def build(folder: Path, core: Core | None, binary: Path, flags: Sequence[str] = (), test: str = "replay") -> None:
    """Compile an exported folder with a test of its own, as replay, kernels or transform, for `core` or this computer (None).

    Raises InputError with what the compiler says first.
    """
    sources = [*sorted((folder / "src").glob("*.c")), folder / "test" / f"{core.port if core else 'host'}.c"]
    if test == "replay":
        sources += [folder / "test" / "main.c", *sorted((folder / "test").glob("*_[rv]e*.c"))]
    else:
        sources.append(folder / "test" / f"{test}.c")
    script = () if core is None else ("-T", str(folder / "test" / "bare_metal.ld"), *core.link_flags)
    _compile(core, [*common_flags(folder), *flags, *map(str, sources), *script, "-o", str(binary)])


def common_flags(folder: Path) -> list[str]:
    """Flags of every compilation: the language, exact arithmetic, optimization, and all warnings as errors."""
    return [*EXACT, *OPTIMIZATION, *WARNINGS, "-Werror", f"-I{folder / 'src'}", f"-I{folder / 'test'}"]


def flash_bytes(folder: Path, core: Core, flags: Sequence[str] = ()) -> int:
    """Flash that the product takes: its code, constants and what it uses of the compiler's library, nothing of the test."""
    with tempfile.TemporaryDirectory() as temporary:
        binary = Path(temporary) / "product.elf"
        prefix = next((folder / "src").glob("*_network.c")).stem.removesuffix("_network")
        used = (f"{prefix}_init_checked", f"{prefix}_set_attenuation_limit")
        sources = map(str, sorted((folder / "src").glob("*.c")))
        keep = [f"-Wl,--undefined={name}" for name in used]
        script = ("-T", str(folder / "test" / "bare_metal.ld"), *core.link_flags)
        _compile(
            core,
            [
                *common_flags(folder),
                *flags,
                *sources,
                *keep,
                f"-Wl,--entry={prefix}_process",
                *script,
                "-o",
                str(binary),
            ],
        )
        tool = core.compiler.removesuffix("gcc") + "size"
        lines = subprocess.run(
            [tool, str(binary)], capture_output=True, text=True, errors="replace", check=True
        ).stdout.splitlines()
    text, data, *_ = lines[1].split()
    return int(text) + int(data)


def run(core: Core | None, binary: Path) -> tuple[int, str]:
    """Exit code and output of a replay, on `core` under QEMU or on this computer."""
    command = [str(binary)] if core is None else [core.emulator, *core.machine, *core.emulator_flags, str(binary)]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=RUN_SECONDS)
    return result.returncode, result.stdout + result.stderr


def _compile(core: Core | None, arguments: Sequence[str]) -> None:
    compiler = ["gcc"] if core is None else [core.compiler, *core.flags, *core.definitions]
    result = subprocess.run([*compiler, *arguments], capture_output=True, text=True, errors="replace")
    if result.returncode:
        raise InputError(f"{compiler[0]} failed:\n" + "\n".join(result.stderr.splitlines()[:10]))
