"""`tinyse bench`: does a .tflite fit a board, and what does it sound like there?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

if TYPE_CHECKING:
    from tinyse.boards.boards import Board
    from tinyse.boards.harness import Process
    from tinyse.boards.measurements import Measurement
    from tinyse.commands.bench_tables import Row


def bench(
    model: Annotated[Path | None, typer.Argument(help="An int8 or int16 .tflite made by tinyse, or a name.")] = None,
    board: Annotated[
        str | None, typer.Option(help="Name of a board; without one, MODEL is checked on all of them.")
    ] = None,
    core: Annotated[
        str | None,
        typer.Option(
            help="Core of your own board: cortex-m0+, cortex-m4, cortex-m7, cortex-m33, cortex-m55, 'risc-v rv32imac', "
            "'risc-v rv32imafc', 'xtensa lx6' or 'xtensa lx7'."
        ),
    ] = None,
    mhz: Annotated[float | None, typer.Option(help="With --core: its clock in MHz.")] = None,
    ram: Annotated[int | None, typer.Option(help="With --core: its RAM in KiB.")] = None,
    flash: Annotated[int | None, typer.Option(help="With --core: its flash in KiB.")] = None,
    sound: Annotated[Path | None, typer.Option("--input", help="Sound to stream; default: noise in bursts.")] = None,
    output: Annotated[Path | None, typer.Option(help="What the board would play, as a sound file.")] = None,
    picture: Annotated[Path | None, typer.Option(help="A png that plots the time of each hop.")] = None,
    seconds: Annotated[float, typer.Option(help="Seconds of the sound to stream.")] = 10.0,
    engine: Annotated[str, typer.Option(help="Runtime on this machine: litert, tflm or reference.")] = "litert",
    firmware: Annotated[
        Path | None,
        typer.Option(help="JSON of emulated or measured figures, from benchmarks/firmware.py or your board."),
    ] = None,
    burst_probability: Annotated[
        float, typer.Option(help="Probability of an interruption during a hop, 0 to 1.")
    ] = 0.0,
    burst_ms: Annotated[float, typer.Option(help="Longest interruption in ms.")] = 0.0,
    jitter: Annotated[float, typer.Option(help="Largest share by which a hop takes longer: 0.1 for 10 %.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the interruptions and the jitter.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Stream sound through MODEL as a board would: flash, RAM and time, missed deadlines and how they sound.

    Without a board, this prints a line for each board that tinyse knows; without MODEL, it lists these boards. Describe
    your own board by its core and sizes: tinyse bench MODEL --core cortex-m4 --mhz 168 --ram 192 --flash 1024.
    """
    from tinyse.audio import from_pcm16
    from tinyse.audio.encoding import SoundWriter
    from tinyse.boards import harness
    from tinyse.boards.estimate import estimate_file
    from tinyse.boards.measurements import read_measurements
    from tinyse.boards.picture import draw_latencies
    from tinyse.boards.verdict import judge
    from tinyse.commands import bench_tables as tables
    from tinyse.errors import InputError
    from tinyse.progress import note
    from tinyse.released import find

    chosen = _board(board, core, mhz, ram, flash)
    _check_files(chosen, sound, output, picture)
    measured = read_measurements(firmware) if firmware else ()
    if model is None:
        if chosen is not None:
            raise InputError("name a model: tinyse bench MODEL.tflite --board NAME")
        _list_boards(as_json)
        return
    given, model = model.name, find(model)
    if chosen is None:
        _print_on_all(model, given, measured, as_json)
        return
    latency = _latency_ms(model)
    interference = harness.Interference(burst_probability, burst_ms / 1000, jitter, seed)
    estimate = estimate_file(model, chosen, measured)
    from_silence, delay, rate = _stream(model, engine)
    hop = round(estimate.hop_seconds * rate)
    pcm, notices = _sound(sound, seconds, hop, rate)
    for notice in notices:
        note(notice)
    busy_seconds = interference.seconds(estimate.seconds, len(pcm) // hop)
    emulation = harness.emulate(from_silence, pcm, hop, busy_seconds, rate)
    delays = tables.Delays(latency, 1000 * (delay + harness.BUFFERING_HOPS * hop) / rate)
    verdict = judge(estimate, emulation.stream.misses, len(busy_seconds))
    if output is not None:
        with SoundWriter(output, sample_rate=rate) as file:
            file.write(from_pcm16(emulation.stream.output))
    if picture is not None:
        title = f"{model.name} on {chosen.title}"
        draw_latencies(picture, title, busy_seconds, emulation.stream.host_seconds, estimate.hop_seconds)
    if as_json:
        print(json.dumps(tables.stream_as_dict(estimate, emulation, verdict, delays), indent=2, allow_nan=False))
    else:
        tables.print_stream(estimate, emulation, verdict, delays)


def _check_files(board: Board | None, sound: Path | None, output: Path | None, picture: Path | None) -> None:
    """Raise InputError for files that have no use without a board, or cannot be written."""
    from tinyse.audio.encoding import check_apart, check_writable
    from tinyse.errors import InputError

    for option, value in (("--input", sound), ("--output", output), ("--picture", picture)):
        if value is not None and board is None:
            raise InputError(f"{option} is of the sound on one board: name it with --board, or describe it with --core")
    if picture is not None and picture.suffix.lower() not in (".png", ""):
        raise InputError(f"--picture {picture}: a picture is written as .png")
    if output is not None:
        check_writable(output)
        if sound is not None:
            check_apart(sound, output)


def _list_boards(as_json: bool) -> None:
    from tinyse.boards.boards import BOARDS
    from tinyse.commands import bench_tables as tables

    if as_json:
        print(json.dumps({"boards": [asdict(each) for each in BOARDS.values()]}, indent=2))
    else:
        tables.print_boards()


def _print_on_all(model: Path, name: str, measured: tuple[Measurement, ...], as_json: bool) -> None:
    """A line for each board."""
    from tinyse.boards.boards import BOARDS
    from tinyse.commands import bench_tables as tables

    latency = _latency_ms(model)
    rows = [_row(model, each, measured) for each in BOARDS.values()]
    if as_json:
        facts = {"model": str(model), "latency_ms": latency, "boards": [row._asdict() for row in rows]}
        print(json.dumps(facts, indent=2))
    else:
        tables.print_rows(name, latency, rows)


def _latency_ms(model: Path) -> float:
    from tinyse.boards.estimate import front_end_of
    from tinyse.spectra.front_end import latency_ms
    from tinyse.tflite.reader import read

    return latency_ms(front_end_of(read(model)))


def _board(name: str | None, core: str | None, mhz: float | None, ram: int | None, flash: int | None) -> Board | None:
    """The board that is named or described; None for none."""
    from tinyse.boards.boards import find_board, own_board
    from tinyse.errors import InputError

    described = {"--core": core, "--mhz": mhz, "--ram": ram, "--flash": flash}
    missing = [option for option, value in described.items() if value is None]
    if len(missing) == len(described):
        return find_board(name) if name is not None else None
    if name is not None:
        raise InputError(f"--board {name} is a board already: leave --core, --mhz, --ram and --flash out")
    if core is None or mhz is None or ram is None or flash is None:
        raise InputError(f"a board of your own needs {', '.join(missing)} as well: "
                         "--core cortex-m4 --mhz 168 --ram 192 --flash 1024")  # fmt: skip
    return own_board(core, mhz, ram, flash)


def _row(model: Path, board: Board, measured: tuple[Measurement, ...]) -> Row:
    """The model on a board. Raises InputError for a model that no board could run."""
    from tinyse.boards.estimate import estimate_file
    from tinyse.boards.verdict import judge
    from tinyse.commands.bench_tables import Row
    from tinyse.errors import InputError

    try:
        estimate = estimate_file(model, board, measured)
    except InputError as error:
        if board.npu is None:
            raise
        # Vela is not installed, or refuses the model.
        return Row(board.name, None, None, None, None, str(error))
    return Row.of(estimate, judge(estimate))


def _stream(model: Path, engine: str) -> tuple[Callable[[], Process], int, int]:
    """What makes a process that starts from silence, its delay in samples and its rate; a classifier lets the sound pass."""
    from tinyse.streaming.denoiser import Denoiser
    from tinyse.streaming.tagger import Tagger
    from tinyse.tflite.reader import read

    if "classes" not in read(model).metadata:
        denoiser = Denoiser(model, engine=engine)  # type: ignore[arg-type]

        def start_denoiser() -> Process:
            denoiser.reset()
            return denoiser.process

        return start_denoiser, denoiser.delay, denoiser.sample_rate
    tagger = Tagger(model, engine=engine)  # type: ignore[arg-type]

    def process(hop: np.ndarray) -> np.ndarray:
        tagger.process(hop)
        return hop

    def start_tagger() -> Process:
        tagger.reset()
        return process

    return start_tagger, 0, tagger.sample_rate


def _sound(path: Path | None, seconds: float, hop: int, rate: int) -> tuple[np.ndarray, list[str]]:
    """PCM16 of whole hops, `seconds` of the file or of noise that comes and goes; and notices about the file."""
    from tinyse import audio
    from tinyse.errors import InputError

    if not 0 < seconds < 3600:
        raise InputError(f"--seconds is between 0 and 3600, not {seconds:g}")
    wanted = round(seconds * rate)
    notices: list[str] = []
    if path is None:
        rate_hz = 3.0  # syllables in a second
        swell = np.sin(np.pi * rate_hz * np.arange(wanted) / rate) ** 2
        samples = np.float32(0.1 * swell * np.random.default_rng(0).normal(size=wanted))
    else:
        samples, notices = audio.read(path, rate)
        samples = samples[:wanted]
    if len(samples) < hop:
        raise InputError(f"less than one hop of {hop} samples to stream: give a longer sound or more --seconds")
    return audio.to_pcm16(samples[: len(samples) // hop * hop]), notices
