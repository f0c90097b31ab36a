"""Mutation testing: small changes to the numeric code, each of which some test has to notice.

    python tests/mutation/run.py                                         # every module below, 60 mutants each
    python tests/mutation/run.py tinyse/graph/arithmetic.py --sample 0   # all mutants of one module

cosmic-ray makes the mutants, in a copy of the tracked files. A seeded sample of them runs against the tests that guard
the module. Survivors are printed as diffs. `equivalent.yaml` lists those that no test can kill, with the reason. The exit
status is 1 if 5 % or more of the others survive. Annotations and the data of boards and cores are not mutated.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
FIGURES = ["tests/test_board_figures.py"]
BOARDS = [*FIGURES, "tests/test_boards.py", "-k", "not picture and not needs_the_instructions"]
TEACHERS = ["tests/test_distillation.py", "tests/test_teachers.py", "-k", "not trained and not bits and not published"]
GUARDS = {
    "tinyse/graph/arithmetic.py": ["tests/test_arithmetic.py", "tests/test_operators.py"],
    "tinyse/distillation/views.py": ["tests/test_distillation.py"],
    "tinyse/distillation/objective.py": TEACHERS,
    "tinyse/distillation/external.py": TEACHERS,
    "tinyse/training/optimizer.py": ["tests/test_optimizer.py"],
    "tinyse/boards/boards.py": BOARDS,
    "tinyse/boards/estimate.py": BOARDS,
    "tinyse/boards/harness.py": BOARDS,
    "tinyse/boards/measurements.py": BOARDS,
    "tinyse/boards/picture.py": [*FIGURES, "-k", "picture"],
    "tinyse/boards/vela.py": BOARDS,
    "tinyse/boards/verdict.py": BOARDS,
    "firmware_export/report.py": ["tests/test_firmware_sizes.py"],
}
DATA = ("Board", "CoreCosts", "Npu", "MappingProxyType")
"""Calls at the top of a module that make a row of a data sheet: a wrong figure there is no fault of the code."""
SEED = 13
GOAL = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="paths; default: all that are guarded")
    parser.add_argument("--sample", type=int, default=60, help="mutants per module; 0: all")
    parser.add_argument("--timeout", type=float, default=300, help="seconds after which a mutant counts as killed")
    parser.add_argument("--output", type=Path, help="a JSON lines file; mutants that it has are not run again")
    chosen = parser.parse_args()
    output = chosen.output and chosen.output.absolute()
    known = {entry["mutant"]: entry for entry in map(json.loads, _lines(output))}
    with tempfile.TemporaryDirectory() as folder:
        _copy(Path(folder))
        os.chdir(folder)
        sys.path.insert(0, folder)
        os.environ["PYTHONPATH"] = folder
        for heavy in (
            "numpy",
            "torch",
            "lightning_fabric",
            "hypothesis",
            "scipy",
            "typer",
            "rich",
            "ai_edge_litert.interpreter",
        ):
            with contextlib.suppress(ImportError):
                importlib.import_module(heavy)  # once for all mutants
        failed = [module for module in chosen.modules or GUARDS if not _is_guarded(module, chosen, known, output)]
    sys.exit(1 if failed else 0)


def _lines(path: Path | None) -> list[str]:
    return path.read_text().splitlines() if path and path.exists() else []


def _copy(folder: Path) -> None:
    files = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)


def _is_guarded(module: str, chosen: argparse.Namespace, known: dict[str, Any], output: Path | None) -> bool:
    """Whether few enough mutants of a module survive."""
    from cosmic_ray.mutating import use_mutation
    from cosmic_ray.plugins import get_operator

    path, tests = Path(module), GUARDS[module]
    every = list(_mutations(path))
    random.Random(SEED).shuffle(every)
    sample = every[: chosen.sample or None]
    original = path.read_text()
    counts: Counter[str] = Counter()
    if not _pass(tests, 10 * chosen.timeout):
        sys.exit(f"{module}: its tests fail without a mutation: {' '.join(tests)}")
    for mutation in sample:
        with use_mutation(path, get_operator(mutation.operator_name)(), mutation.occurrence):
            changed = _changed(original, path.read_text())
            name = f"{module} {mutation.operator_name} {changed}"
            if name not in known:
                begun = time.monotonic()
                known[name] = {"mutant": name, "survives": _pass(tests, chosen.timeout)}
                known[name]["seconds"] = round(time.monotonic() - begun, 1)
                if output:
                    with output.open("a") as file:
                        file.write(json.dumps(known[name]) + "\n")
        if known[name]["survives"]:
            reason = _equivalent(module, changed)
            print(f"{module}, {'equivalent: ' + reason if reason else 'survives'}\n{changed}\n", flush=True)
            counts["equivalent" if reason else "survivors"] += 1
    others = len(sample) - counts["equivalent"]
    share = counts["survivors"] / max(others, 1)
    print(f"{module}: {len(sample)} of {len(every)} mutants run, {counts['equivalent']} equivalent; "
          f"{counts['survivors']} of the other {others} survive ({share:.1%})", flush=True)  # fmt: skip
    return share < GOAL


def _pass(tests: list[str], timeout: float) -> bool:
    """Whether the tests pass in a fork of this process, which has the libraries but none of our modules."""
    child = os.fork()
    if child == 0:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        code = 1
        with contextlib.suppress(BaseException):
            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
        os._exit(code)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _mutations(module: Path) -> Iterator[Any]:
    """All mutations of a module but those of annotations and of data."""
    from cosmic_ray.commands.init import _all_work_items

    spans = list(_skipped(ast.parse(module.read_text())))
    for item in _all_work_items([module], {}):
        mutation = item.mutations[0]
        if not any(first <= mutation.start_pos < last for first, last in spans):
            yield mutation


def _skipped(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for node in ast.walk(tree):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if node in tree.body and isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
            parts.append(node.value if getattr(node.value.func, "id", "") in DATA else None)
        for part in filter(None, parts):
            yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def _changed(before: str, after: str) -> str:
    """The lines that a mutation changes, as in a diff."""
    old, new = before.splitlines(), after.splitlines()
    first = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    old, new = old[first:], new[first:]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return "\n".join([*("- " + line.strip() for line in old), *("+ " + line.strip() for line in new)])


def _equivalent(module: str, changed: str) -> str:
    """Why no test can kill a mutant, if that is known."""
    for entry in yaml.safe_load((REPOSITORY / "tests/mutation/equivalent.yaml").read_text()):
        if entry["module"] in ("any", module) and entry["change"] in changed:
            return entry["reason"]
    return ""


if __name__ == "__main__":
    main()
