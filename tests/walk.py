"""The commands of README and of the site, page by page, as a reader would type them; `tests/test_walk.py` runs them.

    python tests/walk.py                                    # with this Python, which has tinyse with all extras
    python tests/walk.py ~/.pyenv/versions/3.13.0/bin/python    # with others, each in a fresh environment of `make setup`

Prints seconds, seconds of CPU time and the environment's size for each Python. The recordings are small and the training
is a handful of updates: this shows that every step leads to the next.
"""

from __future__ import annotations

import itertools
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import own_recordings
import soundfile

REPOSITORY = Path(__file__).resolve().parent.parent

SHORT = {
    "stages": ("updates=2", "batch=4", "seconds=1"),  # two processes of torchrun compare two clips each
    "quantize": ("quantize.clips=1",),
    "denoise": ("valid_clips=2", "export.clips=1", "evaluation.mixtures=2"),
    "activity": ("valid_clips=2", "export.clips=1", "evaluation.mixtures=4"),
    "tagging": ("valid_clips=16", "export.clips=1", "tagging.test_clips=16"),
}
"""Settings that make a training short: of every stage of a recipe, of one with `quantize`, and by its task."""

FILES = "--input noisy.wav --output played.wav"
ADDED = {
    "tinyse data get packages": "--catalog catalog.yaml",
    "tinyse data get full-band": "--catalog catalog.yaml",
    "tinyse data get open": "--catalog catalog.yaml --cache recordings/archives",
    "tinyse data pairs": "--count 2 --seconds 2",
    "tinyse live": FILES,  # the same path without devices
    "tinyse live --input": "",
    "tinyse live --engine c": FILES,
    "tinyse adapt": "--updates 2 --set stages.integers.updates=2 --set stages.adapt.batch=2 --set stages.integers.batch=2 "
    "--set stages.integers.seconds=1 --set stages.adapt.seconds=1 --set stages.integers.quantize.clips=1 --set valid_clips=2 "
    "--set evaluation.mixtures=2 --set evaluation.limit=2 --set export.clips=1",
    "tinyse web": "--output page/ --no-browser",
    "tinyse web --output": "",
    "tinyse bench": "--seconds 1",
    "tinyse evaluate": "--processes 1",  # more would take longer to start than to measure
    "tinyse quantize study": "--precisions int8 --clips 1 --limit 2 --minutes 0.1 --processes 1",
    "tinyse quantize explain": "--clips 1 --replayed 1",
    "tinyse export runs/qat": "--clips 1",
    "tinyse export runs/my_network": "--clips 1",
    "tinyse export runs/quick-answer": "--clips 1",
}
"""What a command gets besides, by its beginning (the longest that fits), so that it ends soon and needs no hardware."""

INSTEAD = {"arecord": "cat noisy.wav", "aplay": "cat > piped.wav"}
"""What stands in for a program that needs a sound card."""

NOT_WALKED = ("make", "source")
"""Programs whose lines are left out: `make demo` is a walk of its own, `make test` runs this one, and the environment to
walk in is an argument."""

ELSEWHERE = {("README", "tinyse adapt --noise motor/"): "adapt"}
"""Commands of a page that are left out because another page begins with the very same one."""

NEEDS = {
    "tinyse web": ("clang", "wasm-ld"),
    "ladspa": ("gcc", "/usr/include/ladspa.h"),
    "--engine c": ("gcc",),
    "gcc ": ("gcc",),
    "arm-none-eabi-gcc": ("arm-none-eabi-gcc",),
    "cmake": ("cmake", "gcc"),
    "m4": ("cmake", "arm-none-eabi-gcc", "qemu-system-arm"),
    "ffmpeg": ("ffmpeg",),
    "./denoise": ("gcc", "ffmpeg"),
}
"""Programs and files without which a command is left out, by a part of it."""

CATALOG = r"""
sets: {packages: [prompts], full-band: [sounds], open: [sounds]}
corpora:
  sounds:
    title: Buzzes and hisses
    license: CC0 1.0
    attribution: nobody
    homepage: https://example.invalid/
    ship: true
    archives: [{url: "https://example.invalid/sounds.tar.gz", megabytes: 10}]
    rules:
      - {files: 'speech/(?P<speaker>[^/]+)/.*', kind: speech}
      - {files: 'noise/(?P<label>[^/]+)/.*\.wav', kind: noise}
  prompts:
    title: Buzzes of one talker, as a corpus of packages has, and hisses
    license: CC0 1.0
    attribution: nobody
    homepage: https://example.invalid/
    ship: true
    archives: [{url: "https://example.invalid/sounds.tar.gz", megabytes: 10}]
    rules:
      - {files: 'speech/talker0/.*', kind: speech, speaker: one}
      - {files: 'noise/(?P<label>[^/]+)/.*\.wav', kind: noise}
"""
"""Where the sets that pages fetch come from."""

UNUSABLE = "speech/talker0/monday/broken.wav"
"""The recording that is none."""


ANY_BLOCK = re.compile(r"^```\w+.*\n((?:.*\n)*?)```", re.MULTILINE)
"""A block of code, without its fences."""


def pages() -> list[Path]:
    """README and the pages of the site whose commands are walked."""
    docs = REPOSITORY / "docs"
    return [REPOSITORY / "README.md", *sorted([*docs.glob("tutorials/*.md"), *docs.glob("how-to/*.md")])]


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """The code of a page in a language, each with its title: the file that a reader saves it as, or nothing."""
    fence = re.compile(rf'^```{language}(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
    return fence.findall(page.read_text(encoding="utf-8"))


def commands(page: Path) -> list[str]:
    """The command lines of a page in order: its `sh` blocks without comments, and its Python as `python block-N.py`."""
    found, count = [], 0
    for language, code in re.findall(r"^```(sh|python)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        if language == "python":
            found.append(f"python block-{count}.py")
            count += 1
        else:
            joined = re.sub(r"\\\n\s*", "", code)  # a line that goes on ends in a backslash
            lines = [line.partition(" #")[0].strip() for line in joined.splitlines()]
            found += [line for line in lines if line]
    return found


def walked(page: Path) -> Iterator[tuple[str, str]]:
    """Each command of a page that is walked, and what is run for it."""
    for command in commands(page):
        if command.split()[0] in NOT_WALKED or (page.stem, command) in ELSEWHERE:
            continue
        if any(part in command and not all(map(is_there, needed)) for part, needed in NEEDS.items()):
            continue
        begin = max((begin for begin in ADDED if command.startswith(begin)), key=len, default=None)
        stages = [INSTEAD.get(stage.strip(), stage.strip()) for stage in command.split("|")]
        yield command, " | ".join(stages) + (f" {ADDED[begin]}" if begin else "")


def is_there(needed: str) -> bool:
    """Whether this machine has a program or a file."""
    return bool(shutil.which(needed)) or Path(needed).is_file()


def shortened(line: str, folder: Path) -> str:
    """A training with the settings of SHORT for each stage of its recipe; any other line as it is."""
    words = shlex.split(line)
    if "train" not in words[:6]:
        return line
    from tinyse.training.recipe import load_recipe

    given = [value for key, value in itertools.pairwise(words) if key == "--set"]
    recipe = load_recipe(folder / words[words.index("train") + 1], given)
    settings = [f"stages.{name}.{setting}" for name in recipe.stages for setting in SHORT["stages"]]
    quantized = [name for name, stage in recipe.stages.items() if stage.quantize]
    settings += [f"stages.{name}.{setting}" for name in quantized for setting in SHORT["quantize"]]
    return " ".join([line, *(f"--set {setting}" for setting in [*settings, *SHORT[recipe.task]])])


def prepare(folder: Path, page: Path) -> None:
    """What the reader has in an empty folder: recordings/, clips/ with labels, some sounds, and the files that the page
    has him save. A catalog stands for the one of the internet, its archive for what was fetched before."""
    write_recordings(folder / "recordings")
    write_clips(folder / "clips")
    for name in ("noisy.wav", "street.wav", "talk.wav"):
        soundfile.write(folder / name, own_recordings.voice(2, 0, 2.0) + 0.02 * hiss(3, 2.0), 16000)
    for kind, name in enumerate(("idle", "slow", "fast", "stop")):
        record(folder / f"motor/noise/motor/{name}.wav", hiss(5 + kind, 4.0), 0)
    write_catalog(folder)
    for language in ("yaml", "c", "python"):
        for title, code in blocks(page, language):
            if title:
                (folder / title).write_text(code, encoding="utf-8")
    scripts = [code for title, code in blocks(page, "python") if not title]
    for count, code in enumerate(scripts):
        (folder / f"block-{count}.py").write_text(code, encoding="utf-8")


def write_catalog(folder: Path) -> None:
    """catalog.yaml with the sets, and their archive where `tinyse data get` keeps what it has fetched, for every `--output`."""
    archive, other = (folder / output / "archives/sounds.tar.gz" for output in ("recordings", "full-band"))
    for path in (archive, other):
        path.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        for kind in ("speech", "noise"):
            tar.add(folder / "recordings" / kind, kind, filter=lambda info: None if "broken" in info.name else info)
    shutil.copy(archive, other)
    (folder / "catalog.yaml").write_text(CATALOG, encoding="utf-8")


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
    (folder / UNUSABLE).write_text("this is not sound\n")


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


def walk(
    folder: Path, python: str | Path, page: Path, begins: tuple[str, ...] = ("",)
) -> dict[str, subprocess.CompletedProcess[str]]:
    """Walk a page in an empty folder: what came of each of its commands, or of those that begin so. Ends at a failure."""
    prepare(folder, page)
    results = {}
    for command, line in walked(page):
        if command.startswith(begins):
            results[command] = run(shortened(line, folder), folder, python)
            if results[command].returncode != expected(command):
                break
    return results


def expected(command: str) -> int:
    """The exit status: a folder with a broken file is done without it, and says so."""
    return 1 if command.startswith("tinyse denoise recordings/") else 0


def main() -> None:
    """Walk all pages with each Python, and print what it took."""
    failures = 0
    for python in sys.argv[1:] or [sys.executable]:
        with tempfile.TemporaryDirectory() as folder:
            if sys.argv[1:]:
                python = environment(python, Path(folder) / "clone")
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            results = {}
            for page in pages():
                work = Path(folder) / page.stem
                work.mkdir()
                results |= walk(work, python, page)
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
