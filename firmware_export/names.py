"""What the files and the symbols of an export are called, so that several exports live in one image.

Templates are written for one model alone: `tinyse_init`, `TINYSE_HOP`, `front_end.h`. What belongs to the model gets the
export's prefix in place of `tinyse`. What belongs to the kernels is the same in every export and keeps its name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from tinyse.errors import InputError

OWN = "tinyse"
"""The prefix of the templates; file names of kernels carry it in every export."""
SWITCHES = frozenset(("TINYSE_CMSIS_DSP", "TINYSE_FLOAT_SAMPLES", "TINYSE_PROFILE", "TINYSE_FRAMES"))
"""Macros that a build defines; the others of this kind occur in the kernels."""
INTERFACES = ("denoiser.h", "denoiser.c", "tagger.h", "tagger.c", "bare.h", "bare.c")
"""The templates of an interface; an export has one of them, whose file is called by the prefix alone."""
C_HEADERS = {
    "assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits", "locale", "math", "setjmp",
    "signal", "stdalign", "stdarg", "stdatomic", "stdbool", "stddef", "stdint", "stdio", "stdlib", "stdnoreturn", "string",
    "tgmath", "threads", "time", "uchar", "wchar", "wctype",
}  # fmt: skip
_IDENTIFIER = re.compile(r"\b(?:tinyse|TINYSE)_\w+")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
_FUNCTION = re.compile(r"^(?!static|typedef)\w[\w \t*]*?\b(tinyse_\w+)\([^;{}]*\);", re.M)


def prefix_of(name: str) -> str:
    """The prefix for a model of that name: in lower case, with underscores for what C does not allow."""
    words = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_")
    return words if words[:1].isalpha() else f"{OWN}_{words}".rstrip("_")


def check_prefix(prefix: str) -> str:
    """The prefix itself. Raises InputError where C or its library would not have it."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix):
        raise InputError(f"--prefix {prefix!r} is not a name in C: use letters, digits and _, a letter first")
    if prefix.lower() in C_HEADERS:
        raise InputError(
            f"--prefix {prefix}: {prefix}.h is a header of the C library; give another, say {prefix}_model"
        )
    return prefix


def functions(headers: Iterable[str]) -> list[str]:
    """The names of all functions that the headers declare for the linker."""
    return sorted({name for text in headers for name in _FUNCTION.findall(_COMMENT.sub("", text))})


def version(kernels: Mapping[str, str]) -> str:
    """Eight hexadecimal digits that change with any byte of the kernels."""
    text = "\0".join(f"{name}\0{content}" for name, content in sorted(kernels.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Names:
    """The names of one export: `kernels` are the file names of templates that all exports share, `common` their
    identifiers."""

    prefix: str
    kernels: frozenset[str]
    common: frozenset[str]

    @classmethod
    def of(cls, prefix: str, kernels: Mapping[str, str]) -> Names:
        """The names of an export beside these kernels, {template: text}. Raises InputError for a prefix that collides."""
        code = "\n".join(_COMMENT.sub("", text) for text in kernels.values())
        names = cls(check_prefix(prefix), frozenset(kernels), SWITCHES | frozenset(_IDENTIFIER.findall(code)))
        shared = {f"{OWN}_{name}".lower() for name in kernels}
        if f"{prefix}.h".lower() in shared or f"{prefix}_network.h".lower() in shared:
            raise InputError(f"--prefix {prefix}: {prefix}.h is a file of the kernels; give another")
        return names

    def file(self, template: str) -> str:
        """What the file of a template is called in the export."""
        if template in self.kernels:
            return f"{OWN}_{template}"
        if template in INTERFACES:
            return f"{self.prefix}{PurePath(template).suffix}"
        return f"{self.prefix}_{template}"

    def text(self, content: str, files: Iterable[str]) -> str:
        """`content` with the export's names of symbols, and of those `files` that it includes."""
        known = set(files)

        def renamed(match: re.Match[str]) -> str:
            if match["file"] is None:
                return self._identifier(match[0])
            return f'#include "{self.file(match["file"])}"' if match["file"] in known else match[0]

        return re.sub(rf'#include "(?P<file>[\w.]+)"|{_IDENTIFIER.pattern}', renamed, content)

    def sources(self, templates: Mapping[str, str]) -> dict[str, str]:
        """{file name: text} of an export from {template: text}."""
        files = {*templates, *self.kernels}
        return {self.file(name): self.text(content, files) for name, content in templates.items()}

    def _identifier(self, name: str) -> str:
        if name in self.common:
            return name
        stem = name[len(OWN) :]
        return f"{self.prefix}{stem}" if name.startswith(OWN) else f"{self.prefix.upper()}{stem}"
