"""Two processes in one folder: the second is told so in one line, or waits, and what the first writes is whole."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest

from tinyse import locks
from tinyse.errors import InputError
from tinyse.locks import alone_in, in_turn, in_use, is_unused

HELD = "another process is writing to "


def test_the_second_in_a_folder_is_refused_and_the_next_is_not(tmp_path):
    with alone_in(tmp_path / "a/b"):
        with pytest.raises(InputError, match=f"{HELD}{tmp_path / 'a/b'}: wait"), alone_in(tmp_path / "a/b"):
            pytest.fail("two were in")
        (tmp_path / "a/b/file").touch()
    with alone_in(tmp_path / "a/b"):
        assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["file"]


def test_a_folder_that_nothing_was_written_to_goes_again(tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("there", "made"):
        with pytest.raises(InputError, match="nothing came"), alone_in(tmp_path / name):
            raise InputError("nothing came")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_place_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"cannot write {tmp_path / 'file'}"), alone_in(tmp_path / "file"):
        pytest.fail("it was let in")


def test_a_killed_process_holds_nothing(tmp_path):
    code = "import os, sys, pathlib; from tinyse.locks import alone_in\n"
    code += "with alone_in(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == -9
    with alone_in(tmp_path):
        pass


def test_a_drive_without_locks_refuses_nobody(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone_in(tmp_path), in_turn(tmp_path / "lock"):
        pass


def test_a_system_without_locks_refuses_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    with alone_in(tmp_path / "a"), alone_in(tmp_path / "a"), in_turn(tmp_path / "lock"), in_turn(tmp_path / "lock"):
        (tmp_path / "a/file").touch()
    with open(tmp_path / "a/file", "rb") as file:
        in_use(file)
        assert is_unused(file)


def test_a_file_is_in_use_until_the_last_lets_go(tmp_path):
    (tmp_path / "file").touch()
    with ExitStack() as users, open(tmp_path / "file", "rb") as asks:
        for _ in range(2):
            in_use(users.enter_context(open(tmp_path / "file", "rb")))
        assert not is_unused(asks)
        users.close()
        assert is_unused(asks)


def test_who_comes_second_waits_for_its_turn(tmp_path):
    order = []

    def second():
        with in_turn(tmp_path / "lock", lambda: order.append("waits")):
            order.append("second")

    with in_turn(tmp_path / "lock", lambda: pytest.fail("it waited for nobody")):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join()
    assert order == ["waits", "first", "second"]


@pytest.mark.parametrize(
    "line",
    [
        "data shard built-in OUT",
        "data pairs built-in --output OUT --count 1",
        "data synthesize --output OUT --count 1 --seconds 0.5",
        "export student-30k --firmware OUT",
    ],
)
def test_what_writes_a_folder_of_files_is_alone_in_it(line, tmp_path):
    pytest.importorskip("torch")
    out = tmp_path / "out"
    words = line.replace("OUT", str(out)).split()
    with alone_in(out):
        (out / "of-the-first").touch()
        command = [sys.executable, "-m", "tinyse", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "TINYSE_CACHE": str(tmp_path)}
        )
        assert (done.returncode, done.stderr) == (2, f"tinyse: {HELD}{out}: wait for its end, or give another folder\n")
        assert [path.name for path in out.iterdir()] == ["of-the-first"]
