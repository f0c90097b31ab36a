"""Imports go one way: folders have an order, no two folders need each other, nor do any two modules."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

ROOT = Path(__file__).parents[1]

ORDER = [
    "tinyse.errors", "tinyse.files", "tinyse.config", "tinyse.presets", "tinyse.documents", "tinyse.audio", "tinyse.recordings",
    "tinyse.released", "tinyse.spectra", "tinyse.mixtures", "tinyse.graph", "tinyse.quantization", "tinyse.tflite",
    "tinyse.models", "tinyse.distillation", "tinyse.engines", "firmware_export", "tinyse.targets", "tinyse.export",
    "tinyse.streaming", "tinyse.evaluation", "tinyse.boards", "tinyse.tasks", "tinyse.training", "tinyse.study", "tinyse.live",
    "tinyse.commands", "tinyse.released.pack",
]  # fmt: skip
"""The lowest first: what stands here imports nothing that stands after it. What does not only must be in no circle."""


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
        # `from a.b import c` runs the module a.b.c, or a.b where c is something in it.
        imports[name] = {
            m for each in found for m in [each if each in names else each.rpartition(".")[0]] if m in names
        }
        imports[name] -= {name}
    return imports


def folder(module: str) -> str:
    """The part of the program that a module belongs to: `tinyse.x`, or one that ORDER names by itself."""
    if module in ORDER:
        return module
    return ".".join(module.split(".")[: 2 if module.startswith("tinyse.") else 1])


def folders() -> dict[str, set[str]]:
    """What each folder imports of others."""
    imports: dict[str, set[str]] = {}
    for module, targets in modules().items():
        imports.setdefault(folder(module), set()).update(folder(target) for target in targets)
    return {name: targets - {name} for name, targets in imports.items()}


def test_folders_import_downward():
    imports = folders()
    assert set(ORDER) <= set(imports)
    upward = [
        f"{name} imports {target}"
        for place, name in enumerate(ORDER)
        for target in imports[name] & set(ORDER[place + 1 :])
    ]
    assert not upward


def test_no_two_folders_need_each_other():
    graphlib.TopologicalSorter(folders()).prepare()


def test_no_two_modules_import_each_other():
    graphlib.TopologicalSorter(modules()).prepare()
