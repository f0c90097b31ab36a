"""What an untrusted tar file may not hold: headers without end, and names that lead out of it or are not text."""

from __future__ import annotations

import tarfile

from tinyse.files import leads_out

MAX_HEADER_BYTES = 1 << 16
"""The most of an extended header, which tarfile reads into memory whatever size it says."""
_EXTENDED = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class BoundedInfo(tarfile.TarInfo):
    """For `tarfile.open(..., tarinfo=BoundedInfo)`: an extended header beyond `MAX_HEADER_BYTES` is a `tarfile.ReadError`."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:  # tarfile's own entry point for subclasses
        if self.type in _EXTENDED and not 0 <= self.size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def fault_of(name: str) -> str | None:
    """What is wrong with the path of a member; None where it stays inside and is text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"the name {name.encode('utf-8', 'backslashreplace').decode()} is not UTF-8"
    if leads_out(name):
        return f"the path {name!r} leads out of the archive"
    return None


def kind_of(member: tarfile.TarInfo) -> str:
    """What a member is, for messages."""
    if member.issym() or member.islnk():
        return "link"
    return "folder" if member.isdir() else "file" if member.isreg() else "device"
