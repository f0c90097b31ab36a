"""Configuration: frozen dataclasses filled from plain dictionaries, with an error for every key that is not theirs.

Why no library does it: msgspec 0.22 ignores unknown keys of dataclasses (only its own Structs forbid them), reports
`stages[...]` without the stage's name, lets NaN pass and takes no union of two dataclasses. cattrs 26 passes the tests of
this module and of recipes, but only with hooks for numbers, texts, tuples, unions and bounds (by itself it turns "3" into
3) and a walk over its groups of errors that finds the key to name: 75 lines in place of the 75 of `build` and `convert`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from tinyse.errors import InputError

T = TypeVar("T")

FORMER = {
    "quantisation": "quantization",
    "quantise": "quantize",
    "equalise_probability": "equalize_probability",
    "equalise_db": "equalize_db",
    "licence": "license",
    "grids": "qparams",
    "looks_without_gain": "validations_without_improvement",
    "modelled_cycles": "modeled_cycles",
    "modelled_from": "modeled_from",
}
"""Former keys of files, and what they are called now. Such files keep loading."""


REST = "rest"
"""In the metadata of a dataclass's field: keys that name no field are collected here, `arguments: dict[str, Any]`."""

NAMED = ("stages", "builds_on")
"""Keys below which the keys are names that users gave."""


def renamed(values: Any) -> Any:
    """Values read from a file, with former keys by their present names, at any depth."""
    if isinstance(values, dict):
        if "python" in values:  # a network of the user's, whose arguments are called what they are
            return values
        return {
            FORMER.get(key, key): _named(value) if key in NAMED else renamed(value) for key, value in values.items()
        }
    if isinstance(values, list):
        return [renamed(value) for value in values]
    return values


def renamed_tensor(name: str) -> str:
    """The present name of a tensor in a file: normalizations used to be spelled with an s."""
    return name.replace("normalisation", "normalization")


def _named(values: Any) -> Any:
    return {name: renamed(value) for name, value in values.items()} if isinstance(values, dict) else values


@dataclasses.dataclass(frozen=True)
class Between:
    """The values that a number in a file may have, both ends included: `seconds: Annotated[float, Between(0.1, 600)]`.

    A file may come from a stranger, so every number that sizes memory, time or generated code has its bounds.
    """

    low: float
    high: float


def build(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """An instance of the frozen dataclass `cls` from `values`; `where` names the place in messages ("recipe.mixture").

    Raises InputError, by name, for an unknown key, a missing key or a value of the wrong type. The class checks the
    range of its values in `__post_init__` by raising InputError or ValueError.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where or cls.__name__}: expected keys and values, got {values!r}")
    given: dict[str, Any] = renamed(dict(values))
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    prefix = f"{where}." if where else ""
    if (rest := _rest(cls)) is not None:
        del fields[rest]
        given[rest] = {str(key): given.pop(key) for key in list(given) if key not in fields}
    for key in given:
        if key not in fields and (rest is None or key != rest):
            raise InputError(f"unknown key {prefix}{key}{did_you_mean(str(key), fields)}")
    chosen = {key: convert(hints[key], value, f"{prefix}{key}") for key, value in given.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in chosen:
            raise InputError(f"missing key {prefix}{name}")
    try:
        return cls(**chosen)
    except InputError as error:
        raise InputError(placed(cls, where, error)) from error
    except ValueError as error:
        raise InputError(f"{where or cls.__name__}: {error}") from error


def placed(cls: type, where: str, error: InputError) -> str:
    """What a class says of its own values, with its place: words about a key begin with it, such as "hop_ms: ..."."""
    if not where:
        return str(error)
    key = re.match(r"\w*", str(error))
    return f"{where}{'.' if key and key[0] in cls.__dataclass_fields__ else ': '}{error}"  # type: ignore[attr-defined]


def check_bounds(config: Any) -> None:
    """Raise InputError, by name, for a field of the dataclass `config` outside its `Between`; for `__post_init__`."""
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        _check(hints[field.name], getattr(config, field.name), field.name)


def _check(hint: Any, value: Any, where: str) -> None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        for bounds in arguments[1:]:
            if isinstance(bounds, Between) and not bounds.low <= value <= bounds.high:
                raise InputError(f"{where} is {value}: it has to lie between {bounds.low:g} and {bounds.high:g}")
    elif origin is tuple and isinstance(value, tuple):
        each = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        for index, (item_hint, item) in enumerate(zip(each, value, strict=True)):
            _check(item_hint, item, f"{where}[{index}]")


def did_you_mean(given: str, allowed: typing.Iterable[str]) -> str:
    """The ending of an error about a wrong name: the closest allowed one, or all of them."""
    allowed = list(allowed)
    close = difflib.get_close_matches(given, allowed, n=1)
    return f": did you mean {close[0]!r}?" if close else f": known are {', '.join(sorted(allowed)) or 'none'}"


def as_dict(config: Any) -> dict[str, Any]:
    """The plain dictionary (lists for tuples) from which `build` makes an equal instance."""
    values = {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config) if field.init}
    return values if (rest := _rest(type(config))) is None else values | values.pop(rest)


def _rest(cls: Any) -> str | None:
    """The field of a dataclass that collects the keys which name no field."""
    return next((field.name for field in dataclasses.fields(cls) if field.metadata.get(REST)), None)


def convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint` asks for; a whole number passes for a float, a list for a tuple, nothing else bends."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is typing.Annotated:
        converted = convert(arguments[0], value, where)
        _check(hint, converted, where)
        return converted
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        choices = [argument for argument in arguments if argument is not type(None)]
        # The error that is reported is that of the choice which `value` looks like.
        for choice in sorted(choices, key=lambda choice: _looks_like(choice, value)):
            try:
                return convert(choice, value, where)
            except InputError as error:
                last = error
        raise last
    if origin is typing.Literal:
        if value not in arguments:
            raise InputError(f"{where}: {value!r} is not one of {', '.join(map(repr, arguments))}")
        return value
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else build(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{where}: expected a list, got {value!r}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if len(value) != len(arguments):
            raise InputError(f"{where}: expected {len(arguments)} values, got {len(value)}")
        return tuple(
            convert(a, item, f"{where}[{i}]") for i, (a, item) in enumerate(zip(arguments, value, strict=True))
        )
    if origin is dict:
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: expected keys and values, got {value!r}")
        return {convert(arguments[0], k, where): convert(arguments[1], v, f"{where}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # a whole number has no largest one
            number = math.inf
        if not math.isfinite(number):
            raise InputError(f"{where}: {value} is not a finite number")
        return number
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint in (str, bool) and isinstance(value, hint):
        return value
    name = getattr(hint, "__name__", str(hint))
    raise InputError(f"{where}: expected {name}, got {value!r}")


def _looks_like(hint: Any, value: Any) -> int:
    """How far a list or keys and values, where they were given, are what the type `hint` is written as."""
    if isinstance(value, Mapping) and dataclasses.is_dataclass(hint):
        if _rest(hint) is None:
            return 1
        # One that takes any key is meant where its own keys are given, or mistyped.
        own = [field.name for field in dataclasses.fields(hint) if not field.metadata.get(REST)]
        return 2 * all(difflib.get_close_matches(name, map(str, value), n=1) for name in own)
    if isinstance(value, Mapping):
        return typing.get_origin(hint) is dict
    return isinstance(value, (list, tuple)) and typing.get_origin(hint) is tuple


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_dict(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
