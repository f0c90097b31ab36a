"""A few of the kills of benchmarks/kills.py."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import REPOSITORY

pytest.importorskip("torch")
pytest.importorskip("pesq")
pytest.importorskip("matplotlib")


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_kills_at_random_moments_cost_nothing_and_leave_the_same_bits():
    command = [sys.executable, REPOSITORY / "benchmarks" / "kills.py", "--kills", "2", "--seed", "3", "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600, check=False)
    result = json.loads(done.stdout)
    assert not result["faults"] and done.returncode == 0, done.stderr[-2000:]
    assert result["kills"] == result["survived"] == 2
