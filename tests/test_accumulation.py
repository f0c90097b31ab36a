"""A batch that is learned in parts is the batch, where the loss and the network let it be; else it is refused."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from parallel_run import recorded  # noqa: E402
from torch.nn.modules.module import register_module_forward_pre_hook  # noqa: E402

from tinyse.errors import InputError  # noqa: E402
from tinyse.models.files import load_tensors  # noqa: E402
from tinyse.models.network import MaskNetwork  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.start import model_path  # noqa: E402

RECIPE = """
stages:
  float:
    {model: {channels: [4, 4], groups: 2}, updates: 2, batch: 4, seconds: 0.3, warmup: 1, average: 0, keep: last,
     losses: {signal_to_noise: 1.0, compressed_spectral: 1.0}}
  integers:
    {model: {channels: [4, 4], groups: 2}, start: float, updates: 3, batch: 4, seconds: 0.3, warmup: 1, average: 0, keep: last,
     losses: {signal_to_noise: 1.0, si_sdr: 1.0, compressed_spectral: 1.0}, quantize: {clips: 2}}
mixture: {talker_probability: 0.0, babble_probability: 0.0, noise_only_probability: 0.5}
data: built-in
valid_clips: 2
precision: 32-true
threads: 1
workers: 0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of the same recipe whose last stage is learned in 1, 2 and 4 parts, and what was seen of them."""
    folder = tmp_path_factory.mktemp("accumulation")
    (folder / "float.yaml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def runs(folder):
    return {
        parts: recorded(folder, f"in-{parts}", "data=built-in", f"stages.integers.accumulate={parts}")
        for parts in (1, 2, 4)
    }


@pytest.mark.parametrize("parts", [2, 4])
def test_without_batch_statistics_parts_are_the_batch(folder, runs, parts):
    """Half of the clips have no speech, so that parts have unequal numbers of those that count."""
    whole, learned = runs[1], runs[parts]
    assert not learned["told"] and learned["losses"]["integers"] == pytest.approx(whole["losses"]["integers"], rel=1e-5)
    # As a whole: what lies on the border of two integers may be rounded to the other one in a batch of another size.
    expected, got = (np.concatenate(one["gradients"][1]) for one in (whole, learned))
    error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    assert error < 1e-3
    tensors = [load_tensors(model_path(folder / f"in-{n}", "integers"))[0] for n in (1, parts)]
    for name, value in tensors[0].items():
        torch.testing.assert_close(tensors[1][name], value, rtol=1e-4, atol=1e-5)


def test_a_network_sees_one_part_at_a_time(folder):
    seen = []
    hook = register_module_forward_pre_hook(
        lambda module, arguments: (
            seen.append(len(arguments[0])) if type(module) is MaskNetwork and module.training else None
        )
    )
    try:
        recorded(folder, "parts", "data=built-in", "stages.float.accumulate=2")
    finally:
        hook.remove()
    assert seen == [2, 2] * 2


def settings(accumulate, view):
    distillation = f"{{teacher: float, views: {{{view}: 1.0}}, layers: [gru]}}"
    return [
        "stages.integers.quantize=null",
        f"stages.integers.accumulate={accumulate}",
        f"stages.integers.distillation={distillation}",
    ]


@pytest.mark.parametrize("view", ["batch", "frame", "bin"])
def test_views_that_compare_clips_refuse_parts(folder, view):
    with pytest.raises(InputError, match=r"accumulate: the views of this stage compare all clips of a batch"):
        load_recipe(folder / "float.yaml", settings(2, view))
    load_recipe(folder / "float.yaml", settings(1, view))


def test_a_view_inside_each_clip_takes_parts(folder):
    load_recipe(folder / "float.yaml", settings(2, "utterance"))


def test_parts_are_equal(folder):
    with pytest.raises(InputError, match=r"accumulate: 4 clips do not divide into 3 equal parts"):
        load_recipe(folder / "float.yaml", ["stages.float.accumulate=3"])
