"""How a network is made from what a recipe or a model file says of it: the family's and your own in one place.

Classes of your own are found by name only where a recipe that is being run asks for it (`find_class`). A model file names
its class, too, but that name is only compared with the classes that were given.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tinyse.config import did_you_mean
from tinyse.errors import InputError
from tinyse.models.architecture import Architecture, OwnNetwork
from tinyse.models.classifier import ClassifierNetwork
from tinyse.models.network import MaskNetwork, Network

Networks = Sequence[type[Network]]
"""Classes of your own that may be made."""


def make(
    architecture: Architecture | OwnNetwork,
    bands: int,
    task: str = "denoise",
    classes: tuple[str, ...] = (),
    networks: Networks = (),
) -> Network:
    """An untrained network on `bands`; one with `classes` listens, one without denoises.

    Raises InputError for what the family or the class does not take, and for a class that is not among `networks`.
    """
    if isinstance(architecture, Architecture):
        if classes:
            return ClassifierNetwork(architecture, bands, classes, task)
        return MaskNetwork(architecture, bands)
    return _own(architecture, bands, task, classes, networks)


def name_of(network: type[Network]) -> str:
    """What model files call a class of yours: "package.module:Class"."""
    return f"{network.__module__}:{network.__qualname__}"


def find_class(name: str, where: str) -> type[Network]:
    """Import the class that a recipe names: installed, or below the present folder.

    This runs the module's code, so only a recipe that the user runs gets here. `where` names its key in messages. Raises
    InputError for a module that cannot be imported and for a class that is not a network.
    """
    module, _, attributes = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: a file there takes no installed package's place
    try:
        found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise InputError(f"{where}: cannot import {name!r}: {error_line(error)}") from error
        raise InputError(
            f"{where}: there is no module {error.name!r}, neither installed nor below {os.getcwd()}"
        ) from error
    except AttributeError as error:
        if hasattr(error, "obj") and (inspect.ismodule(error.obj) or inspect.isclass(error.obj)):
            networks = [each for each, value in vars(error.obj).items() if _is_network(value)]
            raise InputError(f"{where}: {name!r}: nothing is named {error.name!r} there"
                             f"{did_you_mean(str(error.name), networks)}") from error  # fmt: skip
        raise InputError(f"{where}: cannot import {name!r}: {error_line(error)}") from error
    except Exception as error:
        raise InputError(f"{where}: cannot import {name!r}: {error_line(error)}") from error
    if not _is_network(found):
        raise InputError(f"{where}: {name!r} is not a tinyse network: write class {attributes}(Network), with Network from "
                         "tinyse.models.network")  # fmt: skip
    return found


def error_line(error: BaseException) -> str:
    """An error that user code raised, in one line, with the place in that code."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    others = (
        *(str(Path(str(module.__file__)).parent) for module in (torch, importlib)),
        str(Path(__file__).parents[1]),
    )
    own = [frame for frame in frames if not frame.filename.startswith((*others, "<frozen"))]
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    text = ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split()))))
    return f"{text}{place}"


def _is_network(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Network) and value is not Network


def _own(architecture: OwnNetwork, bands: int, task: str, classes: tuple[str, ...], networks: Networks) -> Network:
    name = architecture.python
    cls = next((each for each in networks if name_of(each) == name), None)
    if cls is None:
        given = f"; given are {', '.join(map(name_of, networks))}" if networks else ""
        raise InputError(f"{name} is a network of your own, and a model file never runs code{given}: name its recipe "
                         "(--recipe), or give the class (networks=[...]) in Python; its .tflite needs neither")  # fmt: skip
    arguments = {**architecture.arguments, **({"classes": classes} if classes else {})}
    signature = inspect.signature(cls)
    try:
        signature.bind(bands, **arguments)
    except TypeError as error:
        taken = [key for key in list(signature.parameters)[1:] if key != "classes"]
        wrong = [key for key in architecture.arguments if key not in taken]
        raise InputError(f"{name}: {error}{did_you_mean(wrong[0], taken) if wrong else ''}; it takes "
                         f"{cls.__qualname__}{signature}") from error  # fmt: skip
    try:
        network = cls(bands, **arguments)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except Exception as error:
        raise InputError(f"{name}: cannot be made with {arguments}: {error_line(error)}") from error
    network.architecture, network.task, network.classes = architecture, task, classes
    return network
