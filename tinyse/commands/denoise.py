"""`tinyse denoise`: take the noise out of a file, or of every file in a folder."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from tinyse.errors import InputError

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif"}
"""What counts as sound in a folder; a file that is named on the command line may be called anything."""


PIECE = 16000
"""Samples that go through the denoiser between two moves of the bar: a second."""


class Engine(str, Enum):
    """What runs the network."""

    litert = "litert"
    tflm = "tflm"
    reference = "reference"
    torch = "torch"
    c = "c"


def denoise(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A sound file, or a folder of them.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The wav to write, or the folder for them.")],
    model: Annotated[
        str | None,
        typer.Option(help="A .tflite, a .safetensors or a name; by default student-62k, which tinyse brings."),
    ] = None,
    engine: Annotated[Engine | None, typer.Option(help="What runs it; by default what fits the file.")] = None,
    attenuation_limit_db: Annotated[
        float | None, typer.Option(help="Keep this much of the noise: 12 takes away at most 12 dB.", min=0)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Write IN without its noise to OUT, as 16-bit wav at 16 kHz of the same length, its latency taken out."""
    import numpy as np

    from tinyse import audio
    from tinyse.progress import counted
    from tinyse.streaming.denoiser import Denoiser

    denoiser = Denoiser(model, engine=engine.value if engine else None, attenuation_limit_db=attenuation_limit_db)
    files: list[dict[str, Any]] = []
    for noisy_path, clean_path in _jobs(source, target):
        noisy, notices = audio.read(noisy_path)
        start = time.perf_counter()
        pieces = []
        try:
            with counted(noisy_path.name, len(noisy)) as advance:
                for piece in np.split(noisy, range(PIECE, len(noisy), PIECE)):
                    pieces.append(denoiser.process(piece))
                    advance(len(piece))
        except InputError as error:
            raise InputError(f"cannot use {noisy_path}: {error}") from error
        pieces.append(denoiser.flush())
        elapsed = time.perf_counter() - start
        audio.write(clean_path, np.concatenate(pieces)[denoiser.delay :])
        files.append(
            {
                "in": str(noisy_path),
                "out": str(clean_path),
                "seconds": len(noisy) / audio.SAMPLE_RATE,
                "compute_seconds": elapsed,
                "notices": notices,
            }
        )
    summary = _summary(files, denoiser.latency_ms)
    for notice, count in Counter(notice for file in files for notice in file["notices"]).items():
        print(f"tinyse: {notice}" + (f" ({count} files)" if len(files) > 1 else ""), file=sys.stderr)
    if as_json:
        print(json.dumps({**summary, "files": files}, indent=2, allow_nan=False))
        return
    written = str(target) if len(files) == 1 else f"{len(files)} files in {target}"
    print(
        f"{written}: {summary['seconds']:.1f} s of sound in {summary['compute_seconds']:.2f} s "
        f"(real-time factor {summary['real_time_factor']:.3f}), latency {summary['latency_ms']:g} ms"
    )


def _jobs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """What to read and what to write: one file, or every sound below a folder at its place below the other."""
    if not source.is_dir():
        if target.is_dir():
            target = target / f"{source.stem}.wav"
        jobs = [(source, target)]
    else:
        if target.is_file():
            raise InputError(f"{source} is a folder but {target} is a file: name a folder to write to")
        found = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not found:
            raise InputError(f"no sound files in {source}: looked for {', '.join(sorted(SUFFIXES))}")
        jobs = [(path, (target / path.relative_to(source)).with_suffix(".wav")) for path in found]
    for clean_path, count in Counter(clean_path for _, clean_path in jobs).items():
        if count > 1:
            raise InputError(f"{count} files would be written to {clean_path}: their names differ only in the ending")
    for noisy_path, clean_path in jobs:
        if noisy_path.resolve() == clean_path.resolve():
            raise InputError(f"{clean_path} would be overwritten by its own clean version: name another place")
    return jobs


def _summary(files: list[dict[str, Any]], latency_ms: float) -> dict[str, float]:
    """Totals over all files. The real-time factor is seconds of computing for each second of sound, without reading."""
    seconds, compute_seconds = (sum(file[key] for file in files) for key in ("seconds", "compute_seconds"))
    return {
        "seconds": seconds,
        "compute_seconds": compute_seconds,
        "real_time_factor": compute_seconds / seconds,
        "latency_ms": latency_ms,
    }
