"""The command `tinyse`: its help, its commands, and how an error reaches the terminal."""

from __future__ import annotations

import errno
import inspect
import io
import math
import os
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandInfo

import tinyse
from tinyse.commands.examples import EXAMPLES
from tinyse.errors import InputError
from tinyse.termination import on_termination

HELP = """
Speech enhancement that fits a microcontroller: train a causal streaming teacher, distill it into a tiny student,
turn that into an int8 .tflite with explicit state, and emit firmware C that computes the same bits.

[bold]From recordings to firmware[/bold]

  tinyse doctor                                what is missing
  tinyse init .                                recipes to edit
  tinyse data scan recordings/                 splits that do not leak
  tinyse check recipes/quick.yaml              can it ship?
  tinyse train recipes/quick.yaml              an int8 .tflite and its scores
  tinyse adapt --noise motor/                  it learns your noise
  tinyse evaluate model.safetensors pairs/     every backend side by side
  tinyse export model.tflite --firmware out/   the same bits in C
  tinyse bench model.tflite                    boards that it fits, in time
  tinyse denoise noisy.wav clean.wav           listen to it
  tinyse tag street.wav --model tagger.tflite  which sounds are in it?

`tinyse COMMAND --help` explains each, with an example. `tinyse --install-completion` makes the Tab key complete words.
FORCE_COLOR=1 keeps the colors in a pipe (`FORCE_COLOR=1 tinyse doctor | less -R`), NO_COLOR=1 leaves them out.
"""

COMMANDS = {
    "From recordings to a model": ("init", "data", "models", "check", "train", "adapt"),
    "From a model to firmware": ("quantize", "export", "bench"),
    "Listen and measure": ("denoise", "tag", "live", "web", "evaluate"),
    "This machine": ("doctor",),
}
"""The commands of each panel of the help, each in the module of its name: `app` for a group, else a function."""

UsageError: Any = typer.BadParameter.__base__
"""What a mistyped command line raises: typer names only its children."""


class InOrder(TyperGroup):
    """Lists commands and groups in the order of COMMANDS."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names."""
        return [name for names in COMMANDS.values() for name in names]


class Finite(TyperCommand):
    """A command that takes no number which is none: `nan` lies between any bounds, since it compares with nothing."""

    def invoke(self, ctx: Any) -> Any:
        """Raises InputError, by option."""
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{parameter.opts[0]} {value}: not a finite number")
        return super().invoke(ctx)


app = typer.Typer(
    name="tinyse",
    cls=InOrder,
    no_args_is_help=True,
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
    app.info.help = _paragraphs(HELP)
    for name, command in every_command():
        command.cls = Finite
        command.help = _paragraphs(inspect.getdoc(command.callback) or "")
        command.epilog = "[bold]For example[/bold]\n" + "\n".join(f"  {line}" for line in EXAMPLES[name])


def every_command() -> Iterator[tuple[str, CommandInfo]]:
    """All commands by their full name, such as `denoise` and `data scan`."""
    for command in app.registered_commands:
        yield str(command.name), command
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            yield f"{group.name} {command.name or getattr(command.callback, '__name__', '')}", command


def _paragraphs(text: str) -> str:
    """A text without the ends of its lines, which the terminal sets itself; an indented paragraph keeps them."""
    parts = text.strip("\n").split("\n\n")
    return "\n\n".join(part if part.startswith("  ") else " ".join(part.split()) for part in parts)


def print_version(asked: bool) -> None:
    """What `tinyse --version` does, whatever else is on the line."""
    if asked:
        typer.echo(f"tinyse {tinyse.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    # The docstring is HELP: the options that every command shares have nothing else to do.
    pass


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk, a quota or a limit of files answers that takes no more."""
REFUSED = (
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EROFS,
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
)
"""What a file system answers that does not let a place be looked at: any question about a path may end so, and the answer
is always about the user's path."""


def main() -> None:
    """Run the command line: 0 for success, 2 for what the user can fix, 130 after a signal to end; never a traceback."""
    code: int | str | None
    _open_standard_streams()
    # Sent before the machine is taken away, or when the terminal is closed: what is done is kept, as after Ctrl-C.
    on_termination(_terminated)
    try:
        # Typer's own way to end draws a box around a mistyped option; ours is one line, as for any other mistake.
        code = app(prog_name="tinyse", standalone_mode=False) or 0
    except UsageError as error:
        if error.format_message():  # else the help has been shown, to a command without arguments
            print(f"tinyse: {_usage(error)}", file=sys.stderr)
        code = 2
    except InputError as error:
        _complain(error)
        code = 2
    except SystemExit as leaving:
        code = leaving.code
    except KeyboardInterrupt:
        code = 130
    except OSError as error:
        _complain(_explained(error))
        code = 2
    if code == 130 and _is_first():
        print("tinyse: interrupted", file=sys.stderr)
    sys.exit(_flushed(code))


def _explained(error: OSError) -> InputError:
    """What the system refused, as the user's matter. Raises the error again where it is a mistake of ours."""
    if error.errno in FULL:
        return InputError(f"cannot write {error.filename or 'the output'}: {error.strerror}; make room and start again")
    if error.errno in REFUSED and error.filename is not None:
        return InputError(f"cannot use {error.filename}: {error.strerror}")
    if str(error.strerror).startswith("No usable temporary directory"):  # tempfile's own words, and no name of a file
        return InputError(f"{error.strerror}: set TMPDIR to a folder that can be written to and has room")
    raise error


def _open_standard_streams() -> None:
    """Put nothing where the caller has closed a standard stream (`>&-`, as some services do).

    Python has None there, and the next file that is opened would get the stream's number, and with it what is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    # A name that is not UTF-8, or a character that the terminal's encoding lacks, must not end a command that only prints it.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if (stream := sys.stderr) is sys.__stderr__ and stream is not None:  # else a caller in Python has put another there
        raw = getattr(stream.buffer, "raw", stream.buffer)  # a buffer would try again what is lost
        sys.stderr = _Lossy(raw, stream.encoding, "backslashreplace", write_through=True)


class _Lossy(io.TextIOWrapper):
    """Standard error: what it does not take is lost and ends nothing. Hours of training do not depend on a disk that is full
    of its log, on a `tee` that Ctrl-C ended first, or on a terminal that was closed."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)


def _is_first() -> bool:
    """Whether this is the process of torchrun that speaks, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def _complain(error: InputError) -> None:
    """One line for what is most often the same in every process of torchrun; it reports that of the others itself."""
    if _is_first():
        print(f"tinyse: {' '.join(str(error).split())}", file=sys.stderr)
    elif "TORCHELASTIC_ERROR_FILE" in os.environ:
        from torch.distributed.elastic.multiprocessing.errors import get_error_handler

        get_error_handler().record_exception(error)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    on_termination(signal.SIG_IGN)  # another one would interrupt what is written now
    raise KeyboardInterrupt


def _usage(error: Any) -> str:
    """What was wrong with the command line, and where it is explained."""
    said = " ".join(error.format_message().split()).removesuffix(".").replace("Value error, ", "")  # so pydantic begins
    return f"{said}; {error.ctx.command_path} --help explains" if error.ctx else said


def _flushed(code: int | str | None) -> int | str | None:
    """The exit status, once the standard output is out; 1, silently, if its reader left (`tinyse ... | head`)."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would be tried again at exit
        if isinstance(error, BrokenPipeError):
            return 1
        if code == 0:
            print(f"tinyse: cannot write the output: {error.strerror}", file=sys.stderr)
        return code or 2
    return code


register()
