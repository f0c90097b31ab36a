"""English text to the phonemes that Kokoro was trained on, by way of espeak-ng.

Kokoro's symbols are IPA with single letters for diphthongs and affricates (A for eɪ, ʤ for dʒ, ...); espeak-ng ties the two
parts of each with a joiner, so one table leads from the one to the other.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from tinyse.errors import InputError

_TIE = "\u200d"
_TIED = (("aɪ", "I"), ("aʊ", "W"), ("dʒ", "ʤ"), ("eɪ", "A"), ("tʃ", "ʧ"), ("ɔɪ", "Y"), ("əl", "ᵊl"))
_TIED_IN = {"en-us": (("oʊ", "O"), ("ɪə", "iə")), "en-gb": (("əʊ", "Q"), ("eə", "ɛː"), ("iə", "ɪə"))}
_SINGLE_IN = {"en-us": (("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ː", "")), "en-gb": ()}
_SINGLE = (("e", "ɛ"), ("ɚ", "əɹ"), ("r", "ɹ"), ("x", "k"), ("ç", "k"), ("ɐ", "ə"), ("ɬ", "l"), ("ʲ", ""), ("ʔ", "t"),
           ("\u0303", ""), ("\u0329", ""))  # fmt: skip
"""Sounds that espeak-ng tells apart and Kokoro's English does not."""


def phonemes(text: str, accent: str) -> str:
    """What a text sounds like, punctuation kept: it is what phrases are breathed by. Raises InputError without espeak-ng."""
    parts = [part.strip() for part in re.split(r"([.,;:!?—]+(?=\s|$))", text)]
    said = "".join(f" {_of_clause(part, accent)}" if place % 2 == 0 else part[:1] for place, part in enumerate(parts))
    return " ".join(said.split())


def _of_clause(clause: str, accent: str) -> str:
    if not any(letter.isalnum() for letter in clause):
        return ""
    tool = shutil.which("espeak-ng")
    if tool is None:
        raise InputError("synthesis needs espeak-ng for its phonemes: apt-get install espeak-ng")
    command = [tool, "-q", "--ipa=3", "-v", accent, "--stdin"]
    done = subprocess.run(command, input=clause, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise InputError(f"espeak-ng failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    return converted(done.stdout, accent)


def converted(ipa: str, accent: str) -> str:
    """espeak-ng's IPA, with ties, in Kokoro's symbols."""
    ipa = " ".join(re.sub(r"\([a-z-]+\)", " ", ipa).split())  # (fr): a word in another language
    for pair, symbol in (*_TIED, *_TIED_IN[accent]):
        ipa = ipa.replace(_TIE.join(pair), symbol)
    ipa = ipa.replace(_TIE, "")
    for old, new in (*_SINGLE_IN[accent], *_SINGLE):
        ipa = ipa.replace(old, new)
    return ipa.replace("-", "")
