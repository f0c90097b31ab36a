"""`tinyse denoise`: take the noise out of a file, of every file in a folder, or of a pipe."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict
from io import BufferedReader, BufferedWriter, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyse.audio.pcm import Format
from tinyse.commands.options import AttenuationLimit, Engine, Model, Purpose
from tinyse.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from tinyse.audio.pcm import SampleSpec
    from tinyse.live.pipe import PipeReader
    from tinyse.streaming.batch import Result, Settings
    from tinyse.streaming.denoiser import Denoiser

PIPE = Path("-")
FILES_PER_PROCESS = 4
"""A process takes a second or two to open a model: fewer files are done before."""


def denoise(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A sound file, a folder of them, or - for a pipe.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file to write (wav, flac, ogg, opus, mp3, aiff), a folder, or -.")
    ],
    model: Model = None,
    engine: Engine = None,
    attenuation_limit_db: AttenuationLimit = None,
    purpose: Purpose = None,
    processes: Annotated[
        int | None, typer.Option(help="Processes for a folder; by default as many as are useful.", min=1)
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(help="Sample rate of the output in Hz; by default that of the input. For raw sound: of both."),
    ] = None,
    mono: Annotated[bool, typer.Option("--mono", help="Mix the channels down to one.")] = False,
    channels: Annotated[int | None, typer.Option(help="Channels of raw input; by default 1.")] = None,
    raw_format: Annotated[
        Format | None, typer.Option("--format", help="Sample format of raw sound in a pipe; by default s16.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Remove the noise from IN and write OUT, with the same rate, channels and length.

    Each channel is a separate stream, and the latency is compensated. If the rate is not the model's, the sound is
    resampled for the model and back. A wav keeps its sample format. In a folder, files that cannot be used are named, the
    others are processed, and the exit status is 1.

    As IN and OUT, - is raw sound on standard input and output: arecord -f S16_LE -r 16000 -t raw | tinyse denoise
    - - | aplay -f S16_LE -r 16000. A wav on standard input, which arecord writes by default, comes out as a wav.
    """
    from tinyse.audio.sound_files import RATES, check_layout
    from tinyse.presets import limit_for
    from tinyse.streaming.batch import Settings

    if rate is not None:
        check_layout("--rate", rate)
    if channels is not None:
        check_layout("--channels", RATES[0], channels)
    limit_db = limit_for(purpose, attenuation_limit_db)
    settings = Settings(model, engine, limit_db, rate, mono)
    if PIPE in (source, target):
        if processes is not None:
            raise InputError("--processes is for a folder; a pipe is one stream")
        _pipe(source, target, settings, channels, raw_format, as_json)
        return
    if channels is not None or raw_format is not None:
        raise InputError("--channels and --format are for raw sound in a pipe: give - as IN or OUT")
    _files(source, target, settings, processes, as_json)


def _files(source: Path, target: Path, settings: Settings, processes: int | None, as_json: bool) -> None:
    from tinyse.cores import cores
    from tinyse.progress import counted, note
    from tinyse.streaming.batch import denoise_file, denoise_files, find_jobs

    jobs = find_jobs(source, target)
    denoiser = settings.open()  # a wrong model is said once, not for each file
    if source.is_dir():
        count = processes or max(min(cores(), len(jobs) // FILES_PER_PROCESS), 1)
        with counted(f"{len(jobs)} files", len(jobs)) as advance:
            results = denoise_files(jobs, settings, count, advance)
    else:
        with counted(source.name, 1) as advance:
            results = [denoise_file(denoiser, jobs[0], settings, advance)]
    done = [result for result in results if result.error is None]
    failed = [result for result in results if result.error is not None]
    for notice, number in Counter(notice for result in done for notice in result.notices).items():
        note(notice + (f" ({number} files)" if len(results) > 1 else ""))
    for result in failed:
        print(f"tinyse: {result.error}", file=sys.stderr)
    summary = _summary(done, denoiser)
    if as_json:
        files = [{"in": r.source, "out": r.target, **_without_paths(r)} for r in results]
        print(json.dumps({**summary, "failed": len(failed), "files": files}, indent=2, allow_nan=False))
    else:
        written = results[0].target if not source.is_dir() else f"{len(done)} files in {target}"
        print(_sentence(written, summary))
        if failed:
            print(f"{len(failed)} of {len(results)} files could not be used: see above", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def _pipe(
    source: Path, target: Path, settings: Settings, channels: int | None, raw_format: Format | None, as_json: bool
) -> None:
    from tinyse import audio
    from tinyse.audio import encoding, pcm
    from tinyse.progress import note
    from tinyse.streaming import sound

    _refuse_pipe(source, target, channels)
    if target != PIPE:
        encoding.check_writable(target)
    denoiser = settings.open()
    reader, notices = None, list[str]()
    blocks: Iterable[np.ndarray]
    if source == PIPE:
        assumed = pcm.SampleSpec(raw_format or "s16", settings.rate or denoiser.sample_rate, channels or 1)
        reader = _standard_input(assumed, is_told=bool(settings.rate or raw_format or channels))
        blocks, came = reader, reader.spec
        if settings.mono:
            blocks = (block.mean(axis=1, keepdims=True) for block in reader)
            notices = audio.mixed_down(came.channels)
    else:
        noisy, rate, notices = audio.read_channels(source, settings.mono)
        blocks = [noisy]
        came = pcm.SampleSpec(raw_format or "s16", rate, noisy.shape[1])
    rate = came.rate if source == PIPE else settings.rate or came.rate
    if target != PIPE:
        notices += encoding.notices(target, rate)
        rate = encoding.possible_rate(target, rate)
    leaving = pcm.SampleSpec(came.format, rate, 1 if settings.mono else came.channels)
    notices += sound.notices(denoiser, came.rate, leaving.rate)
    start = time.perf_counter()
    clean = sound.denoised(denoiser, blocks, came.rate, leaving.rate)
    samples = _written(clean, target, leaving, to_wav=reader is not None and reader.is_wav)
    if reader is not None and reader.cut:
        notices = [*notices, f"{reader.cut} bytes at the end of standard input were no whole sample"]
    for notice in notices:
        note(notice)
    screen = sys.stderr if target == PIPE else sys.stdout
    latency_ms = sound.latency_ms(denoiser, came.rate, leaving.rate)
    facts = {
        "seconds": samples / leaving.rate,
        "elapsed_seconds": time.perf_counter() - start,
        "rate": leaving.rate,
        "channels": leaving.channels,
        "latency_ms": round(latency_ms, 3),
        "engine": denoiser.engine.name,
        "notices": notices,
    }
    if as_json:
        print(json.dumps(facts, indent=2), file=screen)
    elif target != PIPE:
        print(f"{target}: {facts['seconds']:.1f} s of sound, latency {latency_ms:.4g} ms", file=screen)


def _refuse_pipe(source: Path, target: Path, channels: int | None) -> None:
    """Raise InputError where one of the sides is not a stream."""
    if source.is_dir() or target.is_dir():
        raise InputError("a pipe is one stream: give a file, not a folder, on its other side")
    if target == PIPE and sys.stdout.isatty():
        raise InputError(
            "standard output is a terminal: send the sound to a program or a file, or name a file to write"
        )
    if source == PIPE and sys.stdin.isatty():
        raise InputError("standard input is a terminal: pipe sound into it, or name a file to read")
    if source != PIPE and channels is not None:
        raise InputError(f"--channels is for raw sound that comes in; {source} says its own")


def _standard_input(assumed: SampleSpec, is_told: bool) -> PipeReader:
    """What comes in, which is as `assumed` where it does not say; `is_told`: whether the user said what it is."""
    from tinyse.live.pipe import PipeReader

    reader = PipeReader(BufferedReader(FileIO(0, closefd=False)), assumed)
    if reader.is_wav and is_told:
        raise InputError(
            "standard input is a wav, whose header says the format: leave out --rate, --channels and --format"
        )
    return reader


def _written(clean: Iterable[np.ndarray], target: Path, spec: SampleSpec, to_wav: bool) -> int:
    """Write the blocks as they come, and return how many samples of each channel there were. A reader that has left ends it.

    Raises InputError where there was nothing: what filled the pipe has failed.
    """
    from tinyse.audio.encoding import SoundWriter
    from tinyse.live.pipe import PipeWriter

    samples = 0
    try:
        with ExitStack() as stack:
            file: PipeWriter | SoundWriter
            if target == PIPE:
                file = PipeWriter(BufferedWriter(FileIO(1, "w", closefd=False)), spec, to_wav)
            else:
                file = stack.enter_context(SoundWriter(target, sample_rate=spec.rate, channels=spec.channels))
            for block in clean:
                file.write(block)
                samples += len(block)
            if not samples:  # an output of an earlier call stays
                raise InputError(
                    "standard input ended before the first sample: did the program fail that writes to it?"
                )
    except BrokenPipeError as leaving:  # the reader has left: that is how a pipe ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from leaving
    return samples


def _without_paths(result: Result) -> dict[str, Any]:
    return {key: value for key, value in asdict(result).items() if key not in ("source", "target")}


def _sentence(written: str, summary: dict[str, Any]) -> str:
    factor = summary["real_time_factor"]
    return (
        f"{written}: {summary['seconds']:.1f} s of sound in {summary['compute_seconds']:.2f} s"
        + (f" (real-time factor {factor:.3f})" if factor is not None else "")
        + f", latency {summary['latency_ms']:.4g} ms, engine {summary['engine']}"
    )


def _summary(done: list[Result], denoiser: Denoiser) -> dict[str, Any]:
    """Totals over all files. The real-time factor is seconds of computing for each second of sound, without reading."""
    seconds, compute_seconds = sum(r.seconds for r in done), sum(r.compute_seconds for r in done)
    return {
        "seconds": seconds,
        "compute_seconds": compute_seconds,
        "real_time_factor": compute_seconds / seconds if seconds else None,
        "latency_ms": max((r.latency_ms for r in done), default=denoiser.latency_ms),
        "engine": denoiser.engine.name,
    }
