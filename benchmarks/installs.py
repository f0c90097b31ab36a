"""How large and how slow an installation is: fresh environments, one for the base and one for each extra asked for.

    python benchmarks/installs.py                          # the base
    python benchmarks/installs.py train export metrics     # and these extras
    python benchmarks/installs.py --python ~/.pyenv/versions/3.13.0/bin/python

Prints a table in Markdown. Seconds are of this machine, its network and pip's cache: read them as ratios.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import command
import record

from tinyse.evaluation.report import Table, as_markdown

REPOSITORY = Path(__file__).resolve().parent.parent

NEEDS_TORCH = {"train", "all"}

BASE_IMPORTS = "import tinyse, numpy, soundfile, soxr, typer, rich, flatbuffers, ai_edge_litert.interpreter"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extras", nargs="*", help="extras of pyproject.toml")
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="interpreters to install for")
    record.add_option(parser)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"Measured: {platform.platform()}, {os.cpu_count()} cores, load {load:.1f} at the start\n")
    with tempfile.TemporaryDirectory() as source:
        # What is committed, copied: building in the working tree would leave a build/ that ends up in later wheels.
        archive = subprocess.run(["git", "-C", REPOSITORY, "archive", "HEAD"], check=True, capture_output=True).stdout
        subprocess.run(["tar", "--extract", "--directory", source], input=archive, check=True)
        rows = [row(python, source, extra) for python in arguments.python for extra in ["", *arguments.extras]]
    table = Table("Installations", ("Python", "install", "packages", "MB", "seconds"), tuple(rows))
    print(as_markdown([table]))
    record.keep(arguments.results, table, "measured")


def row(python: str, source: str, extra: str) -> tuple[str, ...]:
    """One line of the table: a fresh environment with tinyse and one extra, whose base has to import."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        fresh = str(Path(folder) / "bin" / "python")
        empty = megabytes(Path(folder))
        start = time.perf_counter()
        if extra in NEEDS_TORCH:
            subprocess.run([fresh, "-m", "tinyse.torch_build", "cpu"], check=True, cwd=source, stdout=sys.stderr)
        install(fresh, f"{source}[{extra}]" if extra else source)
        seconds = time.perf_counter() - start
        subprocess.run([fresh, "-c", BASE_IMPORTS], check=True, cwd=folder)
        listed = subprocess.run([fresh, "-m", "pip", "freeze"], check=True, capture_output=True, text=True).stdout
        version = subprocess.run([fresh, "-V"], check=True, capture_output=True, text=True).stdout.split()[1]
        size = megabytes(Path(folder)) - empty
    name = f"tinyse[{extra}]" if extra else "tinyse"
    return version, name, f"{len(listed.splitlines())}", f"{size:.0f}", f"{seconds:.0f}"


def install(python: str, what: str) -> None:
    """Install one requirement, silently."""
    line = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", what]
    subprocess.run(line, check=True, stdin=subprocess.DEVNULL)


def megabytes(folder: Path) -> float:
    """Size of a folder's files in 10^6 bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


if __name__ == "__main__":
    command.run(main)
