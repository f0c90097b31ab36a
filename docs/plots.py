"""Draws what the result files say: quality of every system against its size and its work per second.

    python docs/plots.py

Writes docs/images/peers.svg, which follows the reader's light or dark scheme. The picture names the figures that it was
made from, so that a test sees when it is out of step.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
import figures

from tinyse.files import write_text

PICTURE = Path(__file__).resolve().parent / "images" / "peers.svg"
INK, PAPER, GRID, OURS, INTEGERS, FLOATS = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
"""What matplotlib draws with; the picture has a color of each scheme in their place."""
LIGHT = {INK: "#1f2328", PAPER: "#ffffff", GRID: "#d8dee4", OURS: "#c2410c", INTEGERS: "#4051b5", FLOATS: "#57606a"}
DARK = {INK: "#e6edf3", PAPER: "#1e2129", GRID: "#3d444d", OURS: "#fb923c", INTEGERS: "#9fa8ff", FLOATS: "#a8b1bb"}
NOT_SHOWN = ("noisy", "noisereduce")
"""The input; and a batch tool whose form has no size, far below all others."""
QUALITIES = {"gain_db": "SI-SDR gain, dB", "pesq": "PESQ-WB"}
COSTS = {"kilobytes": "weights as deployed, kB", "mmac_per_s": "million multiply-accumulates per second"}
LEAST_DB = 2.0
"""Where the axis of the gain begins; what is below is drawn on it, and its label says how far down it is."""
ASIDE = ((8, 4, "left"), (8, -11, "left"), (-8, 4, "right"), (-8, -11, "right"), (0, 9, "center"), (0, -18, "center"))
"""Where a name may stand beside its dot, best first: points to the right, points up, alignment."""
LETTER, LINE = 5.6, 12.0
"""Points that a letter and a line of a name take."""


class System(NamedTuple):
    """A dot: kB of weights as deployed, millions of multiplications per second, gain in SI-SDR in dB, PESQ-WB."""

    name: str
    kilobytes: float
    mmac_per_s: float
    gain_db: float
    pesq: float
    kind: str


def systems() -> list[System]:
    """All whose size and work are known."""
    found = []
    for name, scores in figures.scored():
        quality = float(scores["SI-SDR gain dB"]), float(scores["PESQ-WB"])
        if name in figures.names():
            model = figures.of_model(name)
            weights = int(model["parameters"].replace(",", "")) / 1000
            found.append(System(name, weights, float(model["MMAC/s"]), *quality, OURS))
        elif name not in NOT_SHOWN:
            known = figures.systems()[name]
            weights, work = known["parameters"] * known["bytes_per_weight"] / 1000, known["mmac_per_s"]
            if work:
                found.append(System(name, weights, work, *quality, INTEGERS if known["integers"] else FLOATS))
    return found


def digest(found: list[System]) -> str:
    """A name for what is drawn."""
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def draw(found: list[System]) -> str:
    """The picture as SVG: two rows of quality, two columns of cost."""
    import matplotlib
    from matplotlib.figure import Figure

    colors = {"text.color": INK, "axes.edgecolor": GRID, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}
    look = {**colors, "svg.fonttype": "none", "svg.hashsalt": "tinyse", "font.family": "sans-serif", "font.size": 10,
            "grid.color": GRID, "axes.spines.top": False, "axes.spines.right": False}  # fmt: skip
    with matplotlib.rc_context(look):
        figure = Figure(figsize=(11, 7.2), layout="constrained", facecolor=PAPER)
        panels = figure.subplots(2, 2, sharex="col", sharey="row")
        for row, (quality, title) in enumerate(QUALITIES.items()):
            for column, (cost, label) in enumerate(COSTS.items()):
                axes = panels[row, column]
                _scatter(axes, found, cost, quality)
                axes.set_ylabel(title if column == 0 else "")
                axes.set_xlabel(label if row == 1 else "")
        kinds = {
            OURS: "tinyse: int8 weights and activations",
            INTEGERS: "others in integers",
            FLOATS: "float activations",
        }
        for color, label in kinds.items():
            panels[0, 0].plot([], [], marker="o", linestyle="", color=color, label=label)
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
        figure.draw_without_rendering()  # places the panels, and with them the dots
        for row, quality in enumerate(QUALITIES):
            for column, cost in enumerate(COSTS):
                _label(panels[row, column], found, cost, quality)
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return themed(file.getvalue(), digest(found))


def _scatter(axes: Any, found: list[System], cost: str, quality: str) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_facecolor(PAPER)
    axes.grid(True, linewidth=0.6)
    axes.set_axisbelow(True)
    for one in found:
        below = quality == "gain_db" and one.gain_db < LEAST_DB
        axes.plot(*_place(one, cost, quality), marker="v" if below else "o", markersize=9 if one.kind == OURS else 6,
                  color=one.kind, clip_on=False)  # fmt: skip
    axes.margins(x=0.16, y=0.1)
    if quality == "gain_db":
        axes.set_ylim(bottom=LEAST_DB)


def _place(one: System, cost: str, quality: str) -> tuple[float, float]:
    return getattr(one, cost), max(getattr(one, quality), LEAST_DB if quality == "gain_db" else 0.0)


def _label(axes: Any, found: list[System], cost: str, quality: str) -> None:
    """Every name beside its dot, where it hides neither a dot nor a name, as far as there is such a place."""
    scale = 72 / axes.figure.dpi
    dots = [axes.transData.transform(_place(one, cost, quality)) * scale for one in found]
    frame = tuple(axes.bbox.extents * scale)
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in dots]
    for one, (x, y) in zip(found, dots, strict=True):
        below = quality == "gain_db" and one.gain_db < LEAST_DB
        text = f"{one.name} ({one.gain_db:.1f})" if below else one.name
        width = len(text) * LETTER * (1.1 if one.kind == OURS else 1.0)
        boxes = []
        for right, up, side in ASIDE:
            left = x + right - {"left": 0.0, "center": width / 2, "right": width}[side]
            boxes.append((left, y + up - 2, left + width, y + up + LINE - 2))
        hidden = [sum(_overlap(box, other) for other in taken) + _outside(box, frame) for box in boxes]
        best = hidden.index(min(hidden))
        taken.append(boxes[best])
        right, up, side = ASIDE[best]
        axes.annotate(text, _place(one, cost, quality), (right, up), textcoords="offset points", ha=side, fontsize=9,
                      color=one.kind if one.kind == OURS else INK, weight="bold" if one.kind == OURS else "normal")  # fmt: skip


def _outside(box: tuple[float, ...], frame: tuple[float, ...]) -> float:
    """The area of a box that is left or right of its panel."""
    return (max(frame[0] - box[0], 0.0) + max(box[2] - frame[2], 0.0)) * (box[3] - box[1])


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The area that two boxes (left, bottom, right, top) share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


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


if __name__ == "__main__":
    write_text(PICTURE, draw(systems()))
