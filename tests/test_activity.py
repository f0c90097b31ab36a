"""Voice activity, a task that is one module: learned from mixtures, int8, in firmware, scored by the area under its curve."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tinyse import corpus  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.evaluation.pairs import find_pairs  # noqa: E402
from tinyse.evaluation.tag_backends import quantized_probabilities  # noqa: E402
from tinyse.models.files import load_model  # noqa: E402
from tinyse.spectra.front_end import FrontEndConfig  # noqa: E402
from tinyse.streaming.tagger import Tagger  # noqa: E402
from tinyse.tasks import TASKS, task_named  # noqa: E402
from tinyse.tasks.activity import presence  # noqa: E402
from tinyse.tflite.reader import read  # noqa: E402
from tinyse.training.finish import finish  # noqa: E402
from tinyse.training.recipe import load_recipe, recipe_from  # noqa: E402
from tinyse.training.run import run  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent
RECIPE = """
task: activity
stages:
  only: {model: {channels: [4, 6, 8]}, updates: 40, batch: 8, seconds: 2.0, learning_rate: 2.0e-2, average: 0.9,
         valid_every: 20, warmup: 4, losses: {binary_cross_entropy: 1.0}}
valid_clips: 8
export: {clips: 2}
evaluation: {limit: 3}
mixture: {room_probability: 0.0, clean_probability: 0.3, babble_probability: 0.0, talker_probability: 0.0}
precision: 32-true
threads: 1
workers: 0
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run on the built-in corpus: the recipe, the model and what followed."""
    folder = tmp_path_factory.mktemp("activity")
    (folder / "tiny.yaml").write_text(RECIPE)
    recipe = load_recipe(folder / "tiny.yaml", [f"output={folder / 'run'}"])
    model = run(recipe, lambda _: None, lambda _: None)
    return recipe, model, finish(recipe, TASKS["activity"].plan(recipe), model, lambda _: None)


def test_speech_is_where_the_clean_side_is_loud():
    config = FrontEndConfig()
    sound = np.zeros(16000, np.float32)
    sound[4096:8192] = 0.1 * np.sin(np.arange(4096))
    sound[8192:12288] = 0.001 * np.sin(np.arange(4096))  # 40 dB below the rest
    found = presence(config, sound)
    assert found[17:31].all() and not found[:15].any() and not found[35:].any()
    assert not presence(config, np.zeros(16000, np.float32)).any()


def test_it_learns_to_tell_speech_from_noise(trained):
    _, model, finished = trained
    scores = json.loads((model.parent / "scores.json").read_text())
    assert scores["float"]["auc"] > 0.7 and abs(scores["float"]["auc"] - scores["int8"]["auc"]) < 0.03
    assert finished.scored.report.read_text().count("AUC") >= 2
    assert {backend for backend, *_ in finished.scored.tables[0].rows} == {"float", "int8"}


def test_the_files_name_the_task_and_its_class(trained):
    _, model, finished = trained
    network, _, header = load_model(model)
    assert header["task"] == network.task == "activity" and network.classes == ("speech",)
    metadata = read(finished.quantized).metadata
    assert metadata["task"] == "activity" and metadata["classes"] == ["speech"]


def test_a_stream_says_for_every_hop_what_the_quantized_model_says(trained):
    pair = find_pairs(corpus.pairs())[0].load()
    probabilities, config = quantized_probabilities(trained[2].quantized, [pair.noisy])
    tagger = Tagger(trained[2].quantized, "reference", every_seconds=config.hop_ms / 1000)
    said = [decision.tags["speech"] for decision in tagger.process(pair.noisy)]
    np.testing.assert_allclose(said, probabilities[0, : len(said), 0], atol=1e-6)


def test_evaluate_prints_the_areas(trained):
    command = ["evaluate", trained[1], corpus.pairs(), "--limit", 3, "--json"]
    done = subprocess.run([sys.executable, "-m", "tinyse", *map(str, command)], capture_output=True, text=True)
    facts = json.loads(done.stdout)
    assert done.returncode == 0 and set(facts) == {"float", "quantized"} and 0 <= facts["quantized"]["auc"] <= 1


def test_firmware_says_for_every_hop_what_the_reference_says(trained, tmp_path):
    if shutil.which("gcc") is None or shutil.which("cmake") is None:
        pytest.skip("needs gcc and cmake")
    from firmware_export.export import export

    firmware = export(trained[2].quantized, tmp_path / "firmware", frames=70)
    assert firmware.kind == "classifier"
    for command in (
        ["cmake", "-S", tmp_path / "firmware", "-B", tmp_path / "build"],
        ["cmake", "--build", tmp_path / "build"],
        ["ctest", "--test-dir", tmp_path / "build", "--output-on-failure"],
    ):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": {"si_sdr": 1.0}}, "stages.only.losses: no supervised loss is named 'si_sdr'"),
        ({"distillation": {"teacher": "t.safetensors", "target": 0.5}}, "sound says nothing of probabilities"),
        ({"distillation": {"teacher": "t.safetensors", "views": {"bin": 1.0}}}, "there is no 'decoder_4'"),
        (
            {"distillation": {"teacher": "t.safetensors", "output": 1.0, "patches": 8}},
            "patches: a network that listens",
        ),
    ],
)
def test_what_the_task_does_not_do_is_named(change, message):
    stage = {"model": {"channels": [4]}, "updates": 1, "losses": {"binary_cross_entropy": 1.0}} | change
    with pytest.raises(InputError, match=message):
        recipe_from({"task": "activity", "stages": {"only": stage}})


def test_tasks_are_found_by_their_modules_and_named_when_mistyped():
    assert set(TASKS) == {"denoise", "tagging", "activity"}
    with pytest.raises(InputError, match="did you mean 'activity'"):
        task_named("activty")


def test_keys_of_another_task_are_dropped_and_unknown_ones_of_its_own_refused():
    stage = {"model": {"channels": [4]}, "updates": 1, "losses": {"binary_cross_entropy": 1.0}}
    recipe = recipe_from({"task": "activity", "stages": {"only": stage}, "tagging": {"valid": ["4"]}})
    assert recipe.options == {}
    with pytest.raises(InputError, match="the task has no keys of its own"):
        recipe_from({"task": "activity", "stages": {"only": stage}, "activity": {"x": 1}})


def test_the_shipped_recipe_is_one():
    assert load_recipe(REPOSITORY / "recipes/activity.yaml").task == "activity"
