"""`tinyse train`: a recipe from recordings to an int8 stream that has been measured."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyse.corpus import BUILT_IN
from tinyse.errors import needs
from tinyse.progress import silent

if TYPE_CHECKING:
    from tinyse.recipe import Recipe
    from tinyse.training.finish import Finished


def _print_reference(asked: bool) -> None:
    """Tables on a terminal, the Markdown of docs/reference/recipes.md elsewhere."""
    if not asked:
        return
    from rich.console import Console

    with needs("train"):
        from tinyse.training import reference
    console = Console()
    if console.is_terminal:
        console.print(reference.TITLE, reference.INTRODUCTION, "", sep="\n", markup=False, highlight=False)
        for table in reference.rich_tables():
            console.print(table)
    else:
        typer.echo(reference.markdown(), nl=False)
    raise typer.Exit


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML file such as recipes/two_step.yaml.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a key of the recipe: --set stages.teacher.updates=500."
        ),
    ] = None,
    reference: Annotated[
        bool,
        typer.Option(
            "--reference", callback=_print_reference, is_eager=True, help="Print every key of a recipe and exit."
        ),
    ] = False,
    train_only: Annotated[bool, typer.Option("--train-only", help="Stop before export and evaluation.")] = False,
) -> None:
    """Run the stages of RECIPE: train, distill, supervise, then quantize the last model and measure the chain.

    Before the first update, everything that later steps need is checked, and a dry run makes one update of every stage.
    After Ctrl-C, SIGTERM, SIGHUP or a crash, the same command resumes: finished stages are skipped, and an unfinished one
    continues from its last checkpoint, with the same result. On several GPUs: torchrun --nproc-per-node N -m tinyse train
    RECIPE.
    """
    from tinyse.commands.screen import Screen
    from tinyse.recipe_files import read_recipe

    values = read_recipe(recipe, settings or [])  # before torch, which takes seconds to import
    # Threads that spin while they wait take the core from the process that mixes; read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with needs("train"):
        from tinyse.training import dry_run, finish
        from tinyse.training.lock import locked
        from tinyse.training.own_networks import check_networks
        from tinyse.training.recipe import recipe_from
        from tinyse.training.run import run
    chosen = recipe_from(values)
    check_networks(chosen)
    rank = int(os.environ.get("RANK", "0"))
    # The other processes of torchrun wait for the first.
    with locked(Path(chosen.output)) if rank == 0 else nullcontext():
        with Screen() as screen:
            say = screen.say if rank == 0 else silent
            # Nothing is said before it is sure that the run can go to its end: a mistake is one line.
            dry_run.refuse_full_disk(chosen)
            plan = None if train_only or rank else finish.plan(chosen)
            begun = time.monotonic()
            if unfinished := not dry_run.is_finished(chosen):
                with screen.working("dry run: one update of every stage, export, scores"):
                    dry_run.dry_run(chosen, plan, rank)
            say(f"data: {_data(chosen)}")
            for note in plan.notes if plan else ():
                say(f"note: {note}")
            if unfinished:
                works = "every stage works" if train_only else "every stage, export and scores work"
                say(f"dry run: {works} ({time.monotonic() - begun:.0f} s)")
            model = run(chosen, screen.show, screen.say)
        finished = finish.finish(chosen, plan, model, say) if plan is not None else None
    if finished is not None:
        _print(finished, chosen)


def _data(recipe: Recipe) -> str:
    if recipe.data == BUILT_IN:
        return "the built-in corpus, a small one of synthetic voices; --set data=FOLDER trains on recordings of yours"
    return ", ".join(map(str, recipe.data_paths))


def _print(finished: Finished, recipe: Recipe) -> None:
    """The scores as tables, where the model is, and what to do next."""
    from rich.console import Console

    from tinyse.evaluation.report import print_tables
    from tinyse.tasks import TASKS

    console = Console()
    print_tables(finished.scored.tables, console)
    if finished.scored.report is not None:
        console.print(f"all scores: {finished.scored.report}", highlight=False, markup=False, soft_wrap=True)
    path = finished.quantized
    following = [TASKS[recipe.task].usage.format(model=path), f"tinyse export {path} --firmware firmware/"]
    console.print("\n".join([f"model: {path}", "next:", *(f"  {line}" for line in following)]),
                  highlight=False, markup=False, soft_wrap=True)  # fmt: skip
