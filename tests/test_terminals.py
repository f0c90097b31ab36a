"""Pictures of terminals: what stands on the screen at the end, in its colors, with nothing to fetch."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.text import Text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "docs"))
pyte, terminals = pytest.importorskip("pyte"), pytest.importorskip("terminals")


def test_a_command_is_recorded_as_a_terminal_shows_it(tmp_path):
    """A line that was drawn over is shown once; colors and bold stay."""
    lines = terminals.record(terminals.Recording("tinyse doctor", 90, 200), tmp_path)
    assert any("python" in line.plain.lower() for line in lines) and len(lines) < 200
    assert any(str(span.style) == "green" for line in lines for span in line.spans)


def test_a_screen_is_taken_on_the_way(tmp_path):
    begin = time.monotonic()
    soundfile.write(tmp_path / "in.wav", np.zeros(16000 * 120), 16000)
    command = "tinyse live --input in.wav --output out.wav --realtime"
    lines = terminals.record(terminals.Recording(command, 90, 30, 8.0), tmp_path)
    assert any("noise reduction" in line.plain for line in lines)
    assert time.monotonic() - begin < 60


def test_what_was_drawn_over_is_gone():
    screen = pyte.Screen(20, 3)
    pyte.Stream(screen).feed("\x1b[31m10 %\x1b[0m\r\x1b[1;32m99 %\x1b[0m done\r\n\x1b[38;2;1;2;3mx\x1b[0m")
    first, second = terminals.shown(screen)
    assert first.plain == "99 % done" and second.plain == "x"
    assert {str(span.style) for span in first.spans} >= {"bold green"}
    assert {str(span.style) for span in second.spans} >= {"#010203"}
    svg = terminals.as_svg([first, second], "a command", 20)
    assert "99&#160;%" in svg and "a&#160;command" in svg


def test_a_long_output_is_shown_up_to_a_line():
    lines = [Text(line) for line in ("training", "70 pairs; ± is the interval", "more")]
    assert terminals.cut(lines, "± is") == lines[:2] and terminals.cut(lines, "") == lines
    with pytest.raises(ValueError, match="'never' was not printed"):
        terminals.cut(lines, "never")


def test_no_picture_shows_where_it_was_made():
    line = Text("pairs in ") + Text(f"{terminals.ROOT}/tinyse/corpus", "bold")
    assert terminals.placed(line).plain == "pairs in ~/tinyse/tinyse/corpus"
    assert terminals.placed(Text("pairs")).plain == "pairs"


def test_a_command_finds_the_files_of_its_page(tmp_path):
    terminals.prepare(terminals.RECORDINGS["distill"], tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"recipes", "distill.yaml", "short.yaml"} <= names
    assert (tmp_path / "short.yaml").read_text().startswith("extends: distill.yaml\n")


@pytest.mark.parametrize("name", [*terminals.RECORDINGS, "live"])
def test_pictures_of_terminals_fetch_nothing(name):
    svg = (terminals.IMAGES / f"{name}.svg").read_text(encoding="utf-8")
    assert "url(" not in svg.replace("url(#", "") and "@font-face" not in svg
    command = terminals.RECORDINGS[name].command if name in terminals.RECORDINGS else "tinyse live"
    assert command in svg.replace("&#160;", " ")
