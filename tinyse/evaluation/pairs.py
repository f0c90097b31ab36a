"""Pairs to score on: a folder with `clean/` and `noisy/`, whose files pair up by name or by a table `pairs.csv`.

Columns of `pairs.csv`: `clean` and `noisy` (paths relative to the folder), optionally `id` and `snr_db`; others are
ignored. Where no SNR is given it is measured, and rounded to a whole dB so that tables by SNR stay readable.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyse import audio
from tinyse.errors import InputError
from tinyse.evaluation.metrics import sdr

SOUND_FILES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif"}


@dataclass(frozen=True)
class Pair:
    """One clip twice: `noisy` is `clean` plus noise, sample by sample. `snr_db` is None where it is to be measured."""

    name: str
    clean: Path
    noisy: Path
    snr_db: float | None = None

    def load(self) -> LoadedPair:
        """Read both files. Raises InputError, by name, where they are not equally long."""
        (clean, _), (noisy, _) = audio.read(self.clean), audio.read(self.noisy)
        if len(clean) != len(noisy):
            raise InputError(
                f"{self.clean} has {len(clean)} samples and {self.noisy} {len(noisy)}: a pair is two equally long clips"
            )
        return LoadedPair(self.name, clean, noisy, _measured(clean, noisy) if self.snr_db is None else self.snr_db)


@dataclass(frozen=True)
class LoadedPair:
    """A pair in memory: float32 (samples,) each. `snr_db` is nan for silent speech and inf for no noise at all."""

    name: str
    clean: np.ndarray
    noisy: np.ndarray
    snr_db: float

    @property
    def noise(self) -> np.ndarray:
        """What was added to the speech."""
        return self.noisy - self.clean


def find_pairs(folder: str | Path, limit: int | None = None) -> list[Pair]:
    """The pairs of a folder, in the order of the table or by name, the first `limit` of them.

    Raises InputError for a folder without pairs, a file without a partner, a table with a missing column, a file that
    does not exist, or an SNR that is no number.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give a folder with clean/ and noisy/")
    if limit is not None and limit < 1:
        raise InputError(f"a limit of {limit} leaves no pairs: give 1 or more")
    table = folder / "pairs.csv"
    pairs = _from_table(folder, table) if table.is_file() else _from_names(folder)
    return pairs[:limit]


def _from_table(folder: Path, table: Path) -> list[Pair]:
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            for column in ("clean", "noisy"):
                if column not in (rows.fieldnames or []):
                    raise InputError(f"{table} has no column {column!r}: it needs clean and noisy")
            pairs = [_from_row(folder, table, row, rows.line_num) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} is no table: {error}") from error
    if not pairs:
        raise InputError(f"{table} lists no pairs")
    return pairs


def _from_row(folder: Path, table: Path, row: dict[str, str | None], line: int) -> Pair:
    paths = {}
    for column in ("clean", "noisy"):
        paths[column] = folder / (row[column] or "")
        if not paths[column].is_file():
            raise InputError(f"{table}, line {line}: there is no file {paths[column]}")
    given = row.get("snr_db") or ""
    try:
        snr_db = float(given) if given else None
    except ValueError as error:
        raise InputError(f"{table}, line {line}: snr_db is {given!r}, which is no number") from error
    return Pair(row.get("id") or paths["noisy"].stem, paths["clean"], paths["noisy"], snr_db)


def _from_names(folder: Path) -> list[Pair]:
    clean, noisy = _sounds(folder / "clean"), _sounds(folder / "noisy")
    for name in sorted(set(clean) ^ set(noisy)):
        here, there = ("clean", "noisy") if name in clean else ("noisy", "clean")
        path = (clean if name in clean else noisy)[name]
        raise InputError(f"{path} in {here}/ has no partner of that name in {there}/")
    if not clean:
        raise InputError(f"{folder}/clean and {folder}/noisy hold no sound files")
    return [Pair(name, clean[name], noisy[name]) for name in sorted(clean)]


def _sounds(folder: Path) -> dict[str, Path]:
    """Sound files of a folder and its subfolders by their relative path without the ending."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: pairs lie in clean/ and noisy/, or are listed in pairs.csv")
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SOUND_FILES and path.is_file():
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in files:
                raise InputError(f"{files[name]} and {path} have the same name: which one is meant?")
            files[name] = path
    return files


def _measured(clean: np.ndarray, noisy: np.ndarray) -> float:
    """SNR of the whole clip's energies. With noisy = clean + noise it is the noisy clip's SDR."""
    snr_db = sdr(clean, noisy)
    return float(round(snr_db)) if math.isfinite(snr_db) else snr_db
