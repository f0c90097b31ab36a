"""A few mixtures to listen to and look at before hours are spent on training with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinyse import audio
from tinyse.errors import missing_extra
from tinyse.files import replacing, write_json
from tinyse.mixtures.mixer import Mixer, Mixture

WINDOW, HOP = 512, 128


def write_preview(mixer: Mixer, count: int, folder: str | Path) -> list[Path]:
    """Write mixtures 0 to count - 1 of epoch 0 as NN-noisy.wav and NN-clean.wav, one spectrograms.png of them all, and
    mixtures.json, which says what each was made of. Returns the paths.

    Raises InputError where matplotlib is not installed.
    """
    folder = Path(folder)
    _require_matplotlib()
    mixtures = [mixer(0, index) for index in range(count)]
    paths = []
    for index, mixture in enumerate(mixtures):
        for side, sound in (("noisy", mixture.noisy), ("clean", mixture.clean)):
            paths.append(folder / f"{index:02d}-{side}.wav")
            audio.write(paths[-1], sound)
    paths.append(folder / "spectrograms.png")
    draw_spectrograms(mixtures, paths[-1])
    paths.append(folder / "mixtures.json")
    write_json(paths[-1], [facts(mixture) for mixture in mixtures])
    return paths


def facts(mixture: Mixture) -> dict[str, object]:
    """What a mixture was made of, fit for JSON: an SNR or a level that is infinite is None."""
    values = {"snr_db": mixture.snr_db, "level_db": mixture.level_db}
    rounded = {name: round(value, 2) if math.isfinite(value) else None for name, value in values.items()}
    return rounded | mixture.description


def draw_spectrograms(mixtures: Sequence[Mixture], path: Path) -> None:
    """One PNG: a row a mixture, noisy on the left and clean on the right, the same 80 dB of colours in a row."""
    _require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 0.6 + 2.2 * len(mixtures)), layout="constrained")
    rows = figure.subplots(len(mixtures), 2, squeeze=False, sharex=True, sharey=True)
    for index, (mixture, row) in enumerate(zip(mixtures, rows, strict=True)):
        pictures = [_spectrogram(sound) for sound in (mixture.noisy, mixture.clean)]
        top = max(picture.max() for picture in pictures)
        for axes, picture, side in zip(row, pictures, ("noisy", "clean"), strict=True):
            extent = (0, len(mixture.noisy) / audio.SAMPLE_RATE, 0, audio.SAMPLE_RATE / 2000)
            axes.imshow(picture, origin="lower", aspect="auto", extent=extent, vmin=top - 80, vmax=top, cmap="magma")
            axes.set_title(f"{index:02d} {side}", loc="left", fontsize=9)
        description = mixture.description
        told = f"{description['noise_kind']}, SNR {mixture.snr_db:.1f} dB, level {mixture.level_db:.0f} dBFS"
        row[0].set_title(told, loc="right", fontsize=8)
        row[1].set_title(f"room: {description['room'] or 'none'}"[-60:], loc="right", fontsize=8)
        row[0].set_ylabel("kHz")
    for axes in rows[-1]:
        axes.set_xlabel("s")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _spectrogram(sound: np.ndarray) -> np.ndarray:
    """Levels in dB, shape (bins, frames)."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(sound, (0, WINDOW)), WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    return 10 * np.log10(power.T + 1e-10)


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise missing_extra("matplotlib", "train") from error
