"""The backends of a model file: every way in which tinyse can run it, from the float clip to the device's runtime."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyse.config import did_you_mean
from tinyse.errors import InputError, needs
from tinyse.evaluation.chain import Backend
from tinyse.released import find
from tinyse.spectra.front_end import rate_in

if TYPE_CHECKING:
    from tinyse.models.making import Networks

FLOAT_BACKENDS = ("float-clip", "float-stream")
"""The float model over a whole clip at once, and hop by hop. They are the same numbers if streaming is right."""
QUANTIZED_BACKENDS = {
    "litert": "int8 stream (LiteRT)",
    "tflm": "int8 stream (TFLM)",
    "c": "int8 stream (C)",
    "reference": "int8 stream (reference)",
}
"""Engines that run a .tflite hop by hop: c is the generated firmware on this computer, the reference tinyse's own integer
arithmetic in numpy."""
BACKENDS = {name: name.replace("-", " ") for name in FLOAT_BACKENDS} | QUANTIZED_BACKENDS
"""What tables call each."""
DEFAULT_BACKENDS = (*FLOAT_BACKENDS, "litert", "tflm")


def backends_for(
    model: str | Path,
    quantized_model: str | Path | None = None,
    names: Sequence[str] = (),
    networks: Networks = (),
    limits_db: Sequence[float | None] = (None,),
) -> dict[str, Backend]:
    """The backends of a model in the order of the chain, by the names that tables print.

    For a .safetensors, or a model that comes with tinyse where torch is installed: the float backends, then those of
    `quantized_model` (default: the .tflite of the same name beside it, if there is one). For a .tflite: its runtimes.
    `names` chooses among these, and what is named must exist; by default those of DEFAULT_BACKENDS are chosen. `networks` are
    classes of your own that the float model may be made of. `limits_db` are attenuation limits, None for no limit; each is a
    backend of its own. Raises InputError for an unknown name, a missing file or a backend that this model does not have.
    """
    from tinyse.streaming.denoiser import Denoiser

    model = _found(model)
    for name in names:
        if name not in BACKENDS:
            raise InputError(f"unknown backend {name!r}{did_you_mean(name, BACKENDS)}")
    float_model = model if model.suffix == ".safetensors" else None
    if float_model is None:
        if model.suffix != ".tflite":
            raise InputError(f"{model} is not a model to evaluate: give a .safetensors or a .tflite")
        quantized_model = model
    elif quantized_model is None:
        beside = model.with_suffix(".tflite")
        quantized_model = beside if beside.is_file() else None
    elif not Path(quantized_model).is_file():
        raise InputError(f"there is no model {quantized_model}")
    there = (FLOAT_BACKENDS if float_model else ()) + (tuple(QUANTIZED_BACKENDS) if quantized_model else ())
    for name in names:
        if name not in there:
            needed = "a .safetensors" if name in FLOAT_BACKENDS else "a .tflite, beside it or given"
            raise InputError(f"{model} has no backend {name!r}: it needs {needed}")
    chosen = [name for name in there if name in (names or DEFAULT_BACKENDS)]
    backends: dict[str, Backend] = {}
    for limit_db in limits_db:
        ending = "" if limit_db is None else f", at most {limit_db:g} dB"
        for name in chosen:
            if name in FLOAT_BACKENDS:
                denoiser = Denoiser(model, engine="torch", attenuation_limit_db=limit_db, networks=networks)
                backend = denoiser.denoise_clip if name == "float-clip" else denoiser.denoise
            else:
                denoiser = Denoiser(quantized_model, engine=name, attenuation_limit_db=limit_db)  # type: ignore[arg-type]
                backend = denoiser.denoise
            backends[BACKENDS[name] + ending] = backend
    return backends


def header_of(model: Path) -> dict[str, Any]:
    """What a model file says of itself. Raises InputError for what is not a model."""
    from tinyse.tflite.reader import read

    if model.suffix == ".tflite":
        return read(model).metadata
    with needs("train"):
        from tinyse.models.files import load_tensors
    return load_tensors(model)[1]


def rate_of(model: str | Path) -> int:
    """Hz of the sound that a model takes."""
    return rate_in(header_of(_found(model)))


def _found(model: str | Path) -> Path:
    """The file of a model; for a name its weights where they can be run, beside which the quantized file lies."""
    path = find(model)
    weights = path.with_suffix(".safetensors")
    return weights if path != Path(model) and weights.is_file() and find_spec("torch") else path
