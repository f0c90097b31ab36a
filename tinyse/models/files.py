"""Model files: weights as safetensors, and in the header all that is needed to run and to judge them.

Loading reads numbers and JSON; it never runs code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from tinyse.config import as_dict, build, convert, renamed, renamed_tensor
from tinyse.documents import from_json
from tinyse.errors import InputError
from tinyse.files import read_bytes, sha256, write_bytes
from tinyse.models.architecture import Architecture, OwnNetwork, classes_of
from tinyse.models.making import Networks, make
from tinyse.models.network import MaskNetwork, Network
from tinyse.spectra.front_end import FrontEndConfig

FORMAT = 1


def save_tensors(path: str | Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> None:
    """Write named tensors and a JSON header, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, safetensors.torch.save(plain, {"tinyse": json.dumps(header)}))


def load_tensors(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Named tensors and the JSON header. Raises InputError for a file that is missing, broken or not ours."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no model file {path}")
    data = read_bytes(path)
    try:
        tensors = {renamed_tensor(name): tensor for name, tensor in safetensors.torch.load(data).items()}
        (length,) = struct.unpack("<Q", data[:8])
        text = json.loads(data[8 : 8 + length])["__metadata__"]["tinyse"]
    except SafetensorError as error:
        raise InputError(f"{path} is not a complete safetensors file: {error}") from error
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise InputError(f"{path} is not a file of tinyse: its header has no readable entry 'tinyse'") from error
    # A checkpoint's header may hold the loss before the first one, which is infinite.
    header = renamed(from_json(text, f"{path}: entry 'tinyse' of its header", finite=False))
    if not isinstance(header, dict):
        raise InputError(f"{path} is not a file of tinyse: its entry 'tinyse' is not an object")
    return tensors, header


def save_model(path: str | Path, network: Network, front_end: FrontEndConfig, facts: Mapping[str, Any]) -> None:
    """Write a network with its front end; `facts` (JSON-able) say how it came to be."""
    header = {
        "format": FORMAT,
        "task": network.task,
        "front_end": as_dict(front_end),
        "architecture": as_dict(network.architecture),
        **network.facts(),
        **facts,
    }
    save_tensors(path, network.state_dict(), header)


def save_rounded(path: str | Path, model: str | Path) -> None:
    """Write the file `model` again in half of its size: kernels and matrices in bfloat16, vectors (biases, normalizations) as
    they are. Loading makes float32 of them, exactly. The header names the file that was rounded."""
    tensors, header = load_tensors(model)
    rounded = {
        name: tensor.to(torch.bfloat16) if tensor.is_floating_point() and tensor.dim() > 1 else tensor
        for name, tensor in tensors.items()
    }
    save_tensors(path, rounded, {**header, "rounded": {"to": "bfloat16", "from_sha256": sha256(model)}})


def load_model(path: str | Path, networks: Networks = ()) -> tuple[Network, FrontEndConfig, dict[str, Any]]:
    """The network in a file in evaluation mode, its front end and its header.

    A file that names classes holds a classifier, any other a denoiser. `networks` are classes of your own that the file may
    name; it never makes any other. Raises InputError for a file that is broken or of another format, whose weights do not
    fit or are not finite, or whose class was not given.
    """
    tensors, header = load_tensors(path)
    task, listens = header.get("task"), "classes" in header
    if header.get("format") != FORMAT or not isinstance(task, str) or not (listens or task == MaskNetwork.task):
        raise InputError(f"{path} holds no denoiser and no classifier of format {FORMAT} (format "
                         f"{header.get('format')!r}, task {task!r})")  # fmt: skip
    front_end = build(FrontEndConfig, header.get("front_end", {}), f"{path}: front_end")
    where = f"{path}: architecture"
    architecture: Architecture | OwnNetwork = convert(OwnNetwork | Architecture, header.get("architecture", {}), where)
    classes = classes_of(header, str(path)) if listens else ()
    # Without memory at first: a header may promise any size, and memory is taken only for weights that the file holds.
    try:
        with torch.device("meta"):
            network = make(architecture, front_end.bands, task, classes, networks)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    check_weights(network, tensors, str(path))
    # Copies: a file's tensors may be in bfloat16, and lie where they lie in the file. `to_empty` would import sympy.
    types = {name: tensor.dtype for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: t.to(types[name], copy=True) for name, t in tensors.items()}, assign=True)
    return network.eval(), front_end, header


def load_weights(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], where: str) -> None:
    """Put tensors into a network. Raises InputError, by name, where they do not fit or are not finite."""
    check_weights(network, tensors, where)
    network.load_state_dict(dict(tensors))


def check_weights(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], where: str) -> None:
    """Raise InputError, by name, where tensors are not the network's or are not finite."""
    expected = network.state_dict()
    for name in expected.keys() | tensors.keys():
        if name not in tensors or name not in expected:
            raise InputError(
                f"{where}: weight {name!r} is {'missing' if name in expected else 'not of this architecture'}"
            )
        if tensors[name].shape != expected[name].shape:
            raise InputError(f"{where}: weight {name!r} has shape {tuple(tensors[name].shape)}, "
                             f"the architecture asks for {tuple(expected[name].shape)}")  # fmt: skip
        if tensors[name].is_floating_point() != expected[name].is_floating_point():
            raise InputError(f"{where}: weight {name!r} is {tensors[name].dtype}, the architecture asks for "
                             f"{expected[name].dtype}")  # fmt: skip
        if not torch.isfinite(tensors[name].float()).all():
            raise InputError(f"{where}: weight {name!r} holds NaN or infinite values")
