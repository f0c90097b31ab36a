"""The models that tinyse ships: the files are what their cards say, and do what their cards say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from steps import loads_in_tflm
from typer.testing import CliRunner

from tinyse import released
from tinyse.commands.main import app
from tinyse.errors import InputError
from tinyse.evaluation.backends import backends_for
from tinyse.files import sha256
from tinyse.streaming.denoiser import Denoiser
from tinyse.tflite import reader

ROOT = Path(__file__).resolve().parent.parent
BARS = {
    "student-200k": {"gain": 8.75, "sdr": 14.0, "pesq": 2.15, "estoi": 0.79},
    "student-62k": {"gain": 8.25, "sdr": 13.5, "pesq": 2.08, "estoi": 0.777},
    "student-30k": {"gain": 7.4, "sdr": 12.7, "pesq": 1.96, "estoi": 0.75},
}
"""What a release must reach on the public pairs, in TFLM (dB, dB, PESQ-WB, ESTOI)."""


@pytest.fixture(params=released.names())
def folder(request) -> Path:
    return released.FOLDER / request.param


def card_of(folder: Path) -> dict:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def test_the_named_models_came_along():
    assert {"student-200k", "student-62k", "student-30k"} <= set(released.names())
    assert set(released.weights()) - set(released.names()) == {"teacher"}


@pytest.fixture(params=released.weights())
def any_folder(request) -> Path:
    """Of a model for devices, or of one that only teaches."""
    return released.FOLDER / request.param


def test_every_file_is_the_one_on_the_card(any_folder):
    folder, card = any_folder, card_of(any_folder)
    assert {name: sha256(folder / name) for name in card["sha256"]} == card["sha256"]
    assert set(card["sha256"]) | {"card.json", "card.md"} == {path.name for path in folder.iterdir()}
    prose = (folder / "card.md").read_text(encoding="utf-8")
    assert all(digest in prose for digest in card["sha256"].values())


def test_the_arena_of_the_report_is_the_least_that_loads(folder):
    pytest.importorskip("tflite_micro")
    stated = json.loads((folder / "report.json").read_text(encoding="utf-8"))["arena"]["bytes"]
    content = (folder / "model.tflite").read_bytes()
    assert loads_in_tflm(content, stated)
    assert not loads_in_tflm(content, stated - 16)


def test_the_quantized_file_is_that_of_the_weights(folder):
    metadata = reader.read(folder / "model.tflite").metadata
    assert metadata["weights_sha256"] == card_of(folder)["sha256"]["model.safetensors"]
    assert "clips" not in metadata


def test_the_weights_heard_only_what_may_ship(any_folder):
    folder, card = any_folder, card_of(any_folder)
    assert card["recipe"]["ship"] is True
    assert (ROOT / card["recipe_file"]).is_file()
    licenses = {corpus: named for part in card["data"].values() for corpus, named in part["corpora"].items()}
    restricted = {corpus for corpus, named in licenses.items() if any("NC" in license for license in named)}
    # ESC-50's own license is narrower than that of the clips chosen from it, and the card says so.
    assert licenses and restricted <= {"esc50_nc"}
    assert not restricted or "only clips were used" in (folder / "card.md").read_text(encoding="utf-8")
    data = card["recipe"]["data"]
    places = [card["recipe"]["output"], *([data] if isinstance(data, str) else data)]
    assert not any(Path(place).is_absolute() for place in places)


@pytest.mark.parametrize("engine", ["reference", "tflm", "c"])
def test_golden_vectors_come_out_bit_for_bit(folder, engine):
    with np.load(folder / "golden.npz", allow_pickle=False) as golden:
        denoised = Denoiser(folder / "model.tflite", engine=engine).denoise(golden["noisy"])
        np.testing.assert_array_equal(denoised, golden["denoised"])


def test_the_score_on_the_card_is_that_of_the_file(folder):
    pytest.importorskip("tinyse.evaluation.metrics")
    from tinyse.released.pack import built_in_gain_db

    assert built_in_gain_db(folder / "model.tflite") == pytest.approx(card_of(folder)["built_in_gain_db"], abs=0.002)


def test_the_scores_are_worth_shipping(folder):
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    noisy, shipped = (scores["summary"][backend] for backend in ("noisy", "int8 stream (TFLM)"))
    figures = {
        "gain": shipped["si_sdr"]["mean"] - noisy["si_sdr"]["mean"],
        **{name: shipped[name]["mean"] for name in ("sdr", "pesq", "estoi")},
    }
    assert {name: figures[name] for name, bar in BARS[folder.name].items() if figures[name] < bar} == {}


def test_the_teacher_is_no_worse_than_the_largest_student():
    teacher, student = (
        json.loads((released.FOLDER / name / "scores.json").read_text(encoding="utf-8"))["summary"]["float clip"]
        for name in ("teacher", "student-200k")
    )
    least = {"si_sdr": 0.05, "pesq": 0.01, "estoi": 0.001}
    assert all(teacher[name]["mean"] > student[name]["mean"] - margin for name, margin in least.items())


def test_a_name_means_weights_and_the_quantized_file(folder):
    """So `tinyse evaluate NAME` scores the whole chain; a file means that file."""
    pytest.importorskip("torch")
    pytest.importorskip("tflite_micro")
    assert list(backends_for(folder.name)) == [
        "float clip",
        "float stream",
        "int8 stream (LiteRT)",
        "int8 stream (TFLM)",
    ]
    assert list(backends_for(folder / "model.tflite")) == ["int8 stream (LiteRT)", "int8 stream (TFLM)"]


def test_a_name_can_be_exported_as_firmware(tmp_path):
    from tinyse.commands.export import export

    export(Path("student-30k"), firmware=tmp_path / "out")
    assert (tmp_path / "out" / "CMakeLists.txt").is_file()
    with pytest.raises(InputError, match="did you mean 'student-30k'"):
        export(Path("student-30"), firmware=tmp_path / "other")


def test_weights_are_found_by_name_in_every_command_that_takes_them(monkeypatch, tmp_path):
    weights = released.FOLDER / "student-62k" / "model.safetensors"
    assert released.find_weights("student-62k") == weights
    assert released.find_weights(Path("student-62k")) == weights
    own = tmp_path / "own.safetensors"
    own.touch()
    assert released.find_weights(own) == own
    with pytest.raises(InputError, match="did you mean 'student-62k'"):
        released.find_weights("student-62")
    asked = []

    def stop(path, networks):
        asked.append(path)
        raise InputError("enough")

    monkeypatch.setattr("tinyse.export.float_step", stop)
    CliRunner().invoke(app, ["quantize", "explain", "student-62k"])
    assert asked == [weights]


def test_the_benchmark_of_the_firmware_takes_a_name():
    command = [sys.executable, ROOT / "benchmarks" / "firmware.py", "student-62", "--frames", "1"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 2
    assert "did you mean 'student-62k'" in answer.stderr
