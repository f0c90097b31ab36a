"""A recipe's file as plain values: files that extend one another, and keys changed on the command line.

Reading needs no torch, which takes seconds to import: a mistake in a path or in YAML is told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyse.config import FORMER, renamed
from tinyse.documents import from_yaml
from tinyse.errors import InputError
from tinyse.files import leads_out


def read_recipe(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The keys and values of a YAML recipe; each override is KEY=VALUE, with dots between keys and the value in YAML.

    A recipe may extend another: `extends: FILE`, relative to its own folder, whose keys hold where it does not say
    otherwise, key by key. Raises InputError for a missing file, broken YAML and an override that is none;
    `tinyse.training.recipe` checks the keys.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no recipe {path}")
    values = _read(path, ())
    output = values.setdefault("output", f"runs/{path.stem}")
    said = any(override.startswith("output=") for override in overrides)  # by the user, who may write anywhere
    if isinstance(output, str) and leads_out(output) and not said:
        raise InputError(f"{path}: output is {output!r}: a recipe writes below the folder that it is started in; "
                         "for another place say --set output=FOLDER")  # fmt: skip
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise InputError(f"--set {override}: expected KEY=VALUE, such as --set stages.teacher.updates=1000")
        _put(
            values, [FORMER.get(part, part) for part in key.split(".")], from_yaml(text, f"--set {override}"), override
        )
    return values


def _read(path: Path, extended_by: tuple[Path, ...]) -> dict[str, Any]:
    """The keys and values of a recipe's file and of those that it extends."""
    if path.resolve() in extended_by:
        raise InputError(f"{path}: extends a recipe that extends it")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"extends: there is no recipe {path}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable YAML: {error}") from error
    values = renamed(from_yaml(text, str(path)))
    if not isinstance(values, dict):
        raise InputError(f"{path}: a recipe is keys and values")
    if "extends" not in values:
        return values
    base = values.pop("extends")
    if not isinstance(base, str):
        raise InputError(f"{path}: extends is {base!r}: expected the file of one recipe")
    if "\0" in base:
        raise InputError(f"{path}: extends is {base!r}, which cannot be the name of a file")
    return _merged(_read(path.parent / base, (*extended_by, path.resolve())), values)


def _merged(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """`base` with `values` in it; where both have keys of their own, key by key."""
    result = dict(base)
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = _merged(base[key], value) if both else value
    return result


def _put(values: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise InputError(f"--set {override}: {key} has no keys of its own")
    values[keys[-1]] = value
