"""Archives -> the files in them that are wanted, one by one: nothing is written but where it belongs.

Paths are untrusted, so members are read rather than extracted. An archive with a device, a path that leads out, a wanted
name twice or not in UTF-8, or more in it than its size allows is refused; links are never followed.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from tinyse.errors import InputError
from tinyse.tar_members import BoundedInfo, fault_of, kind_of

EXPANSION = 40
"""How many times its own size an archive may unpack to; sound compresses by 12 at most."""
MEMBER_BYTES = 1 << 31
"""The largest wanted file: it is read into memory."""
SPARE_BYTES = 1 << 16
"""What the headers of a small archive may unpack to besides."""
_COMPRESSIONS: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
    (b"\x5d\x00\x00", lzma.open),
)


class _Member(NamedTuple):
    name: str
    size: int
    kind: str
    """file, link or device."""
    content: IO[bytes] | None


def members(
    path: Path, wanted: Callable[[PurePosixPath], bool], inside: str | None = None
) -> Iterator[tuple[PurePosixPath, bytes | None]]:
    """Those files of a .tar.*, .tgz, .zip, .whl or .deb whose paths are `wanted`: path inside it, and content, which is None
    for a link.

    `inside` is the path in it of one more archive, which is opened as well, by way of the disk since such a one may be
    large; the paths of its files begin with its own.

    Raises InputError, by name, for a broken archive and for one that holds what no archive of sound does.
    """
    limit = EXPANSION * sum(part.stat().st_size for part in (path, *path.parent.glob(f"{path.stem}.z[0-9][0-9]")))
    total = 0
    seen: set[PurePosixPath] = set()
    try:
        for member in _opened(path, limit):
            place = PurePosixPath(member.name)
            is_wanted = wanted(place)
            fault = fault_of(member.name)
            if fault is not None and (is_wanted or "not UTF-8" not in fault):
                raise InputError(f"{path}: {fault}")
            if member.kind == "device":
                raise InputError(f"{path}: {member.name!r} is a device")
            total += member.size
            if total > limit:
                raise _too_much(path)
            if str(place) == inside and member.content is not None:
                yield from _within(place, member.content, path.parent, wanted)
                continue
            if not is_wanted:
                continue
            if place in seen:
                raise InputError(f"{path}: {member.name!r} is in it twice")
            seen.add(place)
            if member.size > MEMBER_BYTES:
                raise InputError(f"{path}: {member.name!r} says it has {member.size} bytes, over {MEMBER_BYTES}")
            yield place, member.content.read() if member.content is not None else None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
        raise InputError(f"{path} is not a complete archive: {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be unpacked: {error}") from error


def _within(
    place: PurePosixPath, content: IO[bytes], folder: Path, wanted: Callable[[PurePosixPath], bool]
) -> Iterator[tuple[PurePosixPath, bytes | None]]:
    """The wanted files of an archive in an archive."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".inside-") as temporary:
        path = Path(temporary) / place.name
        with open(path, "wb") as file:
            shutil.copyfileobj(content, file)
        for inner, read in members(path, lambda inner: wanted(place / inner)):
            yield place / inner, read


def _opened(path: Path, limit: int) -> Iterator[_Member]:
    if path.with_suffix(".z01").exists():
        yield from _joined(path, limit)
        return
    if path.suffix in (".zip", ".whl"):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                kind = _KINDS.get((entry.external_attr >> 16) & 0o170000, "device")
                if entry.is_dir():
                    continue
                if kind != "file":
                    yield _Member(entry.filename, 0, kind, None)
                    continue
                with archive.open(entry) as content:
                    yield _Member(entry.filename, entry.file_size, kind, content)
        return
    with open(path, "rb") as file:
        source = _Limited(
            _decompressed(_data_of(file, path) if path.suffix == ".deb" else file), path, limit + SPARE_BYTES
        )
        # As a stream: one pass, in the order of the file.
        with tarfile.open(fileobj=source, mode="r|", tarinfo=BoundedInfo) as archive:  # type: ignore[call-overload]
            for member in archive:
                if member.isdir():
                    continue
                inside = archive.extractfile(member) if member.isreg() else None
                yield _Member(member.name.removeprefix("./"), member.size if inside else 0, kind_of(member), inside)


_KINDS = {0: "file", 0o100000: "file", 0o120000: "link"}
"""The kinds of a zip's entries, by the type in their Unix mode."""


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    """A tar file out of its compression."""
    start = file.tell()
    head = file.read(6)
    file.seek(start)
    opener = next((opener for magic, opener in _COMPRESSIONS if head.startswith(magic)), None)
    return file if opener is None else opener(file)


class _Limited:
    """A stream that ends in an InputError where more comes out of it than `limit` bytes, headers and all."""

    def __init__(self, file: IO[bytes], path: Path, limit: int) -> None:
        self.file, self.path, self.left = file, path, limit

    def read(self, size: int) -> bytes:
        content = self.file.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise _too_much(self.path)
        return content


class _Part(io.RawIOBase):
    """The next `size` bytes of a file as a file, so that a package of gigabytes is not read into memory."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.start, self.size = file, file.tell(), size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.file.tell() - self.start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self.size}[whence]
        self.file.seek(self.start + base + offset)
        return self.tell()

    def readinto(self, buffer: Any) -> int:
        content = self.file.read(min(len(buffer), self.size - self.tell()))
        buffer[: len(content)] = content
        return len(content)


def _joined(path: Path, limit: int) -> Iterator[_Member]:
    """A zip in parts: Python reads none, 7z does. Nothing is unpacked where the sizes in it are more than `limit`."""
    tool = shutil.which("7z") or shutil.which("7zz")
    if tool is None:
        raise InputError(f"{path.name} is in parts, which 7z unpacks: apt-get install p7zip-full")
    sizes = re.findall(r"^Size = (\d+)$", _run(tool, path, "l", "-slt"), re.MULTILINE)
    if sum(map(int, sizes)) > limit:
        raise _too_much(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".parts-") as temporary:
        _run(tool, path, "x", "-y", f"-o{temporary}")
        for file in sorted(Path(temporary).rglob("*")):
            if file.is_file() and not file.is_symlink():
                with open(file, "rb") as content:
                    yield _Member(file.relative_to(temporary).as_posix(), file.stat().st_size, "file", content)


def _run(tool: str, path: Path, *arguments: str) -> str:
    """What 7z says of an archive."""
    done = subprocess.run([tool, *arguments, str(path)], capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise InputError(f"{path} is not a complete archive: {(done.stderr.strip().splitlines() or ['7z failed'])[-1]}")
    return done.stdout


def _too_much(path: Path) -> InputError:
    return InputError(f"{path}: it unpacks to more than {EXPANSION} times its size, which no sound does")


def _data_of(file: IO[bytes], path: Path) -> IO[bytes]:
    """The data part of a Debian package, an `ar` archive (deb(5)): headers of 60 bytes, parts padded to even sizes."""
    if file.read(8) != b"!<arch>\n":
        raise InputError(f"{path} is not a Debian package")
    while header := file.read(60):
        name, size = header[:16].decode("ascii", "replace").strip(), header[48:58].strip()
        if header[58:] != b"`\n" or not size.isdigit():
            break
        if name.startswith("data.tar"):
            return io.BufferedReader(_Part(file, int(size)))
        file.seek(int(size) + int(size) % 2, io.SEEK_CUR)
    raise InputError(f"{path} is not a complete Debian package: it has no data")
