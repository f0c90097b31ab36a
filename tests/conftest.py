"""What tests share: real recordings where they are, the built-in corpus, and one thread for torch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tinyse import corpus as built_in

# Before torch is imported anywhere: pytest-xdist runs as many processes as there are cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real recordings: $TINYSE_DATA, else shared/data beside the repository; the test skips without."""
    folder = Path(os.environ.get("TINYSE_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "manifests").is_dir():
        pytest.skip(f"no recordings in {folder}: set TINYSE_DATA to a folder with manifests/")
    return folder


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of the built-in corpus."""
    return built_in.path()
