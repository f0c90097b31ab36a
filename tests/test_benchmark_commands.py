"""Benchmarks as commands: the way they end, in each of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import REPOSITORY

FOLDER = REPOSITORY / "benchmarks"
ENDS = {
    "return None": (0, ""),
    "return 1": (1, ""),
    "raise InputError('no file\\n  is there')": (2, "script.py: no file is there\n"),
    "raise KeyboardInterrupt": (130, "script.py: interrupted; the same command resumes\n"),
    "os.kill(os.getpid(), signal.SIGTERM)": (130, "script.py: interrupted; the same command resumes\n"),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_the_user_can_mend_is_one_line(tmp_path, end):
    script = tmp_path / "script.py"
    script.write_text(
        f"import os, signal, sys\nsys.path.insert(0, {str(FOLDER)!r})\nimport command\n"
        f"from tinyse.errors import InputError\ndef main():\n    {end}\ncommand.run(main, resumes=True)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == ENDS[end]


def test_all_benchmarks_end_so():
    begun = {path.name: path.read_text().partition('if __name__ == "__main__":')[2] for path in FOLDER.glob("*.py")}
    scripts = {name: end.strip() for name, end in begun.items() if end}
    assert len(scripts) > 15
    assert set(scripts.values()) == {"command.run(main)", "command.run(main, resumes=True)"}
