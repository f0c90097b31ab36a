"""Strengths by purpose: the one place of their numbers, for Python, the command line, the firmware's header and the page."""

from __future__ import annotations

from collections.abc import Sequence

from tinyse.config import did_you_mean
from tinyse.errors import InputError

PRESETS: dict[str, int | None] = {"listening": None, "recognition": 9}
"""The most that noise is attenuated, in whole dB as firmware has them; None is no limit.

A listener wants the noise gone. A speech recognizer was trained on noise and mishears what a network took away with it:
benchmarks/recognition.py measures word errors against the strength; 9 dB left the fewest on its valid split, over input SNRs
of 0, 5 and 10 dB together.
"""


def limit_for(preset: str | None, limit_db: float | None) -> float | None:
    """The attenuation limit in dB: the preset's, or `limit_db`.

    Raises InputError for an unknown preset, or for both at once.
    """
    if preset is None:
        return limit_db
    if preset not in PRESETS:
        raise InputError(f"no preset is named {preset!r}{did_you_mean(preset, PRESETS)}")
    if limit_db is not None:
        raise InputError(
            f"the preset {preset} and an attenuation limit of {limit_db:g} dB are both given: leave one out"
        )
    return PRESETS[preset]


def limits_for(presets: Sequence[str], limits_db: Sequence[str]) -> list[float | None]:
    """Several strengths to compare: the presets', then the limits that were written out in dB; no limit where none is named.

    Raises InputError for an unknown preset, and for a text that is not a number of dB.
    """
    found = [limit_for(preset, None) for preset in presets]
    for text in limits_db:
        try:
            limit = float(text)
        except ValueError:
            limit = -1.0
        if not 0 <= limit < float("inf"):
            raise InputError(f"attenuation limit: {text!r}; give numbers of dB, 0 (untouched) or more, with commas")
        found.append(limit)
    return list(dict.fromkeys(found)) or [None]
