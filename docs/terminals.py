"""Records what a terminal shows of `tinyse train` and `tinyse bench`, as SVG with colors.

    python docs/terminals.py            # minutes, for it trains; what is on the screen then depends on the computer
    python docs/terminals.py bench

The commands run in a pseudo-terminal, with the recipes and the files that a page has its reader save. pyte keeps what is on
the screen at the end, or after a while.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pyte
from rich.console import Console
from rich.text import Text

from tinyse.files import write_text

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"


class Recording(NamedTuple):
    """A command line, the size of the terminal, after how many seconds its screen is taken (0: at the end), the page whose
    files it needs, and a text of the last line that is shown of a long output."""

    command: str
    columns: int
    lines: int
    seconds: float = 0.0
    page: str = ""
    until: str = ""


RECORDINGS = {
    "train": Recording("tinyse train recipes/demo.yaml", 108, 24, 150.0),
    "distill": Recording("tinyse train short.yaml", 108, 200, page="tutorials/distill.md", until="± is the 95 %"),
    "bench": Recording("tinyse bench student-62k", 108, 24),
}
FONT = re.compile(r"@font-face \{.*?\}\n", re.DOTALL)
TITLED = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```', re.MULTILINE | re.DOTALL)
"""A file that a page has its reader save: name and content."""


def prepare(recording: Recording, folder: Path) -> None:
    """What its command needs: the recipes, and the files of its page."""
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    text = (ROOT / "docs" / recording.page).read_text(encoding="utf-8") if recording.page else ""
    for name, content in TITLED.findall(text):
        (folder / name).write_text(content, encoding="utf-8")


def record(recording: Recording, folder: Path) -> list[Text]:
    """Run it in a terminal; what the screen shows at its end, line by line."""
    screen = pyte.Screen(recording.columns, recording.lines)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", recording.lines, recording.columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    line = recording.command.replace("tinyse", f"{sys.executable} -m tinyse", 1)
    process = subprocess.Popen(line.split(), stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment)
    os.close(theirs)
    end = time.monotonic() + (recording.seconds or float("inf"))
    taken: list[Text] = []
    while True:
        if not taken and time.monotonic() >= end:
            taken = shown(screen)
            process.terminate()
        if not select.select([ours], [], [], 1.0)[0]:
            continue
        try:
            said = os.read(ours, 65536)
        except OSError:  # Linux says so when the last writer has left
            break
        if not said:
            break
        stream.feed(said)
    os.close(ours)
    if process.wait() and not taken:
        sys.exit(f"{recording.command} ended with {process.returncode}:\n" + "\n".join(screen.display))
    return taken or shown(screen)


def shown(screen: pyte.Screen) -> list[Text]:
    """The screen with its colors, without empty lines at the end."""
    lines = []
    for row in range(screen.lines):
        text = Text()
        characters = [screen.buffer[row][column] for column in range(screen.columns)]
        for look, part in groupby(characters, style):
            text.append("".join(character.data for character in part), look)
        text.rstrip()
        lines.append(text)
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def cut(lines: list[Text], until: str) -> list[Text]:
    """The lines up to the first that has the text in it; all for no text. Raises ValueError where none has it."""
    if not until:
        return lines
    last = next((number for number, line in enumerate(lines) if until in line.plain), None)
    if last is None:
        raise ValueError(f"{until!r} was not printed")
    return lines[: last + 1]


def placed(line: Text) -> Text:
    """A line with a reader's clone in the place of this one: no picture shows where it was made."""
    before, found, _ = line.plain.partition(str(ROOT))
    return line[: len(before)] + Text("~/tinyse") + line[len(before + found) :] if found else line


def style(character: pyte.screens.Char) -> str:
    """Rich's words for a character's look."""
    words = ["bold"] if character.bold else []
    color = character.fg.replace("brown", "yellow").replace("bright", "bright_")
    if re.fullmatch(r"[0-9a-f]{6}", color):
        words.append(f"#{color}")
    elif color != "default":
        words.append(color)
    return " ".join(words)


def as_svg(lines: list[Text], title: str, columns: int) -> str:
    """A picture of a terminal, in the fonts that the reader has: nothing is fetched."""
    console = Console(record=True, width=columns, file=StringIO())
    for line in lines:
        console.print(line, overflow="ignore", no_wrap=True, crop=False)
    return exported(console, title)


def exported(console: Console, title: str) -> str:
    """What a recording console was given, as SVG."""
    svg = FONT.sub("", console.export_svg(title=title, unique_id="terminal"))
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    """Record all, or those that are named."""
    for name in sys.argv[1:] or RECORDINGS:
        recording = RECORDINGS[name]
        with tempfile.TemporaryDirectory() as folder:
            prepare(recording, Path(folder))
            lines = [placed(line) for line in cut(record(recording, Path(folder)), recording.until)]
        write_text(IMAGES / f"{name}.svg", as_svg(lines, recording.command, recording.columns))


if __name__ == "__main__":
    main()
