"""A picture of how long hops take, against their deadline."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyse.errors import needs
from tinyse.files import replacing


def draw_latencies(
    path: str | Path, title: str, board_seconds: np.ndarray, host_seconds: np.ndarray, hop_seconds: float
) -> None:
    """Two histograms, (hops,) seconds each: the board's emulated time per hop and this machine's measured time.

    Raises InputError for a place that cannot be written.
    """
    with needs("train", "matplotlib"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 5), layout="constrained")  # no window, no global state
    figure.suptitle(title)
    rows = (("the board's, on its virtual clock", board_seconds), ("this machine's, measured", host_seconds))
    for axes, (name, seconds) in zip(figure.subplots(2), rows, strict=True):
        milliseconds = seconds[np.isfinite(seconds)] * 1000
        # Bins of a fixed width: times that are all equal are a bar, too.
        axes.hist(milliseconds, bins=np.linspace(0, 1.05 * max(milliseconds.max(), 1000 * hop_seconds), 120))
        axes.axvline(hop_seconds * 1000, color="tab:red", label=f"deadline {hop_seconds * 1000:g} ms")
        axes.set(xlabel=f"ms per hop, {name}", ylabel="hops", yscale="log")
        axes.set_ylim(bottom=0.5)
        axes.legend()
    with replacing(path) as temporary:
        # Without a format matplotlib adds a suffix where there is none, and writes beside the file.
        figure.savefig(temporary, dpi=120, format="png")
