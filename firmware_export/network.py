"""The network as C: network_data.h (constants in flash), network.c (the step), network.h (its memory)."""

from __future__ import annotations

import numpy as np

from firmware_export import layers, text
from firmware_export.program import CONSTANT, STATES, Call, Program, Storage
from tinyse.errors import InputError

OVERREAD_BYTES = 32
"""After any input: kernels may read up to 31 bytes too many, as c/kernels.h says."""
ALIGNED = "__attribute__((aligned(4))) static const"
"""Of an operand, which is an array of bytes that may have values of 16 bits: a compiler may put one at any address."""


def sources(program: Program, version: str) -> dict[str, str]:
    """{file name: text} of the generated part of the network, for kernels of that version."""
    return {"network.h": header(program), "network.c": step(program, version), "network_data.h": data(program)}


def header(program: Program) -> str:
    """Sizes, and where inputs, outputs and states lie."""
    graph = program.graph
    names = {*graph.inputs, *graph.outputs}
    if len({text.identifier(name) for name in names}) < len(names):
        raise InputError(f"two of the signature's names are the same identifier in C: {', '.join(sorted(names))}")
    lines = []
    for group, places in (("INPUT", program.inputs), ("OUTPUT", program.outputs)):
        for name, place in places.items():
            if name not in graph.states:
                size = graph.tensors[(graph.inputs if group == "INPUT" else graph.outputs)[name]].bytes
                macro = f"{group}_{text.identifier(name)}"
                lines += [
                    f"#define TINYSE_BYTES_OF_{macro} {size}",
                    f"#define TINYSE_{macro}(network) ({_address(program, place, '(network)')})",
                ]
    for name in graph.states:
        size = graph.tensors[graph.inputs[name]].bytes
        macro = f"STATE_{text.identifier(name)}"
        lines += [
            f"#define TINYSE_BYTES_OF_{macro} {size}",
            f"#define TINYSE_{macro}(network) ((network)->states + {program.state_offsets[name]})",
        ]
    values = {
        "STATE_BYTES": max(program.state_bytes, 1),
        "ARENA_BYTES": max(program.plan.bytes, 1),
        "SCRATCH_WORDS": max(program.scratch_words, 1),
        "OVERREAD": OVERREAD_BYTES,
        "PLACES": "\n".join(lines),
        "OPERATORS": len(graph.operators),
        "CMSIS": "#define TINYSE_CMSIS_NN /* layers call CMSIS-NN */\n" if program.cmsis else "",
    }
    return text.fill("network.h.in", values)


def step(program: Program, version: str) -> str:
    """The calls, one after the other."""
    resets = []
    for name in program.graph.states:
        tensor = program.graph.tensors[program.graph.inputs[name]]
        zero = tensor.zero_point if tensor.quantization else 0
        macro = f"STATE_{text.identifier(name)}"
        resets.append(f"    memset(TINYSE_{macro}(network), {zero}, TINYSE_BYTES_OF_{macro});")
    lines = []
    for number, call in enumerate(program.calls):
        lines.append(f"    {text.comment(f'{call.operator}: {call.title}')}")
        failed = "network->failed |= " if call.layer.kernel == layers.CMSIS else ""
        lines.append(f"    {failed}{_kernel(call)}({', '.join(_arguments(program, number, call))});")
        if number + 1 == len(program.calls) or program.calls[number + 1].operator != call.operator:
            lines.append(f"    TINYSE_DONE({call.operator});")
    return text.fill("network.c.in", {"KERNELS": version, "RESETS": "\n".join(resets), "CALLS": "\n".join(lines)})


def data(program: Program) -> str:
    """Weights, tables and the layers' numbers."""
    parts = []
    known: dict[bytes, str] = {}
    for number, constant in enumerate(program.constants):
        readable = np.frombuffer(constant.values.tobytes() + bytes(OVERREAD_BYTES), np.int8)
        parts.append(text.array(f"constant_{number}", readable, ALIGNED))
    for number, call in enumerate(program.calls):
        fields = dict(call.layer.fields)
        names = {}
        for name, values in call.layer.arrays.items():
            # Equal tables are stored once.
            key = f"{values.dtype}".encode() + values.tobytes()
            if key not in known:
                known[key] = f"layer_{number}_{name}"
                parts.append(text.array(known[key], values))
            names[name] = known[key]
        parts.append(
            f"{text.comment(f'{call.operator}: {call.title}')}\n"
            f"static const {call.layer.struct} layer_{number} = {text.initializer({**fields, **names})};\n"
        )
    return text.fill("network_data.h.in", {"DATA": "\n".join(parts)})


def constant_bytes(program: Program) -> dict[str, int]:
    """Bytes of flash by kind of constant, equal tables counted once."""
    seen: set[bytes] = set()
    total: dict[str, int] = {"constants": sum(constant.bytes for constant in program.constants)}
    total["layers"] = sum(layers.STRUCT_BYTES[call.layer.struct] for call in program.calls)
    for call in program.calls:
        for name, values in call.layer.arrays.items():
            key = f"{values.dtype}".encode() + values.tobytes()
            if key not in seen:
                seen.add(key)
                kind = "weights, biases, multipliers" if name == "pairs" else "tables"
                total[kind] = total.get(kind, 0) + values.nbytes
    return total


def _kernel(call: Call) -> str:
    if call.layer.fast:
        return call.layer.kernel
    return f"{call.layer.kernel}_portable"


def _arguments(program: Program, number: int, call: Call) -> list[str]:
    operands = [_address(program, operand) for operand in call.operands]
    if call.layer.kernel == layers.ADD:
        operands.insert(-1, "NULL")  # results go through no table
    scratch = {
        layers.CONVOLVE: ["network->scratch"],
        layers.CONVOLVE16: ["network->scratch"],
        layers.GRU: ["network->scratch"],
        layers.CMSIS: ["network->scratch", "(int32_t)sizeof network->scratch"],
    }
    return [f"&layer_{number}", *operands, *scratch.get(call.layer.kernel, [])]


def _address(program: Program, place: tuple[Storage, int], network: str = "network") -> str:
    storage, offset = place
    if storage.home == CONSTANT:
        return f"constant_{_index(program, storage)} + {offset}"
    home = "states" if storage.home == STATES else "arena"
    return f"{network}->{home} + {program.offset(storage) + offset}"


def _index(program: Program, storage: Storage) -> int:
    return next(number for number, constant in enumerate(program.constants) if constant is storage)
