"""Peers on the same footing: a fixed delay is found and taken out, and what is missing or no model is one line."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import peer_runners
import peers

from tinyse.errors import InputError
from tinyse.evaluation.pairs import LoadedPair


@pytest.fixture
def probe():
    rng = np.random.default_rng(0)
    clean = np.float32(0.1 * rng.standard_normal(8000))
    return LoadedPair("probe", clean, clean + np.float32(0.02 * rng.standard_normal(8000)), 14.0)


@pytest.mark.parametrize("delay", [0, 1, 320])
def test_a_fixed_delay_is_taken_out(probe, delay):
    backend = peers.Timed(lambda samples: np.pad(samples, (delay, 0))[: len(samples)], [probe])
    assert backend.delay == delay
    np.testing.assert_array_equal(backend(probe.noisy), probe.noisy)
    assert backend.audio_seconds == 0.5 and backend.cpu_seconds >= 0


def test_a_missing_package_is_named_with_its_command():
    with pytest.raises(InputError, match="pip install not_there"):
        peer_runners.needed("not_there.inner")


def test_what_is_no_model_is_one_line(corpus):
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "peers.py"), str(corpus / "benchmark"), "--limit", "1"]
    for given in (["--dtln", "a.tflite", "b.tflite"], ["--packages", "pyrnoise"], []):
        ended = subprocess.run([*command, "--packages", "", *given], capture_output=True, text=True)
        last = ended.stderr.strip().splitlines()[-1]
        assert ended.returncode == 2 and last.startswith("peers.py: ") and "Traceback" not in ended.stderr
