"""The layers that networks are made of: causal, stream equals clip, integers equal on every backend, C included."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from trained import as_trained  # noqa: E402

from firmware_export import targets  # noqa: E402
from firmware_export.export import export  # noqa: E402
from tinyse.boards.boards import Npu  # noqa: E402
from tinyse.boards.vela import compile_graph  # noqa: E402
from tinyse.engines.tflite_engines import LiteRTEngine, tflm_interpreter  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.graph import float_execution, reference  # noqa: E402
from tinyse.graph.execution import initial_state  # noqa: E402
from tinyse.graph.graph import Graph  # noqa: E402
from tinyse.graph.sequence import Sequence  # noqa: E402
from tinyse.models.layers import (  # noqa: E402
    ACTIVATIONS,
    Activation,
    BinMixing,
    CausalConvolution,
    Convolution,
    Delay,
    GroupedGRU,
    Layer,
    SharedGRU,
    StreamingLayer,
)
from tinyse.models.replay import Values  # noqa: E402
from tinyse.quantization.calibration import calibrate  # noqa: E402
from tinyse.quantization.quantize import quantize  # noqa: E402
from tinyse.tflite.reader import read  # noqa: E402
from tinyse.tflite.writer import save, write  # noqa: E402

FRAMES = 24


@dataclass
class Case:
    """A layer, or several in a row, and what goes in."""

    layers: list
    channels: int
    bins: int

    @property
    def streaming(self) -> dict[str, StreamingLayer]:
        return {f"layer_{i}": layer for i, layer in enumerate(self.layers) if isinstance(layer, StreamingLayer)}

    def initial_state(self, batch: int) -> dict:
        return {name: layer.initial_state(batch) for name, layer in self.streaming.items()}

    def __call__(self, x, states: dict):
        following = {}
        for i, layer in enumerate(self.layers):
            if (name := f"layer_{i}") in states:
                x, following[name] = layer(x, states[name])
            else:
                x = layer(x)
        return x, following

    def replay(self, values: Values, x):
        for i, layer in enumerate(self.layers):
            if (name := f"layer_{i}") in self.streaming:
                x, _ = layer.replay(values, f"{name}/step", x, values.before(name))
            else:
                x = layer.replay(values, f"{name}/step", x)
        return x

    def emit(self, made: dict[str, str] | None = None) -> Graph:
        made = {} if made is None else made
        graph = Graph("step", metadata={"format": 1})
        x = graph.add_input("x", (1, 1, self.bins, self.channels))
        for name, layer in self.streaming.items():
            channels, frames, bins = layer.state_shape
            graph.add_input(name, (1, frames, bins, channels))
        for i, layer in enumerate(self.layers):
            if (name := f"layer_{i}") in self.streaming:
                x, following = layer.emit(graph, f"{name}/step", x, name)
                graph.add_output(name, following)
            else:
                x = layer.emit(graph, f"{name}/step", x)
            made[f"{name}/step"] = x
        graph.add_output("y", x)
        return graph

    def clip(self, seed: int = 0) -> np.ndarray:
        """(frames, bins, channels)."""
        return np.random.default_rng(seed).uniform(-1, 1, (FRAMES, self.bins, self.channels)).astype(np.float32)

    def quantized(self, precision: str) -> Graph:
        graph = self.emit()
        return quantize(graph, calibrate(graph, [("noise", {"x": self.clip()})]), precision)


def seen(make):
    """The layer that `make` makes, its normalizations as after training."""
    torch.manual_seed(3)
    return as_trained(make())


ACTIVATED = st.sampled_from(ACTIVATIONS)


@st.composite
def convolutions(draw) -> Case:
    groups = draw(st.integers(1, 4))
    inputs, outputs = groups * draw(st.integers(1, 4)), groups * draw(st.integers(1, 4))
    bins, width, stride = draw(st.integers(1, 12)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    activation = draw(ACTIVATED)
    layer = seen(lambda: Convolution(inputs, outputs, width, stride, groups, activation))
    return Case([layer], inputs, bins)


@st.composite
def depthwise(draw) -> Case:
    channels, bins, width = draw(st.integers(2, 9)), draw(st.integers(1, 12)), draw(st.integers(1, 5))
    stride, activation = draw(st.integers(1, 2)), draw(ACTIVATED)
    layer = seen(lambda: Convolution(channels, channels, width, stride, channels, activation))
    return Case([layer], channels, bins)


@st.composite
def causal(draw) -> Case:
    groups = draw(st.integers(1, 4))
    inputs = groups * draw(st.integers(1, 3))
    outputs = draw(st.sampled_from([inputs, 2 * groups]))
    bins, width, stride = draw(st.integers(1, 9)), draw(st.integers(1, 4)), draw(st.integers(1, 2))
    frames, dilation = draw(st.integers(2, 4)), draw(st.integers(1, 6))
    sizes, activation = (inputs, outputs, bins, frames, width, stride, groups, dilation), draw(ACTIVATED)
    return Case([seen(lambda: CausalConvolution(*sizes, activation))], inputs, bins)


@st.composite
def mixings(draw) -> Case:
    channels, bins = draw(st.integers(1, 9)), draw(st.integers(1, 16))
    activation = draw(ACTIVATED)
    return Case([seen(lambda: BinMixing(channels, bins, activation))], channels, bins)


@st.composite
def grouped_recurrences(draw) -> Case:
    groups, width, bins = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 6))
    kind = draw(
        st.sampled_from(
            [lambda: SharedGRU(groups * width, bins, groups), lambda: GroupedGRU(groups, groups * width, bins)]
        )
    )
    return Case([seen(kind)], groups * width, bins)


@st.composite
def activations(draw) -> Case:
    kind = draw(ACTIVATED)
    layer = Activation(kind)
    if layer.kind == "prelu":
        torch.nn.init.constant_(layer.slope, draw(st.floats(-0.2, 1.2)))
    return Case([layer], draw(st.integers(1, 5)), draw(st.integers(1, 5)))


@st.composite
def delays(draw) -> Case:
    channels, bins, frames = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    return Case([Delay(channels, bins, frames), seen(lambda: Convolution(channels, 3))], channels, bins)


KINDS = {f.__name__: f() for f in (convolutions, depthwise, causal, mixings, grouped_recurrences, activations, delays)}

every_kind = pytest.mark.parametrize("cases", KINDS.values(), ids=list(KINDS))
some = settings(max_examples=15, deadline=None)


@every_kind
def test_layers_are_causal_and_a_stream_equals_its_clip(cases) -> None:
    @some
    @given(cases, st.integers(1, FRAMES - 1))
    @torch.no_grad()
    def check(case: Case, at: int) -> None:
        x = torch.randn(2, case.channels, FRAMES, case.bins)
        state = {name: torch.randn_like(value) for name, value in case.initial_state(2).items()}
        clip, end = case(x, state)
        changed = x.clone()
        changed[:, :, at:] *= -1
        assert torch.equal(case(changed, state)[0][:, :, :at], clip[:, :, :at])
        parts = []
        for frame in range(FRAMES):
            y, state = case(x[:, :, frame : frame + 1], state)
            parts.append(y)
        torch.testing.assert_close(torch.cat(parts, 2), clip, atol=1e-5, rtol=1e-5)
        for name, value in end.items():
            torch.testing.assert_close(state[name], value, atol=1e-5, rtol=1e-5)

    check()


@every_kind
def test_the_emitted_graph_is_the_layer_and_has_no_padding_of_its_own(cases) -> None:
    @some
    @given(cases)
    @torch.no_grad()
    def check(case: Case) -> None:
        graph, clip = case.emit(), case.clip()
        expected, end = case(torch.from_numpy(clip).permute(2, 0, 1)[None], case.initial_state(1))
        values = list(float_execution.replay(float_execution.compile(graph), [{"x": x[None, None]} for x in clip]))
        made = np.stack([v[graph.outputs["y"]] for v in values])[:, 0, 0]
        np.testing.assert_allclose(made, expected[0].permute(1, 2, 0), atol=2e-5)
        for name, value in end.items():
            np.testing.assert_allclose(values[-1][graph.outputs[name]][0], value[0].permute(1, 2, 0), atol=2e-5)
        assert all(operator.kind not in ("PAD", "TRANSPOSE") for operator in graph.operators)

    check()


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
@every_kind
def test_integers_are_equal_in_numpy_in_tflm_and_over_whole_clips(cases, precision: str) -> None:
    pytest.importorskip("tflite_micro")

    @settings(max_examples=12, deadline=None)
    @given(cases.filter(lambda case: precision == "int8" or not uses(case, "hard_swish")), st.integers(0, 99))
    def check(case: Case, seed: int) -> None:
        quantized = read(write(case.quantized(precision)))
        x = quantized.tensors[quantized.inputs["x"]]
        ends, rng = np.iinfo(x.dtype), np.random.default_rng(seed)
        clip = rng.integers(ends.min, ends.max, (FRAMES, *x.shape), x.dtype, endpoint=True)
        interpreter, program, state = (
            tflm_interpreter(quantized),
            reference.compile(quantized),
            initial_state(quantized),
        )
        arrays = Sequence(quantized)({"x": clip[:, None]}, {name: value[None] for name, value in state.items()})
        for frame, values in enumerate(clip):
            for place, name in enumerate(quantized.inputs):
                interpreter.set_input({"x": values, **state}[name], place)
            interpreter.invoke()
            results = program({"x": values, **state})
            for place, (name, tensor) in enumerate(quantized.outputs.items()):
                np.testing.assert_array_equal(results[name], interpreter.get_output(place), err_msg=name)
                np.testing.assert_array_equal(results[name], arrays[tensor][frame, 0], err_msg=name)
            state = {name: results[name] for name in state}

    check()


def uses(case: Case, kind: str) -> bool:
    return any(isinstance(m, Activation) and m.kind == kind for layer in case.layers for m in layer.modules())


def replayed(case: Case):
    """Features that require a gradient, what training makes of them, and the quantized graph."""
    quantized = case.quantized("int8")
    given = quantized.tensors["x"].quantize(case.clip(1))[:, None, None, None]
    silence = {name: value[None] for name, value in initial_state(quantized).items()}
    made: dict[str, str] = {}
    case.emit(made)
    values = Values(quantized, Sequence(quantized)({"x": given}, silence), torch.device("cpu"), made)
    x = values.map("x").requires_grad_()
    return x, case.replay(values, x), values.map(quantized.outputs["y"])


@every_kind
def test_training_sees_what_is_exported(cases) -> None:
    @some
    @given(cases)
    def check(case: Case) -> None:
        layer = torch.nn.ModuleList(case.layers)
        before = {name: value.clone() for name, value in layer.state_dict().items()}
        layer.train()
        _, made, exported = replayed(case)
        assert torch.equal(made, exported)
        assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())

    check()


LARGE = {
    "pointwise": (lambda: Convolution(8, 12), 8),
    "grouped, prelu": (lambda: Convolution(8, 12, 3, groups=2, activation="prelu"), 8),
    "depthwise, hard swish": (lambda: Convolution(8, 8, 3, groups=8, activation="hard_swish"), 8),
    "dilated": (lambda: CausalConvolution(6, 8, 16, 3, 3, 1, dilation=4), 6),
    "dilated, depthwise": (lambda: CausalConvolution(8, 8, 16, 3, 3, 1, 8, 2, "prelu"), 8),
    "dilated, grouped": (lambda: CausalConvolution(8, 8, 16, 3, 3, 2, 2, 2, "none"), 8),
    "mixing": (lambda: BinMixing(8, 16), 8),
    "shared GRU": (lambda: SharedGRU(8, 16, 2), 8),
}


@pytest.mark.parametrize(("make", "channels"), LARGE.values(), ids=list(LARGE))
def test_the_gradient_of_training_is_nearly_the_float_layers(make, channels: int) -> None:
    case = Case([seen(make)], channels, 16)
    x, made, _ = replayed(case)
    (layer,) = case.layers
    weight = torch.from_numpy(np.random.default_rng(4).uniform(size=made.shape).astype(np.float32))
    gradients = []
    for y in (made, case(x, case.initial_state(1))[0]):
        gradients.append(torch.autograd.grad((y * weight).sum(), [x, *layer.parameters()]))
    for one, other in zip(*gradients, strict=True):
        assert torch.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.97


def everything(activation: str = "prelu") -> Case:
    """All kinds in a row, as a network has them."""
    layers = [
        lambda: CausalConvolution(1, 6, 16, activation=activation),
        lambda: Convolution(6, 8, groups=2, activation="hard_swish"),
        lambda: CausalConvolution(8, 8, 8, frames=3, stride=1, groups=8, dilation=2, activation=activation),
        lambda: CausalConvolution(8, 6, 8, frames=3, width=5, stride=1, dilation=3, activation="none"),
        lambda: BinMixing(6, 8),
        lambda: Delay(6, 8),
        lambda: Delay(6, 8, 3),
        lambda: CausalConvolution(6, 12, 8, stride=1, groups=3, activation=activation),
        lambda: SharedGRU(12, 8, groups=2),
        lambda: Convolution(12, 5, width=3, stride=2),
        lambda: Activation("hard_swish"),
    ]
    return Case([seen(make) for make in layers], 1, 16)


@pytest.mark.parametrize("name", [None, "cortex-m4", "cortex-m55"])
def test_c_has_the_same_integers(name: str | None, tmp_path) -> None:
    """The exported folder's own replay of the reference's frames: here, with DSP instructions, with Helium."""
    core = targets.CORES[name] if name else None
    if core is not None and core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    if core is None and shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    quantized = everything().quantized("int8")
    quantized.metadata = {}
    save(quantized, tmp_path / "step.tflite")
    export(tmp_path / "step.tflite", tmp_path / "out")
    for flags in ([], ["-DTINYSE_PORTABLE"]):
        targets.build(tmp_path / "out", core, tmp_path / "replay", flags)
        assert targets.run(core, tmp_path / "replay") == (0, "network equal\n")


def test_litert_is_close() -> None:
    case = everything()
    engine, program = LiteRTEngine(write(case.quantized("int8"))), reference.compile(case.quantized("int8"))
    y = program.graph.tensors[program.graph.outputs["y"]]
    state, own = engine.initial_state(), initial_state(program.graph)
    for frame in case.clip(2):
        outputs, state = engine.step_named({"x": frame[None, None]}, state)
        results = program({"x": program.graph.tensors["x"].quantize(frame[None, None]), **own})
        own = {name: results[name] for name in own}
        assert np.abs(outputs["y"] - y.dequantize(results["y"]).ravel()).max() <= 12 * y.scale


def test_an_npu_takes_every_operator() -> None:
    pytest.importorskip("ethosu.vela")
    assert (
        compile_graph(Npu("Ethos-U55-128", "ethos-u55-128", 500e6), everything().quantized("int8")).cpu_operators == 0
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Convolution(4, 6, groups=4), "groups: 4 channels in and 6 out do not both divide into 4 equal groups"),
        (lambda: Convolution(4, 6, width=0), "width must be 1 or more, not 0"),
        (lambda: CausalConvolution(4, 4, 8, frames=1), "a causal convolution sees 2 or more"),
        (lambda: CausalConvolution(4, 4, 8, dilation=0), "dilation must be 1 or more, not 0"),
        (lambda: SharedGRU(5, 8, groups=2), "5 channels do not divide into 2"),
        (lambda: Activation("hard_swich"), "no activation is named 'hard_swich': did you mean 'hard_swish'"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_a_precision_that_an_activation_lacks_names_the_layer() -> None:
    case = Case([seen(lambda: Convolution(2, 3, activation="hard_swish"))], 2, 4)
    with pytest.raises(InputError, match=r"HARD_SWISH 'layer_0/step': TFLM has it in 8 bits alone"):
        case.quantized("int16x8")


class Halved(Layer):
    """A layer of one's own, which says how it emits itself and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return x * self.gain

    def emit(self, graph: Graph, name: str, x: str) -> str:
        gain = graph.add_constant(f"{name}/gain", np.full((1, 1, 1, 1), float(self.gain.detach()), np.float32))
        return graph.binary("MUL", f"{name}/halved", x, gain)


def test_a_layer_of_ones_own_is_trained_as_it_is_exported() -> None:
    case = Case([Halved()], 3, 8)
    x, made, exported = replayed(case)
    assert torch.equal(made, exported)
    gradients = torch.autograd.grad(made.sum(), [x, case.layers[0].gain])
    torch.testing.assert_close(gradients[0].mean(), torch.tensor(0.5), atol=0.02, rtol=0)
    torch.testing.assert_close(gradients[1], x.sum(), atol=1, rtol=0.05)


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_gradients_in_bfloat16_are_those_in_float32(dilation, groups) -> None:
    """As a network is trained: channels last, under autocast. Several times, for what was wrong was so now and then."""
    for seed in range(6):
        torch.manual_seed(seed)
        layer = CausalConvolution(8, 8, 34, frames=3, stride=1, groups=groups, dilation=dilation)
        layer.to(memory_format=torch.channels_last)
        x, weight = torch.randn(2, 8, 62, 34).to(memory_format=torch.channels_last), layer.convolution.weight
        wanted = torch.randn(2, 8, 62, 34)
        gradients = []
        for enabled in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                y, _ = layer(x, layer.initial_state(2))
            gradients += torch.autograd.grad((y.float() - wanted).square().sum(), weight)
        assert (gradients[1] - gradients[0]).abs().max() < 0.1 * gradients[0].abs().max()
