"""The reference of recipes, generated from what reads them: every key, the supervised losses, the views of distillation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tinyse.distillation.views import VIEWS
from tinyse.recipe import Recipe
from tinyse.tasks import TASKS
from tinyse.training.keys import Section, sections

if TYPE_CHECKING:
    from rich.table import Table as RichTable

TITLE = "Recipe reference"
INTRODUCTION = """
A recipe is a YAML file with these keys. `tinyse train RECIPE --set KEY=VALUE` changes one; separate nested keys with
dots, as in `stages.student.updates`. `extends: FILE` inherits the keys of another recipe, whose path is relative to the
folder of this one; this recipe's own keys override them.
Keys without a default are required.
""".strip()


class Part(NamedTuple):
    """One table."""

    title: str
    text: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def parts() -> list[Part]:
    """All tables of the reference, each with a title of its own: a key may take one of two sets of keys."""
    result: list[Part] = []
    for section in recipe_sections():
        title = section.place or "The recipe"
        if title in (part.title for part in result):
            title = f"{title} with `{section.keys[0].name}`"
        result.append(Part(title, section.meaning, ("key", "values", "default", "meaning"), section.keys))
    return [
        *result,
        *(_named(f"Losses of the task `{name}`", task.losses) for name, task in TASKS.items()),
        _named("Views", VIEWS),
    ]


def recipe_sections() -> list[Section]:
    """The keys of a recipe, and those that each task has under its own name."""
    common = [
        s._replace(keys=tuple(k for k in s.keys if k.name != "options")) if not s.place else s for s in sections(Recipe)
    ]
    return [
        *common,
        *(section for task in TASKS.values() if task.options for section in sections(task.options, task.name)),
    ]


def markdown() -> str:
    """The page `docs/reference/recipes.md`."""
    lines = [
        f"# {TITLE}",
        "",
        "This page is the output of `tinyse train --reference`.",
        "",
        INTRODUCTION,
        "",
    ]
    for part in parts():
        lines += [f"## {part.title}", "", part.text, ""] if part.text else [f"## {part.title}", ""]
        lines += ["| " + " | ".join(part.header) + " |", "|" + "---|" * len(part.header)]
        lines += [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{row[0]}`", *row[1:])) + " |"
            for row in part.rows
        ]
        lines.append("")
    return "\n".join(lines)


def rich_tables() -> list[RichTable]:
    """The same for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    result = []
    for part in parts():
        title = Text(f"{part.title}. {part.text}".strip(), style="bold")
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for column in part.header:
            table.add_column(column, no_wrap=column == part.header[0], overflow="fold")
        for row in part.rows:
            table.add_row(*map(Text, row))
        result.append(table)
    return result


def _named(title: str, functions: Mapping[str, Callable[..., Any]]) -> Part:
    rows = tuple((name, " ".join((inspect.getdoc(function) or "").split())) for name, function in functions.items())
    return Part(title, "", ("name", "meaning"), rows)
