"""The folder that an export goes into: an earlier export is replaced, and nothing else that lies there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tinyse.documents import read_own_json
from tinyse.errors import InputError
from tinyse.files import leads_out


def refuse_foreign(folder: Path, mark: str, names: Iterable[str]) -> None:
    """Raise InputError where a file of one of these names exists and `mark`, which is in every export, does not."""
    found = [name for name in names if (folder / name).exists()]
    if found and not (folder / mark).is_file():
        raise InputError(f"{folder} has a {found[0]} that tinyse did not export: give an empty folder")


def remove_earlier(folder: Path, record: str, prefix: str, names: Iterable[str]) -> None:
    """Remove what an earlier export of `prefix` wrote and this one, which writes `names`, does not: some build systems
    compile all that they find. `record` is the JSON file that has the earlier names."""
    if not (folder / record).is_file():
        return
    earlier = read_own_json(folder / record, "constants")
    if earlier.get("prefix") == prefix:
        for name in set(earlier.get("files", ())) - set(names):
            if not leads_out(name):
                (folder / name).unlink(missing_ok=True)
