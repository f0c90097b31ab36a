"""The CMake project of an exported folder: the product as a library, and its replay on the host or on an emulated core."""

from __future__ import annotations

from collections.abc import Iterable

from firmware_export import text
from firmware_export.targets import CORES, EXACT, OPTIMIZATION, WARNINGS


def sources(prefix: str, version: str, own: Iterable[str], kernels: Iterable[str], idf: str) -> dict[str, str]:
    """{file name: text}: CMakeLists.txt of the export `prefix` and a toolchain file per core.

    `own` and `kernels`, of that version, are the names of all files in src; `idf` is what is done inside ESP-IDF.
    """
    values = {
        "PREFIX": prefix,
        "IDF": idf,
        "KERNELS": f"tinyse_kernels_{version}",
        "FILES": "\n  ".join(f"src/{name}" for name in own if name.endswith(".c")),
        "KERNEL_FILES": "\n    ".join(f"src/{name}" for name in kernels if name.endswith(".c")),
        "EXACT": " ".join(EXACT[1:]),
        "OPTIMIZATION": " ".join(OPTIMIZATION[1:]),
        "WARNINGS": " ".join((*WARNINGS, "-Werror")),
        "CORES": ", ".join(CORES),
    }
    files = {"CMakeLists.txt": text.fill("CMakeLists.txt.in", values)}
    for core in CORES.values():
        compiler = core.compiler.removesuffix("gcc")
        files[f"cmake/{core.name}.cmake"] = text.fill(
            "toolchain.cmake.in",
            {
                "TITLE": core.title,
                "PREFIX": compiler,
                "FLAGS": " ".join((*core.flags, *core.definitions)),
                "LINK_FLAGS": " ".join(core.link_flags),
                "PORT": core.port,
                "EMULATOR": ";".join((core.emulator, *core.machine, *core.emulator_flags)),
            },
        )
    return files
