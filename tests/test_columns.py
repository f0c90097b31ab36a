"""Every table has its columns in one order: what a model costs, then how it sounds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tinyse.commands.main import app
from tinyse.evaluation.metrics import METRICS, measure
from tinyse.evaluation.report import TITLES

REPOSITORY = Path(__file__).resolve().parent.parent
ORDER = (
    "parameters",
    r"MAC (a|per) frame",
    r"MM?AC/s",
    r"(file|state) bytes",
    "flash",
    "RAM",
    "stack",
    r"instructions|cycles|load|latency|ms per hop",
    "SI-SDR",
    r"(?<!SI-)SDR",
    "PESQ",
    r"(?<!E)STOI",
    "ESTOI",
    r"worse|level",
)
"""Patterns of what columns are called, in the order in which they may stand."""
QUALITY = ORDER.index("SI-SDR")
PAGES = [path for kind in ("README.md", "docs/**/*.md", "benchmarks/*.md", "tinyse/released/*/card.md")
         for path in sorted(REPOSITORY.glob(kind))]  # fmt: skip


def places(header: list[str]) -> list[int]:
    """The first pattern that each column of a table has, of those that have one."""
    found = [next((n for n, pattern in enumerate(ORDER) if re.search(pattern, title)), None) for title in header]
    return [place for place in found if place is not None]


def in_order(header: list[str]) -> bool:
    """Whether what comes in a table comes in the order; costs may come after quality, in the order among themselves."""
    found = places(header)
    parts = [[n for n in found if n < QUALITY], [n for n in found if n >= QUALITY]]
    return all(part == sorted(part) for part in parts)


def headers(text: str) -> list[list[str]]:
    """The first rows of a page's tables."""
    rows = re.findall(r"^\|(.+)\|\n\|[-:| ]+\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_tables_of_pages(page):
    assert [row for row in headers(page.read_text(encoding="utf-8")) if not in_order(row)] == []


def test_a_table_in_another_order_is_seen():
    assert in_order(["model", "parameters", "flash", "RAM", "SI-SDR gain dB", "SDR dB", "PESQ-WB", "clean dB"])
    for header in (
        ["RAM", "flash"],
        ["load", "RAM"],
        ["PESQ-WB", "SI-SDR dB"],
        ["ESTOI", "STOI"],
        ["SDR dB", "SI-SDR dB"],
    ):
        assert not in_order(header), header


@pytest.mark.parametrize("command", ["bench", "bench student-62k", "models"])
def test_tables_of_commands(command):
    if command == "models":
        pytest.importorskip("torch")
    shown = CliRunner().invoke(app, command.split(), env={"COLUMNS": "200"}).stdout
    titles = next(line for line in shown.splitlines() if "MHz" in line or "fits" in line or "parameters" in line)
    header = [title.strip() for title in re.split(r"[┃│]|\s{2,}", titles) if title.strip()]
    assert len(places(header)) >= 2 and in_order(header)


def test_json_has_the_order_of_the_table():
    boards = json.loads(CliRunner().invoke(app, ["bench", "student-62k", "--json"]).stdout)["boards"]
    assert [key for key in boards[0] if key.endswith(("bytes", "percent"))] == [
        "flash_bytes",
        "ram_bytes",
        "load_percent",
    ]


def test_measures_are_in_one_order_however_they_were_asked_for():
    assert in_order([TITLES[name] for name in METRICS])
    sound = np.random.default_rng(0).normal(0, 0.1, 4000)
    asked = measure(sound, sound + 0.01, ["level_change_db", "sdr", "si_sdr"])
    assert list(asked) == ["si_sdr", "sdr", "level_change_db"]
