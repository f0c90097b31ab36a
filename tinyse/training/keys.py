"""A reference of configuration from its dataclasses: every key with its values, default, unit and meaning.

The meaning of a key is the docstring below its field, the one place where it is written.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from tinyse.config import REST, Between, as_dict

UNITS = {
    "_db": "dB",
    "_ms": "ms",
    "_s": "s",
    "_hz": "Hz",
    "sample_rate": "Hz",
    "seconds": "s",
}
"""Units by the ending of a key."""
MANY = 1_000_000
"""A bound from here on only keeps a broken file from filling the memory; no user needs to read it."""


class Key(NamedTuple):
    """One key of a configuration file."""

    name: str
    values: str
    """What it may be, with its unit."""
    default: str
    """Empty where it must be given."""
    meaning: str


class Section(NamedTuple):
    """The keys of one dataclass and where in a file they stand."""

    place: str
    """Such as "stages.NAME.distillation"; empty for the outermost."""
    meaning: str
    keys: tuple[Key, ...]


def sections(cls: type, place: str = "") -> list[Section]:
    """`cls` and all dataclasses in it, outermost first."""
    hints = typing.get_type_hints(cls, include_extras=True)
    meanings = meanings_of(cls)
    keys, inner = [], []
    for field in dataclasses.fields(cls):
        if field.metadata.get(REST):
            keys.append(Key("...", "anything", "", meanings.get(field.name, "")))
            continue
        values = _with_unit(values_of(hints[field.name]), field.name)
        keys.append(Key(field.name, values, _default(field), meanings.get(field.name, "")))
        for suffix, found in _dataclasses_in(hints[field.name]):
            inner += sections(found, f"{place}.{field.name}{suffix}".removeprefix("."))
    return [Section(place, _one_line(cls.__doc__ or ""), tuple(keys)), *inner]


def meanings_of(cls: type) -> dict[str, str]:
    """The docstrings below the fields of a dataclass."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    found: dict[str, str] = {}
    body = tree.body  # type: ignore[attr-defined]
    for pair in itertools.pairwise(body):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = _one_line(text)
    return found


def values_of(hint: Any) -> str:
    """What a type allows, in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        bounds = next((each for each in arguments[1:] if isinstance(each, Between)), None)
        within = f", {bounds.low:g} {f'to {bounds.high:g}' if bounds.high < MANY else 'or more'}" if bounds else ""
        return values_of(arguments[0]) + within
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys("nothing" if each is type(None) else values_of(each) for each in arguments))
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin is tuple:
        many = values_of(arguments[0]).replace("number", "numbers", 1)
        return f"list of {many}" if arguments[-1] is Ellipsis else f"{len(arguments)} {many}"
    if origin is dict:
        return f"{values_of(arguments[1])} by name"
    if dataclasses.is_dataclass(hint):
        return "keys"
    return {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}[hint]


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
        return "see below" if dataclasses.is_dataclass(value) else _written(value)
    return "" if field.default is dataclasses.MISSING else _written(field.default)


def _written(value: Any) -> str:
    """A default as YAML has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = as_dict(value)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(each)}" for key, each in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_unit(values: str, name: str) -> str:
    """The unit stands by the numbers: "number, 1 to 256 ms or nothing"."""
    unit = next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")
    numbers, nothing, _ = values.partition(" or nothing")
    return f"{numbers} {unit}".rstrip() + nothing


def _dataclasses_in(hint: Any) -> Iterator[tuple[str, type]]:
    """Dataclasses that a type holds, each with what stands between the key and theirs (".NAME" in a dictionary)."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield "", hint
        return
    suffix = ".NAME" if typing.get_origin(hint) is dict else ""
    seen = set()
    for argument in typing.get_args(hint):
        for inner, found in _dataclasses_in(argument):
            if found not in seen:
                seen.add(found)
                yield suffix + inner, found


def _one_line(text: str) -> str:
    return " ".join(text.split())
