"""The one kind of error that is the user's to mend: the command line shows its message as one line and exits with 2."""


class InputError(ValueError):
    """Something that was given cannot be used. The message says what was given, what is allowed and what to do."""


def missing_extra(package: str, extra: str) -> InputError:
    """The error for a part of tinyse whose optional dependencies are not installed."""
    return InputError(f"this needs the package {package!r}, which is not installed: pip install 'tinyse[{extra}]'")
