"""A manifest.csv that a command writes by itself replaces only one that the same command wrote."""

from __future__ import annotations

import numpy as np
import pytest

from tinyse import audio
from tinyse.catalog import get, read_catalog
from tinyse.errors import InputError
from tinyse.mixtures.sounds import write_sounds
from tinyse.recordings import open_data
from tinyse.recordings.manifest import Manifest
from tinyse.synthesis.speech import SynthesisConfig, write_speech

WRITERS = {
    "data get": lambda folder: get(read_catalog(), ["packages"], folder, folder / "archives"),
    "data synthesize noise": lambda folder: write_sounds(folder, 1, ["signals"], 0.1),
    "data synthesize speech": lambda folder: write_speech(
        folder, None, SynthesisConfig(0, 1, False, 16000, ""), [], 1.0
    ),
}


@pytest.fixture
def scanned(tmp_path):
    """What `tinyse data scan recordings --output recordings/manifest.csv` leaves, to be edited by hand."""
    for number in range(3):
        audio.write(tmp_path / f"noise/motor/{number}.wav", np.full(1600, number / 8 + 0.1, np.float32))
    open_data(tmp_path).write(tmp_path / "manifest.csv")
    return tmp_path


@pytest.mark.parametrize("writer", WRITERS)
def test_a_manifest_of_ones_own_recordings_is_not_overwritten(scanned, writer):
    before = {path: path.read_bytes() for path in scanned.rglob("*") if path.is_file()}
    with pytest.raises(
        InputError, match=r"manifest\.csv would be overwritten, and lists noise/motor/0\.wav of the corpus"
    ):
        WRITERS[writer](scanned)
    assert {path: path.read_bytes() for path in scanned.rglob("*") if path.is_file()} == before


def test_one_of_files_that_are_gone_and_one_of_its_own_are(scanned):
    for path in scanned.rglob("*.wav"):
        path.unlink()
    for count in (1, 2):
        write_sounds(scanned, count, ["signals"], 0.1)
        assert len(Manifest.read(scanned / "manifest.csv").recordings) == count


def test_noise_of_earlier_calls_stays_listed_for_as_long_as_it_is_there(tmp_path):
    for count, family in ((2, "calls"), (1, "calls"), (1, "music")):
        write_sounds(tmp_path, count, [family], 0.1)
    (tmp_path / "noise/calls/00000.wav").unlink()
    manifest = write_sounds(tmp_path, 1, ["signals"], 0.1)
    assert [each.path for each in manifest.recordings] == [
        "noise/calls/00001.wav", "noise/music/00000.wav", "noise/signals/00000.wav"
    ]  # fmt: skip
    assert [each.path for each in open_data(tmp_path / "manifest.csv").recordings] == [
        each.path for each in manifest.recordings
    ]


def test_made_up_noise_is_as_loud_as_other_noise_and_each_sound_is_a_source(tmp_path):
    """A sound of -23 dB, or one whose peak is at full scale; another seed is another sound."""
    sources, heard = set(), set()
    for seed in (0, 1):
        for each in write_sounds(tmp_path / str(seed), 4, ["impacts", "machines"], 0.5, seed).recordings:
            sound, _ = audio.read(tmp_path / str(seed) / each.path)
            level, peak = 10 * np.log10(np.square(sound).mean()), np.abs(sound).max()
            assert peak < 0.9901 and (abs(level + 23) < 0.2 or (peak > 0.98 and level < -23))
            assert each.seconds == len(sound) / audio.DEFAULT_RATE == 0.5 and each.label == each.path.split("/")[1]
            sources.add(each.source), heard.add(sound.tobytes())
    assert len(sources) == len(heard) == 16
