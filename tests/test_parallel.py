"""Several processes train as one: one launch of torchrun with two of them does all that is looked at here."""

from __future__ import annotations

import json
import subprocess
import sys

import own_recordings
import pytest

torch = pytest.importorskip("torch")

from tinyse.errors import InputError  # noqa: E402
from tinyse.models.files import load_model  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.run import refuse_undivided  # noqa: E402
from tinyse.training.start import model_path  # noqa: E402

RECIPE = """
stages:
  teacher:
    {model: {channels: [6, 6], groups: 1}, updates: 3, batch: 4, seconds: 0.4, valid_every: 2, warmup: 1,
     losses: {compressed_spectral: 1.0, signal_to_noise: 0.05}}
  distill:
    {model: {channels: [4, 4], groups: 2, shared_gru: [1]}, updates: 3, batch: 4, seconds: 0.4, valid_every: 2, warmup: 1,
     distillation: {teacher: teacher, views: {frame: 1.0}, layers: [encoder_1, gru, decoder_2]}}
  supervise:
    {model: {channels: [4, 4], groups: 2, shared_gru: [1]}, start: distill, updates: 3, batch: 4, seconds: 0.4, valid_every: 2,
     warmup: 1, losses: {phase_sensitive: 0.01}}
mixture: {talker_probability: 0.0, babble_probability: 0.0}
valid_clips: 3
precision: 32-true
threads: 1
workers: 0
"""
PROCESS = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
import torch
from tinyse.errors import InputError
from tinyse.models.architecture import Architecture
from tinyse.models.network import MaskNetwork
from tinyse.training.optimizer import Optimization
from tinyse.training.recipe import load_recipe
from tinyse.training.run import launch, run

folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
fabric = launch("32-true")
recipe = load_recipe(folder / "tiny.yaml", [f"data={folder / 'own'}", f"output={folder / 'run'}"])

# A loss of which each process has its own share, and which reaches one parameter alone.
torch.manual_seed(0)
network = MaskNetwork(Architecture(channels=(4, 4), groups=2))
training = Optimization(fabric, network, replace(recipe.stages["teacher"], clip_gradient=1e3))
reached, *others = training.bare.parameters()
before = [parameter.detach().clone() for parameter in others]
norms = [buffer for name, buffer in training.bare.named_buffers() if name.endswith("running_mean")]
norms[0].fill_(rank)
sum_before = float(reached.detach().sum())
value = training.learn((reached * (1.0 + 2.0 * rank)).sum(), 0)
facts = {
    "value": value,
    "expected": 2.0 * sum_before,
    "gradient": reached.grad.flatten()[:2].tolist(),
    "untouched": all(torch.equal(a, b) for a, b in zip(before, others)),
    "weights": reached.flatten().tolist(),
    "statistics": norms[0].tolist(),
}

try:
    run(load_recipe(folder / "tiny.yaml", ["stages.supervise.batch=3", f"output={folder / 'refused'}"]), print, print)
except InputError as error:
    facts["refused"] = str(error)

lines, shown = [], []
run(recipe, shown.append, lines.append)
facts |= {"lines": lines, "shown": len(shown)}
(folder / f"rank{rank}.json").write_text(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """The folder, and what each of the two processes reports."""
    folder = tmp_path_factory.mktemp("parallel")
    own_recordings.write(folder / "own", seconds=1.0)
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "process.py").write_text(PROCESS)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*map(str, [*launcher, folder / "process.py", folder])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder, [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def test_two_steps_run_to_their_end_and_leave_one_set_of_files(ranks):
    folder, _ = ranks
    for stage in ("teacher", "distill", "supervise"):
        load_model(model_path(folder / "run", stage))
        lines = (folder / "run" / stage / "log.jsonl").read_text().splitlines()
        assert [json.loads(line)["update"] for line in lines] == [2, 3]


def test_only_the_first_process_speaks(ranks):
    _, (first, second) = ranks
    assert sum("updates of" in line for line in first["lines"]) == 3 and first["shown"] == 9
    assert second["lines"] == [] and second["shown"] == 0


def test_the_loss_and_the_gradient_are_means_over_processes(ranks):
    _, (first, second) = ranks
    assert first["value"] == second["value"] == pytest.approx(first["expected"])
    assert first["gradient"] == second["gradient"] == pytest.approx([2.0, 2.0])
    assert first["weights"] == second["weights"] and first["statistics"] == second["statistics"] == pytest.approx(
        [0.5] * 4
    )


def test_what_the_loss_does_not_reach_stays(ranks):
    _, (first, second) = ranks
    assert first["untouched"] and second["untouched"]


def test_a_batch_that_does_not_divide_is_refused_before_anything_starts(ranks):
    folder, (first, second) = ranks
    assert first["refused"] == second["refused"] == "stages.supervise.batch: 3 clips do not divide among 2 processes"
    assert not (folder / "refused/recipe.json").exists() and not (folder / "refused/teacher").exists()


def test_views_that_compare_clips_need_two_in_every_process(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    refuse_undivided(load_recipe(path), 2)
    with pytest.raises(InputError, match=r"stages\.distill\.batch: .* 4 processes need a batch of at least 8, not 4"):
        refuse_undivided(load_recipe(path), 4)
