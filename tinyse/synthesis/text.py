"""Sentences to be read aloud, out of text files of any kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tinyse.errors import InputError

SHORTEST, LONGEST = 25, 240
"""Characters of a sentence: about 2 to 17 s of speech."""
PLAIN = 0.9
"""Least share of letters and spaces: tables, code and drawings have less."""
FEWEST = 20
"""Sentences that a text has to give."""
_ATTRIBUTION = re.compile(r"^\s*--.*$", re.MULTILINE)
"""Who said it, as in the files of fortune(6)."""


def sentences(paths: Sequence[Path]) -> list[str]:
    """The sentences in text files, each once, in the order of the files' names.

    Paragraphs end at an empty line or at a line with `%` alone, which separates the sayings of fortune(6). Raises InputError
    for a file that is not UTF-8 text, and where fewer than `FEWEST` sentences are left.
    """
    found: dict[str, None] = {}
    for path in sorted(paths):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not a text in UTF-8: {error}") from error
        for paragraph in re.split(r"\n\s*(?:%\s*)?\n", _ATTRIBUTION.sub("", text.replace("\r\n", "\n"))):
            for sentence in re.split(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z])", " ".join(paragraph.split())):
                if _is_spoken(sentence):
                    found.setdefault(sentence)
    if len(found) < FEWEST:
        raise InputError(
            f"{len(found)} sentences of {SHORTEST} to {LONGEST} characters are in the text, {FEWEST} are needed"
        )
    return list(found)


def _is_spoken(sentence: str) -> bool:
    if not SHORTEST <= len(sentence) <= LONGEST or sentence.isupper():
        return False
    plain = sum(letter.isalpha() or letter == " " for letter in sentence)
    return plain >= PLAIN * len(sentence) and sentence.isprintable()
