"""The examples that are pasted into clusters: their syntax, and that every option and key in them exists."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")

import typer  # noqa: E402
from torch.distributed.run import get_args_parser  # noqa: E402

from tinyse.commands.main import app  # noqa: E402
from tinyse.recipe import Recipe  # noqa: E402

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_file())


def shell(path):
    """What a shell runs of an example."""
    text = path.read_text()
    return text if path.suffix == ".sbatch" else "\n".join(yaml.safe_load(text)[key] for key in ("setup", "run"))


def test_there_are_examples():
    assert {path.name for path in EXAMPLES} >= {"slurm.sbatch", "skypilot.yaml"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_shell_takes_it(path):
    done = subprocess.run(["bash", "-n"], input=shell(path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_option_and_key_exists(path):
    (line,) = re.findall(r"torchrun (.*)", shell(path).replace("\\\n", " "))
    words = shlex.split(line.rstrip("& "))
    command = words.index("-m")
    for word in words[:command]:
        assert word.split("=")[0] in get_args_parser()._option_string_actions, word
    assert words[command + 1 : command + 3] == ["tinyse", "train"]
    known = {option for p in typer.main.get_command(app).commands["train"].params for option in p.opts}
    rest = words[command + 3 :]
    assert {word for word in rest if word.startswith("--")} <= known
    keys = [rest[place + 1].split("=")[0] for place, word in enumerate(rest) if word == "--set"]
    assert keys and set(keys) <= {field.name for field in fields(Recipe)}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_recipe_exists(path):
    for recipe in re.findall(r"recipes/[\w-]+\.yaml", path.read_text()):
        assert (ROOT / recipe).is_file(), recipe
