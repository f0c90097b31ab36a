"""Progress: bars on a terminal, gone when the work is done; lines in the log of long work, nothing in that of short work."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

WORK = """
from tinyse.progress import counted, track
with counted("pairs", 3) as advance:
    for item in range(3):
        advance()
print(sum(track(range(200), 200, "files")))
"""

COUNT = """
import time
from tinyse.progress import track
for item in track(iter("abc"), None, "reading sounds"):
    time.sleep(0.3)
"""


FILES = """
import time
from tinyse.progress import track
for item in track(range(200), 200, "decoding"):
    if item in (1, 101):
        time.sleep(0.3)
"""


def test_there_is_no_bar_in_a_log_or_a_pipe():
    run = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("19900\n", "")


def test_a_log_of_long_work_has_a_line_every_half_minute():
    """The first training on a large corpus used to say nothing for minutes, while it decoded."""
    slow = "import tinyse.progress\ntinyse.progress.EVERY_S = 0.25\n"
    lengths = (
        (slow + COUNT, "reading sounds: 1\nreading sounds: 2\nreading sounds: 3\n"),
        (slow + FILES, "decoding: 1 %\ndecoding: 51 %\n"),
    )
    for work, said in lengths:
        run = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, check=True)
        assert (run.stdout, run.stderr) == ("", said)


def test_a_terminal_shows_the_bar_and_keeps_nothing_of_it():
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    run = subprocess.run(
        [sys.executable, "-c", WORK], stdout=subprocess.PIPE, stderr=theirs, env=environment, check=True
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    assert run.stdout == b"19900\n"
    assert b"pairs" in shown and b"files" in shown
    assert shown.rstrip(b"\x1b[?25h\r").endswith((b"\x1b[2K", b"\x1b[1A")), shown[-80:]


def test_where_nobody_knows_the_total_a_terminal_shows_the_count():
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    subprocess.run([sys.executable, "-c", COUNT], stderr=theirs, env=environment, check=True)
    os.close(theirs)
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    assert b"reading sounds" in shown and b"2/?" in shown and b"%" not in shown
