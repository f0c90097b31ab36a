"""The files that make an exported folder a component, module or library of the build systems that products use.

The files of one do not disturb the others, so an export has all of them unless the user names some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from firmware_export import text
from firmware_export.kinds import CLASSIFIER, DENOISER
from tinyse.config import did_you_mean
from tinyse.errors import InputError

PACKAGES = ("esp-idf", "zephyr", "arduino", "platformio", "cmsis-pack")
_TITLES = {
    DENOISER: "Speech enhancement: noise is taken away, hop by hop",
    CLASSIFIER: "Sounds are told by their classes",
}


@dataclass(frozen=True)
class Product:
    """What the packages say of an export."""

    prefix: str
    kind: str
    """DENOISER, CLASSIFIER, or that of a bare network."""
    version: str
    """Three numbers."""
    digest: str
    license: str
    """SPDX expression of code and weights."""
    files: tuple[str, ...]
    """All files in src."""


def chosen(names: str) -> tuple[str, ...]:
    """The packages in a list with commas; "all" and "none" are lists too. Raises InputError for another name."""
    if names in ("all", "none"):
        return PACKAGES if names == "all" else ()
    given = tuple(name.strip() for name in names.split(",") if name.strip())
    for name in given:
        if name not in PACKAGES:
            raise InputError(
                f"--package {name!r}{did_you_mean(name, PACKAGES)}: give some of {', '.join(PACKAGES)}, all or none"
            )
    return given


def sources(product: Product, packages: Iterable[str]) -> dict[str, str]:
    """{path: text} of what these packages add to an export."""
    values = _values(product)
    files: dict[str, str] = {}
    for name in packages:
        files |= {path: text.fill(f"packages/{template}", values) for path, template in _FILES[name].items()}
    # The file of a CMSIS-Pack is called by its vendor and its name.
    return {path.replace("PREFIX", product.prefix): content for path, content in files.items()}


def branch(product: Product, packages: Iterable[str]) -> str:
    """What CMakeLists.txt does inside ESP-IDF, which reads a component's file of that name and no other."""
    return text.fill("packages/idf.cmake.in", _values(product)) if "esp-idf" in packages else ""


_FILES: Mapping[str, Mapping[str, str]] = {
    "esp-idf": {
        "idf_component.yml": "idf_component.yml.in",
        "examples/esp-idf/CMakeLists.txt": "examples/esp_project.cmake.in",
        "examples/esp-idf/main/CMakeLists.txt": "examples/esp_main.cmake.in",
        "examples/esp-idf/main/main.c": "examples/esp_main.c.in",
    },
    "zephyr": {
        "zephyr/module.yml": "module.yml.in",
        "zephyr/Kconfig": "Kconfig.in",
        "zephyr/CMakeLists.txt": "zephyr.cmake.in",
        "examples/zephyr/CMakeLists.txt": "examples/zephyr.cmake.in",
        "examples/zephyr/prj.conf": "examples/prj.conf.in",
        "examples/zephyr/sample.yaml": "examples/sample.yaml.in",
        "examples/zephyr/src/main.c": "examples/zephyr_main.c.in",
    },
    "arduino": {
        "library.properties": "library.properties.in",
        "examples/Hops/Hops.ino": "examples/Hops.ino.in",
    },
    "platformio": {
        "library.json": "library.json.in",
        "examples/Hops/Hops.ino": "examples/Hops.ino.in",
    },
    "cmsis-pack": {
        "tinyse.PREFIX.pdsc": "pack.pdsc.in",
        "examples/cmsis/main.c": "examples/main.c.in",
    },
}


def _values(product: Product) -> dict[str, str]:
    macro, prefix = product.prefix.upper(), product.prefix
    code = [f"src/{name}" for name in product.files if name.endswith(".c")]
    both = sorted(product.files, key=lambda name: (not name.endswith(".h"), name))
    kinds = {".h": "header", ".c": "source"}
    values = {
        "PREFIX": prefix,
        "SHORT": prefix[:32],  # what PACK.xsd allows
        "MACRO": macro,
        "VERSION": product.version,
        "HASH": product.digest[:16],
        "LICENSE": product.license,
        # PlatformIO takes licenses of SPDX's own list only.
        "LISTED_LICENSE": "" if "LicenseRef" in product.license else f'"license": "{product.license}",\n  ',
        "DESCRIPTION": _TITLES.get(product.kind, "A network's step, frame by frame"),
        "SOURCES": "\n    ".join(code),
        "ZEPHYR_SOURCES": "\n    ".join(f"../{name}" for name in code),
        "FILES": "\n        ".join(f'<file category="{kinds[name[-2:]]}" name="src/{name}"/>' for name in both),
    }
    return values | {"HOPS": text.fill("packages/examples/hops.in", values | _hop(product))}


def _hop(product: Product) -> dict[str, str]:
    """Buffers of an example, and what it does with them."""
    prefix, macro = product.prefix, product.prefix.upper()
    sound = f"static int16_t sound[{macro}_HOP];\n"
    if product.kind == DENOISER:
        return {"BUFFERS": sound, "HOP": f"    return {prefix}_process(&stream, sound, sound);"}
    if product.kind == CLASSIFIER:
        lines = (
            f"    const tinyse_status status = {prefix}_process(&stream, sound);",
            f"    return status == TINYSE_OK ? {prefix}_decide(&stream, tags) : status;",
        )
        return {"BUFFERS": f"{sound}static uint8_t tags[{macro}_CLASSES];\n", "HOP": "\n".join(lines)}
    return {"BUFFERS": "", "HOP": f"    return {prefix}_step(&stream);"}
