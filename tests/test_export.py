"""`tinyse export`: a quantized model, and C from it, by the command that a user types."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from tinyse import audio
from tinyse.clips import valid_clips
from tinyse.commands import main as command_line
from tinyse.export import float_step
from tinyse.recordings import open_data
from tinyse.targets import support
from tinyse.tflite.reader import read
from tinyse.tflite.writer import save


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
    code, out, err = run("export", weights, "--clips", 2, "--firmware", tmp_path / "firmware")
    assert code == 0
    assert f"wrote {weights.with_suffix('.tflite')}" in out and f"to {tmp_path / 'firmware'}: " in err
    assert "|" not in out + err, "Markdown is for files"
    assert {path.name for path in tmp_path.glob("own*")} == {
        "own.safetensors", "own.tflite", "own-float.tflite", "own-report.json"}  # fmt: skip
    assert (tmp_path / "firmware/src/own.h").is_file()


@pytest.mark.parametrize("name", [b"m\xff\n", b"\xff"])
def test_a_file_may_be_called_by_any_bytes(tiny, tmp_path, name):
    path = tmp_path / os.fsdecode(name + b".safetensors")
    shutil.copy(tiny.weights, path)
    save(float_step(path).graph, tmp_path / "step.tflite")
    graph = read(tmp_path / "step.tflite")
    assert (graph.name, graph.metadata["model"]) == (("m", "m") if b"m" in name else ("model", "model"))


def test_the_text_of_an_export_counts_its_clips(run, tiny, tmp_path):
    """Names and hashes of 24 clips used to push what matters off the screen; the report file has them."""
    code, out, _ = run("export", tiny.weights, "--clips", 2, "--output", tmp_path, "--json")
    assert code == 0
    assert json.loads(out)["precision"] == "int8" and str(tmp_path / "tiny.tflite") in json.loads(out)["files"]
    code, out, _ = run("export", tiny.weights, "--clips", 2, "--output", tmp_path)
    assert code == 0
    assert "calibrated on 2 clips" in out and "SHA-256" in out and len(out.splitlines()) < 30
    assert len(json.loads((tmp_path / "tiny-report.json").read_text())["calibration"]) == 2


def test_a_tflite_becomes_firmware(run, tiny, tmp_path):
    code, out, _ = run("export", tiny.quantized, "--firmware", tmp_path / "firmware", "--json")
    assert code == 0
    assert json.loads(out)["ram_in_all"] > 0
    assert (tmp_path / "firmware/CMakeLists.txt").is_file()


def test_a_tflite_alone_has_nothing_to_export(run, tiny):
    code, _, err = run("export", tiny.quantized)
    assert code == 2
    assert "exported already" in err
    assert err.count("\n") == 1


# What is refused, by name: NaN weights are in test_inputs.py, unequal state scales in test_tflite.py.


def test_an_operator_that_the_target_lacks_is_refused_by_name(run, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(support, "WITHOUT", {("TANH", "int8"): "a test"})
    for target in ("tflm", "cmsis-nn", "ethos-u"):
        code, _, err = run("export", tiny.weights, "--clips", 1, "--target", target, "--output", tmp_path / "out")
        assert code == 2
        assert f"{target} lacks TANH in int8 (" in err
        assert "the first gives 'shared_gru_2/" in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_target_is_refused(run, tiny, tmp_path):
    code, _, err = run("export", tiny.weights, "--clips", 1, "--target", "ethosu", "--output", tmp_path / "out")
    assert code == 2
    assert "did you mean 'ethos-u'" in err


def test_what_is_scored_calibrates_no_export(run, tiny, corpus, tmp_path):
    """Recordings whose benchmark has a speaker of the valid split under another name."""
    data = tmp_path / "data"
    data.mkdir()
    for part in ("manifests", "speech", "noise"):
        (data / part).symlink_to(corpus / part)
    speech = valid_clips(open_data(corpus), 1)[0].files[0]
    for part in ("clean", "noisy"):
        (data / "benchmark" / part).mkdir(parents=True)
        audio.write(data / "benchmark" / part / "renamed.wav", audio.read(speech)[0])
    code, _, err = run("export", tiny.weights, "--clips", 1, "--data", data, "--output", tmp_path / "out")
    assert code == 2
    assert "'valid mixture 0' is made of" in err and "renamed.wav of the list that is scored" in err
    assert not (tmp_path / "out").exists()
