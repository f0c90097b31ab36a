"""A teacher as a released file: half the size, read exactly, found by its name, and missed in one clear line."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from tinyse import corpus, released  # noqa: E402
from tinyse.commands.main import app  # noqa: E402
from tinyse.config import as_dict  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.files import sha256  # noqa: E402
from tinyse.models.architecture import Architecture  # noqa: E402
from tinyse.models.files import load_model, load_tensors, save_model, save_rounded, save_tensors  # noqa: E402
from tinyse.models.network import MaskNetwork  # noqa: E402
from tinyse.recordings import open_data  # noqa: E402
from tinyse.released.pack import TEACHER_FILES, facts, pack_teacher, without_places  # noqa: E402
from tinyse.spectra.front_end import FrontEndConfig  # noqa: E402
from tinyse.streaming.denoiser import Denoiser  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.run import run  # noqa: E402
from tinyse.training.start import model_path  # noqa: E402

SMALL = Architecture(channels=(4, 6), groups=2, shared_gru=(1,))
COMMON = "updates: 2, batch: 2, seconds: 0.5, valid_every: 2, warmup: 1"
STUDENT = f"{{model: {{channels: [4, 4]}}, {COMMON}, distillation: {{teacher: %s, output: 1.0}}}}"
MORE = "ship: true\nvalid_clips: 2\nprecision: 32-true\nthreads: 1\nworkers: 0\n"


def recipe_of(folder: Path, stages: str):
    path = folder / "some.yaml"
    path.write_text(f"stages:\n  {stages}\n{MORE}")
    return load_recipe(path, [f"output={folder / 'run'}"])


@pytest.fixture
def model(tmp_path) -> Path:
    """Weights that were not rounded, with the header of a run."""
    torch.manual_seed(1)
    network = MaskNetwork(SMALL, FrontEndConfig().bands)
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    stage = (
        f"one: {{model: {{channels: [4, 6], groups: 2, shared_gru: [1]}}, {COMMON}, losses: {{signal_to_noise: 1}}}}"
    )
    facts = {"whole_recipe": as_dict(recipe_of(tmp_path, stage)), "data_hash": "12ab"}
    save_model(tmp_path / "model.safetensors", network, FrontEndConfig(), facts)
    return tmp_path / "model.safetensors"


@pytest.fixture
def shipped(model, tmp_path, monkeypatch) -> Path:
    """A package of tinyse with one teacher in it."""
    monkeypatch.setattr(released, "FOLDER", tmp_path / "released")
    manifest = open_data([corpus.path()])
    return pack_teacher(model, "teacher", "recipes/teacher.yaml", manifest, corpus.pairs(), ["si_sdr"])


def test_kernels_are_rounded_to_bfloat16_and_vectors_are_not(model, tmp_path):
    save_rounded(tmp_path / "half.safetensors", model)
    whole, _ = load_tensors(model)
    half, header = load_tensors(tmp_path / "half.safetensors")
    assert header["rounded"] == {"to": "bfloat16", "from_sha256": sha256(model)}
    for name, tensor in whole.items():
        expected = tensor.to(torch.bfloat16) if tensor.dim() > 1 else tensor
        assert half[name].dtype == expected.dtype and torch.equal(half[name], expected), name
    assert {tensor.dtype for tensor in half.values()} >= {torch.bfloat16, torch.float32}


@pytest.mark.parametrize("all_of_it", [False, True], ids=["kernels", "all tensors"])
def test_a_bfloat16_file_is_read_exactly(model, tmp_path, all_of_it):
    path = tmp_path / "half.safetensors"
    save_rounded(path, model)
    if all_of_it:
        tensors, header = load_tensors(path)
        save_tensors(path, {k: t.bfloat16() if t.is_floating_point() else t for k, t in tensors.items()}, header)
    stored, _ = load_tensors(path)
    network, front_end, _ = load_model(path)
    for name, tensor in network.state_dict().items():
        assert not tensor.is_floating_point() or tensor.dtype == torch.float32
        assert torch.equal(tensor, stored[name].to(tensor.dtype)), name
    save_model(tmp_path / "float.safetensors", network, front_end, {})
    sound = 0.1 * np.random.default_rng(0).normal(size=4000).astype(np.float32)
    outputs = [Denoiser(each).denoise_clip(sound) for each in (path, tmp_path / "float.safetensors")]
    np.testing.assert_array_equal(*outputs)


def test_a_teacher_is_packed_with_its_card_and_the_scores_of_what_is_packed(shipped, model):
    card = json.loads((shipped / "card.json").read_text())
    assert {path.name for path in shipped.iterdir()} == {*TEACHER_FILES, "card.json", "card.md"}
    assert card["sha256"] == {name: sha256(shipped / name) for name in TEACHER_FILES}
    scores = json.loads((shipped / "scores.json").read_text())
    assert list(scores["summary"]) == ["noisy", "float clip"] and scores["pairs"] == "benchmark"
    gain = scores["summary"]["float clip"]["si_sdr"]["mean"] - scores["summary"]["noisy"]["si_sdr"]["mean"]
    assert card["built_in_gain_db"] == pytest.approx(gain, abs=0.01), "both are of the rounded weights"
    prose = (shipped / "card.md").read_text()
    assert "--teacher --set data=FOLDER" in prose and card["sha256"]["model.safetensors"] in prose
    assert "$" not in prose and "float clip" in prose


@pytest.mark.parametrize(
    ("key", "place"), [("start", "first.safetensors"), ("distillation", {"teacher": ["a", {"onnx": "net.onnx"}]})]
)
def test_a_recipe_with_a_place_on_the_makers_disk_is_not_released(model, tmp_path, monkeypatch, key, place):
    monkeypatch.setattr(released, "FOLDER", tmp_path / "released")
    tensors, header = load_tensors(model)
    absolute = json.loads(json.dumps(place).replace("first", "/disk/first").replace("net.onnx", "/disk/net.onnx"))
    manifest = open_data([corpus.path()])
    for value, refused in ((absolute, True), (place, False)):
        header["whole_recipe"]["stages"]["one"][key] = value
        save_tensors(model, tensors, header | {"teachers": [{"file": "a", "sha256": "0", "external": False}]})
        with pytest.raises(InputError, match="relative paths") if refused else nullcontext():
            facts(model.parent, "some", "recipes/some.yaml", manifest, ["model.safetensors"])


def test_a_teacher_is_found_by_its_name(shipped):
    assert released.names() == [] and released.weights() == ["teacher"]
    assert released.find("teacher") == released.find_weights("teacher") == shipped / "model.safetensors"
    with pytest.raises(InputError, match="did you mean 'teacher'"):
        released.find("teahcer")
    assert len(Denoiser("teacher").denoise_clip(np.zeros(2000, np.float32))) == 2000


def test_a_recipe_learns_from_the_released_teacher_and_says_so(shipped, tmp_path):
    recipe = recipe_of(tmp_path, f"student: {STUDENT % 'teacher'}")
    run(recipe, lambda _: None, lambda _: None)
    _, _, header = load_model(model_path(tmp_path / "run", "student"))
    digest = sha256(shipped / "model.safetensors")
    assert header["teachers"] == [{"file": "teacher/model.safetensors", "sha256": digest, "external": False}]


def test_a_stage_of_that_name_comes_first(shipped, tmp_path):
    first = f"teacher: {{model: {{channels: [4, 4]}}, {COMMON}, losses: {{signal_to_noise: 1}}}}"
    recipe = recipe_of(tmp_path, f"{first}\n  student: {STUDENT % 'teacher'}")
    run(recipe, lambda _: None, lambda _: None)
    _, _, header = load_model(model_path(tmp_path / "run", "student"))
    assert header["teachers"][0]["sha256"] == sha256(model_path(tmp_path / "run", "teacher"))


def test_a_stage_goes_on_from_the_released_teacher(shipped, tmp_path):
    stage = f"more: {{model: {{channels: [4, 6], groups: 2, shared_gru: [1]}}, {COMMON}, losses: {{signal_to_noise: 1}}"
    assert recipe_of(tmp_path, f"{stage}, start: teacher}}").stages["more"].start == "teacher"


def test_a_teacher_that_did_not_come_along_is_missed_in_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(released, "FOLDER", tmp_path / "nothing")
    with pytest.raises(InputError) as missed:
        recipe_of(tmp_path, f"student: {STUDENT % 'teacher'}")
    assert str(missed.value).endswith(
        "stages.student.distillation.teacher: no stage before this one is called 'teacher', and this tinyse came without the "
        "weights of the model 'teacher': add a stage that trains it, or give the path of its .safetensors"
    )


def test_another_name_is_answered_with_the_nearest(shipped, tmp_path):
    with pytest.raises(InputError, match="did you mean 'teacher'"):
        recipe_of(tmp_path, f"student: {STUDENT % 'techer'}")


def test_an_export_by_name_is_not_written_into_tinyse(shipped, monkeypatch):
    monkeypatch.setattr("tinyse.commands.export.FOLDER", released.FOLDER)
    before = sorted(shipped.iterdir())
    answer = CliRunner().invoke(app, ["export", "teacher"])
    assert "say with --output FOLDER" in str(answer.exception) and sorted(shipped.iterdir()) == before


def test_the_list_of_models_marks_it(shipped):
    answer = CliRunner().invoke(app, ["models", "--json"])
    assert [row["name"] for row in json.loads(answer.stdout) if row["trained"]] == ["teacher"]


def test_a_released_header_tells_no_place(tmp_path):

    recipe = {"data": [f"{tmp_path}/sound", "packages/manifest.csv"], "output": f"{tmp_path}/run", "seed": 3}
    stage = {"data": f"{tmp_path}/sound", "seed": 3}
    header = {"whole_recipe": recipe, "recipe": stage, "task": "denoise"}
    save_tensors(tmp_path / "model.safetensors", {"w": torch.ones(2)}, header)
    path = without_places(tmp_path / "model.safetensors", tmp_path / "release", "mine")
    tensors, header = load_tensors(path)
    assert header == {
        "whole_recipe": {"data": ["sound", "manifest.csv"], "output": "runs/mine", "seed": 3},
        "recipe": {"data": ["sound"], "seed": 3},
        "task": "denoise",
    }
    assert torch.equal(tensors["w"], torch.ones(2))
