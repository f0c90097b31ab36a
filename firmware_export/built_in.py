"""The C of the models that come with tinyse: compiled when it is installed, found by the content of a model's file.

A plain shared library beside this file, called through ctypes: it knows no Python, so that one serves every version.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

FOLDER = Path(__file__).parent
NAME, FOR_AVX2 = "_built_in", "_built_in_avx2"
"""Without their ending; the second one, of the same sources, is for processors of x86-64 that have AVX2."""
INTERFACE = 1
"""Counts the ways in which Python called it: one that an older tinyse has left is not used."""
DEFINITIONS = {"TINYSE_FLOAT_SAMPLES": "1", "TINYSE_INTERFACE": str(INTERFACE)}


def prefix(digest: str) -> str:
    """What a model's symbols begin with in C, from the SHA-256 of its file."""
    return f"m{digest[:16]}"


@functools.cache
def library() -> ctypes.CDLL | None:
    """The library for this processor, or None where none was compiled or it cannot be loaded."""
    plain = _loaded(NAME)
    if plain is None or not plain.tinyse_built_in_avx2():
        return plain
    return _loaded(FOR_AVX2) or plain


def holds(digest: str) -> bool:
    """Whether a model was compiled when tinyse was installed."""
    found = library()
    return found is not None and hasattr(found, f"{prefix(digest)}_host_process")


def _loaded(name: str) -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(str(FOLDER / f"{name}.so"))
        return found if found.tinyse_built_in_interface() == INTERFACE else None
    except (OSError, AttributeError):
        return None


def library_name() -> str:
    """The file that is used."""
    found = library()
    return Path(found._name).name if found else ""


def missing() -> str | None:
    """Why there is no library, in a few words, or None."""
    if library() is not None:
        return None
    if not (FOLDER / f"{NAME}.so").exists():
        return "it was not compiled when tinyse was installed"
    return "it was compiled for another machine or another tinyse"
