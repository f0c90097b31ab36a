"""YAML that people write: what it would misread, or drop without a word, is refused with its line."""

from __future__ import annotations

import pytest

from tinyse.config import build
from tinyse.documents import from_yaml
from tinyse.errors import InputError
from tinyse.mixtures.config import MixtureConfig
from tinyse.recipe import Stage


@pytest.mark.parametrize(
    ("key", "kind"),
    [("on", "bool"), ("No", "bool"), ("1", "int"), ("1e-3", "float"), ("~", "null"), ("", "null"), ("2026-11-26", "timestamp"),
     ("[a, b]", "seq"), ("{a: b}", "map"), ("!!binary YQ==", "binary")],
)  # fmt: skip
@pytest.mark.parametrize("before", ["", "a: 1\nb:\n  "])
def test_a_key_that_is_no_text_is_refused(key, kind, before):
    with pytest.raises(InputError, match=rf"^a\.yaml: .*line {before.count(chr(10)) + 1}: .* as {kind}, .*quotes$"):
        from_yaml(f"{before}? {key}\n{'  ' if before else ''}: 3", "a.yaml")


def test_a_key_in_quotes_is_text():
    assert from_yaml("'on': 1\n'1': 2\n\"\": 3", "a.yaml") == {"on": 1, "1": 2, "": 3}


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "x:\n  a: 1\n  'a': 1", "x: {b: 1,\n\nb: 2}"])
def test_a_key_given_twice_is_refused(text):
    with pytest.raises(InputError, match=rf"line {text.count(chr(10)) + 1}: the key '[ab]' was given before"):
        from_yaml(text, "a.yaml")


def test_a_merged_key_may_be_given_anew():
    merged = from_yaml("x: &x {a: 1, b: 2}\ny: &y {a: 3, <<: *x}\nz: {<<: [*y], a: 4}", "a.yaml")
    assert merged["y"] == {"a": 3, "b": 2} and merged["z"] == {"a": 4, "b": 2}


@pytest.mark.parametrize("key", [None, 1, True, 0.5, ("a", "b")])
@pytest.mark.parametrize("kind", [MixtureConfig, Stage])
def test_a_key_of_any_type_is_an_unknown_one(kind, key):
    with pytest.raises(InputError, match="unknown key"):
        build(kind, {key: 1})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10), ("08", 8), ("0o17", 15), ("0x1F", 31), ("-7", -7), ("+1", 1), ("1_000", 1000), ("0", 0),
        ("1e-3", 1e-3), ("1E5", 1e5), ("-.5", -0.5), ("3.", 3.0), (".inf", float("inf")), ("1.5e+3", 1500.0),
        ("1:30", "1:30"), ("190:20:30.15", "190:20:30.15"), ("1.2.3", "1.2.3"), ("0b11", "0b11"), ("'010'", "010"),
    ],
)  # fmt: skip
def test_numbers_are_those_of_yaml_1_2(text, value):
    read = from_yaml(f"key: {text}", "a.yaml")["key"]
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize("digits", ["9" * 5000, "0x" + "f" * 5000, "0o" + "7" * 5000])
def test_a_number_without_end_is_refused(digits):
    """Python reads hexadecimal digits without end, and then refuses to print the number in a message."""
    with pytest.raises(InputError, match=r"x\.yaml: no readable YAML: a number of 500[02] digits"):
        from_yaml(f"updates: {digits}", "x.yaml")
