"""`tinyse init`: recipes to edit, in the user's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="The recipes go to FOLDER/recipes; what is missing is made.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the paths as JSON.")] = False,
) -> None:
    """Copy the recipes that come with tinyse to FOLDER/recipes, to train from and to edit.

    A recipe that you have edited there is never overwritten.
    """
    from tinyse.shipped_recipes import copy_to

    paths = copy_to(folder)
    if as_json:
        print(json.dumps([str(path) for path in paths]))
        return
    for path in paths:
        print(path)
    enter = "" if folder == Path() else f"cd {folder}; "
    print(f"next: {enter}tinyse train recipes/quick.yaml --set data=RECORDINGS")
