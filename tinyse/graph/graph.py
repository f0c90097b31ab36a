"""One frame's step as a list of operators: what a network emits, what is quantized, what a .tflite file holds.

The same type carries a float step and an integer one. Names of operators and the meaning of their options are
TensorFlow Lite's, so that a graph is a file's content without its bytes.

    kind              inputs                                  options
    CONCATENATION     a, b, ...                               axis
    CONV_2D           x, weights (out, height, width, in), bias   stride (height, width), padding, activation
    DEPTHWISE_CONV_2D x, weights (1, height, width, in), bias     the same; one filter per channel
    FULLY_CONNECTED   x (rows, in), weights (out, in), bias   activation
    RESHAPE           x, shape                                -
    SPLIT             axis, x                                 splits
    ADD, SUB, MUL     a, b (b may be broadcast)               activation
    LOGISTIC, TANH    x                                       -
    HARD_SWISH        x                                       -
    QUANTIZE          x (another scale, or 8 and 16 bits)     -

`padding` is "SAME" or "VALID", `activation` is "NONE" or "RELU". Feature maps are (1, 1, bins, channels): the height
axis is unused, the past frame of a causal convolution lies on the channel axis.
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

    def add_input(self, name: str, shape: Sequence[int], dtype: Any = np.float32) -> str:
        """Declare an input of the signature; the tensor carries the same name."""
        self._declare(Tensor(name, tuple(shape), np.dtype(dtype)))
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
        """`weights` (out, 1, width, in) over the bins of x (1, 1, bins, in), SAME padding, `stride` bins."""
        bins = -(-self.shape(x)[2] // stride)
        w = self.add_constant(f"{output}/weights", np.asarray(weights, np.float32))
        b = self.add_constant(f"{output}/bias", np.asarray(bias, np.float32))
        options = {"stride": (1, stride), "padding": "SAME", "activation": activation}
        return self.add_operator("CONV_2D", (x, w, b), output, (1, 1, bins, len(bias)), **options)

    def depthwise_convolution(
        self, output: str, x: str, weights: np.ndarray, bias: np.ndarray, stride: int = 1, activation: str = "NONE"
    ) -> str:
        """`weights` (1, 1, width, channels), a filter per channel, over the bins of x (1, 1, bins, channels); SAME padding."""
        bins = -(-self.shape(x)[2] // stride)
        w = self.add_constant(f"{output}/weights", np.asarray(weights, np.float32))
        b = self.add_constant(f"{output}/bias", np.asarray(bias, np.float32))
        options = {"stride": (1, stride), "padding": "SAME", "activation": activation}
        return self.add_operator("DEPTHWISE_CONV_2D", (x, w, b), output, (1, 1, bins, len(bias)), **options)

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

    def binary(self, kind: str, output: str, a: str, b: str) -> str:
        """ADD, SUB or MUL of two tensors of the same shape."""
        return self.add_operator(kind, (a, b), output, self.shape(a), activation="NONE")

    def unary(self, kind: str, output: str, x: str) -> str:
        """LOGISTIC, TANH or HARD_SWISH."""
        return self.add_operator(kind, (x,), output, self.shape(x))

    def add_output(self, name: str, tensor: str) -> None:
        """Give a tensor a name in the signature."""
        self.outputs[name] = tensor

    def _declare(self, tensor: Tensor) -> None:
        if tensor.name in self.tensors:
            raise ValueError(f"two tensors are named {tensor.name!r}")
        self.tensors[tensor.name] = tensor
