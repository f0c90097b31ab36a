"""The built-in corpus is small, complete, free of leaks, and sounds."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tinyse.corpus import make_corpus, noises, sentences, voices

SPLITS = ("train", "valid", "test")
TABLES = [f"{kind}_{split}" for kind in ("speech", "noise") for split in SPLITS]


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def table(corpus: Path, name: str) -> list[dict[str, str]]:
    return rows(corpus / "manifests" / f"{name}.csv")


def test_is_small(corpus):
    assert sum(path.stat().st_size for path in corpus.rglob("*") if path.is_file()) < 4e6


def test_manifests_list_every_file(corpus):
    listed = {row["path"] for name in TABLES for row in table(corpus, name)}
    found = {
        path.relative_to(corpus).as_posix() for kind in ("speech", "noise") for path in corpus.glob(f"{kind}/**/*.opus")
    }
    assert listed == found


def test_there_is_enough_to_train_on(corpus):
    def minutes(name: str) -> float:
        return sum(float(row["seconds"]) for row in table(corpus, name)) / 60

    assert minutes("speech_train") > 12
    assert minutes("noise_train") > 5


@pytest.mark.parametrize("name", TABLES)
def test_sound_is_what_the_manifest_says(corpus, name):
    for row in table(corpus, name):
        samples, sample_rate = soundfile.read(corpus / row["path"])
        assert sample_rate == 16000, row["path"]
        assert samples.ndim == 1, row["path"]
        assert len(samples) / sample_rate == pytest.approx(float(row["seconds"]), abs=1e-3)
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() < 1
        assert -40 < make_corpus.level_db(samples) < -15, row["path"]
        assert row["ship"] == "yes"
        assert row["license"]


@pytest.mark.parametrize("split", SPLITS)
def test_speech_has_pauses_and_the_band_of_speech(corpus, split):
    for row in table(corpus, f"speech_{split}"):
        samples, sample_rate = soundfile.read(corpus / row["path"])
        assert 0.02 < np.mean(make_corpus.frame_power(samples) < 1e-7) < 0.6, row["path"]
        power = np.abs(np.fft.rfft(samples)) ** 2
        frequency = np.fft.rfftfreq(len(samples), 1 / sample_rate)
        assert power[(frequency > 80) & (frequency < 4000)].sum() > 0.8 * power.sum(), row["path"]


@pytest.mark.parametrize(("kind", "column"), [("speech", "speaker"), ("noise", "source")])
def test_no_speaker_or_source_is_in_two_splits(corpus, kind, column):
    groups = [{row[column] for row in table(corpus, f"{kind}_{split}")} for split in SPLITS]
    assert len(set.union(*groups)) == sum(map(len, groups))


def test_no_human_and_no_variant_is_in_two_splits():
    def owner(voice: voices.Voice) -> str:
        """Who speaks, whatever engine and language carry it: the variant with eSpeak, the human being elsewhere."""
        if voice.engine == "espeak-ng":
            return voice.name.partition("+")[2]
        return next(name for name in ("slt", "kal", "awb", "rms") if name in voice.name)

    groups = [{owner(voice) for voice in split} for split in (voices.TRAIN, voices.VALID, voices.TEST)]
    assert len(set.union(*groups)) == sum(map(len, groups))


def test_no_sentence_is_in_two_splits():
    groups = [
        {text for texts in split.values() for text in texts}
        for split in (sentences.TRAIN, sentences.VALID, sentences.TEST)
    ]
    assert len(set.union(*groups)) == sum(map(len, groups))


def test_pairs_are_of_the_test_split_and_at_their_snr(corpus):
    pairs = rows(corpus / "benchmark" / "pairs.csv")
    assert len(pairs) >= 6
    speech = {row["path"] for row in table(corpus, "speech_test")}
    noise = {row["path"] for row in table(corpus, "noise_test")}
    for row in pairs:
        assert row["speech_file"] in speech
        assert row["noise_file"] in noise
        clean, _ = soundfile.read(corpus / "benchmark" / row["clean"])
        noisy, _ = soundfile.read(corpus / "benchmark" / row["noisy"])
        assert len(clean) == len(noisy) == round(float(row["seconds"]) * 16000)
        snr_db = make_corpus.level_db(clean) - make_corpus.level_db(noisy - clean)
        assert snr_db == pytest.approx(float(row["snr_db"]), abs=0.1)


@pytest.mark.parametrize("noise", sorted(set(noises.TRAIN + noises.VALID + noises.TEST), key=lambda n: n.__name__))
def test_noise_is_a_function_of_its_seed(noise):
    first, second, other = (noise(2.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert len(first) == 32000
    assert np.isfinite(first).all()


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_a_voice_that_espeak_does_not_know_is_refused():
    # "en-gb" names no file of eSpeak's, so that the variants are dropped and both are its default voice.
    with pytest.raises(ValueError, match="sounds exactly as"):
        make_corpus.require_distinct([voices.Voice("espeak-ng", "en-gb+f2"), voices.Voice("espeak-ng", "en-gb+f3")])
