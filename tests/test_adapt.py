"""`tinyse adapt`: a model learns the noise of a product, and both sides are scored on recordings that were held back."""

from __future__ import annotations

import json
import sys

import numpy as np
import own_recordings
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from tinyse import audio, corpus, shipped_recipes  # noqa: E402
from tinyse.commands.main import main  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.locks import Held, alone_in  # noqa: E402
from tinyse.mixtures import open_mixer  # noqa: E402
from tinyse.recordings import find_leaks, join, open_data  # noqa: E402
from tinyse.training import adaptation  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402

SHORT = [
    *("valid_clips=1", "evaluation.mixtures=2", "export.clips=1", "workers=0", "threads=1", "precision=32-true"),
    *("stages.integers.updates=1", "stages.integers.quantize.clips=1"),
    *(f"stages.{stage}.{key}" for stage in ("adapt", "integers") for key in ("batch=2", "seconds=1")),
]


def hum(path, seed, seconds=1.5, level=0.1):
    audio.write(path, np.float32(np.random.default_rng(seed).normal(0, level, round(16000 * seconds))))


@pytest.fixture
def motor(tmp_path):
    for seed in range(5):
        hum(tmp_path / f"motor/{seed}.wav", 100 + seed)
    return tmp_path / "motor"


def tinyse(monkeypatch, capsys, *words):
    """Exit status, output and errors of a command."""
    monkeypatch.setattr(sys, "argv", ["tinyse", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    return left.value.code, said.out, said.err


@pytest.mark.timeout(300)
def test_a_model_adapts_and_goes_on_where_it_was(motor, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    output, rehearsal = tmp_path / "out", own_recordings.write(tmp_path / "rehearsal")
    settings = [word for setting in SHORT for word in ("--set", setting)]
    places = ["--noise", motor, "--rehearsal", rehearsal, "--model", tiny.weights, "--output", output]
    command = ["adapt", *places, "--updates", 2, "--json", *settings]
    compare = adaptation.compare

    def compare_in_it(*arguments):
        with pytest.raises(Held), alone_in(output):
            pytest.fail("the folder was free")
        return compare(*arguments)

    monkeypatch.setattr(adaptation, "compare", compare_in_it)
    code, out, err = tinyse(monkeypatch, capsys, *command)
    assert code == 0, err
    report = json.loads(out)
    assert report == json.loads((output / "report.json").read_text())
    assert [row["measure"].split(":")[0] for row in report["rows"]] == [
        "your noise, held back",
        "general",
        "clean speech",
    ]
    assert all(np.isfinite(row["change_db"]) and row["interval_db"] > 0 for row in report["rows"])
    assert "your noise, held back" in (output / "report.md").read_text()
    own = open_data(output / "own.csv")
    test = {recording.path.rpartition("/")[2] for recording in own.select("noise", "test")}
    scored = (output / "pairs/own/pairs.csv").read_text().splitlines()[1:]
    assert test and all(row.rpartition("/")[2] in test for row in scored), "only what was held back is scored"

    model = output / "integers/model.tflite"
    first, learned = model.read_bytes(), (output / "adapt/model.safetensors").stat().st_mtime_ns
    for path in (output / "integers").rglob("*.*"):
        if path.is_file():
            path.unlink()
    assert tinyse(monkeypatch, capsys, *command)[0] == 0
    assert (output / "adapt/model.safetensors").stat().st_mtime_ns == learned, "what is finished is not done again"
    assert model.read_bytes() == first

    reported = (output / "report.json").stat().st_mtime_ns
    assert json.loads(tinyse(monkeypatch, capsys, *command)[1])["rows"][0]["files"] == 2
    assert (output / "report.json").stat().st_mtime_ns == reported
    fewer = json.loads(tinyse(monkeypatch, capsys, *command, "--set", "evaluation.mixtures=1")[1])
    assert [row["files"] for row in fewer["rows"]] == [1, 1, 2], "other pairs have a report of their own"


def test_noise_is_held_back_in_the_users_own_speech_where_there_is_some(motor, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    rehearsal, ours = own_recordings.write(tmp_path / "rehearsal"), own_recordings.write(tmp_path / "ours", first=50)
    base = adaptation.base_of(str(tiny.weights))
    for speech in (None, ours):
        output = tmp_path / f"out{speech is not None}"
        recipe = adaptation.recipe_of(base, str(rehearsal), output, SHORT)
        own = adaptation.own_recordings(motor, speech, None, 16000)
        everything, _ = adaptation.all_recordings(recipe, own, str(rehearsal))
        pairs = adaptation.scored_sets(recipe, own, everything, str(rehearsal))["your noise, held back"]
        rows = (pairs / "pairs.csv").read_text().splitlines()[1:]
        assert rows and all(("ours_talker" in row) == (speech is not None) for row in rows)


def empty(folder):
    folder.mkdir()


def silent(folder):
    for seed in range(4):
        hum(folder / f"{seed}.wav", seed, level=0)


def short(folder):
    for seed in range(4):
        hum(folder / f"{seed}.wav", seed, seconds=0.2)


def two(folder):
    for seed in range(2):
        hum(folder / f"{seed}.wav", seed)


def broken(folder):
    folder.mkdir()
    (folder / "a.wav").write_text("no sound")


def copied(folder):
    for seed in range(5):
        hum(folder / f"{seed}.wav", 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such file or folder"),
        (empty, "no sound files"),
        (silent, "no usable second"),
        (short, "no usable second"),
        (two, "2 recordings cannot be divided"),
        (broken, "can be read"),
        (copied, "the same sound is in"),
    ],
    ids=["missing", "empty", "silent", "short", "two", "broken", "copied"],
)
def test_noise_that_cannot_be_used_is_one_line(make, message, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    make(tmp_path / "motor")
    output, rehearsal = tmp_path / "out", own_recordings.write(tmp_path / "rehearsal")
    words = ["--noise", tmp_path / "motor", "--rehearsal", rehearsal, "--model", tiny.weights, "--output", output]
    code, out, err = tinyse(monkeypatch, capsys, "adapt", *words)
    assert code == 2 and not out
    (line,) = [line for line in err.splitlines() if line.startswith("tinyse: ")]
    assert message in line and "Traceback" not in err
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "student-62"], "did you mean 'student-62k'"),
        (["--model", "absent.safetensors"], "there is no model file"),
        (["--rehearsal", "absent"], "absent: no such file or folder"),
        (["--speech", "absent"], "absent: no such file or folder"),
        (["--updates", "0"], "updates is 0"),
        (["--updates", "5", "--minutes", "20"], "give one of them"),
        (["--set", "stages.adapt.rate=1"], "rate"),
    ],
    ids=["name", "file", "rehearsal", "speech", "updates", "minutes", "key"],
)
def test_other_mistakes_are_one_line(words, message, motor, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    code, _, err = tinyse(monkeypatch, capsys, "adapt", "--noise", motor, "--output", tmp_path / "out", *words)
    assert code == 2 and message in err and "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_no_recording_is_in_two_splits_and_own_splits_stay(motor, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    hum(motor / "silence.wav", 0, level=0)
    own = adaptation.own_recordings(motor, None, None, 16000)
    assert not find_leaks(own.recordings)
    assert {recording.split for recording in own.recordings} == {"train", "valid", "test"}
    assert "silence.wav" not in {recording.path for recording in own.recordings}
    assert len({recording.label for recording in own.recordings}) == len(own.recordings) == 5
    for split, count in (("train", 1), ("valid", 2), ("test", 3)):
        for take in range(count):
            hum(tmp_path / f"split/{split}/{take}.wav", 10 * count + take)
    own = adaptation.own_recordings(tmp_path / "split", None, None, 16000)
    assert all(recording.path.startswith(recording.split) for recording in own.recordings)


def test_a_recipe_is_taught_by_a_released_model():
    recipe = load_recipe(shipped_recipes.folder() / "adapt.yaml")
    assert recipe.stages["adapt"].distillation.ours == ("student-62k",)
    with pytest.raises(InputError, match="nor a released model nor a model file"):
        load_recipe(shipped_recipes.folder() / "adapt.yaml", ["stages.adapt.distillation.teacher=student-6k"])


def test_the_model_as_it_was_is_the_only_teacher():
    settings = adaptation.base_of("student-30k").settings
    for stage in ("adapt", "integers"):
        assert f'stages.{stage}.distillation.teacher="student-30k"' in settings


@pytest.mark.parametrize("takes", [3, 12])
def test_noise_of_ones_own_has_its_share_of_the_mixtures_however_few_takes_there_are(takes, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    for take in range(takes):
        hum(tmp_path / f"motor/{take}.wav", 100 + take)
    own = adaptation.own_recordings(tmp_path / "motor", None, None, 16000)
    recipe = load_recipe(shipped_recipes.folder() / "adapt.yaml")
    mixer = open_mixer(join([own, open_data(corpus.path())]), recipe.mixture, 1.0, 0)
    mixtures = [mixer(0, index).description for index in range(120)]
    recorded = [made["noise"][0] for made in mixtures if made["noise_kind"] == "recorded"]
    assert sum("motor" in name for name in recorded) / len(recorded) == pytest.approx(0.7, abs=0.12)


def test_a_rehearsal_that_is_called_as_the_users_recordings_is_refused(tmp_path):
    """Its share of the mixtures, and what is held back for the report, would be taken for the user's."""
    rehearsal = own_recordings.write(tmp_path / "own")
    with pytest.raises(InputError, match=r"--rehearsal .*: its corpus is called 'own', as your own recordings are"):
        adaptation.all_recordings(None, None, str(rehearsal))
