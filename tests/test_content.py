"""The same sound under two names: refused where it is equal, told where it is a part or another encoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tinyse.clips import refuse_trained
from tinyse.errors import InputError
from tinyse.evaluation.pairs import find_pairs
from tinyse.recordings import content, open_data
from tinyse.recordings.content import Sound, check_splits


def melody(seed: int, seconds: float = 6.0) -> np.ndarray:
    """Tones of random pitch, a new one every 80 ms, over faint hiss: as varied as speech is."""
    rng = np.random.default_rng(seed)
    steps = round(seconds / 0.08)
    pitch = np.repeat(rng.uniform(150, 1200, steps), 1280)
    tone = sum(np.sin(2 * np.pi * np.cumsum(pitch * k) / 16000) / k for k in (1, 2, 3))
    return 0.1 * tone * np.repeat(rng.uniform(0.2, 1, steps), 1280) + 0.001 * rng.normal(size=len(pitch))


def put(path: Path, sound: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, 16000, **({"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}))


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    for number, split in enumerate(("train", "valid", "test")):
        put(tmp_path / f"data/speech/{split}/s{number}/a.wav", melody(number))
        put(tmp_path / f"data/noise/{split}/n{number}/a.wav", melody(10 + number))
    return tmp_path / "data"


def test_different_sound_is_neither_refused_nor_told(data):
    for split in ("train", "valid", "test"):
        put(data / f"speech/{split}/silent-{split}/a.wav", np.zeros(16000))  # silence is equal to silence
    assert check_splits(open_data(data)) == []


@pytest.mark.parametrize("name", ["speech/test/other/x.wav", "speech/valid/other/x.flac", "noise/test/other/x.wav"])
def test_one_sound_in_two_splits_is_refused_whatever_its_name_and_container(data, name):
    sound, rate = soundfile.read(data / "speech/train/s0/a.wav", dtype="int16")
    (data / name).parent.mkdir()
    soundfile.write(data / name, sound, rate)
    with pytest.raises(InputError, match=r"the same sound is in .*speech/train/s0/a\.wav") as error:
        check_splits(open_data(data))
    assert name in str(error.value)


def excerpt(sound: np.ndarray) -> np.ndarray:
    return 0.4 * sound[20011 : 20011 + 40000]


@pytest.mark.parametrize("change", [excerpt, lambda sound: 0.7 * sound], ids=["excerpt", "another level"])
@pytest.mark.parametrize("name", ["x.wav", "x.opus", "x.mp3"])
def test_excerpts_levels_and_encodings_are_told(data, change, name):
    put(data / "speech/test/other" / name, change(melody(0)))
    (told,) = check_splits(open_data(data))
    assert "1 sounds in test seem to be excerpts" in told
    assert f"speech/test/other/{name} of speech/train/s0/a.wav" in told


@pytest.mark.parametrize("at_once", [1, 300, 10**9])
def test_marks_are_compared_a_few_sounds_at_a_time(monkeypatch, at_once):
    """The memory is that of few sounds, and what is found is the same."""
    counted = []
    unique = np.unique

    def noted(keys: np.ndarray, **options: bool) -> object:
        counted.append(len(keys))
        return unique(keys, **options)

    monkeypatch.setattr(content, "HITS_AT_ONCE", at_once)
    monkeypatch.setattr(content.np, "unique", noted)
    rng = np.random.default_rng(0)
    marks = [np.stack([rng.integers(0, 200, 60), np.sort(rng.integers(0, 900, 60))], 1) for _ in range(12)]
    trained = [Sound(f"t{i}", "train", f"t{i}", each.astype(np.uint32)) for i, each in enumerate(marks)]
    asked = [np.add(marks[i % 12][10 * (i % 4) : 60 * (i % 5)], [0, 7 * i]) for i in range(20)]
    others = [Sound(f"o{i}", "test", f"o{i}", each.astype(np.uint32)) for i, each in enumerate(asked)]
    found = [(other.name, one.name) for other, one in content._alike(trained, others)]
    assert found == [(f"o{i}", f"t{i % 12}") for i in range(20) if i % 5]
    assert max(counted) < {1: 300, 300: 600}.get(at_once, 10**4) and (at_once > 300 or len(counted) > 4)


def test_pairs_that_were_trained_on_are_refused_or_told(data, tmp_path):
    clean, noise = melody(50), 0.3 * melody(51)
    put(tmp_path / "pairs/clean/0.wav", clean)
    put(tmp_path / "pairs/noisy/0.wav", clean + noise)
    pairs = find_pairs(tmp_path / "pairs")
    assert refuse_trained(open_data(data), pairs) == []
    put(data / "noise/train/more/x.opus", 2 * noise)
    (told,) = refuse_trained(open_data(data), pairs)
    assert "the noise of" in told and "noise/train/more/x.opus" in told
    (data / "speech/train/more").mkdir()
    stored, rate = soundfile.read(tmp_path / "pairs/clean/0.wav", dtype="int16")
    soundfile.write(data / "speech/train/more/x.flac", stored, rate)
    with pytest.raises(
        InputError, match=r"train as speech/train/more/x\.flac and in the scored pairs as .*clean/0\.wav"
    ):
        refuse_trained(open_data(data), pairs)
