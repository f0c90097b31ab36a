"""Where the quantization error comes from, operator by operator.

The float step and the integer step run side by side on the same frames, each with its own state. The error of an
operator's output is what it was handed and what it adds:

    propagated   the float operator on the quantized graph's inputs, against the float operator on the float inputs
    weights      the same with the rounded weights and biases
    quantization rounding to the output's scale, and clipping to its range: what exact arithmetic would still lose
    rounding     what the kernel's own arithmetic adds: rounded multipliers, products rounded twice, tables

The four add up to the error, value by value; as powers they do so where they are not correlated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tinyse.errors import InputError
from tinyse.graph import float_execution, reference
from tinyse.graph.execution import Function, Program, initial_state
from tinyse.graph.graph import Graph, Operator, Tensor
from tinyse.graph.operators import MOVES
from tinyse.quantization.calibration import frames_of

PARTS = ("propagated", "weights", "quantization", "rounding")


@dataclass(frozen=True)
class OperatorError:
    """Mean powers at one operator's output over all frames, in the square of its real unit."""

    kind: str
    output: str
    dtype: str
    signal: float
    """Variance of the float values."""
    total: float
    propagated: float
    weights: float
    quantization: float
    rounding: float
    clipped: float
    """Share of the values beyond the output's range, 0 to 1."""

    @property
    def added(self) -> float:
        """What the operator itself adds."""
        return self.weights + self.quantization + self.rounding

    def db(self, part: str) -> float:
        """The power of a part against the signal, in dB; -200 where there is none."""
        return float(10 * np.log10(max(getattr(self, part), 1e-30) / max(self.signal, 1e-10)))


def explain(
    graph: Graph, quantized: Graph, clips: Iterable[tuple[str, Mapping[str, np.ndarray]]]
) -> list[OperatorError]:
    """The errors of `quantized`, the quantized form of `graph`, on clips as `calibrate` takes them, in the graph's order.

    Operators that only move values are left out. Raises InputError where the two graphs do not belong together.
    """
    if list(graph.inputs) != list(quantized.inputs) or list(graph.outputs) != list(quantized.outputs):
        raise InputError("the float graph and the integer graph have different signatures")
    exact, rounded = float_execution.compile(graph), reference.compile(quantized)
    probes = _probes(graph, quantized)
    for name, inputs in clips:
        state, quantized_state = initial_state(graph), initial_state(quantized)
        for frame in frames_of(graph, name, inputs):
            values = exact.trace({**frame, **state})
            entering = {key: quantized.tensors[quantized.inputs[key]].quantize(value) for key, value in frame.items()}
            traced = rounded.trace({**entering, **quantized_state})
            real = {key: quantized.tensors[key].dequantize(value) for key, value in traced.items()}
            for probe in probes:
                probe.add(values, real)
            state = _following(exact, values)
            quantized_state = _following(rounded, traced)
    return [probe.result() for probe in probes]


def as_text(errors: list[OperatorError], only: int | None = None) -> str:
    """A table in dB against each output's signal; `only` keeps that many operators that add most, worst first."""
    rows = errors if only is None else sorted(errors, key=lambda error: -error.db("added"))[:only]
    width = max((len(error.output) for error in rows), default=6)
    lines = [f"{'output':{width}}  {'operator':15} {'type':5}  total  " + "  ".join(PARTS) + "  clipped"]
    for error in rows:
        parts = "  ".join(f"{_printed(error.db(part)):>{len(part)}}" for part in PARTS)
        lines.append(
            f"{error.output:{width}}  {error.kind:15} {error.dtype:5}  {_printed(error.db('total')):>5}  {parts}  "
            f"{100 * error.clipped:6.2f}%"
        )
    return "\n".join(lines)


class _Probe:
    """Sums of squares at one operator's output."""

    def __init__(
        self, operator: Operator, tensor: Tensor, names: list[str], plain: Function, rounded: Function
    ) -> None:
        self.operator, self.tensor = operator, tensor
        self.names, self.plain, self.rounded = names, plain, rounded
        self.sums = dict.fromkeys(("signal", "mean", "total", "clipped", *PARTS), 0.0)
        self.count = 0

    def add(self, values: Mapping[str, np.ndarray], real: Mapping[str, np.ndarray]) -> None:
        """One frame: `values` of the float step, `real` values of the integer one."""
        name = self.operator.outputs[0]
        truth, result = values[_original(name)], real[name]
        inputs = [real[key] for key in self.names]
        handed = self.plain(*inputs)
        weighted = self.rounded(*inputs) if self.rounded is not self.plain else handed
        quantized = self.tensor.dequantize(self.tensor.quantize(weighted))
        errors = {
            "total": result - truth,
            "propagated": handed - truth,
            "weights": weighted - handed,
            "quantization": quantized - weighted,
            "rounding": result - quantized,
        }
        for part, error in errors.items():
            self.sums[part] += float(np.square(error, dtype=np.float64).sum())
        self.sums["signal"] += float(np.square(truth, dtype=np.float64).sum())
        self.sums["mean"] += float(truth.sum(dtype=np.float64))
        self.sums["clipped"] += float((np.abs(quantized - weighted) > 0.501 * self.tensor.scale).sum())
        self.count += truth.size

    def result(self) -> OperatorError:
        means = {part: value / max(self.count, 1) for part, value in self.sums.items()}
        signal = max(means.pop("signal") - means.pop("mean") ** 2, 0.0)
        return OperatorError(self.operator.kind, self.operator.outputs[0], str(self.tensor.dtype), signal, **means)


def _probes(graph: Graph, quantized: Graph) -> list[_Probe]:
    makers = {operator.outputs[0]: operator for operator in graph.operators}
    dequantized = replace(
        graph,
        tensors={
            name: replace(tensor, data=quantized.tensors[name].dequantize(quantized.tensors[name].constant))
            if tensor.data is not None and tensor.dtype == np.float32
            else tensor
            for name, tensor in graph.tensors.items()
        },
    )
    probes = []
    for operator in quantized.operators:
        if operator.kind in MOVES:
            continue
        tensor = quantized.tensors[operator.outputs[0]]
        names = [name for name in operator.inputs if quantized.tensors[name].data is None]
        if operator.kind == "QUANTIZE":
            probes.append(_Probe(operator, tensor, names, _same, _same))
            continue
        maker = makers.get(operator.outputs[0])
        if maker is None or maker.kind != operator.kind:
            raise InputError(f"the float graph has no {operator.kind} that makes {operator.outputs[0]!r}")
        kernel = float_execution.KERNELS[operator.kind]
        plain = kernel(graph, maker)
        has_constants = len(names) < len(operator.inputs)
        probes.append(_Probe(operator, tensor, names, plain, kernel(dequantized, maker) if has_constants else plain))
    return probes


def _same(x: np.ndarray) -> np.ndarray:
    return x


def _original(name: str) -> str:
    """The float graph's tensor that a converted copy was made from."""
    for suffix in ("/int8", "/int16"):
        name = name.removesuffix(suffix)
    return name


def _following(program: Program, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values[program.graph.outputs[name]] for name in program.graph.states}


def _printed(db: float) -> str:
    return f"{db:.1f}" if db > -150 else "-"
