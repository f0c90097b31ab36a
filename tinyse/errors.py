"""The one kind of error that the user can fix: the command line shows its message as one line and exits with 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinyse.torch_build import extra_command


class InputError(ValueError):
    """Something that was given cannot be used. The message says what was given, what is allowed and what to do."""


def missing_extra(package: str, extra: str) -> InputError:
    """The error for a part of tinyse whose optional dependencies are not installed."""
    return InputError(f"this needs the package {package!r}, which is not installed: {extra_command(extra)}")


@contextmanager
def needs(extra: str, package: str | None = None) -> Iterator[None]:
    """Import inside it what an extra brings: `with needs("train"): import torch`.

    A package that is not installed becomes the InputError that names it (`package` where pip calls it by another name
    than Python) and the extra; one that is installed but does not import, the InputError that says why.
    """
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("tinyse", "firmware_export"):
            raise  # a mistake of ours
        if isinstance(error, ModuleNotFoundError):
            raise missing_extra(package or error.name or extra, extra) from error
        named = package or (error.name or extra).partition(".")[0]
        raise InputError(
            f"{named} is installed but does not import ({error}): pip install --force-reinstall {named}"
        ) from error
