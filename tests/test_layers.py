"""Imports go one way: every module imports from what stands before it, and no two modules import each other."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

ROOT = Path(__file__).parents[1]

ORDER = [
    "tinyse.errors", "tinyse.files", "tinyse.config", "tinyse.progress", "tinyse.pool", "tinyse.audio",
    "tinyse.pcm", "tinyse.encoding", "tinyse.recordings", "tinyse.released", "tinyse.spectra",
    "tinyse.mixtures", "tinyse.corpus", "tinyse.graph", "tinyse.quantization", "tinyse.tflite",
    "tinyse.models", "tinyse.distillation", "tinyse.engines", "firmware_export", "tinyse.targets",
    "tinyse.export", "tinyse.streaming", "tinyse.evaluation", "tinyse.clips", "tinyse.boards",
    "tinyse.training", "tinyse.study", "tinyse.live", "tinyse", "tinyse.commands", "tinyse.released.pack",
    "tinyse.__main__",
]  # fmt: skip
"""Packages and modules, the lowest first; the longest name that fits a module is its place."""


def modules() -> dict[str, set[str]]:
    """What each module of ours imports, of ours: at its top, inside functions and for types alike."""
    files = [path for package in ("tinyse", "firmware_export") for path in (ROOT / package).rglob("*.py")]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}
    imports: dict[str, set[str]] = {}
    for name, path in names.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level and node.module, f"{name}: imports are absolute"
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        imports[name] = {target for each in found if (target := _module(each, set(names)))} - {name}
    return imports


def _module(name: str, known: set[str]) -> str | None:
    """The module that an import of `name` runs: itself, or the one that it is taken from."""
    return name if name in known else next((m for m in [name.rpartition(".")[0]] if m in known), None)


def _place(module: str) -> int:
    fitting = [entry for entry in ORDER if module == entry or (module.startswith(f"{entry}.") and entry != "tinyse")]
    assert fitting, f"{module} has no place in ORDER: put it behind what it imports"
    return ORDER.index(max(fitting, key=len))


def test_imports_go_downward():
    upward = [
        f"{module} imports {target}"
        for module, targets in modules().items()
        for target in targets
        if _place(target) > _place(module)
    ]
    assert not upward


def test_no_two_modules_import_each_other():
    order = graphlib.TopologicalSorter(modules())
    order.prepare()
