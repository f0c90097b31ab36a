"""What tests share: real recordings where they are, the built-in corpus, and one thread for torch."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import steps

from tinyse import corpus as built_in
from tinyse.graph.graph import Graph
from tinyse.quantization.calibration import Calibration, calibrate
from tinyse.quantization.quantize import quantize

# Before torch is imported anywhere: pytest-xdist runs as many processes as there are cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every child that a test interrupts as well.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent

LONG = ("test_walk.py", "test_notebooks.py")
"""Files whose tests take a minute and more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long tests first: one that begins last leaves the other processes with nothing to do."""
    items.sort(key=lambda item: item.path.name not in LONG)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills: once for all processes of pytest-xdist, by the first that wants it."""
    from filelock import FileLock

    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    done = folder.with_name(f"{name}-done")
    with FileLock(folder.with_name(f"{name}-lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of one that failed
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real recordings, $TINYSE_DATA; the test skips without."""
    folder = Path(os.environ.get("TINYSE_DATA") or "no TINYSE_DATA")
    if not (folder / "manifests").is_dir():
        pytest.skip(f"no recordings in {folder}: set TINYSE_DATA to a folder with manifests/")
    return folder


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of the built-in corpus."""
    return built_in.path()


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A denoiser's step in float, as a graph, with random weights."""
    return steps.denoiser()


@pytest.fixture(scope="module")
def calibration(graph: Graph) -> Calibration:
    """What the activations of `graph` do on noise."""
    return calibrate(graph, [("noise", {"features": steps.features(400)})])


@pytest.fixture(scope="module")
def quantized(graph: Graph, calibration: Calibration) -> Graph:
    """`graph` in int8."""
    return quantize(graph, calibration)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this working tree, built from its source distribution; the test skips where `build` is not installed."""
    pytest.importorskip("build")
    pytest.importorskip("filelock")
    pytest.importorskip("setuptools", minversion="77")
    (built,) = (made_once(tmp_path_factory, "source", build_wheel) / "dist").glob("*.whl")
    return built


def build_wheel(source: Path) -> None:
    """Copy what a source distribution is made from to `source`, and build in its dist/."""
    for name in ("tinyse", "firmware_export", "recipes"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    command = [sys.executable, "-m", "build", "--no-isolation", str(source)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)


@dataclass(frozen=True)
class TinyModel:
    """One small denoiser in all its forms."""

    weights: Path
    """.safetensors."""
    quantized: Path
    """int8 .tflite."""
    floats: Path
    """The same step as a float .tflite."""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> TinyModel:
    """A denoiser with every kind of block, random weights and normalizations that have seen something: it runs at once,
    and does to sound what nobody would want."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from trained import as_trained

    from tinyse.export import export_model
    from tinyse.models.architecture import Architecture
    from tinyse.models.files import save_model
    from tinyse.models.network import MaskNetwork
    from tinyse.spectra.front_end import FrontEndConfig

    torch.manual_seed(0)
    network = as_trained(MaskNetwork(Architecture(channels=(4, 8, 8), groups=4, shared_gru=(2,))))
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    save_model(path, network, FrontEndConfig(), {})
    rng = np.random.default_rng(0)
    clips = [(f"noise {level}", np.float32(rng.normal(0, level, 16000))) for level in (0.1, 0.01)]
    exported = export_model(path, clips)
    return TinyModel(path, exported.quantized, exported.floats)


@pytest.fixture(scope="session")
def exports(tmp_path_factory) -> list[Path]:
    """Firmware of both released models, by the names that they have by default, and of a tagger called sounds."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    top = made_once(tmp_path_factory, "exports", export_all)
    return [top / name for name in ("student-62k", "student-30k", "sounds")]


def export_all(top: Path) -> None:
    """The firmware of `exports`, each in a folder of its name."""
    from test_tagging import CLASSES, FRONT_END, network, sound

    from firmware_export.export import export
    from tinyse import released
    from tinyse.export import export_model
    from tinyse.models.files import save_model

    for name in ("student-62k", "student-30k"):
        export(released.find(name), top / name, 32)
    save_model(top / "tagger.safetensors", network(), FRONT_END, {"model": "tiny tagger"})
    tagger = export_model(top / "tagger.safetensors", [(label, sound(label, 0)) for label in CLASSES])
    export(tagger.quantized, top / "sounds", 32, prefix="sounds")
