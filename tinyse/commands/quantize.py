"""`tinyse quantize`: what quantization does to a trained model, in every precision and operator by operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tinyse.commands.options import FromRecipe, listed, networks_in
from tinyse.corpus import BUILT_IN, data_paths
from tinyse.errors import needs

app = typer.Typer(
    help="Study the quantization of a model: how much each precision loses, and where.", no_args_is_help=True
)

Model = Annotated[Path, typer.Argument(help="A trained .safetensors, or the name of a model that comes with tinyse.")]
Data = Annotated[str, typer.Option(help="Recordings whose valid split calibrates: a folder, a manifest, or built-in.")]
Clips = Annotated[int, typer.Option(min=1, help="Noisy clips of four seconds that calibration replays.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@app.command()
def study(
    checkpoint: Model,
    data: Data = BUILT_IN,
    pairs: Annotated[Path | None, typer.Option(help="Pairs to score on; by default the data's benchmark.")] = None,
    parent: Annotated[
        Path | None,
        typer.Option(
            help="For a CHECKPOINT from quantization-aware training: the float one it came from, to compare with."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for study.json, study.md, study.png and models; default: quantization/.")
    ] = None,
    precisions: Annotated[str, typer.Option(help="Of int8,int8-state16,int8-gru16,int16x8; all by default.")] = "",
    clips: Clips = 24,
    limit: Annotated[int | None, typer.Option(min=1, help="Score only the first N pairs.")] = None,
    minutes: Annotated[float, typer.Option(help="Length of the long stream.")] = 1.0,
    engine: Annotated[str, typer.Option(help="What runs the quantized model: tflm, reference or litert.")] = "tflm",
    processes: Annotated[int, typer.Option(min=1, help="Processes that compute the measures.")] = 2,
    vela: Annotated[bool, typer.Option("--vela", help="Ask Arm's compiler Vela for cycles on an NPU, too.")] = False,
    recipe: FromRecipe = None,
    as_json: Json = False,
) -> None:
    """Compare precisions of CHECKPOINT with its float stream: quality by input SNR, a long stream, silence, cost.

    Calibration takes the valid split of --data; clips that are also among the scored pairs are refused.
    """
    from rich.console import Console

    with needs("train"):
        from tinyse.clips import refuse_scored, valid_clips
    from tinyse.evaluation.pairs import find_pairs, require_own_pairs
    from tinyse.evaluation.report import as_markdown, print_tables
    from tinyse.export import float_step
    from tinyse.files import write_json, write_text
    from tinyse.quantization.precision import PRECISIONS
    from tinyse.recordings import open_data
    from tinyse.released import find_weights
    from tinyse.spectra.picture import require_matplotlib
    from tinyse.study import study as work
    from tinyse.study.picture import draw
    from tinyse.study.progress import shown
    from tinyse.study.tables import as_json as facts
    from tinyse.study.tables import tables

    require_matplotlib()
    weights = find_weights(checkpoint)
    scored = find_pairs(require_own_pairs(data_paths(data)) if pairs is None else pairs, limit)
    networks = networks_in(recipe)
    rate = float_step(weights, networks).front_end.config.sample_rate
    chosen = valid_clips(open_data(data_paths(data)), clips, rate)
    refuse_scored(chosen, scored, rate)
    # Beside a user's own checkpoint, in the working folder for a model that comes with tinyse.
    folder = output or checkpoint.parent / "quantization"
    with shown() as progress:
        result = work.study(
            weights,
            [(clip.name, clip.sound) for clip in chosen],
            scored,
            folder,
            listed(precisions) or PRECISIONS,
            minutes,
            engine,  # type: ignore[arg-type]
            processes,
            parent,
            vela,
            progress,
            networks,
        )
    write_json(folder / "study.json", facts(result))
    write_text(folder / "study.md", as_markdown(tables(result)))
    draw(result, folder / "study.png")
    if as_json:
        print(json.dumps(facts(result), indent=2, allow_nan=False))
        return
    console = Console()
    print_tables(tables(result), console)
    console.print(f"written to {folder}: study.md, study.json, study.png and the models", highlight=False)


@app.command()
def explain(
    checkpoint: Model,
    data: Data = BUILT_IN,
    precision: Annotated[str, typer.Option(help="int8, int8-state16, int8-gru16 or int16x8.")] = "int8",
    clips: Clips = 24,
    replayed: Annotated[int, typer.Option(min=1, help="Further clips, on which the errors are measured.")] = 4,
    only: Annotated[int | None, typer.Option(min=1, help="The N operators that add most, worst first.")] = None,
    recipe: FromRecipe = None,
    as_json: Json = False,
) -> None:
    """Show where the quantization error of CHECKPOINT comes from, by operator, in dB relative to each output's signal.

    propagated: error of the inputs; weights: rounded weights; quantization: the output's scale and range; rounding: the
    kernel's own arithmetic.
    """
    from dataclasses import asdict

    with needs("train"):
        from tinyse.clips import valid_clips
    from tinyse.export import calibration_of, float_step
    from tinyse.quantization import explain as work
    from tinyse.recordings import open_data
    from tinyse.released import find_weights

    step = float_step(find_weights(checkpoint), networks_in(recipe))
    rate = step.front_end.config.sample_rate
    chosen = [(clip.name, clip.sound) for clip in valid_clips(open_data(data_paths(data)), clips + replayed, rate)]
    quantized = step.quantized(precision, calibration_of(step.graph, step.front_end, chosen[:clips]))
    frames = [(name, {"features": step.front_end.clip_features(sound)}) for name, sound in chosen[clips:]]
    errors = work.explain(step.graph, quantized, frames)
    if as_json:
        print(json.dumps([asdict(error) for error in errors], indent=2))
    else:
        print(work.as_text(errors, only))
