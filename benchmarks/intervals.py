"""A picture of differences: a row for each thing that was tried, a panel for each measure, an interval around each mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from drawing import FLOATS, INK, INTEGERS, OURS, as_svg

ROW, PANEL, HEAD = 0.4, 3.0, 1.6
"""Inches: height of a row, width of a panel, height of what stands above and below the rows."""


class Interval(NamedTuple):
    """A mean and half the width of its interval, in the panel's unit."""

    mean: float
    half_width: float

    @classmethod
    def read(cls, cell: str) -> Interval | None:
        """What a cell of a table says, such as `+0.55 ± 0.22`; None where it holds no such thing."""
        found = re.fullmatch(r"([+-]?[\d.]+)(?: ± ([\d.]+))?", cell)
        return cls(float(found[1]), float(found[2] or 0)) if found else None

    @property
    def excludes_zero(self) -> bool:
        """Whether the difference is more than luck."""
        return abs(self.mean) > self.half_width


class Row(NamedTuple):
    """What was tried, the settings that tell it from its like, and whether it is what the picture is about."""

    name: str
    settings: str = ""
    highlighted: bool = False


class Panel(NamedTuple):
    """One measure. `zero` says what its zero stands for, `axis` names the measure and its unit."""

    title: str
    zero: str
    axis: str
    values: tuple[Interval | None, ...]
    """A row each."""
    decimals: int = 2


class Picture(NamedTuple):
    """Rows from top to bottom, panels from left to right, and a line below that says how to read them."""

    rows: tuple[Row, ...]
    panels: tuple[Panel, ...]
    note: str


def sort(picture: Picture) -> Picture:
    """The rows by their mean over panels, the greatest first."""

    def mean(place: int) -> float:
        known = [value.mean for panel in picture.panels if (value := panel.values[place]) is not None]
        return sum(known) / len(known) if known else 0.0

    order = sorted(range(len(picture.rows)), key=mean, reverse=True)
    panels = [panel._replace(values=tuple(panel.values[place] for place in order)) for panel in picture.panels]
    return picture._replace(rows=tuple(picture.rows[place] for place in order), panels=tuple(panels))


def draw(picture: Picture) -> str:
    """The picture as SVG. A dot is full where its interval leaves out zero."""
    left = max(len(text) for row in picture.rows for text in (row.name, row.settings)) * 0.085
    width, height = left + PANEL * len(picture.panels) + 0.3, HEAD + ROW * len(picture.rows)
    return as_svg(picture, lambda figure: _draw(figure, picture), width, height)


def _draw(figure: Any, picture: Picture) -> None:
    places = range(len(picture.rows))
    axes = figure.subplots(1, len(picture.panels), sharey=True, squeeze=False)[0]
    for panel, one in zip(picture.panels, axes, strict=True):
        one.set_title(panel.title, loc="left", fontsize=11, weight="bold", pad=22)
        one.annotate(panel.zero, (0, 1), (0, 7), "axes fraction", "offset points", fontsize=9, color=FLOATS)
        one.axvline(0, color=FLOATS, linewidth=1)
        one.grid(axis="x")
        _values(one, panel, picture.rows)
        one.set_xlabel(panel.axis, fontsize=9)
        one.tick_params(axis="x", labelsize=9)
        one.tick_params(axis="y", length=0)
        one.spines["left"].set_visible(False)
    axes[0].set_yticks(places, ["" for _ in places])
    axes[0].set_ylim(len(picture.rows) - 0.5, -0.5)
    for place, row in zip(places, picture.rows, strict=True):
        _name(axes[0], place, row)
    figure.supxlabel(picture.note, fontsize=9, color=FLOATS, x=0.01, ha="left")


def _values(axes: Any, panel: Panel, rows: Sequence[Row]) -> None:
    """Dots with their intervals; the numbers stand in a column at the right, off the data."""
    for place, (row, value) in enumerate(zip(rows, panel.values, strict=True)):
        if value is None:
            continue
        color = OURS if row.highlighted else INTEGERS
        # Drawn by hand: caps say nothing, and a hollow dot has to hide the line inside it.
        axes.plot([value.mean - value.half_width, value.mean + value.half_width], [place, place], color=color,
                  linewidth=2, solid_capstyle="round", zorder=2)  # fmt: skip
        face = color if value.excludes_zero else axes.get_facecolor()
        axes.plot(value.mean, place, "o", color=color, markerfacecolor=face, markersize=7, markeredgewidth=1.8)
        number = f"{value.mean:+.{panel.decimals}f}".replace("-", "\N{MINUS SIGN}")
        axes.annotate(number, (1, place), (4, 0), ("axes fraction", "data"), "offset points",
                      fontsize=9, va="center", color=OURS if row.highlighted else INK,
                      weight="bold" if row.highlighted else "normal")  # fmt: skip
    axes.margins(x=0.08)


def _name(axes: Any, place: int, row: Row) -> None:
    """The row's name left of the first panel, its settings small below."""
    look = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right"}
    axes.annotate(row.name, (0, place), (-8, 5 if row.settings else 0), va="center", fontsize=10,
                  color=OURS if row.highlighted else INK, weight="bold" if row.highlighted else "normal", **look)  # fmt: skip
    if row.settings:
        axes.annotate(row.settings, (0, place), (-8, -7), va="center", fontsize=8, color=FLOATS, **look)
