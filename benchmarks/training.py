"""Seconds of audio per second at each step of training, in one process and in two, and where the time goes.

    python benchmarks/training.py [DATA] [--shards FOLDER] [--batch 8] [--updates 4] [--profile] [--json]

DATA is a folder or manifest that `tinyse data scan` knows, by default the built-in corpus; FOLDER is what `tinyse data shard`
wrote. A row is one step alone: reading decoded sound at random places, mixing (plain, and with all augmentation), and an
update of teacher, student, distillation (frame view) and quantized training, on one batch that is mixed before. Two processes
are torchrun's and divide the cores; their row is what both do together. `--profile` names what takes most of each step.
Measured by wall time on a machine that may have other work: read ratios, from one run.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The transforms of mixing would use all cores otherwise, in every process that mixes.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `tinyse train` has it

import command
import numpy as np
import torch
from lightning_fabric import Fabric

from tinyse.evaluation.report import Table, as_markdown
from tinyse.mixtures import MixtureConfig, open_mixer
from tinyse.models.files import save_model
from tinyse.recipe import Recipe
from tinyse.recordings import AudioStore, open_data
from tinyse.tasks import TASKS
from tinyse.training.batches import WithTeachers, in_batches
from tinyse.training.machine import this_machine
from tinyse.training.processes import launch, processes_here
from tinyse.training.quantized import choose_qparams
from tinyse.training.recipe import recipe_from
from tinyse.training.stage import StageRun
from tinyse.training.start import model_path

SUPERVISED = {"compressed_spectral": 1.0, "signal_to_noise": 0.05}
WARM_UP = 2
"""Updates, or batches, before the clock starts."""


def recipe_of(given: argparse.Namespace, output: Path) -> Recipe:
    common = {"updates": 10**6, "batch": given.batch, "seconds": given.seconds}
    student = {"model": "student-62k", "losses": SUPERVISED, **common}
    distillation = {"teacher": "teacher", "views": {"frame": 1.0}}
    stages = {
        "teacher": {**student, "model": "teacher"},
        "student": student,
        "distillation": {"model": "student-62k", "distillation": distillation, **common},
        "quantized": {**student, "start": "student", "quantize": {"clips": 2}},
    }
    values = {"stages": stages, "data": given.data, "output": str(output), "valid_clips": given.batch}
    return recipe_from(values | {"precision": given.precision})


def per_second(fabric: Fabric, work: Callable[[int], object], audio_seconds: float, count: int) -> float:
    """What all processes do together: `work(i)` for `count` numbers, each of so many seconds of audio in a process."""
    for number in range(WARM_UP):
        work(number)
    fabric.barrier()
    begun = time.perf_counter()
    for number in range(WARM_UP, WARM_UP + count):
        work(number)
    fabric.barrier()
    return count * audio_seconds * fabric.world_size / (time.perf_counter() - begun)


def data_rows(given: argparse.Namespace, fabric: Fabric) -> dict[str, tuple[float, str]]:
    """Reading and mixing: seconds of audio per second, and the functions that take most of it."""
    rows, rank = {}, fabric.global_rank
    for source, path in (("", given.data), (" from shards", given.shards)):
        if path is None:
            continue
        manifest = open_data(recipe_of(argparse.Namespace(**{**vars(given), "data": path}), Path("unused")).data_paths)
        if not source:
            speech = AudioStore.build(manifest.root, manifest.select("speech", "train"))
            rng, samples = np.random.default_rng(rank), round(given.seconds * speech.sample_rate)

            def read(_: int, store: AudioStore = speech, rng: Any = rng, samples: int = samples) -> None:
                left = samples
                while left > 0:
                    recording = int(rng.integers(len(store)))
                    start = int(rng.integers(max(store.length(recording) - left, 0) + 1))
                    left -= max(len(store.sound(recording, start, left)), 1)

            rows["reading"] = per_second(fabric, read, given.seconds, given.mixtures), ""
        for name, config in (("mixing, plain", MixtureConfig().plain()), ("mixing", MixtureConfig())):
            mixer = open_mixer(manifest, config, given.seconds, 0)

            def mix(number: int, mixer: Any = mixer) -> None:
                mixer(0, number * fabric.world_size + rank)

            rate = per_second(fabric, mix, given.seconds, given.mixtures)
            rows[name + source] = rate, dearest_functions(mix) if given.profile else ""
    return rows


def dearest_functions(mix: Callable[[int], None]) -> str:
    """The three functions that take most time themselves, with their shares."""
    profile = cProfile.Profile()
    with profile:
        for number in range(20):
            mix(number)
    times = {name: row[2] for (_, _, name), row in pstats.Stats(profile).stats.items()}  # type: ignore[attr-defined]
    return shares(times)


def dearest_operators(update: Callable[[int], None]) -> str:
    """The three operators that take most time themselves, with their shares."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        update(0)
    return shares({e.key.removeprefix("aten::"): e.self_cpu_time_total for e in profile.key_averages()})


def shares(times: dict[str, float]) -> str:
    total = sum(times.values())
    return ", ".join(f"{name} {times[name] / total:.0%}" for name in sorted(times, key=lambda name: -times[name])[:3])


def training_rows(given: argparse.Namespace, fabric: Fabric, output: Path) -> dict[str, tuple[float, str]]:
    """Updates of each stage: seconds of audio per second, and the operators that take most of it."""
    recipe, rows = recipe_of(given, output), {}
    task, share = TASKS[recipe.task](recipe), given.batch // fabric.world_size
    if fabric.is_global_zero:
        for name in ("teacher", "student"):
            save_model(model_path(output, name), task.network(recipe.stages[name], None), recipe.front_end, {})
    fabric.barrier()
    (batch,) = in_batches(WithTeachers(task.valid(recipe.stages["student"])[:share], ()), share)
    for name, stage in recipe.stages.items():
        qparams = choose_qparams(recipe, name) if stage.quantize else None
        training = StageRun(launch("32-true" if stage.quantize else given.precision), recipe, task, name, {}, qparams)

        def update(number: int, training: StageRun = training) -> None:
            training.training.learn(training._parts(batch), number)

        rate = per_second(fabric, update, share * given.seconds, given.updates)
        rows[name] = rate, dearest_operators(update) if given.profile else ""
    return rows


def measure(given: argparse.Namespace) -> dict[str, tuple[float, str]]:
    """All rows, in the processes that were started."""
    threads = max(1, this_machine().cores // processes_here())
    fabric = launch("32-true")
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    rows = data_rows(given, fabric)
    torch.set_num_threads(threads)
    return rows | training_rows(given, fabric, Path(given.worker).parent / "models")


def started(processes: int) -> dict[str, tuple[float, str]]:
    """The rows of this command line in so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "rows.json"
        line = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        subprocess.run([*line, __file__, *sys.argv[1:], "--worker", str(result)], check=True, stdout=sys.stderr)
        rows: dict[str, tuple[float, str]] = json.loads(result.read_text())
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="built-in")
    parser.add_argument("--shards", help="a folder of shards, for two rows more")
    parser.add_argument("--batch", type=int, default=8, help="clips in an update, over all processes; even")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a clip")
    parser.add_argument("--updates", type=int, default=4, help="measured for each stage")
    parser.add_argument("--mixtures", type=int, default=100, help="measured for each row of data, in each process")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--profile", action="store_true", help="say what takes most of each step")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        rows = measure(given)
        if os.environ.get("RANK", "0") == "0":
            Path(given.worker).write_text(json.dumps(rows))
        return
    counts = (1, 2)
    found = {processes: started(processes) for processes in counts}
    if given.json:
        steps = {n: {name: {"audio_seconds_per_second": rate, **({"dearest": dear} if dear else {})}
                     for name, (rate, dear) in rows.items()} for n, rows in found.items()}  # fmt: skip
        print(json.dumps({"processes": steps}, indent=1))
        return
    student = {processes: rows["student"][0] for processes, rows in found.items()}
    extra = ["dearest, in one process"] if given.profile else []
    header = ("step", *(f"processes: {n}, s of audio per s (per student)" for n in counts), *extra)
    lines = [
        (
            name,
            *(f"{found[n][name][0]:.1f} ({found[n][name][0] / student[n]:.2f})" for n in counts),
            *([dear] if extra else []),
        )
        for name, (_, dear) in found[1].items()
    ]
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    note = f"Measured, {load}, batch {given.batch} x {given.seconds:g} s, {given.precision}."
    print(as_markdown([Table("Throughput of training", header, tuple(lines), note)]))


if __name__ == "__main__":
    command.run(main)
