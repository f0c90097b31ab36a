"""The command `tinyse`: its help, its commands, and how an error reaches the terminal."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer

import tinyse
from tinyse.errors import InputError

HELP = """
Speech enhancement that fits a microcontroller: train a causal streaming teacher, distil it into a tiny student,
turn that into an int8 .tflite with explicit state, and emit firmware C that computes the same bits.

[bold]From recordings to firmware[/bold]

\b
  tinyse doctor                            what is missing, how to get it
  tinyse data scan recordings/             files -> splits that do not leak
  tinyse check recipes/quick.yaml          can it ship? before hours of training
  tinyse train recipes/quick.yaml          teacher, student, int8 .tflite, scores
  tinyse evaluate model.safetensors pairs/ every link of the chain side by side
  tinyse export model.safetensors --firmware out/
  tinyse bench model.tflite --board STM32H743    does it fit, in time?
  tinyse denoise noisy.wav clean.wav       hear it
  tinyse tag street.wav --model tagger.tflite    what is heard in it?

`tinyse COMMAND --help` explains each.
"""

COMMANDS = {
    "From recordings to a model": ("data", "models", "check", "train"),
    "From a model to firmware": ("quantize", "export", "bench"),
    "Listen and measure": ("denoise", "tag", "live", "web", "evaluate"),
    "This machine": ("doctor",),
}
"""The commands of each panel of the help, each in the module of its name: `app` for a group, else a function."""

UsageError: Any = typer.BadParameter.__base__
"""What a mistyped command line raises: typer names only its children."""

app = typer.Typer(
    name="tinyse",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register() -> None:
    """Add every command to `app`. Their modules import what is heavy inside their functions, so this is quick."""
    for panel, names in COMMANDS.items():
        for name in names:
            module = import_module(f"tinyse.commands.{name}")
            if hasattr(module, "app"):
                app.add_typer(module.app, name=name, rich_help_panel=panel)
            else:
                app.command(name, rich_help_panel=panel)(getattr(module, name))


def print_version(asked: bool) -> None:
    """What `tinyse --version` does, whatever else is on the line."""
    if asked:
        typer.echo(f"tinyse {tinyse.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    # The docstring is HELP: the options that every command shares have nothing else to do.
    pass


def main() -> None:
    """Run the command line: 0 for success, 2 for what the user can mend, 130 after Ctrl-C; no traceback for either."""
    code: int | str | None
    try:
        # Typer's own way to end draws a box around a mistyped option; ours is one line, as for any other mistake.
        code = app(prog_name="tinyse", standalone_mode=False) or 0
    except UsageError as error:
        if error.format_message():  # else the help has been shown, to a command without arguments
            print(f"tinyse: {_usage(error)}", file=sys.stderr)
        code = 2
    except InputError as error:
        print(f"tinyse: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2
    except SystemExit as leaving:
        code = leaving.code
    except KeyboardInterrupt:
        code = 130
    if code == 130:
        print("tinyse: interrupted", file=sys.stderr)
    sys.exit(code if _flushed() else 1)


def _usage(error: Any) -> str:
    """What was wrong with the command line, and where it is explained."""
    said = " ".join(error.format_message().split()).removesuffix(".")
    return f"{said}; {error.ctx.command_path} --help explains" if error.ctx else said


def _flushed() -> bool:
    """Whether the reader of the standard output took all of it; if it left (`tinyse ... | head`), stay silent."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


register()
