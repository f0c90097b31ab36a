"""Models, recipes and tables of strangers: their words reach no code, and nothing is written outside the run's folder."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from firmware_export import host  # noqa: E402
from firmware_export.export import export  # noqa: E402
from firmware_export.plugins import denoiser, label  # noqa: E402
from tinyse import audio  # noqa: E402
from tinyse.boards import vela  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.evaluation.pairs import find_pairs  # noqa: E402
from tinyse.graph.graph import Graph  # noqa: E402
from tinyse.streaming.denoiser import Denoiser  # noqa: E402
from tinyse.tflite.reader import read  # noqa: E402
from tinyse.tflite.writer import save  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402

WORDS = '*/\n#error stranger\n/* ??/\n" \\ $(touch stranger) `touch stranger` ${x} %n <script>'
STAGE = "stages: {only: {model: student-30k, updates: 1, losses: {compressed_spectral: 1.0}}}\n"
OUTSIDE = ("/etc/x", "../x", "runs/../../x", "a/..", "..", "a\\..\\x", "x\0y")


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def strange(tiny, tmp_path) -> Path:
    """A whole model of which every word is a stranger's. Its name is one line: the reader refuses others."""
    graph = read(tiny.quantized)
    called = {name: f"{WORDS}{number}" for number, name in enumerate(graph.tensors)}
    ends = {
        name: name if name in ("features", "mask") else f"{name} {WORDS}" for name in {*graph.inputs, *graph.outputs}
    }
    given = Graph(f"../../{WORDS}")
    given.tensors = {called[name]: replace(tensor, name=called[name]) for name, tensor in graph.tensors.items()}
    given.operators = [
        replace(each, inputs=[called[name] for name in each.inputs], outputs=[called[name] for name in each.outputs])
        for each in graph.operators
    ]
    given.inputs = {ends[name]: called[tensor] for name, tensor in graph.inputs.items()}
    given.outputs = {ends[name]: called[tensor] for name, tensor in graph.outputs.items()}
    given.metadata = {**graph.metadata, "model": WORDS.replace("\n", " "), "weights_sha256": WORDS, "precision": WORDS,
                      "teachers": [{"file": WORDS, "sha256": WORDS, "external": True}]}  # fmt: skip
    path = tmp_path / "given" / "strange.tflite"
    save(given, path)
    return path


def test_the_words_of_a_model_are_no_code_in_its_firmware(strange, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = files_in(tmp_path)
    export(strange, tmp_path / "firmware", 2)
    assert all(tmp_path / "firmware" in path.parents for path in files_in(tmp_path) - before)
    for path in files_in(tmp_path / "firmware"):
        if path.suffix not in (".md", ".json"):  # which are read, not compiled
            content = path.read_text(errors="replace")
            if path.suffix in (".c", ".h", ".ino", ".cpp"):
                content = re.sub(r"/\*.*?\*/|//[^\n]*", "", content, flags=re.DOTALL)
            assert "touch stranger" not in content and "#error stranger" not in content, path
    if any(map(shutil.which, host.COMPILERS)):
        given = np.random.default_rng(0).integers(-3000, 3000, 4096).astype(np.int16)
        np.testing.assert_array_equal(
            Denoiser(strange, "c").process(given), Denoiser(strange, "reference").process(given)
        )


def test_a_plugins_label_is_a_word(strange):
    assert label(denoiser(strange)).isidentifier()


def test_a_graph_is_written_for_vela_where_we_say(strange, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(vela, "compile_for", lambda npu, path: written.append(path))
    vela.compile_graph(None, read(strange))
    (path,) = written
    assert ".." not in path.parts and path.name == "model.tflite"


@pytest.mark.parametrize("output", OUTSIDE)
def test_a_recipe_writes_below_the_folder_that_it_is_started_in(tmp_path, output):
    path = tmp_path / "stranger.yaml"
    quoted = output.replace("\\", "\\\\").replace("\0", "\\0")
    path.write_text(f'{STAGE}output: "{quoted}"\n')
    with pytest.raises(InputError, match="output"):
        load_recipe(path)
    (tmp_path / "mine.yaml").write_text("extends: stranger.yaml\n")
    with pytest.raises(InputError, match="output"):
        load_recipe(tmp_path / "mine.yaml")
    if "\0" not in output:  # what the user says himself is his affair
        assert load_recipe(path, [f"output={tmp_path}"]).output == str(tmp_path)


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", ".", "a b", "a\\b", ""])
def test_a_stage_names_one_folder(tmp_path, name):
    path = tmp_path / "stranger.yaml"
    path.write_text(STAGE.replace("only", f'"{name}"'.replace("\\", "\\\\")))
    with pytest.raises(InputError, match="stages"):
        load_recipe(path)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/../../x", "a\\..\\x"])
def test_the_id_of_a_pair_leads_to_no_other_folder(tmp_path, name):
    """Examples to hear are written under it."""
    for side in ("clean", "noisy"):
        audio.write(tmp_path / f"{side}.wav", np.zeros(1600, np.float32))
    (tmp_path / "pairs.csv").write_text(f'id,clean,noisy\n"{name}",clean.wav,noisy.wav\n')
    with pytest.raises(InputError, match=r"pairs\.csv, line 2: id is"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['touch stranger']", "!!python/name:os.system", "!x y"]
)
def test_a_recipe_runs_nothing(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "stranger.yaml"
    path.write_text(f"{STAGE}seed: {text}\n")
    with pytest.raises(InputError):
        load_recipe(path)
    assert os.listdir(tmp_path) == ["stranger.yaml"]
