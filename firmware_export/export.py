"""The whole folder: sources, tests, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firmware_export import cmake, front_end, license, names, network, packages, report, text, vectors
from firmware_export.folder import refuse_foreign, remove_earlier
from firmware_export.kinds import BARE, CLASSIFIER, DENOISER
from firmware_export.lowering import lower
from firmware_export.names import Names
from firmware_export.packages import PACKAGES, Product
from firmware_export.program import Program
from tinyse import files
from tinyse.errors import InputError
from tinyse.graph.graph import Graph, Quantization, Tensor
from tinyse.locks import alone_in
from tinyse.models.architecture import classes_of
from tinyse.presets import PRESETS
from tinyse.spectra.front_end import FrontEnd, front_end_in
from tinyse.tflite import reader

VERSION = (2, 0)
"""Major and minor, of the C interface."""
NO_LIMIT = "TINYSE_NO_LIMIT"

KERNELS = (
    "target.h", "kernels.h", "status.h", "aligned.h", "bytes.h", "requantize.h", "window.h", "window.c",
    "convolve_portable.c", "depthwise_portable.c", "add_portable.c", "multiply_portable.c", "gru.c",
    "look_up_portable.c", "copy_rows_portable.c", "copy_rows_mve.c", "dsp.h", "convolve_dsp.c", "add_dsp.c", "multiply_dsp.c",
    "mve.h", "convolve_mve.c", "add_mve.c", "multiply_mve.c", "look_up_mve.c",
    "lanes.h", "convolve_lanes.c", "add_lanes.c", "multiply_lanes.c",
    "convolve16.h", "convolve16_portable.c", "convolve16_dsp.c", "convolve16_mve.c", "depthwise16.c",
    "add16_portable.c", "add16_dsp.c", "add16_mve.c", "multiply16_portable.c", "multiply16_mve.c", "sigmoid16.c", "convert.c",
)  # fmt: skip
"""The same in every export; exports in one image share them."""
CMSIS_KERNELS = ("convolve_cmsis.c",)
SYMBOLS = "symbols.h"
"""Made from the kernels."""
HARNESS = ("main.c", "kernels.c", "definition.h", "port.h", "host.c", "cortex_m.c", "riscv.c", "bare_metal.ld")
FLOAT_FRONT_END = (
    "exact.h", "front_end_state.h", "front_end.c", "front_end_mve.h", "transform.h", "reorder.h",
    "transform_portable.c", "transform_mve.c", "transform_cmsis.c",
)  # fmt: skip
FIXED_FRONT_END = ("front_end_state.h", "front_end_fixed.c", "transform_fixed.h", "transform_fixed.c")
"""Where sound goes in: for cores with an FPU, and for those without."""
SIZES = "sizes.json"
"""The sizes, and which files are the export's."""
ALIGNMENT = {DENOISER: 4, CLASSIFIER: 8, BARE: 4}
"""Bytes: of int32 and float, and of the sums of 64 bits that a classifier keeps."""


@dataclass(frozen=True)
class Firmware:
    """`sources` are the text of every file of the product, by name; `front_end` is None for a bare network."""

    program: Program
    front_end: FrontEnd | None
    kind: str
    """DENOISER, CLASSIFIER or BARE."""
    names: Names
    sources: dict[str, str]
    digest: str
    version: str
    """Version of the kernels."""
    build: int
    """What its header and its library know each other by."""

    @property
    def header(self) -> str:
        """The file name of its interface."""
        return f"{self.names.prefix}.h"

    @property
    def kernel_files(self) -> list[str]:
        """The files that exports in one image share."""
        shared = {self.names.file(name) for name in (*KERNELS, SYMBOLS)}
        return sorted(shared & set(self.sources))

    @property
    def own_files(self) -> list[str]:
        """All others. A kernel that calls CMSIS-NN is among them: it needs that library's headers."""
        return sorted(set(self.sources) - set(self.kernel_files))


def make(
    graph: Graph, digest: str, fixed_point: bool = False, cmsis: bool = False, prefix: str = names.OWN
) -> Firmware:
    """The sources of a graph; `digest` names the model, `fixed_point` chooses the front end for cores without an FPU.

    With `cmsis`, convolutions and fully connected layers call a CMSIS-NN that the user links. Symbols, macros and files
    of the model begin with `prefix`.

    A denoiser, whose metadata has a front end, gets the whole signal path, a tagger the way from sound to decisions, any
    other quantized step its network alone. Raises InputError for what the kernels do not have.
    """
    program = lower(graph, cmsis)
    kernels = {name: _template(name) for name in (*KERNELS, *CMSIS_KERNELS)}
    version = names.version(kernels)
    kernels[SYMBOLS] = _symbols(kernels, version)
    called = names.Names.of(prefix, kernels)
    kind = _kind(graph)
    sources = network.sources(program, version)
    tables = None
    values: dict[str, Any] = {
        "MAJOR": VERSION[0],
        "MINOR": VERSION[1],
        "HASH": digest[:32],
        "ALIGNMENT": ALIGNMENT[kind],
        "STACK": report.STACK_BYTES,
    }
    if kind != BARE:
        tables = front_end_in(graph.metadata, graph.name)
        features, mask = _ends(graph, kind)
        sources |= front_end.sources(tables, features, mask, fixed_point)
        sources |= {name: _template(name) for name in (FIXED_FRONT_END if fixed_point else FLOAT_FRONT_END)}
        values |= {"SAMPLE_RATE": tables.config.sample_rate, "HOPS": round(tables.config.frames_per_second)}
    number = names.version({**kernels, **sources, "digest": digest})
    values["BUILD"] = number
    if kind == DENOISER:
        values |= {f"FOR_{name.upper()}": NO_LIMIT if limit is None else limit for name, limit in PRESETS.items()}
        sources |= {"denoiser.h": text.fill("denoiser.h.in", values), "denoiser.c": _template("denoiser.c")}
    elif kind == CLASSIFIER:
        sources |= _tagger(graph, values)
    else:
        sources |= {"bare.h": text.fill("bare.h.in", values), "bare.c": _template("bare.c")}
    used = {name: content for name, content in kernels.items() if program.cmsis or name not in CMSIS_KERNELS}
    return Firmware(
        program, tables, kind, called, called.sources({**used, **sources}), digest, version, int(number, 16)
    )


def _symbols(kernels: dict[str, str], version: str) -> str:
    """What the linker calls the kernels."""
    functions = names.functions(text for name, text in kernels.items() if name.endswith(".h"))
    lines = "\n".join(f"#define {name} {name}_{version}" for name in functions)
    return text.fill("symbols.h.in", {"VERSION": version, "NAMES": lines})


def _kind(graph: Graph) -> str:
    """What a file says of itself: one with a front end denoises, or tags where it names classes."""
    if "classes" in graph.metadata:
        return CLASSIFIER
    return DENOISER if "front_end" in graph.metadata else BARE


def _ends(graph: Graph, kind: str) -> tuple[Tensor, Tensor | None]:
    """The tensors of features and, for a denoiser, of the mask. Raises InputError for a step without them."""
    result, what = ("mask", "a denoiser's step has features and a mask") if kind == DENOISER else (
        "tags", "a tagger's step has features and tags")  # fmt: skip
    for group, name in ((graph.inputs, "features"), (graph.outputs, result)):
        if name not in group:
            raise InputError(f"{what}, this one has {', '.join(group)}")
    more = sorted(set(graph.inputs) - set(graph.states) - {"features"})
    if more:
        raise InputError(f"{what} and its states; nothing would write this one's input {', '.join(more)}")
    features, last = graph.tensors[graph.inputs["features"]], graph.tensors[graph.outputs[result]]
    for tensor in (features, last):
        if tensor.dtype != np.int8:
            raise InputError(
                f"{tensor.name!r} is {tensor.dtype}, what stands around the network works on int8: "
                "export with the precision int8, int8-state16 or int8-gru16"
            )
    return features, last if kind == DENOISER else None


def _tagger(graph: Graph, values: dict[str, Any]) -> dict[str, str]:
    """What stands around a tagger's network."""
    tags, classes = graph.tensors[graph.outputs["tags"]], classes_of(graph.metadata, graph.name)
    if len(classes) != int(np.prod(tags.shape)):
        raise InputError(f"{len(classes)} classes are named, the step gives {int(np.prod(tags.shape))} tags")
    if tags.qparams != Quantization(np.float32(1 / 256), -128):
        raise InputError("the tags are not probabilities in steps of 1/256, as a LOGISTIC gives them")
    lines = "\n".join(f"    {text.string(name)}," for name in classes)
    return {
        "tagger.h": text.fill("tagger.h.in", values),
        "tagger.c": text.fill("tagger.c.in", {"CLASSES": lines}),
    }


def export(
    model: str | Path,
    folder: str | Path,
    frames: int = 100,
    fixed_point: bool = False,
    cmsis: bool = False,
    prefix: str | None = None,
    packages_of: Sequence[str] = PACKAGES,
) -> Firmware:
    """Write the firmware of a .tflite to `folder`, with golden vectors of `frames` frames.

    Everything of the model is called by `prefix`; by default, by the name that the model has in its metadata, or by that
    of its file. `packages_of` are the build systems, of PACKAGES, that the folder is a package of. Raises InputError for a
    file that cannot be turned into C.
    """
    model, folder = Path(model), Path(folder)
    graph = reader.read(model)
    digest = files.sha256(model)
    if prefix is None:
        prefix = names.prefix_of(str(graph.metadata.get("model") or model.stem))
    firmware = make(graph, digest, fixed_point, cmsis, prefix)
    contents = {f"src/{name}": content for name, content in firmware.sources.items()}
    sizes = report.report(firmware.program, firmware.front_end, digest, firmware.sources)
    contents["SIZES.md"] = report.lines(sizes)
    contents |= {f"test/{name}": content for name, content in _tests(firmware, frames, fixed_point).items()}
    card = license.card_of(model, digest)
    weights = license.weights_license(card, prefix)
    version = f"{VERSION[0]}.{VERSION[1]}.0"
    spdx = license.SPDX if card else f"{license.SPDX} AND {weights}"
    product = Product(prefix, firmware.kind, version, digest, spdx, tuple(sorted(firmware.sources)))
    contents |= packages.sources(product, packages_of)
    idf = packages.branch(product, packages_of)
    contents |= cmake.sources(prefix, firmware.version, firmware.own_files, firmware.kernel_files, idf)
    contents["README.md"] = firmware.names.text(text.fill("README.md.in", {"PREFIX": prefix}), ())
    contents = {name: license.with_line(name, content, weights) for name, content in contents.items()}
    contents |= license.texts(model, digest, prefix, card)
    # Nothing is written before all of it is known.
    with alone_in(folder):
        refuse_foreign(folder, SIZES, contents)
        remove_earlier(folder, SIZES, prefix, contents)
        # First: it says whose the folder is.
        files.write_json(folder / SIZES, {**sizes, "prefix": prefix, "files": sorted(contents)})
        for name, content in contents.items():
            files.write_text(folder / name, content)
    return firmware


def _tests(firmware: Firmware, frames: int, fixed_point: bool) -> dict[str, str]:
    """{file name: text} of the replay of golden vectors, and of what runs it on a machine."""
    program, tables = firmware.program, firmware.front_end
    if tables is None:
        replay, golden = "replay_network.c", vectors.network_source(program, frames)
    elif firmware.kind == CLASSIFIER:
        replay, golden = "replay_tagger.c", vectors.tagger_source(program, tables, frames, fixed_point)
    else:
        replay, golden = "replay.c", vectors.source(program, tables, frames, fixed_point)
    own = {"replay.c": _template(f"test/{replay}"), "vectors.c": golden, "vectors.h": _template("test/vectors.h")}
    included = {*own, *names.INTERFACES, "front_end.h", "network.h", "transform.h", *firmware.names.kernels}
    tests = {firmware.names.file(name): firmware.names.text(content, included) for name, content in own.items()}
    harness = HARNESS if tables is None or fixed_point else (*HARNESS, "transform.c")
    return tests | {name: firmware.names.text(_template(f"test/{name}"), included) for name in harness}


def _template(name: str) -> str:
    return (text.TEMPLATES / name).read_text()
