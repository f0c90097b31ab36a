"""A study as a picture: a column for each precision, so that neither colors nor a legend have to tell them apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinyse.evaluation.statistics import Summary
from tinyse.files import replacing
from tinyse.spectra.picture import require_matplotlib
from tinyse.study.study import Study
from tinyse.study.tables import levels, losses

LINE, ZERO, GRID, NOTE = "#0b5394", "#8c959f", "#e6e8eb", "#57606a"
BY_SNR = {"si_sdr": "SI-SDR lost, dB", "pesq": "PESQ-WB lost"}
BY_MINUTE = {"si_sdr_loss_db": "SI-SDR lost, dB", "state_snr_db": "SNR of states, dB"}
"""The rows of panels: measures, and values of the long stream's parts, each with its label."""
COLUMN, ROW, LEAST_WIDTH = 2.1, 1.75, 8.0
"""Inches of a panel, and of a picture whose title has to fit."""


def draw(study: Study, path: str | Path) -> None:
    """Write losses by input SNR and by minute as PNG. Raises InputError without matplotlib."""
    require_matplotlib()
    with replacing(path) as temporary:
        figure_of(study).savefig(temporary, format="png", dpi=130)


def figure_of(study: Study) -> Any:
    """The picture as a matplotlib Figure: rows are measures, columns are precisions, one scale to a row."""
    from matplotlib.figure import Figure

    columns, rows = len(study.costs), len(BY_SNR) + len(BY_MINUTE)
    size = (max(COLUMN * columns + 0.9, LEAST_WIDTH), ROW * rows + 1.4)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(
        f"{study.model}: what each precision loses against the float stream", x=0.01, ha="left", weight="bold"
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharey="row")
    for axes, name in zip(panels.T, study.costs, strict=True):
        axes[0].set_title(name, fontsize=10, weight="bold")
        for place, metric in zip(axes, BY_SNR, strict=False):
            snrs = levels(study)
            _by_snr(place, snrs, [losses(study, name, metric, snr) for snr in snrs])
        for place, value in zip(axes[len(BY_SNR) :], BY_MINUTE, strict=True):
            _by_minute(place, study, name, value)
    for row, label in zip(panels, (*BY_SNR.values(), *BY_MINUTE.values()), strict=True):
        row[0].set_ylabel(label, fontsize=9)
        for axes in row:
            _dress(axes, zero="lost" in label)
    for row, label in ((panels[len(BY_SNR) - 1], "input SNR, dB"), (panels[-1], "minutes of one stream")):
        for axes in row:
            axes.set_xlabel(label, fontsize=9)
    note = (
        f"{len(study.scores.files)} pairs, engine {study.engine}. Less is better, 0 is the float stream; bars: ± 95 %.\n"
        "Hollow circles: the stream's last part once more, from silence on; where they meet the line, age has cost nothing."
    )
    figure.supxlabel(note, fontsize=8, color=NOTE, x=0.01, ha="left")
    return figure


def _dress(axes: Any, zero: bool) -> None:
    """Light lines behind the data; `zero` where losses are shown."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    if zero:
        axes.axhline(0, color=ZERO, linewidth=1, zorder=1)


def _by_snr(axes: Any, snrs: list[float], summaries: list[Summary]) -> None:
    """Mean losses with their intervals."""
    bars = [summary.half_width if summary.count > 1 else 0 for summary in summaries]
    axes.errorbar(
        snrs, [summary.mean for summary in summaries], bars, color=LINE, marker="o", markersize=4, linewidth=1.5
    )
    axes.set_xticks(snrs)
    axes.margins(x=0.1)


def _by_minute(axes: Any, study: Study, name: str, value: str) -> None:
    """The long stream part by part, and its last part from silence on."""
    stream = study.streams[name]
    minutes = (np.arange(len(stream.parts)) + 1) * stream.part_seconds / 60
    axes.plot(
        minutes, [getattr(part, value) for part in stream.parts], color=LINE, marker="o", markersize=3, linewidth=1.5
    )
    axes.plot(minutes[-1], getattr(stream.last_anew, value), "o", color=LINE, fillstyle="none", markersize=9)
    axes.set_xlim(left=0)
    axes.margins(x=0.1)
