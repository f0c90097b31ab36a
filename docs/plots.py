"""Draws what the result files say: every system by size and work, our models by the load on boards, and what was compared.

    python docs/plots.py

Writes docs/images/*.svg, which follow the reader's light or dark scheme. Each picture names the figures that it was made
from, so that a test sees when it is out of step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "benchmarks"))
import figures
import findings
import intervals
import record
from drawing import FLOATS, INK, INTEGERS, LETTER, LINE, OURS, as_svg

from tinyse.boards.boards import find_board
from tinyse.files import write_text

IMAGES = Path(__file__).resolve().parent / "images"
NOT_SHOWN = ("noisy", "noisereduce")
"""The input; and a batch tool whose form has no size, far below all others."""
QUALITIES = {"gain_db": "SI-SDR gain, dB", "pesq": "PESQ-WB"}
COSTS = {"kilobytes": "weights as deployed, kB", "mmac_per_s": "million multiply-accumulates per second"}
LEAST_DB = 2.0
"""Where the axis of the gain begins; what is below is drawn on it, and its label says how far down it is."""
ASIDE = ((8, 4, "left"), (8, -11, "left"), (-8, 4, "right"), (-8, -11, "right"), (0, 9, "center"), (0, -18, "center"))
"""Where a name may stand beside its dot, best first: points to the right, points up, alignment."""
LOADED = {"STM32F446": "o", "STM32H743": "s", "alif-e7": "D"}
"""Boards that loads are shown for, one a kind of core: a Cortex-M4F, M7 and M55."""


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


def draw_systems(found: list[System]) -> str:
    """Two rows of quality, two columns of cost."""
    return as_svg(found, lambda figure: _systems(figure, found), 11, 7.2)


def _systems(figure: Any, found: list[System]) -> None:
    panels = figure.subplots(2, 2, sharex="col", sharey="row")
    for row, (quality, title) in enumerate(QUALITIES.items()):
        for column, (cost, label) in enumerate(COSTS.items()):
            axes = panels[row, column]
            _scatter(axes, found, cost, quality)
            axes.set_ylabel(title if column == 0 else "")
            axes.set_xlabel(label if row == 1 else "")
    kinds = {OURS: "tinyse: int8 weights and activations", INTEGERS: "others in integers", FLOATS: "float activations"}
    for color, label in kinds.items():
        panels[0, 0].plot([], [], marker="o", linestyle="", color=color, label=label)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    figure.draw_without_rendering()  # places the panels, and with them the dots
    for row, quality in enumerate(QUALITIES):
        for column, cost in enumerate(COSTS):
            _label(panels[row, column], found, cost, quality)


def _scatter(axes: Any, found: list[System], cost: str, quality: str) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(True)
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


class Load(NamedTuple):
    """A dot: percent of the time between two hops that a model takes on a board, and its gain in SI-SDR in dB."""

    board: str
    model: str
    percent: float
    gain_db: float


def loads() -> list[Load]:
    """Our models on one board a kind of core. Of peers no cycles are known."""
    gains = {name: float(figures.of_model(name)["SI-SDR gain"]) for name in figures.names()}
    return [
        Load(board, name, round(figures.load_percent(name, board), 2), gain)
        for board in LOADED
        for name, gain in sorted(gains.items(), key=lambda item: item[1])
    ]


def draw_loads(found: list[Load]) -> str:
    """A line for each board, from the smallest model to the largest."""
    return as_svg(found, lambda figure: _loads(figure, found), 8.5, 3.8)


def _loads(figure: Any, found: list[Load]) -> None:
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.grid(True)
    for board, marker in LOADED.items():
        chosen = [one for one in found if one.board == board]
        percents, gains = [one.percent for one in chosen], [one.gain_db for one in chosen]
        axes.plot(percents, gains, marker=marker, markersize=7, color=OURS, linewidth=1.5)
        for one in chosen:
            axes.annotate(
                f"{one.percent:.2g} %", (one.percent, one.gain_db), (9, -4), textcoords="offset points", fontsize=9
            )
        known = find_board(board)
        text = f"{known.name}\n{known.core.name.removeprefix('Cortex-')}, {known.clock_hz / 1e6:.0f} MHz"
        axes.annotate(text, (percents[-1], gains[-1]), (0, 11), textcoords="offset points", fontsize=9, ha="center",
                      color=OURS, weight="bold")  # fmt: skip
    for name, gain in {one.model: one.gain_db for one in found}.items():
        axes.annotate(name, (0, gain), (8, 4), ("axes fraction", "data"), "offset points", fontsize=9, color=FLOATS)
    axes.margins(y=0.35)
    axes.set_xticks([1, 2, 5, 10, 20, 50, 100], [f"{percent} %" for percent in (1, 2, 5, 10, 20, 50, 100)])
    axes.minorticks_off()
    axes.set_xlim(min(one.percent for one in found) / 2.2, max(100, *(one.percent * 1.3 for one in found)))
    axes.set_xlabel("share of the time between two hops that a hop takes (modeled)")
    axes.set_ylabel("SI-SDR gain, dB")
    axes.locator_params(axis="y", nbins=5)


def two_steps() -> intervals.Picture:
    """Schedules of distillation, over all pairs and, where they were kept, over those of the lowest input SNR."""
    kept = {"all pairs": "schedules", "lowest input SNR": "schedules at the lowest SNR"}
    known = figures.kept("two_step")
    return findings.two_step([(pairs, record.read("two_step", name)) for pairs, name in kept.items() if name in known])


def taggers() -> intervals.Picture:
    """Ways of teaching a tagger."""
    return findings.iusp(record.read("iusp", "gains"))


def precisions() -> intervals.Picture:
    """The default model in every precision."""
    return findings.quantization(record.read("quantization", "student-62k"), "student-62k")


PICTURES: dict[str, tuple[Callable[[], Any], Callable[[Any], str]]] = {
    "peers": (systems, draw_systems),
    "load": (loads, draw_loads),
    "two_step": (two_steps, intervals.draw),
    "iusp": (taggers, intervals.draw),
    "quantization": (precisions, intervals.draw),
}
"""By name in docs/images: what is found, and how it is drawn."""

if __name__ == "__main__":
    for name, (find, draw) in PICTURES.items():
        write_text(IMAGES / f"{name}.svg", draw(find()))
