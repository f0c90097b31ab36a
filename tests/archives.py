"""Archives in memory, as a server would send them: each from the paths in it and their content."""

from __future__ import annotations

import io
import tarfile
import zipfile


def tar(files: dict[str, bytes], compression: str = "gz") -> bytes:
    """A tar file in one of the compressions that Python knows."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{compression}") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()
