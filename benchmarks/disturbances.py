"""How speech comes through after a loud disturbance: its level beside that of the same speech without the disturbance.

    python benchmarks/disturbances.py student-200k student-62k student-30k --pairs $TINYSE_DATA/benchmark --limit 29

The clean side of each pair, with faint noise, is heard for three seconds, and again after two seconds of a full-scale square
wave. Printed are the worst and the mean of the pairs, in dB, one to two seconds after its end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import command
import numpy as np
import record
from rich.console import Console

from tinyse.errors import InputError
from tinyse.evaluation.pairs import LoadedPair, find_pairs
from tinyse.evaluation.report import Table, print_tables
from tinyse.mixtures.levels import decibels
from tinyse.streaming.denoiser import Denoiser

SPEECH_S, DISTURBANCE_S = 3, 2
FREQUENCY_HZ = 47
PEAK, NOISE = 0.3, 0.01
"""Of the speech, and the standard deviation of the noise, both re full scale."""


def speech_of(pair: LoadedPair, seed: int) -> np.ndarray:
    """(samples,) float32: three seconds of a pair's clean side, repeated where it is shorter, with faint noise."""
    samples = SPEECH_S * pair.sample_rate
    voice = np.resize(pair.clean / np.abs(pair.clean).max() * PEAK, samples)
    return np.float32(voice + np.random.default_rng(seed).normal(0, NOISE, samples))


def change_db(denoiser: Denoiser, speech: np.ndarray) -> float:
    """Level of the second second of speech (samples,) after a square wave, re its level without one."""
    rate = denoiser.sample_rate
    cycles = np.arange(DISTURBANCE_S * rate) * FREQUENCY_HZ / rate
    square = np.where(cycles % 1 < 0.5, 1, -1).astype(np.float32)
    heard = slice(-2 * rate, -rate)
    disturbed = denoiser.denoise(np.concatenate([speech, square, speech]))[heard]
    undisturbed = denoiser.denoise(np.concatenate([speech, speech]))[heard]
    return decibels(np.square(disturbed).mean() / np.square(undisturbed).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--pairs", type=Path, required=True, help="folder of noisy and clean pairs")
    parser.add_argument("--limit", type=int, help="only the first pairs")
    record.add_option(parser)
    arguments = parser.parse_args()
    if arguments.limit is not None and arguments.limit < 1:
        raise InputError(f"--limit {arguments.limit}: give 1 or more")
    pairs = find_pairs(arguments.pairs, arguments.limit)
    rows = []
    for model in arguments.models:
        denoiser = Denoiser(model, engine="c")  # the bits of the boards; those of LiteRT differ here by up to 3 dB
        speech = [speech_of(pair.load(denoiser.sample_rate), seed) for seed, pair in enumerate(pairs)]
        changes = [change_db(denoiser, each) for each in speech]
        rows.append((model, f"{min(changes):.1f}", f"{np.mean(changes):.1f}"))
    title = f"speech after a square wave of {FREQUENCY_HZ} Hz, {len(pairs)} pairs, dB"
    table = Table(title, ("model", "worst", "mean"), tuple(rows), "")
    record.keep(arguments.results, table, "measured")
    print_tables([table], Console(width=120))


if __name__ == "__main__":
    command.run(main)
