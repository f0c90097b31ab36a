"""What the comparisons found, as pictures of intervals: from the tables that pages quote, in a report and on the site alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from intervals import Interval, Panel, Picture, Row, sort

from tinyse.evaluation.report import Table

FULL = "full dots: the interval leaves out zero"
AGAINST = ": against supervised only"


def two_step(tables: Sequence[tuple[str, Table]]) -> Picture:
    """Every schedule against supervised only, best first; `tables` are those of `two_step_report.quoted`, each with the pairs
    that it is of. A student and a table make a panel."""
    _, first = tables[0]
    names = [row[0] for row in first.rows if any(row[place] for place, _ in _columns(first))]
    panels = []
    for pairs, table in tables:
        rows = {row[0]: row for row in table.rows}
        for place, student in _columns(table):
            if not any(row[place] for row in table.rows):
                continue  # nothing of this student is finished that could be compared
            # The row without a difference is what the others are compared with; its gain stands before it.
            base = next(row[place - 1] for row in table.rows if row[place - 1] and not row[place])
            zero = f"0: supervised only at its best rate, {base.split(' ±')[0]} dB"
            values = tuple(Interval.read(rows[name][place]) if name in rows else None for name in names)
            panels.append(Panel(f"{student}, {pairs}", zero, "SDR gain against supervised only, dB", values))
    chosen = [_schedule(next(row for row in first.rows if row[0] == name), first) for name in names]
    note = f"Right is better; equal updates, ± 95 % over pairs. Bold: two steps; {FULL}."
    return sort(Picture(tuple(chosen), tuple(panels), note))


def _columns(table: Table) -> Iterator[tuple[int, str]]:
    """Where each student's differences stand."""
    for place, title in enumerate(table.header):
        if title.endswith(AGAINST):
            yield place, title.removesuffix(AGAINST)


def _schedule(row: Sequence[str], table: Table) -> Row:
    """The schedule's name and, apart from it, its settings and seeds."""
    parts = row[0].split(", ")
    settings = [part.replace("=", " ") for part in parts if "=" in part] or ["the recipe's rate"]
    counts = sorted(
        {row[place] for place, title in enumerate(table.header) if title.endswith(": seeds") and row[place]}
    )
    settings.append(f"{' or '.join(counts)} seed{'s' if counts[-1] != '1' else ''}")
    name = ", ".join(part for part in parts if "=" not in part)
    return Row(name, ", ".join(settings), name.startswith("two-step"))


def iusp(table: Table) -> Picture:
    """What each way of teaching a tagger gains over labels only; the table is that of `iusp_report.quoted`."""
    _, base, *methods = table.header
    teacher = next((row[1].split(" ±")[0] for row in table.rows if row[0].startswith("teacher")), None)
    panels = []
    for size, score, *gains in table.rows:
        name, _, parameters = size.partition(", ")
        if name != "teacher":
            reached = f"0: {base}, {score.split(' ±')[0]}" + (f"; the teacher has {teacher}" if teacher else "")
            values = tuple(Interval.read(cell) for cell in gains)
            panels.append(Panel(f"{name}: {parameters} parameters", reached, "micro AUPRC gained", values, decimals=3))
    note = f"Right is better; ± 95 % over folds and seeds, paired. Bold: with relations between frames (IUSP); {FULL}."
    return Picture(tuple(Row(name, highlighted="IUSP" in name) for name in methods), tuple(panels), note)


def quantization(table: Table, model: str) -> Picture:
    """What each precision loses; the table is that of `quantization.summary`."""
    measures = {"SI-SDR dB": ("Noisy speech", "SI-SDR lost, dB", 2), "PESQ-WB": ("Noisy speech", "PESQ-WB lost", 3),
                "clean speech dB": ("Clean speech", "SI-SDR lost, dB", 2)}  # fmt: skip
    panels = []
    for measure, (title, axis, decimals) in measures.items():
        place = table.header.index(measure)
        values = tuple(Interval.read(row[place]) for row in table.rows)
        panels.append(Panel(title, f"0: the float stream of {model}", axis, values, decimals))
    rows = []
    for row in table.rows:
        name, how = re.split(",? ", row[0], maxsplit=1)
        rows.append(Row(name, "quantization-aware training" if how == "trained" else how, how == "trained"))
    note = f"Left is better; ± 95 % over files, paired. Bold: quantization-aware training; {FULL}."
    return Picture(tuple(rows), tuple(panels), note)
