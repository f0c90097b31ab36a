"""What a missing or broken package, or a file that cannot be read, becomes: one line that names it and what to do."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

from firmware_export.host import checked
from tinyse.documents import read_own_json
from tinyse.errors import InputError, needs
from tinyse.released import find
from tinyse.streaming.denoiser import Denoiser
from tinyse.tflite.reader import read
from tinyse.tflite.writer import save


def test_a_package_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with (
        pytest.raises(InputError, match=r"'torch', which is not installed: pip install 'tinyse\[train\]'"),
        needs("train"),
    ):
        import torch  # noqa: F401


def test_a_package_goes_by_the_name_that_pip_knows(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match="the package 'scikit-learn'"), needs("metrics", "scikit-learn"):
        import sklearn  # noqa: F401


def test_a_package_that_is_broken_says_why(tmp_path, monkeypatch):
    (tmp_path / "fragile.py").write_text("raise ImportError('libfragile.so: cannot open', name='fragile')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"fragile is installed but does not import \(libfragile"), needs("live"):
        import fragile  # noqa: F401


def test_a_mistake_of_ours_stays_a_traceback():
    with pytest.raises(ModuleNotFoundError, match="nothing_here"), needs("train"):
        import tinyse.nothing_here  # noqa: F401


def test_a_model_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    """Tests may run as root, who can read everything: the system's answer is simulated."""
    model = tmp_path / "model.tflite"
    model.write_bytes(find().read_bytes())

    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied", str(model))

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    for engine in (None, "c", "litert"):
        with pytest.raises(InputError, match=r"cannot read .*model\.tflite: .*Permission denied"):
            Denoiser(model, engine)
    weights = tmp_path / "model.safetensors"
    weights.touch()
    with pytest.raises(InputError, match=r"cannot read .*model\.safetensors: Permission denied"):
        Denoiser(weights)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"sources\.json: no readable JSON"),
        (b"\xff", r"sources\.json: no readable JSON"),
        (b"[]", r"sources\.json is not a file that tinyse wrote: remove it"),
        (b'{"other": 1}', r"sources\.json is not a file that tinyse wrote: remove it"),
        (None, r"cannot read .*sources\.json: Is a directory"),
    ],
)
def test_what_a_command_left_and_somebody_changed_is_named(tmp_path, content, message):
    path = tmp_path / "sources.json"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_own_json(path, "archives")


def test_json_of_files_is_read_in_one_place():
    """Everywhere else it comes from a program that tinyse has run, or line by line from a log of its own."""
    others = {"sound_files.py", "pack.py", "records.py", "broken.py", "files.py", "kokoro.py"}
    folders = (REPOSITORY / "tinyse", REPOSITORY / "firmware_export")
    found = {path.name for folder in folders for path in folder.rglob("*.py") if "json.loads(" in path.read_text()}
    assert found <= {"documents.py", *others}


def test_what_a_program_says_of_a_file_of_any_name_is_one_line():
    """A compiler names files by their bytes, which need not be UTF-8."""
    with pytest.raises(InputError, match=r"sh failed: .*: error: full"):
        checked(["sh", "-c", r"printf '\377.c: error: full\n' >&2; exit 1"])


def test_words_of_other_programs_are_read_whatever_their_encoding():
    for path in (path for name in ("tinyse", "firmware_export") for path in (REPOSITORY / name).rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert given.get("text") != "True" or "errors" in given, f'{path.name}:{call.lineno}: errors="replace"'


def test_a_model_that_does_not_give_a_state_back_is_told_so(tmp_path):
    graph = read(find("student-30k"))
    del graph.outputs["encoder_1"]
    save(graph, tmp_path / "model.tflite")
    with pytest.raises(InputError, match=r"model\.tflite: .* states, alone: the step takes features, encoder_1, not"):
        Denoiser(tmp_path / "model.tflite")
