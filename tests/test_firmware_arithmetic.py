"""What compilers may be asked to do with the C, and numbers at the edge of what it computes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import steps
from hypothesis import given, settings
from hypothesis import strategies as st
from test_firmware import Builder, assert_equals_reference, everything, needs_gcc, quantized

from firmware_export import front_end, layers, targets, vectors
from firmware_export.export import export, make
from tinyse import released
from tinyse.errors import InputError
from tinyse.graph import reference
from tinyse.graph.graph import Graph, Quantization
from tinyse.spectra.front_end import FrontEnd
from tinyse.tflite.reader import read
from tinyse.tflite.writer import save

REASSOCIATED = ["-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math"]


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("firmware")
    export(tiny.quantized, folder, 40, prefix="tiny")
    return folder


@pytest.mark.parametrize(
    "flags", [["-ffast-math"], ["-funsafe-math-optimizations"], REASSOCIATED, ["-freciprocal-math"], ["-mfpmath=387"]],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_flag_that_changes_floats_is_refused_or_changes_nothing(folder, tmp_path, compiler, flags):
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}: apt-get install {compiler}")
    sources = [*map(str, (folder / "src").glob("*.c")), *map(str, (folder / "test").glob("tiny_*.c"))]
    sources += [str(folder / "test/main.c"), str(folder / "test/host.c")]
    # Neither -ffp-contract nor a standard: what a build system gives by default.
    command = [compiler, "-O3", *flags, f"-I{folder / 'src'}", f"-I{folder / 'test'}", *sources]
    done = subprocess.run([*command, "-o", str(tmp_path / "replay")], capture_output=True, text=True)
    if done.returncode:
        # Clang has no x87 on this processor, which is as good.
        assert "the front end needs" in done.stderr or "'387' unit is not supported" in done.stderr, done.stderr
    else:
        assert compiler == "clang"
        code, output = targets.run(None, tmp_path / "replay")
        assert code == 0, output


@pytest.mark.parametrize("flags", [["-O3"], ["-Os"], ["-O2", "-std=gnu11"]], ids=" ".join)
@pytest.mark.parametrize("name", ["cortex-m4", "cortex-m55"])
def test_fused_multiplications_do_not_change_the_sound(folder, tmp_path, name, flags):
    """Both cores have them, and GCC takes them unless it is told not to; an Arduino build cannot tell it."""
    core = targets.CORES[name]
    if core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    targets.build(folder, core, tmp_path / "replay", [*flags, "-ffp-contract=fast"])
    code, output = targets.run(core, tmp_path / "replay")
    assert code == 0, output


@pytest.mark.parametrize("optimization", ["-O2", "-O3"])
@pytest.mark.parametrize("name", ["cortex-m4", "cortex-m55"])
def test_clang_gives_the_same_sound_on_a_core(tmp_path, name, optimization):
    """With GCC's library and linker. At -O3 Clang made other gains of a mask in steps of 1/256, as the released models have."""
    core = targets.CORES[name]
    if core.missing or shutil.which("clang") is None:
        pytest.skip(f"apt-get install clang; {core.missing}")
    exported = tmp_path / "out"
    export(released.find("student-30k"), exported, 20)
    flags = [flag for flag in core.flags if not flag.startswith("--specs")]
    command = ["clang", "--target=arm-none-eabi", *flags, *core.definitions, *targets.EXACT, optimization]
    root = subprocess.run([core.compiler, "-print-sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    for include in (f"{root}/include", "/usr/lib/arm-none-eabi/include"):
        command += ["-isystem", include]
    sources = [*(exported / "src").glob("*.c"), *(exported / "test").glob("student_*.c")]
    sources += [exported / "test" / part for part in ("main.c", "cortex_m.c")]
    command += [f"-I{exported / part}" for part in ("src", "test")]
    subprocess.run([*command, "-c", *map(str, sources)], cwd=tmp_path, check=True)
    objects = map(str, tmp_path.glob("*.o"))
    script = ["-T", str(exported / "test/bare_metal.ld"), *core.link_flags]
    subprocess.run([core.compiler, *core.flags, *objects, *script, "-o", str(tmp_path / "replay")], check=True)
    code, output = targets.run(core, tmp_path / "replay")
    assert code == 0, output


@pytest.mark.parametrize(
    "flags",
    [["-O0"], ["-Og"], ["-ffixed-r9", "-fno-omit-frame-pointer", "-DTINYSE_FEW_REGISTERS"]],
    ids=" ".join,
)
def test_assembly_does_not_need_registers_that_are_taken(folder, tmp_path, flags):
    core = targets.CORES["cortex-m4"]
    if core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    targets.build(folder, core, tmp_path / "kernels", flags, "kernels")
    code, output = targets.run(core, tmp_path / "kernels")
    assert code == 0, output


@needs_gcc
@pytest.mark.parametrize(("scale", "zero"), [(1 / 128, 0), (1 / 128, 100), (1 / 256, 0), (0.004, -120), (1 / 32, -128)])
@pytest.mark.parametrize("name", [None, "cortex-m55"])
def test_features_scaled_by_another_quantizer_are_clipped(tiny, tmp_path, scale, zero, name):
    core = targets.CORES[name] if name else None
    if core is not None and core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    firmware, hops = make(read(tiny.quantized), "0"), 20
    graph = read(tiny.quantized)
    qparams = Quantization(np.float32(scale), zero)
    tensor = replace(graph.tensors[graph.inputs["features"]], quantization=qparams)
    tables, pcm = FrontEnd(), vectors.sound(256 * hops)
    expected = vectors._float_features(tables, tensor, pcm)
    assert len(np.unique(expected)) > 20
    source = firmware.names.text(front_end.tables(tables, tensor, graph.tensors[graph.outputs["mask"]]), ())
    values = {**firmware.sources, "tinyse_front_end_tables.h": source}
    values["main.c"] = (
        '#include <string.h>\n#include "port.h"\n#include "tinyse.h"\nstatic tinyse_front_end state;\n'
        + vectors.text.array("sound", pcm)
        + vectors.text.array("expected", expected.astype(np.int8))
        + "int main(void)\n{\n    int8_t features[TINYSE_BANDS];\n    tinyse_front_end_reset(&state);\n"
        f"    for (int hop = 0; hop < {hops}; hop++) {{\n"
        "        tinyse_front_end_analyze(&state, sound + hop * TINYSE_HOP, features);\n"
        "        if (memcmp(features, expected + hop * TINYSE_BANDS, sizeof features) != 0) { return hop + 1; }\n"
        "    }\n    return 0;\n}\n"
    )
    export(tiny.quantized, tmp_path / "out", 1, prefix="tinyse")
    for path, content in values.items():
        (tmp_path / "out" / ("test" if path == "main.c" else "src") / path).write_text(content)
    for path in (tmp_path / "out/test").glob("tinyse_*.c"):
        path.unlink()
    targets.build(tmp_path / "out", core, tmp_path / "test")
    assert targets.run(core, tmp_path / "test")[0] == 0


@pytest.fixture(scope="module")
def divide(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    folder = tmp_path_factory.mktemp("divide")
    (folder / "divide.c").write_text(
        f'#include "{Path(front_end.__file__).parent / "c/requantize.h"}"\n'
        "int32_t divide(int32_t x, int32_t shift);\n"
        "int32_t divide(int32_t x, int32_t shift) { return tinyse_divide(x, shift); }\n"
    )
    flags = ["-O1", "-shared", "-fPIC", "-fwrapv"]  # what overflows is wrong, and the sanitizers see it in kernels.c
    subprocess.run(["gcc", *flags, str(folder / "divide.c"), "-o", str(folder / "divide.so")], check=True)
    return ctypes.CDLL(str(folder / "divide.so")).divide


@given(
    st.one_of(
        st.integers(1 - (1 << 31), (1 << 31) - 2), st.integers((1 << 31) - 5000, (1 << 31) - 2), st.integers(-64, 64)
    ),
    st.integers(0, 31),
)
@settings(max_examples=500, deadline=None)
def test_a_division_rounds_halves_away_from_zero_for_all_numbers(divide, x, shift):
    half = (1 << shift) >> 1
    assert divide(x, shift) == (abs(x) + half >> shift) * (1 if x >= 0 else -1)


def large_bias() -> Graph:
    """Sums near 2^31, by biases, with a multiplier that brings them back to 8 bits, or leaves them out of it."""
    b = Builder()
    b.tensor("x", (1, 1, 8, 3))
    b.graph.inputs = {"x": "x"}
    b.convolution("x", "y", (1, 1, 8, 4), (1, 3))
    scale = np.array([3e-7, 3e-7, 1.9, 0.01], np.float32)
    bias = np.array([(1 << 31) - 200_000, -(1 << 31) + 200_000, 1 << 30, -5], np.int32)
    tensors = b.graph.tensors
    tensors["y/w"] = replace(tensors["y/w"], quantization=Quantization(scale))
    tensors["y/b"] = replace(tensors["y/b"], data=bias, quantization=Quantization(np.float32(0.05) * scale))
    b.graph.outputs = {"y": "y"}
    return b.graph


@needs_gcc
@pytest.mark.parametrize("name", [None, "cortex-m4", "cortex-m55"])
def test_sums_near_the_largest_number_have_the_references_bits(tmp_path, name):
    core = targets.CORES[name] if name else None
    if core is not None and core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    save(large_bias(), tmp_path / "step.tflite")
    export(tmp_path / "step.tflite", tmp_path / "out", 20)
    flags = [] if core else ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    targets.build(tmp_path / "out", core, tmp_path / "replay", flags)
    assert targets.run(core, tmp_path / "replay") == (0, "network equal\n")


@pytest.mark.parametrize(
    ("scale", "bias"), [(3.9, (1 << 31) - 200), (3.9, 200 - (1 << 31)), (1e12, 0)], ids=["above", "below", "zeros"]
)
def test_a_sum_without_room_for_the_last_step_is_refused(scale, bias):
    """The output's zero point is added to 32 bits; and a channel of zeros is shifted to the left, too."""
    graph = large_bias()
    tensors, number = graph.tensors, np.arange(4) == 2
    weights = np.where(number[:, None, None, None], 0, tensors["y/w"].constant).astype(np.int8)
    scales = np.where(number, scale, tensors["y/w"].quantization.scale).astype(np.float32)
    biases = np.where(number, bias, tensors["y/b"].constant).astype(np.int32)
    tensors["y/w"] = replace(tensors["y/w"], data=weights, quantization=Quantization(scales))
    tensors["y/b"] = replace(tensors["y/b"], data=biases, quantization=Quantization(np.float32(0.05) * scales))
    for refused in (lambda: make(graph, "0"), lambda: reference.compile(graph)):
        with pytest.raises(InputError, match="an accumulator may overflow"):
            refused()


@needs_gcc
def test_an_operand_too_small_to_matter_adds_nothing(tmp_path):
    """The multiplier of a scale below 2^-31 of the other is zero, and no half of it."""
    b = Builder()
    b.tensor("x", (1, 1, 4, 3), 1024)
    b.tensor("small", (1, 1, 4, 3), 2**-24)
    b.graph.inputs = {"x": "x", "small": "small"}
    b.tensor("y", (1, 1, 4, 3), 1024)
    b.add("ADD", ("x", "small"), "y", activation="NONE")
    b.graph.outputs = {"y": "y"}
    assert_equals_reference(b.graph, tmp_path, 20)


def test_a_sigmoid_of_16_bits_whose_multiplier_is_wider_is_refused():
    b = Builder()
    for name, scale in (("x", 3.0), ("y", 1 / 32768)):
        tensor = b.graph.tensors[b.tensor(name, (1, 4), scale, 0)]
        b.graph.tensors[name] = replace(tensor, dtype=np.dtype(np.int16))
    b.graph.inputs, b.graph.outputs = {"x": "x"}, {"y": "y"}
    b.add("LOGISTIC", ("x",), "y")
    with pytest.raises(InputError, match=r"its input's scale is 3, the kernels go up to 2\.667"):
        make(b.graph, "0")


# Names and signatures


@needs_gcc
def test_names_of_a_signature_cannot_meet_the_macros_of_a_header(tmp_path):
    b = Builder()
    for name in ("x", "s", "t"):
        b.tensor(name, (1, 1, 4, 3))
    b.graph.inputs = {"bytes": "x", "BYTES_OF_bytes": "s", "x_bytes": "t"}
    b.tensor("y", (1, 1, 4, 3))
    b.add("ADD", ("x", "s"), "y", activation="NONE")
    b.tensor("z", (1, 1, 4, 3))
    b.add("ADD", ("y", "t"), "z", activation="NONE")
    b.graph.outputs = {"hop": "y", "BYTES_OF_bytes": "y", "x_bytes": "z"}
    assert_equals_reference(b.graph, tmp_path, 20)


def test_an_input_that_nothing_writes_is_refused_and_no_file_is_left(tmp_path):
    graph = quantized(steps.denoiser(bins=128), 128)
    b = Builder()
    b.graph = graph
    b.tensor("more", (1, 4), data=None)
    graph.inputs["more"] = "more"
    b.tensor("doubled", (1, 4))
    b.add("ADD", ("more", "more"), "doubled", activation="NONE")
    graph.outputs["doubled"] = "doubled"
    save(graph, tmp_path / "step.tflite")
    with pytest.raises(InputError, match=r"nothing would write this one's input more"):
        export(tmp_path / "step.tflite", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_fast_kernels_have_room_for_their_last_sum():
    """Where there is none, the portable kernel is called."""
    graph = large_bias()
    assert not layers.convolutions(graph, graph.operators[0], "here")[0].fast
    for name in released.names():
        shipped = read(released.find(name))
        for operator in shipped.operators:
            if operator.kind in ("CONV_2D", "FULLY_CONNECTED"):
                assert layers.convolutions(shipped, operator, "here")[0].fast
    assert everything().operators
