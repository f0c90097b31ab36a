"""Several processes train as one would: one launch of torchrun with two of them does all that is looked at here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import own_recordings
import pytest

torch = pytest.importorskip("torch")

from parallel_run import HALFWAY, recorded  # noqa: E402

from tinyse.models.files import load_tensors  # noqa: E402
from tinyse.models.network import MaskNetwork  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.start import checkpoint_path, model_path  # noqa: E402

STUDENT = "{channels: [4, 4], groups: 2, shared_gru: [1]}"
COMMON = "updates: 4, batch: 4, seconds: 0.4, valid_every: 2, warmup: 1, average: 0.5, keep: last, clip_gradient: 1000"
VIEWS = "views: {batch: 1.0, frame: 1.0, bin: 1.0, utterance: 1.0}, layers: [encoder_1, gru, decoder_2]"
FLOAT_RECIPE = f"""
stages:
  teacher:
    {{model: {{channels: [6, 6], groups: 1, shared_gru: [1]}}, {COMMON},
     losses: {{signal_to_noise: 1.0, si_sdr: 1.0, lost_speech: 1.0}}}}
  supervise: {{model: {STUDENT}, {COMMON}, losses: {{compressed_spectral: 1.0, signal_to_noise: 1.0}}}}
  distill: {{model: {STUDENT}, {COMMON}, distillation: {{teacher: teacher, {VIEWS}}}}}
  mixture:
    {{model: {STUDENT}, start: distill, {COMMON}, losses: {{signal_to_noise: 1.0}},
     distillation: {{teacher: teacher, output: 1.0, target: 0.5, {VIEWS}}}}}
mixture: {{talker_probability: 0.0, babble_probability: 0.0, noise_only_probability: 0.4}}
valid_clips: 3
precision: 32-true
threads: 1
workers: 0
"""
INTEGERS_RECIPE = f"""
extends: float.yaml
stages:
  integers: {{model: {STUDENT}, start: mixture, {COMMON}, losses: {{signal_to_noise: 1.0}}, quantize: {{clips: 2}}}}
"""
FLOAT = ("teacher", "supervise", "distill", "mixture")
STARTS = {"mixture": "distill", "integers": "mixture"}
UNREACHED = "blocks.decoder_1.convolution.bias"
"""No layer that `distill` compares depends on it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of one process and of two: what each process reports is in one.json, rank0.json and rank1.json."""
    folder = tmp_path_factory.mktemp("parallel")
    own_recordings.write(folder / "own", seconds=1.0)
    (folder / "float.yaml").write_text(FLOAT_RECIPE)
    (folder / "integers.yaml").write_text(INTEGERS_RECIPE)
    seen = {"one": recorded(folder, "one")}
    for output in ("stopped-by-one", "stopped-by-two"):
        shutil.copytree(folder / "one", folder / output, ignore=lambda _, names: {HALFWAY[0]} & set(names))
    recorded(folder, "stopped-by-one", stop=True)
    # From the very same weights: an integer step turns the last bit of a weight into a step of an activation.
    shutil.copytree(folder / "one", folder / "integers-by-two")
    seen["integers"] = recorded(folder, "one", recipe="integers")
    (folder / "one.json").write_text(json.dumps(seen))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = Path(__file__).with_name("parallel_run.py")
    done = subprocess.run([*map(str, [*launcher, script, folder])], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def one(folder):
    return json.loads((folder / "one.json").read_text())


@pytest.fixture(scope="module")
def ranks(folder):
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def weights(folder, stage):
    return load_tensors(model_path(folder, stage))[0]


def assert_within_rounding(folder, output, stage):
    """What a stage made of FOLDER/OUTPUT is as far from what it made of FOLDER/one as rounding brings it: a ten-thousandth of
    the way that training went."""
    expected, got = weights(folder / "one", stage), weights(folder / output, stage)
    start = weights(folder / "one", STARTS[stage]) if stage in STARTS else untrained(folder, stage)
    assert expected.keys() == got.keys() == start.keys()
    assert distance(got, expected) < 1e-4 * distance(start, expected)


def untrained(folder, stage):
    torch.manual_seed(0)
    return MaskNetwork(load_recipe(folder / "float.yaml").stages[stage].architecture).state_dict()


def distance(first, second):
    return sum((first[name].double() - second[name].double()).square().sum() for name in first) ** 0.5


def test_losses_of_all_updates_are_those_of_one_process(one, ranks):
    assert list(one["one"]["losses"]) == list(FLOAT)
    for stage, losses in one["one"]["losses"].items():
        assert ranks[0]["two"]["losses"][stage] == pytest.approx(losses, rel=1e-5), stage
    expected = one["integers"]["losses"]["integers"]
    assert ranks[0]["integers by two"]["losses"] == {"integers": pytest.approx(expected, rel=1e-4)}


def test_first_gradients_are_those_of_one_process(one, ranks):
    for number, stage in enumerate(FLOAT):
        alone, first, second = (seen["gradients"][number] for seen in (one["one"], ranks[0]["two"], ranks[1]["two"]))
        assert first == second, stage
        for expected, got in zip(alone, first, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5, err_msg=stage)


@pytest.mark.parametrize("stage", FLOAT)
def test_weights_and_statistics_after_all_updates_are_those_of_one_process(folder, stage):
    assert_within_rounding(folder, "two", stage)


def test_weights_of_quantized_training_are_those_of_one_process(folder):
    assert_within_rounding(folder, "integers-by-two", "integers")


def test_what_the_loss_does_not_reach_stays(folder):
    begun = untrained(folder, "distill")[UNREACHED]
    for output in ("one", "two"):
        assert torch.equal(weights(folder / output, "distill")[UNREACHED], begun)


def test_one_process_writes_and_speaks(folder, ranks):
    first, second = (rank["two"] for rank in ranks)
    assert sum("updates of" in line for line in first["lines"]) == len(FLOAT) and not first["told"]
    assert second["lines"] == [] and second["losses"] == {}
    for stage in FLOAT:
        lines = (folder / "two" / stage / "log.jsonl").read_text().splitlines()
        assert [json.loads(line)["update"] for line in lines] == [2, 4]


def test_two_go_on_where_one_was_stopped(folder, ranks):
    first = ranks[0]["resumed by two"]
    stage, update = HALFWAY
    assert any(f"from update {update}" in line for line in first["lines"]) and not first["told"]
    assert list(first["losses"]) == [stage] and len(first["losses"][stage]) == 4 - update
    assert_within_rounding(folder, "stopped-by-one", stage)


def test_one_goes_on_where_two_were_stopped(folder, ranks):
    assert [rank["stopped by two"]["told"] for rank in ranks] == ["KeyboardInterrupt"] * 2
    stage, update = HALFWAY
    assert load_tensors(checkpoint_path(folder / "stopped-by-two", stage))[1]["update"] == update
    went_on = recorded(folder, "stopped-by-two")
    assert list(went_on["losses"]) == [stage] and not went_on["told"]
    assert_within_rounding(folder, "stopped-by-two", stage)


def test_bf16_is_shared_as_well(folder, ranks):
    alone = recorded(folder, "one-bf16", "precision=bf16-mixed")
    for stage, losses in alone["losses"].items():
        assert ranks[0]["bf16"]["losses"][stage] == pytest.approx(losses, rel=0.03), stage


def test_a_batch_that_does_not_divide_is_refused_before_anything_starts(folder, ranks):
    told = "stages.mixture.batch: 3 clips do not divide among 2 processes"
    assert [rank["undivided"]["told"] for rank in ranks] == [told] * 2
    told = "stages.supervise.batch: 6 clips do not divide among 2 processes, each in 2 parts"
    assert [rank["parts"]["told"] for rank in ranks] == [told] * 2
    assert not (folder / "undivided/recipe.json").exists() and not (folder / "undivided/teacher").exists()
