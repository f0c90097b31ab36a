"""Where files are written: whole or not at all, links followed, devices and pipes left as what they are."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from tinyse.errors import InputError
from tinyse.files import replacing, write_bytes


def test_a_named_pipe_gets_the_bytes_and_stays_one(tmp_path):
    """As /dev/null and /dev/stdout do, which root would otherwise replace by a file for the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_bytes(pipe, b"sound")
    reader.join(10)
    assert got == [b"sound"] and stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_nothing_goes_to_a_pipe_that_was_not_finished(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError), replacing(tmp_path / "pipe") as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise InputError("the other half is missing")  # there is no reader: opening the pipe would wait forever


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "file")
    for content in (b"first", b"second"):
        write_bytes(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "elsewhere" / "file").read_bytes() == content
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_sound_goes_to_standard_output_by_its_path(tmp_path):
    """By a link as /dev/stdout is one, which a test should not risk."""
    soundfile.write(tmp_path / "in.wav", np.zeros(4000), 16000)
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    command = [sys.executable, "-m", "tinyse", "denoise", tmp_path / "in.wav", tmp_path / "stdout"]
    done = subprocess.run([*map(str, command)], capture_output=True, check=False)
    assert done.returncode == 0 and done.stdout[:4] == b"RIFF", done.stderr
    assert (tmp_path / "stdout").is_symlink()


def test_with_closed_standard_streams_nothing_is_printed_into_a_file(tmp_path):
    """As some services and `>&- 2>&-` do: the next file that is opened gets the number of the closed stream."""
    soundfile.write(tmp_path / "in.wav", np.zeros(4000), 16000)
    command = f"{sys.executable} -m tinyse denoise in.wav out.wav <&- >&- 2>&-; echo $? > code"
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    assert (tmp_path / "code").read_text() == "0\n"
    assert (tmp_path / "out.wav").stat().st_size == 44 + 2 * 4000


@pytest.mark.parametrize("name", [b"\xff.wav", ("x" * 251 + ".wav").encode(), "名 %s\n.wav".encode()])
def test_whatever_the_file_system_takes_is_a_name(tmp_path, name):
    soundfile.write(tmp_path / "in.wav", np.zeros(4000), 16000)
    command = [os.fsencode(sys.executable), b"-m", b"tinyse", b"denoise", b"in.wav", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"0.2 s of sound" in done.stdout
    assert (os.fsencode(tmp_path) + b"/" + name) in [os.fsencode(path) for path in tmp_path.iterdir()]
