"""What a graph consists of: tensors with their quantization, and operators between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyse.graph.arithmetic import dequantize_values, quantize_values


@dataclass(frozen=True)
class Quantization:
    """real = scale * (integer - zero_point). `scale` is float32, one value or one for each index of `axis`."""

    scale: np.ndarray
    zero_point: int = 0
    axis: int = 0

    def __post_init__(self) -> None:
        scale = np.atleast_1d(np.asarray(self.scale, np.float32))
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError("a scale must be a positive, finite number")
        object.__setattr__(self, "scale", scale)

    @property
    def tensor_scale(self) -> np.float32:
        """The one scale of a quantization per tensor. Raises ValueError where each channel has its own."""
        if len(self.scale) != 1:
            raise ValueError(f"there are {len(self.scale)} scales, one per channel")
        return self.scale[0]

    def quantize(self, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Real values as integers of `dtype`, by the rule of `arithmetic.quantize_values`; one scale for all."""
        return quantize_values(values, self.tensor_scale, self.zero_point, dtype)

    def dequantize(self, integers: np.ndarray) -> np.ndarray:
        """Integers as real values, float32, rounded once."""
        if len(self.scale) == 1 and integers.dtype.itemsize <= 2:
            return dequantize_values(integers, self.tensor_scale, self.zero_point)
        scale = self.scale.astype(np.float64)
        if len(scale) > 1:
            scale = scale.reshape(-1, *[1] * (integers.ndim - 1 - self.axis))
        return ((integers.astype(np.float64) - self.zero_point) * scale).astype(np.float32)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Quantization)
            and self.zero_point == other.zero_point
            and np.array_equal(self.scale, other.scale)
        )


@dataclass(frozen=True)
class Tensor:
    """A value of a graph. `data` is set for constants (weights, biases, shapes, axes) and None for activations."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    data: np.ndarray | None = None
    quantization: Quantization | None = None

    @property
    def constant(self) -> np.ndarray:
        """`data` of a tensor that is known to be a constant."""
        if self.data is None:
            raise ValueError(f"{self.name!r} is not a constant")
        return self.data

    @property
    def qparams(self) -> Quantization:
        """`quantization` of a tensor that is known to be quantized."""
        if self.quantization is None:
            raise ValueError(f"{self.name!r} is not quantized")
        return self.quantization

    @property
    def scale(self) -> np.float32:
        """The scale of a tensor that is known to be quantized with one."""
        return self.qparams.tensor_scale

    @property
    def zero_point(self) -> int:
        """The zero point of a tensor that is known to be quantized."""
        return self.qparams.zero_point

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values, of any shape, as this tensor holds them: rounded to its integers, or float32 as they are."""
        if self.quantization is None:
            return np.asarray(values, np.float32)
        return self.quantization.quantize(values, self.dtype)

    def dequantize(self, values: np.ndarray) -> np.ndarray:
        """What this tensor holds, of any shape, as real values: float32."""
        return values if self.quantization is None else self.quantization.dequantize(values)

    @property
    def bytes(self) -> int:
        """Size in memory, in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Operator:
    """One operator; `inputs` and `outputs` are names of tensors."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
