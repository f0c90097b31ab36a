"""The wheel alone, away from the clone: models, recipes, corpus and C sources are inside, and the base commands work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile

from tinyse import shipped_recipes
from tinyse.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    """The wheel unpacked, as pip puts it into an environment."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def tinyse(site: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the wheel's command line; its dependencies are those of this Python."""
    command = [sys.executable, "-m", "tinyse", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_base_commands_work_from_the_wheel_alone(site, tmp_path):
    look = (
        "import tinyse, firmware_export as c, tinyse.corpus; print(tinyse.__file__, c.__file__, tinyse.corpus.path())"
    )
    command = [sys.executable, "-c", look]
    found = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=True
    ).stdout.split()
    assert all(Path(place).is_relative_to(site) for place in found)
    noisy = next((site / "tinyse/corpus/benchmark/noisy").iterdir())
    for arguments in (
        ("denoise", noisy, "clean.wav"),
        ("export", "student-30k", "--firmware", "out"),
        ("bench", "student-30k", "--seconds", "1"),
        ("init", "mine"),
    ):
        done = tinyse(site, tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "clean.wav").frames == soundfile.info(noisy).frames
    assert (tmp_path / "out/src/student_30k.h").is_file()


@pytest.mark.skipif(shutil.which("cc") is None, reason="apt-get install gcc libc6-dev")
def test_the_models_are_compiled_in_the_wheel_for_any_python(wheel, site, tmp_path):
    assert "-py3-none-" in wheel.name
    noisy = next((site / "tinyse/corpus/benchmark/noisy").iterdir())
    done = tinyse(site, tmp_path, "denoise", noisy, "clean.wav", "--json")
    assert json.loads(done.stdout)["engine"] == "c"
    done = tinyse(site, tmp_path, "denoise", noisy, "clean.wav", "--engine", "litert")
    assert "engine litert" in done.stdout


def test_without_a_compiler_it_is_built_all_the_same(tmp_path):
    for name in ("tinyse", "firmware_export"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, tmp_path)
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    environment = {**os.environ, "CC": "false"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.so"))


def test_training_can_begin_from_the_wheel_alone(site, tmp_path):
    pytest.importorskip("torch")
    assert tinyse(site, tmp_path, "init", ".").returncode == 0
    done = tinyse(site, tmp_path, "check", "recipes/demo.yaml")
    assert done.returncode == 0, done.stderr
    assert tinyse(site, tmp_path, "check", "recipes/student-62k.yaml").returncode == 0  # extends another


def test_the_recipes_of_the_wheel_are_those_of_the_clone(site):
    inside, outside = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.yaml")}
        for folder in (site / "tinyse/recipes", REPOSITORY / "recipes")
    )
    assert inside == outside and len(inside) > 5


def test_an_index_takes_the_wheel(wheel):
    pytest.importorskip("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, wheel.parent.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    page = (REPOSITORY / "docs/how-to/install.md").read_text(encoding="utf-8")
    stated = float(re.search(r"`dist/tinyse-\*\.whl`, ([\d.]+) MB", page)[1])
    assert wheel.stat().st_size / 1e6 == pytest.approx(stated, abs=0.5)


def test_init_never_writes_over_an_edited_recipe(tmp_path):
    written = shipped_recipes.copy_to(tmp_path)
    assert {path.relative_to(tmp_path / "recipes").as_posix() for path in written} == set(shipped_recipes.contents())
    shipped_recipes.copy_to(tmp_path)  # the same files are no conflict
    (tmp_path / "recipes/quick.yaml").write_text("stages: {}\n")
    (tmp_path / "recipes/demo.yaml").unlink()
    with pytest.raises(InputError, match=r"quick\.yaml exists and differs"):
        shipped_recipes.copy_to(tmp_path)
    assert (tmp_path / "recipes/quick.yaml").read_text() == "stages: {}\n"
    assert not (tmp_path / "recipes/demo.yaml").exists(), "nothing is written where something is refused"
