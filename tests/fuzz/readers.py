"""What reads files of strangers, as functions of bytes. Each may raise InputError, and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors.numpy import save

from tinyse import audio
from tinyse.audio import sound_files
from tinyse.config import build
from tinyse.documents import from_json
from tinyse.errors import InputError
from tinyse.models.architecture import Architecture
from tinyse.models.files import load_model
from tinyse.recordings.manifest import Manifest
from tinyse.recordings.parts import check_size, read_part
from tinyse.spectra.front_end import FrontEnd, FrontEndConfig
from tinyse.tflite.reader import read
from tinyse.training.recipe import load_recipe

FOLDER = tempfile.TemporaryDirectory(prefix="tinyse-fuzz-")


def _file(name: str, content: bytes) -> Path:
    path = Path(FOLDER.name) / name
    path.write_bytes(content)
    return path


def wav(content: bytes) -> None:
    path = _file("x.wav", content)
    with suppress(InputError):
        sound_files.duration(path)
    audio.read(path)


def manifest(content: bytes) -> None:
    found = Manifest.read(_file("manifest.csv", content))
    found.summary()
    again = Path(FOLDER.name) / "again.csv"
    found.write(again)
    assert len(Manifest.read(again).recordings) == len(found.recordings)


def recipe(content: bytes) -> None:
    load_recipe(_file("recipe.yaml", content))


def safetensors(content: bytes) -> None:
    load_model(_file("model.safetensors", content))


def metadata(content: bytes) -> None:
    """What a model file says of itself, in a file that is otherwise sound."""
    with suppress(InputError):
        load_model(_file("model.safetensors", save({}, {"tinyse": content.decode("utf-8", "replace")})))
    values = from_json(content, "metadata")
    if isinstance(values, dict):
        _ = FrontEnd(build(FrontEndConfig, values.get("front_end", {}))).bands
        build(Architecture, values.get("architecture", {}))


def shard(content: bytes) -> None:
    _file("part.pcm", bytes(64))
    _file("part.marks", bytes(8))
    part = read_part(_file("part.json", content).with_suffix(".pcm"))
    check_size(part)
    for entry in part.entries:
        entry.pcm()
        entry.read_marks()


def tflite(content: bytes) -> None:
    read(content)


READERS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (wav, manifest, recipe, safetensors, metadata, shard, tflite)
}
