"""What every graph must satisfy before it is written, executed or trusted: one pass, one error that names the tensor.

Reading a file ends here, and so does everything that is about to be exported: after `validate` an executor needs no
checks of its own, and the interpreters written in C++ never see a graph whose shapes or scales disagree.
"""

from __future__ import annotations

import numpy as np

from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Operator, Tensor
from tinyse.graph.operators import OPERATORS, described

ACTIVATIONS = (np.dtype(np.float32), np.dtype(np.int8), np.dtype(np.int16))
"""The types that a value between operators may have."""

SCALES = (2.0**-24, 2.0**16)
"""The least and the greatest scale of an activation: beyond them kernels shift by more bits than there are."""

MAX_RANK = 5

MAX_OPERATORS = 1 << 11
MAX_MACS = 1 << 28
"""The most of one step: far beyond any device, and a bound on what an untrusted file can ask for."""


def validate(graph: Graph) -> None:
    """Raise InputError, naming the operator or the tensor, unless every executor can run `graph`."""
    for tensor in graph.tensors.values():
        _check_tensor(tensor)
    _check_wiring(graph)
    if len(graph.operators) > MAX_OPERATORS:
        raise InputError(f"{len(graph.operators)} operators are too many: {MAX_OPERATORS} are the most")
    for operator in graph.operators:
        _check_operator(graph, operator)
    check_states(graph)
    if graph.macs > MAX_MACS:
        raise InputError(f"{graph.macs:,} multiplications per frame are too many: {MAX_MACS:,} are the most")


def check_states(graph: Graph) -> None:
    """Refuse a state that leaves a step in another shape, type or scale than the one in which the next step takes it."""
    for name in graph.states:
        before, after = graph.tensors[graph.inputs[name]], graph.tensors[graph.outputs[name]]
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            raise InputError(
                f"state {name!r} goes in as {before.dtype} {before.shape} and comes out as {after.dtype} {after.shape}"
            )
        if before.quantization != after.quantization:
            raise InputError(
                f"state {name!r} goes in with {described(before)} and comes out with {described(after)}: they must be equal"
            )


def _check_tensor(tensor: Tensor) -> None:
    if len(tensor.shape) > MAX_RANK or any(size < 1 for size in tensor.shape):
        raise InputError(f"tensor {tensor.name!r} has the unusable shape {tensor.shape}")
    if tensor.data is None and tensor.dtype not in ACTIVATIONS:
        raise InputError(f"tensor {tensor.name!r} is {tensor.dtype}: values are float32, int8 or int16")
    if tensor.data is not None and (tensor.data.shape, tensor.data.dtype) != (tensor.shape, tensor.dtype):
        raise InputError(f"constant {tensor.name!r} is declared {tensor.dtype} {tensor.shape} but holds other data")
    qparams = tensor.quantization
    if qparams is None:
        if tensor.data is None and tensor.dtype != np.float32:
            raise InputError(f"tensor {tensor.name!r} is {tensor.dtype} but has no scale")
        return
    if tensor.dtype == np.float32:
        raise InputError(f"tensor {tensor.name!r} is float32 and has a scale")
    limits = np.iinfo(tensor.dtype)
    if not limits.min <= qparams.zero_point <= limits.max:
        raise InputError(f"tensor {tensor.name!r}: zero point {qparams.zero_point} is not an {tensor.dtype}")
    if tensor.dtype == np.int16 and qparams.zero_point:
        raise InputError(f"tensor {tensor.name!r}: an int16 tensor's zero point must be 0, not {qparams.zero_point}")
    if tensor.data is None and not SCALES[0] <= qparams.scale[0] <= SCALES[1]:
        raise InputError(f"tensor {tensor.name!r}: the scale {qparams.scale[0]:g} is out of range")
    if len(qparams.scale) > 1:
        if tensor.data is None:
            raise InputError(f"tensor {tensor.name!r}: only a constant may have a scale for each channel")
        if not (0 <= qparams.axis < len(tensor.shape) and len(qparams.scale) == tensor.shape[qparams.axis]):
            raise InputError(
                f"constant {tensor.name!r}: {len(qparams.scale)} scales do not fit the shape {tensor.shape}"
            )


def _check_wiring(graph: Graph) -> None:
    """Every value has one source, which comes before its uses; a signature names values of the right kind."""
    sources = list(graph.inputs.values())
    for name in [*sources, *graph.outputs.values()]:
        if name not in graph.tensors:
            raise InputError(f"the signature names a tensor {name!r}, which does not exist")
    if not sources or not graph.outputs:
        raise InputError("a step needs inputs and outputs")
    if len(set(sources)) != len(sources):
        raise InputError("two inputs of the signature are the same tensor")
    available = {name for name, tensor in graph.tensors.items() if tensor.data is not None}
    for name in sources:
        if name in available:
            raise InputError(f"input {name!r} is a constant")
    constants, available = available, available | set(sources)
    for index, operator in enumerate(graph.operators):
        for name in operator.inputs:
            if name not in available:
                raise InputError(f"operator {index} ({operator.kind}) uses {name!r} before it is made")
        for name in operator.outputs:
            if name in available or name not in graph.tensors:
                raise InputError(f"operator {index} ({operator.kind}) makes {name!r}, which another source makes")
            available.add(name)
    for name in graph.tensors:
        if name not in available:
            raise InputError(f"tensor {name!r} is made by no operator")
    for name, tensor in graph.outputs.items():
        if tensor in sources or tensor in constants:
            raise InputError(f"output {name!r} is an input or a constant: copy it with a RESHAPE")


def _check_operator(graph: Graph, operator: Operator) -> None:
    where = f"{operator.kind} {operator.outputs[0] if operator.outputs else '?'!r}"
    if operator.kind not in OPERATORS:
        raise InputError(f"{where}: the known operators are {', '.join(OPERATORS)}")
    specification = OPERATORS[operator.kind]
    tensors = [graph.tensors[name] for name in operator.inputs]
    outputs = [graph.tensors[name] for name in operator.outputs]
    if not specification.takes(len(tensors), len(outputs)):
        raise InputError(f"{where}: {len(tensors)} inputs and {len(outputs)} outputs are not what it takes")
    if operator.options.get("activation", "NONE") not in ("NONE", "RELU"):
        raise InputError(f"{where}: the activation is NONE or RELU, not {operator.options['activation']!r}")
    try:
        expected = specification.shapes(operator, tensors)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"{where}: inputs {[t.shape for t in tensors]} do not fit: {error}") from error
    if [tensor.shape for tensor in outputs] != [tuple(shape) for shape in expected]:
        raise InputError(f"{where}: its output is {[t.shape for t in outputs]} where {expected} comes out")
    specification.check(where, operator, tensors, outputs)
