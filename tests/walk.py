"""README's commands in order, as a newcomer with recordings of his own would type them; `tests/test_walk.py` runs it.

    python tests/walk.py                                    # with this Python, which has tinyse with all extras
    python tests/walk.py ~/.pyenv/versions/3.13.0/bin/python    # with others, each in a fresh environment of `make setup`

Prints seconds, seconds of CPU time and the environment's size for each Python. The recordings are small and the training
is a handful of updates: this shows that every step leads to the next.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import own_recordings
import soundfile

REPOSITORY = Path(__file__).resolve().parent.parent

SHORT = {
    "tinyse train recipes/quick.yaml": [
        *(f"stages.{stage}.{key}" for stage in ("teacher", "distill", "supervise") for key in ("updates=2", "batch=2")),
        *(f"stages.{stage}.seconds=1" for stage in ("teacher", "distill", "supervise")),
        *("valid_clips=2", "export.clips=2", "evaluation.mixtures=4"),
    ],
    "tinyse train recipes/tagging.yaml": [
        *(f"stages.{stage}.{key}" for stage in ("teacher", "student") for key in ("updates=2", "batch=2", "seconds=1")),
        *("valid_clips=16", "export.clips=2", "tagging.test_clips=16"),
    ],
}
"""What makes a training short, as settings."""

FILES = "--input noisy.wav --output played.wav"
ADDED = {
    "tinyse data pairs": "--count 4 --seconds 2",
    "tinyse live": FILES,  # the same path without devices
    "tinyse live --engine c": FILES,
    "tinyse web": "--output page/ --no-browser",
    "tinyse bench": "--seconds 1",
    **{begin: " ".join(f"--set {setting}" for setting in settings) for begin, settings in SHORT.items()},
}
"""What a command of README gets besides, by its beginning, so that it ends and needs no hardware."""

INSTEAD = {"arecord": "cat noisy.wav", "aplay": "cat > piped.wav"}
"""What stands in for a program that needs a sound card."""

NOT_WALKED = ("make", "source")
"""Programs whose lines are left out: `make demo` is a walk of its own, `make test` runs this one, and the environment to
walk in is an argument."""

NEEDS = {"tinyse web": ("clang", "wasm-ld"), "--ladspa": ("gcc",), "--engine c": ("gcc",)}
"""Programs without which a command is left out, by a part of it."""

UNUSABLE = "speech/talker0/monday/broken.wav"
"""The recording that is none."""


def commands(readme: str) -> list[str]:
    """The command lines of README's `sh` blocks, without comments."""
    lines = [line.partition(" #")[0].strip() for block in blocks(readme, "sh") for line in block.splitlines()]
    return [line for line in lines if line]


def blocks(readme: str, language: str) -> list[str]:
    """README's code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)


def walked() -> Iterator[tuple[str, str]]:
    """Each command of README that is walked, and what is run for it."""
    for command in commands((REPOSITORY / "README.md").read_text()):
        if command.split()[0] in NOT_WALKED:
            continue
        if any(part in command and not all(map(shutil.which, programs)) for part, programs in NEEDS.items()):
            continue
        begin = max((begin for begin in ADDED if command.startswith(begin)), key=len, default=None)
        stages = [INSTEAD.get(stage.strip(), stage.strip()) for stage in command.split("|")]
        yield command, " | ".join(stages) + (f" {ADDED[begin]}" if begin else "")


def prepare(folder: Path) -> None:
    """What the newcomer has in an empty folder: recipes, recordings/, clips/ with labels, two sounds to try."""
    shutil.copytree(REPOSITORY / "recipes", folder / "recipes")
    write_recordings(folder / "recordings")
    write_clips(folder / "clips")
    for name in ("noisy.wav", "street.wav"):
        soundfile.write(folder / name, own_recordings.voice(2, 0, 2.0) + 0.02 * hiss(3, 2.0), 16000)


def write_recordings(folder: Path) -> None:
    """Eight talkers in sessions and eight noises, at 16, 44.1 and 48 kHz, mono and stereo, as wav, flac and (where ffmpeg
    is) m4a; one file is broken."""
    for talker in range(8):
        for take, session in enumerate(("monday", "friday")):
            path = folder / f"speech/talker{talker}/{session}/take{take}.{('wav', 'flac')[talker % 2]}"
            record(path, own_recordings.voice(talker, take, 2.0), talker + take)
    for kind in range(8):
        record(folder / f"noise/kind{kind}/long.wav", hiss(kind, 4.0), kind)
    if shutil.which("ffmpeg"):
        call = ["ffmpeg", "-loglevel", "error", "-i", folder / "noise/kind0/long.wav", folder / "noise/kind0/phone.m4a"]
        subprocess.run(call, check=True, stdin=subprocess.DEVNULL)
    (folder / UNUSABLE).write_text("this is no sound\n")


def record(path: Path, sound: np.ndarray, variant: int) -> None:
    """Write (samples,) at 16 kHz as another device would have: rate and channels go by the variant."""
    import soxr

    rate = (16000, 44100, 48000)[variant % 3]
    sound = soxr.resample(sound, 16000, rate)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack([sound, 0.5 * sound], axis=1) if variant % 2 else sound, rate)


def hiss(kind: int, seconds: float) -> np.ndarray:
    """(samples,): noise of a color of its own."""
    white = np.random.default_rng(kind).normal(0, 0.1, round(16000 * seconds))
    return np.convolve(white, np.ones(kind + 1) / (kind + 1), "same")


def write_clips(folder: Path) -> None:
    """Sounds with labels, in four folds: hums of five talkers' pitches, one of each in every fold."""
    rows = ["path,class,fold"]
    (folder / "audio").mkdir(parents=True)
    for place in range(20):
        label, fold = place % 5, 1 + place // 5
        soundfile.write(folder / f"audio/{place}.wav", own_recordings.voice(label, fold, 1.0), 16000)
        rows.append(f"audio/{place}.wav,hum{label},{fold}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def run(command: str, folder: Path, python: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a line in a shell that finds the commands of an environment first."""
    path = os.pathsep.join([str(Path(python).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "TINYSE_CACHE": str(folder / "cache")}
    if str(python) != sys.executable:
        environment.pop("PYTHONPATH", None)  # it would show that environment our working tree
    line = ["bash", "-o", "pipefail", "-c", command]
    return subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def walk(folder: Path, python: str | Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """Walk in an empty folder: what came of each command of README. Stops at a traceback."""
    prepare(folder)
    results = {}
    for command, line in walked():
        results[command] = run(line, folder, python)
        if "Traceback" in results[command].stderr:
            break
    return results


def expected(command: str) -> int:
    """The exit status: a folder with a broken file is done without it, and says so."""
    return 1 if command.startswith("tinyse denoise recordings/") else 0


def main() -> None:
    """Walk with each Python, and print what it took."""
    failures = 0
    for python in sys.argv[1:] or [sys.executable]:
        with tempfile.TemporaryDirectory() as folder:
            if sys.argv[1:]:
                python = environment(python, Path(folder) / "clone")
            work = Path(folder) / "work"
            work.mkdir()
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            results = walk(work, python)
            seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.strip()
            size = subprocess.run(["du", "-sh", Path(python).parent.parent], capture_output=True, text=True, check=True)
        wrong = {line: done for line, done in results.items() if done.returncode != expected(line)}
        for line, done in wrong.items():
            print(f"\n{shlex.quote(line)} ended with {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
        failures += len(wrong)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(
            f"{version}: {len(results)} commands, {len(wrong)} went wrong, {seconds:.0f} s, {cpu:.0f} s of CPU time, "
            f"environment {size.stdout.split()[0]}",
            flush=True,
        )
    sys.exit(failures > 0)


def environment(python: str, clone: Path) -> str:
    """A clone of this repository that `make setup` made ready with an interpreter: its Python."""
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, clone], check=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(["make", "setup", f"PYTHON={python}"], cwd=clone, check=True, stdin=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"make setup: {time.perf_counter() - start:.0f} s, {cpu:.0f} s of CPU time", flush=True)
    return str(clone / ".venv" / "bin" / "python")


if __name__ == "__main__":
    main()
