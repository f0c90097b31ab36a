"""Noise by procedure: whatever is drawn can be mixed, is the same when it is drawn again, and never the same twice."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tinyse import audio
from tinyse.commands.data import app
from tinyse.errors import InputError
from tinyse.mixtures import MixtureConfig, open_mixer
from tinyse.mixtures.levels import active, frame_powers
from tinyse.mixtures.procedural import FAMILIES, SHARES, noise, numbered
from tinyse.recordings import Manifest, Recording, open_data

runner = CliRunner()


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(FAMILIES)),
    st.integers(0, 2**32),
    st.sampled_from([8000, 16000, 48000]),
    st.floats(0.02, 3),
)
def test_any_sound_at_any_rate_and_length_can_be_mixed(family, seed, rate, seconds):
    samples = round(seconds * rate)
    sound, name = noise(np.random.default_rng(seed), samples, rate, family)
    assert name == family and sound.shape == (samples,) and sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert np.mean(sound.astype(np.float64) ** 2) == pytest.approx(1, rel=1e-3)
    if seconds >= 0.1:
        assert active(frame_powers(sound, rate)).any()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_number_is_one_sound_and_no_other_number_is_like_it(family):
    sounds = [numbered(3, index, 1.0, family=family) for index in range(12)]
    np.testing.assert_array_equal(sounds[5], numbered(3, 5, 1.0, family=family))
    assert not np.array_equal(sounds[0], numbered(4, 0, 1.0, family=family))
    spectra = np.abs(np.fft.rfft(sounds)) ** 0.5
    spectra -= spectra.mean(1, keepdims=True)
    likeness = np.corrcoef(spectra)
    assert likeness[~np.eye(12, dtype=bool)].max() < 0.98


def crest_db(sound):
    return 20 * np.log10(np.abs(sound).max() / np.sqrt(np.mean(sound**2)))


def flatness_db(sound):
    power = np.abs(np.fft.rfft(sound.reshape(-1, 800) * np.hanning(800))) ** 2 + 1e-12
    return float(np.median(10 * np.log10(np.exp(np.log(power).mean(1)) / power.mean(1))))


def test_families_are_what_they_are_called():
    """Impacts are peaks, machines are steady, signals are tones; colored noise is neither."""

    def typical(measure, family):
        return np.median([measure(numbered(0, index, 4.0, family=family)) for index in range(30)])

    crests = {family: typical(crest_db, family) for family in FAMILIES}
    assert crests["impacts"] > crests["machines"] + 4 and crests["impacts"] > 18
    flat = {family: typical(flatness_db, family) for family in FAMILIES}
    assert flat["signals"] < flat["crowds"] - 3 and flat["signals"] < flat["machines"] - 3


def test_every_family_is_drawn():
    rng = np.random.default_rng(0)
    drawn = [noise(rng, 800)[1] for _ in range(120)]
    assert set(drawn) == set(FAMILIES) == set(SHARES) and sum(SHARES.values()) == pytest.approx(1)
    with pytest.raises(InputError, match="did you mean 'impacts'"):
        noise(rng, 800, family="impact")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    root, rng, recordings = tmp_path_factory.mktemp("sound"), np.random.default_rng(0), []
    for name, kind in (("a", "speech"), ("b", "speech"), ("c", "noise")):
        soundfile.write(root / f"{name}.wav", 0.1 * rng.standard_normal(32000), 16000, subtype="PCM_16")
        recordings.append(Recording(f"{name}.wav", 2.0, kind, "train", speaker=name, label=name))
    return Manifest(root, tuple(recordings))


def test_a_recipe_decides_how_much_of_it_is_heard(manifest, tmp_path):
    """Those mixtures that stay with recordings are the same ones as without."""

    def mixtures(share):
        config = MixtureConfig(procedural_probability=share, speed_probability=0)
        mixer = open_mixer(manifest, config, 1.0, 0, cache_directory=tmp_path)
        return [mixer(0, index) for index in range(60)]

    without, half = mixtures(0.0), mixtures(0.5)
    kinds = [mixture.description["noise_kind"] for mixture in half]
    assert 18 <= kinds.count("procedural") <= 42
    assert {
        name for m in half if m.description["noise_kind"] == "procedural" for name in m.description["noise"][:1]
    } <= set(FAMILIES)
    for before, after in zip(without, half, strict=True):
        assert np.isfinite(after.noisy).all()
        if after.description["noise_kind"] != "procedural":
            np.testing.assert_array_equal(before.noisy, after.noisy)
    assert not any(mixture.description["noise_kind"] == "procedural" for mixture in without)
    with pytest.raises(InputError, match=r"procedural_probability sum to 1\.08"):
        MixtureConfig(procedural_probability=0.87)


def test_sounds_are_written_to_listen_to_and_to_train_on(tmp_path):
    for folder, count in (("few", 2), ("more", 3)):
        arguments = ["synthesize", "--output", str(tmp_path / folder), "--count", str(count), "--seconds", "0.5"]
        result = runner.invoke(app, [*arguments, "--family", "calls", "--family", "signals"])
        assert result.exit_code == 0, result.output
    found = open_data([tmp_path / "more/manifest.csv"])
    assert len(found.recordings) == 6 and {row.label for row in found.recordings} == {"calls", "signals"}
    assert all(row.ship and row.kind == "noise" for row in found.recordings)
    for row in found.recordings:
        sound, _ = audio.read(tmp_path / "more" / row.path, 16000)
        assert len(sound) == 8000 and 0.001 < np.abs(sound).max() < 1
    same = "noise/calls/00001.wav"
    assert (tmp_path / "few" / same).read_bytes() == (tmp_path / "more" / same).read_bytes()
    refused = runner.invoke(app, ["synthesize", "--output", str(tmp_path / "x"), "--family", "bells"])
    assert isinstance(refused.exception, InputError) and "no family of sounds 'bells'" in str(refused.exception)
