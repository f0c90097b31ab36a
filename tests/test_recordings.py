"""From folders to manifests without leaks, and from manifests to one mapped store."""

from __future__ import annotations

import csv
import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tinyse import audio
from tinyse.commands.data import app
from tinyse.errors import InputError
from tinyse.recordings import (
    AudioStore,
    Manifest,
    Recording,
    brief,
    cache,
    check_leaks,
    draw_splits,
    find_leaks,
    join,
    open_data,
    scan,
)
from tinyse.recordings.manifest import SPLITS
from tinyse.recordings.parts import write_part
from tinyse.recordings.speakers import level_remarks, name_remarks, speaker_of
from tinyse.recordings.splits import FRACTIONS, _position, draw_undecided, with_splits


def put(path: Path, samples: int = 1600, seed: int = 0) -> Path:
    """A short sound of noise; flac or wav by its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, samples), 16000, subtype="PCM_16")
    return path


@pytest.fixture
def plain(tmp_path) -> Path:
    """Five speakers with two files each, four noises of two classes, one room."""
    for speaker in range(5):
        for take in range(2):
            put(tmp_path / f"set/speech/s{speaker}/{take}.wav", 1600 + 160 * speaker, seed=10 * speaker + take)
    for number in range(4):
        put(tmp_path / f"set/noise/{'rain' if number < 2 else 'fan'}/{number}.wav", seed=100 + number)
    put(tmp_path / "set/rir/hall/a.wav", seed=200)
    return tmp_path / "set"


# Layouts


def test_a_plain_folder_gives_speakers_classes_and_rooms(plain):
    manifest = open_data(plain)
    assert {r.speaker for r in manifest.select("speech")} == {f"set_s{i}" for i in range(5)}
    assert {r.label for r in manifest.select("noise")} == {"rain", "fan"}
    assert [(r.label, r.split) for r in manifest.select("rir")] == [("hall", "train")]
    assert {r.split for r in manifest.select("speech")} == {"train", "valid", "test"}
    assert manifest.select(ship=True) == ()
    assert manifest.select("speech")[0].seconds == pytest.approx(0.1)


def test_splits_that_a_plain_folder_names_are_kept(tmp_path):
    for split in ("train", "valid", "test"):
        put(tmp_path / f"speech/{split}/{split}er/a.wav")
    manifest = open_data(tmp_path)
    assert {(r.split, r.speaker.split("_")[-1]) for r in manifest.recordings} == {
        (split, f"{split}er") for split in ("train", "valid", "test")
    }


def test_kind_makes_any_folder_a_data_set(tmp_path):
    put(tmp_path / "a/b/c.flac")
    put(tmp_path / "d.wav")
    manifest = scan(tmp_path, kind="noise")
    assert {r.label for r in manifest.recordings} == {"b", "noise"}
    assert all(r.kind == "noise" for r in manifest.recordings)


def test_speech_without_folders_of_speakers_is_said_to_be_so(tmp_path):
    put(tmp_path / "speech/a.wav")
    assert any("no known speaker" in notice for notice in open_data(tmp_path).notices)


def test_librispeech(tmp_path):
    for subset, speaker in (("train-clean-100", 19), ("dev-clean", 84), ("test-clean", 61)):
        put(tmp_path / f"LibriSpeech/{subset}/{speaker}/121/{speaker}-121-0000.flac")
    manifest = open_data(tmp_path)
    assert {(r.speaker, r.split) for r in manifest.recordings} == {
        ("librispeech_19", "train"),
        ("librispeech_84", "valid"),
        ("librispeech_61", "test"),
    }
    assert all(r.ship and r.license == "CC BY 4.0" for r in manifest.recordings)


@pytest.mark.parametrize("inside", ["", "dev-clean"])
def test_librispeech_dev_clean_alone_is_split_by_speaker(tmp_path, inside):
    for speaker in range(20):
        for chapter in range(2):
            put(tmp_path / f"dev-clean/{speaker}/{chapter}/{speaker}-{chapter}-0000.flac")
    manifest = open_data(tmp_path / inside)
    assert {r.split for r in manifest.recordings} == {"train", "valid", "test"}
    assert not find_leaks(manifest.recordings)
    assert len({r.speaker for r in manifest.recordings}) == 20


def test_voicebank_takes_valid_speakers_out_of_train(tmp_path):
    for speaker in range(226, 246):
        put(tmp_path / f"clean_trainset_28spk_wav/p{speaker}_001.wav")
        put(tmp_path / f"noisy_trainset_28spk_wav/p{speaker}_001.wav")
    put(tmp_path / "clean_testset_wav/p257_001.wav")
    manifest = open_data(tmp_path)
    assert len(manifest.select("speech")) == 21 and len(manifest.select("noise")) == 20
    assert [r.speaker for r in manifest.select(split="test")] == ["vctk_p257"]
    assert 0 < len(manifest.select("speech", "valid")) < 10


def test_noise_is_what_noisy_speech_has_and_clean_speech_has_not(tmp_path):
    """Also when it went through a manifest in another folder, and joined with other recordings."""
    rng = np.random.default_rng(0)
    clean, noise = (np.float32(rng.normal(0, 0.1, 8000)) for _ in range(2))
    audio.write(tmp_path / "vb/clean_trainset_28spk_wav/p226_001.wav", clean)
    audio.write(tmp_path / "vb/noisy_trainset_28spk_wav/p226_001.wav", clean + noise)
    put(tmp_path / "own/noise/fan/1.wav")
    open_data(tmp_path / "vb").write(tmp_path / "lists/vb.csv")
    for source in (tmp_path / "vb", tmp_path / "lists/vb.csv", [tmp_path / "lists/vb.csv", tmp_path / "own"]):
        manifest = open_data(source)
        chosen = [recording for recording in manifest.select("noise") if recording.minus]
        store = AudioStore.build(manifest.root, chosen, tmp_path / "cache")
        assert np.abs(audio.from_pcm16(store.read(0)) - noise).max() < 1e-4, source
    audio.write(tmp_path / "vb/clean_trainset_28spk_wav/p226_001.wav", clean[:-1])
    manifest = open_data(tmp_path / "vb")
    with pytest.raises(InputError, match=r"8000 samples and .* 7999"):
        AudioStore.build(manifest.root, manifest.select("noise"), tmp_path / "cache")


@pytest.mark.parametrize("top", ["datasets_fullband", ""])
def test_dns_challenge(tmp_path, top):
    put(tmp_path / top / "clean_fullband/read_speech/book_00000_chp_0009_reader_06709_0_seg_1.wav")
    put(tmp_path / top / "clean_fullband/vctk_wav48_silence_trimmed/p225/p225_001.flac")
    put(tmp_path / top / "noise_fullband/abc.wav")
    put(tmp_path / top / "impulse_responses/SLR26/room/x.wav")
    manifest = open_data(tmp_path)
    assert {r.speaker for r in manifest.select("speech")} == {"dns_reader_06709", "dns_p225"}
    assert len(manifest.select("noise")) == len(manifest.select("rir")) == 1


def test_ms_snsd(tmp_path):
    for split in ("train", "test"):
        put(tmp_path / f"clean_{split}/clnsp1.wav")
        put(tmp_path / f"noise_{split}/AirConditioner_1.wav")
    manifest = open_data(tmp_path)
    assert {r.label for r in manifest.select("noise")} == {"AirConditioner"}
    assert len(manifest.select(split="test")) == 2


def test_esc50_keeps_its_folds_and_licenses(tmp_path):
    rows = [
        ("1-1-A-0.wav", 1, "dog", "True", 1),
        ("4-2-A-1.wav", 4, "hen", "False", 2),
        ("5-3-A-0.wav", 5, "dog", "True", 3),
    ]
    (tmp_path / "meta").mkdir()
    with open(tmp_path / "meta/esc50.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "fold", "category", "esc10", "src_file"])
        table.writerows(rows)
    for name, *_ in rows:
        put(tmp_path / "audio" / name)
    manifest = open_data(tmp_path)
    assert [(r.split, r.label, r.source, r.ship) for r in manifest.recordings] == [
        ("train", "dog", "freesound:1", True),
        ("valid", "hen", "freesound:2", False),
        ("test", "dog", "freesound:3", True),
    ]


def test_manifests_of_this_project(tmp_path):
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/speech_train.csv").write_text(
        "path,seconds,speaker,corpus,snr_est_db,license,ship\na.wav,0.1,x_1,x,30,CC0,yes\n"
    )
    (tmp_path / "manifests/noise_valid.csv").write_text(
        "path,seconds,class,corpus,source,active_frac,license,ship\nb.wav,0.1,rain,x,s1,1.0,CC BY-NC,no\n"
    )
    (tmp_path / "manifests/rir.csv").write_text(
        "path,seconds,room,kind,corpus,license,ship\nc.wav,0.1,hall,room,x,CC0,yes\n"
    )
    with pytest.raises(InputError, match=r"3 of its 3 files are missing, the first is .*b\.wav"):
        open_data(tmp_path)
    for name in "abc":
        put(tmp_path / f"{name}.wav")
    manifest = open_data(tmp_path)
    assert [(r.path, r.kind, r.split, r.label, r.ship) for r in manifest.recordings] == [
        ("a.wav", "speech", "train", "", True),
        ("b.wav", "noise", "valid", "rain", False),
        ("c.wav", "rir", "train", "hall", True),
    ]


LISTS = {
    "manifests/speech_train.csv": "path,seconds\n{},0.1\n",
    "meta/esc50.csv": "filename,fold,category,esc10,src_file\n{},1,dog,True,1\n",
}


@pytest.mark.parametrize("place", LISTS)
@pytest.mark.parametrize("name", ["", "/elsewhere/a.wav", "a\0.wav"])
def test_a_row_of_a_layout_that_names_no_file_of_the_folder_is_refused(tmp_path, place, name):
    (tmp_path / place).parent.mkdir()
    (tmp_path / place).write_text(LISTS[place].format(name))
    with pytest.raises(InputError, match=rf"{place}, line 2: the path .* is none in"):
        open_data(tmp_path)
    (tmp_path / place).write_text(LISTS[place].format(put(tmp_path / "audio/a.wav")))
    assert [each.path for each in open_data(tmp_path).recordings] == ["audio/a.wav"]


def test_the_corpus_has_the_hours_its_readme_says(data):
    manifest = open_data(data)
    assert sum(r.seconds for r in manifest.select("speech", "train")) / 3600 == pytest.approx(6.26, abs=0.01)
    assert len(manifest.select("noise", "valid")) == 135
    assert sum(r.seconds for r in manifest.select("speech", "train", ship=True)) / 60 == pytest.approx(267.6, abs=0.1)


# What cannot be used


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        open_data(tmp_path / "nowhere")
    with pytest.raises(InputError, match="--kind"):
        open_data(tmp_path)
    (tmp_path / "speech").mkdir()
    with pytest.raises(InputError, match="no sound files"):
        open_data(tmp_path)
    (tmp_path / "speech/x.wav").write_text("nonsense")
    with pytest.raises(InputError, match=r"none of its 1 sound files.*x\.wav"):
        open_data(tmp_path)
    with pytest.raises(InputError, match="known are"):
        scan(tmp_path, kind="music")


def test_broken_files_among_good_ones_are_left_out_and_named(plain):
    for number in range(8):
        (plain / f"speech/s0/broken{number}.wav").write_text("nonsense")
    manifest = open_data(plain)
    assert len(manifest.select("speech")) == 10
    assert sum("broken" in notice for notice in manifest.notices) == 8
    shown = brief(manifest.notices)
    assert sum("broken" in notice for notice in shown) == 5
    assert any("3 more files" in notice for notice in shown)
    result = runner.invoke(app, ["scan", str(plain), "--json"])
    assert sum("left out" in notice for notice in json.loads(result.stdout)["notices"]) == 8


def test_links_are_followed_and_what_cannot_be_looked_at_is_named(plain, tmp_path, monkeypatch):
    put(tmp_path / "elsewhere/anna/a.wav", seed=5)
    (plain / "speech/anna").symlink_to(tmp_path / "elsewhere/anna")
    (plain / "speech/loop").symlink_to(plain / "speech")
    (plain / "speech/gone").symlink_to(tmp_path / "nowhere")
    (plain / "speech/s0/gone.wav").symlink_to(tmp_path / "nowhere.wav")
    os.mkfifo(plain / "speech/s0/pipe.wav")
    put(plain / "speech/locked/a.wav")
    scandir = os.scandir

    def locked(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    manifest = open_data(plain)
    assert any(r.speaker == "set_anna" for r in manifest.recordings)
    left_out = [notice for notice in manifest.notices if notice.startswith("left out")]
    for name, reason in (
        ("speech/loop", "a link to a folder that it is in"),
        ("speech/gone", "a link to nothing"),
        ("speech/s0/gone.wav", "a link to nothing"),
        ("speech/s0/pipe.wav", "not a file"),
        ("speech/locked", "Permission denied"),
    ):
        assert any(f"{name}: {reason}" in line for line in left_out), name
    assert len(left_out) == 5


def test_a_name_that_is_not_utf8_is_left_out_and_named(plain):
    os.rename(plain / "speech/s0/0.wav", os.fsencode(plain / "speech/s0") + b"/caf\xe9.wav")
    manifest = open_data(plain)
    assert len(manifest.select("speech")) == 9
    assert any(r"caf\xe9.wav: the name is not UTF-8" in notice for notice in manifest.notices)
    json.dumps(manifest.notices).encode()


def test_manifests_whose_files_are_missing_are_refused(plain):
    open_data(plain).write(plain / "m.csv")
    (plain / "speech/s0/0.wav").unlink()
    with pytest.raises(InputError, match=r"m\.csv: 1 of its 15 files are missing, the first is .*s0/0\.wav"):
        open_data(plain / "m.csv")


def test_a_clip_of_one_sample_survives_the_manifest(plain):
    soundfile.write(plain / "noise/fan/tick.wav", np.zeros(1), 192000)
    open_data(plain).write(plain / "m.csv")
    assert any(r.path.endswith("tick.wav") for r in open_data(plain / "m.csv").recordings)


# Speakers


@pytest.fixture
def nested(tmp_path) -> Path:
    """Five speakers in sessions that all have the same names."""
    for speaker in range(5):
        for session in ("one", "two"):
            put(tmp_path / f"own/speech/s{speaker}/{session}/a.wav", seed=2 * speaker + (session == "two"))
    put(tmp_path / "own/noise/fan/a.wav", seed=99)
    return tmp_path / "own"


def test_the_first_folder_below_speech_is_the_speaker_however_deep_the_files_lie(nested):
    manifest = open_data(nested)
    assert {r.speaker for r in manifest.select("speech")} == {f"own_s{i}" for i in range(5)}
    assert {r.split for r in manifest.select("speech")} == {"train", "valid", "test"}
    assert any("the folders at level 1 below speech/ (s0, s1, s2, ... 5 in all)" in n for n in manifest.notices)
    assert any("repeat their names (one, two, as in s0 and s1)" in notice for notice in manifest.notices)


def test_the_speakers_level_is_set_and_kept_by_the_manifest(nested, tmp_path):
    arguments = ["scan", str(nested), "--speaker-level", "2", "--output", str(tmp_path / "m.csv"), "--json"]
    result = runner.invoke(app, arguments)
    notices = json.loads(result.stdout)["notices"]
    assert any("level 2 below speech/ (one, two)" in notice for notice in notices)
    assert any("the same speaker: one, two, as in s0 and s1" in notice for notice in notices)
    assert {r.speaker for r in open_data(tmp_path / "m.csv").select("speech")} == {"own_one", "own_two"}


def test_one_speaker_alone_is_told_and_trains(tmp_path):
    for session in ("one", "two", "three"):
        put(tmp_path / f"own/speech/anna/{session}/a.wav")
    manifest = open_data(tmp_path / "own")
    assert {r.split for r in manifest.recordings} == {"train"}
    (told,) = [notice for notice in manifest.notices if "one speaker only" in notice]
    assert "one, three, two" in told and "--speaker-level 2" in told


def test_speakers_of_one_name_in_two_data_sets_are_told(tmp_path):
    for folder, split, name in (("a", "train", "anna"), ("b", "test", "Anna"), ("a", "train", "7"), ("b", "test", "7")):
        put(tmp_path / f"{folder}/speech/{split}/{name}/x.wav")
    result = runner.invoke(app, ["scan", str(tmp_path / "a"), str(tmp_path / "b"), "--json"])
    told = [notice for notice in json.loads(result.stdout)["notices"] if "have one name" in notice]
    assert len(told) == 1 and "a_anna and b_Anna" in told[0]


def test_the_folder_at_a_level_is_the_speaker_or_the_deepest_that_there_is():
    assert [speaker_of(("a", "b", "c"), level) for level in (1, 2, 3, 4)] == ["a", "b", "c", "c"]
    assert speaker_of((), 1) == ""


def test_what_is_told_of_folders_is_true_of_them():
    def told(*places, level=1):
        return " ".join(level_remarks([tuple(place.split("/")) for place in places], level))

    assert level_remarks([(), ()]) == []
    assert "(a, b, c);" in told("a", "b", "c") and "(a, b, c, ... 4 in all);" in told("a", "b", "c", "d")
    assert "one speaker" in told("a") and "--speaker-level 2" not in told("a")
    assert "if the folders in it (x, y) are the speakers, use --speaker-level 2" in told("a/x", "a/y")
    assert "one speaker" not in told("a", "b")
    assert "repeat their names" not in told("a/x", "b/y") and "repeat their names" not in told("a/x", "a/x/x")
    assert "repeat their names (x, as in a and b)" in told("a/x", "b/x")
    assert "repeat their names" not in told("p/a/x", "q/a/x", level=2), "one speaker cannot be in several splits"
    assert "the same speaker: x, as in a and b" in told("a/x", "b/x", level=2)
    assert "the same speaker" not in told("a/x", "b/y", level=2)


def test_one_name_is_told_only_of_speech_in_two_splits():
    def told(kind, *speakers, corpus=""):
        return name_remarks([
            Recording(f"{i}.wav", 1.0, kind, split, speaker=speaker, corpus=corpus)
            for i, (speaker, split) in enumerate(speakers)
        ])  # fmt: skip

    assert len(told("speech", ("Anna", "train"), ("anna", "test"))) == 1
    assert len(told("speech", ("x_Anna", "train"), ("anna", "test"), corpus="x")) == 1
    assert not told("speech", ("Anna", "train"), ("anna", "train"))
    assert not told("speech", ("x_anna", "train"), ("anna", "test"))
    assert not told("noise", ("Anna", "train"), ("anna", "test"))


def test_the_level_is_refused_where_the_layout_says_who_speaks(tmp_path):
    put(tmp_path / "dev-clean/84/1/84-1-0000.flac")
    with pytest.raises(InputError, match=r"laid out as LibriSpeech.*leave --speaker-level out"):
        scan(tmp_path, speaker_level=2)
    with pytest.raises(InputError, match="level is 0"):
        scan(tmp_path, speaker_level=0)


@pytest.mark.parametrize(
    "where", ["Speech/{}/a.wav", "SPEECH/{}/a.wav", "mine/speech/{}/a.wav", "mine/Speech/{}/a.wav"]
)
def test_speech_is_found_in_capital_letters_and_one_folder_deeper(tmp_path, where):
    for name in ("anna", "berta", "clara"):
        put(tmp_path / "data" / where.format(name))
    put(tmp_path / "data" / Path(where).parts[0] / "x.txt.wav")
    manifest = open_data(tmp_path / "data")
    corpus = "mine" if "mine" in where else "data"
    assert {r.speaker for r in manifest.recordings} >= {f"{corpus}_{name}" for name in ("anna", "berta", "clara")}


def test_sound_outside_the_known_folders_is_told(plain):
    put(plain / "benchmark/clean/a.wav")
    assert any("not used: 1 sound files" in n and "benchmark/clean/a.wav" in n for n in open_data(plain).notices)


# Splits


@given(st.sets(st.text(min_size=1), min_size=3, max_size=60))
def test_every_split_gets_somebody_and_the_order_does_not_matter(names):
    drawn = draw_splits(names)
    assert set(drawn.values()) == {"train", "valid", "test"}
    assert drawn == draw_splits(sorted(names, reverse=True))


def test_who_is_drawn_once_stays_when_others_come():
    few = draw_splits(f"speaker{i}" for i in range(100))
    many = draw_splits(f"speaker{i}" for i in range(200))
    assert all(many[name] == split for name, split in few.items())
    assert sum(split == "train" for split in many.values()) / 200 == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("scale", [1, 10])
def test_fractions_are_shares_of_their_sum_and_a_split_without_one_gets_nobody(scale):
    names = [f"speaker{i}" for i in range(2000)]
    drawn = list(draw_splits(names, {"train": 0.5 * scale, "valid": 0.2 * scale, "test": 0.3 * scale}).values())
    assert [drawn.count(split) / 2000 for split in SPLITS] == pytest.approx([0.5, 0.2, 0.3], abs=0.04)
    assert set(draw_splits(names[:9], {"train": 0.5, "valid": 0.5}).values()) == {"train", "valid"}
    assert set(draw_splits(names[:9], {"train": 0.0, "valid": scale, "test": 0.0}).values()) == {"valid"}
    for wrong in ({}, {"train": 0.0}, {"train": 1.0, "test": -0.1}):
        with pytest.raises(InputError, match="expected positive numbers"):
            draw_splits(names, wrong)


@given(st.sets(st.text(min_size=1), min_size=1, max_size=4))
@example({"2", "5"})  # by their hashes one for valid and one for test
def test_somebody_trains_however_few_they_are_and_of_three_each_split_has_one(names):
    drawn = set(draw_splits(names).values())
    assert "train" in drawn and len(drawn) == min(len(names), 3)


def test_of_a_small_set_those_that_are_nearest_to_an_empty_split_move_there():
    """So that few move back once there are more of them."""
    many = draw_splits(f"speaker{i}" for i in range(400))
    for fractions in (FRACTIONS, {"train": 0.1, "valid": 0.1, "test": 0.8}):
        place = {name: _position(name) for name in many}
        alike = sorted((name for name in many if 0.3 < place[name] < 0.7), key=place.__getitem__)[:20]
        drawn = [draw_splits(alike, fractions)[name] for name in alike]
        if fractions["train"] > 0.5:
            assert drawn[:18] == ["train"] * 18 and set(drawn[18:]) == {"valid", "test"}
        else:
            assert set(drawn[:2]) == {"train", "valid"} and drawn[2:] == ["test"] * 18


_WHO = st.sampled_from(["", "a", "b", "c", "d", "e", "f"])


@given(
    st.lists(st.tuples(st.sampled_from(["speech", "noise", "rir"]), _WHO, _WHO, st.booleans()), max_size=14),
    st.randoms(use_true_random=False),
)
def test_no_speaker_and_no_source_is_torn_apart_and_the_order_does_not_matter(facts, random):
    recordings = [
        Recording(f"{i}.wav", 1.0, kind, "train", speaker=speaker, source=source)
        for i, (kind, speaker, source, _) in enumerate(facts)
    ]
    undecided = [each.path for each, (*_, open_) in zip(recordings, facts, strict=True) if open_]
    settled = with_splits(recordings, undecided)
    assert find_leaks(settled) == []
    assert all(each.split == "train" for each in settled if each.kind == "rir")
    shuffled = random.sample(recordings, len(recordings))
    assert sorted(
        with_splits(shuffled, undecided), key=lambda each: recordings.index(replace(each, split="train"))
    ) == list(settled)


def test_valid_is_drawn_out_of_train_in_its_fraction_and_only_where_there_is_none():
    def of(kind, split, count=100):
        return [Recording(f"{kind}-{split}{i}.wav", 1.0, kind, split, source=f"{kind}{split}{i}") for i in range(count)]

    def valid(recordings, kind, fractions=FRACTIONS):
        return sum(each.kind == kind and each.split == "valid" for each in with_splits(recordings, [], fractions))

    half = {"train": 0.5, "valid": 0.5}
    assert valid(of("noise", "train"), "noise", half) == pytest.approx(50, abs=15)
    assert valid(of("noise", "train"), "noise") == pytest.approx(11, abs=8)
    assert valid(of("noise", "train"), "noise", {"train": 1.0}) == 0
    assert valid([*of("noise", "train"), *of("noise", "valid", 3)], "noise", half) == 3
    assert valid([*of("noise", "train"), *of("speech", "valid", 3)], "noise", half) > 30, "each kind for itself"
    *low, high = sorted((f"{i}.wav" for i in range(100)), key=_position)
    few = [Recording(path, 1.0, "noise", "train") for path in low[:3]]
    assert valid([*few, Recording(high, 1.0, "noise", "test")], "noise") == 1, "what is in test is no valid set"
    drawn = with_splits(of("noise", "train"), [each.path for each in of("noise", "train")], {"train": 0.5, "test": 0.5})
    counts = Counter(each.split for each in drawn)
    assert counts["test"] == pytest.approx(50, abs=15) and not counts["valid"]
    tests = of("noise", "test")
    assert with_splits(tests, [], half) == tuple(tests)
    mixed = [*of("speech", "train", 1), *of("noise", "test", 50), *of("rir", "valid", 3)]
    settled = with_splits(mixed, [], half)
    assert [each.split for each in settled if each.kind == "noise"] == ["test"] * 50
    assert {each.split for each in settled if each.kind == "rir"} == {"train"}


def test_rooms_and_the_talkers_of_noise_are_no_leaks_and_leaks_are_counted():
    def both(kind, **facts):
        return [Recording(f"{kind}{split}.wav", 1.0, kind, split, **facts) for split in ("train", "test")]

    assert find_leaks([*both("rir", source="hall"), *both("noise", speaker="anna"), *both("noise", speaker="")]) == []
    with pytest.raises(InputError, match=r"noisetrain\.wav\): put all"):
        check_leaks(both("noise", source="rain"))
    with pytest.raises(InputError, match=r"\(and 1 more such\): put all"):
        check_leaks([*both("noise", source="rain"), *both("speech", speaker="anna")])


def test_a_speaker_in_two_splits_is_refused_by_name():
    one = Recording("a.wav", 1.0, "speech", "train", speaker="anna")
    leak = replace(one, path="b.wav", split="test")
    with pytest.raises(InputError, match=r"speaker 'anna' is in test \(b\.wav\) and in train \(a\.wav\)"):
        check_leaks([one, leak])
    check_leaks([one, replace(leak, speaker="berta")])


def test_a_source_recording_in_two_splits_is_refused_by_name(tmp_path):
    one = Recording("a.wav", 1.0, "noise", "train", source="freesound:7")
    put(tmp_path / "a.wav"), put(tmp_path / "b.wav")
    manifest = Manifest(tmp_path, (one, replace(one, path="b.wav", split="valid")))
    manifest.write(tmp_path / "m.csv")
    with pytest.raises(InputError, match="source recording 'freesound:7'"):
        open_data(tmp_path / "m.csv")


def test_what_a_chain_of_speakers_and_sources_joins_is_drawn_into_one_split():
    """A dialogue of two talkers, who talk to others too: neither of them nor the dialogue is torn apart."""
    talks = [
        Recording(f"{talk}{who}.wav", 1.0, "speech", "train", speaker=f"{who}{pair}", source=f"dialog{pair}{talk}")
        for pair in range(40)
        for talk, whose in enumerate(("ab", "bc"))
        for who in whose
    ]
    talks = [replace(each, path=f"{each.source}/{each.path}") for each in talks]
    noise = [Recording(f"{each.source}.wav", 1.0, "noise", "train", source=each.source) for each in talks[::5]]
    everything = [*talks, *noise]
    for undecided in ([each.path for each in everything], []):
        settled = with_splits(everything, undecided)
        assert find_leaks(settled) == []
        assert {each.split for each in settled} == ({"train", "valid", "test"} if undecided else {"train", "valid"})


def test_what_has_a_split_takes_along_what_it_is_joined_to():
    decided = [Recording(f"{i}.wav", 1.0, "speech", ("train", "valid", "test")[i % 3], f"talker{i}") for i in range(30)]
    undecided = [
        replace(each, path=f"more{i}.wav", source=f"talk{i}", split="train") for i, each in enumerate(decided)
    ] + [Recording(f"noise{i}.wav", 1.0, "noise", "train", source=f"talk{i}") for i in range(30)]
    settled = draw_undecided([*decided, *undecided], [each.path for each in undecided])
    assert [each.split for each in settled] == [each.split for each in decided] * 3


# Manifests


def test_a_manifest_survives_its_file(plain, tmp_path):
    manifest = open_data(plain)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/link").symlink_to(tmp_path / "elsewhere")
    manifest.write(plain / "m.csv")
    manifest.write(tmp_path / "elsewhere/m.csv")
    for place in (plain / "m.csv", tmp_path / "elsewhere/m.csv", tmp_path / "a/b/link/m.csv"):
        again = open_data(place)
        assert [replace(r, seconds=round(r.seconds, 6)) for r in manifest.recordings] == list(again.recordings)
        assert all((again.root / r.path).is_file() for r in again.recordings)


def test_a_manifest_written_through_a_link_is_read_through_it(plain, tmp_path):
    for folder in ("lists", "deep/er"):
        (tmp_path / folder).mkdir(parents=True)
    link = tmp_path / "deep/er/own.csv"
    link.symlink_to("../../lists/own.csv")
    manifest = open_data(plain)
    manifest.write(link)
    again = open_data(link)
    assert link.is_symlink() and len(again.recordings) == len(manifest.recordings)
    assert all((again.root / each.path).is_file() for each in again.recordings)


def test_joined_manifests_find_their_files(plain, tmp_path):
    put(tmp_path / "other/a.wav")
    joined = join([open_data(plain), scan(tmp_path / "other", kind="noise")])
    assert len(joined.recordings) == 16
    assert all((joined.root / r.path).is_file() for r in joined.recordings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,seconds\na.wav,1\n", "lacks the column 'kind'"),
        ("path,seconds,kind,split\n", "lists no recordings"),
        ("path,seconds,kind,split\na.wav,x,speech,train\n", "line 2: 'x' is not a number"),
        ("path,seconds,kind,split\na.wav,nan,speech,train\n", "line 2: .*not possible"),
        ("path,seconds,kind,split\na.wav,1,music,train\n", "line 2: .*'music'"),
        ("path,seconds,kind,split\na.wav,1,speech,dev\n", "line 2: .*'dev'"),
        ("path,seconds,kind,split,ship\na.wav,1,speech,test,maybe\n", "line 2: ship is 'maybe'"),
    ],
)
def test_manifests_that_make_no_sense_are_refused_with_the_line(tmp_path, text, message):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        open_data(tmp_path / "m.csv")


def test_an_empty_split_is_drawn_by_speaker_and_source(tmp_path):
    rows = [f"{i}{who}.wav,1,speech,,talker{i}{who},dialog{i}" for i in range(20) for who in "ab"]
    rows += ["known.wav,1,speech,test,talker0a,"]
    for row in rows:
        put(tmp_path / row.split(",")[0])
    (tmp_path / "m.csv").write_text("path,seconds,kind,split,speaker,source\n" + "".join(f"{row}\n" for row in rows))
    splits = {Path(each.path).stem: each.split for each in open_data(tmp_path / "m.csv").recordings}
    assert all(splits[f"{i}a"] == splits[f"{i}b"] for i in range(20)) and splits["0a"] == "test"


def test_an_empty_split_is_drawn_by_source_and_one_that_is_given_stays(tmp_path):
    """So excerpts that are given one source need not be sorted into splits by hand."""
    rows = [f"take{take}{part}.wav,1,noise,,take{take}" for take in range(20) for part in "ab"]
    rows += ["fixed.wav,1,noise,test,", "room.wav,1,rir, ,"]
    for row in rows:
        put(tmp_path / row.split(",")[0])
    for name, place in (("m.csv", ""), ("elsewhere/m.csv", "../")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        lines = "".join(f"{place}{row}\n" for row in rows)
        (tmp_path / name).write_text("path,seconds,kind,split,source\n" + lines)
        manifest = open_data(tmp_path / name)
        splits = {Path(each.path).stem: each.split for each in manifest.recordings}
        assert all(splits[f"take{take}a"] == splits[f"take{take}b"] for take in range(20))
        assert {splits[f"take{take}a"] for take in range(20)} == {"train", "valid", "test"}
        assert splits["fixed"] == "test" and splits["room"] == "train"


# The store


def test_the_store_holds_what_the_files_hold(plain, tmp_path):
    manifest = open_data(plain)
    store = AudioStore.build(plain, manifest.recordings, tmp_path / "cache", workers=3)
    assert store.recordings == manifest.recordings
    for i, recording in enumerate(store.recordings):
        expected = audio.to_pcm16(audio.read(plain / recording.path)[0])
        assert store.length(i) == len(expected)
        assert (store.read(i) == expected).all()
        assert (store.read(i, 100, 50) == expected[100:150]).all()
        assert len(store.read(i, len(expected) - 5, 50)) == 5


def test_the_store_is_decoded_once_and_again_when_a_file_changes(plain, tmp_path):
    manifest, cache = open_data(plain), tmp_path / "cache"
    first = AudioStore.build(plain, manifest.recordings, cache)
    written = {path: path.stat().st_mtime_ns for path in parts_of(cache)}
    assert AudioStore.build(plain, manifest.recordings, cache).data_hash == first.data_hash
    assert {path: path.stat().st_mtime_ns for path in parts_of(cache)} == written
    put(plain / manifest.recordings[0].path, seed=999)
    assert AudioStore.build(plain, manifest.recordings, cache).data_hash != first.data_hash


def test_labels_come_from_the_manifest_and_not_from_the_cache(plain, tmp_path):
    noises = open_data(plain).select("noise")
    AudioStore.build(plain, noises, tmp_path / "cache")
    renamed = [replace(recording, label="other") for recording in noises]
    store = AudioStore.build(plain, renamed, tmp_path / "cache")
    assert {recording.label for recording in store.recordings} == {"other"}


def test_a_store_pickles_as_its_paths(plain, tmp_path):
    store = AudioStore.build(plain, open_data(plain).recordings, tmp_path / "cache")
    data = pickle.dumps(store)
    assert len(data) < 10000
    again = pickle.loads(data)
    assert again.data_hash == store.data_hash
    assert (again.read(3) == store.read(3)).all()


def test_files_that_do_not_decode_are_left_out_with_a_notice(plain, tmp_path):
    manifest = open_data(plain)
    (plain / manifest.recordings[0].path).write_text("broken after the scan")
    store = AudioStore.build(plain, manifest.recordings, tmp_path / "cache")
    assert len(store) == len(manifest.recordings) - 1
    assert manifest.recordings[0].path in store.notices[0]


def test_stores_that_cannot_be_built_say_why_and_leave_nothing(plain, tmp_path):
    recordings = open_data(plain).recordings
    with pytest.raises(InputError, match="no recordings"):
        AudioStore.build(plain, [], tmp_path / "cache")
    with pytest.raises(InputError, match="No such file"):
        AudioStore.build(tmp_path / "nowhere", recordings, tmp_path / "cache")
    (plain / recordings[0].path).write_text("broken")
    with pytest.raises(InputError, match="none of 1 recordings"):
        AudioStore.build(plain, recordings[:1], tmp_path / "cache")
    assert {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()} <= {"lock"}


def decoded(monkeypatch) -> list[str]:
    """The names of the files that are decoded from here on."""
    names = []
    read = audio.read

    def noted(path, sample_rate):
        names.append(Path(path).name)
        return read(path, sample_rate)

    monkeypatch.setattr(audio, "read", noted)
    return names


def parts_of(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.pcm"))


def test_a_damaged_part_of_the_cache_is_decoded_again(plain, tmp_path):
    cache, recordings = tmp_path / "cache", open_data(plain).recordings
    data_hash = AudioStore.build(plain, recordings, cache).data_hash
    (part,) = parts_of(cache)
    part.write_bytes(part.read_bytes()[:-2])
    assert AudioStore.build(plain, recordings, cache).data_hash == data_hash
    assert len(parts_of(cache)) == 1


def test_a_damaged_shard_is_named(plain, tmp_path):
    part = decoded_shard(open_data(plain), tmp_path / "shards")
    part.write_bytes(part.read_bytes()[:-2])
    with pytest.raises(InputError, match=r"\.pcm holds .* samples, its index says"):
        AudioStore.build(tmp_path / "shards", open_data(tmp_path / "shards").recordings)


@pytest.mark.parametrize("offset", ["0.1", 10**400, 7], ids=["a text", "400 digits", "7"])
def test_a_shard_with_an_offset_that_is_none_is_named(plain, tmp_path, offset):
    index_path = decoded_shard(open_data(plain), tmp_path / "shards").with_suffix(".json")
    index = json.loads(index_path.read_text())
    index["recordings"][2]["offset"] = offset
    index_path.write_text(json.dumps(index))
    with pytest.raises(InputError, match="damaged: recording 3: the offset is not a number from -1 to 1"):
        open_data(tmp_path / "shards")


def test_touching_or_copying_files_back_decodes_nothing(plain, tmp_path, monkeypatch):
    cache, recordings = tmp_path / "cache", open_data(plain).recordings
    first = AudioStore.build(plain, recordings, cache)
    names = decoded(monkeypatch)
    for path in plain.rglob("*.wav"):
        path.touch()
    copied = plain / recordings[0].path
    content = copied.read_bytes()
    copied.unlink()
    copied.write_bytes(content)
    assert AudioStore.build(plain, recordings, cache).data_hash == first.data_hash
    assert names == []


def test_a_file_that_changed_under_the_same_size_and_time_is_decoded_again(plain, tmp_path):
    cache, recordings = tmp_path / "cache", open_data(plain).recordings
    first = AudioStore.build(plain, recordings, cache)
    path = plain / recordings[0].path
    status = path.stat()
    put(path, round(recordings[0].seconds * 16000), seed=999)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size and path.stat().st_mtime_ns == status.st_mtime_ns
    assert AudioStore.build(plain, recordings, cache).data_hash != first.data_hash


def test_only_what_is_new_is_decoded_and_other_splits_share_the_cache(plain, tmp_path, monkeypatch):
    cache, manifest = tmp_path / "cache", open_data(plain)
    AudioStore.build(plain, manifest.recordings, cache)
    names = decoded(monkeypatch)
    put(plain / "speech/s9/new.wav", seed=77)
    store = AudioStore.build(plain, open_data(plain).recordings, cache)
    AudioStore.build(plain, manifest.select("speech", "valid"), cache)
    assert names == ["new.wav"] and len(store) == 16


def test_a_process_reads_an_index_once_and_again_where_it_has_changed(plain, tmp_path, monkeypatch):
    directory, manifest = tmp_path / "cache", open_data(plain)
    AudioStore.build(plain, manifest.recordings, directory)
    (part,) = parts_of(directory)
    read = []
    read_part = cache.read_part
    monkeypatch.setattr(cache, "read_part", lambda path: (read.append(path), read_part(path))[1])
    for split in ("train", "valid", "train"):
        AudioStore.build(plain, manifest.select("speech", split), directory)
    assert read == [part]
    index = part.with_suffix(".json")
    index.write_text(index.read_text().replace('"notices": []', '"notices": ["noted by another process"]'))
    assert "another process" in AudioStore.build(plain, manifest.recordings, directory).notices[0]
    assert read == [part, part]
    (plain / manifest.recordings[3].path).unlink()
    with pytest.raises(InputError, match="No such file"):
        AudioStore.build(plain, manifest.recordings, directory)


def test_old_copies_and_what_a_killed_process_left_are_removed(plain, tmp_path):
    cache, recordings = tmp_path / "cache", open_data(plain).recordings
    AudioStore.build(plain, recordings, cache)
    (old,) = parts_of(cache)
    for suffix in (".pcm", ".json", ".marks"):
        (old.parent / f".0001-killed.x{suffix}").write_bytes(b"half")
    (old.parent / "0002-killed.pcm").write_bytes(b"without an index")
    kept = [recording.path for recording in recordings[:3]]
    for number, recording in enumerate(recordings):
        if recording.path not in kept:
            put(plain / recording.path, seed=1000 + number)
    store = AudioStore.build(plain, recordings, cache)
    (new,) = parts_of(cache)
    assert new != old and {path.suffix for path in new.parent.iterdir()} == {".pcm", ".json", ".marks", ""}
    for i, recording in enumerate(store.recordings):
        assert (store.read(i) == audio.to_pcm16(audio.read(plain / recording.path)[0])).all()


def test_a_part_that_somebody_reads_is_not_taken_away(plain, tmp_path):
    cache, recordings = tmp_path / "cache", open_data(plain).recordings
    store = AudioStore.build(plain, recordings, cache)
    result = runner.invoke(app, ["cache", "--clear"], env={"TINYSE_CACHE": str(cache)})
    assert result.exit_code == 0 and "in use" in result.stdout and parts_of(cache)
    assert pickle.loads(pickle.dumps(store)).data_hash == store.data_hash
    del store
    result = runner.invoke(app, ["cache", "--clear"], env={"TINYSE_CACHE": str(cache)})
    assert result.exit_code == 0 and not list(cache.iterdir())


def test_the_cache_says_what_it_holds_and_what_older_versions_left(plain, tmp_path):
    cache = tmp_path / "cache"
    AudioStore.build(plain, open_data(plain).recordings, cache)
    for name in ("0123456789abcdef.pcm", "0123456789abcdef.json", ".0123456789abcdef.x1.pcm"):
        (cache / name).write_bytes(bytes(1000))
    (cache / "notes.txt").write_text("not ours")
    result = runner.invoke(app, ["cache", "--json"], env={"TINYSE_CACHE": str(cache)})
    rows = json.loads(result.stdout)["folders"]
    assert [(row["files"], row["root"], row["root_exists"]) for row in rows] == [(15, str(plain), True), (3, "", False)]
    runner.invoke(app, ["cache", "--clear"], env={"TINYSE_CACHE": str(cache)})
    assert [path.name for path in cache.iterdir()] == ["notes.txt"]


def test_many_processes_at_once_decode_once(plain, tmp_path):
    code = (
        "import sys; from tinyse.recordings import *; from tinyse import audio; n = []; read = audio.read\n"
        "audio.read = lambda path, rate: (n.append(path), read(path, rate))[1]\n"
        "m = open_data(sys.argv[1]); AudioStore.build(m.root, m.recordings, sys.argv[2]); print(len(n))"
    )
    line = [sys.executable, "-c", code, str(plain), str(tmp_path / "cache")]
    running = [subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(int(each.communicate()[0]) for each in running) == [0, 0, 15]


def test_shards_of_the_first_format_still_open(plain, tmp_path):
    part = decoded_shard(open_data(plain), tmp_path / "shards")
    index = json.loads(part.with_suffix(".json").read_text())
    new = {"marks", "offset", "notices"}
    listed = [{key: value for key, value in item.items() if key not in new} for item in index["recordings"]]
    old = {"format": "tinyse-audio-1", "sample_rate": 16000, "notices": ["2 files: clipped"], "recordings": listed}
    store = AudioStore.build(tmp_path / "shards", open_data(tmp_path / "shards").recordings)
    part.with_suffix(".json").write_text(json.dumps(old))
    part.with_suffix(".marks").unlink()
    again = AudioStore.build(tmp_path / "shards", open_data(tmp_path / "shards").recordings)
    assert again.data_hash == store.data_hash and "2 files: clipped" in again.notices
    np.testing.assert_allclose(again.sound(0), store.sound(0), atol=1e-6)


# What is heard in them


def speech_like(seconds: float = 3.0, rate: int = 16000, edge_hz: float = 7500) -> np.ndarray:
    """Noise up to `edge_hz` in syllables with silence between them."""
    samples = round(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=samples))
    spectrum[round(edge_hz * seconds) :] = 0
    time = np.arange(samples) / rate
    return 0.1 * np.fft.irfft(spectrum, samples) * (np.sin(2 * np.pi * 2 * time) > 0)


FAULTS = {
    "silent": (lambda x: 0 * x, "silent throughout"),
    "DC": (lambda x: x + 0.05, "a constant offset (DC)"),
    "8 kHz content": (lambda x: speech_like(edge_hz=3900), "nothing above 4 kHz"),
    "antiphase": (lambda x: np.stack([x, -0.9 * x], axis=1), "cancel one another"),
    "noise floor": (lambda x: x + 0.02 * np.random.default_rng(1).normal(size=len(x)), "a noise floor of its own"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_that_are_heard_are_noted_once_for_all_files(case, tmp_path):
    make, told = FAULTS[case]
    for name in "abc":
        path = tmp_path / f"set/speech/{name}/x.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, make(speech_like()), 16000)
    put(tmp_path / "set/noise/fan/a.wav")
    manifest = open_data(tmp_path / "set")
    store = AudioStore.build(manifest.root, manifest.recordings, tmp_path / "cache")
    (notice,) = [notice for notice in store.notices if told in notice]
    assert notice.startswith("3 files: ") and notice.endswith("the first is speech/a/x.wav")


def test_good_speech_is_noted_for_nothing(tmp_path):
    (tmp_path / "set/speech/a").mkdir(parents=True)
    soundfile.write(tmp_path / "set/speech/a/x.wav", speech_like(), 16000)
    manifest = open_data(tmp_path / "set")
    assert AudioStore.build(manifest.root, manifest.recordings, tmp_path / "cache").notices == ()


# The command

runner = CliRunner()


def test_a_license_is_stated_where_none_is_known(plain, tmp_path):
    """Own recordings have none until their owner says so; the hint says how, and what is stated lasts."""
    told = runner.invoke(app, ["scan", str(plain)])
    assert "have no stated license" in told.stdout and "--license own --ship" in told.stdout
    stated = ["scan", str(plain), "--license", "own", "--ship"]
    told = runner.invoke(app, [*stated, "--output", str(tmp_path / "m.csv")])
    assert told.exit_code == 0 and "no stated license" not in told.stdout and "licenses: own" in told.stdout
    manifest = open_data(tmp_path / "m.csv")
    assert {(each.license, each.ship) for each in manifest.recordings} == {("own", True)}
    assert "keeps --license for training" in runner.invoke(app, stated).stderr
    other = runner.invoke(app, ["scan", str(tmp_path / "m.csv"), "--license", "CC0-1.0", "--json"])
    assert json.loads(other.stdout)["summary"][0]["licenses"] == ["own"], "what is stated is not overruled"
    for wrong in (["--ship"], ["--license", " "]):
        with pytest.raises(InputError, match="--license"):
            runner.invoke(app, ["scan", str(plain), *wrong], catch_exceptions=False)


def test_an_empty_cell_states_no_license(plain, tmp_path):
    open_data(plain).write(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text((tmp_path / "m.csv").read_text().replace(",unknown,", ",,"))
    assert {each.license for each in Manifest.read(tmp_path / "m.csv").recordings} == {"unknown"}


def test_scan_prints_a_summary_and_writes_a_manifest_that_opens(plain, tmp_path):
    put(tmp_path / "more/rain/a.wav")
    result = runner.invoke(app, ["scan", str(plain), "--output", str(tmp_path / "m.csv")])
    assert result.exit_code == 0
    assert "unknown" in result.stdout
    assert open_data(tmp_path / "m.csv").select("rir")
    result = runner.invoke(app, ["scan", str(tmp_path / "more"), "--kind", "noise", "--json"])
    assert json.loads(result.stdout)["summary"][0]["classes"] == 1


def test_scan_refuses_two_data_sets_that_leak_into_each_other(tmp_path):
    for name, split in (("a", "train"), ("b", "test")):
        put(tmp_path / f"{name}.wav")
        anna = Recording(f"{name}.wav", 1.0, "speech", split, speaker="anna")
        Manifest(tmp_path, (anna,)).write(tmp_path / f"{name}.csv")
    result = runner.invoke(app, ["scan", str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    assert isinstance(result.exception, InputError)
    assert "anna" in str(result.exception)


# Shards of decoded sound, which tinyse wrote before 0.2 (`tests/test_shards.py` has those of today)


def decoded_shard(manifest: Manifest, folder: Path, number: int = 0, sample_rate: int = 16000) -> Path:
    part, broken = write_part(
        folder / f"shard-{number:05d}.pcm", manifest.root, manifest.recordings, sample_rate=sample_rate
    )
    assert part is not None and not broken
    return part.path


def test_decoded_shards_are_read_back_as_the_same_data(plain, tmp_path):
    manifest = open_data(plain)
    for number in range(2):
        decoded_shard(replace(manifest, recordings=manifest.recordings[number::2]), tmp_path / "shards", number)
    again = open_data(tmp_path / "shards")
    key = [(r.path, r.split, r.speaker, r.label) for r in manifest.recordings]
    assert sorted((r.path, r.split, r.speaker, r.label) for r in again.recordings) == sorted(key)
    store = AudioStore.build(again.root, manifest.recordings)
    assert store.data_hash == AudioStore.build(plain, manifest.recordings, tmp_path / "cache").data_hash
    (tmp_path / "shards/shard-00000.pcm").unlink()
    assert 0 < len(open_data(tmp_path / "shards").recordings) < len(manifest.recordings)
