"""The CMake project of an exported folder: the product as a library, and its replay on the host or on an emulated core."""

from __future__ import annotations

from firmware_export import text
from firmware_export.targets import CORES, EXACT, OPTIMISATION, WARNINGS


def sources() -> dict[str, str]:
    """{file name: text}: CMakeLists.txt, and a toolchain file for each core."""
    values = {
        "EXACT": " ".join(EXACT[1:]),
        "OPTIMISATION": " ".join(OPTIMISATION[1:]),
        "WARNINGS": " ".join(WARNINGS),
        "CORES": ", ".join(CORES),
    }
    files = {"CMakeLists.txt": text.fill("CMakeLists.txt.in", values)}
    for core in CORES.values():
        prefix = core.compiler.removesuffix("gcc")
        files[f"cmake/{core.name}.cmake"] = text.fill(
            "toolchain.cmake.in",
            {
                "TITLE": core.title,
                "PREFIX": prefix,
                "FLAGS": " ".join((*core.flags, *core.definitions)),
                "LINK_FLAGS": " ".join(core.link_flags),
                "PORT": core.port,
                "EMULATOR": ";".join((core.emulator, *core.machine, *core.emulator_flags)),
            },
        )
    return files
