"""Tables that pages quote: `--results NAME` keeps one in benchmarks/results, and docs/figures.py fills it into the pages.

Each table says what it rests on: the command that printed it, whether that is measured, modeled, emulated or estimated,
the machine, and the commit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from tinyse.config import did_you_mean
from tinyse.errors import InputError
from tinyse.evaluation.report import Table
from tinyse.files import write_json

FOLDER = Path(__file__).resolve().parent / "results"
FOLDERS = ("TINYSE_DATA", "TINYSE_PEERS")
"""Variables that stand for folders of this machine in a command."""


def add_option(parser: argparse.ArgumentParser) -> None:
    """The option `--results`."""
    parser.add_argument(
        "--results", metavar="NAME", help="keep the table that pages quote in benchmarks/results, as NAME"
    )


def keep(name: str | None, table: Table, label: str, folder: Path = FOLDER) -> None:
    """Put a table, as NAME, among those of the running script; nothing where no NAME was asked for."""
    if name is None:
        return
    script = Path(sys.argv[0])
    path = folder / f"{script.stem}.json"
    tables: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    tables[name] = {
        "command": command(script, sys.argv[1:]),
        "label": label,
        "machine": f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "commit": commit(),
        "header": list(table.header),
        "rows": [list(row) for row in table.rows],
    }
    write_json(path, tables)


def read(script: str, name: str) -> Table:
    """A table that was kept; its note says what it rests on. Raises InputError where there is none."""
    path = FOLDER / f"{script}.json"
    tables = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if name not in tables:
        raise InputError(f"{path.name} has no table {name!r}{did_you_mean(name, tables)}")
    kept = tables[name]
    note = f"{kept['label'].capitalize()}: {kept['machine']}." if kept["machine"] else ""
    return Table(f"{script}, {name}", tuple(kept["header"]), tuple(map(tuple, kept["rows"])), note)


def command(script: Path, arguments: list[str]) -> str:
    """The command line as a reader would type it: folders by their variables, any other absolute path by its last name, and
    without `--results`."""
    at = arguments.index("--results") if "--results" in arguments else len(arguments)
    words = [_without_place(word) for word in (*arguments[:at], *arguments[at + 2 :])]
    return " ".join([f"python benchmarks/{script.name}", *words])


def _without_place(argument: str) -> str:
    for variable in FOLDERS:
        folder = os.environ.get(variable, "").rstrip("/")
        if folder and folder in argument:
            return shlex.quote(argument).replace(folder, f"${variable}")
    return shlex.quote(Path(argument).name if argument.startswith("/") else argument)


def commit() -> str:
    """What was checked out, short; empty outside of a repository."""
    call = ["git", "-C", str(FOLDER.parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(call, capture_output=True, text=True, check=False).stdout.strip()
