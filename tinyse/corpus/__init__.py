"""The built-in corpus: a little speech and noise, made by this project, with which everything can be tried at once.

Its layout is that of any folder `tinyse data` makes: `manifests/*.csv`, whose paths are relative to the folder, and
`benchmark/` with pairs. README.md there says how it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

BUILT_IN = "built-in"
"""What recipes and commands call it, where others name a folder."""


def path() -> Path:
    """The corpus's folder; tinyse is installed as plain files, never zipped."""
    return Path(str(files(__name__)))


def pairs() -> Path:
    """The folder of its pairs, of talkers and noises that are not in its training split."""
    return path() / "benchmark"


def is_meant(name: str | Path) -> bool:
    """Whether `name` is the word for this corpus: a file or folder that is called so comes first."""
    return str(name) == BUILT_IN and not Path(name).exists()


def data_paths(data: str | Sequence[str | Path]) -> tuple[Path, ...]:
    """The folders and manifests that are named as data, `built-in` being this corpus."""
    given = (data,) if isinstance(data, str) else data
    return tuple(path() if is_meant(each) else Path(each) for each in given)
