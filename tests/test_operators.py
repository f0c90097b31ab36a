"""The table of operators, and every backend against it: a kernel for each operator, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator

from firmware_export import program
from tinyse.errors import InputError
from tinyse.graph import float_execution, reference, sequence
from tinyse.graph.graph import Graph
from tinyse.graph.operators import BINARY, GATES, MOVES, OPERATORS, WEIGHTED
from tinyse.study import converter
from tinyse.targets import support
from tinyse.tflite import operators as layouts

BACKENDS: dict[str, tuple[Mapping, Mapping[str, str]]] = {
    "float execution": (float_execution.KERNELS, float_execution.WITHOUT),
    "integer reference": (reference.KERNELS, {}),
    "sequences": (sequence.KERNELS, {}),
    ".tflite": (layouts.LAYOUTS, {}),
    "TensorFlow's converter": (converter.KERNELS, converter.WITHOUT),
    "firmware": (program.KERNELS, {}),
}


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_has_every_operator_or_says_why_not(name: str) -> None:
    kernels, without = BACKENDS[name]
    assert not set(kernels) & set(without)
    assert set(kernels) | set(without) == set(OPERATORS)
    assert all(len(reason) > 10 for reason in without.values())


def test_codes_are_those_of_the_schema() -> None:
    assert {kind: row.code for kind, row in OPERATORS.items()} == {
        kind: getattr(BuiltinOperator, kind) for kind in OPERATORS
    }


def test_every_operator_has_one_category_and_a_cost() -> None:
    conversions = {kind for kind, row in OPERATORS.items() if row.category == "conversion"}
    assert sorted([*WEIGHTED, *BINARY, *GATES, *MOVES, *conversions]) == sorted(OPERATORS)
    assert all(row.instructions > 0 for row in OPERATORS.values())
    assert {kind for kind, row in OPERATORS.items() if row.fixed} == set(GATES)


def test_runtimes_answer_for_every_operator() -> None:
    """What TFLM's folder kernels/cmsis_nn has, by name: a table that forgets one is wrong in `tinyse check`."""
    fast = {kind for kind in OPERATORS if support.support("cmsis-nn", kind, "int8") == "fast"}
    assert fast == {*WEIGHTED, "ADD", "MUL"}
    for kind, row in OPERATORS.items():
        assert support.support("tflm", kind, "int8") == "plain"
        assert support.support("ethos-u", kind, "int16") == "fast"
        assert support.support("tflm", kind, "float32") == ("none" if row.category == "conversion" else "plain")


def test_what_a_backend_lacks_is_refused_with_the_reason() -> None:
    graph = Graph("step")
    graph.add_output("y", graph.unary("QUANTIZE", "y", graph.add_input("x", (1, 4))))
    for name in ("x", "y"):
        graph.replace_tensor(name, dtype=np.dtype(np.int8), quantization=OPERATORS["TANH"].fixed[np.dtype(np.int8)])
    with pytest.raises(InputError, match="QUANTIZE 'y' cannot be executed: it goes between integers"):
        float_execution.compile(graph)
