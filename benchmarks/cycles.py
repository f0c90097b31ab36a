"""Modeled cycles of emulated firmware, by function: QEMU counts each address, a model says what an instruction takes.

Two models, neither of them a measurement:

- Cortex-M3 and M4: the cycles of Arm's reference manuals (Cortex-M4: DDI 0439, 3.3; Cortex-M3: DDI 0337, 3.3), in order,
  loads that follow a load in its second cycle, taken branches with a refill of the pipeline.
- Cortex-M7, M33 and M55: llvm-mca on every block of code, the scheduling model of LLVM for that core, caches and memory
  without waiting. LLVM describes the M33 by the Cortex-M4's model and, before version 16, the M55 too.

Memory is never waited for. What waits for flash is counted beside it, in lines: `waited_lines` of code after jumps, as
count.c models an accelerator.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware_export.targets import Core

PLUGIN = Path(__file__).parent / "count.c"
LINE_BYTES = 16
"""Of flash, as in count.c."""
REFILL = 2
"""Cycles after a taken branch; the manuals say 1 to 3."""
MCA_TRIPLES = {
    "cortex-m7": "thumbv7em-none-eabi",
    "cortex-m33": "thumbv8m.main-none-eabi",
    "cortex-m55": "thumbv8.1m.main-none-eabi",
}
MANUALS = {"cortex-m4": "Arm DDI 0439", "cortex-m3": "Arm DDI 0337"}
FIRST_MCA = 16
"""The first release of LLVM that is used."""
TURNS = 50
"""How often llvm-mca runs a block after itself."""
TEST = re.compile(r"vectors|replay|^main$|^begin$|^start$|^mem(cmp)$|^port_|^print_|^fault$|^finish$|_(init|reset)$")
"""Functions that are the test's or do not run in every hop."""
CONDITION = "(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|hs|lo)?"
BRANCH = re.compile(rf"^(b|bl|bx|blx|cbz|cbnz|le){CONDITION}$")


@dataclass(frozen=True)
class Instruction:
    """One address of the product, and how often it ran."""

    address: int
    function: str
    text: str
    executed: int
    jumped: int
    waited: int

    @property
    def mnemonic(self) -> str:
        """Without its width."""
        return re.sub(r"\.(w|n)$", "", self.text.split(maxsplit=1)[0])

    @property
    def operands(self) -> str:
        """As the disassembler writes them."""
        return self.text.partition(" ")[2]


@dataclass(frozen=True)
class Cycles:
    """Of one hop: instructions and cycles by function. `source` says what they are modeled from."""

    instructions: dict[str, float]
    cycles: dict[str, float]
    waited_lines: float
    source: str

    @property
    def total(self) -> float:
        """Of all functions, without wait states."""
        return sum(self.cycles.values())

    @property
    def per_instruction(self) -> float:
        """The mean."""
        return self.total / sum(self.instructions.values())


def missing(core: Core) -> str:
    """What a model of `core` lacks on this machine, empty if nothing; a core without a model lacks that."""
    if core.name not in MANUALS and core.name not in MCA_TRIPLES:
        return "no model of its cycles"
    if core.name in MCA_TRIPLES and mca() is None:
        return f"apt-get install llvm-{FIRST_MCA}"
    return "" if shutil.which("gcc") else "apt-get install gcc"


def mca() -> str | None:
    """The newest llvm-mca of this machine from FIRST_MCA on: 14 stops at instructions of a Cortex-M55."""
    names = ["llvm-mca", *(f"llvm-mca-{version}" for version in range(FIRST_MCA, 30))]
    found = [name for name in names if shutil.which(name) and _version(name) >= FIRST_MCA]
    return max(found, key=_version, default=None)


def model(core: Core, binary: Path, frames: int) -> Cycles:
    """Run a replay of `frames` hops on `core` and model the cycles of each function."""
    with tempfile.TemporaryDirectory() as temporary:
        counts = _counts(core, binary, Path(temporary))
    if core.name in MANUALS:
        code = _disassembled(["arm-none-eabi-objdump", "-d", "--no-show-raw-insn"], binary, counts)
        cycles = _by_manual(code, core.name)
        source = MANUALS[core.name]
    else:
        tool = str(mca())
        triple = MCA_TRIPLES[core.name]
        dump = tool.replace("mca", "objdump")
        code = _disassembled(
            [dump, "-d", "--no-show-raw-insn", f"--triple={triple}", f"--mcpu={core.name}"], binary, counts
        )
        cycles = _by_mca(code, tool, triple, core.name)
        source = f"llvm-mca {_version(tool)}"
    instructions: Counter[str] = Counter()
    for one in code:
        instructions[one.function] += one.executed
    waited = sum(one.waited for one in code)
    return Cycles(
        {name: count / frames for name, count in instructions.most_common()},
        {name: count / frames for name, count in cycles.most_common()},
        waited / frames,
        source,
    )


def _version(tool: str) -> int:
    result = subprocess.run([tool, "--version"], capture_output=True, text=True)
    return int(re.findall(r"version (\d+)", result.stdout)[0])


def _counts(core: Core, binary: Path, folder: Path) -> dict[int, tuple[int, int, int]]:
    """Executions, jumps and waited lines by address."""
    plugin, result = folder / "count.so", folder / "counts.txt"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", str(PLUGIN), "-o", str(plugin)], check=True)
    command = [core.emulator, *core.machine, *core.emulator_flags, str(binary)]
    command += ["-plugin", f"{plugin},out={result},base={core.flash[0]:#x}"]
    subprocess.run(command, check=True, capture_output=True)
    lines = (line.split() for line in result.read_text().splitlines())
    return {int(address, 16): (int(a), int(b), int(c)) for address, a, b, c in lines}


def _disassembled(command: Sequence[str], binary: Path, counts: dict[int, tuple[int, int, int]]) -> list[Instruction]:
    """The instructions of the product that ran, in the order of their addresses, with one that did not between pieces."""
    text = subprocess.run([*command, str(binary)], capture_output=True, text=True, check=True).stdout
    function, code = "", []
    for line in text.splitlines():
        if match := re.match(r"^[0-9a-f]+ <([^$].*)>:", line):  # $t and $d mark code and data within a function
            function = match[1]
        elif (match := re.match(r"^\s*([0-9a-f]+):\s+(\S.*)$", line)) and not TEST.search(function):
            address = int(match[1], 16)
            instruction = re.split(r"\s+[@;]|\s+<", match[2])[0].replace("\t", " ").strip()
            code.append(Instruction(address, function, instruction, *counts.get(address, (0, 0, 0))))
    return code


# The reference manuals' table.


def _by_manual(code: Iterable[Instruction], core: str) -> Counter[str]:
    cycles: Counter[str] = Counter()
    before: Instruction | None = None
    for one in code:
        known = before if before is not None and before.function == one.function else None
        cycles[one.function] += one.executed * manual_cycles(one, known, core) + REFILL * one.jumped
        before = one
    return cycles


def manual_cycles(one: Instruction, before: Instruction | None = None, core: str = "cortex-m4") -> int:
    """Cycles of an instruction after `before`, without a refill. Of the manuals' ranges, 6 of a division's 2 to 12, and
    on a Cortex-M3 4 of a long multiplication's 3 to 5 and 5 of one with an addition's 4 to 7."""
    name, operands = one.mnemonic, one.operands
    if re.match(rf"^ldr(b|h|sb|sh)?{CONDITION}$", name):
        return 1 if before is not None and _follows(one, before) else 2
    if re.match(rf"^str(b|h)?{CONDITION}$", name):
        return 2 if re.search(r"\[\w+, r\d+", operands) else 1
    if re.match(rf"^(ldrd|strd){CONDITION}$", name):
        return 3
    if re.match(r"^(ldm|stm|push|pop|vpush|vpop|vldm|vstm)", name):
        return 1 + _registers(operands)
    if re.match(rf"^(vldr|vstr){CONDITION}$", name):
        follows = name.startswith("vldr") and before is not None and re.match(r"^(v?ldr)", before.mnemonic)
        return 1 if follows else 2
    if re.match(r"^(vmla|vmls|vfma|vfms|vnmla|vnmls)", name):
        return 3 + _stalled(one, before)
    if re.match(r"^(vdiv|vsqrt)", name):
        return 14
    if name.startswith("v"):
        return 1 + _stalled(one, before)
    if re.match(r"^(udiv|sdiv)", name):
        return 6
    if core == "cortex-m3" and re.match(r"^(mla|mls|[us]mull|[us]mlal)$", name):
        return {"mull": 4, "mlal": 5}.get(name[1:], 2)
    return 2 if re.match(r"^(tbb|tbh)", name) else 1


def _follows(one: Instruction, before: Instruction) -> bool:
    """Whether a load begins in the second cycle of the load before: it does not wait for what that one loads."""
    if not re.match(rf"^ldr(b|h|sb|sh)?{CONDITION}$", before.mnemonic):
        return False
    return before.operands.split(",")[0] not in re.findall(r"\w+", one.operands.partition("[")[2])


def _stalled(one: Instruction, before: Instruction | None) -> int:
    """A cycle for a result of the floating-point instruction before."""
    if before is None or not re.match(r"^v(add|sub|mul|nmul|mla|mls|div|cvt|fma)", before.mnemonic):
        return 0
    read = re.findall(r"\b[sd]\d+\b", one.operands)[0 if one.mnemonic.startswith("vstr") else 1 :]
    return int(before.operands.split(",")[0] in read)


def _registers(operands: str) -> int:
    """Words of a list of registers."""
    total = 0
    for part in operands.partition("{")[2].strip("}! ").split(","):
        ends = re.findall(r"([rsd]?)(\d+)", part)
        words = 2 if part.strip().startswith("d") else 1
        total += words * (int(ends[1][1]) - int(ends[0][1]) + 1 if "-" in part else 1)
    return total


# llvm-mca.


def _by_mca(code: Sequence[Instruction], tool: str, triple: str, cpu: str) -> Counter[str]:
    runs = blocks(code)
    made_conditional = conditional(code)
    source = [".syntax unified", ".thumb"]
    for number, block in enumerate(runs):
        lines = [assembled(one, number, one.address in made_conditional) for one in block]
        source += [f"@ LLVM-MCA-BEGIN b{number}", f".L{number}:", *lines, "@ LLVM-MCA-END"]
    with tempfile.NamedTemporaryFile("w", suffix=".s") as file:
        file.write("\n".join(source) + "\n")
        file.flush()
        command = [tool, f"-mtriple={triple}", f"-mcpu={cpu}", f"-iterations={TURNS}", "-json", file.name]
        result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode or "error:" in result.stderr:
        raise RuntimeError(f"{tool}: {result.stderr[:500]}")
    regions = {region["Name"]: region["SummaryView"] for region in json.loads(result.stdout)["CodeRegions"]}
    cycles: Counter[str] = Counter()
    for number, block in enumerate(runs):
        cycles[block[0].function] += block[0].executed * regions[f"b{number}"]["TotalCycles"] / TURNS
    return cycles


def blocks(code: Sequence[Instruction]) -> list[list[Instruction]]:
    """Runs of instructions that were executed as often as each other, cut after branches and before their targets."""
    targets = {int(match[1], 16) for one in code if (match := re.search(r"0x([0-9a-f]+)$", one.text))}
    found: list[list[Instruction]] = []
    open_block = False
    for one in code:
        if not one.executed:
            open_block = False
            continue
        same = open_block and found[-1][0].executed == one.executed and found[-1][0].function == one.function
        if not same or one.address in targets:
            found.append([])
        found[-1].append(one)
        open_block = not BRANCH.match(one.mnemonic) and "pc" not in one.operands
    return found


def conditional(code: Sequence[Instruction]) -> set[int]:
    """Addresses of what an IT makes conditional."""
    found: set[int] = set()
    for at, one in enumerate(code):
        if re.match(r"^it[te]*$", one.mnemonic):
            found |= {behind.address for behind in code[at + 1 : at + len(one.mnemonic)]}
    return found


def assembled(one: Instruction, block: int, conditional: bool) -> str:
    """What the assembler takes: a block's own label, no conditions, and NOP for what llvm-mca cannot take."""
    text = one.text
    if BRANCH.match(one.mnemonic):
        text = re.sub(r"(#?-?)0x[0-9a-f]+$|#-?\d+$", f".L{block}", text)
    if conditional:
        text = re.sub(rf"^(\w+?){CONDITION[:-1]}\b", r"\1", text)
    text = re.sub(r"^(vldr[bhw]|vstr[bhw]|vadd|vsub|vmul|vdup|vmax|vmin)[te]\.", r"\1.", text)  # of a VPT block
    untaken = (
        r"^(it[te]*|dls|wls|le|dlstp|wlstp|letp|vpst|vpt|vcmp|vmrs|vmsr|vsel(eq|ge|gt|vs)"
        r"|blx?|bx|push|pop|vpush|vpop|ldm|stm|add pc)"
    )
    return "nop" if "<unknown>" in text or text.startswith(".") or re.match(untaken, text) else text
