"""Tasks by name: every module of this folder that has a subclass of `Task` is one."""

from __future__ import annotations

import importlib
import pkgutil

from tinyse.config import did_you_mean
from tinyse.errors import InputError
from tinyse.tasks.task import Task


def _found() -> dict[str, type[Task]]:
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    kinds, found = [Task], {}
    for kind in kinds:
        kinds += kind.__subclasses__()
        if "name" in vars(kind):
            found[kind.name] = kind
    return dict(sorted(found.items()))


TASKS: dict[str, type[Task]] = _found()


def task_named(name: object) -> type[Task]:
    """The task of that name. Raises InputError with the closest one for an unknown name."""
    if not isinstance(name, str) or name not in TASKS:
        raise InputError(f"task: no task is named {name!r}{did_you_mean(str(name), TASKS)}")
    return TASKS[name]
