"""benchmarks/disturbances.py: a model that forgets speech after a loud sound is told from one that does not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import disturbances

from tinyse.evaluation.pairs import LoadedPair

RATE = 16000


class Stream:
    """Passes sound on, at a tenth from the first full-scale sample on if it `forgets`."""

    sample_rate = RATE

    def __init__(self, forgets: bool) -> None:
        self.forgets = forgets

    def denoise(self, sound: np.ndarray) -> np.ndarray:
        loud = np.cumsum(np.abs(sound) >= 1) > 0
        return np.where(loud & self.forgets, 0.1 * sound, sound)


@pytest.mark.parametrize(("forgets", "expected"), [(False, 0), (True, -20)])
def test_the_change_of_level_is_that_of_the_stream(forgets, expected):
    voice = np.sin(np.arange(RATE) / 9).astype(np.float32)
    speech = disturbances.speech_of(LoadedPair("tone", voice, voice, 0.0), seed=0)
    assert len(speech) == 3 * RATE and np.abs(speech).max() < 0.4
    assert disturbances.change_db(Stream(forgets), speech) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("option", [("--limit", "0"), ("--limit", "-3"), ("--pairs", "nowhere")])
def test_what_cannot_be_measured_is_one_line(option, corpus):
    command = [
        sys.executable,
        REPOSITORY / "benchmarks/disturbances.py",
        "student-30k",
        "--pairs",
        corpus / "benchmark",
    ]
    done = subprocess.run([*map(str, command), *option], capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.splitlines()) == 1 and option[1] in done.stderr
