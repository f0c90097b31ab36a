"""Modeled cycles: the manuals' table, what llvm-mca is given, and a firmware that was counted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from firmware_export import targets
from firmware_export.export import export
from tinyse import released
from tinyse.boards.boards import BOARDS
from tinyse.boards.estimate import estimate_file
from tinyse.boards.measurements import choose, counted
from tinyse.files import sha256
from tinyse.released import find

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import cycles


def instruction(text: str, address: int = 0, executed: int = 1) -> cycles.Instruction:
    return cycles.Instruction(address, "f", text, executed, 0, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ldr r0, [r1]", 2), ("ldrsb.w r0, [r1, #4]", 2), ("str r0, [r1]", 1), ("str r0, [r1, r2]", 2),
        ("ldrd r0, r1, [r2], #8", 3), ("push {r4-r7, lr}", 6), ("vpush {d8-d9}", 5), ("ldmia r0, {r1, r2, r3}", 4),
        ("smlad r0, r1, r2, r0", 1), ("add.w r0, r1, r2", 1), ("vmul.f32 s0, s1, s2", 1), ("vmla.f32 s0, s1, s2", 3),
        ("vdiv.f32 s0, s1, s2", 14), ("vldr s0, [r1]", 2), ("bne.n 0x10", 1), ("tbb [pc, r0]", 2), ("udiv r0, r1, r2", 6),
        ("smull r0, r1, r2, r3", 1),
    ],
)  # fmt: skip
def test_cycles_are_those_of_the_manual(text: str, expected: int) -> None:
    assert cycles.manual_cycles(instruction(text)) == expected


def test_cycles_depend_on_what_came_before() -> None:
    load = instruction("ldr r0, [r1]")
    assert cycles.manual_cycles(instruction("ldr r2, [r3]"), load) == 1
    assert cycles.manual_cycles(instruction("ldr r2, [r0]"), load) == 2, "it waits for its address"
    product = instruction("vmul.f32 s0, s1, s2")
    assert cycles.manual_cycles(instruction("vadd.f32 s3, s0, s4"), product) == 2
    assert cycles.manual_cycles(instruction("vadd.f32 s0, s3, s4"), product) == 1
    assert cycles.manual_cycles(instruction("smull r0, r1, r2, r3"), None, "cortex-m3") == 4
    assert cycles.manual_cycles(instruction("mla r0, r1, r2, r3"), None, "cortex-m3") == 2


def test_a_conversion_is_no_part_of_a_vpt_block() -> None:
    assert cycles.assembled(instruction("vcvt.f32.s32 s0, s1"), 0, False) == "vcvt.f32.s32 s0, s1"
    assert cycles.assembled(instruction("vstrbt.8 q0, [r0]"), 0, False) == "vstrb.8 q0, [r0]"


def test_blocks_end_where_counts_change_and_behind_branches() -> None:
    code = [
        instruction("mov r0, r1", 0, 1), instruction("adds r0, #1", 2, 5), instruction("bne.n 0x2", 4, 5),
        instruction("mov r2, r0", 6, 5), instruction("it ne", 8, 5), instruction("movne r3, r0", 10, 5),
    ]  # fmt: skip
    assert [[one.address for one in block] for block in cycles.blocks(code)] == [[0], [2, 4], [6, 8, 10]]
    conditional = cycles.conditional(code)
    assert [cycles.assembled(one, 7, one.address in conditional) for one in code] == [
        "mov r0, r1", "adds r0, #1", "bne.n .L7", "mov r2, r0", "nop", "mov r3, r0",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["cortex-m4", "cortex-m55"])
def test_a_replay_is_modeled_by_function(name: str, tiny, tmp_path: Path) -> None:
    core = targets.CORES[name]
    if core.missing or cycles.missing(core):
        pytest.skip(f"{core.title}: {core.missing or cycles.missing(core)}")
    export(tiny.quantized, tmp_path, frames=10)
    targets.build(tmp_path, core, tmp_path / "replay.elf")
    modeled = cycles.model(core, tmp_path / "replay.elf", 10)
    assert 1 < modeled.per_instruction < 2
    assert any("convolve" in function for function in modeled.cycles)
    assert not any("vectors" in function for function in modeled.cycles), "the test's own functions are left out"
    assert modeled.source.startswith("Arm DDI 0439" if name == "cortex-m4" else "llvm-mca")


@pytest.mark.parametrize("model", released.names())
def test_bench_says_what_the_firmware_table_says(model: str) -> None:
    """One figure in both: modeled cycles, and wait states for the lines of flash that are waited for."""
    path, board = find(Path(model)), BOARDS["stm32f446"]
    one = choose(counted(), sha256(path), board.core.name)
    assert one is not None and one.modeled_cycles is not None
    estimate = estimate_file(path, board)
    assert estimate.cycles == one.modeled_cycles + board.wait_states * one.flash_lines
    assert {figure.label for figure in estimate.time} == {"modeled"}
    assert "Arm DDI 0439" in estimate.time[0].basis
