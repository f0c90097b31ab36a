"""The ways in which data sets are laid out in folders, each a function that finds the files and reads their names.

A layout only lists; lengths, undecided splits and complaints belong to `tinyse.recordings.data`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tinyse.audio.sound_files import find_sounds
from tinyse.errors import InputError
from tinyse.recordings.manifest import KINDS, UNKNOWN, Kind, Split, rows_of
from tinyse.recordings.speakers import LEVEL, speaker_of

VARIOUS = "various, see the collection"


@dataclass(frozen=True)
class Found:
    """A sound file and what its place says about it; the fields are those of `Recording`."""

    path: Path
    kind: Kind
    split: Split | None
    """None where the data set does not say."""
    speaker: str = ""
    label: str = ""
    source: str = ""
    corpus: str = ""
    license: str = UNKNOWN
    ship: bool = False
    seconds: float | None = None
    """None where the header has to be read for it."""
    minus: Path | None = None
    """What is taken away from it, where it is not the sound itself."""


@dataclass(frozen=True)
class Layout:
    """A named way of laying out a data set."""

    name: str
    recognize: Callable[[Path], bool]
    find: Callable[[Path], Iterator[Found]]


def layout_of(folder: Path) -> Layout | None:
    """The layout of a folder, or None where it follows none of them."""
    return next((layout for layout in LAYOUTS if layout.recognize(folder)), None)


def plain(folder: Path, kind: Kind | None = None, speaker_level: int = LEVEL) -> Iterator[Found]:
    """speech/SPEAKER/..., noise/.../CLASS and rir/.../ROOM, or a folder that is all of one kind.

    speech, noise and rir may lie one folder deeper and be written in capital letters. A folder train, valid or test
    directly under them is a split. A file without a folder of its own has no known speaker and is a source recording by
    itself. Its license is unknown, so nothing ships until the CSV says so.
    """
    for top, each in [(folder, kind)] if kind else plain_tops(folder):
        corpus = folder if kind else top.parent
        for path in sounds(top):
            split, folders = place_of(path, top)
            name = speaker_of(folders, speaker_level) if each == "speech" else "".join(folders[-1:])
            speaker = f"{corpus.name}_{name}" if name and each == "speech" else ""
            label = "" if each == "speech" else name or each
            source = f"{corpus.name}:{path.relative_to(corpus).as_posix()}"
            yield Found(path, each, split, speaker, label, source, corpus=corpus.name)


def plain_tops(folder: Path) -> list[tuple[Path, Kind]]:
    """The folders called speech, noise or rir in a folder, or, where it has none, in the folders in it."""
    inside = _folders(folder)
    for level in ([folder], inside):
        tops = [
            (top, kind) for each in level for top in _folders(each) for kind in KINDS if top.name.casefold() == kind
        ]
        if tops:
            return tops
    return []


def place_of(path: Path, top: Path) -> tuple[Split | None, tuple[str, ...]]:
    """Of a file in a plain folder: the split that the first folder below `top` names, and the folders from there on."""
    folders = path.relative_to(top).parts[:-1]
    split = _split_named(folders[0]) if folders else None
    return split, folders[1:] if split else folders


def sounds(folder: Path) -> tuple[Path, ...]:
    """All sound files under a folder in the order of their names."""
    return find_sounds(folder).paths


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []  # the list of what was left out names it


# Manifests of this project: manifests/{speech,noise}_{train,valid,test}.csv and rir.csv beside the folders they list.

_MANIFEST = re.compile(r"(speech|noise)_(train|valid|test)|rir")


def _manifests(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "manifests").glob("*.csv") if _MANIFEST.fullmatch(path.stem))


def _from_manifests(folder: Path) -> Iterator[Found]:
    for path in _manifests(folder):
        kind, _, split = path.stem.partition("_")
        for where, row in rows_of(path, ("path", "seconds")):
            place = _place(folder, folder, row["path"], where)
            try:
                seconds = float(row["seconds"])
            except ValueError as error:
                raise InputError(f"{where}: {row['seconds']!r} is not a number of seconds") from error
            room = row.get("room", "").strip("-") or row.get("kind", "")
            yield Found(
                place,
                kind,  # type: ignore[arg-type]
                split or "train",  # type: ignore[arg-type]
                speaker=row.get("speaker", ""),
                label=row.get("class", "") or room,
                source=row.get("source", "") or (f"{row.get('corpus', '')}:{room}" if kind == "rir" else ""),
                corpus=row.get("corpus", ""),
                license=row.get("license", "") or UNKNOWN,
                ship=row.get("ship", "") == "yes",
                seconds=seconds,
            )


# LibriSpeech (Panayotov 2015): SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac, CC BY 4.0.

_SUBSET = re.compile(r"(train|dev|test)-(clean|other)(-\d+)?")


def _librispeech_subsets(folder: Path) -> list[Path]:
    tops = [folder, folder / "LibriSpeech"]
    inside = [path for top in tops if top.is_dir() for path in top.iterdir() if path.is_dir()]
    return sorted(path for path in [folder, *inside] if _SUBSET.fullmatch(path.name))


def _librispeech(folder: Path) -> Iterator[Found]:
    subsets = _librispeech_subsets(folder)
    # A user who has only dev-clean wants to train on it: its voices are then drawn into all three splits.
    own_splits = any(subset.name.startswith("train") for subset in subsets)
    for subset in subsets:
        split = _split_named(subset.name.partition("-")[0]) if own_splits else None
        for path in sounds(subset):
            speaker = f"librispeech_{path.relative_to(subset).parts[0]}"
            yield Found(path, "speech", split, speaker, corpus="librispeech", license="CC BY 4.0", ship=True)


# VoiceBank-DEMAND (Valentini-Botinhao 2016): clean_trainset_28spk_wav/p226_001.wav, noisy_..., CC BY 4.0.


def _voicebank_folders(folder: Path) -> list[Path]:
    return sorted([*folder.glob("clean_trainset*wav"), *folder.glob("clean_testset*wav")])


def _voicebank(folder: Path) -> Iterator[Found]:
    # The noise is the difference of the noisy and the clean twin. Where in DEMAND it was cut is not recorded: all that was
    # laid over one talker is taken for one source recording.
    for top in _voicebank_folders(folder):
        split: Split = "test" if "testset" in top.name else "train"
        noisy = top.with_name(top.name.replace("clean", "noisy", 1))
        for path in sounds(top):
            speaker = f"vctk_{path.stem.partition('_')[0]}"
            yield Found(path, "speech", split, speaker, corpus="voicebank", license="CC BY 4.0", ship=True)
            twin = noisy / path.relative_to(top)
            if twin.is_file():
                source = f"voicebank:{speaker}"
                yield Found(twin, "noise", split, "", "demand", source, "voicebank", "CC BY 4.0", True, minus=path)


# DNS-Challenge (Reddy 2020): datasets_fullband/{clean_fullband,noise_fullband,impulse_responses}, or datasets/{clean,
# noise,impulse_responses} of the earlier ones. Its parts have licenses of their own.

_VOICE = re.compile(r"(reader_\d+|p\d{3})(?=_)")


def _dns_folders(folder: Path) -> dict[Kind, Path]:
    for top in (folder, folder / "datasets_fullband", folder / "datasets"):
        for ending in ("_fullband", ""):
            if (top / f"clean{ending}").is_dir() and (top / f"noise{ending}").is_dir():
                return {
                    "speech": top / f"clean{ending}",
                    "noise": top / f"noise{ending}",
                    "rir": top / "impulse_responses",
                }
    return {}


def _dns(folder: Path) -> Iterator[Found]:
    for kind, top in _dns_folders(folder).items():
        for path in sounds(top) if top.is_dir() else ():
            parent = path.parent.name if path.parent != top else ""
            voice = _VOICE.search(path.stem)
            speaker = f"dns_{voice[0] if voice else parent}" if kind == "speech" and (voice or parent) else ""
            label = "" if kind == "speech" else parent or kind
            source = f"dns:{path.stem}" if kind == "noise" else ""
            yield Found(path, kind, None, speaker, label, source, "dns", VARIOUS)


# MS-SNSD (Reddy 2019): clean_train/clnsp1.wav, noise_train/AirConditioner_1.wav, clean_test, noise_test.


def _ms_snsd(folder: Path) -> Iterator[Found]:
    for kind, name in (("speech", "clean"), ("noise", "noise")):
        for split in ("train", "test"):
            for path in sounds(folder / f"{name}_{split}"):
                label = path.stem.partition("_")[0] if kind == "noise" else ""
                source = f"ms-snsd:{name}_{split}/{path.stem}"
                yield Found(path, kind, split, "", label, source, "ms-snsd", VARIOUS)  # type: ignore[arg-type]


# ESC-50 (Piczak 2015): meta/esc50.csv, audio/FOLD-CLIP-TAKE-TARGET.wav. Its folds keep a source recording together.


def _esc50(folder: Path) -> Iterator[Found]:
    columns = ("filename", "fold", "category", "esc10", "src_file")
    for where, row in rows_of(folder / "meta" / "esc50.csv", columns):
        free = row["esc10"].lower() == "true"
        yield Found(
            _place(folder, folder / "audio", row["filename"], where),
            "noise",
            {"4": "valid", "5": "test"}.get(row["fold"], "train"),  # type: ignore[arg-type]
            label=row["category"],
            source=f"freesound:{row['src_file']}",
            corpus="esc50",
            license="CC BY 3.0" if free else "CC BY-NC 3.0",
            ship=free,
        )


def _place(folder: Path, start: Path, name: str, where: str) -> Path:
    """The file of a row, whose path begins at `start`. Raises InputError for one that is not below `folder`: what is
    found is named from there."""
    place = start / name
    if not name or "\0" in name or not place.is_relative_to(folder):
        raise InputError(f"{where}: the path {name!r} is none in {folder}")
    return place


def _split_named(name: str) -> Split | None:
    names: dict[str, Split] = {"train": "train", "valid": "valid", "val": "valid", "dev": "valid", "test": "test"}
    return names.get(name.casefold())


LAYOUTS = (
    Layout("manifests", lambda folder: bool(_manifests(folder)), _from_manifests),
    Layout("LibriSpeech", lambda folder: bool(_librispeech_subsets(folder)), _librispeech),
    Layout("VoiceBank-DEMAND", lambda folder: bool(_voicebank_folders(folder)), _voicebank),
    Layout("MS-SNSD", lambda folder: (folder / "clean_train").is_dir() and (folder / "noise_train").is_dir(), _ms_snsd),
    Layout("ESC-50", lambda folder: (folder / "meta" / "esc50.csv").is_file(), _esc50),
    Layout("DNS-Challenge", lambda folder: bool(_dns_folders(folder)), _dns),
    Layout("plain", lambda folder: bool(plain_tops(folder)), plain),
)
"""In the order in which they are tried: the most telling signs first, the plain folder last."""
