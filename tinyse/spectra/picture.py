"""Spectrograms as a PNG: rows of sounds side by side, on one scale of 80 dB below the loudest of each row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinyse.audio import DEFAULT_RATE
from tinyse.errors import needs
from tinyse.files import replacing

WINDOW, HOP = 512, 128
RANGE_DB = 80

Panel = tuple[str, np.ndarray]
"""A title and a sound (samples,)."""


def require_matplotlib() -> None:
    """Raise InputError where matplotlib is not installed: better before the work than after it."""
    with needs("train", "matplotlib"):
        import matplotlib  # noqa: F401


def draw_spectrograms(rows: Sequence[Sequence[Panel]], path: str | Path, sample_rate: int = DEFAULT_RATE) -> None:
    """Write one picture of `rows`, all with the same number of panels; each row is as long as its sounds.

    Raises InputError without matplotlib.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    columns = len(rows[0])
    figure = Figure(figsize=(3.6 * columns + 0.8, 0.5 + 1.7 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False, sharex="row", sharey=True)
    for row, places in zip(rows, axes, strict=True):
        pictures = [levels_db(sound) for _, sound in row]
        top = max(picture.max() for picture in pictures)
        for (title, sound), picture, place in zip(row, pictures, places, strict=True):
            extent = (0, len(sound) / sample_rate, 0, sample_rate / 2000)
            shown = place.imshow(
                picture - top, origin="lower", aspect="auto", extent=extent, vmin=-RANGE_DB, vmax=0, cmap="magma"
            )
            place.set_title(title, loc="left", fontsize=9)
        places[0].set_ylabel("kHz")
    for place in axes[-1]:
        place.set_xlabel("s")
    figure.colorbar(shown, ax=axes, label="dB against the loudest of its row", aspect=30, pad=0.01)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def levels_db(sound: np.ndarray) -> np.ndarray:
    """(samples,) -> (bins, frames) in dB."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(sound, (0, WINDOW)), WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    return 10 * np.log10(power.T + 1e-10)
