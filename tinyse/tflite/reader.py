"""A .tflite file as a graph. The file may come from anywhere: whatever is in it, the answer is a graph or one error.

Nothing is copied before its size is known to be bounded. Tables are read one at a time through the schema's accessors,
which reach no byte outside the file; their vectors may overlap, so the number of elements taken is counted against the
size of the file, and a small file cannot ask for much work. What is read is validated like a graph of our own.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinyse.documents import from_json
from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Operator, Quantization, Tensor
from tinyse.graph.operators import OPERATORS
from tinyse.graph.validation import validate
from tinyse.tflite import operators
from tinyse.tflite.writer import IDENTIFIER, METADATA, SIGNATURE, TENSOR_TYPES

MAX_FILE_BYTES = 1 << 28
MAX_VALUE_BYTES = 1 << 28
MAX_NAME_BYTES = 1 << 10
MAX_METADATA_BYTES = 1 << 20
SHARING = 4
"""How many times over a file may refer to its own bytes: other writers share a few vectors, hostile ones all."""

_DTYPES: dict[int, np.dtype] = {code: dtype for dtype, code in TENSOR_TYPES.items()}
_KINDS = {specification.code: kind for kind, specification in OPERATORS.items()}
_BROKEN = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, RecursionError)
"""What flatbuffers, numpy, json and UTF-8 raise on bytes that are not what they seem."""


def read(source: str | Path | bytes) -> Graph:
    """The graph in a .tflite file, given as a path or as its bytes; validated.

    Raises InputError, in one line, for a file that is no .tflite, is damaged, lacks the signature "serving_default", or
    has an operator, a type or an option that a Graph cannot express. Constants are copies, they keep no file open.
    """
    data, name = (source, "the .tflite") if isinstance(source, bytes) else (_load(Path(source)), str(source))
    try:
        graph = _Reader(data).graph()
        validate(graph)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except _BROKEN as error:
        raise InputError(f"{name}: damaged, or not a .tflite file ({type(error).__name__})") from error
    return graph


def _load(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise InputError(f"{path}: there is no such file")
        if os.path.getsize(path) > MAX_FILE_BYTES:
            raise InputError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB, which no step of ours is")
        if path.suffix == ".safetensors":
            raise InputError(
                f"{path}: these are weights, not a .tflite file: tinyse export {path} --output FOLDER makes one"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {path}: {error}") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        if len(data) < 8 or data[4:8] != IDENTIFIER or len(data) > MAX_FILE_BYTES:
            raise InputError("not a .tflite file (no TFL3 at its start)")
        self.left = SHARING * len(data)
        self.model = schema.Model.GetRootAs(data)

    def graph(self) -> Graph:
        model = self.model
        if model.Version() != 3:
            raise InputError(f"version {model.Version()} of the format, only 3 is known")
        if model.SubgraphsLength() != 1 or model.ExternalBufferGroupsLength() or model.ExternalBuffersLength():
            raise InputError("one subgraph and no external buffers are expected")
        subgraph = model.Subgraphs(0)
        tensors = [self._tensor(subgraph.Tensors(i)) for i in range(self._take(subgraph.TensorsLength()))]
        names = [tensor.name for tensor in tensors]
        graph = Graph(self._text(subgraph.Name(), "subgraph"), {tensor.name: tensor for tensor in tensors})
        if len(graph.tensors) != len(tensors):
            raise InputError("two tensors have the same name")
        if sum(tensor.bytes for tensor in tensors) > MAX_VALUE_BYTES:
            raise InputError(f"its tensors need more than {MAX_VALUE_BYTES >> 20} MiB")
        count = self._take(subgraph.OperatorsLength())
        graph.operators = [self._operator(subgraph.Operators(i), names) for i in range(count)]
        graph.inputs, graph.outputs = self._signature(subgraph, names)
        graph.metadata = self._metadata()
        return graph

    def _take(self, count: int) -> int:
        """Account for `count` elements of the file; more than it can hold means that its vectors overlap."""
        self.left -= count
        if self.left < 0:
            raise InputError("damaged: it refers to more than it holds")
        return count

    def _text(self, value: bytes | None, what: str) -> str:
        self._take(len(value or b""))
        if not value or len(value) > MAX_NAME_BYTES:
            raise InputError(f"a {what} has no name, or one that is too long")
        return value.decode()

    def _vector(self, table: Any, field: str) -> np.ndarray:
        """A vector of numbers; empty where the field is absent."""
        self._take(getattr(table, f"{field}Length")())
        value = getattr(table, f"{field}AsNumpy")()
        return value if isinstance(value, np.ndarray) else np.zeros(0, np.int64)

    def _tensor(self, table: Any) -> Tensor:
        name = self._text(table.Name(), "tensor")
        if table.IsVariable() or table.Sparsity() is not None or table.ExternalBuffer():
            raise InputError(f"tensor {name!r} is variable, sparse or kept in another file")
        if table.Type() not in _DTYPES:
            raise InputError(f"tensor {name!r} has the unknown type {table.Type()}")
        dtype, shape = _DTYPES[table.Type()], tuple(int(size) for size in self._vector(table, "Shape"))
        if any(size < 1 for size in shape):
            raise InputError(f"tensor {name!r} has the unusable shape {shape}")
        content = self._buffer(table.Buffer())
        data = None
        if content:
            if len(content) != math.prod(shape) * dtype.itemsize:
                raise InputError(f"constant {name!r}: {len(content)} bytes are not a {dtype} {shape}")
            data = np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
        return Tensor(name, shape, dtype, data, self._quantization(table.Quantization(), name))

    def _quantization(self, table: Any, name: str) -> Quantization | None:
        if table is None or not table.ScaleLength():
            return None
        if table.DetailsType():
            raise InputError(f"tensor {name!r} is quantized in an unknown way")
        scale, zero_points = self._vector(table, "Scale"), self._vector(table, "ZeroPoint")
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise InputError(f"tensor {name!r}: a scale must be a positive, finite number")
        if len(zero_points) not in (0, len(scale)):
            raise InputError(f"tensor {name!r} has {len(scale)} scales and {len(zero_points)} zero points")
        if np.unique(zero_points).size > 1:
            raise InputError(f"tensor {name!r}: the zero points of its channels differ")
        return Quantization(scale.copy(), int(zero_points[0]) if len(zero_points) else 0, table.QuantizedDimension())

    def _buffer(self, index: int) -> bytes:
        if not 0 <= index < self.model.BuffersLength():
            raise InputError(f"there is no buffer {index}")
        table = self.model.Buffers(index)
        if table.Offset() > 1 or table.Size() > 1:
            raise InputError("a buffer lies outside the model: write the file with all its data inside")
        return self._vector(table, "Data").astype(np.uint8, copy=False).tobytes()

    def _operator(self, table: Any, names: list[str]) -> Operator:
        index = table.OpcodeIndex()
        if not 0 <= index < self.model.OperatorCodesLength():
            raise InputError(f"there is no operator code {index}")
        code = self.model.OperatorCodes(index)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if number not in _KINDS:
            raise InputError(f"operator {_name_of(number)} is unknown: known are {', '.join(_KINDS.values())}")
        options = operators.read_options(_KINDS[number], table.BuiltinOptionsType(), table.BuiltinOptions())
        inputs, outputs = (self._names(self._vector(table, field), names) for field in ("Inputs", "Outputs"))
        return Operator(_KINDS[number], inputs, outputs, options)

    def _names(self, indices: np.ndarray, names: list[str]) -> tuple[str, ...]:
        if any(not 0 <= index < len(names) for index in indices):
            raise InputError("an operator has a tensor that does not exist, or lacks one (a bias, for instance)")
        return tuple(names[index] for index in indices)

    def _signature(self, subgraph: Any, names: list[str]) -> tuple[dict[str, str], dict[str, str]]:
        count = self._take(self.model.SignatureDefsLength())
        found = [s for s in map(self.model.SignatureDefs, range(count)) if s.SignatureKey() == SIGNATURE.encode()]
        if len(found) != 1 or found[0].SubgraphIndex():
            raise InputError(f"it has no signature {SIGNATURE!r}: give a .tflite that tinyse has written")
        inputs = self._tensor_map(found[0].Inputs, found[0].InputsLength(), names)
        outputs = self._tensor_map(found[0].Outputs, found[0].OutputsLength(), names)
        return (
            _in_order(inputs, self._names(self._vector(subgraph, "Inputs"), names)),
            _in_order(outputs, self._names(self._vector(subgraph, "Outputs"), names)),
        )

    def _tensor_map(self, entry: Any, length: int, names: list[str]) -> dict[str, str]:
        mapping = {}
        for item in map(entry, range(self._take(length))):
            mapping[self._text(item.Name(), "signature")] = self._names(np.array([item.TensorIndex()]), names)[0]
        if len(mapping) != length:
            raise InputError("its signature has a name twice")
        return mapping

    def _metadata(self) -> dict[str, Any]:
        for i in range(self._take(self.model.MetadataLength())):
            entry = self.model.Metadata(i)
            if entry.Name() != METADATA.encode():
                continue
            content = self._buffer(entry.Buffer())
            if len(content) > MAX_METADATA_BYTES:
                raise InputError(f"its metadata {METADATA!r} is larger than {MAX_METADATA_BYTES >> 20} MiB")
            values = from_json(content, f"its metadata {METADATA!r}")
            if not isinstance(values, dict):
                raise InputError(f"its metadata {METADATA!r} is not a JSON object")
            name = values.get("model", "")
            if not isinstance(name, str) or not name.isprintable() or len(name) > MAX_NAME_BYTES:
                raise InputError(f"its metadata {METADATA!r} names the model {str(name)[:80]!r}, which is no name")
            return values
        return {}


def _in_order(mapping: dict[str, str], tensors: tuple[str, ...]) -> dict[str, str]:
    """`mapping` in the order of the subgraph's `tensors`: TFLM knows that order only, LiteRT only the names."""
    if sorted(mapping.values()) != sorted(tensors):
        raise InputError("its signature and its subgraph disagree")
    return dict(sorted(mapping.items(), key=lambda item: tensors.index(item[1])))


def _name_of(number: int) -> str:
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    return names.get(number, str(number))
