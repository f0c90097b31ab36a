"""The generated C on this computer: compiled as a shared library and loaded through its own header.

What is heard through it is what the firmware computes, front end and network, in 16-bit sound.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from firmware_export.export import DENOISER, Firmware, make
from firmware_export.program import STATES, Storage
from firmware_export.targets import EXACT, OPTIMIZATION
from tinyse.audio import from_pcm16, to_pcm16
from tinyse.engines.tflite_engines import FileEngine, Step
from tinyse.errors import InputError, needs
from tinyse.graph.graph import Graph

COMPILERS = ("cc", "gcc", "clang")
SHARED = (*EXACT, *OPTIMIZATION, "-fPIC", "-shared")


class HostEngine(FileEngine):
    """A .tflite as the firmware computes it, with the same bits as TFLM; `signal_path` takes its front end too."""

    def __init__(self, path: str | Path | bytes) -> None:
        """Raises InputError for a file that cannot be turned into C, and where there is no C compiler."""
        self._digest = hashlib.sha256(path if isinstance(path, bytes) else Path(path).read_bytes()).hexdigest()
        super().__init__(path)

    def _load(self, graph: Graph) -> Step:
        self.firmware = firmware = make(graph, self._digest)
        self.ffi, self.library = load(firmware, firmware.header if firmware.kind == DENOISER else "tinyse_network.h")
        network, program = self.ffi.new("tinyse_network *"), firmware.program
        homes = {name: self.ffi.buffer(getattr(network, name)) for name in ("states", "arena")}

        def place(storage: Storage, offset: int, name: str) -> memoryview:
            """The bytes of a tensor in the struct."""
            start = program.offset(storage) + offset
            return memoryview(homes[storage.home])[start : start + graph.tensors[name].bytes]

        inputs = {name: place(*where, graph.inputs[name]) for name, where in program.inputs.items()}
        outputs = {name: place(*where, graph.outputs[name]) for name, where in program.outputs.items()}
        for name in graph.states:
            start, tensor = program.state_offsets[name], graph.tensors[graph.inputs[name]]
            inputs[name] = outputs[name] = memoryview(homes[STATES])[start : start + tensor.bytes]
        self.library.tinyse_network_reset(network)

        def run(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            for name, target in inputs.items():
                target[:] = feed[name].tobytes()
            self.library.tinyse_network_step(network)
            tensors = {name: graph.tensors[tensor] for name, tensor in graph.outputs.items()}
            return {
                name: np.frombuffer(bytes(outputs[name]), tensor.dtype).reshape(tensor.shape)
                for name, tensor in tensors.items()
            }

        return run

    def signal_path(self) -> HostPath:
        """The whole of `tinyse_process`, front end included."""
        return HostPath(self.ffi, self.library, self.firmware.build)


class HostPath:
    """`tinyse_process` with the methods of `tinyse.engines.path.SignalPath`. Its state is the bytes of the C struct."""

    def __init__(self, ffi: Any, library: Any, build: int) -> None:
        self._ffi, self._library, self._build = ffi, library, build
        self._hop = len(ffi.new("tinyse_hop *")[0])

    def initial_state(self) -> bytes:
        """Silence."""
        stream = self._ffi.new("tinyse_stream *")
        self._library.tinyse_init_checked(stream, self._ffi.sizeof("tinyse_stream"), self._build)
        return bytes(self._ffi.buffer(stream))

    def step(self, samples: np.ndarray, state: bytes, limit: float = 0.0) -> tuple[np.ndarray, bytes]:
        """(hops * hop,) float32 -> as many samples that are `delay` older, denoised, through 16 bits as on a device.

        `limit` as in FrontEnd.apply. Raises InputError where it is not a whole number of dB that the firmware knows.
        """
        ffi, library = self._ffi, self._library
        stream = ffi.new("tinyse_stream *")
        ffi.buffer(stream)[:] = state
        decibels = -1 if limit == 0 else -20 * np.log10(limit)
        whole = round(decibels)
        if abs(decibels - whole) > 1e-6 or library.tinyse_set_attenuation_limit(stream, whole):
            raise InputError(f"attenuation limit: {decibels:g} dB; the firmware knows whole dB from 0 to 60, or none")
        given = np.ascontiguousarray(to_pcm16(samples))
        result = np.empty_like(given)
        source, target = ffi.from_buffer("int16_t[]", given), ffi.from_buffer("int16_t[]", result)
        for first in range(0, len(given), self._hop):
            library.tinyse_process(stream, source + first, target + first)
        return from_pcm16(result), bytes(ffi.buffer(stream))


def load(firmware: Firmware, header: str) -> tuple[Any, Any]:
    """The firmware's library for this computer, and what its own `header` says of it, as cffi has them.

    Raises InputError where there is no C compiler.
    """
    with needs("live", "cffi"):
        from cffi import FFI
    with tempfile.TemporaryDirectory(prefix="tinyse-") as name:
        folder = Path(name)
        write_sources(firmware, folder)
        library = folder / "tinyse.so"
        build(sorted(folder.glob("*.c")), library, folder)
        ffi = FFI()
        ffi.cdef(declarations(folder, header))
        return ffi, ffi.dlopen(str(library))  # which stays in memory when its file is gone


def write_sources(firmware: Firmware, folder: Path) -> None:
    """The product's files, in one folder."""
    for name, content in firmware.sources.items():
        (folder / name).write_text(content)


def declarations(folder: Path, header: str) -> str:
    """What a header declares for the linker, its macros replaced.

    Sizes that are macros only get a type: `tinyse_hop` is int16_t[hop].
    """
    hop = "typedef int16_t tinyse_hop[TINYSE_HOP];\n" if header == "tinyse.h" else ""
    # cffi knows the types of stdint.h, and a compiler's own has more in it than cffi can read.
    (folder / "types").mkdir()
    (folder / "types" / "stdint.h").write_text("")
    (folder / "declarations.c").write_text(f'#include "{header}"\n{hop}')
    unknown = ("-D__attribute__(list)=", "-D__restrict=")  # to cffi
    includes = ("-I", str(folder / "types"), "-I", str(folder))
    declared = checked([compiler(), "-E", "-P", *unknown, *includes, str(folder / "declarations.c")])
    return re.sub(r"static inline [^{]*\{[^}]*\}", "", declared)


def build(sources: list[Path], target: Path, include: Path, flags: tuple[str, ...] = SHARED) -> None:
    """Compile and link `sources`. Raises InputError where there is no C compiler, or with what it says."""
    checked([compiler(), *flags, "-I", str(include), *map(str, sources), "-o", str(target)])


def compiler() -> str:
    """$CC, or a C compiler of this machine. Raises InputError where there is none."""
    for name in filter(None, (os.environ.get("CC"), *COMPILERS)):
        if shutil.which(name):
            return name
    raise InputError("the engine c compiles the firmware for this computer: apt-get install gcc libc6-dev, or set CC")


def checked(command: list[str]) -> str:
    """The output of a command that must succeed. Raises InputError with its first error otherwise."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "error" in line] or result.stderr.splitlines()
        raise InputError(f"{command[0]} failed: {' '.join(lines[:1])}")
    return result.stdout
