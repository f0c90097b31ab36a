"""The firmware in a browser: its C as WebAssembly, and a page of static files that any server can host."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from firmware_export.export import Firmware
from firmware_export.folder import refuse_foreign
from firmware_export.host import checked
from firmware_export.plugins import denoiser, write_block
from firmware_export.targets import EXACT
from tinyse import files
from tinyse.errors import InputError
from tinyse.locks import alone_in
from tinyse.presets import PRESETS
from tinyse.spectra.front_end import latency_ms

FOLDER = Path(__file__).parent / "web"
WASM, MODEL = "tinyse.wasm", "model.json"
NO_LIMIT = -1
"""What set_limit of web.c takes for none."""
COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
FLAGS = (
    "--target=wasm32", "-ffreestanding", "-nostdlib", "-O3", "-mbulk-memory", "-msimd128", "-fvisibility=hidden",
    "-Wl,--no-entry", "-Wl,--gc-sections", "-Wl,--strip-all", "-Wl,-z,stack-size=16384",
)  # fmt: skip
"""128-bit vectors are in every browser since 2023."""


def export_page(model: str | Path, folder: str | Path, card: str, name: str) -> int:
    """Write the page of a .tflite to `folder`, with the model's `card` (Markdown) and `name` on it; the .wasm's size.

    Raises InputError for a model that cannot be turned into C, and where clang or lld is missing.
    """
    folder, firmware = Path(folder), denoiser(model)
    wasm = build_wasm(firmware)
    page = sorted((FOLDER / "page").iterdir())
    with alone_in(folder):
        refuse_foreign(folder, WASM, [*(path.name for path in page), MODEL])
        files.write_bytes(folder / WASM, wasm)  # first: it says whose the folder is
        for path in page:
            files.write_bytes(folder / path.name, path.read_bytes())
        files.write_json(folder / MODEL, _facts(firmware, card, name))
    return len(wasm)


def build_wasm(firmware: Firmware) -> bytes:
    """The firmware as WebAssembly; see web.c for what it exports. Raises InputError where clang or lld is missing."""
    clang = shutil.which("clang")
    if clang is None or shutil.which("wasm-ld") is None:
        raise InputError("the page needs clang and lld, which compile to WebAssembly: apt-get install clang lld")
    with tempfile.TemporaryDirectory(prefix="tinyse-") as temporary:
        folder = Path(temporary)
        write_block(firmware, folder)
        sources = [*sorted(folder.glob("*.c")), FOLDER / "web.c", FOLDER / "memory.c"]
        includes = ("-I", str(folder), "-I", str(FOLDER / "include"))
        checked([clang, *EXACT, *FLAGS, *includes, *map(str, sources), "-o", str(folder / WASM)])
        return (folder / WASM).read_bytes()


def _facts(firmware: Firmware, card: str, name: str) -> Mapping[str, Any]:
    assert firmware.front_end is not None  # `denoiser` has seen to it
    config = firmware.front_end.config
    # The page shows this HTML unchanged: what a card writes in HTML itself is text, and its comments are left out.
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(COMMENT.sub("", card))
    return {
        "name": name,
        "sha256": firmware.digest,
        "card": html,
        "latency_ms": latency_ms(config),
        "sample_rate": config.sample_rate,
        "hop_ms": config.hop_ms,
        "presets": {preset: NO_LIMIT if limit is None else limit for preset, limit in PRESETS.items()},
    }
