"""Imports go one way: folders, and modules beside them, have one order, and no two modules need each other."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tinyse.commands.doctor import MODULES

ROOT = Path(__file__).parents[1]

ORDER = [
    "tinyse.torch_build", "tinyse.cores", "tinyse.progress", "tinyse.errors", "tinyse.files", "tinyse.locks", "tinyse.config",
    "tinyse.presets", "tinyse.documents", "tinyse.recipe_files", "tinyse.remote", "tinyse.tar_members",
    "tinyse.termination", "tinyse.process_pool", "tinyse.onnx",
    "tinyse.shipped_recipes",
    "tinyse.audio", "tinyse.corpus", "tinyse.recordings", "tinyse.catalog", "tinyse.synthesis", "tinyse.released",
    "tinyse.spectra", "tinyse.mixtures", "tinyse.graph", "tinyse.quantization", "tinyse.tflite", "tinyse.models",
    "tinyse.distillation", "tinyse.recipe", "tinyse.engines", "firmware_export", "tinyse.targets", "tinyse.export",
    "tinyse.streaming", "tinyse", "tinyse.evaluation", "tinyse.clips", "tinyse.boards", "tinyse.tasks", "tinyse.training",
    "tinyse.study", "tinyse.live", "tinyse.commands", "tinyse.released.pack", "tinyse.__main__",
]  # fmt: skip
"""The lowest first: none imports what stands after it, at its top, inside a function or for types alone."""


def paths() -> dict[str, Path]:
    """The file of each module of ours."""
    files = [path for package in ("tinyse", "firmware_export") for path in (ROOT / package).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def modules() -> dict[str, set[str]]:
    """What each module of ours imports, of ours: at its top, inside functions and for types alike."""
    names = paths()
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
    assert sorted(imports) == sorted(ORDER), "a new folder, or module beside the folders, gets its place in ORDER"
    upward = [
        f"{name} imports {target}"
        for place, name in enumerate(ORDER)
        for target in imports[name] & set(ORDER[place + 1 :])
    ]
    assert not upward


NEEDS_EXTRAS = ("tinyse.mixtures", "tinyse.models", "tinyse.distillation", "tinyse.tasks", "tinyse.training",
                "tinyse.engines.torch_engine", "tinyse.study.tflite_runtime_stream")  # fmt: skip
"""Where packages of extras may be imported at the top: nothing there works without them."""


def outermost(body: list[ast.stmt]) -> Iterator[str]:
    """The packages that a module imports when it is imported itself."""
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield str(statement.module).partition(".")[0]
        elif isinstance(statement, (ast.With, ast.Try, ast.If)) and "if TYPE_CHECKING" not in ast.unparse(statement):
            yield from outermost(statement.body)


def test_what_the_base_has_not_is_imported_where_it_is_used():
    base = (
        {module.partition(".")[0] for module in MODULES.values()}
        | {"tinyse", "firmware_export"}
        | sys.stdlib_module_names
    )
    foreign = {
        f"{name}: {package}"
        for name, path in paths().items()
        if not name.startswith(NEEDS_EXTRAS)
        for package in outermost(ast.parse(path.read_text()).body)
        if package not in base
    }
    assert not foreign


def test_no_two_modules_import_each_other():
    graphlib.TopologicalSorter(modules()).prepare()
