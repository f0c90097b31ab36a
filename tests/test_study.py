"""`tinyse quantize`: precisions against the float stream, on known cases and as commands; what is scored calibrates nothing."""

from __future__ import annotations

import csv
import json
import math
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import steps
from typer.testing import CliRunner

from tinyse import audio
from tinyse.clips import Clip, refuse_scored, valid_clips
from tinyse.commands.main import app
from tinyse.engines.tflite_engines import LiteRTEngine, ReferenceEngine, TFLMEngine
from tinyse.errors import InputError
from tinyse.evaluation.pairs import LoadedPair, find_pairs
from tinyse.graph.graph import Graph
from tinyse.recordings import open_data
from tinyse.spectra.front_end import FrontEnd
from tinyse.study.progress import shown
from tinyse.study.streams import ratio_db, recurrent_states, run_streams
from tinyse.study.stress import long_streams, sticking
from tinyse.study.study import enough
from tinyse.tflite.reader import read


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.float32(np.random.default_rng(seed).normal(0, 0.05, round(16000 * seconds)))


# What is scored calibrates nothing


def test_a_scored_clip_is_refused_by_name(corpus):
    pairs = find_pairs(corpus / "benchmark", 3)
    refuse_scored([Clip("noise", noise(1)), *valid_clips(open_data(corpus), 2)], pairs)
    with pytest.raises(InputError, match=r"'mine' is .*noisy"):
        refuse_scored([Clip("mine", pairs[1].load().noisy)], pairs)


def test_a_clip_made_of_a_scored_recording_is_refused(corpus, tmp_path):
    pairs = find_pairs(corpus / "benchmark", 3)
    copied = tmp_path / "renamed.wav"
    audio.write(copied, audio.read(pairs[2].clean)[0])
    with pytest.raises(InputError, match=r"'mixture' is made of .*renamed.wav, which is .*clean"):
        refuse_scored([Clip("mixture", noise(1), (copied,))], pairs)


def test_valid_clips_know_their_files(corpus):
    assert all(clip.files and clip.sound.dtype == np.float32 for clip in valid_clips(open_data(corpus), 3))


# Streams


def test_equal_engines_do_not_differ(tiny):
    engines = {
        "float": LiteRTEngine(tiny.floats),
        "same": LiteRTEngine(tiny.floats),
        "int8": TFLMEngine(tiny.quantized),
    }
    streams = run_streams(engines, FrontEnd(), noise(1.0))
    assert not streams["same"].state_error.any()
    assert streams["same"].state_snr_db() == 120
    assert 3 < streams["int8"].state_snr_db() < 80
    assert np.array_equal(streams["float"].output, streams["same"].output)


def test_a_stream_is_what_a_denoiser_makes(tiny):
    from tinyse.streaming.denoiser import Denoiser

    sound = noise(0.8)
    engines = {"float": LiteRTEngine(tiny.floats), "int8": ReferenceEngine(tiny.quantized)}
    output = run_streams(engines, FrontEnd(), sound)["int8"].output
    expected = Denoiser(tiny.quantized, engine="reference").denoise(sound)
    assert np.array_equal(output, expected[: len(output)])


def test_only_what_a_gru_keeps_is_recurrent(tiny):
    assert recurrent_states(read(tiny.quantized)) == recurrent_states(read(tiny.floats)) == ["shared_gru_2", "gru"]
    assert recurrent_states(steps.denoiser()) == ["groups", "shared"]
    assert recurrent_states(Graph("none")) == []


def test_a_stuck_state_is_heard_after_silence(tiny):
    class Stuck(ReferenceEngine):
        """Remembers the first frame for ever."""

        def step(self, features, state):
            mask, following = super().step(features, state)
            held = {**following, "gru": np.full_like(following["gru"], 90)}
            return mask, held

    engines = {
        "float": LiteRTEngine(tiny.floats),
        "int8": ReferenceEngine(tiny.quantized),
        "stuck": Stuck(tiny.quantized),
    }
    found = sticking(engines, FrontEnd(), noise(3.0))
    assert found["stuck"].after_silence < found["int8"].after_silence - 6
    assert found["stuck"].silence_state_snr < found["int8"].silence_state_snr - 6
    with pytest.raises(InputError, match="needs 3 s of speech"):
        sticking(engines, FrontEnd(), noise(1.0))


def test_a_long_stream_repeats_its_pairs(tiny):
    pair = LoadedPair("one", noise(0.5, 1), noise(0.5, 1) + noise(0.5, 2), 0.0)
    engines = {"float": LiteRTEngine(tiny.floats), "int8": ReferenceEngine(tiny.quantized)}
    streams = long_streams(engines, FrontEnd(), [pair], minutes=2 / 60, part=0.5)
    assert list(streams) == ["int8"]
    parts = streams["int8"].parts
    assert len(parts) == 4
    assert all(math.isfinite(part.si_sdr_loss_db) and 0 < part.output_snr_db < 80 for part in parts)
    # The sound of each part is the same but for a quarter of a hop: the first one is what the last one is anew.
    assert streams["int8"].last_anew.state_snr_db == pytest.approx(parts[0].state_snr_db, abs=0.5)
    assert streams["int8"].last_anew.si_sdr_loss_db == pytest.approx(parts[0].si_sdr_loss_db, abs=0.3)
    for minutes in (0.0, math.nan):
        with pytest.raises(InputError, match="--minutes"):
            long_streams(engines, FrontEnd(), [pair], minutes, 1.0)


def test_ratios_have_limits():
    assert ratio_db(1.0, 0.1) == pytest.approx(10)
    assert (ratio_db(1.0, 0.0), ratio_db(1e-30, 1e30)) == (120, -120)
    assert math.isnan(ratio_db(0.0, 1.0))


@pytest.mark.parametrize(("lines", "expected"), [(False, ""), (True, "one\ntwo\n")])
def test_a_log_gets_a_line_a_part_and_a_command_nothing(lines, expected, capsys):
    with shown(lines) as progress:
        for part, share in (("one", 0.0), ("one", 0.5), ("two", 0.0)):
            progress(part, share)
    out, err = capsys.readouterr()
    assert (out, err) == ("", expected)


def test_a_long_stream_takes_as_many_pairs_as_it_needs(corpus):
    pairs = find_pairs(corpus / "benchmark")
    seconds = len(pairs[0].load().noisy) / 16000
    assert len(enough(pairs, 0.001, 16000)) > 1  # silence and jumps need ten seconds
    assert len(enough(pairs, (seconds + 10) / 60, 16000)) > len(enough(pairs, 0.001, 16000))
    assert len(enough(pairs, 60, 16000)) == len(pairs)


# Commands


@pytest.fixture
def pairs(corpus, tmp_path):
    """Two pairs of the built-in corpus, the first of 3 seconds at least."""
    chosen = sorted(find_pairs(corpus / "benchmark"), key=lambda pair: -len(pair.load().clean))[:2]
    with open(tmp_path / "pairs.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "clean", "noisy", "snr_db"))
        for index, pair in enumerate(chosen):
            shutil.copy(pair.clean, tmp_path / f"c{index}{pair.clean.suffix}")
            shutil.copy(pair.noisy, tmp_path / f"n{index}{pair.noisy.suffix}")
            rows.writerow((index, f"c{index}{pair.clean.suffix}", f"n{index}{pair.noisy.suffix}", 5 * index))
    return tmp_path


def test_study_writes_tables_and_a_picture(tiny, pairs, tmp_path):
    for package in ("pesq", "pystoi", "matplotlib", "tflite_micro"):
        pytest.importorskip(package)
    folder = tmp_path / "out"
    command = ["quantize", "study", str(tiny.weights), "--pairs", str(pairs), "--output", str(folder), "--clips", "2"]
    command += ["--minutes", "0.05", "--processes", "1", "--precisions", "int8,int16x8", "--json"]
    answer = CliRunner().invoke(app, command)
    assert answer.exit_code == 0, answer.output
    said = json.loads(answer.stdout)
    assert said == json.loads((folder / "study.json").read_text())
    assert list(said["summary"]) == ["int8", "int16x8"]
    assert set(said["summary"]["int8"]["loss_by_snr"]) == {"0", "5"}
    assert said["study"]["sticking"]["int16x8"]["after_silence"] > said["study"]["sticking"]["int8"]["after_silence"]
    assert said["study"]["costs"]["int8"]["file_bytes"] == (folder / "tiny-int8.tflite").stat().st_size
    text = (folder / "study.md").read_text()
    assert "loss against the float stream" in text and "after 30 s of silence" in text and "last, anew" in text
    assert (folder / "study.png").stat().st_size > 5_000
    assert said["study"]["model"] == "tiny"


@pytest.mark.parametrize(
    ("named", "path", "title"),
    [("student-62k", "runs/a/integers/model.safetensors", "student-62k"), ("custom", "runs/a/pump/model.safetensors", "pump"),
     ("custom", "runs/a/pump.safetensors", "pump"), ("model", "pump/model.safetensors", "pump")],
)  # fmt: skip
def test_a_study_is_titled_by_the_model_not_by_its_file(named, path, title):
    from tinyse.study import study

    step = SimpleNamespace(graph=SimpleNamespace(metadata={"model": named}))
    assert study._title(step, path) == title


def test_the_picture_has_a_column_for_each_precision():
    """No legend and no color tells them apart; a row has one scale, and every axis its unit."""
    pytest.importorskip("matplotlib")
    from tinyse.evaluation.chain import Scores
    from tinyse.study.picture import figure_of
    from tinyse.study.stress import LongStream, Part
    from tinyse.study.study import FLOAT, Study

    names = ("int8", "int16x8")
    quality = {name: {"si_sdr": [9.0, 8.0, 7.0, 6.0 - lost], "pesq": [2.0] * 4}
               for name, lost in ((FLOAT, 0.0), ("int8", 0.5), ("int16x8", 0.1))}  # fmt: skip
    scores = Scores(["a", "b", "c", "d"], [0.0, 0.0, 5.0, 5.0], quality, {}, {}, {})
    part = Part(20.0, 15.0, 0.1)
    streams = {name: LongStream(60.0, [part, part], part) for name in names}
    figure = figure_of(Study("pump", None, "tflm", [], scores, streams, {}, dict.fromkeys(names)))
    assert figure.get_suptitle().startswith("pump: ")
    panels = np.array(figure.axes).reshape(4, 2)
    assert [axes.get_title() for axes in panels[0]] == list(names)
    assert [axes.get_ylabel() for axes in panels[:, 0]] == [
        "SI-SDR lost, dB",
        "PESQ-WB lost",
        "SI-SDR lost, dB",
        "SNR of states, dB",
    ]
    assert [axes.get_xlabel() for axes in panels[:, 1]] == ["", "input SNR, dB", "", "minutes of one stream"]
    assert all(axes.get_legend() is None for axes in figure.axes)
    assert all(left.get_ylim() == right.get_ylim() for left, right in panels)
    assert panels[0, 0].lines[0].get_ydata().tolist() == pytest.approx([0.0, 0.25])


def test_a_model_of_quantization_aware_training_stands_beside_its_parent(tiny, pairs, tmp_path):
    pytest.importorskip("pystoi")
    from tinyse.models.files import load_model, save_model
    from tinyse.quantization.quantize import activation_qparams
    from tinyse.quantization.trained import TrainedQparams
    from tinyse.study.study import study

    network, front_end, _ = load_model(tiny.weights)
    emitted, written = network.emit(), read(tiny.quantized)
    # The file calls a state's next value after the state.
    own_names = {written.outputs[key]: name for key, name in emitted.outputs.items()}
    found = {own_names.get(name, name): each for name, each in activation_qparams(written).items()}
    qparams = TrainedQparams("int8", found)
    save_model(tmp_path / "own.safetensors", network, front_end, {"quantization": qparams.as_json()})
    found = study(tmp_path / "own.safetensors", [("noise", noise(1))], find_pairs(pairs, 1), tmp_path / "out", ["int8"],
                  0.05, "litert", parent=tiny.weights)  # fmt: skip
    assert list(found.costs) == list(found.streams) == ["int8", "int8, trained"]
    # The same weights with the quantization parameters of the export that `tiny` has seen: the trained one is that export.
    exported, trained = (read(path) for path in (tiny.quantized, tmp_path / "out/own-int8-trained.tflite"))
    assert all(
        np.array_equal(t.data, trained.tensors[n].data) for n, t in exported.tensors.items() if t.data is not None
    )
    assert activation_qparams(trained) == activation_qparams(exported)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--precisions", "int4"), "unknown precision 'int4'"),
        (("--engine", "tflmm"), "did you mean 'tflm'"),
        (("--pairs", "nowhere"), "no folder nowhere"),
        (("--minutes", "-1"), "--minutes"),
        (("--parent", "other.safetensors"), "does not come from quantization-aware training"),
    ],
)
def test_study_refuses(options, message, tiny, pairs, tmp_path):
    command = ["quantize", "study", str(tiny.weights), "--pairs", str(pairs), "--output", str(tmp_path / "out")]
    answer = CliRunner().invoke(app, [*command, "--clips", "1", *options])
    assert isinstance(answer.exception, InputError)
    assert message in str(answer.exception)


def test_explain_names_operators(tiny):
    command = ["quantize", "explain", str(tiny.weights), "--clips", "1", "--replayed", "1"]
    answer = CliRunner().invoke(app, [*command, "--only", "3"])
    assert answer.exit_code == 0, answer.output
    assert len(answer.stdout.splitlines()) == 4 and "propagated" in answer.stdout
    errors = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert {"mask", "gru/step/0/state"} <= {error["output"] for error in errors}
