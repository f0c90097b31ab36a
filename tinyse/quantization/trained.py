"""The grids that a network was trained on, as they travel from training to export in the model's header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyse.errors import InputError
from tinyse.graph.graph import Quantization


@dataclass(frozen=True)
class TrainedGrids:
    """`quantize.activation_grids` of a network in one precision: exporting in it has nothing left to choose."""

    precision: str
    grids: dict[str, Quantization]

    def as_json(self) -> dict[str, Any]:
        """{"precision", "grids": {tensor: [scale, zero point]}}: a float32 survives JSON as it is."""
        grids = {name: [float(grid.tensor_scale), grid.zero_point] for name, grid in self.grids.items()}
        return {"precision": self.precision, "grids": grids}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> TrainedGrids:
        """Raises InputError, naming `where`, for what is not `as_json`'s."""
        try:
            grids = {
                str(name): Quantization(np.float32(scale), int(zero)) for name, (scale, zero) in value["grids"].items()
            }
            return cls(str(value["precision"]), grids)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: the grids in its header are damaged: {error}") from error
