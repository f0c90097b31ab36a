"""Pairs to score on: noisy and clean files in a folder, in any of these layouts, tried in this order.

- a table `pairs.csv` with the columns `clean` and `noisy` (paths relative to the folder), optionally `id` and `snr_db`;
  others are ignored. `tinyse data pairs` writes it;
- `clean/` and `noisy/`, whose files pair up by name, or by the `fileid_N` at the end of it (DNS-Challenge);
- `clean_testset_wav/` and `noisy_testset_wav/` (VoiceBank-DEMAND), by name;
- `NAME-clean.wav` beside `NAME-noisy.wav`, as `tinyse data preview` writes them.

Where no SNR is given it is measured, and rounded to a whole dB so that tables by SNR stay readable. What is said may stand
in the folder's `transcripts.txt`, a line `NAME TEXT` each, as in LibriSpeech's .trans.txt: NAME is that of the
pair or of its clean file.
"""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinyse import audio
from tinyse.audio.sound_files import SUFFIXES, find_sounds
from tinyse.errors import InputError
from tinyse.evaluation.metrics import sdr
from tinyse.files import leads_out, sha256


@dataclass(frozen=True)
class Pair:
    """One clip twice: `noisy` is `clean` plus noise, sample by sample. `snr_db` is None where it is to be measured."""

    name: str
    clean: Path
    noisy: Path
    snr_db: float | None = None
    text: str | None = None
    """What is said in it, where that is known."""

    def load(self, sample_rate: int = audio.DEFAULT_RATE) -> LoadedPair:
        """Read both files at a rate. Raises InputError, by name, where they are not equally long."""
        (clean, _), (noisy, _) = (audio.read(side, sample_rate) for side in (self.clean, self.noisy))
        if len(clean) != len(noisy):
            raise InputError(
                f"{self.clean} has {len(clean)} samples and {self.noisy} {len(noisy)}: a pair is two equally long clips"
            )
        snr_db = _measured(clean, noisy) if self.snr_db is None else self.snr_db
        return LoadedPair(self.name, clean, noisy, snr_db, sample_rate, self.text)


@dataclass(frozen=True)
class LoadedPair:
    """A pair in memory: float32 (samples,) each. `snr_db` is nan for silent speech and inf for no noise at all."""

    name: str
    clean: np.ndarray
    noisy: np.ndarray
    snr_db: float
    sample_rate: int = audio.DEFAULT_RATE
    text: str | None = None

    @property
    def noise(self) -> np.ndarray:
        """What was added to the speech."""
        return self.noisy - self.clean


LAYOUTS = (
    "clean/ and noisy/, a pairs.csv, clean_testset_wav/ and noisy_testset_wav/ (VoiceBank-DEMAND), "
    "or files NAME-clean.wav and NAME-noisy.wav"
)
TRANSCRIPTS = "transcripts.txt"
_FILE_ID = re.compile(r"fileid_\d+$")


def digest_of(pairs: Iterable[Pair]) -> str:
    """A SHA-256 that changes with the name or a byte of any pair."""
    named = (f"{pair.name}\0{sha256(pair.clean)}{sha256(pair.noisy)}" for pair in pairs)
    return hashlib.sha256("\0".join(named).encode(errors="surrogateescape")).hexdigest()


def find_pairs(folder: str | Path, limit: int | None = None) -> list[Pair]:
    """The pairs of a folder, in the order of the table or by name, the first `limit` of them.

    Raises InputError for a folder without pairs, a file without a partner, a table with a missing column, a file that
    does not exist, or an SNR that is not a number.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give a folder with {LAYOUTS}")
    if limit is not None and limit < 1:
        raise InputError(f"a limit of {limit} leaves no pairs: give 1 or more")
    table = folder / "pairs.csv"
    pairs = (_from_table(folder, table) if table.is_file() else _from_files(folder))[:limit]
    if not (folder / TRANSCRIPTS).is_file():
        return pairs
    texts = read_transcripts(folder / TRANSCRIPTS)
    return [replace(pair, text=texts.get(pair.name, texts.get(pair.clean.stem))) for pair in pairs]


def read_transcripts(path: Path) -> dict[str, str]:
    """What is said, by name, from a file of lines `NAME TEXT`, as LibriSpeech's .trans.txt. Raises InputError by line."""
    texts: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, text = line.strip().replace("\t", " ").partition(" ")
        if not text.strip():
            raise InputError(f"{path}, line {number}: {name!r} has no text: a line is a name and what is said")
        if name in texts:
            raise InputError(f"{path}, line {number}: {name!r} is listed twice")
        texts[name] = text.strip()
    return texts


def own_pairs(data: Iterable[Path]) -> Path | None:
    """The pairs that recordings bring along: the first of the folders' `benchmark` or VoiceBank-DEMAND's test set."""
    for folder in data:
        if (folder / "benchmark").is_dir():
            return folder / "benchmark"
        if folder.is_dir() and _voicebank(folder):
            return folder
    return None


def require_own_pairs(data: Sequence[Path]) -> Path:
    """`own_pairs`. Raises InputError where there are none."""
    found = own_pairs(data)
    if found is None:
        places = ", ".join(map(str, data))
        raise InputError(f"{places} brings no pairs to score on: name a folder of pairs; `tinyse data pairs` makes one")
    return found


def _from_table(folder: Path, table: Path) -> list[Pair]:
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            for column in ("clean", "noisy"):
                if column not in (rows.fieldnames or []):
                    raise InputError(f"{table} has no column {column!r}: it needs clean and noisy")
            pairs = [_from_row(folder, table, row, rows.line_num) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} is not a table: {error}") from error
    if not pairs:
        raise InputError(f"{table} lists no pairs; if `tinyse data pairs` was interrupted there, run it again")
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
        raise InputError(f"{table}, line {line}: snr_db is {given!r}, which is not a number") from error
    name = row.get("id") or paths["noisy"].stem
    if leads_out(name):  # examples are written under it
        raise InputError(f"{table}, line {line}: id is {name!r}: a name leads to no other folder")
    return Pair(name, paths["clean"], paths["noisy"], snr_db)


def _from_files(folder: Path) -> list[Pair]:
    sides = [folder / "clean", folder / "noisy"]
    if not any(side.is_dir() for side in sides):
        sides = _voicebank(folder)
    if not sides:
        clean, noisy = _sounds(folder, "-clean"), _sounds(folder, "-noisy")
        if not (clean or noisy):
            raise InputError(f"{folder} holds no pairs: expected {LAYOUTS}{_elsewhere(folder)}")
        return _paired(clean, noisy, "a file NAME-clean", "a file NAME-noisy")
    for side in sides:
        if not side.is_dir():
            raise InputError(f"there is no folder {side}: expected {LAYOUTS}")
    clean, noisy = map(_sounds, sides)
    if not clean and not noisy:
        raise InputError(f"{sides[0]} and {sides[1]} hold no sound files")
    # DNS-Challenge: clean_fileid_7.wav belongs to clnsp1_train_69005_1_snr15_tl-21_fileid_7.wav.
    if not set(clean) & set(noisy) and all(_FILE_ID.search(name) for name in (*clean, *noisy)):
        clean, noisy = _by_file_id(clean), _by_file_id(noisy)
    return _paired(clean, noisy, f"{sides[0].name}/", f"{sides[1].name}/")


def _paired(clean: dict[str, Path], noisy: dict[str, Path], in_clean: str, in_noisy: str) -> list[Pair]:
    for name in sorted(set(clean) ^ set(noisy)):
        path, here, there = (clean[name], in_clean, in_noisy) if name in clean else (noisy[name], in_noisy, in_clean)
        raise InputError(f"{path} in {here} has no partner of that name in {there}")
    return [Pair(name, clean[name], noisy[name]) for name in sorted(clean)]


def _voicebank(folder: Path) -> list[Path]:
    """clean_testset_wav and noisy_testset_wav, where there are both."""
    sides = [next(iter(sorted(folder.glob(f"{side}_testset*wav"))), None) for side in ("clean", "noisy")]
    return [side for side in sides if side] if all(sides) else []


def _by_file_id(files: dict[str, Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, path in files.items():
        file_id = _FILE_ID.findall(name)[0]
        if file_id in found:
            raise InputError(f"{found[file_id]} and {path} have the same {file_id}: remove one of them")
        found[file_id] = path
    return found


def _elsewhere(folder: Path) -> str:
    """Where there is a folder of pairs below: DNS-Challenge keeps them in synthetic/no_reverb."""
    below = [path.parent for depth in ("*", "*/*") for path in sorted(folder.glob(f"{depth}/noisy")) if path.is_dir()]
    found = next((path for path in below if (path / "clean").is_dir()), None)
    return f"; did you mean {found}?" if found else ""


def _sounds(folder: Path, ending: str = "") -> dict[str, Path]:
    """Sound files by their relative path without the ending: those of the folder and all below, or, with an `ending` of
    the name, those directly in it."""
    files: dict[str, Path] = {}
    if ending:
        paths = tuple(sorted(path for path in folder.glob(f"*{ending}.*") if path.suffix.lower() in SUFFIXES))
    else:
        listing = find_sounds(folder)
        for place, reason in listing.left_out:
            raise InputError(f"cannot use the pairs in {folder}: {place}: {reason}")
        paths = listing.paths
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix().removesuffix(ending)
        if name in files:
            raise InputError(f"{files[name]} and {path} have the same name: remove one of them")
        files[name] = path
    return files


def _measured(clean: np.ndarray, noisy: np.ndarray) -> float:
    """SNR of the whole clip's energies. With noisy = clean + noise it is the noisy clip's SDR."""
    snr_db = sdr(clean, noisy)
    return float(round(snr_db)) if math.isfinite(snr_db) else snr_db
