"""A frame of 32 ms whose sound leaves after 8 ms: the same stream in every engine, in firmware, plugin and browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_plugins import heard
from test_web import FRAMES
from typer.testing import CliRunner

from firmware_export import targets
from firmware_export.export import export
from firmware_export.fixed_point import FixedFrontEnd
from firmware_export.plugins import export_ladspa
from firmware_export.vectors import sound
from firmware_export.web import export_page
from tinyse.audio import to_pcm16
from tinyse.commands.main import app
from tinyse.config import build
from tinyse.errors import InputError
from tinyse.graph.graph import Graph
from tinyse.spectra.front_end import FrontEnd, FrontEndConfig
from tinyse.streaming.denoiser import Denoiser
from tinyse.tflite.reader import read
from tinyse.tflite.writer import save
from tinyse.training.recipe import load_recipe

RATE = 16000
FRONT_ENDS = {
    "8 ms": {"hop_ms": 4, "synthesis_ms": 8},
    "three hops": {"hop_ms": 2.5, "synthesis_ms": 7.5},
    "a look ahead": {"hop_ms": 4, "synthesis_ms": 8, "look_ahead": 1},
    "a past of no whole fours": {"window_ms": 30.125, "hop_ms": 4, "synthesis_ms": 8},
    "a minute's memory": {"window_ms": 8, "hop_ms": 1, "synthesis_ms": 2, "bands": 20, "linear_hz": 500, "level_seconds": 60},
}  # fmt: skip


def step(tiny, measures: dict[str, float]) -> Graph:
    """The tiny network behind another front end: what it hears is not what it was made for, but it runs."""
    graph = read(tiny.quantized)
    graph.metadata = {**graph.metadata, "front_end": measures}
    return graph


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory) -> Path:
    """A .tflite with a latency of 8 ms."""
    path = tmp_path_factory.mktemp("low_latency") / "low.tflite"
    save(step(tiny, FRONT_ENDS["8 ms"]), path)
    return path


def test_a_stream_is_8_ms_late_in_every_engine_with_the_same_bits(model):
    given, exact = sound(RATE), Denoiser(model, engine="reference")
    assert (exact.latency_ms, exact.delay, exact.hop) == (8, 64, 64)
    expected = exact.denoise(given)
    exact.attenuation_limit_db = 0
    np.testing.assert_allclose(exact.denoise(given).astype(int), given, atol=1)
    for engine in ("c", "tflm"):
        if engine == "tflm":
            pytest.importorskip("tflite_micro")
        elif shutil.which("gcc") is None:
            continue
        denoiser = Denoiser(model, engine=engine)
        parts = [denoiser.process(chunk) for chunk in np.split(given, [1, 100, 5000])]
        parts.append(to_pcm16(denoiser.flush()))
        np.testing.assert_array_equal(np.concatenate(parts)[denoiser.delay :], expected, engine)


def test_with_a_look_ahead_each_frame_has_the_mask_that_came_with_the_next(tiny, tmp_path):
    """A hop later, in every engine, with the same bits; the network's steps are the same."""
    config = build(FrontEndConfig, FRONT_ENDS["a look ahead"])
    save(step(tiny, FRONT_ENDS["a look ahead"]), tmp_path / "ahead.tflite")
    given, exact = sound(RATE), Denoiser(tmp_path / "ahead.tflite", engine="reference")
    assert (exact.latency_ms, exact.delay) == (12, 128)
    expected = exact.denoise(given)
    front_end, engine = FrontEnd(config), exact.engine
    padded = np.concatenate([given, np.zeros(config.delay, np.int16)])
    analysis, level, synthesis = front_end.initial_state()
    spectra, _ = front_end.analyze(np.float32(padded / 32768), analysis)
    features, _ = front_end.features(spectra, level)
    state, masks = engine.initial_state(), []
    for values in features:
        mask, state = engine.step(values, state)
        masks.append(mask)
    by_hand, _ = front_end.synthesize(front_end.apply(spectra[:-1], np.stack(masks[1:])), synthesis)
    np.testing.assert_array_equal(to_pcm16(by_hand)[config.overlap :], expected)
    for name in ("c", "tflm"):
        if name == "tflm":
            pytest.importorskip("tflite_micro")
        elif shutil.which("gcc") is None:
            continue
        np.testing.assert_array_equal(Denoiser(tmp_path / "ahead.tflite", engine=name).denoise(given), expected, name)


def test_training_hears_a_look_ahead_as_a_stream_does(tmp_path):
    torch = pytest.importorskip("torch")
    from tinyse.models.architecture import Architecture
    from tinyse.models.files import save_model
    from tinyse.models.front_end import TorchFrontEnd
    from tinyse.models.network import MaskNetwork
    from tinyse.tasks.denoise import masks

    config = build(FrontEndConfig, {"look_ahead": 1})
    torch.manual_seed(0)
    network = MaskNetwork(Architecture((4, 4), 2)).eval()
    save_model(tmp_path / "ahead.safetensors", network, config, {})
    denoiser, given = Denoiser(tmp_path / "ahead.safetensors"), np.float32(sound(40 * 256) / 32768)
    assert denoiser.latency_ms == 48
    stream = denoiser.denoise(given)
    np.testing.assert_allclose(denoiser.denoise_clip(given), stream, atol=1e-6)
    front_end = TorchFrontEnd(config)
    with torch.no_grad():
        spectra, mask = masks(network, front_end, torch.from_numpy(given)[None])
        assert spectra.shape[:2] == mask.shape[:2] == (1, 40)
        trained = front_end.synthesize(spectra * front_end.gains(mask))[0].numpy()
    np.testing.assert_allclose(trained, stream[: len(trained)], atol=1e-5)


def test_only_a_denoiser_looks_ahead(tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(InputError, match="look_ahead is 2"):
        build(FrontEndConfig, {"look_ahead": 2})
    with pytest.raises(InputError, match=r"front_end\.look_ahead: a task that listens has no sound that could wait"):
        load_recipe("recipes/activity.yaml", ["front_end.look_ahead=1"])


@pytest.mark.parametrize("core", [None, "cortex-m4", "cortex-m55", "cortex-m0plus"], ids=lambda core: core or "host")
@pytest.mark.parametrize("name", list(FRONT_ENDS)[:4])
def test_firmware_replays_its_vectors(tiny, tmp_path, name, core):
    replayed(step(tiny, FRONT_ENDS[name]), tmp_path, core, core == "cortex-m0plus")


@pytest.mark.parametrize("core", [None, "cortex-m3"], ids=lambda core: core or "host")
@pytest.mark.parametrize("more", [{"level_seconds": 30}, {"look_ahead": 1}], ids=str)
def test_fixed_point_firmware_replays_its_vectors(tiny, tmp_path, core, more):
    replayed(step(tiny, FRONT_ENDS["8 ms"] | more), tmp_path, core, fixed_point=True)


def replayed(graph: Graph, folder: Path, core: str | None, fixed_point: bool) -> None:
    """Export, compile for a core or this computer, and run the vectors that come along."""
    target = targets.CORES[core] if core else None
    if target is not None and target.missing:
        pytest.skip(f"{target.title}: {target.missing}")
    if target is None and shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    save(graph, folder / "step.tflite")
    export(folder / "step.tflite", folder / "out", frames=40, fixed_point=fixed_point)
    targets.build(folder / "out", target, folder / "replay")
    code, output = targets.run(target, folder / "replay")
    assert code == 0, output


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_the_fixed_point_front_end_follows_the_float_one(tiny, name):
    """Sound to two units, features to a few steps, also where a frame moves the running level by less than 2^-15."""
    config = build(FrontEndConfig, FRONT_ENDS[name])
    front_end, graph = FrontEnd(config), read(tiny.quantized)
    fixed = FixedFrontEnd(
        front_end, *(graph.tensors[each] for each in (graph.inputs["features"], graph.outputs["mask"]))
    )
    rng, hops = np.random.default_rng(0), 2500 if name == "a minute's memory" else 400
    loud = np.where(np.arange(hops * config.hop) < 400 * config.hop, 3000, 300)
    pcm = np.int16(rng.normal(0, loud))
    analysis, level, _ = front_end.initial_state()
    spectra, _ = front_end.analyze(np.float32(pcm / 32768), analysis)
    expected, _ = front_end.features(spectra, level)
    state, everything = fixed.initial_state(), 1 << 15  # all of every gain stays
    made = []
    for number, hop in enumerate(pcm.reshape(hops, -1)):
        spectrum, features, state = fixed.analyze(hop, state)
        assert np.abs(features - 128 * expected[number]).max() < 4, number
        enhanced, state = fixed.synthesize(spectrum, np.full(config.bands, -128), everything, state)
        made.append(enhanced)
    assert np.abs(np.concatenate(made)[config.delay :].astype(int) - pcm[: len(pcm) - config.delay]).max() <= 2


def test_the_plugin_says_8_ms_and_keeps_it(model, tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    export_ladspa(model, tmp_path / "low.so")
    given = sound(RATE)
    made, latency = heard(tmp_path / "low.so", np.float32(given / 32768), RATE, [100])
    assert latency == 128
    expected = Denoiser(model, engine="reference").denoise(given)
    np.testing.assert_array_equal(made[latency:] * 32768, expected[: len(made) - latency])


@pytest.fixture(scope="module")
def page(model, tmp_path_factory) -> Path:
    """The page of the model."""
    for tool in ("clang", "wasm-ld", "node"):
        if shutil.which(tool) is None:
            pytest.skip("apt-get install clang lld nodejs")
    folder = tmp_path_factory.mktemp("page")
    export_page(model, folder, "# A card", "low")
    for name in ("firmware", "sound"):
        shutil.copy(folder / f"{name}.js", folder / f"{name}.mjs")
    return folder


def in_node(folder: Path, script: str) -> object:
    """What a module prints as JSON."""
    (folder / "script.mjs").write_text(script)
    done = subprocess.run(["node", "script.mjs"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_browser_has_the_same_bits_and_says_8_ms(model, page):
    given = sound(50 * 64)
    (page / "noisy.pcm").write_bytes(given.tobytes())
    frames = in_node(page, FRAMES)
    expected = Denoiser(model, engine="reference").process(given)
    np.testing.assert_array_equal(np.concatenate([frame["clean"] for frame in frames]), expected)
    facts = json.loads((page / "model.json").read_text())
    assert (facts["latency_ms"], facts["hop_ms"]) == (8, 4)


COLUMNS = """
import { Spectrogram } from "./sound.mjs";
const count = (hop, step) => {
  let columns = 0;
  const context = { fillRect() {}, drawImage() {}, putImageData() { columns++; },
                    createImageData: () => ({ data: { set() {} } }) };
  const picture = new Spectrogram({ width: 100, height: 0, getContext: () => context });
  for (let first = 0; first + hop <= 7680; first += hop) picture.push(new Int16Array(hop).fill(1000), step);
  return columns / 2;
};
console.log(JSON.stringify([40, 64, 256, 768, 1280].map((hop) => count(hop, 256))));
"""


def test_the_page_draws_as_many_columns_a_second_at_any_hop(page):
    """A hop of 768 samples is 16 ms at 48 kHz, longer than a column's transform."""
    assert in_node(page, COLUMNS) == [30] * 5


def test_commands_say_the_algorithmic_latency(model, tmp_path):
    def printed(*arguments: object) -> dict:
        answer = CliRunner().invoke(app, [*map(str, arguments), "--json"])
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout)

    assert printed("bench", model)["latency_ms"] == 8
    streamed = printed("bench", model, "--board", "stm32h743", "--seconds", "0.2", "--engine", "litert")
    assert (streamed["latency_ms"], streamed["delay_ms"]) == (8, 12)
    settings = ("--set", "front_end.hop_ms=2.5", "--set", "front_end.synthesis_ms=5")
    assert printed("check", written(tmp_path), *settings)["latency_ms"] == 5
    assert {row["latency_ms"] for row in printed("models") if row["task"] == "denoise"} == {32}


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("synthesis_ms=9", "hop_ms: a synthesis window of 9.0 ms is not two or more hops of 16.0 ms"),
        ("synthesis_ms=64", "synthesis_ms: 64.0 ms is longer than the window of 32.0 ms"),
        ("hop_ms=5", "hop_ms: a window of 32.0 ms is not two or more hops of 5.0 ms"),
        ("synthesis_ms=short", "front_end.synthesis_ms: expected float, got 'short'"),
    ],
)
def test_windows_that_do_not_reconstruct_are_refused_by_key(tmp_path, setting, line):
    with pytest.raises(InputError, match=re.escape(line)):
        load_recipe(written(tmp_path), [f"front_end.{setting}"])


def test_they_are_one_line_of_a_command(tmp_path):
    command = [sys.executable, "-m", "tinyse", "check", str(written(tmp_path)), "--set", "front_end.hop_ms=5"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 2
    assert answer.stderr.strip().count("\n") == 0
    assert "two or more hops of 5.0 ms" in answer.stderr


def written(folder: Path) -> Path:
    """A recipe of one stage."""
    recipe = folder / "low.yaml"
    recipe.write_text("stages: {only: {model: student-30k, updates: 1, losses: {si_sdr: 1}}}\n")
    return recipe
