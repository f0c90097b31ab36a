"""Files on servers: what counts as an address, and one file fetched whole, resumed where a connection broke."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from tinyse.errors import needs
from tinyse.progress import silent

SCHEMES = ("http", "https", "s3", "gs", "az")
"""http and https are read by requests; the others by fsspec, which needs a package for each (s3fs, gcsfs, adlfs)."""
TRIES = 4
"""Attempts at one download; each resumes where the previous one stopped."""
TIMEOUT = 30
"""Seconds in which a server has to send something."""
BLOCK = 1 << 14
"""Bytes per write; at most this many are lost when a connection breaks."""


def address_of(path: str | Path) -> str | None:
    """The address that a user gave as a path, or None for a path on this machine.

    Paths of recipes and commands are `pathlib`'s, which makes `https:/host/x` of `https://host/x`.
    """
    match = re.match(r"([a-z0-9]+):/+(.+)", str(path))
    return f"{match[1]}://{match[2]}" if match and match[1] in SCHEMES else None


def download(
    url: str,
    path: Path,
    part: Path,
    most: int | None = None,
    tries: int | None = None,
    progress: Callable[[int], object] = silent,
) -> None:
    """Fetch `url` into `path`, whole or not at all; what has arrived stays in `part` for the next try.

    RFC 9110, section 14: `Range: bytes=N-`. A server that does not know ranges sends the whole file again. `most` is the
    largest number of bytes that is accepted. `progress` is called with the number of bytes that have arrived since the
    last call. Raises OSError (requests' errors are of this kind) where the file cannot be had.
    """
    fetch = _by_requests if url.startswith(("http://", "https://")) else _by_fsspec
    tries = TRIES if tries is None else tries
    progress(part.stat().st_size if part.exists() else 0)
    for attempt in range(tries):
        try:
            fetch(url, part, most, progress)
            os.replace(part, path)
            return
        except ConnectionError:
            if attempt == tries - 1:
                raise
            time.sleep(min(2**attempt / 4, 16))


def _by_requests(url: str, part: Path, most: int | None, progress: Callable[[int], object]) -> None:
    with needs("train"):
        import requests

    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                # All of it was fetched, or it is another file by now: the hash will tell.
                if answer.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
                    return
                part.unlink()
                return _by_requests(url, part, most, progress)
            if answer.status_code >= 500 or answer.status_code == requests.codes.too_many_requests:
                raise ConnectionError(f"{url}: {answer.status_code} {answer.reason}")
            answer.raise_for_status()
            resumes = answer.status_code == requests.codes.partial_content
            have = have if resumes else 0
            expected = int(answer.headers.get("Content-Length") or 0)
            received = 0
            with open(part, "ab" if resumes else "wb") as file:
                for block in answer.iter_content(BLOCK):
                    received += len(block)
                    _check_size(url, part, have + received, most)
                    file.write(block)
                    progress(len(block))
            if expected and received < expected and "Content-Encoding" not in answer.headers:
                raise ConnectionError(f"{url}: {received} of {expected} bytes came")
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise ConnectionError(_cause(error)) from error


def _cause(error: Exception) -> str:
    """What is at the bottom of an error of requests: without the pools and retries of the libraries below."""
    reason: object = error
    while (args := getattr(reason, "args", ())) and isinstance(inner := getattr(args[0], "reason", args[0]), Exception):
        reason = inner
    return str(reason).rpartition(">: ")[2].rpartition("): ")[2]


def _by_fsspec(url: str, part: Path, most: int | None, progress: Callable[[int], object]) -> None:
    with needs("train"):
        import fsspec
    received = 0
    try:
        with fsspec.open(url, "rb") as source, open(part, "wb") as file:
            while block := source.read(1 << 20):
                received += len(block)
                _check_size(url, part, received, most)
                file.write(block)
                progress(len(block))
    except (FileNotFoundError, PermissionError):
        raise
    except ImportError as error:
        raise OSError(f"{url}: {error}") from error
    except Exception as error:  # every backend has errors of its own
        raise ConnectionError(f"{url}: {error}") from error


def _check_size(url: str, part: Path, size: int, most: int | None) -> None:
    if most is not None and size > most:
        part.unlink(missing_ok=True)
        raise PermissionError(f"{url}: more than {most} bytes came")
