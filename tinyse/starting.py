"""What a new project begins with: the recipes that come with tinyse, as files to edit."""

from __future__ import annotations

from pathlib import Path

from tinyse import files
from tinyse.errors import InputError

INSTALLED = Path(__file__).parent / "recipes"
CLONE = Path(__file__).parents[1] / "recipes"


def shipped() -> Path:
    """The folder of the recipes that come with tinyse: those of the installation, in a clone those of the clone."""
    return INSTALLED if INSTALLED.is_dir() else CLONE


def recipes() -> dict[str, bytes]:
    """The recipes by their path below `recipes/`."""
    folder = shipped()
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.yaml"))}


def start(folder: Path) -> list[Path]:
    """Write the recipes to `folder`/recipes and return their paths there. What is there already and the same stays.

    Raises InputError where a file differs, before anything is written: it may be somebody's work.
    """
    planned = {folder / "recipes" / place: content for place, content in recipes().items()}
    try:
        for path, content in planned.items():
            if path.exists() and path.read_bytes() != content:
                raise InputError(
                    f"{path} is there and differs from the recipe of tinyse: move it, or name another folder"
                )
        for path, content in planned.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                files.write_bytes(path, content)
    except OSError as error:
        raise InputError(f"cannot write recipes to {folder}: {error.strerror or error}") from error
    return list(planned)
