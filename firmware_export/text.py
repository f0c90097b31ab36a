"""C source text: arrays, initializers, identifiers, templates."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

LINE = 118
TEMPLATES = Path(__file__).parent / "c"

_TYPES: dict[np.dtype, str] = {
    np.dtype(np.int8): "int8_t",
    np.dtype(np.uint8): "uint8_t",
    np.dtype(np.int16): "int16_t",
    np.dtype(np.uint16): "uint16_t",
    np.dtype(np.int32): "int32_t",
    np.dtype(np.uint32): "uint32_t",
    np.dtype(np.float32): "float",
}


def array(name: str, values: np.ndarray, qualifiers: str = "static const") -> str:
    """The definition of a constant array."""
    values = np.ravel(values)
    return f"{qualifiers} {_TYPES[values.dtype]} {name}[{len(values)}] = {{\n{wrapped(map(number, values))}\n}};\n"


def array_bytes(source: str) -> int:
    """Bytes of the constant arrays that `array` has written into a source."""
    sizes = {name: dtype.itemsize for dtype, name in _TYPES.items()}
    return sum(
        sizes[name] * int(count) for name, count in re.findall(r"^static const (\w+) \w+\[(\d+)\] =", source, re.M)
    )


def number(value: Any) -> str:
    """A C literal of exactly `value`: floats in hexadecimal, since a decimal one may be rounded differently."""
    if isinstance(value, np.floating):
        return f"{float(value).hex()}f"
    if int(value) == -(1 << 31):
        return "(-2147483647 - 1)"
    return f"{int(value)}u" if isinstance(value, np.uint32) else str(int(value))


def wrapped(items: Iterable[str]) -> str:
    """Items with commas, in lines that are not too long."""
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > LINE:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line])


def initializer(fields: Mapping[str, Any]) -> str:
    """{.name = value, ...}; tuples and dataclasses are structs inside, strings are names."""
    return "{" + ", ".join(f".{name} = {_value(value)}" for name, value in fields.items()) + "}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if dataclasses.is_dataclass(value):
        value = tuple(vars(value).values())
    if isinstance(value, tuple):
        return "{" + ", ".join(map(_value, value)) + "}"
    return number(value)


def string(value: str) -> str:
    """A C string literal of exactly `value` in UTF-8: whatever is not a plain character is octal, so nothing ends it."""
    plain = set(range(32, 127)) - set(b'"\\?%')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in value.encode()) + '"'


def identifier(name: str) -> str:
    """`name` in capitals, with underscores for what C does not allow in an identifier."""
    return re.sub(r"\W", "_", name, flags=re.ASCII).upper()


def comment(text: str) -> str:
    """`text`, which may come from a file, as one comment line."""
    printable = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return f"/* {printable.replace('*/', '*?').replace('/*', '?*')[: LINE - 10]} */"


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The file `template` of the folder c with each @NAME@ replaced; every name must be given."""
    text = (TEMPLATES / template).read_text()
    return re.sub(r"@(\w+)@", lambda match: str(values[match.group(1)]), text)
