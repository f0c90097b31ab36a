"""`tinyse train`: a recipe from recordings to an int8 stream that has been measured."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyse.errors import needs

if TYPE_CHECKING:
    from tinyse.training.stage import Progress


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML file such as recipes/two_step.yaml.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a key of the recipe: --set stages.teacher.updates=500."
        ),
    ] = None,
    train_only: Annotated[bool, typer.Option("--train-only", help="Stop before export and evaluation.")] = False,
) -> None:
    """Run the stages of RECIPE: train, distil, supervise, then make integers of the last model and measure the chain.

    Stop it with Ctrl-C or SIGTERM (or worse) and start it again with the same command: finished stages are not run again, an
    unfinished one goes on from its last checkpoint, to the same result. On several GPUs: torchrun --nproc-per-node N
    -m tinyse train RECIPE.
    """
    # Threads that spin while they wait take the core from the process that mixes; read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with needs("train"):
        from tinyse.training.recipe import load_recipe
        from tinyse.training.run import run
    chosen = load_recipe(recipe, settings or [])
    # What a scheduler sends before it takes the machine away: keep what is done, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Screen() as screen:
        model = run(chosen, screen.show, screen.say)
    if not train_only:
        from tinyse.training.finish import export_and_evaluate

        export_and_evaluate(chosen, model, print)


class Screen:
    """Progress on a terminal: a bar a stage, with rate and time left; in a file, a line now and then."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._tasks: dict[str, int] = {}
        self._valid: dict[str, float] = {}

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def say(self, line: str) -> None:
        """A line of its own."""
        self.console.print(line, highlight=False, soft_wrap=True)

    def show(self, progress: Progress) -> None:
        """Move the stage's bar."""
        facts = f"loss {progress.loss:.4f}  {progress.audio_per_second:.0f} s/s"
        if progress.valid:
            facts += "  valid " + ", ".join(f"{name} {value:.4f}" for name, value in progress.valid.items())
        if not self.console.is_terminal:
            if progress.valid is not self._valid:
                self._valid = progress.valid
                self.say(f"{progress.stage} {progress.update}/{progress.updates}  {facts}")
            return
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(progress.stage, total=progress.updates, facts="")
        self._bars.update(self._tasks[progress.stage], completed=progress.update, facts=facts)  # type: ignore[arg-type]
