"""`tinyse adapt`: a released model learns the noise of a product."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyse.corpus import BUILT_IN
from tinyse.errors import InputError, needs
from tinyse.released import DEFAULT

if TYPE_CHECKING:
    from tinyse.commands.screen import Screen
    from tinyse.recipe import Recipe
    from tinyse.training.adaptation import Base


def adapt(
    noise: Annotated[Path, typer.Option("--noise", help="Recordings of your noise alone: a folder or a manifest.")],
    speech: Annotated[Path | None, typer.Option(help="Clean speech of your talkers: a folder per speaker.")] = None,
    rooms: Annotated[Path | None, typer.Option(help="Impulse responses of your rooms or your case.")] = None,
    model: Annotated[str, typer.Option(help="Released name, or a .safetensors with its .tflite beside it.")] = DEFAULT,
    output: Annotated[Path, typer.Option(help="Folder for the model, its checkpoints and the report.")] = Path(
        "runs/adapt"
    ),
    updates: Annotated[int | None, typer.Option(help="Updates of the first stage, instead of the recipe's.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Wall time that all of it may take: the updates follow from it.")
    ] = None,
    rehearsal: Annotated[
        str, typer.Option(help="What must not be forgotten: recordings of speech and noise, with three splits.")
    ] = BUILT_IN,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of recipes/adapt.yaml, as tinyse train does."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Teach a released model the noise of your product, and measure what it gained and what it lost.

    The recordings of NOISE (3 or more) are divided: most train, some validate, some are held back. Training mixes them with
    other recordings (the rehearsal), and the released weights act as a teacher, so that the model forgets little. Then it is
    converted to int8, and before and after are scored on the held-back recordings, on general pairs and on clean speech:
    report.md in OUTPUT.

    After Ctrl-C, the same command resumes. The recipe is recipes/adapt.yaml, which `tinyse init` copies.
    """
    from rich.console import Console

    from tinyse.commands.screen import Screen

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in `tinyse train`
    with needs("train"):
        from tinyse.training import adaptation, dry_run
        from tinyse.training.lock import locked
    from tinyse.evaluation.report import print_tables
    from tinyse.evaluation.statistics import t_quantile

    t_quantile(1)  # what the report needs must not be missing after the training
    since = time.monotonic()
    if minutes is not None and updates is not None:
        raise InputError("--minutes and --updates: give one of them")
    base = adaptation.base_of(model)
    given = [f"stages.adapt.updates={updates}"] if updates is not None else []
    recipe = adaptation.recipe_of(base, rehearsal, output, [*given, *(settings or [])])
    own = adaptation.own_recordings(noise, speech, rooms, recipe.front_end.sample_rate)
    everything, notes = adaptation.all_recordings(recipe, own, rehearsal)
    dry_run.refuse_full_disk(recipe)
    with locked(output):
        own.write(output / adaptation.OWN)
        sets = adaptation.scored_sets(recipe, own, everything, rehearsal)
        with Screen() as screen:
            for note in notes:
                screen.say(f"note: {note}")
            quantized = _trained(recipe, minutes, since, screen)
        report = _scored(recipe, base, quantized, sets, output)
    if as_json:
        print(json.dumps(report, indent=2, allow_nan=False))
        return
    console = Console()
    print_tables([adaptation.table(report)], console)
    console.print(f"model: {quantized}\nreport: {(output / adaptation.REPORT).with_suffix('.md')}\nnext:\n"
                  f"  tinyse denoise noisy.wav clean.wav --model {quantized}\n"
                  f"  tinyse export {quantized} --firmware firmware/",
                  highlight=False, markup=False, soft_wrap=True)  # fmt: skip


def _trained(recipe: Recipe, minutes: float | None, since: float, screen: Screen) -> Path:
    """The .tflite of the recipe, trained and exported unless it is there already.

    With `minutes`, the updates are as many as fit into what is left of them after `since`, by time.monotonic().
    """
    from tinyse.export import export_model
    from tinyse.tasks import TASKS
    from tinyse.training import budget, dry_run, finish
    from tinyse.training.run import run

    if minutes is not None:
        with screen.working("timing some updates of every stage"):
            recipe = budget.fitted(recipe, minutes, since)
        planned = ", ".join(f"{stage.updates} of {name}" for name, stage in recipe.stages.items())
        screen.say(f"--minutes {minutes:g}: updates: {planned}")
    elif not dry_run.is_finished(recipe):
        with screen.working("dry run: one update of every stage"):
            dry_run.dry_run(recipe, None)
    trained = run(recipe, screen.show, screen.say)
    quantized = trained.with_suffix(".tflite")
    if not finish.is_exported(recipe, trained, quantized):
        clips = TASKS[recipe.task].calibration(recipe, recipe.export.clips)
        screen.say(export_model(trained, clips, precision=recipe.export.precision).summary)
    return quantized


def _scored(recipe: Recipe, base: Base, quantized: Path, sets: Mapping[str, Path], output: Path) -> dict[str, Any]:
    """The report in `output`: before against after on every set; written again where the model or a set is another."""
    from tinyse.documents import read_own_json
    from tinyse.evaluation.report import as_markdown
    from tinyse.files import newer, write_json, write_text
    from tinyse.progress import counted
    from tinyse.training import adaptation

    path = output / adaptation.REPORT
    hashes = adaptation.hashes(recipe, base, sets)
    if newer(path, quantized) and read_own_json(path, "base", "rows").get("hashes", hashes) == hashes:
        return read_own_json(path)
    with counted("scoring", sum(len(adaptation.pairs_in(recipe, folder)) for folder in sets.values())) as advance:
        report = {**adaptation.compare(recipe, base, quantized, sets, advance), "hashes": hashes}
    write_text(path.with_suffix(".md"), as_markdown([adaptation.table(report)]))
    write_json(path, report)
    return report
