"""The whole folder: sources, tests, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firmware_export import cmake, front_end, network, report, text, vectors
from firmware_export.program import Program, lower
from tinyse import files
from tinyse.config import build
from tinyse.errors import InputError
from tinyse.integers.graph import Graph, Quantization
from tinyse.models.architecture import classes_of
from tinyse.spectra.front_end import FrontEnd, FrontEndConfig
from tinyse.tflite import reader

VERSION = "1"
"""Of the C interface."""

KERNELS = (
    "target.h", "kernels.h", "requantise.h", "window.h", "window.c",
    "convolve_portable.c", "add_portable.c", "multiply_portable.c",
    "look_up_portable.c", "copy_rows.c", "dsp.h", "convolve_dsp.c", "add_dsp.c", "multiply_dsp.c",
    "mve.h", "convolve_mve.c", "add_mve.c", "multiply_mve.c", "look_up_mve.c",
)  # fmt: skip
TESTS = ("replay.c", "kernels.c", "vectors.h", "port.h", "host.c", "cortex_m.c", "riscv.c", "bare_metal.ld")
CMSIS_KERNELS = ("convolve_cmsis.c",)
SIGNAL_PATH = ("tinyse.c",)
HEADERS = ("tinyse.h", "tagger.h", "network.h")
"""The interface of a denoiser, of a tagger and of a bare network; an export has the first of these that it has."""
FLOAT_FRONT_END = (
    "front_end.c", "front_end_mve.h", "transform.h", "reorder.h",
    "transform_portable.c", "transform_mve.c", "transform_cmsis.c",
)  # fmt: skip
FIXED_FRONT_END = ("front_end_fixed.c", "transform_fixed.h", "transform_fixed.c")


@dataclass(frozen=True)
class Firmware:
    """`sources` are the text of every file of the product, by name; `front_end` is None for a bare network."""

    program: Program
    front_end: FrontEnd | None
    sources: dict[str, str]
    digest: str

    @property
    def header(self) -> str:
        """The name of its interface."""
        return next(name for name in HEADERS if name in self.sources)


def make(graph: Graph, digest: str, fixed_point: bool = False, cmsis: bool = False) -> Firmware:
    """The sources of a graph; `digest` names the model, `fixed_point` chooses the front end for cores without an FPU.

    With `cmsis`, convolutions and fully connected layers call a CMSIS-NN that the user links.

    A denoiser, whose metadata has a front end, gets the whole signal path (tinyse.h), a tagger the way from sound to
    decisions (tagger.h), any other int8 step its network alone (network.h). Raises InputError for what the kernels do not have.
    """
    program = lower(graph, cmsis)
    kernels = (*KERNELS, *CMSIS_KERNELS) if program.cmsis else KERNELS
    sources = {**network.sources(program), **{name: _template(name) for name in kernels}}
    task = graph.metadata.get("task")
    if task not in ("denoise", "tagging"):
        return Firmware(program, None, sources, digest)
    tables = FrontEnd(build(FrontEndConfig, graph.metadata.get("front_end", {}), "front_end"))
    result, what = ("mask", "a denoiser's step has features and a mask") if task == "denoise" else (
        "tags", "a tagger's step has features and tags")  # fmt: skip
    for group, name in ((graph.inputs, "features"), (graph.outputs, result)):
        if name not in group:
            raise InputError(f"{what}, this one has {', '.join(group)}")
    features = graph.tensors[graph.inputs["features"]]
    mask = graph.tensors[graph.outputs["mask"]] if task == "denoise" else None
    values = {"VERSION": VERSION, "HASH": digest[:32], "SAMPLE_RATE": tables.config.sample_rate}
    sources |= front_end.sources(tables, features, mask, fixed_point)
    sources |= {name: _template(name) for name in (FIXED_FRONT_END if fixed_point else FLOAT_FRONT_END)}
    if task == "denoise":
        sources |= {"tinyse.h": text.fill("tinyse.h.in", values), **{name: _template(name) for name in SIGNAL_PATH}}
    else:
        sources |= _tagger(graph, tables, values)
    return Firmware(program, tables, sources, digest)


def _tagger(graph: Graph, tables: FrontEnd, values: dict[str, Any]) -> dict[str, str]:
    """What stands around a tagger's network."""
    tags, classes = graph.tensors[graph.outputs["tags"]], classes_of(graph.metadata, graph.name)
    if len(classes) != int(np.prod(tags.shape)):
        raise InputError(f"{len(classes)} classes are named, the step gives {int(np.prod(tags.shape))} tags")
    if tags.grid != Quantization(np.float32(1 / 256), -128):
        raise InputError("the tags are not probabilities in steps of 1/256, as a LOGISTIC gives them")
    lines = "\n".join(f"    {text.string(name)}," for name in classes)
    hops = round(tables.config.frames_per_second)
    return {
        "tagger.h": text.fill("tagger.h.in", {**values, "HOPS": hops}),
        "tagger.c": text.fill("tagger.c.in", {"CLASSES": lines}),
    }


def export(
    model: str | Path, folder: str | Path, frames: int = 100, fixed_point: bool = False, cmsis: bool = False
) -> Firmware:
    """Write the firmware of a .tflite to `folder`, with golden vectors of `frames` frames.

    Raises InputError for a file that cannot be turned into C.
    """
    model, folder = Path(model), Path(folder)
    graph = reader.read(model)
    digest = files.sha256(model)
    firmware = make(graph, digest, fixed_point, cmsis)
    for name, content in firmware.sources.items():
        files.write_text(folder / "src" / name, content)
    sizes = report.report(firmware.program, firmware.front_end, digest)
    files.write_json(folder / "sizes.json", sizes)
    files.write_text(folder / "SIZES.md", report.lines(sizes))
    tests = {name: _template(f"test/{name}") for name in TESTS}
    if firmware.front_end is None:
        tests["replay.c"] = _template("test/replay_network.c")
        tests["vectors.c"] = vectors.network_source(firmware.program, frames)
    elif firmware.header == "tagger.h":
        tests["replay.c"] = _template("test/replay_tagger.c")
        tests["vectors.c"] = vectors.tagger_source(firmware.program, firmware.front_end, frames, fixed_point)
    else:
        tests["vectors.c"] = vectors.source(firmware.program, firmware.front_end, frames, fixed_point)
    if "transform_portable.c" in firmware.sources:
        tests["transform.c"] = _template("test/transform.c")
    for name, content in tests.items():
        files.write_text(folder / "test" / name, content)
    for name, content in cmake.sources().items():
        files.write_text(folder / name, content)
    files.write_text(folder / "README.md", _template("README.md"))
    return firmware


def _template(name: str) -> str:
    return (text.TEMPLATES / name).read_text()
