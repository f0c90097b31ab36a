"""Which operator in which type a runtime has, before anything is trained or exported.

`tflm` and `ethos-u` are what the pinned tflite-micro and Vela 5.2 were seen to run (tests/test_explain.py asks them
again); `cmsis-nn` is what TFLM's folder `kernels/cmsis_nn` has kernels for, everything else there is TFLM's plain C.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import Literal

from tinyse.config import did_you_mean
from tinyse.errors import InputError
from tinyse.graph.graph import Graph
from tinyse.graph.operators import OPERATORS

Support = Literal["fast", "plain", "none"]
"""A kernel made for the hardware, one in plain C, or nothing."""

TYPES = ("float32", "int8", "int16")

_FAST: dict[str, dict[str, tuple[str, ...]]] = {
    "tflm": {},
    "cmsis-nn": dict.fromkeys(("int8", "int16"), ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL")),
    "ethos-u": dict.fromkeys(("int8", "int16"), tuple(OPERATORS)),
}
RUNTIMES = tuple(_FAST)
WITHOUT: dict[tuple[str, str], str] = {
    ("QUANTIZE", "float32"): "it goes between integers",
    ("HARD_SWISH", "int16"): "TFLM has it in 8 bits and in float alone",
}
"""What no runtime has, by operator and type, and why."""

NOTES = {
    ("FULLY_CONNECTED", "int16"): "scales for each output channel need a TFLM of 2026; older ones refuse the file",
}
"""What else there is to know, by operator and type."""


@dataclass(frozen=True)
class Finding:
    """How a runtime runs the operators of one kind and type in a graph."""

    kind: str
    dtype: str
    count: int
    support: Support


def support(runtime: str, kind: str, dtype: str) -> Support:
    """What `runtime` has for an operator. On `ethos-u` float operators stay on the core, as "plain".

    Raises InputError for a runtime that is not known.
    """
    if runtime not in _FAST:
        raise InputError(f"no runtime is named {runtime!r}{did_you_mean(runtime, RUNTIMES)}")
    if kind not in OPERATORS or (kind, dtype) in WITHOUT or dtype not in TYPES:
        return "none"
    return "fast" if kind in _FAST[runtime].get(dtype, ()) else "plain"


def check(graph: Graph, runtime: str) -> list[Finding]:
    """How `runtime` runs a graph, by kind and type of its operators, the worst first."""
    counts = collections.Counter(
        (operator.kind, str(graph.tensors[operator.outputs[0]].dtype)) for operator in graph.operators
    )
    findings = [Finding(kind, dtype, count, support(runtime, kind, dtype)) for (kind, dtype), count in counts.items()]
    return sorted(findings, key=lambda finding: (("none", "plain", "fast").index(finding.support), finding.kind))


def refuse_missing(graph: Graph, runtime: str) -> None:
    """Raise InputError, naming an operator of each kind that `runtime` does not have."""
    lacking = [finding for finding in check(graph, runtime) if finding.support == "none"]
    if lacking:
        named = []
        for finding in lacking:
            found = [o.outputs[0] for o in graph.operators if o.kind == finding.kind]
            named.append(f"{finding.kind} in {finding.dtype} ({finding.count}, the first gives {found[0]!r})")
        raise InputError(f"{runtime} lacks {', '.join(named)}: this step cannot run there")
