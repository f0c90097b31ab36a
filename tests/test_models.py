"""Layers and network: causal, stream equals clip, the exported graph equals torch, model files that cannot run code."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from trained import as_trained  # noqa: E402

from tinyse.errors import InputError  # noqa: E402
from tinyse.graph import float_execution  # noqa: E402
from tinyse.models.architecture import ARCHITECTURES, Architecture, named  # noqa: E402
from tinyse.models.files import load_model, load_tensors, save_model, save_tensors  # noqa: E402
from tinyse.models.layers import CausalConvolution, GroupedGRU, SharedGRU, UpsamplingConvolution  # noqa: E402
from tinyse.models.network import MaskNetwork, parameters  # noqa: E402
from tinyse.models.recurrence import Recurrence, on_gpu  # noqa: E402
from tinyse.spectra.front_end import FrontEndConfig  # noqa: E402

SMALL = Architecture(channels=(4, 6, 8), groups=2, shared_gru=(2,))


def network(architecture: Architecture = SMALL, bands: int = 32, seed: int = 0) -> MaskNetwork:
    """A network whose normalizations have seen something, as after training."""
    torch.manual_seed(seed)
    return as_trained(MaskNetwork(architecture, bands))


LAYERS = {
    "convolution": (lambda: CausalConvolution(3, 5, 8), 3),
    "grouped GRU": (lambda: GroupedGRU(2, 4, 8), 4),
    "shared GRU": (lambda: SharedGRU(4, 8), 4),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    torch.manual_seed(1)
    make, channels = LAYERS[request.param]
    return make().eval(), channels


@torch.no_grad()
def test_layer_is_causal(layer):
    module, channels = layer
    x, state = torch.randn(2, channels, 9, 8), torch.randn(2, channels, 1, 8) * 0.5
    changed = x.clone()
    changed[:, :, 6:] += 1
    before, after = module(x, state)[0], module(changed, state)[0]
    assert torch.equal(before[:, :, :6], after[:, :, :6])
    assert not torch.equal(before[:, :, 6], after[:, :, 6])


@torch.no_grad()
def test_layer_stream_equals_clip(layer):
    module, channels = layer
    x, state = torch.randn(2, channels, 9, 8), torch.randn(2, channels, 1, 8) * 0.5
    clip, end = module(x, state)
    frames = []
    for t in range(9):
        y, state = module(x[:, :, t : t + 1], state)
        frames.append(y)
    torch.testing.assert_close(torch.cat(frames, 2), clip, atol=1e-6, rtol=0)
    torch.testing.assert_close(state, end, atol=1e-6, rtol=0)


@torch.no_grad()
def test_layer_declares_its_state(layer):
    module, channels = layer
    silence = module.initial_state(2)
    assert silence.shape == (2, channels, 1, 8) and not silence.any()
    assert module(torch.randn(2, channels, 3, 8), silence)[1].shape == silence.shape


@torch.no_grad()
def test_upsampling_interleaves_two_filters():
    layer = UpsamplingConvolution(3, 2, last=True)
    x = torch.randn(1, 3, 4, 8)
    y, pairs = layer(x), layer.convolution(x)
    torch.testing.assert_close(y[..., 0::2], pairs[:, :2])
    torch.testing.assert_close(y[..., 1::2], pairs[:, 2:])


@torch.no_grad()
def test_network_is_causal_and_streams():
    net = network()
    x = torch.randn(2, 12, 32) * 0.4
    clip, end = net(x, net.initial_state(2))
    changed = x.clone()
    changed[:, 7:] *= -1
    assert torch.equal(net(changed, net.initial_state(2))[0][:, :7], clip[:, :7])
    state, frames = net.initial_state(2), []
    for t in range(12):
        mask, state = net(x[:, t : t + 1], state)
        frames.append(mask)
    torch.testing.assert_close(torch.cat(frames, 1), clip, atol=1e-6, rtol=0)
    for name, value in end.items():
        torch.testing.assert_close(state[name], value, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "architecture",
    [SMALL, Architecture((4, 8), groups=1), Architecture((4, 8, 8), groups=4, shared_gru=(1, 3))],
    ids=["small", "one GRU", "many GRUs"],
)
def test_emitted_graph_equals_torch(architecture):
    net = network(architecture)
    graph = net.emit()
    program = float_execution.compile(graph)
    features = np.random.default_rng(0).uniform(-1, 1, (20, 32)).astype(np.float32)
    with torch.no_grad():
        clip, end = net(torch.from_numpy(features)[None], net.initial_state())
    frames = [{"features": frame.reshape(1, 1, 32, 1)} for frame in features]
    outputs = list(float_execution.replay(program, frames))
    np.testing.assert_allclose([o["mask"].ravel() for o in outputs], clip[0].numpy(), atol=2e-6)
    for name, value in end.items():
        expected = value[0, :, 0].numpy().T  # (channels, bins) -> (bins, channels)
        name = graph.outputs[name]
        np.testing.assert_allclose(outputs[-1][name][0, 0], expected, atol=2e-6, err_msg=name)


def test_graph_has_no_padding_or_transposition_and_named_states():
    net = network(ARCHITECTURES["student-62k"], 128)
    graph = net.emit()
    kinds = {operator.kind for operator in graph.operators}
    assert kinds == {
        "CONCATENATION",
        "CONV_2D",
        "FULLY_CONNECTED",
        "RESHAPE",
        "SPLIT",
        "ADD",
        "SUB",
        "MUL",
        "LOGISTIC",
        "TANH",
    }
    assert graph.states == list(net.state_shapes)


def test_recurrence_gradient():
    torch.manual_seed(0)
    shapes = [(5, 2, 3, 12), (2, 3, 4), (2, 12, 4), (2, 1, 12)]
    assert torch.autograd.gradcheck(
        Recurrence.apply, [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    )


def test_recurrence_equals_torch_gru():
    torch.manual_seed(0)
    gru = torch.nn.GRU(4, 4)
    x = torch.randn(6, 3, 4)
    with torch.no_grad():
        expected, _ = gru(x)
        gates = (x @ gru.weight_ih_l0.T + gru.bias_ih_l0)[:, None]
        got = Recurrence.apply(gates, torch.zeros(1, 3, 4), gru.weight_hh_l0[None], gru.bias_hh_l0[None, None])
    torch.testing.assert_close(got[:, 0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("layer", [GroupedGRU(3, 6, 4), SharedGRU(6, 4, groups=2), SharedGRU(4, 3)], ids=str)
def test_what_a_gpu_runs_is_the_recurrence(layer):
    """Outputs, and the gradients of all that goes in, on a CPU that can run both."""
    torch.manual_seed(0)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x, h = (torch.randn(frames, layer.groups, 5, layer.width, requires_grad=True) for frames in (7, 1))
    weights = [layer.input_weight, layer.state_weight, layer.input_bias, layer.state_bias]
    expected, got = layer.recur(x, h[0]), on_gpu(x, h[0], *weights)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    wanted, gradients = (torch.autograd.grad(y.square().sum(), [x, h, *weights]) for y in (expected, got))
    for gradient, right in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, right, atol=1e-5, rtol=1e-5)


def test_named_sizes():
    sizes = {name: parameters(MaskNetwork(a)) for name, a in ARCHITECTURES.items()}
    assert abs(sizes["teacher"] - 1_900_000) < 50_000
    assert abs(sizes["student-62k"] - 62_000) < 1_000
    assert abs(sizes["teacher"] / sizes["student-30k"] - 63) < 1
    assert MaskNetwork(ARCHITECTURES["student-62k"]).eval().emit().macs <= 450_000


def test_unknown_model_is_refused_with_a_suggestion():
    with pytest.raises(InputError, match="did you mean 'student-62k'"):
        named("student-62")


def test_model_file_round_trip(tmp_path):
    net = network(bands=128)
    path = tmp_path / "model.safetensors"
    save_model(path, net, FrontEndConfig(), {"note": "kept"})
    again, front_end, header = load_model(path)
    assert front_end == FrontEndConfig() and header["note"] == "kept"
    for name, tensor in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text", "foreign", "nan", "integers"])
def test_broken_model_files_are_refused(tmp_path, damage):
    path = tmp_path / "model.safetensors"
    net = network(bands=128)
    if damage == "nan":
        with torch.no_grad():
            net.blocks["gru"].state_weight[0, 0, 0] = float("nan")
    save_model(path, net, FrontEndConfig(), {})
    whole = path.read_bytes()
    if damage == "integers":
        tensors = net.state_dict()
        tensors["blocks.gru.state_weight"] = tensors["blocks.gru.state_weight"].int()
        save_tensors(path, tensors, load_tensors(path)[1])
    if damage == "missing":
        path.unlink()
    elif damage == "foreign":
        from safetensors.torch import save_file

        save_file({"weight": torch.zeros(2)}, path)
    elif damage in ("empty", "truncated", "text"):
        path.write_bytes(
            {"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"hello, this is not a model"}[damage]
        )
    with pytest.raises(InputError, match="gru" if damage in ("nan", "integers") else str(path.name)):
        load_model(path)
