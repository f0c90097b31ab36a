"""What is wrong with pairs: in their headers, before anything is scored, and in their sound, where one side is late."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soundfile

from tinyse.audio import DEFAULT_RATE
from tinyse.audio.sound_files import BY_FFMPEG, duration
from tinyse.errors import InputError
from tinyse.evaluation.pairs import TRANSCRIPTS, Pair

NAMED = 5
"""The most faults that are named; the others are counted."""
FURTHEST_SECONDS = 1.0
"""By how much one side of a pair may be found to be late."""
LEAST_LIKENESS, LEAST_RATIO = 0.25, 2.0
"""A pair is shifted where the sides are this much alike at another place, and this many times more than where they are.
Noise at -10 dB leaves a likeness of 0.3 to speech, and an unrelated noise has less than 0.1."""


def check_headers(pairs: Sequence[Pair]) -> None:
    """Raise InputError for pairs whose sides cannot be read, or differ in rate or length, as their headers say."""
    faults = [fault for pair in pairs if (fault := _fault(pair))]
    if faults:
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        raise InputError(f"{len(faults)} of {len(pairs)} pairs cannot be scored: {'; '.join(faults[:NAMED])}{more}")


def check_transcripts(pairs: Sequence[Pair]) -> None:
    """Raise InputError where it is not known what is said in a pair."""
    mute = [pair.name for pair in pairs if not pair.text]
    if mute:
        more = f" and {len(mute) - NAMED} more" if len(mute) > NAMED else ""
        raise InputError(
            f"wer needs the words that are said: {TRANSCRIPTS} in the folder of pairs, a line NAME TEXT each, has none for "
            f"{', '.join(mute[:NAMED])}{more}"
        )


def _fault(pair: Pair) -> str | None:
    try:
        clean, noisy = duration(pair.clean), duration(pair.noisy)
    except InputError as error:
        return str(error)
    if BY_FFMPEG & {pair.clean.suffix.lower(), pair.noisy.suffix.lower()}:
        return None  # their headers do not say it exactly
    rates = [soundfile.info(path).samplerate for path in (pair.clean, pair.noisy)]
    if rates[0] != rates[1]:
        return f"{pair.clean} is at {rates[0]} Hz and {pair.noisy} at {rates[1]} Hz"
    if round(clean * rates[0]) != round(noisy * rates[0]):
        return f"{pair.clean} has {clean * rates[0]:.0f} samples and {pair.noisy} {noisy * rates[0]:.0f}"
    return None


def shift(clean: np.ndarray, noisy: np.ndarray, sample_rate: int = DEFAULT_RATE) -> int:
    """Samples by which `noisy` is later than `clean`, (samples,) each; 0 where it is not, or cannot be found.

    The place of the highest cross-correlation, where the sides are much more alike there than as they are.
    """
    energy = float(np.sqrt(np.square(clean, dtype=np.float64).sum() * np.square(noisy, dtype=np.float64).sum()))
    if energy == 0:
        return 0
    size = 1 << (2 * len(clean) - 1).bit_length()
    product = np.fft.rfft(noisy, size) * np.conj(np.fft.rfft(clean, size))
    likeness = np.abs(np.fft.irfft(product, size)) / energy
    reach = min(round(FURTHEST_SECONDS * sample_rate), len(clean) - 1)
    near = np.concatenate([likeness[: reach + 1], likeness[size - reach :]])
    place = int(near.argmax())
    if near[place] < LEAST_LIKENESS or near[place] < LEAST_RATIO * near[0]:
        return 0
    return place if place <= reach else place - len(near)
