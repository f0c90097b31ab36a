"""A corpus of the catalog in a folder: its files, a manifest with license and split of each, and whom to name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tinyse import audio
from tinyse.catalog.entries import Archive, Catalog, Corpus, Rule
from tinyse.catalog.fetch import fetch
from tinyse.catalog.unpack import members
from tinyse.errors import InputError
from tinyse.files import replacing, sha256, write_bytes, write_json, write_text
from tinyse.recordings.manifest import Manifest, Recording, join
from tinyse.recordings.splits import check_leaks, with_splits

DECODED = {".g722", ".m4a", ".mp4", ".aac", ".wma"}
"""Suffixes that libsndfile does not read: ffmpeg turns these files into FLAC when they are unpacked."""
NOTICES = re.compile(r"(?i)(^|/)(license|licence|copying|copyright|readme|attribution|credits)[^/]*$")
"""Files that are kept beside the sound: what the license asks for."""
MANIFEST, SOURCES, ATTRIBUTIONS = "manifest.csv", "sources.json", "ATTRIBUTIONS.md"


@dataclass(frozen=True)
class Got:
    """What a corpus came to."""

    name: str
    manifest: Manifest
    was_there: bool
    """Whether an earlier call had finished it."""


def get(
    catalog: Catalog, names: Sequence[str], output: Path, cache: Path, say: Callable[[str], None] = lambda _: None
) -> list[Got]:
    """Fetch corpora into `output`/NAME and write `output`/manifest.csv over all that lie there.

    What is finished is not done again; what was interrupted goes on. Archives stay in `cache`. Raises InputError by name
    for a corpus that cannot be had; those before it are finished.
    """
    done: list[Got] = []
    for name, corpus in catalog.chosen(names).items():
        done.append(_one(name, corpus, output / name, cache, say))
        _summarize(catalog, output)
    return done


def _one(name: str, corpus: Corpus, folder: Path, cache: Path, say: Callable[[str], None]) -> Got:
    sources = folder / SOURCES
    wanted = [archive.name for archive in corpus.archives]
    noted = json.loads(sources.read_text(encoding="utf-8")) if sources.is_file() else {}
    if noted.get("archives") is not None and list(noted["archives"]) == wanted and (folder / MANIFEST).is_file():
        return Got(name, Manifest.read(folder / MANIFEST), was_there=True)
    hashes = {}
    recordings: list[Recording] = []
    undecided: list[str] = []
    for archive in corpus.archives:
        say(f"{name}: {archive.name}, {archive.megabytes:,.0f} MB")
        path = fetch(archive, cache)
        hashes[archive.name] = _unchanged(archive, path, noted)
        found, open_paths = _unpacked(path, name, corpus, folder)
        recordings += found
        undecided += open_paths
    if not recordings:
        raise InputError(f"{name}: none of the files in its archives is what its rules describe")
    settled = with_splits(recordings, undecided)
    check_leaks(settled)
    manifest = Manifest(folder, tuple(sorted(settled, key=lambda each: each.path)))
    manifest.write(folder / MANIFEST)
    write_json(sources, {"archives": hashes})
    return Got(name, manifest, was_there=False)


def _unchanged(archive: Archive, path: Path, noted: dict[str, dict[str, str]]) -> str:
    """The file's SHA-256. Raises InputError where it is not the one of an earlier time and nobody else vouches for it."""
    found = sha256(path)
    before = noted.get("archives", {}).get(archive.name)
    if archive.hash is None and before not in (None, found):
        raise InputError(f"{archive.name} has changed since it was fetched first; remove {path.parent} to accept that")
    return found


def _unpacked(path: Path, name: str, corpus: Corpus, folder: Path) -> tuple[list[Recording], list[str]]:
    """Write the files that rules describe: what they are, and the paths of those whose split nobody decided."""
    recordings: list[Recording] = []
    undecided: list[str] = []
    for place, content in members(path, lambda place: bool(_described(corpus, place)[1] or NOTICES.search(str(place)))):
        rule, match = _described(corpus, place)
        if match is None:
            write_bytes(folder / "notices" / place.name, content)
            continue
        target = folder / place
        if place.suffix.lower() in DECODED:
            target = target.with_suffix(".flac")
            _decode(content, place.suffix, target)
        else:
            write_bytes(target, content)
        try:
            seconds = audio.duration(target)
        except InputError:
            # Corpora have a few empty files; what cannot be read is no recording.
            target.unlink(missing_ok=True)
            continue
        said = match.groupdict()
        speaker = said.get("speaker") or rule.speaker
        recordings.append(
            Recording(
                path=target.relative_to(folder).as_posix(),
                seconds=seconds,
                kind=rule.kind,
                split=rule.split or "train",
                speaker=f"{corpus.speakers or name}_{speaker}" if speaker else "",
                label="" if rule.kind == "speech" else said.get("label") or rule.label or rule.kind,
                source=f"{name}:{said.get('source') or target.relative_to(folder).as_posix()}",
                corpus=name,
                ship=corpus.ship if rule.ship is None else rule.ship,
                licence=corpus.license,
            )
        )
        if rule.split is None:
            undecided.append(recordings[-1].path)
    return recordings, undecided


def _described(corpus: Corpus, place: PurePosixPath) -> tuple[Rule, re.Match[str] | None]:
    for rule in corpus.rules:
        if match := re.fullmatch(rule.files, str(place)):
            return rule, match
    return corpus.rules[0], None


def _decode(content: bytes, suffix: str, target: Path) -> None:
    """FLAC of what ffmpeg reads; its name tells it the format, as raw G.722 has no header."""
    if shutil.which("ffmpeg") is None:
        raise InputError(f"{target.name}: {suffix} files are decoded by ffmpeg, which is not on this machine")
    with replacing(target) as temporary, tempfile.NamedTemporaryFile(suffix=suffix) as source:
        source.write(content)
        source.flush()
        command = ["ffmpeg", "-v", "error", "-y", "-i", source.name, "-f", "flac", str(temporary)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise InputError(
                f"{target.name}: ffmpeg cannot decode it: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
            )


def _summarize(catalog: Catalog, output: Path) -> None:
    """One manifest over all the corpora in a folder, and one list of whom to name."""
    present = {name: corpus for name, corpus in catalog.corpora.items() if (output / name / MANIFEST).is_file()}
    joined = join([Manifest.read(output / name / MANIFEST) for name in present])
    check_leaks(joined.recordings)
    joined.write(output / MANIFEST)
    lines = ["# Attributions", "", "Sound in this folder, whose licenses ask for these lines wherever it goes.", ""]
    for name, corpus in present.items():
        weights = (
            "weights trained on it may be released"
            if corpus.ship
            else "for experiments: keep it out of released weights"
        )
        lines.append(
            f"- **{name}**: {corpus.title}. {corpus.attribution}. {corpus.license}; {weights}. {corpus.homepage}"
        )
    write_text(output / ATTRIBUTIONS, "\n".join(lines) + "\n")
