"""Tables on a terminal show text with brackets as it is: rich takes [export] for a style, and swallows it."""

from __future__ import annotations

import io
from types import SimpleNamespace

from rich.console import Console

from tinyse.boards.boards import BOARDS
from tinyse.commands import bench_tables
from tinyse.evaluation.report import Table, as_rich
from tinyse.live import screen
from tinyse.live.session import Figures

COMMAND = "pip install 'tinyse[export]'"


def printed(drawn: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(drawn)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_board_that_cannot_be_computed_names_the_whole_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    bench_tables.print_rows("[mine]", 32.0, [bench_tables.Row(next(iter(BOARDS)), None, None, None, None, COMMAND)])
    shown = capsys.readouterr().out
    assert COMMAND in shown and "[mine] on every board" in shown


def test_tables_of_scores_keep_brackets_of_names():
    (table,) = as_rich([Table("of [a]", ("class", "of [b]"), (("[red]siren", "1"),), "see [c]")])
    shown = printed(table)
    assert all(word in shown for word in ("of [a]", "of [b]", "[red]siren", "see [c]"))


def test_tags_on_the_live_screen_keep_brackets():
    values = dict.fromkeys(Figures.__dataclass_fields__, 0.0) | {"tags": "[red]siren", "bypass": False}
    assert "[red]siren" in printed(screen.picture(SimpleNamespace(**values), "[mine]"))  # type: ignore[arg-type]
