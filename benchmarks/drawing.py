"""How pictures of results look: SVG that follows the reader's light or dark scheme and names the figures it was made from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

INK, PAPER, GRID, OURS, INTEGERS, FLOATS = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
"""What matplotlib draws with; the picture has a color of each scheme in their place."""
LIGHT = {INK: "#1f2328", PAPER: "#ffffff", GRID: "#d8dee4", OURS: "#c2410c", INTEGERS: "#4051b5", FLOATS: "#57606a"}
DARK = {INK: "#e6edf3", PAPER: "#1e2129", GRID: "#3d444d", OURS: "#fb923c", INTEGERS: "#9fa8ff", FLOATS: "#a8b1bb"}
LETTER, LINE = 5.6, 12.0
"""Points that a letter and a line of a label in size 9 take."""


@contextmanager
def look() -> Iterator[None]:
    """The settings of matplotlib that all of these pictures share."""
    import matplotlib

    colors = {"text.color": INK, "axes.edgecolor": GRID, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}
    faces = {"axes.facecolor": PAPER, "figure.facecolor": PAPER, "grid.color": GRID, "grid.linewidth": 0.6}
    spines = {"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True}
    text = {"svg.fonttype": "none", "svg.hashsalt": "tinyse", "font.family": "sans-serif", "font.size": 10}
    with matplotlib.rc_context({**colors, **faces, **spines, **text}):
        yield


def as_svg(found: Any, draw: Callable[[Any], None], width: float, height: float) -> str:
    """The picture that `draw` makes on an empty figure of that size in inches; `found` is what it shows."""
    from matplotlib.figure import Figure

    with look():
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return themed(file.getvalue(), digest(found))


def digest(found: Any) -> str:
    """A name for what is drawn."""
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def themed(svg: str, made_from: str) -> str:
    """The drawing with the colors of both schemes, its size left to the page, and what it was made from."""
    names = {color: f"var(--c{index})" for index, color in enumerate(LIGHT)}
    for color, name in names.items():
        svg = svg.replace(color, name)
    light, dark = (
        "".join(f"--c{index}:{value};" for index, value in enumerate(scheme.values())) for scheme in (LIGHT, DARK)
    )
    style = f"<style>:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    return re.sub(r"(<svg [^>]*>)", rf"\1\n <!-- made from {made_from} -->\n {style}", svg, count=1)
