"""The firmware inside other programs: a LADSPA plugin for PipeWire and editors."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np

from firmware_export import text
from firmware_export.export import Firmware, make
from firmware_export.host import build, write_sources
from firmware_export.kinds import DENOISER
from tinyse.errors import InputError
from tinyse.files import replacing, sha256
from tinyse.tflite import reader

FOLDER = Path(__file__).parent / "plugin"
REACH = 24
"""Samples at the lower rate on each side of a filter's middle: TINYSE_REACH of block.h."""
SHAPE_STEPS = 192
"""Values for each of them; what lies between is interpolated, which errs by 93 dB less than the filter's largest."""


UNREGISTERED_IDS = 1 << 23
"""LADSPA's unique ids have 24 bits. Registered ones are below 10,000; the upper half is for those that are made."""


def export_ladspa(model: str | Path, target: str | Path) -> str:
    """Write the LADSPA plugin of a .tflite, say tinyse.so, and return its label, by which hosts ask for it.

    Raises InputError for a model that cannot be turned into C, and where there is no compiler or no ladspa.h.
    """
    firmware, target = denoiser(model), Path(target)
    with tempfile.TemporaryDirectory(prefix="tinyse-") as name, replacing(target) as temporary:
        folder = Path(name)
        write_block(firmware, folder)
        (folder / "ladspa.c").write_text((FOLDER / "ladspa.c").read_text())
        (folder / "plugin.h").write_text(
            f'#define TINYSE_PLUGIN_ID {unique_id(firmware)}ul\n#define TINYSE_PLUGIN_LABEL "{label(firmware)}"\n'
        )
        try:
            build(sorted(folder.glob("*.c")), temporary, folder)
        except InputError as error:
            if "ladspa.h" in str(error):
                raise InputError("a LADSPA plugin needs its header: apt-get install ladspa-sdk") from error
            raise
    return label(firmware)


def label(firmware: Firmware) -> str:
    """The plugin's label: each model has its own, so that a host can hold several."""
    name = re.sub(r"\W", "_", str(firmware.program.graph.metadata.get("model", "model")), flags=re.ASCII)
    return f"tinyse_{name}_{firmware.digest[:8]}"


def unique_id(firmware: Firmware) -> int:
    """The plugin's id, from the model's hash."""
    return UNREGISTERED_IDS + int(firmware.digest, 16) % UNREGISTERED_IDS


def denoiser(model: str | Path) -> Firmware:
    """The firmware of a .tflite that denoises. Raises InputError for another."""
    firmware = make(reader.read(Path(model)), sha256(model))
    if firmware.kind != DENOISER:
        raise InputError(f"{model} is not a denoiser: no sound comes out of it")
    return firmware


def write_block(firmware: Firmware, folder: Path) -> None:
    """Write the firmware's sources and the block around them (block.h) to `folder`."""
    write_sources(firmware, folder)
    for name in ("block.h", "block.c"):
        (folder / name).write_text((FOLDER / name).read_text())
    shape = f"#define SHAPE_STEPS {SHAPE_STEPS}\n{text.array('filter_shape', low_pass())}"
    (folder / "filters.h").write_text(f"/* The low-pass between the host's rate and the model's. */\n{shape}")


def low_pass() -> np.ndarray:
    """(REACH * SHAPE_STEPS + 1,) float32, from the middle to the end: passes .875 of half the lower rate, and is 80 dB
    down from 1.125 of it on."""
    time = np.arange(-REACH * SHAPE_STEPS, REACH * SHAPE_STEPS + 1) / SHAPE_STEPS
    taps = 0.97 * np.sinc(0.97 * time) * np.kaiser(len(time), 8.0)
    return np.float32(taps[REACH * SHAPE_STEPS :] * SHAPE_STEPS / taps.sum())
