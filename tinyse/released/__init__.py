"""Models that tinyse comes with: a folder each, `NAME/model.tflite`, found by name."""

from __future__ import annotations

from pathlib import Path

from tinyse.config import did_you_mean
from tinyse.errors import InputError

FOLDER = Path(__file__).resolve().parent
DEFAULT = "student-62k"
"""What denoises where no model is named."""


def names() -> list[str]:
    """The names of the models that came with this installation."""
    return sorted(path.parent.name for path in FOLDER.glob("*/model.tflite"))


def find(name_or_path: str | Path | None = None) -> Path:
    """The model file that is meant: a file that exists, or the name of a model that came along; None is `DEFAULT`.

    Raises InputError for a file that is not there, and for an unknown name with the closest one.
    """
    given = DEFAULT if name_or_path is None else str(name_or_path)
    path = Path(given)
    if path.is_file():
        return path
    if given in names():
        return FOLDER / given / "model.tflite"
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the .tflite or .safetensors in it")
    if path.suffix or len(path.parts) != 1:
        raise InputError(f"there is no model file {path}")
    if not names():
        raise InputError(
            f"no model is named {given!r}: this tinyse came without models, give a .tflite or .safetensors"
        )
    raise InputError(f"no model is named {given!r}{did_you_mean(given, names())} (or give a .tflite or .safetensors)")


def find_weights(name_or_path: str | Path) -> Path:
    """The .safetensors that is meant: a file that exists, or the weights of a model that came along. Raises as `find`."""
    path = find(name_or_path)
    return path if path == Path(name_or_path) else path.with_suffix(".safetensors")
