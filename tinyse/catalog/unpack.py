"""Archives -> the files in them that are wanted, one by one: nothing is written but where it belongs.

Paths come from strangers, so members are read rather than extracted: links, devices, absolute paths and `..` are never
followed, and what comes out has a limit.
"""

from __future__ import annotations

import io
import lzma
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from tinyse.errors import InputError

EXPANSION = 40
"""How many times its own size an archive may unpack to; sound compresses by 12 at most."""


def members(path: Path, wanted: Callable[[PurePosixPath], bool]) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Those regular files of a .tar.*, .tgz, .zip, .whl or .deb whose paths are `wanted`: path inside it, and content.

    Raises InputError for a broken archive, a path that leads out of it, or one that unpacks to too much.
    """
    limit = EXPANSION * sum(part.stat().st_size for part in (path, *path.parent.glob(f"{path.stem}.z[0-9][0-9]")))
    total = 0
    try:
        for name, size, content in _opened(path):
            place = PurePosixPath(name)
            if place.is_absolute() or ".." in place.parts or "\\" in name or "\0" in name:
                raise InputError(f"{path}: the path {name!r} leads out of the archive")
            total += size
            if total > limit:
                raise InputError(f"{path}: it unpacks to more than {EXPANSION} times its size, which no sound does")
            if wanted(place):
                yield place, content.read()
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
        raise InputError(f"{path} is not a complete archive: {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be unpacked: {error}") from error


def _opened(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    if path.with_suffix(".z01").exists():
        yield from _joined(path)
        return
    if path.suffix in (".zip", ".whl"):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir() and (entry.external_attr >> 16) & 0o170000 in (0, 0o100000):
                    with archive.open(entry) as content:
                        yield entry.filename, entry.file_size, content
        return
    with open(path, "rb") as file:
        source: IO[bytes] = _data_of(file, path) if path.suffix == ".deb" else file
        # As a stream: one pass, in the order of the file.
        with tarfile.open(fileobj=source, mode="r|*") as archive:
            for member in archive:
                inside = archive.extractfile(member) if member.isreg() else None
                if inside is not None:
                    yield member.name.removeprefix("./"), member.size, inside


def _joined(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """A zip in parts: Python reads none, 7z does."""
    tool = shutil.which("7z") or shutil.which("7zz")
    if tool is None:
        raise InputError(f"{path.name} is in parts, which 7z unpacks: apt-get install p7zip-full")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".parts-") as temporary:
        done = subprocess.run([tool, "x", "-y", f"-o{temporary}", str(path)], capture_output=True, text=True)
        if done.returncode:
            raise InputError(
                f"{path} is not a complete archive: {(done.stderr.strip().splitlines() or ['7z failed'])[-1]}"
            )
        for file in sorted(Path(temporary).rglob("*")):
            if file.is_file() and not file.is_symlink():
                with open(file, "rb") as content:
                    yield file.relative_to(temporary).as_posix(), file.stat().st_size, content


def _data_of(file: IO[bytes], path: Path) -> IO[bytes]:
    """The data part of a Debian package, an `ar` archive (deb(5)): headers of 60 bytes, parts padded to even sizes."""
    if file.read(8) != b"!<arch>\n":
        raise InputError(f"{path} is no Debian package")
    while header := file.read(60):
        name, size = header[:16].decode("ascii", "replace").strip(), header[48:58].strip()
        if header[58:] != b"`\n" or not size.isdigit():
            break
        if name.startswith("data.tar"):
            return io.BytesIO(file.read(int(size)))
        file.seek(int(size) + int(size) % 2, io.SEEK_CUR)
    raise InputError(f"{path} is not a complete Debian package: it has no data")
