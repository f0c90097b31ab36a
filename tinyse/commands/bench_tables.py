"""What `tinyse bench` prints: boards, a model on all of them, a stream on one; as tables and for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tinyse.boards.estimate import Estimate
    from tinyse.boards.harness import Emulation
    from tinyse.boards.verdict import Verdict


class Row(NamedTuple):
    """A model on a board; what is not known is None, and `why` says why."""

    board: str
    fits: bool | None
    flash_bytes: int | None
    ram_bytes: int | None
    load_percent: float | None
    why: str

    @classmethod
    def of(cls, estimate: Estimate, verdict: Verdict) -> Row:
        """The row of an estimate."""
        load_percent = 100 * estimate.seconds / estimate.hop_seconds
        return cls(
            estimate.board.name, verdict.fits, estimate.flash_bytes, estimate.ram_bytes, load_percent, verdict.why
        )


class Delays(NamedTuple):
    """How late the sound is, in ms: by the algorithm alone, and from microphone to loudspeaker with the double buffers."""

    latency_ms: float
    delay_ms: float


def print_rows(model: str, latency_ms: float, rows: Sequence[Row]) -> None:
    """One line per board."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape  # a reason may be "pip install 'tinyse[export]'"
    from rich.table import Table

    table = Table(title=f"{escape(model)} on every board", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("board", "fits", "flash", "RAM", "load", "why"):
        side = "right" if column in ("flash", "RAM", "load") else "left"
        table.add_column(column, justify=side, no_wrap=column != "why", overflow="fold")  # type: ignore[arg-type]
    fits = {True: "[green]yes[/green]", False: "[red]no[/red]", None: "?"}
    for row in rows:
        load = "" if row.load_percent is None else f"{row.load_percent:.0f} %"
        sizes = ("" if size is None else f"{size:,}" for size in (row.flash_bytes, row.ram_bytes))
        table.add_row(row.board, fits[row.fits], *sizes, load, escape(row.why))
    console = Console()
    console.print(table)
    console.print(f"algorithmic latency {latency_ms:g} ms", highlight=False)
    console.print("load: share of the time of a hop that computing takes, estimated; sizes in bytes. --board NAME says what "
                  "each figure rests on and streams sound.", highlight=False)  # fmt: skip


def stream_as_dict(estimate: Estimate, emulation: Emulation, verdict: Verdict, delays: Delays) -> dict[str, Any]:
    """Everything that the tables show, for JSON; infinite decibels are null."""
    from dataclasses import asdict

    from tinyse.boards.harness import percentiles

    stream = emulation.stream
    return {
        "board": asdict(estimate.board),
        "fits": verdict.fits,
        "why": verdict.why,
        "margins": [{**asdict(margin), "percent": margin.percent, "fits": margin.fits} for margin in verdict.margins],
        "cycles_per_hop": estimate.cycles,
        **delays._asdict(),
        "figures": {name: [asdict(figure) for figure in getattr(estimate, name)] for name in ("flash", "ram", "time")},
        "hops": verdict.hops,
        "missed": {"late": int(stream.late.sum()), "lost": int(stream.lost.sum())},
        "against_ideal": {
            name: value if np.isfinite(value) else None
            for name, value in (("sdr_db", emulation.sdr_db), ("si_sdr_db", emulation.si_sdr_db))
        },
        "host_microseconds_per_hop": percentiles(stream.host_seconds),
    }


def print_stream(estimate: Estimate, emulation: Emulation, verdict: Verdict, delays: Delays) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from tinyse.boards.harness import percentiles

    console, board, stream = Console(), estimate.board, emulation.stream
    console.print(f"[bold]{board.title}[/bold]: {board.core.name}, {board.clock_hz / 1e6:g} MHz. {board.notes}")
    for name, unit in (("flash", "bytes"), ("ram", "bytes"), ("time", "cycles")):
        table = Table(title=f"{name}, {unit}", title_justify="left")
        for column in ("what", unit, "label", "basis"):
            table.add_column(column, justify="right" if column == unit else "left")
        for what, value, label, basis in _by_kind(getattr(estimate, name)):
            table.add_row(what, f"{value:,.0f}", label, escape(basis))
        console.print(table)
    for margin in verdict.margins:
        console.print(str(margin), style="" if margin.fits else "red")
    late, lost = int(stream.late.sum()), int(stream.lost.sum())
    console.print(f"deadlines: {verdict.hops} hops, {late} results late, {lost} hops lost")
    if stream.misses:
        console.print(f"against the same stream without deadlines: SDR {emulation.sdr_db:.1f} dB")
    console.print(
        f"algorithmic latency {delays.latency_ms:g} ms; microphone to loudspeaker: {delays.delay_ms:g} ms, of windows and "
        "double buffers"
    )
    times = ", ".join(f"{name} {value:.0f}" for name, value in percentiles(stream.host_seconds).items())
    console.print(f"this machine, us per hop: {times}")
    style, word = ("green", "fits") if verdict.fits else ("red", "does not fit")
    console.print(f"[bold {style}]{word}[/bold {style}]: {escape(verdict.why)}")


def _by_kind(figures: tuple[Any, ...]) -> list[tuple[str, float, str, str]]:
    """Operators of one kind in one line: a network has dozens of them."""
    from tinyse.graph.operators import OPERATORS

    rows: dict[tuple[str, str, str], tuple[float, int]] = {}
    for figure in figures:
        kind = figure.name.split()[0]
        key = (kind if kind in OPERATORS else figure.name, figure.label, figure.basis)
        value, count = rows.get(key, (0.0, 0))
        rows[key] = (value + figure.value, count + 1)
    return [
        (f"{count} {name}" if name in OPERATORS else name, value, label, basis)
        for (name, label, basis), (value, count) in rows.items()
    ]


def print_boards() -> None:
    from rich.console import Console
    from rich.table import Table

    from tinyse.boards.boards import BOARDS, KIB

    table = Table()
    for column in ("name", "core", "MHz", "flash KiB", "RAM KiB", "NPU", "board"):
        table.add_column(column, no_wrap=column in ("name", "core"))
    for board in BOARDS.values():
        sizes = (f"{board.clock_hz / 1e6:g}", f"{board.flash_bytes // KIB}", f"{board.ram_bytes // KIB}")
        npu = board.npu.name if board.npu else "-"
        table.add_row(board.name, board.core.name, *sizes, npu, board.title)
    Console().print(table)
