"""A corpus of the catalog in a folder: its files, a manifest with license and split of each, and whom to name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tinyse import sound_files
from tinyse.catalog.entries import Archive, Catalog, Corpus, Rule
from tinyse.catalog.fetch import fetch
from tinyse.catalog.unpack import members
from tinyse.errors import InputError
from tinyse.files import sha256, write_bytes, write_json, write_text
from tinyse.recordings.manifest import Manifest, Recording, join
from tinyse.recordings.splits import check_leaks, with_splits

NOTICES = re.compile(r"(?i)(^|/)(licen[cs]e|copying|copyright|readme|attribution|credits)[^/]*$")
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
    found = _Found()
    for archive in corpus.archives:
        say(f"{name}: {archive.name}, {archive.megabytes:,.0f} MB")
        path = fetch(archive, cache)
        hashes[archive.name] = _unchanged(archive, path, noted)
        _unpack(path, name, corpus, folder, found)
    if not found.recordings and found.left_out:
        raise InputError(f"{name}: none of its {len(found.left_out)} files can be read; the first: {found.left_out[0]}")
    if not found.recordings:
        raise InputError(f"{name}: none of the files in its archives is what its rules describe")
    settled = with_splits(found.recordings, found.undecided)
    check_leaks(settled)
    manifest = Manifest(folder, tuple(sorted(settled, key=lambda each: each.path)), tuple(found.left_out))
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


@dataclass
class _Found:
    """What the archives of a corpus hold."""

    recordings: list[Recording] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    """Paths of recordings whose split nobody decided."""
    left_out: list[str] = field(default_factory=list)
    """A line for each file that cannot be read."""


def _unpack(path: Path, name: str, corpus: Corpus, folder: Path, found: _Found) -> None:
    """Write the files that rules describe, and add what they are to `found`."""
    for place, content in members(path, lambda place: bool(_described(corpus, place) or NOTICES.search(str(place)))):
        described = _described(corpus, place)
        if content is None:
            found.left_out.append(f"left out: {path.name}/{place}: a link, which is not followed")
            continue
        if described is None:
            write_bytes(folder / "notices" / place.name, content)
            continue
        rule, match = described
        target = folder / place
        write_bytes(target, content)
        try:
            seconds = sound_files.duration(target)
        except InputError as error:
            found.left_out.append(f"left out: {error}")
            continue
        said = match.groupdict()
        speaker = said.get("speaker") or rule.speaker
        found.recordings.append(
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
                license=corpus.license,
            )
        )
        if rule.split is None:
            found.undecided.append(found.recordings[-1].path)


def _described(corpus: Corpus, place: PurePosixPath) -> tuple[Rule, re.Match[str]] | None:
    for rule in corpus.rules:
        if match := re.fullmatch(rule.files, str(place)):
            return rule, match
    return None


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
