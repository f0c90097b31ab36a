"""The recipes that come with tinyse, and copies of them to edit."""

from __future__ import annotations

from pathlib import Path

from tinyse import files
from tinyse.errors import InputError

INSTALLED = Path(__file__).parent / "recipes"
CLONE = Path(__file__).parents[1] / "recipes"


def folder() -> Path:
    """The folder of the recipes: in an installation the package's, in a clone the clone's."""
    return INSTALLED if INSTALLED.is_dir() else CLONE


def contents() -> dict[str, bytes]:
    """The recipes by their path below `recipes/`."""
    top = folder()
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in sorted(top.rglob("*.yaml"))}


def copy_to(target: Path) -> list[Path]:
    """Write the recipes to `target`/recipes and return their paths there. A file that has the same content already stays.

    Raises InputError where a file differs, before anything is written: it may be the user's work.
    """
    planned = {target / "recipes" / place: content for place, content in contents().items()}
    try:
        for path, content in planned.items():
            if path.exists() and path.read_bytes() != content:
                raise InputError(f"{path} exists and differs from tinyse's recipe: move it, or name another folder")
        for path, content in planned.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                files.write_bytes(path, content)
    except OSError as error:
        raise InputError(f"cannot write recipes to {target}: {error.strerror or error}") from error
    return list(planned)
