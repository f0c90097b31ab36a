"""The generated C on this computer, as the engine c: the network and the front end of the firmware, bit for bit.

The library of a model that comes with tinyse was compiled with tinyse (built_in.py); that of any other is compiled now.
It is called through ctypes, which lets other threads of Python run meanwhile.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from ctypes import c_float, c_size_t, c_void_p
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from firmware_export import built_in
from firmware_export.kinds import DENOISER
from firmware_export.lowering import lower
from firmware_export.names import INTERFACES
from firmware_export.program import STATES, Storage
from firmware_export.targets import EXACT, OPTIMIZATION
from tinyse.engines.tflite_engines import FileEngine, Step
from tinyse.errors import InputError
from tinyse.files import read_bytes, sha256
from tinyse.graph.graph import Graph

if TYPE_CHECKING:
    from firmware_export.export import Firmware

COMPILERS = ("cc", "gcc", "clang")
SHARED = (*EXACT, *OPTIMIZATION, "-fPIC", "-shared")
PLUGIN = Path(__file__).parent / "plugin"


class HostEngine(FileEngine):
    """A .tflite as the firmware computes it, with the same bits as TFLM; `signal_path` takes its front end too."""

    name = "c"

    def __init__(self, path: str | Path | bytes) -> None:
        """Raises InputError for a file that cannot be turned into C; where it was not compiled with tinyse, also where there
        is no C compiler."""
        self._digest = hashlib.sha256(path if isinstance(path, bytes) else read_bytes(path)).hexdigest()
        super().__init__(path)

    def _load(self, graph: Graph) -> Step:
        if not hasattr(self, "library"):  # which a copy has already
            self.library = Library(graph, self._digest)
        program, memory = lower(graph), _memory(self.library.network_bytes())
        homes = {"states": self.library.states(), "arena": self.library.arena()}

        def place(storage: Storage, offset: int, name: str) -> np.ndarray:
            """The bytes of a tensor in the struct."""
            start = homes[storage.home] + program.offset(storage) + offset
            return memory[start : start + graph.tensors[name].bytes]

        inputs = {name: place(*where, graph.inputs[name]) for name, where in program.inputs.items()}
        outputs = {name: place(*where, graph.outputs[name]) for name, where in program.outputs.items()}
        for name in graph.states:
            start, tensor = homes[STATES] + program.state_offsets[name], graph.tensors[graph.inputs[name]]
            inputs[name] = outputs[name] = memory[start : start + tensor.bytes]
        self.library.network_reset(memory.ctypes.data)

        def run(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            for name, target in inputs.items():
                target[:] = np.ascontiguousarray(feed[name]).reshape(-1).view(np.uint8)
            self.library.network_step(memory.ctypes.data)
            tensors = {name: graph.tensors[tensor] for name, tensor in graph.outputs.items()}
            return {
                name: outputs[name].copy().view(tensor.dtype).reshape(tensor.shape) for name, tensor in tensors.items()
            }

        return run

    def signal_path(self) -> HostPath | None:
        """Front end and network in C; None for a network without a front end of its own."""
        return HostPath(self.library) if self.library.has_path else None


class HostPath:
    """The methods of `tinyse.engines.path.SignalPath`, with its bits. A state is the bytes of the C struct, never changed."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._hop = library.hop()

    def initial_state(self) -> np.ndarray:
        """Silence."""
        stream = _memory(self._library.bytes())
        self._library.reset(stream.ctypes.data)
        return stream

    def step(self, samples: np.ndarray, state: np.ndarray, limit: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """(hops * hop,) float32 -> as many samples that are `delay` older, denoised. `limit`: see FrontEnd.apply."""
        given = np.ascontiguousarray(samples, np.float32)
        result, stream = np.empty_like(given), state.copy()
        self._library.process(
            stream.ctypes.data, given.ctypes.data, result.ctypes.data, len(given) // self._hop, c_float(limit)
        )
        return result, stream


class Library:
    """The functions of one model in C, without their prefix. `has_path`: whether sound comes out."""

    def __init__(self, graph: Graph, digest: str) -> None:
        """Raises InputError for a graph that cannot be turned into C, and where there is neither a library nor a compiler."""
        self._made_of = graph, digest
        self.built_in = built_in.holds(digest)
        found = built_in.library() if self.built_in else compiled(graph, digest)
        prefix = built_in.prefix(digest)

        def function(name: str, result: type | None, *arguments: type) -> ctypes._NamedFuncPointer:
            symbol = getattr(found, f"{prefix}_{name}")
            symbol.restype, symbol.argtypes = result, arguments
            return symbol

        self.network_bytes = function("host_network_bytes", c_size_t)
        self.states, self.arena = function("host_states", c_size_t), function("host_arena", c_size_t)
        self.network_reset = function("network_reset", None, c_void_p)
        self.network_step = function("network_step", None, c_void_p)
        self.has_path = hasattr(found, f"{prefix}_host_process")
        if self.has_path:
            self.hop, self.bytes = function("host_hop", c_size_t), function("host_bytes", c_size_t)
            self.reset = function("host_reset", None, c_void_p)
            self.process = function("host_process", None, c_void_p, c_void_p, c_void_p, c_size_t, c_float)

    def __reduce__(self) -> tuple[type[Library], tuple[Graph, str]]:
        """Addresses of functions mean nothing in another process, which loads or compiles the library again."""
        return Library, self._made_of


def compiled(graph: Graph, digest: str) -> ctypes.CDLL:
    """The library of a model, compiled now. Raises InputError where it cannot be."""
    from firmware_export.export import make

    with tempfile.TemporaryDirectory(prefix="tinyse-") as name:
        folder = Path(name)
        write_for_python(make(graph, digest, prefix=built_in.prefix(digest)), folder)
        target = folder / "model.so"
        definitions = (f"-D{macro}={value}" for macro, value in built_in.DEFINITIONS.items())
        build(sorted(folder.glob("*.c")), target, folder, (*SHARED, *definitions))
        return ctypes.CDLL(str(target))  # which stays in memory when its file is gone


def write_built_in(models: Iterable[Path], folder: Path) -> list[Path]:
    """Write the C of all models to `folder`; what is to be compiled with `built_in.DEFINITIONS` and `targets.EXACT`."""
    from firmware_export.export import make
    from tinyse.tflite import reader

    for path in models:
        digest = sha256(path)
        write_for_python(make(reader.read(path), digest, prefix=built_in.prefix(digest)), folder)
    shutil.copy(PLUGIN / "built_in.c", folder)
    return sorted(folder.glob("*.c"))


def write_for_python(firmware: Firmware, folder: Path) -> None:
    """Network and front end, and in place of the interface for devices the one for Python."""
    interface = {firmware.names.file(name) for name in INTERFACES}
    for name, content in firmware.sources.items():
        if name not in interface:
            (folder / name).write_text(content)
    for name in ("host_network.c", *(("host_path.c",) if firmware.kind == DENOISER else ())):
        content = (PLUGIN / name).read_text()
        (folder / firmware.names.file(name)).write_text(firmware.names.text(content, ("network.h", "front_end.h")))


def _memory(count: int) -> np.ndarray:
    """Bytes at an address that any struct may have: numpy's are at multiples of 16."""
    return np.zeros(count, np.uint8)


def write_sources(firmware: Firmware, folder: Path) -> None:
    """The product's files, in one folder."""
    for name, content in firmware.sources.items():
        (folder / name).write_text(content)


def build(sources: list[Path], target: Path, include: Path, flags: tuple[str, ...] = SHARED) -> None:
    """Compile and link `sources`. Raises InputError where there is no C compiler, or with what it says."""
    checked([compiler(), *flags, "-I", str(include), *map(str, sources), "-o", str(target)])


def compiler() -> str:
    """$CC, or a C compiler of this machine. Raises InputError where there is none."""
    for name in filter(None, (os.environ.get("CC"), *COMPILERS)):
        if shutil.which(name):
            return name
    raise InputError("the engine c needs a C compiler: apt-get install gcc libc6-dev, or set CC")


def checked(command: list[str]) -> str:
    """The output of a command that must succeed. Raises InputError with its first error otherwise."""
    result = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "error" in line] or result.stderr.splitlines()
        raise InputError(f"{command[0]} failed: {' '.join(lines[:1])}")
    return result.stdout
