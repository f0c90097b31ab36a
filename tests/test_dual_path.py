"""The example with a network of its own kind: trained for a few updates, then one and the same on every backend."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import own_recordings
import pytest

torch = pytest.importorskip("torch")

from firmware_export import host  # noqa: E402
from firmware_export.export import export as export_firmware  # noqa: E402
from tinyse.engines.tflite_engines import LiteRTEngine, ReferenceEngine, TFLMEngine  # noqa: E402
from tinyse.models.check import check_causal, check_emitted, check_stream  # noqa: E402
from tinyse.models.files import load_model  # noqa: E402
from tinyse.streaming.denoiser import Denoiser  # noqa: E402
from tinyse.tasks.stage_networks import networks_of  # noqa: E402
from tinyse.training.finish import finish, plan  # noqa: E402
from tinyse.training.own_networks import check_networks  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.run import run  # noqa: E402

EXAMPLE = Path(__file__).parents[1] / "examples/dual_path"
SHORT = [f"stages.{stage}.{setting}" for stage in ("teacher", "student", "integers")
         for setting in ("updates=3", "batch=2", "seconds=1.0", "warmup=1", "valid_every=3")]  # fmt: skip
FRAMES = 40


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The recipe of the example, short, on sound of the test's own, and the model of its last stage."""
    folder = tmp_path_factory.mktemp("dual_path")
    data = own_recordings.write(folder / "recordings", seconds=3.0)
    settings = [
        "stages.integers.quantize.clips=2",
        "valid_clips=2",
        "export.clips=2",
        "evaluation.mixtures=2",
        "threads=1",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(EXAMPLE)
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(sys, "dont_write_bytecode", True)
        given = [f"data={data}", f"output={folder / 'run'}", "workers=0", "evaluation.limit=1"]
        recipe = load_recipe("dual_path.yaml", [*SHORT, *settings, *given])
        check_networks(recipe)
        planned = plan(recipe)
        model = run(recipe, lambda _: None, lambda _: None)
        finish(recipe, planned, model, lambda _: None, 1)
        yield recipe, model


def features() -> np.ndarray:
    """(frames, bands)."""
    return np.random.default_rng(5).uniform(-1, 0.99, (FRAMES, 128)).astype(np.float32)


def masks(engine) -> np.ndarray:
    """(frames, bands), frame by frame."""
    state, made = engine.initial_state(), []
    for frame in features():
        mask, state = engine.step(frame, state)
        made.append(mask)
    return np.stack(made)


def test_it_is_causal_its_stream_is_its_clip_and_it_emits_what_it_computes(trained):
    recipe, model = trained
    network, _, header = load_model(model, networks_of(recipe))
    assert header["architecture"]["python"] == "dual_path:DualPath" and header["quantization"]["precision"] == "int8"
    given = torch.from_numpy(features())[None, :16]
    with torch.no_grad():
        result, _ = network(given, network.initial_state())
        check_causal(network, given, result)
        check_stream(network, given, result)
        check_emitted(network, given, result)
    sound = np.float32(np.random.default_rng(0).normal(0, 0.1, 8000))
    denoiser = Denoiser(model, engine="torch", networks=networks_of(recipe))
    np.testing.assert_allclose(denoiser.denoise(sound), denoiser.denoise_clip(sound), atol=1e-5)


def test_its_integers_are_the_same_in_numpy_and_in_the_interpreters(trained):
    quantized = trained[1].with_suffix(".tflite")
    expected = masks(ReferenceEngine(quantized))
    assert np.ptp(expected) > 0
    pytest.importorskip("tflite_micro")
    np.testing.assert_array_equal(masks(TFLMEngine(quantized)), expected)
    # LiteRT rounds some operators otherwise, by one step.
    np.testing.assert_allclose(masks(LiteRTEngine(quantized)), expected, atol=0.1)


@pytest.mark.skipif(not any(map(shutil.which, host.COMPILERS)), reason="apt-get install gcc libc6-dev")
def test_its_integers_are_the_same_in_c(trained, tmp_path):
    quantized = trained[1].with_suffix(".tflite")
    ours, reference = host.HostEngine(quantized), ReferenceEngine(quantized)
    np.testing.assert_array_equal(masks(ours), masks(reference))
    sound = np.float32(np.random.default_rng(1).normal(0, 0.1, 16000))
    c, numpy = (Denoiser(quantized, engine=engine).denoise(sound) for engine in ("c", "reference"))
    np.testing.assert_array_equal(c, numpy)
    made = export_firmware(quantized, tmp_path / "firmware", 8)
    assert made.program.graph.states[:2] == ["down_1", "down_2"] and (tmp_path / "firmware/CMakeLists.txt").is_file()
