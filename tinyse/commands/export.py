"""`tinyse export`: a trained model as an int8 .tflite with its state as inputs and outputs, and from there as C."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyse.commands.options import FromRecipe, networks_in
from tinyse.corpus import BUILT_IN
from tinyse.errors import InputError, needs
from tinyse.released import FOLDER, find

if TYPE_CHECKING:
    from tinyse.export import Exported
    from tinyse.models.making import Networks


def export(
    model: Annotated[
        Path, typer.Argument(help="A trained .safetensors; for --firmware and --ladspa also a .tflite or a name.")
    ],
    data: Annotated[
        str, typer.Option(help="Recordings whose valid split calibrates the ranges: a folder, a manifest, or built-in.")
    ] = BUILT_IN,
    output: Annotated[Path | None, typer.Option(help="Folder for the files; by default the model's own.")] = None,
    clips: Annotated[int, typer.Option(min=1, help="Noisy clips of four seconds that calibration replays.")] = 24,
    precision: Annotated[
        str | None, typer.Option(help="Arithmetic of the step; default: the one it was trained in, else int8.")
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            help="The runtime of the quantized model: tflm, cmsis-nn or ethos-u; an operator it lacks is refused."
        ),
    ] = "tflm",
    firmware: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write firmware C, bit-exact with the .tflite, to this folder.")
    ] = None,
    fixed_point: Annotated[
        bool, typer.Option("--fixed-point", help="With --firmware: a fixed-point front end, for cores without an FPU.")
    ] = False,
    cmsis: Annotated[
        bool, typer.Option("--cmsis", help="With --firmware: lay the weights out for a CMSIS-NN that you link.")
    ] = False,
    prefix: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --firmware: of files and symbols; default: the model's name."),
    ] = None,
    package: Annotated[
        str, typer.Option(help="With --firmware: esp-idf, zephyr, arduino, platformio, cmsis-pack, all or none.")
    ] = "all",
    ladspa: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compile the same C to this LADSPA plugin, such as denoiser.so.")
    ] = None,
    recipe: FromRecipe = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Quantize MODEL and write it (.tflite), the same step in float, and a report of sizes, states, operators and clips.

    With --firmware or --ladspa, go on from there to C; a MODEL that is a .tflite already is taken as it is.
    """
    model = find(model)
    if model.suffix == ".tflite":
        if firmware is None and ladspa is None:
            raise InputError(
                f"{model} is exported already: add --firmware DIR or --ladspa FILE, or give a .safetensors"
            )
        quantized = model
    else:
        if output is None and FOLDER in model.resolve().parents:
            raise InputError(f"{model.parent.name} is part of tinyse: say with --output FOLDER where its export goes")
        exported = _quantize(model, data, output, clips, precision, target, networks_in(recipe))
        quantized = exported.quantized
        if as_json:
            files = [str(path) for path in (quantized, exported.floats, exported.report_path)]
            print(json.dumps({**exported.report, "files": files}, indent=2))
        else:
            beside = f"{exported.floats.name} and {exported.report_path.name} beside it"
            print(f"{exported.text}\nwrote {quantized}, {beside}")
    if firmware is not None:
        _write_firmware(quantized, firmware, fixed_point, cmsis, prefix, package, as_json and quantized is model)
    if ladspa is not None:
        from firmware_export.plugins import export_ladspa

        print(f"{ladspa}: a LADSPA plugin, label {export_ladspa(quantized, ladspa)}", file=sys.stderr)


def _write_firmware(
    quantized: Path, folder: Path, fixed_point: bool, cmsis: bool, prefix: str | None, package: str, as_json: bool
) -> None:
    from firmware_export.export import export as export_firmware
    from firmware_export.packages import chosen
    from firmware_export.report import report

    made = export_firmware(
        quantized, folder, fixed_point=fixed_point, cmsis=cmsis, prefix=prefix, packages_of=chosen(package)
    )
    facts = report(made.program, made.front_end, made.digest, made.sources)
    if as_json:
        print(json.dumps({**facts, "folder": str(folder)}, indent=2))
        return
    constants = sum(facts["constants"].values())
    print(
        f"wrote the firmware of {quantized} to {folder}: {constants:,} bytes of constants in flash, {facts['ram_in_all']:,} "
        "bytes of RAM without the stack (SIZES.md); README.md there says how to build and try it",
        file=sys.stderr,
    )


def _quantize(
    model: Path,
    data: str,
    output: Path | None,
    clips: int,
    precision: str | None,
    target: str,
    networks: Networks,
) -> Exported:
    with needs("train"):
        from tinyse.export import export_model
        from tinyse.models.files import load_model
        from tinyse.tasks import task_named
    _, _, header = load_model(model, networks)
    named = task_named(header["task"]).calibration_for(header, data, clips)
    return export_model(model, named, output, precision, target, networks)
