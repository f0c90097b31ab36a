"""An ONNX file with Kokoro's inputs and outputs, written by hand: so no test needs the package onnx or a download.

audio = (tokens as a column x style as a row) / speed, flattened: 256 samples for each token.
"""

from __future__ import annotations

FLOAT, INT64 = 1, 7


def varint(value: int) -> bytes:
    """Protobuf's variable-length integer."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def node(kind: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    names = b"".join(field(1, name) for name in inputs)
    return field(1, names + field(2, output) + field(4, kind) + (field(5, attribute) if attribute else b""))


def value(number: int, name: str, kind: int, shape: list[int | str]) -> bytes:
    dims = b"".join(field(1, field(1 if isinstance(size, int) else 2, size)) for size in shape)
    tensor = field(1, kind) + field(2, dims)
    return field(number, field(1, name) + field(2, field(1, tensor)))


def network() -> bytes:
    """The file."""
    cast_to_float = field(1, "to") + field(3, FLOAT) + field(20, 2)
    flat = field(1, 1) + field(2, INT64) + field(7, varint(-1)) + field(8, "flat")
    graph = (
        node("Cast", ["tokens"], "row", cast_to_float)
        + node("Transpose", ["row"], "column")
        + node("MatMul", ["column", "style"], "products")
        + node("Div", ["products", "speed"], "scaled")
        + node("Reshape", ["scaled", "flat"], "audio")
        + field(2, "tiny")
        + field(5, flat)
        + value(11, "tokens", INT64, [1, "n"])
        + value(11, "style", FLOAT, [1, 256])
        + value(11, "speed", FLOAT, [1])
        + value(12, "audio", FLOAT, ["samples"])
    )
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17))
