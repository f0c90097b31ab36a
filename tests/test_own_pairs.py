"""Pairs of one's own recordings, and a recipe's mixtures to listen to: what the commands write, `evaluate` reads."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import array_store
import numpy as np
import own_recordings
import pytest
import soundfile
from typer.testing import CliRunner

from tinyse import audio, corpus
from tinyse.commands.data import app
from tinyse.corpus import data_paths
from tinyse.errors import InputError
from tinyse.evaluation.pairs import find_pairs
from tinyse.mixtures import Mixer, pairs, preview
from tinyse.mixtures.levels import active, frame_powers, mean_power
from tinyse.recordings import open_data

pytest.importorskip("scipy")

RECIPE = """
data: {folder}
seed: 3
mixture: {{snr_db: [0, 0], noise_only_probability: 0.0, clean_probability: 0.0}}
stages:
  first: {{model: student-30k, updates: 1, batch: 2, seconds: 0.5, losses: {{si_sdr: 1.0}}}}
  second: {{model: student-30k, updates: 1, batch: 2, seconds: 0.5, mixture: {{snr_db: [30, 30]}}, losses: {{si_sdr: 1.0}}}}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    return own_recordings.write(tmp_path / "recordings")


def called(*arguments: object):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_pairs_of_a_split_are_pairs_to_evaluate(own, tmp_path):
    for name in ("a", "b"):
        called("pairs", own, "--output", tmp_path / name, "--count", 4, "--seconds", 1, "--snr-db", "-5,10")
    found = find_pairs(tmp_path / "a")
    assert [pair.snr_db for pair in found] == [-5, 10, -5, 10]
    loaded = found[1].load()
    assert len(loaded.noisy) == audio.DEFAULT_RATE and loaded.noise.any()
    assert [pair.noisy.read_bytes() for pair in found] == [
        pair.noisy.read_bytes() for pair in find_pairs(tmp_path / "b")
    ]
    with open(tmp_path / "a/pairs.csv", newline="") as file:
        speakers = {row["speaker"] for row in csv.DictReader(file)}
    assert speakers <= {recording.speaker for recording in open_data(own).select("speech", "test")}


def test_pairs_have_their_snr_their_seed_and_the_noise_that_the_power_prefers(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        audio.write(tmp_path / f"own/speech/{split}/{split}er/a.wav", own_recordings.voice(1, 0, 1.0))
        for label, seconds in (("much", 2.0), ("little", 0.5)):
            hiss = np.float32(rng.normal(0, 0.05, round(seconds * 16000)))
            audio.write(tmp_path / f"own/noise/{split}/{label}/a.wav", hiss)
    written, done = [], []
    for number, (power, seed) in enumerate(((4.0, 0), (-4.0, 0), (4.0, 1))):
        table = pairs.write_pairs(
            open_data(tmp_path / "own"), tmp_path / f"{number}", 6, "test", 0.5, seed, (-3.0, 9.0),
            progress=lambda: done.append(1), noise_power=power,
        )  # fmt: skip
        written.append(list(csv.DictReader(table.read_text().splitlines())))
        for pair, snr_db in zip(find_pairs(tmp_path / f"{number}"), (-3, 9) * 3, strict=True):
            loaded = pair.load()
            frames = active(frame_powers(loaded.clean))
            clean, noise = (mean_power(frame_powers(x), frames) for x in (loaded.clean, loaded.noisy - loaded.clean))
            assert pair.snr_db == snr_db and 10 * math.log10(clean / noise) == pytest.approx(snr_db, abs=0.1)
            assert -35.1 < 10 * math.log10(clean) < -14.9
    assert len(done) == 18
    for rows, label in zip(written, ("much", "little", "much"), strict=True):
        assert {row["noise"].split("/")[2] for row in rows} == {label}
    assert len({(tmp_path / f"{number}/noisy/0003.wav").read_bytes() for number in (0, 2)}) == 2


def test_pairs_are_labeled_with_the_snr_that_they_have(own, tmp_path, monkeypatch):
    """Bursts of noise are held back, so the SNR may come out higher than wanted."""
    opened = pairs.open_mixer

    def open_mixer(*arguments, **options):
        mixer = opened(*arguments, **options)
        reached = (0.2, 7.3, -math.inf)
        return lambda epoch, index: replace(mixer(epoch, index), snr_db=reached[index])

    monkeypatch.setattr(pairs, "open_mixer", open_mixer)
    called("pairs", own, "--output", tmp_path / "set", "--count", 3, "--seconds", 1, "--snr-db", "0")
    assert [pair.snr_db for pair in find_pairs(tmp_path / "set")] == [0, 7, None]


def test_a_set_that_was_interrupted_is_no_set_of_pairs(own, tmp_path, monkeypatch):
    arguments = ["pairs", own, "--output", tmp_path / "set", "--count", 4, "--seconds", 1]
    called(*arguments, "--snr-db", "-5")
    written = audio.write

    def interrupted(path, *rest):
        if path.name == "0001.wav":
            raise KeyboardInterrupt
        written(path, *rest)

    monkeypatch.setattr(audio, "write", interrupted)
    called(*arguments, "--snr-db", "15")
    with pytest.raises(InputError, match=r"lists no pairs; if `tinyse data pairs` was interrupted there, run it again"):
        find_pairs(tmp_path / "set")


def test_of_an_earlier_preview_nothing_stays(own, tmp_path):
    arguments = ["preview", own, "--output", tmp_path / "set", "--seconds", 1, "--count"]
    called(*arguments, 3)
    (tmp_path / "set/07-notes.wav").touch()
    called(*arguments, 2, "--seed", 1)
    assert sorted(path.name for path in (tmp_path / "set").glob("*.wav")) == [
        *("00-clean.wav", "00-noisy.wav", "01-clean.wav", "01-noisy.wav"),
        "07-notes.wav",
    ]


def test_a_preview_is_written_at_the_rate_of_its_mixtures_with_what_they_are_made_of(tmp_path):
    pytest.importorskip("matplotlib")
    config = array_store.PLAIN.plain(clean_probability=0.5, noise_only_probability=0.5)
    mixer = Mixer(array_store.voices(rate=8000), array_store.rustle(rate=8000), None, config, 0.5, 0)
    paths = preview.write_preview(mixer, 3, tmp_path, epoch=2)
    listed = json.loads((tmp_path / "mixtures.json").read_text())
    for index, row in enumerate(listed):
        mixture = mixer(2, index)
        sound, rate = soundfile.read(paths[2 * index])
        assert rate == 8000 and np.abs(sound - mixture.noisy).max() < 1e-4
        assert row["speaker"] == mixture.description["speaker"]
        assert row["level_db"] == round(mixture.level_db, 2)
        assert row["snr_db"] == (round(mixture.snr_db, 2) if math.isfinite(mixture.snr_db) else None)
    assert None in [row["snr_db"] for row in listed]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "tests"], "train, valid, test"),
        (["--snr-db", "loud"], "expected numbers"),
        (["--snr-db", "nan"], "finite"),
        (["--seconds", "0"], "give 0.1 to 600 s"),
        (["--seconds", "1e9"], "give 0.1 to 600 s"),
    ],
)
def test_pairs_that_cannot_be_made_are_refused(own, tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        called("pairs", own, "--output", tmp_path / "out", *arguments)
    assert not (tmp_path / "out/pairs.csv").exists()


def test_pairs_of_an_empty_split_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    own = own_recordings.write(tmp_path / "recordings", talkers=2)
    with pytest.raises(InputError, match="no speech recordings in the split test"):
        called("pairs", own, "--output", tmp_path / "out")


def test_a_preview_of_a_recipe_is_what_its_stage_hears(own, tmp_path):
    pytest.importorskip("torch")
    from tinyse.tasks import TASKS
    from tinyse.training.recipe import load_recipe

    path = tmp_path / "own.yaml"
    path.write_text(RECIPE.format(folder=own))
    recipe = load_recipe(path)
    task = TASKS[recipe.task](recipe)
    for position, name in enumerate(recipe.stages):
        called("preview", path, "--output", tmp_path / name, "--count", 2, "--stage", name)
        task.open(recipe.stages[name])
        heard = task.examples(position, 2)
        for index, pair in enumerate(find_pairs(tmp_path / name)):
            assert np.abs(pair.load().noisy - heard[index][0]).max() < 1e-4
    quiet = find_pairs(tmp_path / "second")[0].load()
    assert quiet.snr_db > 20, "the stage's own mixture is played"
    with pytest.raises(InputError, match="did you mean 'second'"):
        called("preview", path, "--output", tmp_path / "x", "--stage", "secnd")
    with pytest.raises(InputError, match="belong to a recipe"):
        called("preview", own, "--output", tmp_path / "x", "--set", "seed=1")


def test_a_folder_of_ones_own_that_is_called_built_in_is_that_folder(own, tmp_path, monkeypatch):
    own.rename(tmp_path / "built-in")
    monkeypatch.chdir(tmp_path)
    count = len(open_data("built-in").recordings)
    monkeypatch.chdir(tmp_path / "built-in")
    for place, there in (("built-in", False), ("../built-in", True)):
        answer = json.loads(called("scan", place, "--json"))
        assert (sum(row["files"] for row in answer["summary"]) == count) is there
    assert data_paths("built-in") == (corpus.path(),)
    monkeypatch.chdir(tmp_path)
    assert sum(row["files"] for row in json.loads(called("scan", "./built-in", "--json"))["summary"]) == count
    assert data_paths("built-in") == (Path("built-in"),), "a recipe means what the command line means"
