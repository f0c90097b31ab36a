"""The report of an export, SIZES.md and sizes.json: each figure against the compiler or a count of the test's own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from firmware_export.export import Firmware, make
from firmware_export.report import CALL_BYTES, CODE_BYTES, front_end_ram, lines, report
from tinyse import released
from tinyse.tflite.reader import read

GROUPED = re.compile(r"(?<=\d),(?=\d{3})")


@pytest.fixture(scope="module")
def firmware() -> Firmware:
    return make(read(released.find("student-30k")), "5" * 64)


@pytest.fixture(scope="module")
def facts(firmware) -> dict:
    return report(firmware.program, firmware.front_end, firmware.digest, firmware.sources)


def write(firmware: Firmware, folder: Path, program: str) -> None:
    """The sources of an export and a program beside them; skips where there is no compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    for name, content in {**firmware.sources, "main.c": program}.items():
        (folder / name).write_text(content)


def compiled(firmware: Firmware, expressions: str, folder: Path) -> list[int]:
    """What a compiler says of integer expressions about the structs of the export."""
    headers = "".join(f'#include "tinyse_{name}.h"\n' for name in ("front_end", "network"))
    write(
        firmware,
        folder,
        f"""{headers}#include <stdio.h>
int main(void) {{
    const int values[] = {{{expressions}}};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) printf("%d ", values[i]);
    return 0;
}}
""",
    )
    subprocess.run(["gcc", "main.c", "-o", "main"], cwd=folder, check=True)
    return [int(word) for word in subprocess.run([folder / "main"], capture_output=True, check=True).stdout.split()]


def test_ram_is_what_the_compiler_says(firmware, facts, tmp_path):
    network = "((tinyse_network *)0)->"
    sizes = f"sizeof(tinyse_front_end), sizeof({network}scratch), sizeof({network}states), sizeof({network}arena)"
    front_end, scratch, states, arena, hop = compiled(firmware, f"{sizes}, TINYSE_HOP", tmp_path)
    ram, graph = facts["ram"], firmware.program.graph
    assert ram["front_end"] == front_end and ram["scratch"] == scratch
    assert ram["states"] + ram["arena"] + ram["overread"] == states + arena
    assert ram["states"] == sum(np.prod(graph.shape(name)) for name in graph.inputs.values() if name != "features")
    assert ram["audio_buffers"] == 2 * 2 * hop, "one hop comes in, one goes out, in 16 bits"
    assert facts["ram_in_all"] == front_end + scratch + states + arena + 4 * hop


def test_a_classifier_has_no_synthesis_but_sums(firmware, tmp_path):
    """Three classes: two sums of 64 and of 32 bits each, and no sound to keep."""
    header = firmware.sources["tinyse_front_end.h"]
    firmware.sources["tinyse_front_end.h"] = header.replace("#define TINYSE_SYNTHESIS", "// none")
    try:
        (front_end,) = compiled(firmware, "sizeof(tinyse_front_end)", tmp_path)
    finally:
        firmware.sources["tinyse_front_end.h"] = header
    ram = front_end_ram(firmware.front_end, ["a", "b", "c"])
    assert ram == {"front_end": front_end, "audio_buffers": 1024, "pooling": 3 * (8 + 4)}


def test_tables_and_code_of_flash(firmware, facts, tmp_path):
    headers = [name for name in firmware.sources if name.endswith("_tables.h")]
    write(firmware, tmp_path, "".join(f'#include "{name}"\n' for name in headers))
    subprocess.run(["gcc", "-O0", "-c", "main.c"], cwd=tmp_path, check=True)
    symbols = subprocess.run(["nm", "-S", "main.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert facts["constants"]["front_end"] == sum(int(line.split()[1], 16) for line in symbols.splitlines()) > 7000
    assert facts["code"] == CODE_BYTES + CALL_BYTES * len(firmware.program.calls)
    assert facts["flash_in_all"] == facts["code"] + sum(facts["constants"].values())


def test_a_bare_network_has_neither_tables_nor_audio(firmware):
    facts = report(firmware.program, None, firmware.digest, firmware.sources)
    assert "front_end" not in facts["constants"] and "audio_buffers" not in facts["ram"]
    assert facts["ram_in_all"] == sum(facts["ram"][part] for part in ("states", "arena", "scratch", "overread"))


def test_the_largest_live_set_is_that_of_its_operator(firmware, facts):
    live, graph = facts["largest_live_set"], firmware.program.graph
    kind, output = live["operator"].split()
    (operator,) = (each for each in graph.operators if each.outputs[0] == output)
    assert operator.kind == kind and output in live["buffers"]
    assert live["bytes"] == sum(live["buffers"].values()) <= facts["ram"]["arena"]
    assert (facts["model"], facts["operators"], facts["macs"]) == ("5" * 64, len(graph.operators), graph.macs)


def test_sizes_md_has_every_figure(facts):
    text = lines(facts)
    rows = dict(line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| "))
    figures = {
        name.replace("**", ""): int(GROUPED.sub("", size.replace("**", ""))) for name, size in list(rows.items())[1:]
    }
    constants = {f"flash: {name}".replace("_", " "): size for name, size in facts["constants"].items() if size}
    ram = {f"RAM: {name}".replace("_", " "): size for name, size in facts["ram"].items()}
    totals = {"total flash": facts["flash_in_all"], "total RAM, without the stack": facts["ram_in_all"]}
    assert figures == {**constants, "flash: code, estimated": facts["code"], **ram, **totals}
    assert "flash: constants" not in figures, "parts of no size are left out"
    live = facts["largest_live_set"]
    assert "Model 5555555555555555: 111 operators, 95,616 multiplications per frame.\n" in text
    assert f"during {live['operator']}, {live['bytes']:,} bytes:" in text
    assert [f"- {name}: {size:,}" for name, size in live["buffers"].items()] == re.findall("^- .*", text, re.M)
    assert text.startswith("# Sizes\n\n") and text.endswith("measures it.\n") and "\n\n| part | bytes |\n|---|" in text
