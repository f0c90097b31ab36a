"""Training on integers: the sequence is the reference bit for bit, the network is the exported file, gradients flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import steps

from tinyse.errors import InputError
from tinyse.integers import reference
from tinyse.integers.arithmetic import dequantise_values
from tinyse.integers.calibration import calibrate
from tinyse.integers.execution import initial_state
from tinyse.integers.graph import Graph
from tinyse.integers.precision import PRECISIONS
from tinyse.integers.quantise import activation_grids, quantise
from tinyse.integers.sequence import Sequence
from tinyse.streaming.engines import ReferenceEngine
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
    integers = quantise(graph, calibrate(graph, [("noise", {"features": steps.features(200)})]), precision)
    tensor = integers.tensors["features"]
    ends = np.iinfo(tensor.dtype)
    rng = np.random.default_rng(1)
    features = rng.integers(ends.min, ends.max, (40, 3, *tensor.shape), tensor.dtype, endpoint=True)
    silence = initial_state(integers)
    arrays = Sequence(integers)({"features": features}, {name: np.stack([s] * 3) for name, s in silence.items()})
    for clip in range(3):
        traced = frame_by_frame(integers, features[:, clip], silence)
        assert set(arrays) == set(traced[0])
        for name in arrays:
            assert np.array_equal(arrays[name][:, clip], np.stack([values[name] for values in traced])), name


def test_a_sequence_goes_on_from_any_state():
    graph = steps.denoiser()
    integers = quantise(graph, calibrate(graph, [("noise", {"features": steps.features(50)})]))
    features = np.random.default_rng(2).integers(-128, 127, (30, 2, *integers.shape("features")), np.int8)
    state = {name: np.stack([value] * 2) for name, value in initial_state(integers).items()}
    sequence = Sequence(integers)
    whole = sequence({"features": features}, state)
    first = sequence({"features": features[:11]}, state)
    state = {name: first[integers.outputs[name]][-1] for name in state}
    second = sequence({"features": features[11:]}, state)
    for name in integers.outputs.values():
        assert np.array_equal(whole[name], np.concatenate([first[name], second[name]])), name


def test_grids_take_the_place_of_calibration():
    graph = steps.denoiser()
    calibration = calibrate(graph, [("noise", {"features": steps.features(50)})])
    for precision in PRECISIONS:
        integers = quantise(graph, calibration, precision)
        assert write(quantise(graph, None, precision, activation_grids(integers))) == write(integers)
    with pytest.raises(InputError, match="has no grid"):
        quantise(graph, None, "int8", {})


@pytest.mark.parametrize("precision", PRECISIONS)
def test_values_that_are_all_but_zero_have_a_grid(precision):
    graph = steps.denoiser()
    for name in ("group0/gx/weights", "group0/gx/bias"):
        graph.replace_tensor(name, data=graph.tensors[name].constant * np.float32(1e-7))
    write(quantise(graph, calibrate(graph, [("noise", {"features": steps.features(20)})]), precision))


# The network


@pytest.fixture(scope="module", params=PRECISIONS)
def trained(request, tiny):
    """A float network, and the same one on grids of each precision."""
    pytest.importorskip("torch")
    from tinyse.models.files import load_model
    from tinyse.models.quantised import QuantisedNetwork

    network, front_end, _ = load_model(tiny.weights)
    graph = network.emit()
    clips = [(f"noise {index}", {"features": clip}) for index, clip in enumerate(features_of(2, 60).numpy())]
    integers = quantise(graph, calibrate(graph, clips), request.param)
    grids = activation_grids(integers)
    quantised = QuantisedNetwork(network.architecture, front_end.bands, request.param, grids)
    quantised.load_state_dict(network.state_dict())
    return network, quantised, integers


def features_of(clips: int, frames: int):
    import torch

    return torch.from_numpy(np.random.default_rng(3).uniform(-1, 0.99, (clips, frames, 128)).astype(np.float32))


def test_the_forward_pass_is_the_exported_file(trained):
    import torch

    _, quantised, integers = trained
    assert write(quantised.integers()) == write(integers)
    features = features_of(2, 60)
    with torch.no_grad():
        masks, state = quantised(features, quantised.initial_state(2))
    engine = ReferenceEngine(write(replace(integers, metadata={"format": 1})))
    for clip in range(2):
        following = engine.initial_state()
        for frame in range(60):
            mask, following = engine.step(features[clip, frame].numpy(), following)
            assert np.array_equal(mask, masks[clip, frame].numpy())
        for name, value in following.items():
            grid = integers.tensors[integers.outputs[name]].grid
            real = dequantise_values(value, grid.scale[0], grid.zero_point)
            assert np.array_equal(real[0].transpose(2, 0, 1), state[name][clip].numpy()), name


def test_a_stream_goes_on(trained):
    import torch

    _, quantised, _ = trained
    features = features_of(2, 20)
    with torch.no_grad():
        whole, last = quantised(features, quantised.initial_state(2))
        first, state = quantised(features[:, :7], quantised.initial_state(2))
        second, state = quantised(features[:, 7:], state)
    assert torch.equal(whole, torch.cat([first, second], dim=1))
    assert all(torch.equal(last[name], state[name]) for name in last)


def test_the_gradient_is_nearly_the_float_networks(trained):
    import torch

    network, quantised, _ = trained
    features = features_of(2, 60)
    target = features.flip(1).abs()
    gradients = []
    for each in (network.eval().requires_grad_(), quantised.requires_grad_()):
        each.zero_grad()
        mask, _ = each(features, each.initial_state(2))
        (mask - target).square().mean().backward()
        gradients.append({name: p.grad.flatten() for name, p in each.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, exact in gradients[0].items():
        alike = torch.cosine_similarity(exact, gradients[1][name], dim=0)
        assert alike > (0.9 if exact.norm() > 1e-5 else -1), (name, float(alike))
