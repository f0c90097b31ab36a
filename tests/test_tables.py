"""Tables on a terminal: text with brackets as it is, which rich takes for a style and swallows; a mean beside its interval."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from tinyse.boards.boards import BOARDS
from tinyse.commands import bench_tables
from tinyse.evaluation.report import Table, print_tables
from tinyse.live import screen
from tinyse.live.session import Figures

COMMAND = "pip install 'tinyse[export]'"


def printed(drawn: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(drawn)
    return console.file.getvalue()  # type: ignore[attr-defined]


def scores(tables: list[Table], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_tables(tables, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_board_that_cannot_be_computed_names_the_whole_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    bench_tables.print_rows("[mine]", 32.0, [bench_tables.Row(next(iter(BOARDS)), None, None, None, None, COMMAND)])
    shown = capsys.readouterr().out
    assert COMMAND in shown and "[mine] on every board" in shown


def test_tables_of_scores_keep_brackets_of_names():
    shown = scores([Table("of [a]", ("class", "of [b]"), (("[red]siren", "1"),), "see [c]")], width=200)
    assert all(word in shown for word in ("of [a]", "of [b]", "[red]siren", "see [c]"))


@pytest.mark.parametrize("width", [60, 80, 120, 300])
def test_a_mean_and_its_interval_share_a_line_at_every_width(width):
    cells = [f"{1000 + place}.25 ± 0.93" for place in range(7)]
    header = ("backend", "pairs", *(f"a measure with a long name {place}" for place in range(7)))
    table = Table("title", header, (("int8 stream (LiteRT)", "165", *cells), ("noisy", "165", *["-"] * 7)), "note")
    lines = scores([table], width).splitlines()
    assert all(any(cell in line for line in lines) for cell in cells)
    assert max(map(len, lines)) <= width
    for line in lines:
        if " ± " in line:
            assert "int8 stream (LiteRT)" in line and "165" in line
    assert [sum(word in line for line in lines) for word in ("title", "note")] == [1, 1]
    assert (sum("backend" in line for line in lines) == 1) is (width == 300)


def test_tags_on_the_live_screen_keep_brackets():
    values = dict.fromkeys(Figures.__dataclass_fields__, 0.0) | {"tags": "[red]siren", "bypass": False}
    assert "[red]siren" in printed(screen.picture(SimpleNamespace(**values), "[mine]"))  # type: ignore[arg-type]
