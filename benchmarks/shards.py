"""Training from shards of a large synthetic corpus: memory over time, seconds to the first update, and rates.

    python benchmarks/shards.py --items 200000 --updates 400            # shards on disk
    python benchmarks/shards.py --items 200000 --updates 400 --http     # the same through a server on the loopback
    python benchmarks/shards.py --pack recordings.csv --json            # bytes and processor time per hour of sound

The corpus is tiny sounds (0.1 s of noise, FLAC), as many as asked for, and a tenth of them for comparison: memory must be the
same. A tiny network trains on clips of 0.5 s, so that many windows go by. The run is that of `tinyse train`: the dry run,
then updates, with one process that mixes. Memory is the anonymous part of the proportional set size (PSS) of all processes
of the run. Also measured: packing, opening a shard, and mixtures per second of one process.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import command
import numpy as np

from tinyse.config import as_dict
from tinyse.files import write_bytes, write_json, write_text
from tinyse.mixtures import MixtureConfig, open_mixer
from tinyse.recordings import Recording, open_data, write_shards
from tinyse.recordings.packing import Piece, ShardWriter, encode
from tinyse.recordings.parts import digest_of
from tinyse.recordings.shard_file import ShardFile
from tinyse.recordings.shards import DIGESTS, FORMAT, INDEX, ShardIndex, Shards

RATE = 16000
SOUNDS = 64
SECONDS = 0.1
ITEMS = 1000
"""Of a shard; one of 32 MB has some 160 recordings of 12 s."""
RECIPE = """
stages:
  supervise:
    {{model: {{channels: [4, 8, 8], groups: 4, shared_gru: [2]}}, updates: {updates}, batch: 8, seconds: 0.5, valid_every: 100,
     losses: {{compressed_spectral: 1.0}}}}
valid_clips: 8
workers: 1
precision: 32-true
"""


def make_corpus(folder: Path, items: int) -> float:
    """Shards of `items` recordings: a tenth each for validation and tests, a quarter of each noise. Returns the seconds."""
    begun = time.perf_counter()
    rng = np.random.default_rng(0)
    pieces = []
    for _ in range(SOUNDS):
        pcm = np.int16(rng.normal(0, 500, round(SECONDS * RATE)))
        pieces.append(
            Piece(Recording("x", SECONDS, "speech", "train"), len(pcm), 0.0, digest_of(pcm), encode(pcm, RATE, "flac"))
        )
    shards = []
    for kind, share in (("speech", 0.75), ("noise", 0.25)):
        for split, part in (("train", 0.8), ("valid", 0.1), ("test", 0.1)):
            count = round(items * share * part)
            for number, first in enumerate(range(0, count, ITEMS)):
                recording = Recording("x", SECONDS, kind, split)  # type: ignore[arg-type]
                with ShardWriter(folder / f"{kind}-{split}-{number:05d}.tar", recording, "flac", RATE) as writer:
                    for item in range(first, min(first + ITEMS, count)):
                        name = f"{kind}/{split}{item % 2000}/{item}.wav"
                        named: dict[str, Any] = (
                            {"speaker": f"{split}{item % 2000}"} if kind == "speech" else {"label": f"{item % 50}"}
                        )
                        writer.add(replace(pieces[item % SOUNDS], recording=replace(recording, path=name, **named)))
                    shards.append(writer.finish())
    write_bytes(folder / DIGESTS, b"")
    write_json(folder / INDEX, as_dict(ShardIndex(FORMAT, RATE, "flac", tuple(shards))))
    return time.perf_counter() - begun


def child(recipe_path: Path) -> None:
    """Train, and print a line of JSON per update: seconds since this process began."""
    begun = time.perf_counter()
    from tinyse.training.dry_run import dry_run
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run

    def tell(event: str, value: object = None) -> None:
        print(json.dumps({"event": event, "value": value, "seconds": time.perf_counter() - begun}), flush=True)

    recipe = load_recipe(recipe_path)
    dry_run(recipe, None)
    tell("tried")
    run(recipe, lambda progress: tell("update", progress.update), lambda line: tell("said", line))


def processes_below(pid: int) -> list[int]:
    """A process and those that it started."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(word) for word in (task / "children").read_text().split()]
    return found


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and those that it started, without the pages of files that all could drop."""
    total = 0
    for each in processes_below(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss_Anon:"):
                    total += int(line.split()[1])
    return total / 1000


def train(data: str, updates: int, scratch: Path) -> dict[str, Any]:
    """Train on shards in a process of its own, and watch its memory."""
    recipe = scratch / "recipe.yaml"
    write_text(recipe, RECIPE.format(updates=updates) + f"data: {data}\noutput: {scratch / 'run'}\n")
    shutil.rmtree(scratch / "run", ignore_errors=True)
    environment = {**os.environ, "TINYSE_CACHE": str(scratch / "cache")}
    shutil.rmtree(scratch / "cache", ignore_errors=True)
    line = [sys.executable, __file__, "--child", str(recipe)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    memory: dict[int, float] = {}
    events = []
    buffered = 0.0
    for text in process.stdout:
        event = json.loads(text)
        events.append(event)
        if event["event"] == "update" and event["value"] % max(updates // 8, 1) == 0:
            memory[event["value"]] = round(memory_mb(process.pid), 1)
            held = sum(path.stat().st_size for path in (scratch / "cache").rglob("*.tar"))
            buffered = max(buffered, held / 1e6)
    if process.wait():
        raise SystemExit(f"the run ended with {process.returncode}")
    made = [event for event in events if event["event"] == "update"]
    return {
        "seconds_to_dry_run": round(next(e["seconds"] for e in events if e["event"] == "tried"), 1),
        "seconds_to_first_update": round(made[0]["seconds"], 1),
        "audio_seconds_per_second": round(4.0 * (len(made) - 1) / (made[-1]["seconds"] - made[0]["seconds"]), 1),
        "memory_mb_by_update": memory,
        "most_buffered_mb": round(buffered, 1),
    }


def rates(folder: Path) -> dict[str, float]:
    """Of one process: seconds to open a shard, and mixtures per second."""
    shards = open_data(folder)
    assert isinstance(shards, Shards)
    shard = shards.chosen("speech", "train")[0]
    begun = time.perf_counter()
    ShardFile(folder / shard.name, shard, "flac", RATE)
    opened = time.perf_counter() - begun
    mixer = open_mixer(shards, MixtureConfig().plain(), 0.5, 0)
    mixer(0, 0)
    begun = time.perf_counter()
    for index in range(200):
        mixer(0, index)
    return {
        "seconds_to_open_a_shard": round(opened, 3),
        "mixtures_per_second": round(200 / (time.perf_counter() - begun), 1),
    }


def packing(data: Path, recordings: int) -> dict[str, dict[str, float]]:
    """Of each codec: megabytes per hour of sound, and seconds of one core to pack it and to decode it again."""
    manifest = open_data(data)
    spread = manifest.recordings[:: max(1, len(manifest.recordings) // recordings)]
    result = {}
    for codec in ("flac", "opus"):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.process_time()
            index = write_shards(replace(manifest, recordings=spread), folder, codec=codec)
            packed = time.process_time() - begun
            begun = time.process_time()
            for shard in index.shards:
                file = ShardFile(Path(folder) / shard.name, shard, codec, index.sample_rate)
                for number in range(len(file.items)):
                    file.sound(number)
            decoded = time.process_time() - begun
            for kind in ("speech", "noise"):
                chosen = [shard for shard in index.shards if shard.kind == kind]
                if hours := sum(shard.seconds for shard in chosen) / 3600:
                    result[f"{kind} {codec}"] = {"megabytes_per_hour": sum(s.bytes for s in chosen) / 1e6 / hours}
            hours = sum(shard.seconds for shard in index.shards) / 3600
            result[codec] = {"hours": hours, "core_seconds_per_hour_to_pack": packed / hours,
                             "core_seconds_per_hour_to_decode": decoded / hours}  # fmt: skip
    return {name: {key: round(value, 2) for key, value in facts.items()} for name, facts in result.items()}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder on a server on the loopback; its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000, help="recordings of the corpus")
    parser.add_argument("--updates", type=int, default=400)
    parser.add_argument("--http", action="store_true", help="through a server on the loopback")
    parser.add_argument("--scratch", type=Path, help="folder for the corpus; by default a temporary one")
    parser.add_argument("--pack", type=Path, help="in place of all else: pack some of these recordings")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child)
        return
    result: dict[str, Any] = packing(given.pack, 200) if given.pack else {}
    with ExitStack() as stack:
        scratch = given.scratch or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for items in () if given.pack else (given.items // 10, given.items):
            folder = scratch / f"corpus-{items}"
            facts: dict[str, Any] = {}
            if not (folder / INDEX).exists():
                facts["seconds_to_pack"] = round(make_corpus(folder, items), 1)
            size = sum(path.stat().st_size for path in folder.glob("*.tar"))
            facts |= {"shards": len(list(folder.glob("*.tar"))), "megabytes": round(size / 1e6, 1), **rates(folder)}
            place = stack.enter_context(served(folder)) if given.http else str(folder)
            result[f"{items} recordings"] = facts | train(place, given.updates, scratch)
    if given.json:
        print(json.dumps(result, indent=2))
        return
    for name, facts in result.items():
        print(name)
        for key, value in facts.items():
            print(f"  {key.replace('_', ' ')}: {value}")


if __name__ == "__main__":
    command.run(main)
