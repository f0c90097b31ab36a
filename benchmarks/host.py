"""What denoising costs this computer, by what runs it: CPU seconds per second of audio, one thread, and the ratio to engine c.

    python benchmarks/host.py
    python benchmarks/host.py --packages pyrnnoise webrtc_noise_gain noisereduce \
      --dtln $TINYSE_PEERS/dtln/model_1.tflite $TINYSE_PEERS/dtln/model_2.tflite \
      --onnx $TINYSE_PEERS/gtcrn/gtcrn_simple.onnx sqrt-hann

Each row denoises the same sound, ours in chunks of a second and of one hop as a microphone gives it, others frame by frame of
their own inside chunks of a second. The rows take turns, and the least of several rounds counts, for others share the cores:
read the ratios.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

# One thread for every library; read when they are imported.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import command
import numpy as np
import record
from peer_runners import PACKAGES, TITLES, dtln

from firmware_export import built_in
from tinyse import corpus
from tinyse.audio import read
from tinyse.distillation.external import WINDOWS, OnnxStream
from tinyse.errors import InputError
from tinyse.evaluation.report import Table, as_markdown
from tinyse.released import names
from tinyse.streaming.denoiser import Denoiser

RATE = 16000


Row = tuple[str, Callable[[np.ndarray], object], int]
"""Name, what takes a chunk, and samples in a chunk."""


def seconds_a_second(rows: list[Row], sound: np.ndarray, rounds: int) -> list[float]:
    """The least CPU time of a round, by seconds of sound, for each row; in a round each has its turn."""
    best = [float("inf")] * len(rows)
    for _ in range(rounds):
        for place, (_name, run, chunk) in enumerate(rows):
            chunks = np.split(sound, range(chunk, len(sound), chunk))
            start = time.process_time()
            for piece in chunks:
                run(piece)
            best[place] = min(best[place], (time.process_time() - start) / (len(sound) / RATE))
    return best


def rows(arguments: argparse.Namespace) -> list[Row]:
    """What is timed, ours first."""
    found: list[Row] = []
    for model in names():
        for engine in arguments.engines:
            denoiser = Denoiser(model, engine=engine)
            found.append((f"tinyse {model}, engine {engine}", denoiser.process, RATE))
            found.append((f"tinyse {model}, engine {engine}, hop by hop", denoiser.process, denoiser.hop))
    for package in arguments.packages:
        try:
            found.append((TITLES[package], PACKAGES[package](), RATE))
        except InputError as error:
            print(f"left out: {error}", file=sys.stderr)
    for first, second in arguments.dtln:
        found.append((f"DTLN, {first.stem} and {second.stem} (LiteRT)", dtln(first, second), RATE))
    for path, window in arguments.onnx:
        found.append((f"{Path(path).stem} (ONNX Runtime)", OnnxStream(path, window), RATE))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="*", default=["c", "litert", "reference"])
    parser.add_argument("--packages", nargs="*", default=[], choices=sorted(TITLES), help="peers that pip installs")
    parser.add_argument("--dtln", nargs=2, action="append", default=[], type=Path, metavar=("FIRST", "SECOND"))
    parser.add_argument("--onnx", nargs=2, action="append", default=[], metavar=("FILE", "WINDOW"),
                        help=f"a streaming network and its window, of {', '.join(WINDOWS)}")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0, help="only the first seconds of the sound; 0 takes all")
    record.add_option(parser)
    arguments = parser.parse_args()
    noisy = sorted((corpus.pairs() / "noisy").iterdir())
    sound = np.concatenate([read(path)[0] for path in noisy])[: round(arguments.seconds * RATE) or None]
    library = built_in.library_name() or f"compiled now, for {built_in.missing()}"
    timed = rows(arguments)
    seconds = seconds_a_second(timed, sound, arguments.rounds)
    cells = [
        (name, f"{each:.4f}", f"{each / seconds[0]:.1f}") for (name, _, _), each in zip(timed, seconds, strict=True)
    ]
    note = (
        f"Measured: {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, one thread; "
        f"{len(sound) / RATE:.0f} s of sound, the least of {arguments.rounds} rounds; the C: {library}"
    )
    table = Table(
        "What denoising costs a computer", ("system", "CPU s per second of audio", "ratio"), tuple(cells), note
    )
    for line in as_markdown([table]).splitlines():
        print(line)
    record.keep(arguments.results, table, "measured")


if __name__ == "__main__":
    command.run(main)
