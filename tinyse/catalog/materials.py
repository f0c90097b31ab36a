"""A material of the catalog in a folder: what sound is synthesized from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tinyse.catalog.entries import Material
from tinyse.catalog.fetch import SOURCES, fetch
from tinyse.catalog.unpack import members
from tinyse.documents import read_own_json
from tinyse.errors import InputError
from tinyse.files import sha256, write_bytes, write_json
from tinyse.progress import silent


def get_material(name: str, material: Material, folder: Path, cache: Path, say: Callable[[str], None] = silent) -> Path:
    """Fetch a material into `folder`, unless it is already there, and return the folder. Archives stay in `cache`.

    Raises InputError by name for one that cannot be had, or whose archives lack a file that it describes.
    """
    sources = folder / SOURCES
    wanted = [archive.name for archive in material.archives]
    if sources.is_file() and list(read_own_json(sources, "archives")["archives"]) == wanted:
        return folder
    hashes, missing = {}, dict.fromkeys(material.files)
    for archive in material.archives:
        say(f"{name}: {archive.name}, {archive.megabytes:,.0f} MB")
        path = fetch(archive, cache)
        hashes[archive.name] = sha256(path)
        for place, content in members(path, lambda place: _target(material, place) is not None):
            described = _target(material, place)
            if described is None or content is None:
                continue
            pattern, target = described
            write_bytes(folder / target, content)
            missing.pop(pattern, None)
    if missing:
        raise InputError(f"{name}: no file in its archives is {next(iter(missing))}")
    write_json(sources, {"archives": hashes, "license": material.license, "attribution": material.attribution})
    return folder


def _target(material: Material, place: PurePosixPath) -> tuple[str, str] | None:
    """The expression that describes a file, and the path that the file gets."""
    for pattern, target in material.files.items():
        if match := re.fullmatch(pattern, str(place)):
            return pattern, match.expand(target)
    return None
