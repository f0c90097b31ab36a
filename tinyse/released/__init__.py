"""Models that tinyse comes with: a folder each, found by name.

A denoiser for devices has `NAME/model.tflite` and the weights that it was made from, `NAME/model.safetensors`; a teacher has
only weights.
"""

from __future__ import annotations

from pathlib import Path

from tinyse.config import did_you_mean
from tinyse.errors import InputError

FOLDER = Path(__file__).resolve().parent
DEFAULT = "student-62k"
"""What denoises where no model is named."""


def names() -> list[str]:
    """The names of the quantized models that came with this installation."""
    return sorted(path.parent.name for path in FOLDER.glob("*/model.tflite"))


def weights() -> list[str]:
    """The names of the models whose weights come with this installation: they may teach, and training may start from them."""
    return sorted(path.parent.name for path in FOLDER.glob("*/model.safetensors"))


def find(name_or_path: str | Path | None = None) -> Path:
    """The model file at a path, or of the model with this name that comes with tinyse; None is `DEFAULT`.

    A name means the quantized model, or the weights where there are only these. Raises InputError for a file that is
    not there, and for an unknown name with the closest one.
    """
    given = DEFAULT if name_or_path is None else str(name_or_path)
    path = Path(given)
    if path.is_file():
        return path
    if given in names():
        return FOLDER / given / "model.tflite"
    if given in weights():
        return FOLDER / given / "model.safetensors"
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the .tflite or .safetensors in it")
    if path.suffix or len(path.parts) != 1:
        raise InputError(f"there is no model file {path}")
    known = sorted({*names(), *weights()})
    if not known:
        raise InputError(
            f"no model is named {given!r}: this tinyse came without models, give a .tflite or .safetensors"
        )
    raise InputError(f"no model is named {given!r}{did_you_mean(given, known)} (or give a .tflite or .safetensors)")


def find_weights(name_or_path: str | Path) -> Path:
    """The .safetensors at a path, or the weights of a model that comes with tinyse. Raises as `find`."""
    path = find(name_or_path)
    return path if path == Path(name_or_path) else path.with_suffix(".safetensors")
