"""The first hour with one's own recordings, from README alone: its commands, in order, each of which has to work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import types
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import walk

EXTRAS = ("torch", "pesq", "tflite_micro", "matplotlib", "sounddevice")
BASE = ("tinyse denoise", "tinyse export student-62k", "tinyse live --engine c")
"""What needs no torch: how these commands of README begin."""


@pytest.mark.timeout(900)
@pytest.mark.skipif(not all(map(find_spec, EXTRAS)), reason="needs every extra: make setup")
def test_readme_works_on_recordings_of_ones_own(tmp_path):
    results = walk.walk(tmp_path, sys.executable)
    assert list(results) == [command for command, _ in walk.walked()]
    for command, done in results.items():
        assert done.returncode == walk.expected(command), f"{command}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, f"{command}\n{done.stderr}"

    assert walk.UNUSABLE in results["tinyse data scan recordings/"].stdout
    trained = results["tinyse train recipes/quick.yaml --set data=recordings/"].stdout
    assert "runs/quick/supervise/model.tflite" in trained
    assert sounds(tmp_path / "clean") == sounds(tmp_path / "recordings") - {Path(walk.UNUSABLE).with_suffix("")}
    for sound in ("clean.wav", "played.wav", "piped.wav"):
        assert soundfile.info(tmp_path / sound).frames == 32000, sound
    headers = {path.name for path in (tmp_path / "out" / "src").glob("*.h")}
    assert any("student" in name for name in headers) and any("tagger" in name for name in headers)


def test_readmes_python_works():
    (code,) = walk.blocks((walk.REPOSITORY / "README.md").read_text(), "python")
    microphone = [np.full(size, 0.01, np.float32) for size in (160, 1000, 7, 4096)]
    loudspeaker = types.SimpleNamespace(heard=[], write=lambda sound: loudspeaker.heard.append(sound))
    exec(code, {"microphone": microphone, "loudspeaker": loudspeaker})
    waiting = sum(map(len, microphone)) - sum(map(len, loudspeaker.heard))
    assert 0 <= waiting < 256, "all but a part of a hop comes out at once"


def sounds(folder: Path) -> set[Path]:
    """All files below a folder, without their endings."""
    return {path.relative_to(folder).with_suffix("") for path in folder.rglob("*") if path.is_file()}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("python", os.environ.get("TINYSE_PYTHONS", "").split() or [None])
def test_the_base_works_on_other_pythons(python, tmp_path):
    """Installed without torch, by each interpreter that TINYSE_PYTHONS names, as .ci/run does."""
    if python is None:
        pytest.skip("TINYSE_PYTHONS names no interpreters")
    source, work = tmp_path / "source", tmp_path / "work"
    for package in ("tinyse", "firmware_export"):
        shutil.copytree(walk.REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(walk.REPOSITORY / name, source)
    subprocess.run([python, "-m", "venv", tmp_path / "base"], check=True)
    fresh = tmp_path / "base" / "bin" / "python"
    install = [fresh, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{source}[live]"]
    subprocess.run(install, check=True, stdin=subprocess.DEVNULL)
    work.mkdir()
    walk.prepare(work)
    lines = {command: line for command, line in walk.walked() if command.startswith(BASE) and "runs/" not in command}
    assert len(lines) >= 3
    for command, line in lines.items():
        done = walk.run(line, work, fresh)
        assert done.returncode == walk.expected(command), f"{command}\n{done.stdout}{done.stderr}"
    assert soundfile.info(work / "clean.wav").frames == 32000
    assert (work / "out" / "src").is_dir()
