"""Shards of a server on this machine, a few at a time: fetched once for all processes, the oldest removed.

The buffer is a folder in the cache ($TINYSE_CACHE, else ~/.cache/tinyse), `shards-HASH/`, of the newest `KEPT` files. A process
that has a removed file open keeps reading it, and a file that is wanted again is fetched again.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from tinyse.errors import InputError
from tinyse.files import sha256, write_text
from tinyse.locks import in_turn
from tinyse.recordings.cache import default_cache
from tinyse.remote import download

KEPT = 24
"""Files: two windows of four shards of speech, noise and rooms, and what validation and tests use."""
TRIES = 9
"""Attempts to fetch a file in a run; with the pauses between them a server may be away for a minute. The index, which comes
first, has `remote.TRIES`: a mistyped address should fail soon."""
LOCKS = 16


@dataclass(frozen=True)
class Buffer:
    """The files of one address that are on this machine."""

    address: str
    folder: Path

    @classmethod
    def of(cls, address: str, cache: Path | None = None) -> Buffer:
        """The buffer of an address; nothing is fetched yet."""
        name = hashlib.sha256(address.encode()).hexdigest()[:16]
        buffer = cls(address, (cache or default_cache()) / f"shards-{name}")
        write_text(buffer.folder / "address", address + "\n")
        return buffer

    def fetch_now(self, name: str, most: int) -> Path:
        """A file that may have changed since last time. Raises InputError where it cannot be had."""
        with self._locked(name):
            (self.folder / f".{name}.part").unlink(missing_ok=True)  # may be of an older one
            self._download(name, most, tries=None)
        return self.folder / name

    def fetch(self, name: str, most: int, digest: str) -> Path:
        """The file of this SHA-256 and at most this size, a shard of exactly this one: from the buffer, else from the server.

        Raises InputError where it cannot be had, or is another file by now.
        """
        path = self.folder / f"{digest[:16]}-{name}"
        with self._locked(name):
            if path.is_file() and (path.suffix != ".tar" or path.stat().st_size == most):
                # Used now; the time of the change stays, by which a reader knows that the file is what it was.
                os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
                return path
            self._download(name, most, path)
            if sha256(path) != digest:
                path.unlink()
                raise InputError(
                    f"{self.address}/{name} is not the file that the index names: it was replaced, or is damaged there; "
                    "start again to read the new index, or copy the file to the server again"
                )
            self._remove_oldest()
        return path

    def _download(self, name: str, most: int, path: Path | None = None, tries: int | None = TRIES) -> None:
        url = f"{self.address}/{name}"
        path = path or self.folder / name
        try:
            download(url, path, path.with_name(f".{path.name}.part"), most, tries)
        except OSError as error:
            raise InputError(f"cannot fetch {url}: {error}") from error
        if path.suffix == ".tar" and path.stat().st_size != most:
            size = path.stat().st_size
            path.unlink()
            raise InputError(f"{url} has {size} bytes, its index says {most}: it was replaced, or was not copied whole")

    def _locked(self, name: str) -> AbstractContextManager[None]:
        """Hold a file of the buffer against other processes, which then find it fetched."""
        number = hashlib.sha256(name.encode()).digest()[0] % LOCKS
        return in_turn(self.folder / f"lock-{number}")

    def _remove_oldest(self) -> None:
        ages = []
        for path in self.folder.glob("*.tar"):
            with suppress(OSError):  # another process removed it
                ages.append((path.stat().st_atime_ns, path))
        for _, path in sorted(ages)[:-KEPT]:
            path.unlink(missing_ok=True)
