"""What comes after training is settled before it: pairs, packages, disk, and a dry run of the whole recipe."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import own_recordings
import pytest

torch = pytest.importorskip("torch")

from tinyse import audio  # noqa: E402
from tinyse.commands.train import train  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.evaluation.pairs import find_pairs  # noqa: E402
from tinyse.locks import Held, alone_in  # noqa: E402
from tinyse.models.files import load_tensors  # noqa: E402
from tinyse.tflite.reader import read  # noqa: E402
from tinyse.training import dry_run, finish  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402

ONE_VOICE = "mixture={talker_probability: 0.0, babble_probability: 0.0}"
RECIPE = """
stages:
  teacher:
    {model: {channels: [6, 6], groups: 1}, updates: 3, batch: 2, seconds: 0.5, losses: {compressed_spectral: 1.0}}
  student:
    {model: {channels: [4, 4], groups: 1}, updates: 3, batch: 2, seconds: 0.5, losses: {phase_sensitive: 0.01},
     distillation: {teacher: teacher, views: {frame: 1.0}, layers: [encoder_1, gru]}}
valid_clips: 2
precision: 32-true
threads: 1
workers: 0
export: {clips: 2}
evaluation: {mixtures: 3}
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "own.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def own(tmp_path):
    return own_recordings.write(tmp_path / "recordings")


def settings(tmp_path, own, *more):
    return [f"data={own}", f"output={tmp_path / 'run'}", *more]


def test_a_folder_of_own_recordings_becomes_a_scored_tflite(recipe, own, tmp_path):
    """README's main path: no splits, no pairs. It ends with the scores, where the model is and what to do next."""
    command = [sys.executable, "-m", "tinyse", "train", recipe]
    command += [part for setting in settings(tmp_path, own) for part in ("--set", setting)]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "note: no pairs are given: 3 mixtures of the test split will be scored" in done.stderr
    model = tmp_path / "run/student/model.tflite"
    assert model.is_file()
    assert len(find_pairs(tmp_path / "run/pairs")) == 3
    assert set(json.loads(model.with_name("scores.json").read_text())["files"]["files"]) == {"0000", "0001", "0002"}
    assert f"model: {model}" in done.stdout and "###" not in done.stdout and "SHA-256" not in done.stdout
    following = done.stdout.partition("next:")[2].split("\n")
    assert [line.split()[:2] for line in following if line] == [["tinyse", "denoise"], ["tinyse", "export"]]
    assert not (tmp_path / "run" / dry_run.FOLDER).exists()


def test_without_a_test_split_the_model_is_still_exported(recipe, tmp_path):
    own = own_recordings.write(tmp_path / "recordings", talkers=2, noises=2)
    chosen = load_recipe(recipe, settings(tmp_path, own, ONE_VOICE))
    planned = finish.plan(chosen)
    assert planned.pairs is None
    assert "the test split has no" in planned.notes[0] and "exported, not scored" in planned.notes[0]
    model = tmp_path / "run/student/model.safetensors"
    dry_run.run(chosen, lambda _: None, lambda _: None)
    assert finish.finish(chosen, planned, model, lambda _: None).quantized.is_file()


def test_pairs_that_cannot_be_scored_are_named_before_training(recipe, own, tmp_path):
    for side, samples in (("clean", 8000), ("noisy", 7999)):
        audio.write(tmp_path / f"pairs/{side}/a.wav", np.ones(samples, np.float32) / 8)
    with pytest.raises(InputError, match="7999"):
        finish.plan(load_recipe(recipe, settings(tmp_path, own, f"evaluation.pairs={tmp_path / 'pairs'}")))
    with pytest.raises(InputError, match=r"there is no folder .*absent"):
        finish.plan(load_recipe(recipe, settings(tmp_path, own, f"evaluation.pairs={tmp_path / 'absent'}")))


def test_a_missing_package_takes_its_score_and_nothing_else(recipe, own, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    planned = finish.plan(load_recipe(recipe, settings(tmp_path, own)))
    assert "pesq" not in planned.metrics and {"si_sdr", "stoi"} <= set(planned.metrics)
    assert "tflm" not in planned.backends and "litert" in planned.backends
    told = " ".join(planned.notes)
    assert "pesq will be left out" in told and "tinyse[metrics]" in told and "tflm will be left out" in told


def test_a_full_disk_is_told_before_training(recipe, own, tmp_path, monkeypatch):
    chosen = load_recipe(recipe, settings(tmp_path, own))
    dry_run.refuse_full_disk(chosen)
    usage = type(dry_run.shutil.disk_usage(tmp_path))
    monkeypatch.setattr(dry_run.shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(InputError, match=r"has 1 MB free, this run needs \d+ MB"):
        dry_run.refuse_full_disk(chosen)


@pytest.mark.parametrize(
    "told", ["[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to", "CUDA out of memory. Tried to"]
)
def test_a_batch_that_memory_does_not_hold_is_told_before_training(recipe, own, tmp_path, monkeypatch, told):
    def fail(*_):
        raise RuntimeError(told)

    monkeypatch.setattr(dry_run, "run", fail)
    chosen = load_recipe(recipe, settings(tmp_path, own))
    with pytest.raises(InputError, match="the dry run ran out of memory: give the largest stage a smaller batch"):
        dry_run.dry_run(chosen, None)
    told = "CUDA error: an illegal memory access was encountered"
    with pytest.raises(RuntimeError, match="illegal"):
        dry_run.dry_run(chosen, None)


def test_an_output_that_is_a_file_is_told(recipe, own, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        dry_run.refuse_full_disk(load_recipe(recipe, settings(tmp_path, own, f"output={tmp_path / 'file/run'}")))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("stages.student.distillation.layers=[encoder_3]", "no layer is named 'encoder_3'"),
        ("stages.student.distillation={teacher: teacher, views: {bin: 1.0}, layers: [gru]}", "match layers of equal"),
        (
            "stages.student.distillation.teacher=absent.safetensors",
            r"stages\.student\.distillation\.teacher: there is no model file absent\.safetensors; train the teacher first",
        ),
        ("stages.student.mixture={talker_probability: 0.5}", "two speakers"),
        ("stages.student.losses={phase_sensitive: 1.0e+39}", "the loss became"),
    ],
)
def test_what_a_later_stage_cannot_do_is_told_before_the_first(recipe, tmp_path, setting, message):
    """Each of these used to wait until the stages before it were trained."""
    own = own_recordings.write(tmp_path / "recordings", talkers=3)
    deeper = "stages.teacher.model={channels: [6, 6, 6], groups: 1}"
    chosen = load_recipe(recipe, settings(tmp_path, own, ONE_VOICE, deeper, setting))
    with pytest.raises(InputError, match=message):
        dry_run.dry_run(chosen, None)
    assert not (tmp_path / "run/teacher").exists() and not (tmp_path / "run" / dry_run.FOLDER).exists()


def test_a_dry_run_changes_nothing(recipe, own, tmp_path):
    weights = {}
    for name in ("tried", "not"):
        chosen = load_recipe(recipe, settings(tmp_path, own, f"output={tmp_path / name}"))
        if name == "tried":
            dry_run.dry_run(chosen, finish.plan(chosen))
        weights[name] = load_tensors(dry_run.run(chosen, lambda _: None, lambda _: None))[0]
    assert all(torch.equal(weights["not"][key], value) for key, value in weights["tried"].items())


def test_a_stage_that_another_recipe_finished_is_told_before_the_others_train(recipe, own, tmp_path):
    chosen = load_recipe(recipe, settings(tmp_path, own))
    model = dry_run.run(chosen, lambda _: None, lambda _: None)
    (tmp_path / "run/teacher/model.safetensors").unlink()
    other = load_recipe(recipe, settings(tmp_path, own, "stages.student.updates=4"))
    with pytest.raises(InputError, match="was made by another recipe"):
        dry_run.run(other, lambda _: pytest.fail("an update was made"), lambda _: None)
    assert model.is_file()


def test_the_folder_is_held_until_the_scores_are_written(recipe, own, tmp_path, monkeypatch):
    """Else a second run would write another .tflite while the first one's is scored."""

    def finish_in_it(*_):
        with pytest.raises(Held), alone_in(tmp_path / "run"):
            pytest.fail("the folder was free")
        raise InputError("finished")

    monkeypatch.setattr(dry_run, "dry_run", lambda *_: None)
    monkeypatch.setattr("tinyse.training.run.run", lambda *_: tmp_path / "run/student/model.safetensors")
    monkeypatch.setattr(finish, "finish", finish_in_it)
    with pytest.raises(InputError, match="finished"):
        train(recipe, settings(tmp_path, own, ONE_VOICE))
    with alone_in(tmp_path / "run"):
        pass


def test_recordings_that_may_not_ship_are_refused_with_a_way_out(recipe, own, tmp_path):
    with pytest.raises(InputError, match="--set ship=false"):
        dry_run.dry_run(load_recipe(recipe, settings(tmp_path, own, "ship=true")), None)


def test_voicebank_demand_alone_is_enough_to_train_and_score(recipe, tmp_path):
    """Noise is what the noisy files have and the clean ones have not; the test set is scored, as everybody does."""
    folder = tmp_path / "voicebank"
    for number, talker in enumerate(range(226, 232)):
        part = "testset_wav" if number == 5 else "trainset_28spk_wav"
        clean = own_recordings.voice(number, 0, 1.0)
        noise = np.float32(np.random.default_rng(number).normal(0, 0.05, len(clean)))
        audio.write(folder / f"clean_{part}/p{talker}_001.wav", clean)
        audio.write(folder / f"noisy_{part}/p{talker}_001.wav", clean + noise)
    chosen = load_recipe(recipe, [f"data={folder}", f"output={tmp_path / 'run'}"])
    planned = finish.plan(chosen)
    assert planned.pairs == folder and [pair.name for pair in find_pairs(folder)] == ["p231_001"]
    model = dry_run.run(chosen, lambda _: None, lambda _: None)
    assert finish.finish(chosen, planned, model, lambda _: None).scored.tables


def test_a_finished_run_is_exported_and_scored_anew_by_other_keys(recipe, own, tmp_path):
    """Else int8 would be told to be what `--set export.precision=int16x8` asked for, and old scores those of new pairs."""

    def ended(*more):
        chosen = load_recipe(recipe, settings(tmp_path, own, ONE_VOICE, "stages.student.updates=1", *more))
        said: list[str] = []
        planned = replace(finish.plan(chosen), metrics=("si_sdr",), backends=("litert",))
        model = dry_run.run(chosen, lambda _: None, lambda _: None)
        quantized = finish.finish(chosen, planned, model, said.append, 1).quantized
        before = [line.split()[0] for line in said if " before: " in line]
        scores = json.loads(quantized.with_name("scores.json").read_text())
        report = json.loads(quantized.with_name("model-report.json").read_text())
        return before, read(quantized).metadata["precision"], len(report["calibration"]), len(scores["files"]["files"])

    assert ended() == ([], "int8", 2, 3)
    assert ended() == (["exported", "scored"], "int8", 2, 3)
    assert ended("evaluation.limit=2") == (["exported"], "int8", 2, 2)
    assert ended("evaluation.limit=2", "export.precision=int16x8") == ([], "int16x8", 2, 2)
    assert ended("evaluation.limit=2", "export.precision=int16x8", "export.clips=1") == ([], "int16x8", 1, 2)
    (tmp_path / "run/student/model-report.json").unlink()  # of a run that was killed before it
    assert ended() == ([], "int8", 2, 3)


def test_data_may_be_a_list(recipe, own, tmp_path):
    more = own_recordings.write(tmp_path / "more", talkers=3, noises=3, first=10)
    chosen = load_recipe(recipe, settings(tmp_path, own, f"data=[{own}, {more}]"))
    planned = finish.plan(chosen)
    assert planned.pairs is not None
    assert dry_run.run(chosen, lambda _: None, lambda _: None).is_file()
