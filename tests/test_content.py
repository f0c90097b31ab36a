"""The same sound under two names: refused where it is equal, told where it is a part or another encoding."""

from __future__ import annotations

from dataclasses import replace
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


def test_excerpts_are_told_of_each_split_that_is_not_trained_on(data):
    for split, seed in (("valid", 0), ("test", 10)):
        put(data / f"noise/{split}/other/{split}.wav", excerpt(melody(seed)))
    assert [line.split(" seem")[0] for line in check_splits(open_data(data)) if "excerpts" in line] == [
        "1 sounds in test", "1 sounds in valid"
    ]  # fmt: skip


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


def marked(name: str, marks: list[tuple[int, int]], place: str = "train", digest: str = "") -> Sound:
    return Sound(name, place, digest or name, np.array(marks, np.uint32).reshape(-1, 2))


def run(first: int, count: int, time: int = 0) -> list[tuple[int, int]]:
    """Marks that are in no other run of other numbers, three frames apart."""
    return [(first + number, time + 3 * number) for number in range(count)]


def found(trained: list[Sound], *others: Sound) -> list[tuple[str, str]]:
    return [(other.name, one.name) for other, one in content._alike(trained, others)]


@pytest.mark.parametrize(
    ("shared", "of", "of_trained", "told"),
    [(10, 50, 1000, True), (9, 50, 1000, False), (12, 110, 1000, True), (12, 130, 1000, False), (12, 1000, 110, True)],
)
def test_ten_marks_and_a_tenth_of_the_shorter_sound_make_two_sounds_alike(shared, of, of_trained, told):
    trained = marked("long", run(0, of_trained))
    other = marked("cut", run(5, shared, time=700) + run(10_000, of - shared), "test")
    assert bool(found([trained], other)) is told


def test_marks_count_where_they_are_as_far_apart_in_both_sounds_but_for_a_frame():
    trained = marked("long", run(0, 40))
    shaken = [(number, time + 700 + number % 2) for number, time in run(0, 14)]
    scrambled = [(number, 700 + 7 * (5 * number % 14)) for number, _ in run(0, 14)]
    assert found([trained], marked("cut", shaken, "test")) == [("cut", "long")]
    assert found([trained], marked("other", scrambled, "test")) == []


@pytest.mark.parametrize(("places", "told"), [(400, True), (600, False)])
def test_a_mark_that_is_everywhere_tells_nothing(places, told):
    hum = marked("hum", [(7, time) for time in range(places)])
    assert bool(found([hum], marked("other", [(7, time) for time in range(60)], "test"))) is told


@pytest.mark.parametrize("order", [1, -1])
def test_the_sound_that_has_most_marks_in_common_is_named(order):
    trained = [marked("few", run(0, 15)), marked("most", run(0, 30)), marked("some", run(0, 20))][::order]
    assert found(trained, marked("cut", run(0, 40, 9), "valid"), marked("cut again", run(0, 28, 9), "test")) == [
        ("cut", "most"), ("cut again", "most")
    ]  # fmt: skip


def test_three_sounds_of_a_place_are_named_and_what_is_equal_is_no_excerpt():
    trained = [marked(f"t{i}", run(1000 * i, 30)) for i in range(4)]
    cuts = [marked(f"cut{i}", run(1000 * i, 20, 50), "test") for i in range(4)]
    (four,) = content.remarks_on(trained, cuts)
    assert "4 sounds in test" in four and "cut2 of t2, ...;" in four and "cut3" not in four
    (three,) = content.remarks_on(trained, cuts[:3])
    assert "cut2 of t2;" in three
    places = content.remarks_on(trained, [*cuts[:1], marked("part", run(1000, 20), "valid")])
    assert [line.split(" seem")[0] for line in places] == ["1 sounds in test", "1 sounds in valid"]
    assert content.remarks_on(trained, [marked("same", run(0, 30), "test", digest="t0")]) == []


def test_the_first_sound_of_each_place_is_named_and_others_are_counted():
    sounds = [marked("a", [], "train", "x"), marked("b", [], "train", "x"), marked("c", [], "test", "x")]
    with pytest.raises(InputError, match="in train as a and in test as c: take"):
        content.refuse_same([*sounds, marked("d", [], "test", "y")])
    with pytest.raises(InputError, match=r"as c \(2 such sounds\): take"):
        content.refuse_same([*sounds, marked("d", [], "test", "y"), marked("e", [], "valid", "y")])


def test_silence_and_a_constant_offset_are_no_sound():
    for silent in (np.zeros(16000), np.full(16000, 0.2)):
        assert Sound.of("a", "the scored pairs", np.float32(silent)) is None
    assert Sound.of("a", "the scored pairs", np.float32(melody(0))) is not None


def test_what_may_not_be_trained_on_is_no_leak_and_is_scored_with_all(data):
    sound, rate = soundfile.read(data / "speech/train/s0/a.wav", dtype="int16")
    put(data / "speech/test/other/a.wav", np.zeros(100))
    soundfile.write(data / "speech/test/other/a.wav", sound, rate)
    manifest = open_data(data)
    for ship in (None, False):
        with pytest.raises(InputError, match="the same sound is in"):
            check_splits(manifest, ship)
    assert check_splits(manifest, True) == []
    shipped = replace(manifest, recordings=tuple(replace(r, ship=r.split == "train") for r in manifest.recordings))
    with pytest.raises(InputError, match="the same sound is in"):
        check_splits(shipped, True)


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
