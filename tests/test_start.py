"""What a stage starts from that is not a stage of its recipe: a released model, a file of the user's."""

from __future__ import annotations

import shutil
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tinyse.errors import InputError  # noqa: E402
from tinyse.models.files import load_model, load_tensors, save_tensors  # noqa: E402
from tinyse.released import find_weights  # noqa: E402
from tinyse.training.recipe import load_recipe, recipe_from  # noqa: E402
from tinyse.training.records import refuse_other_recipe, stage_record  # noqa: E402
from tinyse.training.run import run  # noqa: E402
from tinyse.training.start import model_path  # noqa: E402

STAGE = {"updates": 1, "batch": 1, "seconds": 0.5, "warmup": 0, "losses": {"si_sdr": 1.0}, "learning_rate": 1e-12}
COMMON = {"valid_clips": 1, "precision": "32-true", "threads": 1, "workers": 0}


def one_stage(folder, name="student-62k", start="student-62k", **changes):
    stage = STAGE | {"model": name, "start": str(start)} | changes
    return recipe_from(COMMON | {"stages": {"on": stage}, "output": str(folder)})


def nothing(_):
    pass


def assert_near(path, other):
    ours, theirs = load_tensors(path)[0], load_tensors(other)[0]
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        if "running" in key or "tracked" in key:  # means of the one batch that was heard
            continue
        torch.testing.assert_close(value, theirs[key], rtol=1e-4, atol=1e-6)


def test_a_stage_goes_on_from_a_released_model_and_from_a_file(tmp_path):
    """A rate of next to nothing leaves the weights what they were, to compare with."""
    released = find_weights("student-62k")
    lines: list[str] = []
    by_name = run(one_stage(tmp_path / "name"), nothing, lines.append)
    assert any(line.startswith("on: 1 updates") and line.endswith(", from student-62k") for line in lines)
    assert_near(by_name, released)
    own = tmp_path / "own.safetensors"
    shutil.copy(released, own)
    assert_near(run(one_stage(tmp_path / "file", start=own), nothing, nothing), released)
    assert load_tensors(by_name)[1]["start_hash"]


def test_a_wider_network_goes_on_from_a_released_model(tmp_path):
    lines: list[str] = []
    path = run(one_stage(tmp_path / "run", "student-200k", "student-30k"), nothing, lines.append)
    assert any(line.endswith("from student-30k, whose 29,938 parameters are a part of it") for line in lines), lines
    wide, narrow = load_model(path)[0], load_model(find_weights("student-30k"))[0]
    x = torch.rand(1, 20, 128) * 2 - 1
    with torch.no_grad():
        masks = [network(x, network.initial_state())[0] for network in (wide, narrow)]
    # The one batch that it has heard is in the means of its normalizations.
    torch.testing.assert_close(*masks, rtol=0, atol=0.1)


def test_integers_go_on_from_a_released_model_with_its_quantization(tmp_path):
    changes = {"quantize": {"precision": "int8", "clips": 1}}
    path = run(one_stage(tmp_path, **changes), nothing, nothing)
    assert load_tensors(path)[1]["quantization"] == load_tensors(find_weights("student-62k"))[1]["quantization"]


def test_teachers_of_the_weights_are_still_named(tmp_path):
    tensors, header = load_tensors(find_weights("student-62k"))
    own = tmp_path / "own.safetensors"
    taught = [{"file": "professor.onnx", "sha256": "0" * 64, "external": True}]
    save_tensors(own, tensors, header | {"teachers": taught})
    assert load_tensors(run(one_stage(tmp_path / "run", start=own), nothing, nothing))[1]["teachers"] == taught


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("student-62", r"stages\.on\.start: 'student-62' is neither an earlier stage .*did you mean 'student-62k'"),
        ("on", r"stages\.on\.start: 'on' is neither an earlier stage"),
        ("model.tflite", r"stages\.on\.start: .*nor a \.safetensors file"),
    ],
)
def test_a_name_of_nothing_is_refused_when_the_recipe_is_read(tmp_path, start, message):
    with pytest.raises(InputError, match=message):
        one_stage(tmp_path, start=start)


def test_a_stage_does_not_teach_itself_nor_one_before_it():
    """Although a released model is called so."""
    taught = STAGE | {"model": "student-30k", "distillation": {"teacher": "student-200k", "output": 1.0}}
    for stages in ({"student-200k": taught}, {"on": taught, "student-200k": STAGE | {"model": "student-200k"}}):
        with pytest.raises(InputError, match=r"teacher: the stage 'student-200k' is not before this one"):
            recipe_from(COMMON | {"stages": stages})


def test_a_later_stage_with_the_name_of_a_file_is_no_start():
    stages = {name: STAGE | {"model": "student-62k"} for name in ("on", "student-62k")}
    stages["on"]["start"] = "student-62k"
    with pytest.raises(InputError, match="neither an earlier stage"):
        recipe_from(COMMON | {"stages": stages})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "absent.safetensors"}, r"stages\.on\.start: there is no model file absent\.safetensors"),
        ({"name": "student-30k"}, r"stages\.on\.start: .*channels: 12 of block 1 do not fit into 8; take its widths"),
        (
            {"name": {"channels": [12, 20, 28, 24], "groups": 12, "shared_gru": [3]}},
            r"groups: 1 of 4 channels do not fit into one of 2",
        ),
        (
            {"name": "student-200k", "quantize": {"precision": "int8"}},
            r"start: .*channels: \[12, .*\] there, \[16, .*\] here",
        ),
    ],
)
def test_what_cannot_be_gone_on_from_is_told_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        run(one_stage(tmp_path / "run", **changes), nothing, nothing)
    assert not list((tmp_path / "run").rglob("recipe.json"))


def test_another_front_end_and_another_task_are_told(tmp_path):
    tensors, header = load_tensors(find_weights("student-62k"))
    for key, value, message in (
        (
            "front_end",
            header["front_end"] | {"window_ms": 20.0, "hop_ms": 10.0},
            r"front_end\.window_ms 20\.0.*says 32",
        ),
        ("task", "activity", "task"),
    ):
        own = tmp_path / f"{key}.safetensors"
        save_tensors(own, tensors, header | {key: value})
        with pytest.raises(InputError, match=message):
            run(one_stage(tmp_path / "run", start=own), nothing, nothing)


def test_a_run_does_not_go_on_from_a_file_that_was_exchanged(tmp_path):
    own = tmp_path / "own.safetensors"
    tensors, header = load_tensors(find_weights("student-62k"))
    save_tensors(own, tensors, header)
    chosen = one_stage(tmp_path / "run", start=own)
    run(chosen, nothing, nothing)
    save_tensors(own, {name: tensor * 1.01 for name, tensor in tensors.items()}, header)
    with pytest.raises(InputError, match="made with other weights in the file that it starts from"):
        run(chosen, nothing, nothing)
    own.unlink()  # what is finished needs it no more
    assert run(chosen, nothing, nothing) == model_path(tmp_path / "run", "on")


@pytest.mark.parametrize("finished", [False, True])
def test_a_run_does_not_go_on_with_a_teacher_that_was_exchanged(tmp_path, finished):
    teacher = tmp_path / "teacher.safetensors"
    tensors, header = load_tensors(find_weights("student-62k"))
    save_tensors(teacher, tensors, header)
    taught = {"distillation": {"teacher": [str(teacher), "student-30k"], "output": 1.0}, "updates": 2}
    chosen = one_stage(tmp_path / "run", **taught)

    def interrupt(progress):
        if not finished:
            signal.raise_signal(signal.SIGINT)

    with nullcontext() if finished else pytest.raises(KeyboardInterrupt):
        run(chosen, interrupt, nothing)
    save_tensors(teacher, {name: tensor * 1.01 for name, tensor in tensors.items()}, header)
    with pytest.raises(InputError, match="made with other weights in the file that teaches it"):
        run(chosen, nothing, nothing)
    save_tensors(teacher, tensors, header)
    assert run(chosen, nothing, nothing) == model_path(tmp_path / "run", "on")


@pytest.mark.parametrize("patches", [0, 8])
def test_a_stage_learns_from_a_released_model(tmp_path, patches):
    """From itself there is nothing to learn: the teacher is nowhere nearer to the truth."""
    changes = {"distillation": {"teacher": "student-62k", "output": 1.0, "patches": patches}, "losses": {}}
    path = run(one_stage(tmp_path / "run", **changes), nothing, nothing)
    assert load_tensors(path)[1]["valid"]["loss"] == pytest.approx(0, abs=1e-3)
    changes["distillation"]["teacher"] = "student-200k"
    path = run(one_stage(tmp_path / "other", **changes), nothing, nothing)
    assert load_tensors(path)[1]["valid"]["loss"] > 1e-3


def test_a_recipe_file_names_a_released_model(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("stages: {further: {model: student-30k, start: student-30k, updates: 5, losses: {si_sdr: 1}}}\n")
    assert load_recipe(recipe).stages["further"].start == "student-30k"


def test_a_run_from_before_there_was_noise_by_procedure_goes_on():
    chosen = recipe_from(COMMON | {"stages": {"on": STAGE | {"model": "student-30k"}}})
    record = stage_record(chosen, "on")
    assert record["mixture"].pop("procedural_probability") == 0
    refuse_other_recipe(record, chosen, "on", Path("model.safetensors"))
    record["mixture"]["snr_db"] = [0.0, 1.0]
    with pytest.raises(InputError, match=r"mixture\.snr_db"):
        refuse_other_recipe(record, chosen, "on", Path("model.safetensors"))
