"""One integer step in every runtime that this computer has, against the float stream.

TFLM and the numpy reference compute the same bits. LiteRT rounds otherwise in some operators and the recurrence carries
on what that makes: there the quantized values differ, and what counts is that they are as near to the float stream.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tinyse.engines.tflite_engines import FileEngine, LiteRTEngine, ReferenceEngine, TFLMEngine
from tinyse.errors import InputError
from tinyse.graph.graph import Graph
from tinyse.spectra.front_end import FrontEnd
from tinyse.study.streams import snr_db
from tinyse.tflite.writer import save, write

REFERENCE, BUILTIN, OLDER = "reference", "LiteRT builtin", "tflite-runtime 2.14"
Runtime = Callable[[Graph, np.ndarray], np.ndarray]
"""(frames, bands) features from silence on -> masks of the same shape, float32."""

TFLITE_RUNTIME = ("tflite-runtime==2.14.0", "numpy==1.26.4")
"""LiteRT's last release under its old name, and a numpy that it was compiled for. It has wheels for Python 3.11."""

PLAYER = Path(__file__).with_name("tflite_runtime_stream.py")


@dataclass(frozen=True)
class Agreement:
    """How one quantized stream agrees with the float stream, and with another quantized one, its `base`."""

    mask_snr_db: float
    """SNR of the masks against the float ones, as ratio of energies."""
    output_snr_db: float
    """SNR of the denoised sound against the float stream's."""
    base: str
    gain_db: float
    """Output SNR less that of `base`: negative where this stream is the worse one."""
    equal: float
    """Share of the masks' values that are those of `base`, 0 to 1."""


def masks_of(engine: FileEngine, features: np.ndarray) -> np.ndarray:
    """(frames, bands) features through an engine from silence on -> masks of the same shape."""
    masks, state = np.empty_like(features), engine.initial_state()
    for frame, values in enumerate(features):
        masks[frame], state = engine.step(values, state)
    return masks


def runtimes(environment: Path | None = None) -> dict[str, Runtime]:
    """The runtimes by name, the reference first; `environment` is a folder that `make_environment` has made."""
    found: dict[str, Runtime] = {
        REFERENCE: lambda graph, features: masks_of(ReferenceEngine(write(graph)), features),
        "TFLM": lambda graph, features: masks_of(TFLMEngine(write(graph)), features),
        BUILTIN: lambda graph, features: masks_of(LiteRTEngine(write(graph), "builtin"), features),
        "LiteRT XNNPACK": lambda graph, features: masks_of(LiteRTEngine(write(graph), "xnnpack"), features),
    }
    if environment is not None:
        found[OLDER] = partial(in_environment, environment)
    return found


def compare(
    front_end: FrontEnd,
    sound: np.ndarray,
    floats: np.ndarray,
    masks: Mapping[str, np.ndarray],
    bases: Mapping[str, str],
) -> dict[str, Agreement]:
    """`masks` of `sound` (samples,) by name against `floats`, those of the float stream, and each against its base's.

    `bases` names the base of those that have another one than the reference.
    """
    hop = front_end.config.hop
    analysis, _, synthesis = front_end.initial_state()
    spectra, _ = front_end.analyze(sound[: len(sound) // hop * hop], analysis)

    def sound_of(mask: np.ndarray) -> np.ndarray:
        return front_end.enhance(spectra, mask, synthesis)[0]

    exact = sound_of(floats)
    snrs = {name: snr_db(exact, sound_of(mask)) for name, mask in masks.items()}
    result = {}
    for name, mask in masks.items():
        base = bases.get(name, REFERENCE)
        equal = float(np.mean(mask == masks[base]))
        result[name] = Agreement(snr_db(floats, mask), snrs[name], base, snrs[name] - snrs[base], equal)
    return result


def make_environment(folder: Path, python: str = "python3.11") -> None:
    """A virtual environment with TFLITE_RUNTIME alone, from the package index; one that is complete is kept.

    Raises InputError, in the failed command's words, where it cannot be made.
    """
    try:
        _run([str(_python(folder)), "-I", "-c", "import numpy, tflite_runtime"])
    except InputError:
        _run([python, "-m", "venv", str(folder)])
        _run([str(_python(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TFLITE_RUNTIME])


def in_environment(folder: Path, graph: Graph, features: np.ndarray) -> np.ndarray:
    """The Runtime of that environment, as a process of its own that knows nothing of tinyse."""
    mask = graph.tensors[graph.outputs["mask"]]
    with tempfile.TemporaryDirectory(prefix="tinyse-") as place:
        model, before, after = (Path(place) / name for name in ("model.tflite", "features.npy", "masks.npy"))
        save(graph, model)
        np.save(before, features)
        # Isolated: neither this folder nor PYTHONPATH may lend the environment a module.
        _run([str(_python(folder)), "-I", str(PLAYER), str(model), str(before), str(after)])
        return mask.dequantize(np.load(after))


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _run(command: list[str]) -> None:
    try:
        finished = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise InputError(f"{command[0]} cannot be run: {error.strerror}") from error
    if finished.returncode:
        lines = finished.stderr.strip().splitlines() or ["it gave no reason"]
        raise InputError(f"{' '.join(command[:4])} ... failed: {lines[-1]}")
