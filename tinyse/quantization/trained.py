"""The quantization parameters that a network was trained with, as they travel from training to export in the model's header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyse.errors import InputError
from tinyse.graph.graph import Quantization


@dataclass(frozen=True)
class TrainedQparams:
    """`quantize.activation_qparams` of a network in one precision: exporting in it has nothing left to choose."""

    precision: str
    qparams: dict[str, Quantization]

    def as_json(self) -> dict[str, Any]:
        """{"precision", "qparams": {tensor: [scale, zero point]}}: a float32 survives JSON as it is."""
        qparams = {name: [float(q.tensor_scale), q.zero_point] for name, q in self.qparams.items()}
        return {"precision": self.precision, "qparams": qparams}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> TrainedQparams:
        """Raises InputError, naming `where`, for what is not `as_json`'s."""
        try:
            qparams = {
                str(name): Quantization(np.float32(scale), int(zero))
                for name, (scale, zero) in value["qparams"].items()
            }
            return cls(str(value["precision"]), qparams)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: the quantization parameters in its header are damaged: {error}") from error
