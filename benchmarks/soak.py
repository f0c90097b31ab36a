"""Streams that never stop: a day of sound through one stream of each model, and in every hour the same probe.

    python benchmarks/soak.py student-62k student-30k --hours 24
    python benchmarks/soak.py student-30k --hours 1 --pairs FOLDER --compare reference

An hour is noisy speech in a random order at random levels, with digital silences, faint noise, offsets and full-scale squares
between, all drawn from the hour's number. At its end comes the probe: pairs in a row, the first of them unscored, so that a
fresh stream and the old one have heard the same just before. Printed are the probe's mean SI-SDR against clean, the difference
from a fresh stream's and from the first hour's, and memory. Exits with 1 where an hour is off by more than 0.05 dB, where
memory grows by over 4 MB after the first hour.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinyse import corpus
from tinyse.audio import DEFAULT_RATE, to_pcm16
from tinyse.evaluation.metrics import si_sdr
from tinyse.evaluation.pairs import LoadedPair, find_pairs
from tinyse.streaming.denoiser import Denoiser

ALLOWED_DB = 0.05
ALLOWED_BYTES = 4_000_000


def hour_of_sound(pairs: list[LoadedPair], hour: int, samples: int) -> Iterator[np.ndarray]:
    """Blocks (samples,) int16 that fill `samples`, the same for the same hour."""
    random = np.random.default_rng(hour)
    left = samples
    while left > 0:
        length = round(random.uniform(0.1, 40) * DEFAULT_RATE)
        kind = random.choice(["speech", "silence", "faint", "offset", "square"], p=[0.9, 0.04, 0.04, 0.01, 0.01])
        if kind == "speech":
            block = pairs[random.integers(len(pairs))].noisy * 10 ** (random.uniform(-40, 20) / 20)
        elif kind == "silence":
            block = np.zeros(length)
        elif kind == "faint":
            block = random.normal(0, 10 ** random.uniform(-5, -3), length)
        elif kind == "offset":
            block = np.full(min(length, DEFAULT_RATE), random.uniform(-1, 1))
        else:
            block = np.where(np.arange(min(length, DEFAULT_RATE)) // random.integers(1, 100) % 2, 1.0, -1.0)
        block = to_pcm16(block.astype(np.float32))[:left]
        left -= len(block)
        yield block


def probe(denoiser: Denoiser, pairs: list[LoadedPair]) -> float:
    """Mean SI-SDR in dB of the pairs but the first, in a row through the stream as it stands, which goes on."""
    late = np.zeros(denoiser.delay, np.float32)
    sound = denoiser.process(to_pcm16(np.concatenate([*(pair.noisy for pair in pairs), late])))[denoiser.delay :]
    outputs = np.split(sound, np.cumsum([len(pair.noisy) for pair in pairs])[:-1])
    return float(np.mean([si_sdr(pair.clean, output) for pair, output in zip(pairs, outputs, strict=True)][1:]))


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def soak(model: str, engine: str, pairs: list[LoadedPair], hours: int, seconds: float, compare: str | None) -> bool:
    """A stream of `hours` times `seconds`; whether it kept what is allowed."""
    denoiser = Denoiser(model, engine=engine)
    chosen = [cut(pair, denoiser.hop) for pair in pairs[:32]]
    fresh = probe(denoiser, chosen)
    other = Denoiser(model, engine=compare) if compare else None
    denoiser.reset()
    print(f"\n{model}, engine {engine}: a fresh stream's probe has {fresh:.3f} dB")
    print(
        "| hour | SI-SDR dB | against fresh | against hour 1 | MB | CPU s |\n|---:|---:|---:|---:|---:|---:|",
        flush=True,
    )
    first, memory, kept = float("nan"), 0, True
    for hour in range(1, hours + 1):
        start = time.process_time()
        # Whole hops: the probe then lies on the stream's hops as it does in the fresh one.
        for block in hour_of_sound(pairs, hour, round(seconds * DEFAULT_RATE) // denoiser.hop * denoiser.hop):
            result = denoiser.process(block)
            if other is not None and hour == 1 and not np.array_equal(result, other.process(block)):
                print(f"engine {compare} differs", flush=True)
                kept = False
        score = probe(denoiser, chosen)
        if hour == 1:
            first, memory = score, resident_bytes()
        grown = resident_bytes()
        print(f"| {hour} | {score:.3f} | {score - fresh:+.3f} | {score - first:+.3f} | {grown / 1e6:.1f} | "
              f"{time.process_time() - start:.0f} |", flush=True)  # fmt: skip
        kept &= bool(abs(score - fresh) <= ALLOWED_DB and abs(score - first) <= ALLOWED_DB)
        kept &= grown - memory <= ALLOWED_BYTES
    return kept


def cut(pair: LoadedPair, hop: int) -> LoadedPair:
    """A pair of whole hops."""
    whole = len(pair.noisy) // hop * hop
    return replace(pair, clean=pair.clean[:whole], noisy=pair.noisy[:whole])


def main() -> int:
    """Run every model and say whether all kept to it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=3600, help="of sound in an hour, for a trial")
    parser.add_argument("--engine", default="c")
    parser.add_argument("--pairs", type=Path, help="a folder of pairs; by default those of the built-in corpus")
    parser.add_argument("--compare", help="an engine that must give the same bits over the first hour")
    options = parser.parse_args()
    pairs = [pair.load() for pair in find_pairs(options.pairs or corpus.path() / "benchmark")]
    kept = [
        soak(model, options.engine, pairs, options.hours, options.seconds, options.compare) for model in options.models
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
