"""`tinyse export`: a trained model as an int8 .tflite with its state as inputs and outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[Path, typer.Argument(help="A trained .safetensors.")],
    data: Annotated[
        str, typer.Option(help="Recordings whose valid split calibrates the ranges: a folder, a manifest, or built-in.")
    ] = "built-in",
    output: Annotated[Path | None, typer.Option(help="Folder for the files; by default the model's own.")] = None,
    clips: Annotated[int, typer.Option(min=1, help="Noisy clips of four seconds that calibration replays.")] = 24,
    precision: Annotated[
        str | None, typer.Option(help="Arithmetic of the step; default: the one it was trained in, else int8.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Write MODEL as integers (.tflite), the same step in float, and a report of sizes, states, operators and clips."""
    from tinyse.errors import missing_extra

    try:
        from tinyse.clips import refuse_scored, valid_clips
        from tinyse.evaluation.pairs import find_pairs
        from tinyse.export import export_model
        from tinyse.recordings import open_data
        from tinyse.training.run import data_path
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tinyse"):
            raise
        raise missing_extra(error.name or "torch", "train") from error
    chosen = valid_clips(open_data(data_path(data)), clips)
    benchmark = data_path(data) / "benchmark"
    if benchmark.is_dir():
        refuse_scored(chosen, find_pairs(benchmark))
    exported = export_model(model, [(clip.name, clip.sound) for clip in chosen], output, precision)
    print(json.dumps(exported.report, indent=2) if as_json else exported.text)
