"""JSON and YAML from untrusted files: plain values, or one InputError that says what is wrong with them.

The libraries raise many kinds of errors on a hostile document, and a few lines of YAML may name a list of a billion items,
or one that holds itself. So what is read is bounded in depth and, with every alias counted as what it stands for, in items.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinyse.errors import InputError, needs
from tinyse.files import read_bytes

MAX_CHARACTERS = 1 << 20
"""The most in a YAML document, which people write."""
MAX_DEPTH = 64
MAX_ITEMS = 100_000
"""The most in a YAML document."""
MAX_DIGITS = 1000
"""The most in a whole number."""
MAX_LINE_BYTES = 1 << 20
"""The most in a line of a JSON lines file."""
MAX_RATIO = 200
DEEP = f"nested deeper than {MAX_DEPTH} levels"

WHOLE = "tag:yaml.org,2002:int"
NUMBERS = {
    WHOLE: "[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+",
    "tag:yaml.org,2002:float": (
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ),
}
"""How numbers are written, by YAML's tag."""
_FAILURES = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
"""What json and PyYAML raise, besides PyYAML's own errors, on a date of month 99, on `!!int ""` and on their like."""


def from_json(text: str | bytes, where: str, finite: bool = True) -> Any:
    """The values in JSON; `finite` refuses NaN and infinity, which are Python's own. Raises InputError that names `where`."""
    try:
        values = json.loads(text, parse_constant=_refuse_constant if finite else None)
        _check_depth(values)
        return values
    except _FAILURES as error:
        reason = DEEP if isinstance(error, RecursionError) else error
        raise InputError(f"{where}: no readable JSON: {reason}") from error


def read_own_json(path: Path, *keys: str) -> dict[str, Any]:
    """The object in a JSON file that an earlier command of tinyse wrote, with at least these keys.

    Raises InputError for a file that is damaged or that something else wrote.
    """
    values = from_json(read_bytes(path), str(path))
    if not isinstance(values, dict) or not all(key in values for key in keys):
        raise InputError(f"{path} is not a file that tinyse wrote: remove it, or give another folder")
    return values


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in a file of JSON lines, .gz or not, each with its place for messages.

    Raises InputError for a file that cannot be read, a line that is too long or not an object, and a .gz that unpacks to more
    than `MAX_RATIO` times its size.
    """
    packed = path.suffix == ".gz"
    read = 0
    try:
        limit = max(MAX_LINE_BYTES, MAX_RATIO * path.stat().st_size)
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            for number in itertools.count(1):
                line = file.readline(MAX_LINE_BYTES + 1)
                where = f"{path}, line {number}"
                read += len(line)
                if len(line) > MAX_LINE_BYTES:
                    raise InputError(f"{where}: longer than {MAX_LINE_BYTES} bytes")
                if packed and read > limit:
                    raise InputError(
                        f"{path}: it unpacks to more than {MAX_RATIO} times its size, which no manifest does"
                    )
                if not line:
                    return
                if line.strip():
                    values = from_json(line, where)
                    if not isinstance(values, dict):
                        raise InputError(f"{where}: expected keys and values")
                    yield where, values
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def from_yaml(text: str, where: str) -> Any:
    """The values in YAML 1.1 with the numbers of YAML 1.2: 1e-3 is one, 010 is ten, 1:30 is text. Raises InputError that
    names `where`."""
    with needs("train", "pyyaml"):
        import yaml

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise InputError(DEEP)
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            seen = set()
            for key, _ in node.value:
                at, kind = f"line {key.start_mark.line + 1}", key.tag.rsplit(":")[-1]
                if kind not in ("str", "merge"):
                    written = f" {key.value!r}" if isinstance(key, yaml.ScalarNode) else ""
                    raise InputError(f"{at}: YAML reads the key{written} as {kind}, not as text: put it in quotes")
                if kind == "str" and key.value in seen:
                    raise InputError(f"{at}: the key {key.value!r} was given before")
                seen.add(key.value)
            return node

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in NUMBERS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for tag, pattern in NUMBERS.items():
        Loader.add_implicit_resolver(tag, re.compile(rf"(?:{pattern})$"), list("-+.0123456789"))
    Loader.add_constructor(WHOLE, lambda loader, node: _whole(node.value))
    try:
        if len(text) > MAX_CHARACTERS:
            raise InputError(f"longer than {MAX_CHARACTERS} characters")
        loader = Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _count(root, {}, set())
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: no readable YAML: {str(error).splitlines()[0]}") from error
    except _FAILURES as error:
        raise InputError(f"{where}: no readable YAML: {error or type(error).__name__}") from error


def _whole(text: str) -> int:
    """Raises InputError for more digits than Python prints, which it reads only as decimal ones."""
    if len(text) > MAX_DIGITS:
        raise InputError(f"a number of {len(text)} digits")
    return int(text, 0 if text[1:2] in ("x", "o") else 10)


def _count(node: Any, counted: dict[int, int], above: set[int]) -> int:
    """Items under a node of YAML. Raises InputError for too many and for a node inside itself."""
    if id(node) in above:
        raise InputError("an alias stands inside what it names")
    if id(node) not in counted:
        children = node.value if isinstance(node.value, list) else ()
        total = 1
        for child in children:
            for each in child if isinstance(child, tuple) else (child,):
                total += _count(each, counted, above | {id(node)})
        if total > MAX_ITEMS:
            raise InputError(f"more than {MAX_ITEMS} items, aliases counted as what they name")
        counted[id(node)] = total
    return counted[id(node)]


def _check_depth(values: Any) -> None:
    """Raise InputError for lists and objects within one another beyond `MAX_DEPTH`."""
    level = [values]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for each in level
            if isinstance(each, (dict, list))
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise InputError(DEEP)


def _refuse_constant(text: str) -> Any:
    raise InputError(f"{text} is not a number of JSON")
