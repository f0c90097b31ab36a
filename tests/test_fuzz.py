"""Files of strangers: what broke a reader once is refused in one line and at once, and fuzzing finds nothing more."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tinyse.errors import InputError

pytest.importorskip("torch")
pytest.importorskip("safetensors")

FOLDER = Path(__file__).parent / "fuzz"
sys.path.insert(0, str(FOLDER))
from readers import READERS  # noqa: E402

SECONDS = float(os.environ.get("TINYSE_FUZZ_SECONDS", "3"))
FOUND = sorted((FOLDER / "found").glob("*/*"))
SEEDS = sorted((FOLDER / "seeds").glob("*/*"))
REFUSED_AT_MOST = 2.0
"""Seconds on a busy machine."""


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_broke_a_reader_is_refused_at_once(path):
    start = time.process_time()
    with pytest.raises(InputError) as refusal:
        READERS[path.parent.name](path.read_bytes())
    assert time.process_time() - start < REFUSED_AT_MOST
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_seeds_reach_what_they_are_to_change(path):
    """A seed that its reader refused outright would leave most of the reader unseen."""
    READERS[path.parent.name](path.read_bytes())


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="pip install atheris (Python 3.11 or later)")
@pytest.mark.parametrize("reader", READERS)
def test_fuzzing_finds_nothing_more(reader, tmp_path):
    """All readers together take $TINYSE_FUZZ_SECONDS."""
    seconds = max(1, round(SECONDS / len(READERS)))
    command = [sys.executable, FOLDER / "run.py", reader, "--seconds", str(seconds), "--corpus", tmp_path]
    result = subprocess.run(command, capture_output=True, text=True, timeout=250)
    printed = result.stdout + result.stderr
    assert result.returncode == 0 and "FOUND" not in printed, printed[-2000:]
    assert "number_of_executed_units" in printed
