"""Figures of firmware that really was built and run, which take the place of estimates.

A JSON file, as `benchmarks/firmware.py` writes it:

    {"format": 1, "measurements": [{"model": "<sha256 of the .tflite>", "core": "Cortex-M4", "label": "emulated",
     "source": "QEMU 7.2 mps2-an386, icount", "instructions": 1234567, "flash_bytes": 91234, "ram_bytes": 45678}]}

`instructions` are those of one hop, network and front end. Emulators count instructions; a board counts `cycles`.
`modeled_cycles` are neither counted nor measured: `modeled_from` says what they rest on, and `flash_lines` how many
lines of flash have to be waited for where a board has wait states.

counted.json has those of the models that come with tinyse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinyse.config import build
from tinyse.documents import from_json
from tinyse.errors import InputError


@dataclass(frozen=True)
class Measurement:
    """One model's firmware on one kind of core. What was not measured is None and stays estimated."""

    model: str
    """SHA-256 of the .tflite."""
    core: str
    label: Literal["measured", "emulated"]
    source: str
    instructions: int | None = None
    cycles: int | None = None
    modeled_cycles: int | None = None
    modeled_from: str = ""
    flash_lines: int = 0
    flash_bytes: int | None = None
    ram_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("instructions", "cycles", "modeled_cycles", "flash_bytes", "ram_bytes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, not {value}")


@dataclass(frozen=True)
class MeasurementFile:
    """What the JSON file holds."""

    format: Literal[1]
    measurements: tuple[Measurement, ...]


def read_measurements(path: str | Path) -> tuple[Measurement, ...]:
    """The measurements in a file. Raises InputError for a missing or broken file and for an unknown key."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return build(MeasurementFile, from_json(text, str(path)), str(path)).measurements


def counted() -> tuple[Measurement, ...]:
    """Those of the models that come with tinyse, as benchmarks/firmware.py wrote them."""
    return read_measurements(Path(__file__).parent / "counted.json")


def choose(measurements: Iterable[Measurement], model: str, core: str) -> Measurement | None:
    """The last measurement of that model (SHA-256) on that kind of core, if there is one."""
    fitting = [one for one in measurements if one.model == model and one.core.lower() == core.lower()]
    return fitting[-1] if fitting else None
