"""Scores as dictionaries for JSON, and as tables: Markdown for a page, rich for the terminal."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyse.evaluation.chain import NOISY, Scores
from tinyse.evaluation.dnsmos import DNSMOS_COLUMNS
from tinyse.evaluation.metrics import LEAST, WIDE_BAND_RATE
from tinyse.evaluation.statistics import Summary, paired, pooled, share_below, summarize

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

TITLES = {
    "si_sdr": "SI-SDR dB",
    "sdr": "SDR dB",
    "pesq": "PESQ-WB",
    "stoi": "STOI",
    "estoi": "ESTOI",
    "segmental_snr": "segmental SNR dB",
    "level_change_db": "level dB",
    "attenuation_db": "attenuation dB",
    "dnsmos_speech": "DNSMOS speech",
    "dnsmos_background": "DNSMOS background",
    "dnsmos_overall": "DNSMOS overall",
    "distillmos": "DistillMOS",
    "wer": "word errors %",
    "largest_difference": "largest difference",
}
DECIMALS = {"pesq": 3, "stoi": 3, "estoi": 3, "largest_difference": 6, "wer": 1}
"""Decimals in tables, two where not named."""
BORDER = 3
"""Characters between two columns on a terminal."""

BY_SNR = "By input SNR"


Values = Sequence[float] | np.ndarray
ALL = slice(None)


@dataclass(frozen=True)
class Table:
    """A table of text, ready to be printed anywhere."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def tables(scores: Scores) -> list[Table]:
    """Everything a reader wants to see, the most important table first."""
    result = [_overall(scores), _by_snr(scores), _worse(scores), _untouched(scores)]
    if scores.steps:
        result.append(_steps(scores))
    return [table for table in result if table.rows]


def summary_tables(scores: Scores) -> list[Table]:
    """What fits a screen at the end of a run: all tables but the long one by input SNR."""
    return [table for table in tables(scores) if table.title != BY_SNR]


def as_markdown(tables: Sequence[Table]) -> str:
    """Any tables as Markdown."""
    parts = []
    for table in tables:
        lines = markdown_rows(table.header, table.rows)
        parts.append("\n".join([f"### {table.title}", "", *lines, *(["", table.note] if table.note else [])]))
    return "\n\n".join(parts) + "\n"


def markdown_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table: figures stand at the right, words at the left, as the first column always does."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    figures = [any(re.match(r"[+-]?[\d.]", row[column]) for row in rows) for column in range(1, len(header))]
    lines.insert(1, "|---" + "".join("|---:" if right else "|---" for right in figures) + "|")
    return lines


def print_tables(tables: Sequence[Table], console: Console) -> None:
    """Any tables on a terminal or in a log; one that is wider than `console` continues below, with its labels again."""
    for table in tables:
        for part in _in_width(table, console.width):
            console.print(_as_rich(part))


def _in_width(table: Table, width: int) -> list[Table]:
    """`table`, in as many parts as have `width` characters for each mean beside its interval."""
    count = _labels(table)
    parts: list[list[int]] = [[]]
    for column in range(count, len(table.header)):
        shown = [*range(count), *parts[-1], column]
        if parts[-1] and sum(_width(table, each) + BORDER for each in shown) + 1 > width:
            parts.append([])
        parts[-1].append(column)
    chosen = [[*range(count), *part] for part in parts]
    return [
        Table(
            table.title if place == 0 else "",
            tuple(table.header[each] for each in columns),
            tuple(tuple(row[each] for each in columns) for row in table.rows),
            table.note if place == len(parts) - 1 else "",
        )
        for place, columns in enumerate(chosen)
    ]


def _labels(table: Table) -> int:
    """How many columns stand before the first mean with an interval; all where there is none."""
    means = (place for place in range(len(table.header)) if any(" ± " in row[place] for row in table.rows))
    return next(means, len(table.header))


def _width(table: Table, column: int) -> int:
    """Characters of a column whose header is wrapped and whose cells are not."""
    return max(map(len, [*table.header[column].split(), *(row[column] for row in table.rows)]))


def _as_rich(table: Table) -> RichTable:
    from rich.markup import escape  # names of files and classes may have brackets
    from rich.table import Table as RichTable

    result = RichTable(
        title=escape(table.title) or None,
        caption=escape(table.note) or None,
        title_justify="left",
        caption_justify="left",
    )
    for place, name in enumerate(table.header):
        width = _width(table, place) if place >= _labels(table) else None
        result.add_column(escape(name), justify="right" if place else "left", overflow="fold", width=width)
    for row in table.rows:
        result.add_row(*map(escape, row))
    return result


def as_json(scores: Scores) -> dict[str, Any]:
    """Summaries and every single value; what is not finite is null. For `write_json`."""
    quality = scores.quality
    summaries = {backend: {name: _mean(scores, name, values) for name, values in row.items()}
                 for backend, row in quality.items()}  # fmt: skip
    gains = {
        backend: {name: _change(scores, name, quality[NOISY][name], values) for name, values in row.items()}
        for backend, row in quality.items()
        if backend != NOISY
    }
    return plain(
        {
            "interval": "95 %, Student's t over files; differences are paired file by file",
            "sample_rate": scores.sample_rate,
            "least": {name: LEAST[name] for name in scores.metrics if name in LEAST},
            "summary": summaries,
            "difference_from_noisy": gains,
            "worse_than_noisy_percent": {backend: _worse_shares(scores, backend) for backend in gains},
            "clean_speech": _summaries(scores.clean),
            "noise_only": _summaries(scores.noise),
            "against_previous_link": _summaries(scores.steps),
            "files": dataclasses.asdict(scores),
        }
    )


def from_json(facts: Mapping[str, Any]) -> Scores:
    """The values that `as_json` wrote; null is nan again. Raises KeyError or TypeError for what it did not write."""

    def with_nan(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: with_nan(item) for key, item in value.items()}
        if isinstance(value, list):
            return [with_nan(item) for item in value]
        return math.nan if value is None else value

    return Scores(**with_nan(facts["files"]))


def _overall(scores: Scores) -> Table:
    total = len(scores.files)
    rows = []
    for backend, measures in scores.quality.items():
        rows.append(
            (backend, *(_cell(name, _mean(scores, name, measures[name]), total=total) for name in scores.metrics))
        )
    note = f"{total} pairs; ± is the 95 % interval of the mean over files (t)."
    if scores.words:
        note += f" Word errors: of all {sum(scores.words)} words; their interval is the bootstrap's over files."
    if least := [f"{title(name, scores.sample_rate)} {LEAST[name]:g}" for name in scores.metrics if name in LEAST]:
        note += f" Silence, and what is worse, counts as {', '.join(least)}."
    if any("of" in cell for row in rows for cell in row[1:]):
        note += " Pairs in which a measure finds no speech have no value of it in any row."
    note += "".join(f" {notice}." for notice in scores.notices)
    return Table("Noisy clips", ("backend", *_titles(scores.metrics, scores.sample_rate)), tuple(rows), note)


def _by_snr(scores: Scores) -> Table:
    """Rows by input SNR and backend: the change against the unprocessed clips."""
    snr_db = np.array(scores.snr_db)
    rows = []
    for level in np.unique(snr_db[np.isfinite(snr_db)]):
        chosen = np.flatnonzero(snr_db == level)
        for backend, measures in scores.quality.items():
            cells = []
            for name in scores.metrics:
                before, after = np.array(scores.quality[NOISY][name])[chosen], np.array(measures[name])[chosen]
                change = backend != NOISY
                summary = _change(scores, name, before, after, chosen) if change else _mean(scores, name, after, chosen)
                cells.append(_cell(name, summary, "+" if change else "", len(chosen)))
            rows.append((f"{level:g}", backend, str(len(chosen)), *cells))
    header = ("input SNR dB", "backend", "pairs", *_titles(scores.metrics, scores.sample_rate))
    note = "Row noisy: the unprocessed value. Other rows: the change against it, paired file by file."
    return Table(BY_SNR, header, tuple(rows), note)


def _worse(scores: Scores) -> Table:
    rows = []
    for backend in scores.quality:
        if backend != NOISY:
            shares = _worse_shares(scores, backend)
            rows.append((backend, *(_number(share, 0) + " %" for share in shares.values())))
    header = ("backend", *_titles(_ordered(scores), scores.sample_rate))
    return Table("Pairs that came out worse than they went in", header, tuple(rows))


def _untouched(scores: Scores) -> Table:
    rows = []
    for backend in scores.clean:
        clean, noise = scores.clean[backend], scores.noise[backend]
        values = {**clean, **noise}
        rows.append((backend, *(_cell(name, summarize(values[name]), total=len(values[name])) for name in values)))
    header = ("backend", "clean speech: SI-SDR dB", "clean speech: level dB", "noise alone: attenuation dB")
    count = len(next(iter(next(iter(scores.clean.values())).values()))) if scores.clean else 0
    return Table("Clean speech and noise alone", header, tuple(rows), f"{count} distinct clean clips.")


def _steps(scores: Scores) -> Table:
    backends = [backend for backend in scores.quality if backend != NOISY]
    rows = []
    for before, after in itertools.pairwise(backends):
        step = scores.steps[after]
        largest = f"{max(step['largest_difference']):.2e}"
        rows.append((f"{before} -> {after}", largest, _cell("sdr", summarize(step["sdr"]))))
    note = "The first backend is the reference of the second; full scale is 1. Identical clips have no finite SDR."
    return Table("From backend to backend", ("backends", "largest difference of a sample", "SDR dB"), tuple(rows), note)


def _ordered(scores: Scores) -> list[str]:
    """The measures of which more is better, and word errors, of which less is."""
    return [name for name in scores.metrics if name != "level_change_db"]


def _worse_shares(scores: Scores, backend: str) -> dict[str, float]:
    noisy, own = scores.quality[NOISY], scores.quality[backend]
    return {
        name: share_below(noisy[name], own[name]) if name == "wer" else share_below(own[name], noisy[name])
        for name in _ordered(scores)
    }


def _mean(scores: Scores, name: str, values: Values, chosen: np.ndarray | slice = ALL) -> Summary:
    """The mean over files; of word errors, all of them over all words. `chosen`: the places of the values in `files`."""
    if name != "wer":
        return summarize(values)
    words = np.array(scores.words)[chosen]
    return pooled(np.asarray(values) * words / 100, words)


def _change(scores: Scores, name: str, before: Values, after: Values, chosen: np.ndarray | slice = ALL) -> Summary:
    """The same of the change, file by file."""
    if name != "wer":
        return paired(before, after)
    return _mean(scores, name, np.asarray(after) - np.asarray(before), chosen)


def _summaries(columns: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, Summary]]:
    return {backend: {name: summarize(values) for name, values in row.items()} for backend, row in columns.items()}


def _titles(names: list[str], sample_rate: int) -> list[str]:
    return [title(name, sample_rate) for name in names]


def title(name: str, sample_rate: int) -> str:
    """A measure's name in tables; it says what differs from what is usual at 16 kHz."""
    shown = TITLES.get(name, name)
    if name == "pesq" and sample_rate < WIDE_BAND_RATE:
        return "PESQ-NB"
    limited = name in ("pesq", "stoi", "estoi") and sample_rate > WIDE_BAND_RATE
    return f"{shown} (at 16 kHz)" if limited or (name in DNSMOS_COLUMNS and sample_rate != WIDE_BAND_RATE) else shown


def _cell(name: str, summary: Summary, sign: str = "", total: int | None = None) -> str:
    """A mean and its interval; and of how many files it is, where that is not `total`."""
    text = summary.as_text(DECIMALS.get(name, 2), sign)
    return text if not summary.count or total in (None, summary.count) else f"{text} ({summary.count} of {total})"


def _number(value: float, decimals: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{decimals}f}"


def plain(value: Any) -> Any:
    """Dataclasses, tuples and dictionaries as JSON has them; what is not finite is None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
