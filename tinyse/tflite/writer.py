"""A graph as a .tflite file: the same graph gives the same bytes, on every machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinyse import files
from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Tensor
from tinyse.graph.operators import OPERATORS
from tinyse.graph.validation import validate
from tinyse.tflite import operators
from tinyse.tflite.runtime_versions import oldest_runtime

IDENTIFIER = b"TFL3"
SIGNATURE = "serving_default"
METADATA = "tinyse"
RUNTIME_METADATA, RUNTIME_BYTES = "min_runtime_version", 16
TENSOR_TYPES: dict[np.dtype, int] = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
}
BUFFER_ALIGNMENT = 16


def save(graph: Graph, path: str | Path) -> None:
    """Write `graph` to the .tflite file `path`, whole or not at all."""
    files.write_bytes(path, write(graph))


def write(graph: Graph) -> bytes:
    """The bytes of a .tflite file that holds `graph`: one subgraph, one signature, our metadata.

    Inputs and outputs of subgraph and signature are in the order of `graph.inputs` and `graph.outputs`, so that TFLM,
    which knows numbers only, and LiteRT, which knows names, agree. The tensor of a state's next value is named after the
    state, `encoder_1_next`, for tools that show no signature. Raises InputError for a graph that is not valid.
    """
    validate(graph)
    model = schema.ModelT()
    model.version = 3
    model.description = "tinyse"
    model.buffers = [_Buffer(b"")]  # by convention the first buffer is empty: it belongs to all that is not constant
    model.subgraphs = [_subgraph(graph, model.buffers)]
    model.operatorCodes, indices = _operator_codes(graph)
    for operator, index in zip(model.subgraphs[0].operators, indices, strict=True):
        operator.opcodeIndex = index
    model.signatureDefs = [_signature(graph)]
    if graph.metadata:
        model.metadata = [_metadata(graph.metadata, model.buffers)]
    oldest = oldest_runtime((operator.kind, operators.version(operator, graph)) for operator in graph.operators)
    if oldest is not None:
        runtime = _entry(RUNTIME_METADATA, oldest.encode().ljust(RUNTIME_BYTES, b"\0"), model.buffers)
        model.metadata = [*(model.metadata or []), runtime]
    builder = _Builder(1 << 16)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    """A builder that writes equal vectors once: zero points, and shapes, are mostly the same, and flash is dear."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


class _Buffer(schema.BufferT):
    """A buffer whose content starts at a multiple of 16 bytes, as the schema asks and Python's generated code forgets.

    Kernels read weights and biases in place: a misaligned int32 is a fault on a Cortex-M.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content

    def Pack(self, builder: flatbuffers.Builder) -> int:
        vector = None
        if self.content:
            builder.StartVector(1, len(self.content), BUFFER_ALIGNMENT)
            builder.head -= len(self.content)
            builder.Bytes[builder.head : builder.head + len(self.content)] = self.content
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def _subgraph(graph: Graph, buffers: list[Any]) -> schema.SubGraphT:
    index = {name: position for position, name in enumerate(graph.tensors)}
    subgraph = schema.SubGraphT()
    subgraph.name = graph.name
    names = _next_states(graph)
    subgraph.tensors = [
        _tensor(tensor, names.get(name, tensor.name), buffers) for name, tensor in graph.tensors.items()
    ]
    subgraph.inputs = [index[name] for name in graph.inputs.values()]
    subgraph.outputs = [index[name] for name in graph.outputs.values()]
    subgraph.operators = []
    for operator in graph.operators:
        packed = schema.OperatorT()
        packed.inputs = [index[name] for name in operator.inputs]
        packed.outputs = [index[name] for name in operator.outputs]
        packed.builtinOptionsType, packed.builtinOptions = operators.write_options(operator, graph)
        subgraph.operators.append(packed)
    return subgraph


def _next_states(graph: Graph) -> dict[str, str]:
    """Names in the file of the tensors that are a state's next value; one that is an input as well keeps its own."""
    states: dict[str, str] = {}
    for state in graph.states:
        states.setdefault(graph.outputs[state], f"{state}_next")
    taken = {*graph.inputs.values(), *graph.tensors}
    return {
        tensor: name for tensor, name in states.items() if tensor not in graph.inputs.values() and name not in taken
    }


def _tensor(tensor: Tensor, name: str, buffers: list[Any]) -> schema.TensorT:
    packed = schema.TensorT()
    packed.name = name
    packed.shape = np.array(tensor.shape, np.int32)
    packed.type = TENSOR_TYPES[np.dtype(tensor.dtype)]
    packed.hasRank = True
    if tensor.data is not None:
        packed.buffer = len(buffers)
        little_endian = tensor.data.astype(np.dtype(tensor.dtype).newbyteorder("<"), copy=False)
        buffers.append(_Buffer(little_endian.tobytes()))
    if tensor.quantization is not None:
        qparams = schema.QuantizationParametersT()
        qparams.scale = tensor.quantization.scale
        qparams.zeroPoint = np.full(len(qparams.scale), tensor.quantization.zero_point, np.int64)
        qparams.quantizedDimension = tensor.quantization.axis
        packed.quantization = qparams
    return packed


def _operator_codes(graph: Graph) -> tuple[list[schema.OperatorCodeT], list[int]]:
    """The codes in order of first use, and for each operator the index of its own."""
    keys = [(operator.kind, operators.version(operator, graph)) for operator in graph.operators]
    known = list(dict.fromkeys(keys))
    codes = []
    for kind, version in known:
        code = schema.OperatorCodeT()
        code.builtinCode = OPERATORS[kind].code
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        codes.append(code)
    return codes, [known.index(key) for key in keys]


def _signature(graph: Graph) -> schema.SignatureDefT:
    index = {name: position for position, name in enumerate(graph.tensors)}
    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE
    signature.inputs = [_named(name, index[tensor]) for name, tensor in graph.inputs.items()]
    signature.outputs = [_named(name, index[tensor]) for name, tensor in graph.outputs.items()]
    return signature


def _named(name: str, tensor: int) -> schema.TensorMapT:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, tensor
    return entry


def _metadata(values: dict[str, Any], buffers: list[Any]) -> schema.MetadataT:
    try:
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the metadata must be JSON: {error}") from error
    return _entry(METADATA, text.encode(), buffers)


def _entry(name: str, content: bytes, buffers: list[Any]) -> schema.MetadataT:
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(buffers)
    buffers.append(_Buffer(content))
    return entry
