"""kill -9 at random moments of every stage of a small recipe, each time followed by the same command.

    python benchmarks/kills.py --kills 50 --seed 1 [--json]

A run of four stages (supervised, distilled by similarity, supervised again, quantization-aware), export and scores is killed
at a phase and a share of that phase's time that are drawn from the seed, started again with the same command, killed again,
until it ends; then another run begins, until so many kills were made. A kill is survived where what was finished before it is
there and unchanged, no checkpoint went back, the next start said what it found, and the run that came of it left the same bits
in every model and in the .tflite as one that was never killed, the same scores, each line of the log once, and nothing half
written. Prints kills survived, by phase. Exits with 1 where one was not.

The command runs in a forked process that has imported torch already, which is what a start costs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import command
import numpy as np

import tinyse.__main__
from tinyse import audio
from tinyse.commands import main as command_line
from tinyse.files import LEFTOVER, sha256
from tinyse.models.files import load_tensors
from tinyse.training import dry_run, finish, run  # noqa: F401 - before the fork, so that a start is quick
from tinyse.training.start import checkpoint_path, model_path

STAGES = ("teacher", "distill", "supervise", "quantized")
PHASES = ("before", "dry run", "data", *STAGES, "export", "scores", "end")
RECIPE = """
data: data
output: run
stages:
  teacher: {model: MODEL, updates: 12, LENGTHS, losses: {compressed_spectral: 1.0}}
  distill: {model: MODEL, updates: 12, LENGTHS, distillation: {teacher: teacher, views: {frame: 1.0}}}
  supervise: {model: MODEL, updates: 12, LENGTHS, start: distill, losses: {compressed_spectral: 1.0}}
  quantized: {model: MODEL, updates: 8, LENGTHS, start: supervise, quantize: {clips: 2}, losses: {compressed_spectral: 1.0}}
mixture: {talker_probability: 0.0, babble_probability: 0.0}
valid_clips: 2
export: {clips: 2}
evaluation: {mixtures: 2}
precision: 32-true
threads: 1
workers: 0
""".replace("MODEL", "{channels: [4, 4, 4, 4], groups: 2}").replace(
    "LENGTHS", "batch: 2, seconds: 0.5, valid_every: 3, warmup: 1"
)
RUN = Path("run")


def write_data(folder: Path) -> None:
    """Six talkers that hum syllables, six hisses."""
    seconds = np.arange(2 * audio.DEFAULT_RATE) / audio.DEFAULT_RATE
    for number in range(6):
        tones = sum(np.sin(2 * np.pi * (90 + 25 * number) * k * seconds) / k for k in range(1, 12))
        voice = 0.1 * tones * np.sin(np.pi * 3 * seconds + number) ** 2
        audio.write(folder / f"speech/talker{number}/0.wav", np.float32(voice))
        hiss = np.random.default_rng(number).normal(0, 0.1, len(seconds))
        smooth = np.convolve(hiss, np.ones(number + 1) / (number + 1), "same")
        audio.write(folder / f"noise/kind{number}/0.wav", np.float32(smooth))


def start(output: Path) -> int:
    """The command in a process of its own, which is returned; what it prints goes to `output`."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(written, 1)
        os.dup2(written, 2)
        sys.argv = ["tinyse", "train", "recipe.yaml"]
        sys.modules["__main__"] = tinyse.__main__  # what the processes that measure import first
        command_line.main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        os._exit(code)


def phase() -> str:
    """Where the run stands, as its folder shows it."""
    last = model_path(RUN, STAGES[-1])
    if (RUN / dry_run.FOLDER).exists():
        return "dry run"
    for stage in STAGES:
        if not model_path(RUN, stage).exists():
            begun = (RUN / stage).exists()
            return stage if begun or stage != STAGES[0] else "data" if (RUN / "recipe.json").exists() else "before"
    if not last.with_suffix(".tflite").exists():
        return "export"
    return "scores" if not (last.parent / "scores.json").exists() else "end"


def reached() -> dict[str, int]:
    """Updates of each stage that are safe; -1 for one that is finished."""
    found = {}
    for stage in STAGES:
        if model_path(RUN, stage).exists():
            found[stage] = -1
        elif checkpoint_path(RUN, stage).exists():
            found[stage] = load_tensors(checkpoint_path(RUN, stage))[1]["update"]
    return found


def finished() -> dict[str, str]:
    """What must never be lost, by SHA-256."""
    last = model_path(RUN, STAGES[-1])
    files = [*(model_path(RUN, stage) for stage in STAGES), last.with_suffix(".tflite"), last.parent / "scores.json"]
    return {str(path): sha256(path) for path in files if path.exists()}


def wrong_words(said: str, before: dict[str, int], ended: bool) -> list[str]:
    """What a start that found `before` should have said and did not."""
    wrong = []
    for stage, update in before.items():
        wanted = rf"^{stage}: finished before, " if update < 0 else rf"^{stage}: .* from update {update}$"
        spoken = re.search(rf"^{stage}: ", said, re.MULTILINE)
        if (spoken or ended) and not re.search(wanted, said, re.MULTILINE):
            wrong.append(f"{stage} at update {update} was found and not reported")
    return wrong


def differences(whole: Path) -> list[str]:
    """What the finished run in RUN has otherwise than the one that was never killed."""
    wrong = []
    for path in sorted(whole.rglob("*")):
        here = RUN / path.relative_to(whole)
        if path.suffix in (".safetensors", ".tflite", ".wav") or path.name in ("pairs.csv", "model-report.json"):
            if not here.exists():
                wrong.append(f"{here} is missing")
            elif here.read_bytes() != path.read_bytes():
                wrong.append(f"{here} differs")
    for stage in STAGES:
        updates = [json.loads(line)["update"] for line in (RUN / stage / "log.jsonl").read_text().splitlines()]
        expected = [json.loads(line)["update"] for line in (whole / stage / "log.jsonl").read_text().splitlines()]
        wrong += [f"{stage}/log.jsonl has updates {updates}"] if updates != expected else []
    if not equal(*(json.loads((folder / STAGES[-1] / "scores.json").read_text()) for folder in (whole, RUN))):
        wrong.append("scores.json differs")
    if not (RUN / STAGES[-1] / "scores.md").exists():
        wrong.append("scores.md is missing")
    left = [*RUN.rglob(f"{LEFTOVER}*"), *RUN.rglob(dry_run.FOLDER), *RUN.rglob("checkpoint.safetensors")]
    return wrong + [f"{path} is left over" for path in left]


def equal(first: object, second: object) -> bool:
    """Whether two JSON values are the same; numbers but for the last bits, in which numpy's sums depend on alignment."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(equal(value, second[key]) for key, value in first.items())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(equal, first, second))
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-9)
    return first == second


def timed_run() -> dict[str, float]:
    """One run without kills; the seconds that each phase took."""
    child, now, times = start(Path("said.txt")), time.monotonic(), dict.fromkeys(PHASES, 0.0)
    while True:
        times[phase()] += time.monotonic() - now
        now = time.monotonic()
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                raise SystemExit(f"the run without kills failed:\n{Path('said.txt').read_text()}")
            return times
        time.sleep(0.002)


def kill_at(child: int, chosen: str, seconds: float) -> int | None:
    """Kill `child` so many seconds after it comes to a phase, or has passed it; its status where it had ended before."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if PHASES.index(phase()) >= PHASES.index(chosen):
            break
        time.sleep(0.002)
    time.sleep(seconds)
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        return status
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def soak_with_kills(kills: int, seed: int, show: bool) -> dict[str, object]:
    """All of it, in the working folder."""
    write_data(Path("data"))
    Path("recipe.yaml").write_text(RECIPE)
    times = timed_run()
    RUN.rename("whole")
    draw, by_phase, survived, runs, faults = random.Random(seed), Counter[str](), 0, 0, []
    while sum(by_phase.values()) < kills:
        in_this_run, wrong = 0, []
        while True:
            before, kept = reached(), finished()
            child = start(Path("said.txt"))
            now = PHASES.index(phase())
            # The dry run comes again in every start; a phase that is near leaves others to be killed in.
            chosen = draw.choice(["dry run", *PHASES[max(now, 2) : max(now, 2) + 3]])
            last = phase() == "end" or sum(by_phase.values()) >= kills
            status = os.waitpid(child, 0)[1] if last else kill_at(child, chosen, draw.random() * times[chosen])
            said = Path("said.txt").read_text()
            wrong += wrong_words(said, before, ended=status is not None)
            wrong += [f"{path} was finished and changed" for path, name in kept.items() if finished().get(path) != name]
            after = reached()
            wrong += [
                f"{s} went back from update {u}"
                for s, u in before.items()
                if 0 <= after.get(s, 0) < u or u < 0 <= after.get(s, 0)
            ]
            if status is not None:
                break
            in_this_run += 1
            by_phase[phase()] += 1
            if show:
                print(f"kill {sum(by_phase.values())}: {phase()}, reached {after}", file=sys.stderr, flush=True)
        runs += 1
        wrong += [f"the run ended with {status}: {said[-300:]}"] if status else differences(Path("whole"))
        survived += 0 if wrong else in_this_run
        faults += wrong
        shutil.rmtree(RUN)
    return {
        "kills": sum(by_phase.values()),
        "survived": survived,
        "runs": runs,
        "by_phase": dict(by_phase),
        "faults": faults,
    }


def main() -> int:
    """Kill, and say what survived."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="Print JSON instead of text.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tinyse-kills-") as folder:
        os.chdir(folder)
        os.environ["TINYSE_CACHE"] = f"{folder}/cache"
        result = soak_with_kills(options.kills, options.seed, not options.json)
        os.chdir("/")
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print(
            f"survived {result['survived']} of {result['kills']} kills in {result['runs']} runs, by phase {result['by_phase']}"
        )
        print(*result["faults"], sep="\n")
    return 0 if result["survived"] == result["kills"] else 1


if __name__ == "__main__":
    command.run(main)
