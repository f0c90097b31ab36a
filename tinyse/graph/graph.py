"""One frame's step as a list of operators: what a network emits, what is quantized, what a .tflite file holds.

The same type carries a float step and an integer one. Names of operators and the meaning of their options are
TensorFlow Lite's, so that a graph is a file's content without its bytes.

    kind              inputs                                  options
    CONCATENATION     a, b, ...                               axis
    CONV_2D           x, weights (out, height, width, in), bias   stride (height, width), padding, activation;
                      fewer weights than channels in x make groups: x's channels and the outputs divide into them
    DEPTHWISE_CONV_2D x, weights (1, height, width, in), bias     the same; one filter per channel
    FULLY_CONNECTED   x (rows, in), weights (out, in), bias   activation
    RESHAPE           x, shape                                -
    SPLIT             axis, x                                 splits
    STRIDED_SLICE     x, begin, end, strides (of 1)           -
    ADD, SUB, MUL     a, b (b may be broadcast)               activation
    LOGISTIC, TANH    x                                       -
    HARD_SWISH        x                                       -
    LEAKY_RELU        x                                       slope (of what is below zero, 0 to 1)
    QUANTIZE          x (another scale, or 8 and 16 bits)     -

`padding` is "SAME" or "VALID", `activation` is "NONE" or "RELU". Feature maps are (1, 1, bins, channels). Past frames
that a convolution sees lie before the present one on the channel axis, or, where channels are divided, on the height axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyse.graph.operators import macs
from tinyse.graph.tensor import Operator, Quantization, Tensor

__all__ = ["Graph", "Operator", "Quantization", "Tensor"]


@dataclass
class Graph:
    """A frame's step. `inputs` and `outputs` map the names of the signature to names of tensors, in file order.

    A name that is in both is a state: its output of one frame is its input of the next. The other inputs and outputs
    are the step's data (for a denoiser `features` and `mask`). `metadata` is JSON-able and travels in the file.
    """

    name: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def states(self) -> list[str]:
        """Names of the states, in the order of the inputs."""
        return [name for name in self.inputs if name in self.outputs]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one step, those of weights alone."""
        return sum(macs(operator, self.tensors) for operator in self.operators)

    # Building: each method appends one operator and returns the name of its output.

    def add_input(self, name: str, shape: Sequence[int]) -> str:
        """Declare a float32 input of the signature; the tensor carries the same name."""
        self._declare(Tensor(name, tuple(shape), np.dtype(np.float32)))
        self.inputs[name] = name
        return name

    def add_constant(self, name: str, data: np.ndarray) -> str:
        """Declare a constant."""
        data = np.asarray(data)
        self._declare(Tensor(name, data.shape, data.dtype, data))
        return name

    def add_operator(self, kind: str, inputs: Sequence[str], output: str, shape: Sequence[int], **options: Any) -> str:
        """Append an operator with one float32 output."""
        self._declare(Tensor(output, tuple(shape), np.dtype(np.float32)))
        self.operators.append(Operator(kind, tuple(inputs), (output,), options))
        return output

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self.tensors[name].shape

    def concatenation(self, output: str, parts: Sequence[str], axis: int) -> str:
        shape = list(self.shape(parts[0]))
        axis %= len(shape)
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        return self.add_operator("CONCATENATION", parts, output, shape, axis=axis)

    def convolution(
        self, output: str, x: str, weights: np.ndarray, bias: np.ndarray, stride: int = 1, activation: str = "NONE"
    ) -> str:
        """`weights` (out, frames, width, in) over the bins of x (1, frames, bins, channels), SAME padding, `stride` bins.

        An `in` that is a part of the channels makes groups. The output is one frame.
        """
        return self._convolution("CONV_2D", output, x, weights, bias, stride, activation)

    def depthwise_convolution(
        self, output: str, x: str, weights: np.ndarray, bias: np.ndarray, stride: int = 1, activation: str = "NONE"
    ) -> str:
        """`weights` (1, frames, width, channels), a filter per channel; otherwise as `convolution`."""
        return self._convolution("DEPTHWISE_CONV_2D", output, x, weights, bias, stride, activation)

    def _convolution(
        self, kind: str, output: str, x: str, weights: np.ndarray, bias: np.ndarray, stride: int, activation: str
    ) -> str:
        _, frames, bins, _ = self.shape(x)
        w = self.add_constant(f"{output}/weights", np.asarray(weights, np.float32))
        b = self.add_constant(f"{output}/bias", np.asarray(bias, np.float32))
        # SAME padding is meant for the bins: a stride over all frames leaves none to be padded.
        padded = weights.shape[2] > 1 or frames == 1
        options = {
            "stride": (frames if padded else 1, stride),
            "padding": "SAME" if padded else "VALID",
            "activation": activation,
        }
        return self.add_operator(kind, (x, w, b), output, (1, 1, -(-bins // stride), len(bias)), **options)

    def fully_connected(
        self, output: str, x: str, weights: np.ndarray, bias: np.ndarray, activation: str = "NONE"
    ) -> str:
        """`weights` (out, in) on every row of x (rows, in)."""
        w = self.add_constant(f"{output}/weights", np.asarray(weights, np.float32))
        b = self.add_constant(f"{output}/bias", np.asarray(bias, np.float32))
        shape = (self.shape(x)[0], len(bias))
        return self.add_operator("FULLY_CONNECTED", (x, w, b), output, shape, activation=activation)

    def reshape(self, output: str, x: str, shape: Sequence[int]) -> str:
        constant = self.add_constant(f"{output}/shape", np.asarray(shape, np.int32))
        return self.add_operator("RESHAPE", (x, constant), output, shape)

    def split(self, outputs: Sequence[str], x: str, axis: int) -> list[str]:
        shape = list(self.shape(x))
        axis %= len(shape)
        if shape[axis] % len(outputs):
            raise ValueError(f"{x}: {shape[axis]} channels do not split into {len(outputs)} equal parts")
        shape[axis] //= len(outputs)
        constant = self.add_constant(f"{outputs[0]}/axis", np.asarray(axis, np.int32))
        for output in outputs:
            self._declare(Tensor(output, tuple(shape), np.dtype(np.float32)))
        self.operators.append(Operator("SPLIT", (constant, x), tuple(outputs), {"splits": len(outputs)}))
        return list(outputs)

    def slice(self, output: str, x: str, axis: int, begin: int, end: int) -> str:
        """What lies from `begin` to `end` on one axis."""
        shape = list(self.shape(x))
        first, last = [0] * len(shape), list(shape)
        first[axis], last[axis], shape[axis] = begin, end, end - begin
        ends = [
            self.add_constant(f"{output}/{name}", np.asarray(values, np.int32))
            for name, values in (("begin", first), ("end", last), ("strides", [1] * len(shape)))
        ]
        return self.add_operator("STRIDED_SLICE", (x, *ends), output, shape)

    def binary(self, kind: str, output: str, a: str, b: str) -> str:
        """ADD, SUB or MUL of two tensors of the same shape."""
        return self.add_operator(kind, (a, b), output, self.shape(a), activation="NONE")

    def unary(self, kind: str, output: str, x: str) -> str:
        """LOGISTIC, TANH or HARD_SWISH."""
        return self.add_operator(kind, (x,), output, self.shape(x))

    def leaky_relu(self, output: str, x: str, slope: float) -> str:
        """x, or `slope` times x below zero."""
        return self.add_operator("LEAKY_RELU", (x,), output, self.shape(x), slope=float(np.float32(slope)))

    def add_output(self, name: str, tensor: str) -> None:
        """Give a tensor a name in the signature."""
        self.outputs[name] = tensor

    def _declare(self, tensor: Tensor) -> None:
        if tensor.name in self.tensors:
            raise ValueError(f"two tensors are named {tensor.name!r}")
        self.tensors[tensor.name] = tensor
