"""A corpus of the catalog in a folder: its files, a manifest with license and split of each, and whom to name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from tinyse.audio import sound_files
from tinyse.catalog.entries import Archive, Catalog, Corpus
from tinyse.catalog.fetch import SOURCES, fetch, fetch_each
from tinyse.catalog.unpack import members
from tinyse.documents import read_own_json
from tinyse.errors import InputError
from tinyse.files import free_bytes, sha256, write_bytes, write_json, write_text
from tinyse.locks import alone_in
from tinyse.progress import silent, track
from tinyse.recordings.broken import LEFT_OUT
from tinyse.recordings.manifest import (
    ATTRIBUTIONS,
    MANIFEST,
    Kind,
    Manifest,
    Recording,
    Split,
    join,
    refuse_to_lose,
)
from tinyse.recordings.splits import check_leaks, with_splits

NOTICES = re.compile(r"(?i)(^|/)(licen[cs]e|copying|copyright|readme|attribution|credits)[^/]*$")
"""Files that are kept beside the sound: what the license asks for."""


@dataclass(frozen=True)
class Got:
    """What a corpus came to."""

    name: str
    manifest: Manifest
    was_there: bool
    """Whether an earlier call had finished it."""


def get(
    catalog: Catalog, names: Sequence[str], output: Path, cache: Path, say: Callable[[str], None] = silent
) -> list[Got]:
    """Fetch corpora into `output`/NAME and write `output`/manifest.csv over all corpora in it.

    What is finished is not done again; what was interrupted continues. Archives stay in `cache`. Raises InputError by name
    for a corpus that cannot be fetched; those before it are finished; and where another process is writing to `output`.
    """
    ours = {*catalog.corpora, *(corpus.corpus for corpus in catalog.corpora.values() if corpus.corpus)}
    refuse_to_lose(output / MANIFEST, ours)
    done: list[Got] = []
    with alone_in(output):
        for name, corpus in catalog.chosen(names).items():
            done.append(_one(name, corpus, output / name, cache, say))
            _summarize(catalog, output)
    return done


def _one(name: str, corpus: Corpus, folder: Path, cache: Path, say: Callable[[str], None]) -> Got:
    noted = _noted(folder)
    if _is_there(corpus, folder, noted):
        return Got(name, Manifest.read(folder / MANIFEST), was_there=True)
    hashes = {}
    found = _Found()
    described = _by_list(corpus) if corpus.listed else _by_rules(name, corpus)
    for archive in corpus.archives:
        say(f"{name}: {archive.name}, {archive.megabytes:,.0f} MB")
        if archive.each:
            place, missing = fetch_each(archive, [each.path for each in corpus.listed], cache)
            found.left_out += [f"{LEFT_OUT}{archive.url}{path}: the server does not have it" for path in missing]
            content = {each.path: place / each.path for each in corpus.listed if each.path not in missing}
            before = noted if noted.get("list") == _list_hash(corpus) else {}
            hashes[archive.name] = _unchanged(archive, _hash_of(content), place, before)
            unpacked = ((PurePosixPath(each), path.read_bytes()) for each, path in content.items())
            _take(unpacked, archive.name, name, corpus, described, folder, found)
            continue
        path = fetch(archive, cache)
        hashes[archive.name] = _unchanged(archive, sha256(path), path, noted)

        def wanted(place: PurePosixPath) -> bool:
            return described(place) is not None or bool(NOTICES.search(str(place)))

        _take(members(path, wanted, archive.inside), path.name, name, corpus, described, folder, found)
    there = {each.path for each in found.recordings}
    if not any(archive.each for archive in corpus.archives):
        found.left_out += [
            f"{LEFT_OUT}{each.path}: no archive has it" for each in corpus.listed if each.path not in there
        ]
    if not found.recordings and found.left_out:
        raise InputError(f"{name}: none of its {len(found.left_out)} files can be read; the first: {found.left_out[0]}")
    if not found.recordings:
        raise InputError(f"{name}: none of the files in its archives is what its rules describe")
    # A list is the last word; where rules decide, a corpus of train alone gives some of it to valid.
    settled = tuple(found.recordings) if corpus.listed else with_splits(found.recordings, found.undecided)
    check_leaks(settled)
    manifest = Manifest(folder, tuple(sorted(settled, key=lambda each: each.path)), tuple(found.left_out))
    manifest.write(folder / MANIFEST)
    write_json(folder / SOURCES, {"archives": hashes, "list": _list_hash(corpus)})
    return Got(name, manifest, was_there=False)


def _noted(folder: Path) -> dict[str, Any]:
    """What an earlier call wrote down of the archives."""
    sources = folder / SOURCES
    return read_own_json(sources, "archives") if sources.is_file() else {}


def _is_there(corpus: Corpus, folder: Path, noted: Mapping[str, Any]) -> bool:
    """Whether an earlier call finished the corpus, as the catalog describes it now."""
    wanted = [archive.name for archive in corpus.archives]
    same = list(noted.get("archives", ())) == wanted and noted.get("list") == _list_hash(corpus)
    return same and (folder / MANIFEST).is_file()


def _list_hash(corpus: Corpus) -> str | None:
    """The name of a list's content; None where rules say what is taken."""
    return hashlib.sha256(repr(corpus.listed).encode()).hexdigest() if corpus.listed else None


@dataclass(frozen=True)
class DiskUse:
    """Disk space that a call of `get` will take, in MB."""

    to_fetch: float
    """Archives that have not been fetched yet."""
    at_most: float
    """These and all that may be unpacked."""
    free: float


def disk_use(catalog: Catalog, names: Sequence[str], output: Path, cache: Path) -> DiskUse:
    """The disk space that `get` will take. Raises InputError where there is too little, or a file is in a folder's place."""
    for folder in (output, cache):
        there = next(place for place in (folder, *folder.resolve().parents) if place.exists())
        if not there.is_dir():
            raise InputError(f"{there} is a file: give a folder for --output and for --cache")
    missing = [
        archive
        for name, corpus in catalog.chosen(names).items()
        if not _is_there(corpus, output / name, _noted(output / name))
        for archive in corpus.archives
    ]
    to_fetch = sum(archive.megabytes for archive in missing if archive.each or not (cache / archive.name).is_file())
    unpacked = sum(archive.megabytes for archive in missing)
    found = DiskUse(to_fetch, to_fetch + unpacked, free_bytes(cache) / 1e6)
    if found.to_fetch > found.free:
        raise InputError(f"the archives have {found.to_fetch:,.0f} MB, and {cache} has {found.free:,.0f} MB left: make room, "
                         "or give another --output or --cache")  # fmt: skip
    return found


def _unchanged(archive: Archive, found: str, path: Path, noted: Mapping[str, Any]) -> str:
    """`found`, the SHA-256 of what lies at `path`. Raises InputError where it is not the one of an earlier fetch and the
    catalog has no hash to decide."""
    before = noted.get("archives", {}).get(archive.name)
    if archive.hash is None and before not in (None, found):
        raise InputError(f"{archive.name} has changed since it was fetched first; remove {path.parent} to accept that")
    return found


@dataclass
class _Found:
    """What the archives of a corpus hold."""

    recordings: list[Recording] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    """Paths of recordings whose split is undecided."""
    left_out: list[str] = field(default_factory=list)
    """A line for each file that cannot be read."""
    notices: set[str] = field(default_factory=set)
    """Names of the notices that are written."""


def _take(
    files: Iterable[tuple[PurePosixPath, bytes | None]],
    archive: str,
    name: str,
    corpus: Corpus,
    described: _Describe,
    folder: Path,
    found: _Found,
) -> None:
    """Write the files of an archive that are described, and add what they are to `found`."""
    for place, content in track(files, None, f"{name}: reading {archive}"):
        what = described(place)
        if content is None:
            found.left_out.append(f"{LEFT_OUT}{archive}/{place}: a link, which is not followed")
            continue
        if what is None:
            # Of the notices with the same name, the later ones are kept under their paths.
            notice = place.name if place.name not in found.notices else str(place).replace("/", "_")
            found.notices.add(notice)
            write_bytes(folder / "notices" / notice, content)
            continue
        target = folder / place
        write_bytes(target, content)
        try:
            seconds = sound_files.duration(target)
        except InputError as error:
            found.left_out.append(f"{LEFT_OUT}{error}")
            continue
        path = target.relative_to(folder).as_posix()
        found.recordings.append(
            Recording(
                path=path,
                seconds=seconds,
                kind=what.kind,
                split=what.split or "train",
                speaker=f"{corpus.speakers or corpus.corpus or name}_{what.speaker}" if what.speaker else "",
                label=what.label,
                source=what.source or f"{name}:{path}",
                corpus=corpus.corpus or name,
                ship=what.ship,
                license=what.license,
            )
        )
        if what.split is None:
            found.undecided.append(path)


class _Description(NamedTuple):
    """What a file of an archive is."""

    kind: Kind
    split: Split | None
    speaker: str
    label: str
    source: str
    license: str
    ship: bool


_Describe = Callable[[PurePosixPath], "_Description | None"]
"""What a path inside an archive is; None where it is not wanted."""


def _by_rules(name: str, corpus: Corpus) -> _Describe:
    def described(place: PurePosixPath) -> _Description | None:
        for rule in corpus.rules:
            if match := re.fullmatch(rule.files, str(place)):
                said = match.groupdict()
                return _Description(
                    kind=rule.kind,
                    split=rule.split,
                    speaker=said.get("speaker") or rule.speaker,
                    label="" if rule.kind == "speech" else said.get("label") or rule.label or rule.kind,
                    source=f"{name}:{said['source']}" if said.get("source") else "",
                    license=corpus.license,
                    ship=corpus.ship if rule.ship is None else rule.ship,
                )
        return None

    return described


def _by_list(corpus: Corpus) -> _Describe:
    listed = {each.path: each for each in corpus.listed}

    def described(place: PurePosixPath) -> _Description | None:
        each = listed.get(str(place))
        if each is None:
            return None
        license = each.license or corpus.license
        return _Description(each.kind, each.split, each.speaker, each.label, each.source, license, corpus.ship)

    return described


def _hash_of(files: dict[str, Path]) -> str:
    """One name for many files: the SHA-256 of the list of theirs."""
    lines = "".join(f"{sha256(path)}  {name}\n" for name, path in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


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
        lines += [
            f"    - {each.path.rpartition('/')[2]}{f' ({each.source})' if each.source else ''}: {each.attribution}, "
            f"{each.license or corpus.license}"
            for each in corpus.listed
            if each.attribution
        ]
    write_text(output / ATTRIBUTIONS, "\n".join(lines) + "\n")
