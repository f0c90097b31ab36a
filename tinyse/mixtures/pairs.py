"""A test set from the user's own recordings: mixtures of a split as files, clean beside noisy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from tinyse import audio
from tinyse.errors import InputError
from tinyse.files import write_csv
from tinyse.locks import alone_in
from tinyse.mixtures.config import MixtureConfig
from tinyse.mixtures.dataset import open_mixer
from tinyse.recordings import Manifest, Split

SNRS_DB = (-5.0, 0.0, 5.0, 10.0, 15.0)
COLUMNS = ("id", "clean", "noisy", "snr_db", "speaker", "noise")


def write_pairs(
    manifest: Manifest,
    folder: str | Path,
    count: int = 60,
    split: Split = "test",
    seconds: float = 4.0,
    seed: int = 0,
    snrs_db: Sequence[float] = SNRS_DB,
    progress: Callable[[], None] = lambda: None,
    sample_rate: int = audio.DEFAULT_RATE,
    noise_power: float = MixtureConfig.noise_power,
) -> Path:
    """Write `count` pairs to clean/ and noisy/ in `folder`, the input SNRs in turn, and pairs.csv last. Returns its path.

    Voices of the split in one recorded noise, nothing else done to them: the same files for the same recordings and seed.
    `noise_power` is the mixtures': 0 draws every class of noise as often.
    Raises InputError where the split lacks speech or noise, for SNRs that are none, and where another process is writing there.
    """
    folder = Path(folder)
    if not snrs_db or not all(math.isfinite(snr_db) for snr_db in snrs_db):
        raise InputError(f"SNRs in dB are {', '.join(map(str, snrs_db)) or 'none'}: give one finite number or more")
    plain = MixtureConfig().plain
    configs = [plain(snr_db=(snr_db, snr_db), level_db=(-35.0, -15.0), noise_power=noise_power) for snr_db in snrs_db]
    mixers = [open_mixer(manifest, config, seconds, seed, split, sample_rate=sample_rate) for config in configs]
    rows = []
    table = folder / "pairs.csv"
    with alone_in(folder):
        write_csv(
            table, COLUMNS, []
        )  # no pairs until all are written: else files of an earlier set would be paired with these
        for index in range(count):
            mixture, snr_db = mixers[index % len(mixers)](0, index), snrs_db[index % len(mixers)]
            name = f"{index:0{max(4, len(str(count)))}d}"
            row = {"id": name, "snr_db": _label(mixture.snr_db, snr_db)}
            for side, sound in (("clean", mixture.clean), ("noisy", mixture.noisy)):
                row[side] = f"{side}/{name}.wav"
                audio.write(folder / row[side], sound, sample_rate)
            noises = " + ".join(mixture.description["noise"])
            rows.append(row | {"speaker": mixture.description["speaker"], "noise": noises})
            progress()
        write_csv(table, COLUMNS, rows)
    return table


def _label(reached: float, wanted: float) -> str:
    """The SNR for tables: what was wanted, or whole dB where bursts of noise are held back and the SNR comes out higher."""
    if not math.isfinite(reached):
        return ""
    return f"{wanted:g}" if abs(reached - wanted) <= 0.5 else str(round(reached))
