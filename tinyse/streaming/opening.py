"""Engines by name, and whether a network fits the front end that its file names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tinyse.engines.engine import Engine
from tinyse.errors import InputError
from tinyse.files import sha256

if TYPE_CHECKING:
    from tinyse.models.making import Networks

EngineName = Literal["litert", "tflm", "reference", "c", "torch"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def open_engine(path: Path, name: EngineName | None = None, networks: Networks = ()) -> Engine:
    """The engine of that name on a model file; by default torch for a .safetensors, and for a .tflite c where its C was
    compiled with tinyse, as that of the models that it brings, else litert. `networks` are classes of your own that a
    .safetensors may be made of.

    Raises InputError where they do not fit.
    """
    name = name or _fitting(path)
    if name not in ENGINES:
        raise InputError(f"no engine is named {name!r}: there are {', '.join(ENGINES)}")
    if not path.is_file():
        raise InputError(f"there is no model file {path}")
    if (path.suffix == ".safetensors") != (name == "torch"):
        others = ", ".join(each for each in ENGINES if each != "torch")
        fitting = "torch" if path.suffix == ".safetensors" else f"one of {others}"
        raise InputError(f"engine {name!r} does not run {path.name}: use {fitting}")
    if name == "torch":
        from tinyse.engines.torch_engine import TorchEngine

        return TorchEngine(path, networks)
    if name == "c":
        from firmware_export.host import HostEngine

        return HostEngine(path)
    from tinyse.engines import tflite_engines

    return tflite_engines.ENGINES[name](path)


def _fitting(path: Path) -> EngineName:
    if path.suffix == ".safetensors":
        return "torch"
    from firmware_export import built_in

    return "c" if path.is_file() and built_in.holds(sha256(path)) else "litert"


def check_fit(engine: Engine, bands: int, results: int, path: Path) -> None:
    """Raise InputError where the network is not for this front end: a file's metadata may say what is not so.

    `results` is how many values its mask or its tags have.
    """
    try:
        result, _ = engine.step(np.zeros(bands, np.float32), engine.initial_state())
    except InputError as error:
        raise InputError(
            f"{path}: its network does not take the {bands} bands of its front end, and states, alone: {error}"
        ) from error
    if result.shape != (results,):
        raise InputError(f"{path}: {bands} bands give {result.size} values in its network, not {results}")
