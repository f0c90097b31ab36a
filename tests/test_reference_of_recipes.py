"""The recipe reference says of every key what it means, and the page in docs/ is what the dataclasses say today."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest

from tinyse.config import Between
from tinyse.training.keys import Key, sections

PAGE = Path(__file__).resolve().parent.parent / "docs/reference/recipes.md"


@dataclass(frozen=True)
class Inner:
    """Something inside."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    """Something outside."""

    count: Annotated[int, Between(1, 8)]
    """How
    many."""
    level_db: tuple[float, float] = (-5.0, 2.5)
    kind: Literal["a", "b"] | None = None
    """Which."""
    inner: dict[str, Inner] = field(default_factory=dict)


def test_a_dataclass_becomes_sections_of_keys():
    outer, inner = sections(Outer)
    assert (outer.place, outer.meaning, inner.place) == ("", "Something outside.", "inner.NAME")
    assert outer.keys == (
        Key("count", "whole number, 1 to 8", "", "How many."),
        Key("level_db", "2 numbers dB", "[-5, 2.5]", ""),
        Key("kind", "a or b or nothing", "nothing", "Which."),
        Key("inner", "keys by name", "{}", ""),
    )
    assert inner.keys == (Key("names", "list of text", "[]", ""),)


def test_every_key_of_a_recipe_says_what_it_means():
    pytest.importorskip("torch")
    from tinyse.training.reference import recipe_sections

    found = {f"{section.place}.{key.name}": key.meaning for section in recipe_sections() for key in section.keys}
    assert {"stages.NAME.quantize.precision", "mixture.snr_db", "tagging.mixture.clips", ".output"} <= set(found)
    assert [name for name, meaning in found.items() if not meaning] == []


def test_the_page_is_what_the_command_prints():
    pytest.importorskip("torch")
    command = [sys.executable, "-m", "tinyse", "train", "--reference"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == PAGE.read_text(encoding="utf-8"), "run: tinyse train --reference > docs/reference/recipes.md"


def test_on_a_terminal_the_reference_is_tables():
    pytest.importorskip("torch")
    from rich.console import Console

    from tinyse.training import reference

    console = Console(width=80, file=io.StringIO())
    with console.capture() as capture:
        console.print(*reference.rich_tables())
    words = set(capture.get().split())
    names = {row[0] for part in reference.parts() for row in part.rows}
    assert names <= words, "a name that is cut cannot be copied"


def test_every_section_has_a_title_of_its_own():
    pytest.importorskip("torch")
    from tinyse.training.reference import parts

    titles = [part.title for part in parts()]
    assert len(set(titles)) == len(titles) and "stages.NAME.model with `python`" in titles
