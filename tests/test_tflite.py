"""Files: what is written is what is read, the same bytes every time; what is not ours is refused in one line."""

from __future__ import annotations

import time

import flatbuffers
import numpy as np
import pytest
import steps
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Operator, Quantization
from tinyse.quantization.calibration import calibrate
from tinyse.quantization.quantize import quantize
from tinyse.tflite import operators
from tinyse.tflite.reader import read
from tinyse.tflite.runtime_versions import oldest_runtime
from tinyse.tflite.writer import save, write


@pytest.fixture(scope="module")
def float_graph() -> Graph:
    return steps.denoiser()


@pytest.fixture(scope="module")
def quantized_graph(float_graph: Graph) -> Graph:
    return quantize(float_graph, calibrate(float_graph, [("noise", {"features": steps.features(60)})]))


@pytest.fixture(scope="module")
def content(quantized_graph: Graph) -> bytes:
    return write(quantized_graph)


@pytest.mark.parametrize("kind", ["float", "integer"])
def test_round_trip_is_byte_identical(kind: str, float_graph: Graph, quantized_graph: Graph) -> None:
    graph = float_graph if kind == "float" else quantized_graph
    first = write(graph)
    again = read(first)
    assert write(again) == first == write(graph)
    assert (again.inputs, list(again.outputs), again.states) == (graph.inputs, list(graph.outputs), graph.states)
    assert again.metadata == graph.metadata
    for tensor, other in zip(graph.tensors.values(), again.tensors.values(), strict=True):
        becomes_a_state = [state for state in graph.states if graph.outputs[state] == tensor.name]
        assert other.name in (tensor.name, *(f"{state}_next" for state in becomes_a_state))
        assert (other.shape, other.dtype, other.quantization) == (tensor.shape, tensor.dtype, tensor.quantization)
        assert tensor.data is None or np.array_equal(tensor.data, other.data)


def test_constants_are_aligned_to_16_bytes(content: bytes) -> None:
    model = schema.Model.GetRootAs(content)
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength():
            start = buffer.DataAsNumpy().__array_interface__["data"][0]
            origin = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
            assert (start - origin) % 16 == 0


def test_signature_and_subgraph_have_the_order_of_the_graph(content: bytes, quantized_graph: Graph) -> None:
    model = schema.Model.GetRootAs(content)
    subgraph, signature = model.Subgraphs(0), model.SignatureDefs(0)
    names = [signature.Inputs(i).Name().decode() for i in range(signature.InputsLength())]
    assert names == list(quantized_graph.inputs)
    assert [signature.Inputs(i).TensorIndex() for i in range(len(names))] == list(subgraph.InputsAsNumpy())
    assert [signature.Outputs(i).TensorIndex() for i in range(signature.OutputsLength())] == list(
        subgraph.OutputsAsNumpy()
    )


def test_what_becomes_a_state_is_named_after_it(content: bytes, quantized_graph: Graph) -> None:
    """Tools that show no signature showed the next `encoder_2` as `encoder_1/step`."""
    model = schema.Model.GetRootAs(content)
    subgraph, signature = model.Subgraphs(0), model.SignatureDefs(0)
    names = {
        signature.Outputs(i).Name().decode(): subgraph.Tensors(signature.Outputs(i).TensorIndex()).Name().decode()
        for i in range(signature.OutputsLength())
    }
    given = set(quantized_graph.inputs.values())
    states = [state for state in quantized_graph.states if quantized_graph.outputs[state] not in given]
    assert len(states) > 1
    for state in states:
        assert names[state] == f"{state}_next"
    everything = [subgraph.Tensors(i).Name() for i in range(subgraph.TensorsLength())]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize(("kind", "oldest"), [("float", "1.14.0"), ("integer", "1.14.0")])
def test_the_oldest_runtime_is_told(kind: str, oldest: str, float_graph: Graph, quantized_graph: Graph) -> None:
    model = schema.Model.GetRootAs(write(float_graph if kind == "float" else quantized_graph))
    found = {
        model.Metadata(i).Name().decode(): model.Buffers(model.Metadata(i).Buffer()).DataAsNumpy().tobytes()
        for i in range(model.MetadataLength())
    }
    assert len(found["min_runtime_version"]) == 16
    assert found["min_runtime_version"].rstrip(b"\0").decode() == oldest


def test_every_operator_that_is_written_has_an_oldest_runtime() -> None:
    for kind, row in operators.SERIALIZATIONS.items():
        for version in row.versions:
            assert oldest_runtime([(kind, version)]), (kind, version)
    assert oldest_runtime([("ADD", 1), ("SPLIT", 4), ("TANH", 2)]) == "2.3.0"
    assert oldest_runtime([("ADD", 1), ("UNHEARD_OF", 1)]) is None


def test_save_and_read_a_path(tmp_path, quantized_graph: Graph, content: bytes) -> None:
    save(quantized_graph, tmp_path / "model.tflite")
    assert (tmp_path / "model.tflite").read_bytes() == content
    assert write(read(tmp_path / "model.tflite")) == content


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a .tflite"),
        (b"hello, world", "not a .tflite"),
        (b"\x00" * 100, "not a .tflite"),
        (b"\xff\xff\xff\xff" + b"TFL3" + b"\xff" * 100, "damaged"),
        (b"\x08\x00\x00\x00TFL3" + b"\x00" * 50, "damaged|version"),
    ],
)
def test_what_is_no_tflite_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(data)


def test_missing_file_and_folder_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.tflite")
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path)
    with pytest.raises(InputError):
        read("a\0b.tflite")


def test_every_truncation_is_refused_or_read(content: bytes) -> None:
    for length in range(0, len(content), 97):
        with pytest.raises(InputError) as caught:
            read(content[:length])
        assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bit_flips_give_a_graph_or_one_line(data: st.DataObject, content: bytes) -> None:
    flipped = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        # Structure lies at both ends; weights, where flips are harmless, in the middle.
        position = data.draw(st.one_of(st.integers(0, 4000), st.integers(0, len(content) - 1))) % len(content)
        flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    _read_or_refuse(bytes(flipped))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 2**32 - 1)), min_size=1, max_size=5))
def test_hostile_words_give_a_graph_or_one_line(words: list[tuple[int, int]], content: bytes) -> None:
    hostile = bytearray(content)
    for position, word in words:
        position = min(position * 4, len(content) - 4)
        hostile[position : position + 4] = word.to_bytes(4, "little")
    _read_or_refuse(bytes(hostile))


def _read_or_refuse(data: bytes) -> None:
    start = time.perf_counter()
    try:
        graph, refusal = read(data), ""
    except InputError as error:
        graph, refusal = None, str(error)
    assert "\n" not in refusal
    assert graph is None or list(read(write(graph)).outputs) == list(graph.outputs)
    assert time.perf_counter() - start < 5


def test_overlapping_vectors_do_not_multiply_the_work() -> None:
    """A quarter of a megabyte that claims 60,000 tensors, all the same one with a long shape."""
    builder = flatbuffers.Builder(1 << 10)
    name = builder.CreateString("x")
    schema.TensorStartShapeVector(builder, 5000)
    for _ in range(5000):
        builder.PrependInt32(1)
    shape = builder.EndVector()
    schema.TensorStart(builder)
    schema.TensorAddShape(builder, shape)
    schema.TensorAddName(builder, name)
    tensor = schema.TensorEnd(builder)
    schema.SubGraphStartTensorsVector(builder, 60000)
    for _ in range(60000):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    subgraph = schema.SubGraphEnd(builder)
    schema.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(subgraph)
    subgraphs = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, subgraphs)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    with pytest.raises(InputError):
        read(bytes(builder.Output()))


def test_a_small_file_cannot_ask_for_endless_work() -> None:
    graph = Graph("g")
    x = graph.add_input("x", (1, 1, 1 << 20, 1))
    graph.add_output("y", graph.convolution("y", x, np.ones((1, 1, 1 << 10, 1)), np.zeros(1)))
    with pytest.raises(InputError, match="too many"):
        write(graph)
    graph = Graph("g")
    x = graph.add_input("x", (1, 1))
    for index in range(3000):
        x = graph.unary("TANH", f"y{index}", x)
    graph.add_output("y", x)
    with pytest.raises(InputError, match="too many"):
        write(graph)


def _repacked(content: bytes, change) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _external(model) -> None:
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 1000, 64


def _variable(model) -> None:
    model.subgraphs[0].tensors[0].isVariable = True


def _strange_type(model) -> None:
    model.subgraphs[0].tensors[0].type = schema.TensorType.COMPLEX64


def _bad_scale(model) -> None:
    model.subgraphs[0].tensors[0].quantization.scale = [float("nan")]


def _fewer_zero_points(model) -> None:
    _per_channel(model).zeroPoint = [0]


def _unequal_zero_points(model) -> None:
    quantization = _per_channel(model)
    quantization.zeroPoint = [0] * (len(quantization.scale) - 1) + [1]


def _per_channel(model):
    given = (tensor.quantization for tensor in model.subgraphs[0].tensors if tensor.quantization is not None)
    return next(quantization for quantization in given if len(quantization.scale) > 1)


def _other_state_scale(model) -> None:
    tensors = model.subgraphs[0].tensors
    name = next(i for i, t in enumerate(tensors) if t.name == b"groups")
    tensors[name].quantization.scale = [1 / 127]


def _custom_operator(model) -> None:
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.CUSTOM


def _no_signature(model) -> None:
    model.signatureDefs = []


def _no_bias(model) -> None:
    operator = next(o for o in model.subgraphs[0].operators if len(o.inputs) == 3)
    operator.inputs = [*operator.inputs[:2], -1]


def _backwards(model) -> None:
    model.subgraphs[0].operators.reverse()


def _relu6(model) -> None:
    operator = next(o for o in model.subgraphs[0].operators if hasattr(o.builtinOptions, "strideH"))
    operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU6


def _huge(model) -> None:
    model.subgraphs[0].tensors[0].shape = [1, 1, 2**30, 16]


def _wrapping(model) -> None:
    """A size that is small in 64 bits."""
    model.subgraphs[0].tensors[0].shape = [2**16, 2**16, 2**16, 2**16]


def _two_subgraphs(model) -> None:
    model.subgraphs.append(model.subgraphs[0])


def _metadata_nan(model) -> None:
    index = model.metadata[0].buffer
    model.buffers[index].data = list(b'{"format": NaN}')


def _metadata_escape(model) -> None:
    model.buffers[model.metadata[0].buffer].data = list(rb'{"model": "\u001b[31mred"}')


def _metadata_no_name(model) -> None:
    model.buffers[model.metadata[0].buffer].data = list(b'{"model": ["x"]}')


def _metadata_deep(model) -> None:
    model.buffers[model.metadata[0].buffer].data = list(b"[" * 100000)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_external, "outside the model"),
        (_variable, "variable"),
        (_strange_type, "unknown type"),
        (_bad_scale, "positive, finite"),
        (_fewer_zero_points, "scales and 1 zero points"),
        (_unequal_zero_points, "zero points of its channels differ"),
        (_other_state_scale, "groups"),
        (_custom_operator, "CUSTOM is unknown"),
        (_no_signature, "no signature"),
        (_no_bias, "lacks one"),
        (_backwards, "before it is made"),
        (_relu6, "activation 3"),
        (_huge, "MiB"),
        (_wrapping, "MiB"),
        (_two_subgraphs, "one subgraph"),
        (_metadata_nan, "NaN"),
        (_metadata_deep, "nested deeper"),
        (_metadata_escape, r"names the model '\\x1b\[31mred', which is no name"),
        (_metadata_no_name, "which is no name"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_a_graph_cannot_say_is_refused(change, words: str, content: bytes) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read(_repacked(content, change))
    assert "\n" not in str(caught.value)


def test_a_graph_that_is_not_valid_is_not_written(float_graph: Graph) -> None:
    def graph() -> Graph:
        return Graph(
            "g",
            dict(float_graph.tensors),
            list(float_graph.operators),
            dict(float_graph.inputs),
            dict(float_graph.outputs),
        )

    broken = graph()
    broken.outputs["features/copy"] = "features"
    with pytest.raises(InputError, match="copy it with a RESHAPE"):
        write(broken)
    broken = graph()
    broken.operators[0] = Operator("SOFTMAX", broken.operators[0].inputs, broken.operators[0].outputs)
    with pytest.raises(InputError, match="SOFTMAX"):
        write(broken)
    broken = graph()
    steps.change(broken, "flat", shape=(1, 31))
    with pytest.raises(InputError, match="flat"):
        write(broken)
    broken = graph()
    broken.metadata = {"epoch": float("nan")}
    with pytest.raises(InputError, match="JSON"):
        write(broken)


def test_unequal_state_scales_are_not_written(quantized_graph: Graph) -> None:
    graph = Graph(
        "g", dict(quantized_graph.tensors), quantized_graph.operators, quantized_graph.inputs, quantized_graph.outputs
    )
    state = graph.tensors["shared"]
    steps.change(graph, "shared", quantization=Quantization(state.quantization.scale * np.float32(1.005), 0))
    with pytest.raises(InputError, match="shared"):
        write(graph)
