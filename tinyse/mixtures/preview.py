"""A few mixtures to listen to and look at before hours are spent on training with them."""

from __future__ import annotations

import math
from pathlib import Path

from tinyse import audio
from tinyse.files import write_json
from tinyse.mixtures.dataset import AnyMixer
from tinyse.mixtures.mixer import Mixture
from tinyse.spectra.picture import Panel, draw_spectrograms, require_matplotlib


def write_preview(mixer: AnyMixer, count: int, folder: str | Path, epoch: int = 0) -> list[Path]:
    """Write mixtures 0 to count - 1 of an epoch as NN-noisy.wav and NN-clean.wav, one spectrograms.png of them all, and
    mixtures.json, which says what each was made of. Returns the paths. Mixtures of an earlier preview in the folder are
    replaced, all of them.

    Raises InputError where matplotlib is not installed.
    """
    folder = Path(folder)
    require_matplotlib()
    mixtures = [mixer(epoch, index) for index in range(count)]
    listed = folder / "mixtures.json"
    if listed.is_file():
        for path in (path for side in ("noisy", "clean") for path in folder.glob(f"[0-9][0-9]-{side}.wav")):
            path.unlink()
    paths = []
    for index, mixture in enumerate(mixtures):
        for side, sound in (("noisy", mixture.noisy), ("clean", mixture.clean)):
            paths.append(folder / f"{index:02d}-{side}.wav")
            audio.write(paths[-1], sound, mixer.sample_rate)
    paths.append(folder / "spectrograms.png")
    draw_spectrograms([_row(index, mixture) for index, mixture in enumerate(mixtures)], paths[-1], mixer.sample_rate)
    paths.append(listed)
    write_json(listed, [facts(mixture) for mixture in mixtures])
    return paths


def facts(mixture: Mixture) -> dict[str, object]:
    """What a mixture was made of, fit for JSON: an SNR or a level that is infinite is None."""
    values = {"snr_db": mixture.snr_db, "level_db": mixture.level_db}
    rounded = {name: round(value, 2) if math.isfinite(value) else None for name, value in values.items()}
    return rounded | mixture.description


def _row(index: int, mixture: Mixture) -> list[Panel]:
    """Noisy on the left, clean on the right, with what is worth knowing in the titles."""
    description = mixture.description
    facts = f"{description['noise_kind']}, SNR {mixture.snr_db:.1f} dB, level {mixture.level_db:.0f} dBFS"
    room = f"room: {description['room'] or 'none'}"
    return [(f"{index:02d} noisy: {facts}", mixture.noisy), (f"clean; {room[-60:]}", mixture.clean)]
