"""The list behind `tinyse data get games`: which sounds of Debian's games are noise, of which class, under which license.

    python -m tinyse.catalog.make_games ARCHIVES

fetches the packages into ARCHIVES and writes `games.csv` beside this file. What is taken, and what it is, `games.yaml` says by
path. The license of each sound is what the package's copyright file says of that very file; a sound is taken only where that is
an open one. All of them are for training: nothing is chosen or judged by sound of games. For maintainers: needs
python-debian.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer

from tinyse.catalog.entries import Catalog, Corpus, Listed
from tinyse.catalog.fetch import fetch
from tinyse.catalog.make_open import as_csv
from tinyse.catalog.unpack import members
from tinyse.config import build
from tinyse.documents import from_yaml
from tinyse.files import write_text

HERE = Path(__file__).parent
_OPEN = re.compile(r"(?i)(CC0|CC-BY|CC-BY-SA|public-domain|MIT|Expat|BSD-\d-clause)(-\d\.\d)?\+?")
_NO_NAMES = ("CC0", "public domain")
"""Licenses that ask for no attribution."""


@dataclass(frozen=True)
class Selection:
    """What is taken of one package."""

    root: str
    """The folder in the package."""
    source: str
    """What the package's copyright file, which speaks of the sources, calls it."""
    takes: tuple[dict[str, str], ...]
    """A label -> a regular expression for paths below `root`; the first that matches decides, and `skip` takes none."""
    license: str = ""
    """License of all its sounds, where the copyright file is not in the machine-readable format."""

    def label(self, path: str) -> str | None:
        """The label of a path below `root`; None where it is not taken."""
        for take in self.takes:
            for label, files in take.items():
                if re.fullmatch(files, path):
                    return None if label == "skip" else label
        return None


def open_license(synopsis: str) -> str | None:
    """The open license that a field `License` of Debian's copyright format offers, as the catalog writes it; None without one.

    Of alternatives ("GPL-2+ or CC-BY-3.0") it is the first that is open. "CC0-1.0 and GPL-2" offers none.
    """
    for choice in re.split(r"(?i)\s+or\s+", synopsis.strip()):
        if _OPEN.fullmatch(choice):
            name = choice.rstrip("+").replace("public-domain", "public domain").replace("CC-BY-SA", "CC BY-SA")
            return re.sub(r"(?<=BY|SA|C0)-(?=\d)", " ", name.replace("CC-BY", "CC BY"))
    return None


def authors(copyright: str) -> str:
    """Whom a field `Copyright` names, on one line and without addresses."""
    lines = (re.sub(r"<[^>]*>|\([^)]*(?:http|www)[^)]*\)", "", line) for line in copyright.splitlines())
    return "; ".join(line for each in lines if (line := " ".join(each.split()).strip(" ,;")))


def selected(corpus: Corpus, selection: Selection, files: Iterable[tuple[PurePosixPath, bytes | None]]) -> list[Listed]:
    """The sounds that are taken of a package's `files`, its copyright file among them, each content once."""
    from debian.copyright import Copyright

    sounds: dict[str, PurePosixPath] = {}
    terms: Any = None
    for place, content in files:
        if content is None:
            continue
        if place.name == "copyright":
            terms = None if selection.license else Copyright(content.decode().splitlines(keepends=True), strict=False)
        else:
            sounds.setdefault(hashlib.sha256(content).hexdigest(), place)
    chosen = []
    for place in sorted(sounds.values()):
        inside = place.relative_to(selection.root)
        label = selection.label(str(inside))
        license, names = selection.license or None, ""
        if terms is not None:
            paragraph = terms.find_files_paragraph(str(PurePosixPath(selection.source) / inside))
            license = open_license(paragraph.license.synopsis) if paragraph else None
            names = authors(paragraph.copyright) if license and not license.startswith(_NO_NAMES) else ""
        if label is None or license is None:
            continue
        if license == corpus.license:  # whose authors the corpus names
            license = names = ""
        chosen.append(Listed(str(place), "noise", "train", label=label, license=license, attribution=names))
    return chosen


def main(archives: Annotated[Path, typer.Argument(help="Where the packages are, or are put.")]) -> None:
    """Write games.csv, and say how many sounds of each game are in it."""
    catalog = build(Catalog, from_yaml((HERE / "catalog.yaml").read_text(encoding="utf-8"), "catalog.yaml"))
    chosen: list[tuple[str, Listed]] = []
    for name, given in from_yaml((HERE / "games.yaml").read_text(encoding="utf-8"), "games.yaml").items():
        selection, corpus = build(Selection, given, name), catalog.corpora[name]
        (archive,) = corpus.archives

        def wanted(place: PurePosixPath, selection: Selection = selection) -> bool:
            root = PurePosixPath(selection.root)
            return place.is_relative_to(root) and selection.label(str(place.relative_to(root))) is not None

        def read(place: PurePosixPath, package: str = str(archive.debian).partition("=")[0]) -> bool:
            return wanted(place) or str(place) == f"usr/share/doc/{package}/copyright"

        found = selected(corpus, selection, members(fetch(archive, archives), read, archive.inside))
        print(f"{name}: {len(found)}")
        chosen += [(name, each) for each in found]
    write_text(HERE / "games.csv", as_csv(chosen))


if __name__ == "__main__":
    typer.run(main)
