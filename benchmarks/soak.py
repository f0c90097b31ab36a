"""Streams that never stop: a day of sound through one stream of each model, of which the first hour comes again and again.

    python benchmarks/soak.py student-62k student-30k --hours 24 --pairs FOLDER --output FOLDER
    python benchmarks/soak.py student-30k --hours 1 --compare tflm --pairs FOLDER --output FOLDER

An hour is noisy speech in a random order at random levels, with digital silences, faint noise, offsets and full-scale squares
between, all drawn from a number: the hour's own, but every sixth hour has the first hour's sound again, so that only the age
of the stream differs. Printed for each hour are the mean SI-SDR of all its speech, the difference from hour 1 where the sound
is the same, memory and time; and, of the hour's first minutes, how a fresh stream's SI-SDR differs and after how long its
state is the old one's to the bit, from where on both are one. Every hour is kept in --output, from where the same command goes
on. Exits with 1 where, with the same sound, an hour is off the first by more than 0.05 dB, or the last takes over 4 MB more.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import command
import numpy as np

from tinyse import corpus
from tinyse.audio import to_pcm16
from tinyse.engines.path import PathState
from tinyse.evaluation.metrics import si_sdr
from tinyse.evaluation.pairs import LoadedPair, find_pairs
from tinyse.files import replacing, write_json
from tinyse.spectra.front_end import AnalysisState, LevelState, SynthesisState
from tinyse.streaming.denoiser import Denoiser

ALLOWED_DB = 0.05
ALLOWED_BYTES = 4_000_000
SAME_EVERY = 6
"""Hours after which the first one's sound comes again."""
FRESH_SECONDS = 600
"""Of each hour, that a fresh stream hears as well, unless its state is the old one's before."""
HEADER = (
    "| hour | sound | SI-SDR dB | against hour 1 | fresh - old | same state after s | MB | CPU s |\n|" + "---:|" * 8
)


class Block(NamedTuple):
    """Whole hops of sound (samples,) int16; `clean` (samples,) float32 where it is speech."""

    sound: np.ndarray
    clean: np.ndarray | None


def sound_of(hour: int) -> int:
    """The number that an hour's sound is drawn from."""
    return 1 if hour % SAME_EVERY == 0 else hour


def blocks(pairs: list[LoadedPair], number: int, samples: int, hop: int, rate: int) -> Iterator[Block]:
    """Blocks that make `samples`, the same for the same number."""
    random = np.random.default_rng(number)
    left = samples // hop * hop
    while left > 0:
        length = round(random.uniform(0.1, 40) * rate)
        kind = random.choice(["speech", "silence", "faint", "offset", "square"], p=[0.9, 0.04, 0.04, 0.01, 0.01])
        clean = None
        if kind == "speech":
            pair = pairs[random.integers(len(pairs))]
            sound, clean = pair.noisy * 10 ** (random.uniform(-40, 20) / 20), pair.clean
        elif kind == "silence":
            sound = np.zeros(length)
        elif kind == "faint":
            sound = random.normal(0, 10 ** random.uniform(-5, -3), length)
        elif kind == "offset":
            sound = np.full(min(length, rate), random.uniform(-1, 1))
        else:
            sound = np.where(np.arange(min(length, rate)) // random.integers(1, 100) % 2, 1.0, -1.0)
        whole = min(len(sound) // hop * hop, left)
        left -= whole
        yield Block(to_pcm16(sound[:whole].astype(np.float32)), None if clean is None else clean[:whole])


class Listener:
    """Scores the blocks of one stream as they come out, `delay` samples late."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser
        self.scores: list[float] = []
        self._block: Block | None = None
        self._heard = np.zeros(0, np.int16)

    def hear(self, block: Block) -> np.ndarray:
        """What the stream gives for a block."""
        result = self.denoiser.process(block.sound)
        if self._block is not None and self._block.clean is not None:
            output = np.concatenate([self._heard, result[: self.denoiser.delay]])
            self.scores.append(si_sdr(self._block.clean, output.astype(np.float32)))
        self._block, self._heard = block, result[self.denoiser.delay :]
        return result

    @property
    def score(self) -> float:
        """Mean SI-SDR in dB of the speech that is out."""
        return float(np.mean(self.scores)) if self.scores else float("nan")


class Soak:
    """One stream that grows old."""

    def __init__(self, options: argparse.Namespace, model: str, engine: str, pairs: list[LoadedPair]) -> None:
        self.options, self.pairs = options, pairs
        self.denoiser, self.fresh = Denoiser(model, engine=engine), Denoiser(model, engine=engine)
        self.other = Denoiser(model, engine=options.compare) if options.compare else None
        name = f"{Path(model).stem}-{engine}-{options.seconds:g}s"
        self.record, self.state = options.output / f"{name}.json", options.output / f"{name}.npz"
        self.rows: list[dict[str, Any]] = json.loads(self.record.read_text()) if self.record.exists() else []
        if self.rows:
            self.denoiser._state = load_state(self.state)

    def run(self) -> bool:
        """All hours; whether they kept to what is allowed."""
        for hour in range(len(self.rows) + 1, self.options.hours + 1):
            row = self.hour(hour)
            save_state(self.state, self.denoiser._state)
            self.rows.append(row)
            write_json(self.record, self.rows)
            print(as_line(row), flush=True)
        same = [row for row in self.rows if row["sound"] == sound_of(1)]
        return all(abs(row["against_first_db"]) <= ALLOWED_DB for row in same) and same[-1]["grown"] <= ALLOWED_BYTES

    def hour(self, hour: int) -> dict[str, Any]:
        """One hour; what is printed of it."""
        start, rate = time.process_time(), self.denoiser.sample_rate
        old, new = Listener(self.denoiser), Listener(self.fresh)
        self.fresh.reset()
        same_after: float | None = None
        old_score, position = float("nan"), 0
        samples = round(self.options.seconds * rate)
        for block in blocks(self.pairs, sound_of(hour), samples, self.denoiser.hop, rate):
            result = old.hear(block)
            if position < FRESH_SECONDS * rate and same_after is None:
                new.hear(block)
                old_score = old.score
                if same(self.denoiser._state, self.fresh._state):
                    same_after = (position + len(block.sound)) / rate
            if self.other is not None and hour == 1 and not np.array_equal(result, self.other.process(block.sound)):
                raise SystemExit(
                    f"engine {self.options.compare} gives other bits, {position / rate:.1f} s after the start"
                )
            position += len(block.sound)
        first = self.rows[0]["si_sdr_db"] if self.rows else old.score
        memory = resident_bytes()
        # Where this process began: one that resumes has other libraries loaded than the one that began.
        self.memory = getattr(self, "memory", memory)
        return {
            "hour": hour,
            "sound": sound_of(hour),
            "si_sdr_db": old.score,
            "against_first_db": old.score - first if sound_of(hour) == 1 else None,
            "fresh_less_old_db": new.score - old_score if new.scores else 0.0,
            "same_state_after_s": same_after,
            "bytes": memory,
            "grown": memory - self.memory,
            "cpu_s": time.process_time() - start,
        }


def as_line(row: dict[str, Any]) -> str:
    """A row of the table."""
    against = "" if row["against_first_db"] is None else f"{row['against_first_db']:+.4f}"
    same = "" if row["same_state_after_s"] is None else f"{row['same_state_after_s']:.1f}"
    return (f"| {row['hour']} | {row['sound']} | {row['si_sdr_db']:.4f} | {against} | {row['fresh_less_old_db']:+.3f} | "
            f"{same} | {row['bytes'] / 1e6:.1f} | {row['cpu_s']:.0f} |")  # fmt: skip


def arrays_of(state: Any) -> dict[str, Any]:
    """A stream's state: the bytes of the C struct, or the arrays of the numpy front end and the network."""
    if isinstance(state, np.ndarray):
        return {"struct": state}
    return {"past": state.analysis.past, "level": state.level.level, "rate": state.level.rate, "tail": state.synthesis.tail,
            **{f"network/{name}": value for name, value in state.network.items()}}  # fmt: skip


def same(first: Any, second: Any) -> bool:
    """Whether two states are equal to the bit."""
    return all(np.array_equal(value, arrays_of(second)[name]) for name, value in arrays_of(first).items())


def save_state(path: Path, state: Any) -> None:
    """Keep a state in a file."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays_of(state))


def load_state(path: Path) -> Any:
    """What `save_state` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        if "struct" in arrays:
            return arrays["struct"]
        network = {name.removeprefix("network/"): arrays[name] for name in arrays if name.startswith("network/")}
        level = LevelState(np.float32(arrays["level"]), np.float32(arrays["rate"]))
        return PathState(
            AnalysisState(arrays["past"]), level, network, SynthesisState(arrays["tail"], arrays["waiting"])
        )


def resident_bytes() -> int:
    """Memory of this process, without what its heap keeps of freed blocks: 20 MB, more in one hour and less in another."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Run every model and say whether all kept to it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=3600, help="of sound in an hour, for a trial")
    parser.add_argument("--engines", nargs="+", default=["c", "litert"])
    parser.add_argument("--pairs", type=Path, help="a folder of pairs; by default those of the built-in corpus")
    parser.add_argument("--output", type=Path, default=Path("runs/soak"), help="what every hour leaves, to go on from")
    parser.add_argument("--compare", help="an engine that must give the same bits over the first hour")
    options = parser.parse_args()
    pairs = [pair.load() for pair in find_pairs(options.pairs or corpus.pairs())]
    kept = []
    for model in options.models:
        for engine in options.engines:
            soak = Soak(options, model, engine, pairs)
            print(f"\n{model}, engine {engine}, {len(soak.rows)} hours before\n{HEADER}", flush=True)
            print(*map(as_line, soak.rows), sep="\n", flush=True)
            kept.append(soak.run())
    return 0 if all(kept) else 1


if __name__ == "__main__":
    command.run(main)
