"""`tinyse export`: integers, and C from them, by the command that a user types."""

from __future__ import annotations

import json
import shutil

import pytest

from tinyse.commands import main as command_line


@pytest.fixture
def run(monkeypatch, capsys):
    """`run(*arguments)` -> (exit code, standard output, standard error)."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["tinyse", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            command_line.main()
        out, err = capsys.readouterr()
        return leaving.value.code or 0, out, err

    return call


def test_weights_become_a_tflite_and_firmware_in_one_command(run, tiny, tmp_path):
    weights = tmp_path / "own.safetensors"
    shutil.copy(tiny.weights, weights)
    code, out, _ = run("export", weights, "--clips", 2, "--firmware", tmp_path / "firmware", "--json")
    assert code == 0
    assert json.loads(out)["precision"] == "int8"
    assert {path.name for path in tmp_path.glob("own*")} == {
        "own.safetensors", "own.tflite", "own-float.tflite", "own-report.json"}  # fmt: skip
    assert (tmp_path / "firmware/src/tinyse.h").is_file()


def test_a_tflite_becomes_firmware(run, tiny, tmp_path):
    code, out, _ = run("export", tiny.integers, "--firmware", tmp_path / "firmware", "--json")
    assert code == 0
    assert json.loads(out)["ram_in_all"] > 0
    assert (tmp_path / "firmware/CMakeLists.txt").is_file()


def test_a_tflite_alone_has_nothing_to_export(run, tiny):
    code, _, err = run("export", tiny.integers)
    assert code == 2
    assert "exported already" in err
    assert err.count("\n") == 1
