"""`tinyse bench`: does a .tflite fit a board, and what does it sound like there?"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

if TYPE_CHECKING:
    from tinyse.boards.estimate import Estimate
    from tinyse.boards.harness import Emulation, Process
    from tinyse.boards.verdict import Verdict


def bench(
    model: Annotated[Path | None, typer.Argument(help="An int8 or int16 .tflite made by tinyse, or a name.")] = None,
    board: Annotated[str, typer.Option(help="A board's name; 'list' prints them.")] = "list",
    sound: Annotated[Path | None, typer.Option("--input", help="Sound to stream; default: noise in bursts.")] = None,
    output: Annotated[Path | None, typer.Option(help="A wav of what the board would play.")] = None,
    picture: Annotated[Path | None, typer.Option(help="A png of how long hops take.")] = None,
    seconds: Annotated[float, typer.Option(help="How much of the sound to stream.")] = 10.0,
    engine: Annotated[str, typer.Option(help="Runtime on this machine: litert, tflm or reference.")] = "litert",
    firmware: Annotated[
        Path | None, typer.Option(help="JSON of measured figures, from benchmarks/firmware.py.")
    ] = None,
    burst_probability: Annotated[float, typer.Option(help="Of an interference during a hop, 0 to 1.")] = 0.0,
    burst_ms: Annotated[float, typer.Option(help="Longest interference.")] = 0.0,
    jitter: Annotated[float, typer.Option(help="Largest share by which a hop takes longer.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the interference.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Stream sound through MODEL as a board would: flash, RAM and time, missed deadlines and how they sound."""
    from tinyse import audio
    from tinyse.boards import estimate as estimates
    from tinyse.boards import harness
    from tinyse.boards.boards import find_board
    from tinyse.boards.measurements import read_measurements
    from tinyse.boards.picture import draw_latencies
    from tinyse.boards.verdict import judge
    from tinyse.errors import InputError

    if board == "list":
        _print_boards()
        return
    chosen = find_board(board)
    if model is None:
        raise InputError("which model? tinyse bench MODEL.tflite --board NAME")
    from tinyse.released import find

    model = find(model)
    interference = harness.Interference(burst_probability, burst_ms / 1000, jitter, seed)
    estimate = estimates.estimate_file(model, chosen, read_measurements(firmware) if firmware else ())
    hop = round(estimate.hop_seconds * audio.SAMPLE_RATE)
    pcm, notices = _sound(sound, seconds, hop)
    for notice in notices:
        print(f"tinyse: {notice}", file=sys.stderr)
    busy_seconds = interference.seconds(estimate.seconds, len(pcm) // hop)
    from_silence, delay = _stream(model, engine)
    emulation = harness.emulate(from_silence, pcm, hop, busy_seconds)
    delay_ms = 1000 * (delay + harness.BUFFERING_HOPS * hop) / audio.SAMPLE_RATE
    verdict = judge(estimate, emulation.stream.misses, len(busy_seconds))
    if output is not None:
        audio.write(output, emulation.stream.output)
    if picture is not None:
        title = f"{model.name} on {chosen.title}"
        draw_latencies(picture, title, busy_seconds, emulation.stream.host_seconds, estimate.hop_seconds)
    if as_json:
        print(json.dumps(_as_dict(estimate, emulation, verdict, delay_ms), indent=2, allow_nan=False))
    else:
        _print(estimate, emulation, verdict, delay_ms)


def _stream(model: Path, engine: str) -> tuple[Callable[[], Process], int]:
    """What makes a process that starts from silence, and its delay in samples; a tagger lets the sound pass."""
    from tinyse.streaming.denoiser import Denoiser
    from tinyse.streaming.tagger import Tagger
    from tinyse.tflite.reader import read

    if read(model).metadata.get("task") != "tagging":
        denoiser = Denoiser(model, engine=engine)  # type: ignore[arg-type]

        def denoise() -> Process:
            denoiser.reset()
            return denoiser.process

        return denoise, denoiser.delay
    tagger = Tagger(model, engine=engine)  # type: ignore[arg-type]

    def hear(hop: np.ndarray) -> np.ndarray:
        tagger.process(hop)
        return hop

    def listen() -> Process:
        tagger.reset()
        return hear

    return listen, 0


def _sound(path: Path | None, seconds: float, hop: int) -> tuple[np.ndarray, list[str]]:
    """PCM16 of whole hops, `seconds` of the file or of noise that comes and goes; and notices about the file."""
    from tinyse import audio
    from tinyse.errors import InputError

    if not 0 < seconds < 3600:
        raise InputError(f"--seconds is between 0 and 3600, not {seconds:g}")
    wanted = round(seconds * audio.SAMPLE_RATE)
    notices: list[str] = []
    if path is None:
        rate_hz = 3.0  # syllables in a second
        swell = np.sin(np.pi * rate_hz * np.arange(wanted) / audio.SAMPLE_RATE) ** 2
        samples = np.float32(0.1 * swell * np.random.default_rng(0).normal(size=wanted))
    else:
        samples, notices = audio.read(path)
        samples = samples[:wanted]
    if len(samples) < hop:
        raise InputError(f"less than one hop of {hop} samples to stream: give a longer sound or more --seconds")
    return audio.to_pcm16(samples[: len(samples) // hop * hop]), notices


def _as_dict(estimate: Estimate, emulation: Emulation, verdict: Verdict, delay_ms: float) -> dict[str, Any]:
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
        "delay_ms": delay_ms,
        "figures": {name: [asdict(figure) for figure in getattr(estimate, name)] for name in ("time", "flash", "ram")},
        "hops": verdict.hops,
        "missed": {"late": int(stream.late.sum()), "lost": int(stream.lost.sum())},
        "against_ideal": {
            name: value if np.isfinite(value) else None
            for name, value in (("sdr_db", emulation.sdr_db), ("si_sdr_db", emulation.si_sdr_db))
        },
        "host_microseconds_per_hop": percentiles(stream.host_seconds),
    }


def _print(estimate: Estimate, emulation: Emulation, verdict: Verdict, delay_ms: float) -> None:
    from rich.console import Console
    from rich.table import Table

    from tinyse.boards.harness import percentiles

    console, board, stream = Console(), estimate.board, emulation.stream
    console.print(f"[bold]{board.title}[/bold]: {board.core.name}, {board.clock_hz / 1e6:g} MHz. {board.notes}")
    for name, unit in (("time", "cycles"), ("flash", "bytes"), ("ram", "bytes")):
        table = Table(title=f"{name}, {unit}", title_justify="left")
        for column in ("what", unit, "label", "basis"):
            table.add_column(column, justify="right" if column == unit else "left")
        for what, value, label, basis in _by_kind(getattr(estimate, name)):
            table.add_row(what, f"{value:,.0f}", label, basis)
        console.print(table)
    for margin in verdict.margins:
        console.print(str(margin), style="" if margin.fits else "red")
    late, lost = int(stream.late.sum()), int(stream.lost.sum())
    console.print(f"deadlines: {verdict.hops} hops, {late} results late, {lost} hops lost")
    if stream.misses:
        console.print(f"against the same stream without deadlines: SDR {emulation.sdr_db:.1f} dB")
    console.print(f"microphone to loudspeaker: {delay_ms:g} ms, of windows and double buffers")
    times = ", ".join(f"{name} {value:.0f}" for name, value in percentiles(stream.host_seconds).items())
    console.print(f"this machine, us a hop: {times}")
    style, word = ("green", "fits") if verdict.fits else ("red", "does not fit")
    console.print(f"[bold {style}]{word}[/bold {style}]: {verdict.why}")


def _by_kind(figures: tuple[Any, ...]) -> list[tuple[str, float, str, str]]:
    """Operators of one kind in one line: a network has dozens of them."""
    from tinyse.boards.estimate import OPERATORS

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


def _print_boards() -> None:
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
