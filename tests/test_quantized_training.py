"""Quantization-aware training: the sequence is the reference bit for bit, the network is the exported file, gradients flow."""

from __future__ import annotations

import copy
import signal
from dataclasses import replace

import numpy as np
import pytest
import steps

from tinyse.engines.tflite_engines import ReferenceEngine
from tinyse.errors import InputError
from tinyse.graph import float_execution, reference
from tinyse.graph.execution import initial_state
from tinyse.graph.graph import Graph
from tinyse.graph.sequence import Sequence
from tinyse.quantization.calibration import calibrate
from tinyse.quantization.precision import PRECISIONS
from tinyse.quantization.quantize import activation_qparams, quantize
from tinyse.quantization.trained import TrainedQparams
from tinyse.tflite.writer import write


def frame_by_frame(graph: Graph, features: np.ndarray, state: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    program = reference.compile(graph)
    traced = []
    for values in features:
        traced.append(program.trace({"features": values, **state}))
        state = {name: traced[-1][graph.outputs[name]] for name in state}
    return traced


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_sequence_is_the_reference_frame_by_frame(precision):
    graph = steps.denoiser()
    exported = quantize(graph, calibrate(graph, [("noise", {"features": steps.features(200)})]), precision)
    tensor = exported.tensors["features"]
    ends = np.iinfo(tensor.dtype)
    rng = np.random.default_rng(1)
    features = rng.integers(ends.min, ends.max, (40, 3, *tensor.shape), tensor.dtype, endpoint=True)
    silence = initial_state(exported)
    arrays = Sequence(exported)({"features": features}, {name: np.stack([s] * 3) for name, s in silence.items()})
    for clip in range(3):
        traced = frame_by_frame(exported, features[:, clip], silence)
        assert set(arrays) == set(traced[0])
        for name in arrays:
            assert np.array_equal(arrays[name][:, clip], np.stack([values[name] for values in traced])), name


def test_a_sequence_goes_on_from_any_state():
    graph = steps.denoiser()
    exported = quantize(graph, calibrate(graph, [("noise", {"features": steps.features(50)})]))
    features = np.random.default_rng(2).integers(-128, 127, (30, 2, *exported.shape("features")), np.int8)
    state = {name: np.stack([value] * 2) for name, value in initial_state(exported).items()}
    sequence = Sequence(exported)
    whole = sequence({"features": features}, state)
    first = sequence({"features": features[:11]}, state)
    state = {name: first[exported.outputs[name]][-1] for name in state}
    second = sequence({"features": features[11:]}, state)
    for name in exported.outputs.values():
        assert np.array_equal(whole[name], np.concatenate([first[name], second[name]])), name


def test_given_parameters_take_the_place_of_calibration():
    graph = steps.denoiser()
    calibration = calibrate(graph, [("noise", {"features": steps.features(50)})])
    for precision in PRECISIONS:
        exported = quantize(graph, calibration, precision)
        assert write(quantize(graph, None, precision, activation_qparams(exported))) == write(exported)
    with pytest.raises(InputError, match="has no quantization parameters"):
        quantize(graph, None, "int8", {})


@pytest.mark.parametrize("precision", PRECISIONS)
def test_values_that_are_all_but_zero_have_a_scale(precision):
    graph = steps.denoiser()
    for name in ("group0/gx/weights", "group0/gx/bias"):
        steps.change(graph, name, data=graph.tensors[name].constant * np.float32(1e-7))
    write(quantize(graph, calibrate(graph, [("noise", {"features": steps.features(20)})]), precision))


# The network


@pytest.fixture(scope="module", params=PRECISIONS)
def trained(request, tiny):
    """A float network, and the same one quantized in each precision."""
    pytest.importorskip("torch")
    from tinyse.models.files import load_model
    from tinyse.models.quantized import QuantizedNetwork

    network, _, _ = load_model(tiny.weights)
    graph = network.emit()
    clips = [(f"noise {index}", {"features": clip}) for index, clip in enumerate(features_of(2, 60).numpy())]
    exported = quantize(graph, calibrate(graph, clips), request.param)
    qparams = TrainedQparams(request.param, activation_qparams(exported))
    return network, QuantizedNetwork(copy.deepcopy(network), qparams), exported


def features_of(clips: int, frames: int):
    import torch

    return torch.from_numpy(np.random.default_rng(3).uniform(-1, 0.99, (clips, frames, 128)).astype(np.float32))


def test_the_forward_pass_is_the_exported_file(trained):
    import torch

    _, quantized, exported = trained
    assert write(quantized.exported()) == write(exported)
    features = features_of(2, 60)
    with torch.no_grad():
        masks, state = quantized(features, quantized.initial_state(2))
    engine = ReferenceEngine(write(replace(exported, metadata={"format": 1})))
    for clip in range(2):
        following = engine.initial_state()
        for frame in range(60):
            mask, following = engine.step(features[clip, frame].numpy(), following)
            assert np.array_equal(mask, masks[clip, frame].numpy())
        for name, value in following.items():
            real = exported.tensors[exported.outputs[name]].dequantize(value)
            assert np.array_equal(real[0].transpose(2, 0, 1), state[name][clip].numpy()), name


def test_a_stream_goes_on(trained):
    import torch

    _, quantized, _ = trained
    features = features_of(2, 20)
    with torch.no_grad():
        whole, last = quantized(features, quantized.initial_state(2))
        first, state = quantized(features[:, :7], quantized.initial_state(2))
        second, state = quantized(features[:, 7:], state)
    assert torch.equal(whole, torch.cat([first, second], dim=1))
    assert all(torch.equal(last[name], state[name]) for name in last)


def test_the_gradient_is_nearly_the_float_networks(trained):
    import torch

    network, quantized, _ = trained
    features = features_of(2, 60)
    target = features.flip(1).abs()
    gradients = []
    for each in (network.eval().requires_grad_(), quantized.requires_grad_()):
        each.zero_grad()
        mask, _ = each(features, each.initial_state(2))
        (mask - target).square().mean().backward()
        gradients.append({name: p.grad.flatten() for name, p in each.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, exact in gradients[0].items():
        alike = torch.cosine_similarity(exact, gradients[1][name], dim=0)
        assert alike > (0.9 if exact.norm() > 1e-5 else -1), (name, float(alike))


def test_another_wiring_is_written_once():
    """Fewer skips and a doubled logit: torch, the exported graph and the quantized one all follow."""
    torch = pytest.importorskip("torch")
    from tinyse.models.architecture import Architecture
    from tinyse.models.network import MaskNetwork
    from tinyse.models.quantized import QuantizedNetwork

    def wire(self, run, x):
        x, skips = self.encode(run, x)
        x = run.add("twice", x, skips[-1])
        for level in (2, 1):
            x = run.layer(f"decoder_{level}", x)
        return run.sigmoid("mask", run.add("with_itself", x, x))

    architecture = Architecture((4, 6), groups=2, shared_gru=(1,))
    network = type("Other", (MaskNetwork,), {"wire": wire})(architecture, 128).eval()
    features, graph = features_of(1, 12), network.emit()
    with torch.no_grad():
        masks, _ = network(features, network.initial_state())
    frames = [{"features": frame.reshape(1, 1, 128, 1)} for frame in features[0].numpy()]
    for values, mask in zip(float_execution.replay(float_execution.compile(graph), frames), masks[0], strict=True):
        np.testing.assert_allclose(values["mask"].ravel(), mask, atol=2e-6)

    exported = quantize(graph, calibrate(graph, [("noise", {"features": features[0].numpy()})]))
    qparams = TrainedQparams("int8", activation_qparams(exported))
    quantized = QuantizedNetwork(network, qparams)
    masks, _ = quantized(features, quantized.initial_state())
    engine = ReferenceEngine(write(replace(exported, metadata={"format": 1})))
    state = engine.initial_state()
    for frame in range(12):
        mask, state = engine.step(features[0, frame].numpy(), state)
        assert np.array_equal(mask, masks[0, frame].detach().numpy())


# The stage


RECIPE = """
stages:
  float:
    {model: {channels: [4, 4], groups: 2, shared_gru: [1]}, updates: 4, batch: 4, seconds: 0.5, valid_every: 2, warmup: 1,
     losses: {signal_to_noise: 0.05}}
  integers:
    {model: {channels: [4, 4], groups: 2, shared_gru: [1]}, start: float, updates: 5, batch: 4, seconds: 0.5, valid_every: 2,
     warmup: 1, losses: {signal_to_noise: 0.05}, distillation: {teacher: float, output: 1.0},
     quantize: {precision: int8-state16, clips: 2}}
export: {precision: int8-state16}
valid_clips: 2
threads: 1
workers: 0
evaluation: {limit: 2}
"""


def recipe_at(folder, *changes):
    from tinyse.training.recipe import load_recipe

    path = folder / "tiny.yaml"
    path.write_text(RECIPE)
    return load_recipe(path, changes)


def test_a_stage_of_quantization_aware_training_resumes_where_it_was_stopped(tmp_path):
    torch = pytest.importorskip("torch")
    from tinyse.export import export_model
    from tinyse.models.files import load_model
    from tinyse.models.quantized import QuantizedNetwork
    from tinyse.training.run import run

    def interrupt(progress):
        if (progress.stage, progress.update) == ("integers", 3):
            signal.raise_signal(signal.SIGINT)

    whole = run(recipe_at(tmp_path, f"output={tmp_path / 'whole'}"), lambda _: None, lambda _: None)
    stopped = recipe_at(tmp_path, f"output={tmp_path / 'stopped'}")
    with pytest.raises(KeyboardInterrupt):
        run(stopped, interrupt, lambda _: None)
    again = run(stopped, lambda _: None, lambda _: None)
    network, _, header = load_model(whole)
    resumed = load_model(again)[0].state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in network.state_dict().items())
    before = load_model(tmp_path / "whole/float/model.safetensors")[0]
    assert any(not torch.equal(a, b) for a, b in zip(network.parameters(), before.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(network.buffers(), before.buffers(), strict=True))

    exported = export_model(whole, [])
    assert exported.report["precision"] == "int8-state16" and exported.report["calibration"] is None
    qparams = TrainedQparams.from_json(header["quantization"], "here")
    quantized = QuantizedNetwork(network, qparams)
    engine, features = ReferenceEngine(exported.quantized), features_of(1, 5)
    masks, state = quantized(features, quantized.initial_state())[0], engine.initial_state()
    for frame in range(5):
        mask, state = engine.step(features[0, frame].numpy(), state)
        assert np.array_equal(mask, masks[0, frame].detach().numpy())
    with pytest.raises(InputError, match="at least one clip"):
        export_model(whole, [], precision="int8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("export.precision=int8", "export.precision: the last stage trains 'int8-state16'"),
        ("stages.integers.start=null", "quantize: name the stage"),
        ("stages.integers.quantize.precision=int4", "'int4' is not one of int8, int8-state16"),
        ("stages.integers.quantize.clips=0", "clips is 0: it has to lie between 1"),
        ("stages.integers.quantize.ranges=1", "unknown key .*quantize.ranges"),
        ("stages.integers.distillation.views={frame: 1.0}", "no float layers to view"),
    ],
)
def test_a_recipe_that_cannot_train_quantized_is_refused(change, message, tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(InputError, match=message):
        recipe_at(tmp_path, change)


@pytest.mark.parametrize(
    "value", [{}, {"precision": "int8", "qparams": {"x": [0.0, 0]}}, {"precision": "int8", "qparams": 3}]
)
def test_damaged_parameters_are_refused(value):
    with pytest.raises(InputError, match=r"model: the quantization parameters in its header are damaged"):
        TrainedQparams.from_json(value, "model")
