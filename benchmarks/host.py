"""What denoising costs this computer, by what runs it: CPU seconds per second of audio, one thread, and the ratio to engine c.

    python benchmarks/host.py
    python benchmarks/host.py --onnx $TINYSE_PEERS/gtcrn/gtcrn_simple.onnx sqrt-hann

Each row denoises the same sound, in chunks of a second and of one hop as a microphone gives it; the least of several rounds
counts, for others share the cores. RNNoise is there where `pip install pyrnnoise` is.
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

import numpy as np
from peer_runners import rnnoise

from firmware_export import built_in
from tinyse import corpus
from tinyse.audio import read
from tinyse.distillation.external import WINDOWS, OnnxStream
from tinyse.errors import InputError
from tinyse.released import names
from tinyse.streaming.denoiser import Denoiser

RATE = 16000


def seconds_a_second(run: Callable[[np.ndarray], object], sound: np.ndarray, chunk: int, rounds: int) -> float:
    """The least CPU time of a round, by seconds of sound."""
    chunks = np.split(sound, range(chunk, len(sound), chunk))
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for piece in chunks:
            run(piece)
        best = min(best, time.process_time() - start)
    return best / (len(sound) / RATE)


def rows(onnx: list[tuple[str, str]]) -> list[tuple[str, Callable[[np.ndarray], object], int | None]]:
    """Name, what takes a chunk, and the length of a short chunk; None where the whole is taken at once."""
    found: list[tuple[str, Callable[[np.ndarray], object], int | None]] = []
    for model in names():
        for engine in ("c", "litert", "reference"):
            denoiser = Denoiser(model, engine=engine)
            found.append((f"{model}, engine {engine}", denoiser.process, denoiser.hop))
    try:
        found.append(("RNNoise 0.2 (pyrnnoise)", rnnoise(), None))
    except InputError as error:
        print(f"left out: {error}", file=sys.stderr)
    for path, window in onnx:
        found.append((f"{Path(path).stem} (ONNX Runtime)", OnnxStream(path, window), None))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", nargs=2, action="append", default=[], metavar=("FILE", "WINDOW"),
                        help=f"a streaming network and its window, of {', '.join(WINDOWS)}")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    noisy = sorted((corpus.path() / "benchmark" / "noisy").iterdir())
    sound = np.concatenate([read(path)[0] for path in noisy])
    library = built_in.library_name() or f"compiled now, for {built_in.missing()}"
    print(f"Measured: {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
          f"{len(sound) / RATE:.0f} s of sound; the C: {library}\n")  # fmt: skip
    print("| | chunks of 1 s | ratio | chunks of a hop | ratio |\n|---|---:|---:|---:|---:|")
    first: tuple[float, float] | None = None
    for name, run, hop in rows(arguments.onnx):
        whole = seconds_a_second(run, sound, RATE, arguments.rounds)
        short = None if hop is None else seconds_a_second(run, sound, hop, arguments.rounds)
        first = first or (whole, short or whole)
        hops = "| |" if short is None else f"{short:.4f} | {short / first[1]:.1f} |"
        print(f"| {name} | {whole:.4f} | {whole / first[0]:.1f} | {hops}")


if __name__ == "__main__":
    main()
