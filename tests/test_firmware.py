"""The exported C against the integer reference: on this computer, and on every core that QEMU emulates."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import steps
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_export import front_end, layers, memory, network, targets, text, vectors
from firmware_export.export import export, make
from firmware_export.fixed_point import FixedFrontEnd
from firmware_export.layers import packed
from firmware_export.lowering import lower
from firmware_export.report import STACK_BYTES, report
from tinyse.errors import InputError
from tinyse.graph import reference
from tinyse.graph.execution import initial_state
from tinyse.graph.graph import Graph, Operator, Quantization, Tensor
from tinyse.quantization.calibration import calibrate
from tinyse.quantization.quantize import quantize
from tinyse.spectra.bands import divide
from tinyse.spectra.front_end import FrontEnd
from tinyse.streaming.denoiser import Denoiser
from tinyse.tflite.reader import read
from tinyse.tflite.writer import save, write

FUZZ_SECONDS = float(os.environ.get("TINYSE_FUZZ_SECONDS", "3"))
"""How long damaged files are tried; longer by hand."""

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler: apt-get install gcc")
INT8 = np.dtype(np.int8)
QPARAMS = {"features": Quantization(np.float32(1 / 128), 0), "mask": Quantization(np.float32(1 / 256), -128)}


def quantized(graph: Graph, bins: int = 16, precision: str = "int8") -> Graph:
    return quantize(graph, calibrate(graph, [("noise", {"features": steps.features(100, bins)})]), precision)


# A network on this computer, by ctypes


class Compiled:
    """A graph's C as a library, with the addresses of its inputs, outputs and states."""

    def __init__(self, graph: Graph, folder: Path) -> None:
        firmware = make(graph, "0" * 64)
        self.graph = graph
        names = [(f"INPUT_{text.identifier(name)}", name) for name in graph.inputs if name not in graph.states]
        names += [(f"OUTPUT_{text.identifier(name)}", name) for name in graph.outputs if name not in graph.states]
        names += [(f"STATE_{text.identifier(name)}", name) for name in graph.states]
        access = [
            '#include "tinyse_network.h"',
            "unsigned size(void);",
            "unsigned size(void) { return sizeof(tinyse_network); }",
        ]
        for macro, _ in names:
            access.append(f"int8_t *at_{macro}(tinyse_network *n);")
            access.append(f"int8_t *at_{macro}(tinyse_network *n) {{ return TINYSE_{macro}(n); }}")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in {**firmware.sources, "access.c": "\n".join(access) + "\n"}.items():
            (folder / name).write_text(content)
        flags = [*targets.EXACT, *targets.WARNINGS, "-Werror", "-O1", "-shared", "-fPIC"]
        subprocess.run(["gcc", *flags, *map(str, folder.glob("*.c")), "-o", str(folder / "library.so")], check=True)
        self.library = ctypes.CDLL(str(folder / "library.so"))
        self.memory = ctypes.create_string_buffer(self.library.size())
        self.values = {}
        for macro, name in names:
            address = getattr(self.library, f"at_{macro}")
            address.restype = ctypes.c_void_p
            role = graph.inputs if macro.startswith("INPUT") else graph.outputs
            tensor = graph.tensors[role[name]]
            raw = (ctypes.c_int8 * tensor.bytes).from_address(address(self.memory))
            self.values[macro.split("_")[0], name] = np.frombuffer(raw, tensor.dtype).reshape(tensor.shape)
        self.library.tinyse_network_reset(self.memory)

    def step(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for name, value in inputs.items():
            self.values["INPUT", name][...] = value
        self.library.tinyse_network_step(self.memory)
        return {name: value for (role, name), value in self.values.items() if role != "INPUT"}


def assert_equals_reference(graph: Graph, folder: Path, frames: int) -> None:
    compiled, program, state = Compiled(graph, folder), reference.compile(graph), initial_state(graph)
    rng = np.random.default_rng(0)
    given = {name: graph.tensors[tensor] for name, tensor in graph.inputs.items() if name not in graph.states}
    for frame in range(frames):
        reach = 1 if frame % 10 else 2  # now and then extremes
        inputs = {name: vectors.random_values(rng, tensor, reach) for name, tensor in given.items()}
        expected = program({**state, **inputs})
        for name, value in compiled.step(inputs).items():
            np.testing.assert_array_equal(value, expected[name], err_msg=f"{name} in frame {frame}")
        state = {name: expected[name] for name in state}


@needs_gcc
def test_network_and_states_equal_the_reference_for_1000_frames(tiny, tmp_path: Path) -> None:
    assert_equals_reference(read(tiny.quantized), tmp_path, 1000)


@needs_gcc
@pytest.mark.parametrize(("bins", "channels", "hidden"), [(16, 8, 12), (24, 5, 7), (8, 3, 1)])
def test_other_shapes_equal_the_reference(bins: int, channels: int, hidden: int, tmp_path: Path) -> None:
    graph = quantized(steps.denoiser(bins, bins, channels, hidden), bins)
    graph.metadata = {}
    assert_equals_reference(graph, tmp_path, 100)


class Builder:
    """Hand-made integer graphs, for what our own networks do not use."""

    def __init__(self) -> None:
        self.graph = Graph("step")
        self.rng = np.random.default_rng(1)

    def tensor(self, name: str, shape: tuple[int, ...], scale: float = 0.05, zero: int = 3, data=None) -> str:
        data = None if data is None else np.asarray(data, np.int8)
        self.graph.tensors[name] = Tensor(name, shape, INT8, data, Quantization(np.float32(scale), zero))
        return name

    def add(self, kind: str, inputs: tuple[str, ...], output: str, **options) -> str:
        self.graph.operators.append(Operator(kind, inputs, (output,), options))
        return output

    def integers(self, name: str, values) -> str:
        values = np.asarray(values, np.int32)
        self.graph.tensors[name] = Tensor(name, values.shape, values.dtype, values)
        return name

    def convolution(
        self, x: str, name: str, shape: tuple[int, ...], kernel: tuple[int, int], kind: str = "CONV_2D", **options
    ) -> str:
        qparams, out = self.graph.tensors[x].qparams, shape[3]
        depthwise = kind == "DEPTHWISE_CONV_2D"
        groups = options.pop("groups", 1)
        shape_of_weights = (1, *kernel, out) if depthwise else (out, *kernel, self.graph.shape(x)[3] // groups)
        weights = self.rng.integers(-127, 128, shape_of_weights).astype(np.int8)
        scale = np.full(out, 0.01, np.float32) * (1 + np.arange(out, dtype=np.float32))
        bias = self.rng.integers(-3000, 3000, out).astype(np.int32)
        constants = {
            "w": Tensor(f"{name}/w", weights.shape, INT8, weights, Quantization(scale, 0, 3 if depthwise else 0))
        }
        constants["b"] = Tensor(f"{name}/b", bias.shape, bias.dtype, bias, Quantization(qparams.scale * scale))
        self.graph.tensors.update({tensor.name: tensor for tensor in constants.values()})
        self.tensor(name, shape, 0.2, -20)
        options = {"stride": (1, 1), "padding": "SAME", "activation": "NONE", **options}
        return self.add(kind, (x, f"{name}/w", f"{name}/b"), name, **options)


def widened(graph: Graph) -> Graph:
    """A graph of int8 in 16 bits: the same reals in finer steps, the widest ones where a RELU or a mask needs them."""
    tensors = dict(graph.tensors)
    for operator in graph.operators:
        if operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            bias = tensors[operator.inputs[2]]
            scale = (
                graph.tensors[operator.inputs[0]].scale / np.float32(128) * tensors[operator.inputs[1]].qparams.scale
            )
            data = bias.constant.astype(np.int64) * 128
            tensors[bias.name] = replace(bias, dtype=data.dtype, data=data, quantization=Quantization(scale))
    weights = {name for operator in graph.operators for name in operator.inputs[1:2] if operator.inputs[2:]}
    for name, tensor in graph.tensors.items():
        if tensor.dtype == np.int8 and name not in weights:
            data = None if tensor.data is None else tensor.data.astype(np.int16) * 100
            quantization = Quantization(tensor.scale / np.float32(128), 0)
            tensors[name] = replace(tensor, dtype=np.dtype(np.int16), data=data, quantization=quantization)
    return replace(graph, tensors=tensors)


def everything16() -> Graph:
    """`everything` in 16 bits but for HARD_SWISH, which has 8 only; sigmoids; both conversions; sums beyond 32 bits."""
    graph = everything()
    graph.operators = [operator for operator in graph.operators if operator.kind != "HARD_SWISH"]
    del graph.outputs["swish"], graph.tensors["swish"]
    b = Builder()
    b.graph = graph = widened(graph)
    wide = np.dtype(np.int16)
    for kind in ("LOGISTIC", "TANH"):
        graph.tensors[kind] = Tensor(kind, (1, 2, 5, 7), wide, None, Quantization(np.float32(1 / 32768), 0))
        b.add(kind, ("difference",), kind)
        graph.outputs[kind] = kind
    b.tensor("to8", (1, 2, 5, 7), 0.07, -31)
    b.add("QUANTIZE", ("difference",), "to8")
    graph.tensors["to16"] = Tensor("to16", (1, 2, 5, 7), wide, None, Quantization(np.float32(0.07 / 128), 0))
    b.add("QUANTIZE", ("to8",), "to16")
    graph.outputs |= {"to8": "to8", "to16": "to16"}
    weights = np.where(b.rng.random((5, 1400)) < 0.9, 127, -127).astype(np.int8)
    bias = b.rng.integers(-(1 << 36), 1 << 36, 5)
    graph.tensors["deep"] = Tensor("deep", (1, 1400), wide, None, Quantization(np.float32(1e-4), 0))
    graph.tensors["deep/w"] = Tensor(
        "deep/w", weights.shape, INT8, weights, Quantization(np.full(5, 1e-5, np.float32), 0)
    )
    graph.tensors["deep/b"] = Tensor("deep/b", bias.shape, bias.dtype, bias, Quantization(np.full(5, 1e-9, np.float32)))
    graph.tensors["deep/y"] = Tensor("deep/y", (1, 5), wide, None, Quantization(np.float32(3e-4), 0))
    graph.inputs["deep"], graph.outputs["deepest"] = "deep", "deep/y"
    b.add("FULLY_CONNECTED", ("deep", "deep/w", "deep/b"), "deep/y", activation="NONE")
    return graph


def everything() -> Graph:
    """Kernels of two rows, strides, VALID, odd outputs, groups, RELU everywhere, broadcasting, constants."""
    b = Builder()
    b.tensor("x", (1, 4, 9, 3))
    b.tensor("s", (1, 2, 5, 7), 0.2, -20)
    b.graph.inputs = {"x": "x", "memory": "s"}
    y = b.convolution("x", "y", (1, 2, 5, 7), (2, 3), stride=(2, 2), activation="RELU")
    b.convolution("x", "v", (1, 3, 7, 2), (2, 3), padding="VALID")
    b.convolution("x", "d", (1, 2, 5, 3), (3, 3), "DEPTHWISE_CONV_2D", stride=(2, 2), activation="RELU")
    b.convolution("x", "g", (1, 2, 5, 6), (2, 3), groups=3, stride=(2, 2), activation="RELU")
    b.tensor("leaky", (1, 2, 5, 6), 0.1, 9)
    b.add("LEAKY_RELU", ("g",), "leaky", slope=0.25)
    b.tensor("vector", (7,), 0.01, 5, b.rng.integers(-128, 128, 7))
    b.tensor("sum", (1, 2, 5, 7), 0.3, 1)
    b.add("ADD", ("vector", y), "sum", activation="RELU")
    b.tensor("difference", (1, 2, 5, 7), 0.2, -20)
    b.add("SUB", ("sum", "s"), "difference", activation="NONE")
    b.tensor("product", (1, 2, 5, 7), 0.4, -7)
    b.add("MUL", ("difference", "difference"), "product", activation="RELU")
    b.tensor("narrow", (1, 2, 5, 7), 0.11, 8)
    b.add("QUANTIZE", ("product",), "narrow")
    b.tensor("swish", (1, 2, 5, 7), 0.3, -12)
    b.add("HARD_SWISH", ("product",), "swish")
    b.tensor("copy", (1, 2, 5, 7), 0.2, -20)
    b.add("RESHAPE", ("s", b.integers("shape", (1, 2, 5, 7))), "copy")
    names = {"valid": "v", "depthwise": "d", "groups": "g", "memory": "difference"}
    b.graph.outputs = {**{name: name for name in ("narrow", "swish", "copy", "leaky")}, **names}
    return b.graph


@needs_gcc
def test_every_operator_equals_the_reference(tmp_path: Path) -> None:
    assert_equals_reference(everything(), tmp_path, 100)


@needs_gcc
def test_every_operator_on_16_bits_equals_the_reference(tmp_path: Path) -> None:
    assert_equals_reference(everything16(), tmp_path, 100)


@needs_gcc
@pytest.mark.parametrize("precision", ["int8-state16", "int8-gru16", "int16x8"])
def test_wider_states_equal_the_reference(precision: str, tmp_path: Path) -> None:
    graph = quantized(steps.denoiser(), precision=precision)
    graph.metadata = {}
    assert {graph.tensors[graph.inputs[name]].dtype for name in graph.states} >= {np.dtype(np.int16)}
    assert_equals_reference(graph, tmp_path, 300)


def gates(graph: Graph) -> int:
    return sum(call.layer.kernel == layers.GRU for call in lower(graph).calls)


def test_gates_of_a_gru_are_one_call(tiny) -> None:
    graph = read(tiny.quantized)
    products = sum(call.layer.kernel == "tinyse_multiply" for call in lower(graph).calls)
    assert gates(graph) == sum(operator.kind == "TANH" for operator in graph.operators) > 0
    assert products == 0


@needs_gcc
def test_gates_that_something_else_looks_at_are_not_fused(tmp_path: Path) -> None:
    graph = quantized(steps.denoiser())
    graph.metadata = {}
    assert gates(graph) == 3
    graph.outputs["probe"] = "group0/update"
    assert gates(graph) == 2
    assert_equals_reference(graph, tmp_path / "probed", 50)
    turned = next(operator for operator in graph.operators if operator.outputs == ("shared_gru/change",))
    graph.operators[graph.operators.index(turned)] = replace(turned, inputs=turned.inputs[::-1])
    assert gates(graph) == 1
    assert_equals_reference(graph, tmp_path / "turned", 50)


@pytest.mark.parametrize("graph", [everything, everything16], ids=["8", "16"])
@pytest.mark.parametrize("name", [None, "cortex-m4", "cortex-m55"])
def test_network_alone_replays(name: str | None, graph: Callable[[], Graph], tmp_path: Path) -> None:
    core = targets.CORES[name] if name else None
    if core is not None and core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    if core is None and shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    save(graph(), tmp_path / "step.tflite")
    export(tmp_path / "step.tflite", tmp_path / "out")
    targets.build(tmp_path / "out", core, tmp_path / "replay")
    assert targets.run(core, tmp_path / "replay") == (0, "network equal\n")


# The whole path


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("firmware")
    export(tiny.quantized, folder, prefix="tinyse")
    return folder


@pytest.fixture(scope="module")
def fixed_folder(tiny, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fixed_point")
    export(tiny.quantized, folder, fixed_point=True, prefix="tinyse")
    return folder


@pytest.fixture(scope="module")
def library(folder: Path) -> ctypes.CDLL:
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    return shared_library(folder)


def shared_library(folder: Path, flags: Sequence[str] = ()) -> ctypes.CDLL:
    # An initialization as a C application calls it, with the sizes of its header.
    (folder / "start.c").write_text(f'#include "tinyse.h"\n{START} {{ return tinyse_init(stream); }}\n')
    sources = [*map(str, (folder / "src").glob("*.c")), str(folder / "start.c")]
    library = folder / "library.so"
    command = ["gcc", *targets.common_flags(folder), *flags, "-shared", "-fPIC", *sources, "-o", library]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


START = "tinyse_status start(tinyse_stream *stream); tinyse_status start(tinyse_stream *stream)"


class Stream:
    def __init__(self, library: ctypes.CDLL) -> None:
        self.library, self.memory = library, ctypes.create_string_buffer(1 << 16)
        assert library.start(self.memory) == 0

    def process(self, pcm: np.ndarray) -> np.ndarray:
        result = pcm.copy()
        for start in range(0, len(pcm), 256):
            hop = result[start:].ctypes.data_as(ctypes.c_void_p)
            assert self.library.tinyse_process(self.memory, hop, hop) == 0  # in place
        return result


@needs_gcc
def test_the_reported_ram_is_that_of_the_stream(tiny, folder: Path, tmp_path: Path) -> None:
    """The report adds up parts; the compiler knows their whole, and what it puts between them."""
    (tmp_path / "size.c").write_text(
        '#include "tinyse.h"\n#include <stdio.h>\nint main(void) { printf("%d", (int)sizeof(tinyse_stream)); return 0; }\n'
    )
    command = ["gcc", "-I", folder / "src", tmp_path / "size.c", "-o", tmp_path / "size"]
    subprocess.run([str(part) for part in command], check=True)
    size = int(subprocess.run([tmp_path / "size"], capture_output=True, check=True).stdout)
    facts = report_of(tiny)
    assert 0 <= size - (facts["ram_in_all"] - facts["ram"]["audio_buffers"]) <= 128


def test_the_reported_flash_is_that_of_the_build(tiny, folder: Path) -> None:
    core = targets.CORES["cortex-m4"]
    if shutil.which(core.compiler) is None:
        pytest.skip(f"no {core.compiler}")
    built = targets.flash_bytes(folder, core)
    facts = report_of(tiny)
    assert abs(facts["flash_in_all"] - built) < 600
    asserts = "".join(
        f'_Static_assert(sizeof({name}) == {size}, "{name}");\n' for name, size in layers.STRUCT_BYTES.items()
    )
    source = folder / "structs.c"
    source.write_text(f'#include "tinyse_kernels.h"\n{asserts}')
    flags = [core.compiler, *core.flags, "-I", folder / "src", "-fsyntax-only", source]
    subprocess.run([str(part) for part in flags], check=True)


def report_of(tiny) -> dict:
    firmware = make(read(tiny.quantized), "0" * 64)
    return report(firmware.program, firmware.front_end, firmware.digest, firmware.sources)


@pytest.mark.parametrize("limit", [None, 0, 12])
def test_sound_equals_the_python_stream(library: ctypes.CDLL, tiny, limit: int | None) -> None:
    pcm = vectors.sound(256 * 200)
    stream = Stream(library)
    if limit is not None:
        assert library.tinyse_set_attenuation_limit(stream.memory, limit) == 0
    np.testing.assert_array_equal(stream.process(pcm), Denoiser(tiny.quantized, "reference", limit).process(pcm))


def test_two_streams_run_side_by_side(library: ctypes.CDLL) -> None:
    first, second = vectors.sound(256 * 20, 1), vectors.sound(256 * 20, 2)
    alone = Stream(library).process(first)
    a, b = Stream(library), Stream(library)
    hops = []
    for start in range(0, len(first), 256):
        hops.append(a.process(first[start : start + 256]))
        b.process(second[start : start + 256])
    np.testing.assert_array_equal(np.concatenate(hops), alone)


def test_a_stream_moves_between_two_calls_and_sound_may_overlap(library: ctypes.CDLL) -> None:
    """It holds no address of itself; a hop goes out where a part of it came in."""
    pcm = vectors.sound(256 * 20)
    expected, stream = Stream(library).process(pcm), Stream(library)
    for start in range(0, len(pcm), 256):
        moved = ctypes.create_string_buffer(stream.memory.raw)
        ctypes.memset(stream.memory, 0xA5, len(stream.memory))
        stream.memory, room = moved, np.zeros(384, np.int16)
        room[:256] = pcm[start : start + 256]
        given, made = (part.ctypes.data_as(ctypes.c_void_p) for part in (room, room[128:]))
        assert library.tinyse_process(moved, given, made) == 0
        np.testing.assert_array_equal(room[128:], expected[start : start + 256])


def test_reset_forgets(library: ctypes.CDLL) -> None:
    pcm, stream = vectors.sound(256 * 10), Stream(library)
    first = stream.process(pcm)
    assert library.tinyse_reset(stream.memory) == 0
    np.testing.assert_array_equal(stream.process(pcm), first)


def test_bad_arguments_have_a_status(library: ctypes.CDLL) -> None:
    stream = Stream(library)
    assert library.start(None) == library.tinyse_process(stream.memory, None, None) == 1
    assert library.tinyse_set_attenuation_limit(stream.memory, 61) == 1
    assert library.tinyse_set_attenuation_limit(stream.memory, -2) == 1


@needs_gcc
@pytest.mark.parametrize("limit", [None, 12])
def test_fixed_point_equals_its_twin_and_is_close_to_float(fixed_folder: Path, tiny, limit: int | None) -> None:
    graph, pcm = read(tiny.quantized), vectors.sound(256 * 200)
    library = shared_library(fixed_folder)
    stream = Stream(library)
    if limit is not None:
        assert library.tinyse_set_attenuation_limit(stream.memory, limit) == 0
    share = 0 if limit is None else round(10 ** (-limit / 20) * 32768)
    given = stream.process(pcm)
    np.testing.assert_array_equal(given, vectors.fixed_stream(graph, FrontEnd(), pcm, share)[0])
    floats = Denoiser(tiny.quantized, "reference", limit).process(pcm)
    assert steps.snr_db(floats.astype(float), given.astype(float)) > 30


def test_fixed_point_reconstructs_within_two_units(tiny) -> None:
    graph, pcm = read(tiny.quantized), vectors.sound(256 * 50)
    tensors = (graph.tensors[graph.inputs["features"]], graph.tensors[graph.outputs["mask"]])
    fixed = FixedFrontEnd(FrontEnd(), *tensors)
    state, hops = fixed.initial_state(), []
    for start in range(0, len(pcm), 256):
        spectrum, _, state = fixed.analyze(pcm[start : start + 256], state)
        enhanced, state = fixed.synthesize(spectrum, np.full(128, -128), 1 << 15, state)  # all of every gain stays
        hops.append(enhanced)
    assert np.abs(np.concatenate(hops)[256:].astype(int) - pcm[:-256]).max() <= 2


@given(st.integers(0, 2**32 - 1), st.integers(0, 15))
@settings(max_examples=20, deadline=None)
def test_fixed_point_never_overflows(seed: int, quiet_bits: int) -> None:
    """The largest spectra have room in 32 bits for the sums of both transforms."""
    tensors = [Tensor(name, (1, 1, 128, 1), INT8, None, qparams) for name, qparams in QPARAMS.items()]
    fixed = FixedFrontEnd(FrontEnd(), *tensors)
    rng, state = np.random.default_rng(seed), fixed.initial_state()
    for _ in range(3):
        pcm = np.where(rng.random(256) < rng.random(), -32768, 32767).astype(np.int64) >> quiet_bits
        spectrum, _, state = fixed.analyze(pcm, state)
        assert np.abs(spectrum).max() < 1 << 29


@needs_gcc
@pytest.mark.parametrize("test", ["replay", "kernels", "transform", "fixed point"])
def test_sanitizers_find_nothing(folder: Path, fixed_folder: Path, tmp_path: Path, test: str) -> None:
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    if test == "fixed point":
        targets.build(fixed_folder, None, tmp_path / "test", flags)
    else:
        # Layers enough for cases that one in a thousand has.
        targets.build(folder, None, tmp_path / "test", [*flags, "-DROUNDS=3000"], test)
    code, output = targets.run(None, tmp_path / "test")
    assert code == 0, output


@pytest.mark.parametrize("core", targets.CORES.values(), ids=lambda core: core.name)
@pytest.mark.parametrize("test", ["replay", "kernels", "transform"])
def test_cores_are_exact(core: targets.Core, folder: Path, fixed_folder: Path, tmp_path: Path, test: str) -> None:
    if core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    if test == "transform" and not core.fpu:
        pytest.skip(f"{core.title} has no FPU: its transform is the fixed-point twin's, in the replay")
    exported = folder if core.fpu else fixed_folder
    targets.build(exported, core, tmp_path / test, flags=["-Wl,--fatal-warnings"], test=test)
    code, output = targets.run(core, tmp_path / test)
    assert code == 0, output
    if test == "replay":
        assert "frames 100\nwrong_network_frames 0\nwrong_sound_frames 0\nwrong_samples 0" in output
        figures = dict(line.split() for line in output.splitlines())
        assert 100 < int(figures["stack"]) <= STACK_BYTES


@pytest.mark.parametrize("precision", ["int8-state16", "int8-gru16"])
@pytest.mark.parametrize("name", [None, "cortex-m4", "cortex-m55", "cortex-m0plus"], ids=lambda name: name or "host")
def test_wider_states_are_exact_from_sound_to_sound(precision: str, name: str | None, tmp_path: Path) -> None:
    core = targets.CORES[name] if name else None
    if core is not None and core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    if core is None and shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    save(quantized(steps.denoiser(bins=128), 128, precision), tmp_path / "step.tflite")
    export(tmp_path / "step.tflite", tmp_path / "out", 40, fixed_point=core is not None and not core.fpu)
    flags = [] if core else ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    targets.build(tmp_path / "out", core, tmp_path / "replay", flags)
    code, output = targets.run(core, tmp_path / "replay")
    assert code == 0, output
    if core is not None:
        figures = dict(line.split() for line in output.splitlines())
        assert 100 < int(figures["stack"]) <= STACK_BYTES


OTHER_FRONT_ENDS = {
    "three hops": {"window_ms": 24.0, "hop_ms": 8.0, "bands": 88, "linear_hz": 1000.0},
    "long": {"window_ms": 40.0, "hop_ms": 20.0, "bands": 128, "linear_hz": 1000.0},
    "no multiple of four": {"window_ms": 32.125, "hop_ms": 16.0625, "bands": 128, "linear_hz": 500.0},
}


@pytest.mark.parametrize("core", [None, "cortex-m4", "cortex-m55"], ids=lambda core: core or "host")
@pytest.mark.parametrize("measures", OTHER_FRONT_ENDS.values(), ids=OTHER_FRONT_ENDS)
def test_other_front_ends_are_exact(measures: dict[str, float], core: str | None, tmp_path: Path) -> None:
    target = targets.CORES[core] if core else None
    if target is not None and target.missing:
        pytest.skip(f"{target.title}: {target.missing}")
    if target is None and shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    graph = quantized(steps.denoiser(bins=int(measures["bands"])), int(measures["bands"]))
    graph.metadata = {"task": "denoise", "front_end": measures}
    save(graph, tmp_path / "step.tflite")
    export(tmp_path / "step.tflite", tmp_path / "out", frames=40)
    targets.build(tmp_path / "out", target, tmp_path / "replay")
    code, output = targets.run(target, tmp_path / "replay")
    assert code == 0, output


@pytest.mark.parametrize("bands", [64, 90, 127, 128])
def test_bands_in_groups_of_four_have_the_same_powers(bands: int) -> None:
    division = divide(257, bands, 32 if bands < 100 else 64, 8000)
    powers = np.random.default_rng(bands).exponential(size=257).astype(np.float32)
    first, widths, shares = front_end.grouped(division)
    assert len(first) == 4 * len(widths)
    assert (first + np.repeat(widths, 4) <= 257).all(), "a bin after the last one is read"
    ends, totals = 4 * np.cumsum(widths), np.zeros(len(first), np.float32)
    for band, start in enumerate(first):
        group = band // 4
        taps = shares[ends[group] - 4 * widths[group] : ends[group]].reshape(-1, 4)[:, band % 4]
        for tap, share in enumerate(taps):
            totals[band] = totals[band] + powers[start + tap] * share
    np.testing.assert_array_equal(totals[:bands], division.powers(powers))


def test_cmake_project_runs_on_this_computer(folder: Path, tmp_path: Path) -> None:
    for tool in ("cmake", "gcc"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}: apt-get install {tool}")
    subprocess.run(["cmake", "-S", folder, "-B", tmp_path], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", tmp_path, "--target", "run"], check=True, capture_output=True)


@pytest.mark.parametrize("core", ["", "-D__ARM_FEATURE_DSP=1"], ids=["portable", "dsp"])
def test_cppcheck_finds_nothing(folder: Path, core: str) -> None:
    if shutil.which("cppcheck") is None:
        pytest.skip("no cppcheck: apt-get install cppcheck")
    sources = [str(path) for path in (folder / "src").glob("*.c")]
    checks = [
        "--enable=warning,portability,performance",
        "--std=c99",
        "--error-exitcode=1",
        "--quiet",
        "--inline-suppr",
    ]
    result = subprocess.run(
        ["cppcheck", *checks, "-j1", *filter(None, [core]), *sources], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_product_needs_no_library_but_memory(folder: Path, tmp_path: Path) -> None:
    if shutil.which("gcc") is None or shutil.which("nm") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    sources = [str(path) for path in (folder / "src").glob("*.c")]
    subprocess.run(["gcc", *targets.common_flags(folder), "-fno-pie", "-c", *sources], cwd=tmp_path, check=True)
    objects = map(str, tmp_path.glob("*.o"))
    lines = subprocess.run(["nm", *objects], capture_output=True, text=True, check=True).stdout.splitlines()
    symbols = [line.split() for line in lines if line and not line.endswith(":")]
    outside = {words[-1] for words in symbols if words[-2] == "U"}
    assert {name for name in outside if not name.startswith("tinyse_")} <= {"memcpy", "memset"}
    assert not [words for words in symbols if words[-2] in "bBdDC"], "there are variables"


# Planning and layout


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_buffers_that_live_together_do_not_overlap(spans: list[tuple[int, int, int]]) -> None:
    buffers = [memory.Buffer(str(i), size, min(a, b), max(a, b)) for i, (size, a, b) in enumerate(spans)]
    plan = memory.plan(buffers)
    assert plan.bytes >= plan.largest_live_bytes
    for i, one in enumerate(buffers):
        assert plan.offsets[one.name] + one.bytes <= plan.bytes
        for other in buffers[:i]:
            if one.first <= other.last and other.first <= one.last:
                low, high = sorted((one, other), key=lambda buffer: plan.offsets[buffer.name])
                assert plan.offsets[low.name] + low.bytes <= plan.offsets[high.name]


def test_arena_is_the_largest_live_set(tiny) -> None:
    plan = lower(read(tiny.quantized)).plan
    assert plan.bytes <= 1.1 * plan.largest_live_bytes


def test_weights_lie_in_pairs() -> None:
    weights = np.arange(15).reshape(3, 5)
    stream = packed(weights, np.array([100, 101, 102]), np.full(3, 1 << 30), np.array([4, 5, 6]))
    pair = stream[:9]
    assert pair[:2].tolist() == [100, 101]
    assert pair[2:6].view(np.int8).tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 4, 0, 0, 0, 9, 0, 0, 0]
    assert pair[6:8].view(np.uint32).tolist() == [1 << 31] * 2
    assert pair[8:].view(np.int16).tolist() == [3, 4]


# What is refused


def test_other_types_are_refused_by_position() -> None:
    graph = steps.denoiser()
    with pytest.raises(InputError, match=r"input: 'features' is float32"):
        lower(graph)
    calibration = calibrate(graph, [("noise", {"features": steps.features(50)})])
    with pytest.raises(InputError, match=r"'features' is int16.*precision int8, int8-state16 or int8-gru16"):
        make(quantize(graph, calibration, "int16x8"), "0" * 64)


def test_inner_broadcasting_is_refused_by_position() -> None:
    b = Builder()
    b.tensor("x", (1, 1, 4, 3))
    b.tensor("column", (4, 1), data=np.ones((4, 1)))
    b.tensor("y", (1, 1, 4, 3))
    b.add("ADD", ("x", "column"), "y", activation="NONE")
    b.graph.inputs, b.graph.outputs = {"x": "x"}, {"y": "y"}
    with pytest.raises(InputError, match=r"operator 0 \(ADD 'y'\)"):
        lower(b.graph)


def test_command_line_has_one_line_for_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"0000TFL3 and nothing of sense")
    command = [sys.executable, "-m", "firmware_export", broken, tmp_path / "out"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "broken.tflite" in result.stderr


def test_names_cannot_leave_their_comment() -> None:
    assert text.comment("*/ int evil; /*").count("*/") == 1
    assert text.identifier("größe/1") == "GR__E_1"


def test_damaged_files_give_an_error_or_c_that_is_well_formed() -> None:
    data = write(quantized(steps.denoiser()))
    source, survivors = random.Random(0), 0
    end = time.monotonic() + FUZZ_SECONDS
    while time.monotonic() < end:
        damaged = bytearray(data)
        for _ in range(source.choice((1, 1, 2, 8))):
            damaged[source.randrange(len(damaged))] = source.choice((0, 1, 127, 128, 255, source.randrange(256)))
        if source.random() < 0.1:
            del damaged[source.randrange(len(damaged)) :]
        try:
            program = lower(read(bytes(damaged)))
        except InputError:
            continue
        survivors += 1
        for call in program.calls:
            for storage, offset in call.operands:
                assert 0 <= offset < storage.bytes
        assert network.step(program, "0").isascii()
    assert survivors or FUZZ_SECONDS < 1
