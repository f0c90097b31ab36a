"""Recipes and runs: what a user mistypes is named, what was interrupted resumes to the same bits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tinyse.corpus import BUILT_IN  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.mixtures import MixtureConfig  # noqa: E402
from tinyse.models.files import load_tensors  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.records import refuse_other_recipe, stage_record  # noqa: E402
from tinyse.training.run import run  # noqa: E402
from tinyse.training.start import model_path  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent
RECIPE = """
stages:
  teacher:
    {model: {channels: [6, 6], groups: 1}, updates: 4, batch: 4, seconds: 0.5, valid_every: 2, warmup: 1,
     losses: {compressed_spectral: 1.0, signal_to_noise: 0.05}}
  distill:
    {model: {channels: [4, 4], groups: 2, shared_gru: [1]}, updates: 4, batch: 4, seconds: 0.5, valid_every: 2, warmup: 1,
     distillation: {teacher: teacher, views: {frame: 1.0, utterance: 0.5}, layers: [encoder_1, gru, decoder_2], output: 0.1}}
  supervise:
    {model: {channels: [4, 4], groups: 2, shared_gru: [1]}, start: distill, updates: 6, batch: 4, seconds: 0.5, valid_every: 2,
     warmup: 1, losses: {phase_sensitive: 0.01}}
valid_clips: 4
precision: 32-true
threads: 1
workers: 0
export: {clips: 2}
evaluation: {limit: 2}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return path


def weights(folder, stage="supervise"):
    return load_tensors(model_path(folder, stage))[0]


def nothing(*_):
    pass


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(recipe, tmp_path):
    run(load_recipe(recipe, [f"output={tmp_path / 'whole'}"]), nothing, nothing)

    stopped = load_recipe(recipe, [f"output={tmp_path / 'stopped'}", "workers=1"])

    def interrupt_at(stage, update):
        def show(progress):
            if (progress.stage, progress.update) == (stage, update):
                signal.raise_signal(signal.SIGINT)

        return show

    for stage, update in (("teacher", 3), ("distill", 2), ("supervise", 5)):
        with pytest.raises(KeyboardInterrupt):
            run(stopped, interrupt_at(stage, update), nothing)
    lines = []
    run(stopped, nothing, lines.append)
    assert any("supervise" in line and "from update 5" in line for line in lines)
    for stage in ("teacher", "distill", "supervise"):
        whole, again = weights(tmp_path / "whole", stage), weights(tmp_path / "stopped", stage)
        assert whole.keys() == again.keys()
        assert all(torch.equal(whole[name], again[name]) for name in whole), stage
    updates = [
        json.loads(line)["update"] for line in (tmp_path / "stopped/supervise/log.jsonl").read_text().splitlines()
    ]
    assert updates == [2, 4, 6]


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_goes_on_from_its_checkpoint(recipe, tmp_path, sent):
    command = [
        sys.executable,
        "-m",
        "tinyse",
        "train",
        str(recipe),
        "--train-only",
        "--set",
        "stages.teacher.updates=400",
    ]
    command += ["--set", f"output={tmp_path / 'run'}"]
    checkpoint = tmp_path / "run/teacher/checkpoint.safetensors"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 100
        while not checkpoint.exists():
            assert process.poll() is None and time.monotonic() < deadline, "no checkpoint was written"
            time.sleep(0.05)
    finally:
        process.send_signal(sent)
        code = process.wait()
    assert code == (130 if sent == signal.SIGTERM else -signal.SIGKILL)
    reached = load_tensors(checkpoint)[1]["update"]
    assert 0 < reached < 400
    lines = []
    shortened = load_recipe(recipe, ["stages.teacher.updates=400", f"output={tmp_path / 'run'}"])

    def stop(progress):
        assert progress.update == reached + 1
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(shortened, stop, lines.append)
    assert f"from update {reached}" in lines[0]


def test_a_finished_recipe_is_exported_and_measured(recipe, tmp_path):
    from tinyse.training.finish import finish, plan

    chosen = load_recipe(recipe, [f"output={tmp_path / 'run'}"])
    planned = plan(chosen)
    model = run(chosen, nothing, nothing)
    finished = finish(chosen, planned, model, nothing)
    for name in ("model.tflite", "model-float.tflite", "model-report.json", "scores.json", "scores.md"):
        assert (model.parent / name).stat().st_size > 0, name
    backends = [row[0] for row in finished.scored.tables[0].rows]
    assert finished.quantized == model.with_suffix(".tflite") and {"float stream", "int8 stream (TFLM)"} <= set(
        backends
    )
    said: list[str] = []
    finish(chosen, planned, model, said.append)
    assert any(line.startswith("scored before") for line in said)
    more = replace(
        planned, metrics=("si_sdr", "segmental_snr"), backends=("float-clip",)
    )  # as after installing something
    assert finish(chosen, more, model, nothing).scored.tables, "what is new is measured"
    record = json.loads((tmp_path / "run/recipe.json").read_text())
    assert record["recipe"]["stages"]["teacher"]["updates"] == 4 and "torch" in record["versions"]
    again = []
    assert run(chosen, nothing, again.append) == model
    assert all("finished before" in line for line in again)


def test_another_recipe_does_not_overwrite_a_run(recipe, tmp_path):
    output = f"output={tmp_path / 'run'}"
    run(load_recipe(recipe, [output]), nothing, nothing)
    with pytest.raises(InputError, match=r"stage\.updates: 4 then, 5 now"):
        run(load_recipe(recipe, [output, "stages.distill.updates=5"]), nothing, nothing)
    with pytest.raises(InputError, match="seed: 0 then, 1 now"):
        run(load_recipe(recipe, [output, "seed=1"]), nothing, nothing)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("stages.teacher.update=3", "unknown key stages.teacher.update: did you mean 'updates'"),
        ("stages.teacher.updates=many", "stages.teacher.updates: expected int"),
        ("stages.teacher.updates=0", "updates is 0"),
        ("stages.distill.batch=1", "batch of one"),
        ("stages.distill.distillation.views={frames: 1}", "did you mean 'frame'"),
        ("stages.distill.distillation.teacher=professor", "neither an earlier stage"),
        ("stages.supervise.start=teacher", "another architecture"),
        ("stages.supervise.losses={si-sdr: 1}", "did you mean 'si_sdr'"),
        ("stages.teacher.model=teachers", "did you mean 'teacher'"),
        ("front_end.bands=130", "cannot be halved"),
        ("front_end.hop_ms=5", "hop_ms"),
        ("precision=int4", "precision"),
        ("mixture.snr_db=[5, -5]", "snr_db"),
        ("stages.distill.mixture={clean: 0.2}", "unknown key stages.distill.mixture.clean"),
        ("stages.distill.mixture={clean_probability: 2}", "clean_probability is 2"),
        ("mixture.high_pass_hz=[50, 9000]", "high_pass_hz is (50.0, 9000.0): it has to stay below low_pass_hz"),
        ("stages.teacher.learning_rate=.nan", "learning_rate: nan is not a finite number"),
        ("nonsense", "KEY=VALUE"),
        ("stages=[", "no readable YAML"),
    ],
)
def test_mistakes_in_a_recipe_are_named(recipe, setting, message):
    with pytest.raises(InputError) as caught:
        load_recipe(recipe, [setting])
    assert message in str(caught.value)


def test_clips_of_which_no_frame_becomes_sound_are_refused(recipe):
    front_end = "front_end={window_ms: 256, hop_ms: 128, linear_hz: 200}"
    load_recipe(recipe, [front_end, "stages.distill.seconds=0.256"])
    with pytest.raises(InputError, match=r"stages\.distill\.seconds: 0\.25 s are no whole frame of 256 ms"):
        load_recipe(recipe, [front_end, "stages.distill.seconds=0.25"])


def test_a_recipe_extends_another(recipe, tmp_path):
    """Key by key; the file is looked for beside the one that names it, at any depth."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/deepest.yaml").write_text("seed: 5\nship: true\nmixture: {clean_probability: 0.5}\n")
    (tmp_path / "shared/mixing.yaml").write_text(
        "extends: deepest.yaml\nship: false\nmixture: {snr_db: [0, 5], room_probability: 0.0}\n"
    )
    recipe.write_text(f"extends: shared/mixing.yaml\nmixture: {{room_probability: 0.25}}\n{RECIPE}")
    chosen = load_recipe(recipe, ["mixture.clip_probability=0.125"])
    assert (chosen.seed, chosen.ship) == (5, False)
    mixture = chosen.mixture
    assert (mixture.clean_probability, mixture.snr_db, mixture.room_probability) == (0.5, (0, 5), 0.25)
    assert mixture.clip_probability == 0.125 and mixture.speed_probability == MixtureConfig().speed_probability
    assert chosen.output == "runs/tiny"


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("absent.yaml", r"extends: there is no recipe .*absent\.yaml"),
        ("tiny.yaml", r"tiny\.yaml: extends a recipe that extends it"),
        ("[a.yaml, b.yaml]", "expected the file of one recipe"),
    ],
)
def test_what_cannot_be_extended_is_named(recipe, base, message):
    recipe.write_text(f"extends: {base}\n{RECIPE}")
    with pytest.raises(InputError, match=message):
        load_recipe(recipe)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_load_and_name_no_folder_of_ours(path):
    settings = ["data=recordings"] if path.stem == "tagging" else []
    chosen = load_recipe(path, settings)
    assert chosen.data in (BUILT_IN, "recordings") and chosen.output == f"runs/{path.stem}"
    assert "../" not in path.read_text()


def test_released_recipes_mix_as_one():
    chosen = [load_recipe(REPOSITORY / f"recipes/{name}.yaml") for name in ("student-30k", "student-62k", "teacher")]
    assert all(each.ship and each.mixture == chosen[0].mixture != MixtureConfig() for each in chosen)


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "+1e-3", "0.1e-2", ".1e-2", "1.e-3", "1.0e-3", "0.001"])
def test_numbers_may_be_written_as_everywhere_else(recipe, text):
    """YAML 1.1 takes 1e-3 for a string."""
    assert load_recipe(recipe, [f"stages.teacher.learning_rate={text}"]).stages["teacher"].learning_rate == 0.001
    recipe.write_text(RECIPE.replace("warmup: 1,\n     losses", f"warmup: 1, learning_rate: {text},\n     losses"))
    assert load_recipe(recipe).stages["teacher"].learning_rate == 0.001


@pytest.mark.parametrize("text", ["1e", "e3", "1e-3x", "x1e-3", "1 e-3", "'1e-3'"])
def test_what_is_no_number_is_still_refused(recipe, text):
    with pytest.raises(InputError, match="learning_rate: expected float"):
        load_recipe(recipe, [f"stages.teacher.learning_rate={text}"])


def test_a_stage_may_mix_otherwise(recipe, tmp_path):
    """Its own keys replace the recipe's; a stage that says nothing is what it was before there were such keys."""
    chosen = load_recipe(recipe, ["mixture.room_probability=0.1", "stages.distill.mixture={clean_probability: 0.2}"])
    assert chosen.mixture_of(chosen.stages["teacher"]) == chosen.mixture
    mixed = chosen.mixture_of(chosen.stages["distill"])
    assert (mixed.clean_probability, mixed.room_probability) == (0.2, 0.1)
    output = f"output={tmp_path / 'run'}"
    first = run(load_recipe(recipe, [output, "stages.supervise.updates=2"]), nothing, nothing)
    before = weights(tmp_path / "run")
    noises = "stages.supervise.mixture={noise_only_probability: 0.9}"
    run(load_recipe(recipe, [f"output={tmp_path / 'other'}", "stages.supervise.updates=2", noises]), nothing, nothing)
    assert first.is_file()
    assert any(not torch.equal(before[name], value) for name, value in weights(tmp_path / "other").items())


def test_the_last_weights_may_be_kept(recipe, tmp_path):
    """A rate far too high: the valid loss grows from look to look, so best and last are different weights."""
    settings = ["stages.supervise.learning_rate=0.5", "stages.supervise.valid_every=1", "stages.supervise.average=0.1"]
    kept = {}
    for keep in ("best", "last"):
        output = tmp_path / keep
        run(load_recipe(recipe, [f"output={output}", f"stages.supervise.keep={keep}", *settings]), nothing, nothing)
        looks = [
            json.loads(line)["valid_loss"] for line in (output / "supervise" / "log.jsonl").read_text().splitlines()
        ]
        kept[keep] = weights(output)
    assert min(looks) < looks[-1]
    assert any(not torch.equal(kept["best"][name], value) for name, value in kept["last"].items())


def test_a_share_of_what_was_learned_is_kept(recipe, tmp_path):
    """Training is the same; the kept weights lie on the line from the start's, statistics of normalizations included."""
    kept, looks = {}, {}
    for keep, share in (("last", 1.0), ("last", 0.25), ("best", 0.25), ("last", 0.0)):
        output = tmp_path / f"{keep}-{share}"
        settings = [f"output={output}", f"stages.supervise.keep={keep}", f"stages.supervise.learned={share}"]
        run(load_recipe(recipe, [*settings, "stages.supervise.valid_every=6"]), nothing, nothing)
        kept[keep, share] = weights(output)
        looks[keep, share] = (output / "supervise/log.jsonl").read_text()
    start, learned = weights(tmp_path / "last-1.0", "distill"), kept["last", 1.0]
    moved = [
        name for name, value in start.items() if value.is_floating_point() and not torch.equal(value, learned[name])
    ]
    assert any("running_mean" in name for name in moved) and any("weight" in name for name in moved)
    for name in moved:
        torch.testing.assert_close(kept["last", 0.25][name], torch.lerp(start[name], learned[name], 0.25))
        torch.testing.assert_close(kept["best", 0.25][name], kept["last", 0.25][name], rtol=0, atol=0)
        torch.testing.assert_close(kept["last", 0.0][name], start[name], rtol=0, atol=0)
    assert len({json.loads(line)["valid_loss"] for line in looks.values()}) == 3, "what is kept is what is validated"


def test_a_share_of_nothing_is_refused(recipe):
    with pytest.raises(InputError, match="learned: below 1"):
        load_recipe(recipe, ["stages.distill.learned=0.5"])


def test_a_run_from_before_a_key_existed_is_not_another_recipe(recipe, tmp_path):
    chosen = load_recipe(recipe, [f"output={tmp_path / 'run'}"])
    record = stage_record(chosen, "supervise")
    for each in (record, record["builds_on"]["distill"]):
        del each["stage"]["keep"], each["front_end"]["synthesis_ms"], each["front_end"]["look_ahead"]
        del each["stage"]["learned"]
    refuse_other_recipe(record, chosen, "supervise", tmp_path / "model")
    with pytest.raises(InputError, match="keep: 'best' then, 'last' now"):
        refuse_other_recipe(
            record, load_recipe(recipe, ["stages.supervise.keep=last"]), "supervise", tmp_path / "model"
        )


def test_missing_recipe_and_missing_data(recipe, tmp_path):
    with pytest.raises(InputError, match="there is no recipe"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="nowhere"):
        run(load_recipe(recipe, [f"data={tmp_path / 'nowhere'}", f"output={tmp_path / 'run'}"]), nothing, nothing)


def test_a_loss_that_is_not_finite_stops_the_run(recipe, tmp_path):
    settings = [f"output={tmp_path / 'run'}", "stages.teacher.losses={compressed_spectral: 1.0e+39}"]
    with pytest.raises(InputError, match="the loss became"):
        run(load_recipe(recipe, settings), nothing, nothing)
