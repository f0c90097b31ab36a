"""Addresses: what a stream and its sound must be aligned to, and cores or memories that take no unaligned word."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from test_firmware import everything16
from test_firmware_images import compile_all

from firmware_export import targets
from firmware_export.export import export, make
from tinyse import released

CORTEX_M = [core for core in targets.CORES.values() if core.port == "cortex_m"]
MODELS = ("student-62k", "student-30k")
"""The windows of the second one have 10 channels, so that they begin at half words."""
ALIGNED = "-mno-unaligned-access"


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[tuple[str, bool], Path]:
    """Exports by model and whether the front end is fixed-point."""
    top = tmp_path_factory.mktemp("exports")
    found = {(name, fixed): top / f"{name}-{fixed}" for name in MODELS for fixed in (False, True)}
    for (name, fixed), folder in found.items():
        export(released.find(name), folder, 3, fixed_point=fixed)
    return found


@pytest.mark.parametrize("core", CORTEX_M, ids=lambda core: core.name)
def test_a_core_that_traps_unaligned_words_runs_both_models(folders, tmp_path, core):
    if core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    flags = ["-DTRAP_UNALIGNED", ALIGNED]
    for name in MODELS:
        targets.build(folders[name, not core.fpu], core, tmp_path / name, flags)
        code, output = targets.run(core, tmp_path / name)
        assert code == 0, output
    targets.build(folders[MODELS[0], False], core, tmp_path / "kernels", flags, "kernels")
    code, output = targets.run(core, tmp_path / "kernels")
    assert code == 0, output


def test_the_trap_is_on(folders, tmp_path):
    """Without the flag, kernels use unaligned words, and the emulated core faults."""
    core = targets.CORES["cortex-m4"]
    if core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    targets.build(folders[MODELS[0], False], core, tmp_path / "kernels", ["-DTRAP_UNALIGNED"], "kernels")
    assert targets.run(core, tmp_path / "kernels") == (99, "FAULT\n")


@pytest.mark.parametrize("name", ["cortex-m4", "cortex-m3", "cortex-m55"])
def test_no_copy_is_left_to_a_library_that_was_compiled_before(folders, tmp_path, name):
    """newlib's memcpy makes unaligned words of its own, whatever the flags are that it is linked with."""
    core = targets.CORES[name]
    if core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    folder = folders[MODELS[1], not core.fpu]
    flagged = targets.Core(**{**vars(core), "flags": (*core.flags, ALIGNED)})
    objects = compile_all(flagged, sorted((folder / "src").glob("*.c")), [folder / "src"], tmp_path)
    listed = subprocess.run(["arm-none-eabi-nm", *objects], capture_output=True, text=True, check=True).stdout
    assert " U memset\n" in listed
    assert " U memcpy\n" not in listed
    assert " U memmove\n" not in listed


def test_a_constant_operand_of_16_bits_lies_at_an_even_address(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    for name, content in make(everything16(), "0").sources.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "check.c").write_text(
        '#include "tinyse_kernels.h"\n#include "tinyse_network_data.h"\n'
        '_Static_assert(__alignof__(constant_0) % 2 == 0, "odd");\n'
    )
    subprocess.run(["gcc", "-fsyntax-only", f"-I{tmp_path}", str(tmp_path / "check.c")], check=True)


ANSWERS = """
#include <stdio.h>
#include "student_62k.h"
static union { student_62k_stream stream; char bytes[sizeof(student_62k_stream) + STUDENT_62K_ALIGNMENT]; } at;
static int16_t hop[STUDENT_62K_HOP + 1];
int main(void)
{
    student_62k_stream *const odd = (student_62k_stream *)(void *)(at.bytes + STUDENT_62K_ALIGNMENT / 2);
    int16_t *const half = (int16_t *)(void *)((char *)hop + 1);
    printf("%d", student_62k_init(&at.stream));
    printf(" %d %d", student_62k_init(NULL), student_62k_init(odd));
    printf(" %d %d", student_62k_reset(odd), student_62k_process(odd, hop, hop));
    printf(" %d %d", student_62k_set_attenuation_limit(odd, 1), student_62k_process(&at.stream, half, hop));
    printf(" %d %d", student_62k_process(&at.stream, hop, half), student_62k_process(&at.stream, NULL, hop));
    printf(" %d\\n", student_62k_process(&at.stream, hop, hop));
    return 0;
}
"""


def test_a_pointer_that_is_null_or_not_aligned_has_a_status(folders, tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    folder = folders[MODELS[0], False]
    (tmp_path / "main.c").write_text(ANSWERS)
    objects = compile_all(None, [*(folder / "src").glob("*.c"), tmp_path / "main.c"], [folder / "src"], tmp_path)
    subprocess.run(["gcc", *objects, "-o", str(tmp_path / "image")], check=True)
    answers = subprocess.run([str(tmp_path / "image")], capture_output=True, text=True, check=True).stdout
    assert answers == "0 1 1 1 1 1 1 1 1 0\n"
