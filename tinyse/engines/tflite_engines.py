"""Engines that run a .tflite step: LiteRT, TFLM and the numpy reference, all with the same few methods.

State is an argument and a result, a dictionary of arrays in the file's own types: integers cross from frame to frame as
integers. What an engine holds is an interpreter as scratch; it may serve many streams, but one thread at a time. The
interpreters never see a file's own bytes: the file is read and validated, and what they get is written from that.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tinyse.engines.engine import Engine
from tinyse.engines.native_output import captured
from tinyse.errors import InputError, needs
from tinyse.graph import memory, reference
from tinyse.graph.execution import initial_state
from tinyse.graph.graph import Graph, Tensor
from tinyse.tflite.reader import read
from tinyse.tflite.writer import write

State = dict[str, np.ndarray]
Step = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
"""One frame in the file's own types: every input of the signature to every output."""

FORMAT = 1
"""The newest metadata that is understood."""


class FileEngine(Engine):
    """A .tflite of ours as an engine; a subclass says what runs it."""

    def __init__(self, path: str | Path | bytes) -> None:
        """Raises InputError for a file that is damaged, not written by tinyse, or that the engine cannot run."""
        self.graph = read(path)
        self.metadata: dict[str, Any] = self.graph.metadata
        name = "the .tflite" if isinstance(path, bytes) else path
        if not isinstance(self.metadata.get("format"), int):
            raise InputError(f"{name}: it has no metadata of tinyse; make it with tinyse export")
        if self.metadata["format"] > FORMAT:
            raise InputError(
                f"{name}: format {self.metadata['format']} is newer than this tinyse, which knows {FORMAT}; upgrade tinyse"
            )
        graph = self.graph
        self._states = {name: graph.tensors[graph.inputs[name]] for name in graph.states}
        self._inputs = {name: graph.tensors[t] for name, t in graph.inputs.items() if name not in self._states}
        self._outputs = {name: graph.tensors[t] for name, t in graph.outputs.items() if name not in self._states}
        self._run = self._load(graph)

    @abstractmethod
    def _load(self, graph: Graph) -> Step:
        """What runs one frame of a validated graph; its results are the caller's own arrays."""

    def __getstate__(self) -> dict[str, Any]:
        """All but the interpreter, which neither goes to another process nor serves another thread."""
        return {name: value for name, value in vars(self).items() if name != "_run"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy has an interpreter of its own."""
        vars(self).update(state)
        self._run = self._load(self.graph)

    @property
    def state_bytes(self) -> int:
        """Size of the state between frames, in bytes."""
        return memory.state_bytes(self.graph)

    def initial_state(self) -> State:
        """The state of silence, in the file's types: real value zero."""
        return initial_state(self.graph)

    def step(self, features: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """One frame: (bands,) float32 in [-1, 1) -> mask (bands,) or tags (classes,), float32 in [0, 1], and the state."""
        outputs, state = self.step_named({"features": features}, state)
        if len(outputs) != 1:
            raise InputError(f"the step gives {', '.join(outputs) or 'nothing'} beside its states, not one result")
        return next(iter(outputs.values())), state

    def step_named(self, inputs: Mapping[str, np.ndarray], state: State) -> tuple[dict[str, np.ndarray], State]:
        """One frame of any task: named float32 inputs, each flat or of its tensor's shape, to named flat outputs.

        Inputs are rounded to their tensor's integers, outputs are read off theirs (`Tensor.quantize`). Raises InputError
        for a name, a size or a state that does not fit, and for values that are not finite.
        """
        if set(inputs) != set(self._inputs):
            raise InputError(f"the step takes {', '.join(self._inputs)}, not {', '.join(inputs) or 'nothing'}")
        feed = {name: tensor.quantize(_checked(name, inputs[name], tensor)) for name, tensor in self._inputs.items()}
        for name, tensor in self._states.items():
            value = state.get(name)
            if value is None or value.shape != tensor.shape or value.dtype != tensor.dtype:
                raise InputError(
                    f"state {name!r} must be an {tensor.dtype} {tensor.shape}: take it from initial_state()"
                )
            feed[name] = value
        results = self._run(feed)
        return (
            {name: tensor.dequantize(results[name]).ravel() for name, tensor in self._outputs.items()},
            {name: results[name] for name in self._states},
        )


class LiteRTEngine(FileEngine):
    """LiteRT on this computer. `kernels`: "xnnpack" (fastest), "builtin" or "reference".

    LiteRT rounds once where TFLM rounds twice in some operators, so its integers may differ from a device's in the last
    bit, and through the recurrence by more; its quality does not.
    """

    name = "litert"

    def __init__(
        self, path: str | Path | bytes, kernels: Literal["xnnpack", "builtin", "reference"] = "xnnpack"
    ) -> None:
        self.kernels = kernels
        super().__init__(path)

    def _load(self, graph: Graph) -> Step:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolvers = {
            "xnnpack": OpResolverType.AUTO,
            "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            "reference": OpResolverType.BUILTIN_REF,
        }
        if self.kernels not in resolvers:
            raise InputError(f"kernels {self.kernels!r}: there are {', '.join(resolvers)}")
        try:
            with captured() as output:
                interpreter = Interpreter(
                    model_content=write(graph), num_threads=1, experimental_op_resolver_type=resolvers[self.kernels]
                )
                interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise InputError(f"LiteRT cannot run this file: {_one_line(error, output.text)}") from error
        # Subgraph and signature have one order in our files.
        inputs = [(name, d["index"]) for name, d in zip(graph.inputs, interpreter.get_input_details(), strict=True)]
        outputs = [(name, d["index"]) for name, d in zip(graph.outputs, interpreter.get_output_details(), strict=True)]

        def run(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            for name, index in inputs:
                interpreter.set_tensor(index, feed[name])
            interpreter.invoke()
            return {name: interpreter.get_tensor(index) for name, index in outputs}

        return run


class TFLMEngine(FileEngine):
    """TensorFlow Lite for Microcontrollers on this computer, reference kernels: the bits that a device computes."""

    name = "tflm"

    def _load(self, graph: Graph) -> Step:
        interpreter = tflm_interpreter(graph)

        def run(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            for index, name in enumerate(graph.inputs):
                interpreter.set_input(np.ascontiguousarray(feed[name]), index)
            interpreter.invoke()
            return {name: interpreter.get_output(index) for index, name in enumerate(graph.outputs)}

        return run


class ReferenceEngine(FileEngine):
    """The integer specification in numpy: the same bits as TFLM, on every machine."""

    name = "reference"

    def _load(self, graph: Graph) -> Step:
        return reference.compile(graph)


ENGINES: dict[str, type[FileEngine]] = {kind.name: kind for kind in (LiteRTEngine, TFLMEngine, ReferenceEngine)}
"""The engines that run a .tflite, by name."""

ARENA_STEP = 16
"""TFLM aligns its buffers to this many bytes."""


def require_tflm() -> Any:
    """The module that runs TFLM. Raises InputError where the package is not installed."""
    with needs("export", "tflite-micro"):
        from tflite_micro.python.tflite_micro import runtime
    return runtime


def tflm_interpreter(graph: Graph) -> Any:
    """TFLM's interpreter of a graph. Raises InputError where the package is missing or TFLM lacks an operator."""
    runtime = require_tflm()
    content = write(graph)
    try:
        with captured() as output:
            return runtime.Interpreter.from_bytes(content, arena_size=_plenty(graph, content))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"TFLM cannot run this file: {_one_line(error, output.text)}") from error


def least_arena(graph: Graph) -> int:
    """The least bytes of arena in which TFLM loads a graph on this computer, found by trial, to 16 bytes.

    What TFLM says that it has allocated is less: while it loads it needs room that it gives back. A microcontroller needs
    less, too: a third or so are structures with pointers, which are half as large there. Raises as `tflm_interpreter`.
    """
    tflm_interpreter(graph)  # says why a graph cannot be run in any arena
    content = write(graph)
    short, enough = 0, _plenty(graph, content) // ARENA_STEP * ARENA_STEP
    while enough - short > ARENA_STEP:
        command = [
            sys.executable,
            str(Path(__file__).with_name("tflm_trial.py")),
            *map(str, (short, enough, ARENA_STEP)),
        ]
        trial = subprocess.run(command, input=content, capture_output=True)
        lines = list(map(int, trial.stdout.split()))
        if not lines:
            raise RuntimeError(f"{command} failed: {trial.stderr.decode(errors='replace')[-300:]}")
        # TFLM crashes in some arenas that are too small: then the last size has no answer, and the search continues above.
        for size, loaded in itertools.zip_longest(lines[::2], lines[1::2], fillvalue=0):
            short, enough = (short, size) if loaded else (size, enough)
    return enough


def _plenty(graph: Graph, content: bytes) -> int:
    """Bytes of activations at worst all at once, and of TFLM's own bookkeeping of tensors, operators and channels."""
    return (1 << 20) + 2 * len(content) + 2 * sum(tensor.bytes for tensor in graph.tensors.values())


def _checked(name: str, value: np.ndarray, tensor: Tensor) -> np.ndarray:
    """`value` in the shape of `tensor`."""
    value = np.asarray(value, np.float32)
    if value.size != np.prod(tensor.shape) or not np.isfinite(value).all():
        raise InputError(
            f"{name}: {np.prod(tensor.shape)} finite values are expected, an array {value.shape} was given"
        )
    return value.reshape(tensor.shape)


def _one_line(error: Exception, printed: str) -> str:
    """The interpreter's own words, the last line that it printed first."""
    lines = [line.strip() for line in printed.splitlines() if line.strip() and not line.startswith("INFO")]
    return " - ".join(dict.fromkeys([*lines[:1], str(error).split("\n")[0].strip()]))[:300]
