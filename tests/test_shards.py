"""Shards: packed as WebDataset, mixed from a window of a few of them, whatever is broken or hostile in them."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import lzma
import pickle
import shutil
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import own_recordings
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tinyse import audio
from tinyse.commands.data import app
from tinyse.errors import InputError
from tinyse.mixtures import MixtureConfig, open_mixer
from tinyse.mixtures.streamed import WINDOW, StreamedMixer
from tinyse.recordings import AudioStore, Shards, open_data, packing, windows, write_shards
from tinyse.recordings.broken import RECORD, Broken, BrokenItem, LeftOut, named_in
from tinyse.recordings.shard_file import ShardFile
from tinyse.recordings.shards import INDEX, read_index
from tinyse.recordings.windows import Window

PLAIN = MixtureConfig().plain()


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sources") / "own0"  # the name decides the splits, and with them what is mixed
    return own_recordings.write(folder, talkers=20, noises=20, seconds=0.4)


@pytest.fixture(scope="module")
def packed(sources, tmp_path_factory) -> Path:
    """Shards of three recordings each, of which there are more than a window."""
    folder = tmp_path_factory.mktemp("packed") / "shards"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "SHARD_ITEMS", 3)
        patch.setattr(packing, "RUN_SECONDS", 0.5)
        write_shards(open_data(sources), folder)
    return folder


@pytest.fixture
def shards(packed, tmp_path) -> Path:
    """A copy that a test may damage."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for path in packed.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def opened(folder: Path) -> Shards:
    found = open_data(folder)
    assert isinstance(found, Shards)
    return found


def mixer_of(folder: Path, broken: Broken | None = None, seed: int = 0, seconds: float = 0.3) -> StreamedMixer:
    mixer = open_mixer(opened(folder), PLAIN, seconds, seed, broken=broken)
    assert isinstance(mixer, StreamedMixer)
    return mixer


def rewrite(folder: Path, name: str, content: bytes, **changes: object) -> None:
    """Put other bytes into a shard, and into the index what is true of them, as any maker of shards can."""
    (folder / name).write_bytes(content)
    index = json.loads((folder / INDEX).read_text())
    for shard in index["shards"]:
        if shard["name"] == name:
            shard.update({"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), **changes})
    (folder / INDEX).write_text(json.dumps(index))


def tar_of(members: list[tuple[tarfile.TarInfo | str, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def members_of(path: Path) -> list[tuple[tarfile.TarInfo | str, bytes]]:
    with tarfile.open(path) as archive:
        return [(each.name, archive.extractfile(each).read()) for each in archive]


# Packing


def test_a_shard_is_a_tar_of_flac_with_json_beside_and_keeps_every_sample(sources, packed):
    manifest, seen = open_data(sources), {}
    index = read_index(packed / INDEX, "index")
    for shard in index.shards:
        assert (packed / shard.name).stat().st_size == shard.bytes
        names = [name for name, _ in members_of(packed / shard.name)]
        assert names == [f"{i:06d}.{suffix}" for i in range(shard.items) for suffix in ("flac", "json")]
        content = dict(members_of(packed / shard.name))
        for i in range(shard.items):
            facts = json.loads(content[f"{i:06d}.json"])
            seen[facts["path"]] = facts | {
                "samples": soundfile.read(io.BytesIO(content[f"{i:06d}.flac"]), dtype="int16")[0]
            }
            assert (facts["kind"], facts["split"], facts["ship"]) == (shard.kind, shard.split, shard.ship)
    assert seen.keys() == {recording.path for recording in manifest.recordings}
    for recording in manifest.recordings:
        facts = seen[recording.path]
        assert (facts["samples"] == audio.to_pcm16(audio.read(sources / recording.path)[0])).all()
        assert (facts["speaker"], facts["label"]) == (recording.speaker, recording.label)
    assert opened(packed).summary() == manifest.summary()


def test_webdataset_reads_them(packed):
    webdataset = pytest.importorskip("webdataset")
    shard = read_index(packed / INDEX, "index").shards[-1]
    samples = list(webdataset.WebDataset(str(packed / shard.name), shardshuffle=False))
    assert len(samples) == shard.items and all({"flac", "json"} <= sample.keys() for sample in samples)


def test_the_same_recordings_give_the_same_bytes(sources, tmp_path):
    first, second = (write_shards(open_data(sources), tmp_path / name, workers=n) for name, n in (("a", 1), ("b", 4)))
    assert first == second and len({shard.sha256 for shard in first.shards}) == len(first.shards)


def test_opus_is_small_and_of_the_same_length(tmp_path):
    own_recordings.write(tmp_path / "own", talkers=3, noises=3, seconds=1.0)
    flac, opus = (
        write_shards(open_data(tmp_path / "own"), tmp_path / codec, codec=codec) for codec in ("flac", "opus")
    )
    assert sum(shard.bytes for shard in opus.shards) < sum(shard.bytes for shard in flac.shards) / 2
    assert [shard.items for shard in flac.shards] == [shard.items for shard in opus.shards]
    mixtures = [open_mixer(open_data(tmp_path / codec), PLAIN, 0.5, 0)(0, 3) for codec in ("flac", "opus")]
    assert mixtures[0].description["speech"] == mixtures[1].description["speech"]
    with pytest.raises(InputError, match="Opus has no rate of 44100 Hz"):
        write_shards(open_data(tmp_path / "own"), tmp_path / "no", sample_rate=44100, codec="opus")


def test_long_recordings_are_cut_and_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "PIECE_SECONDS", 1)
    sound = np.float32(np.random.default_rng(0).normal(0, 0.1, 16000 * 5 // 2))
    audio.write(tmp_path / "own/speech/a/long.wav", sound)
    write_shards(open_data(tmp_path / "own"), tmp_path / "shards")
    (shard,) = opened(tmp_path / "shards").present
    file = ShardFile(tmp_path / "shards" / shard.name, shard, "flac", 16000)
    assert [item.recording.path for item in file.items] == [f"speech/a/long.wav#{i}" for i in range(3)]
    assert (np.concatenate([file.sound(i) for i in range(3)]) == audio.to_pcm16(sound)).all()


def test_cuts_of_a_long_recording_are_drawn_as_often_as_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "PIECE_SECONDS", 1)
    rows = ["path,seconds,kind,split,speaker,label"]
    for name, kind, speaker, label in [("talk", "speech", "unknown", ""), ("rain", "noise", "", "weather")]:
        audio.write(tmp_path / f"{name}.wav", np.float32(np.random.default_rng(len(name)).normal(0, 0.1, 40000)))
        rows.append(f"{name}.wav,2.5,{kind},train,{speaker},{label}")
    (tmp_path / "own.csv").write_text("\n".join(rows))
    write_shards(open_data(tmp_path / "own.csv"), tmp_path / "shards")
    for shard in opened(tmp_path / "shards").present:
        items = [item.recording for item in ShardFile(tmp_path / "shards" / shard.name, shard, "flac", 16000).items]
        assert len(items) == 3 and len({item.path for item in items}) == 3
        drawn = {item.voice if item.kind == "speech" else item.source for item in items}
        assert drawn == {items[0].path.partition("#")[0]}


def test_the_same_sound_in_two_splits_is_not_packed(tmp_path):
    for split in ("train", "test"):
        audio.write(tmp_path / f"own/speech/{split}/{split}er/a.wav", own_recordings.voice(0, 0, 0.3))
    with pytest.raises(InputError, match=r"the same sound is in .* as speech/.*: take it out of one of them"):
        write_shards(open_data(tmp_path / "own"), tmp_path / "shards")
    assert not (tmp_path / "shards").exists(), "nothing is left of shards that are not finished"


def test_what_cannot_be_decoded_is_left_out_by_name(tmp_path):
    own_recordings.write(tmp_path / "own", talkers=3, noises=3, seconds=0.3)
    manifest = open_data(tmp_path / "own")
    (tmp_path / "own" / manifest.recordings[0].path).write_bytes(b"RIFF nonsense")
    index = write_shards(manifest, tmp_path / "shards")
    assert sum(shard.items for shard in index.shards) == len(manifest.recordings) - 1
    assert any(manifest.recordings[0].path in notice for notice in opened(tmp_path / "shards").notices)


def test_a_folder_with_shards_and_shards_as_a_source_are_refused(sources, packed, tmp_path):
    with pytest.raises(InputError, match="has shards already"):
        write_shards(open_data(sources), packed)
    with pytest.raises(InputError, match="these are shards already"):
        write_shards(open_data(packed), tmp_path / "again")
    with pytest.raises(InputError, match="does not join others"):
        open_data([packed, sources])


def test_the_commands_pack_and_show_shards(sources, tmp_path):
    runner = CliRunner()
    done = runner.invoke(app, ["shard", str(sources), str(tmp_path / "shards"), "--json"])
    facts = json.loads(done.stdout)
    assert facts["recordings"] == 60 and facts["hours"] == pytest.approx(60 * 0.4 / 3600)
    shown = runner.invoke(app, ["scan", str(tmp_path / "shards")])
    assert shown.exit_code == 0 and "unknown" in shown.stdout
    with pytest.raises(InputError, match="--codec mp3"):
        runner.invoke(app, ["shard", str(sources), str(tmp_path / "x"), "--codec", "mp3"], catch_exceptions=False)


# Mixing


def test_a_mixture_is_a_function_of_seed_epoch_and_index(packed):
    forward, backward = mixer_of(packed), pickle.loads(pickle.dumps(mixer_of(packed)))
    places = [(epoch, index) for epoch in (0, 1) for index in (0, 1, 7, 40)]
    made = {place: forward(*place) for place in places}
    moved = pickle.loads(pickle.dumps(forward))  # one that has files open, to a process of its own
    assert (moved(*places[0]).noisy == made[places[0]].noisy).all()
    for place in reversed(places):
        again = backward(*place)
        assert (again.noisy == made[place].noisy).all() and again.description == made[place].description
    assert any((mixer_of(packed, seed=1)(*place).noisy != made[place].noisy).any() for place in places)


def test_mixtures_are_those_that_the_same_recordings_give_without_shards(sources, tmp_path):
    """Where a window holds all of it, shards change no bit of what is trained on."""
    write_shards(open_data(sources), tmp_path / "shards")
    manifest = open_data(sources)
    mixer = open_mixer(manifest, PLAIN, 0.3, 0, cache_directory=tmp_path / "cache")
    streamed = open_mixer(open_data(tmp_path / "shards"), PLAIN, 0.3, 0)
    for index in range(4):
        one, other = mixer(0, index), streamed(0, index)
        assert one.description == other.description
        np.testing.assert_allclose(one.noisy, other.noisy, atol=1e-6)


@given(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2))
@settings(max_examples=15, deadline=None)
def test_each_shard_has_its_turn_once_per_pass(packed, seed, epoch, turn):
    mixer = mixer_of(packed, seed=seed)
    for kind, chosen in mixer.chosen.items():
        assert len(chosen) > WINDOW
        windows = [mixer.window(epoch, turn * len(chosen) + block)[kind] for block in range(len(chosen))]
        assert Counter(window[0].name for window in windows) == {shard.name: 1 for shard in chosen}
        for window in windows[: len(chosen) - WINDOW + 1]:
            assert len({each.name for each in window}) == WINDOW, "but where one pass ends and another begins"
        for window, following in itertools.pairwise(windows):
            assert len({each.name for each in window}) <= WINDOW
            assert len({each.name for each in following} - {each.name for each in window}) <= 1


def test_a_mixture_is_made_of_its_window_and_few_files_stay_open(packed):
    mixer = mixer_of(packed)
    place = {}
    for shard in mixer.chosen["speech"]:
        for item in ShardFile(packed / shard.name, shard, "flac", 16000).items:
            place[item.recording.path] = shard.name
    heard = set()
    for index in range(0, 12 * mixer.block, mixer.block):
        window = {shard.name for shard in mixer.window(0, index // mixer.block)["speech"]}
        spoken = {place[path] for path in mixer(0, index).description["speech"]}
        assert spoken <= window
        heard |= spoken
        assert len(mixer._files) <= 2 * (WINDOW + 1)
    assert len(heard) > WINDOW


def test_the_order_of_shards_is_another_for_each_pass_epoch_seed_and_kind(packed):
    def order(kind, seed=0, epoch=0, turn=0):
        mixer = mixer_of(packed, seed=seed)
        count = len(mixer.chosen[kind])
        chosen = [shard.name for shard in mixer.chosen[kind]]
        return [chosen.index(mixer.window(epoch, turn * count + place)[kind][0].name) for place in range(count)]

    usual = order("speech")
    assert sorted(usual) == list(range(len(usual)))
    for other in (order("speech", seed=1), order("speech", epoch=1), order("speech", turn=1)):
        assert other != usual and sorted(other) == sorted(usual)
    alike = [number for number in usual if number < len(order("noise"))]
    assert order("noise")[: len(alike)] != alike[: len(order("noise"))]


def test_a_block_has_as_many_mixtures_as_a_shard_of_speech_has_sound(packed):
    for seconds in (0.1, 0.3, 10.0):
        mixer = mixer_of(packed, seconds=seconds)
        mean = np.mean([shard.seconds for shard in mixer.chosen["speech"]])
        assert mixer.block == max(1, round(mean / seconds))
        (told,) = [notice for notice in mixer.notices if "shuffled within" in notice]
        assert f"({4 * mean / 3600:.2g} h of speech" in told and f"every {mixer.block} mixtures" in told


def test_files_of_earlier_windows_are_closed_and_a_block_before_is_kept(packed, monkeypatch):
    closed, made = [], []
    close, build = ShardFile.close, StreamedMixer._store
    monkeypatch.setattr(ShardFile, "close", lambda file: (closed.append(file.shard.name), close(file))[1])
    monkeypatch.setattr(StreamedMixer, "_store", lambda *each: (made.append(each[1]), build(*each))[1])
    mixer = mixer_of(packed)
    for block in (0, 1, 0, 1, 1, 0):  # as processes that take batches in turn come upon them
        mixer(0, block * mixer.block)
    assert made == ["speech", "noise"] * 2 and not closed
    for block in range(2, 9):
        mixer(0, block * mixer.block)
    kept = {shard.name for block in (7, 8) for shards in mixer.window(0, block).values() for shard in shards}
    assert set(mixer._files) == kept and closed


def test_the_seed_decides_mixtures_of_a_few_shards_too(sources, tmp_path):
    write_shards(open_data(sources), tmp_path / "shards")
    few = [open_mixer(open_data(tmp_path / "shards"), PLAIN, 0.3, seed) for seed in (0, 1)]
    assert not any("shuffled within" in notice for notice in few[0].notices)
    assert len({mixer(epoch, 0).noisy.tobytes() for mixer in few for epoch in (0, 1)}) == 4


def test_rooms_are_streamed_where_the_configuration_has_rooms(tmp_path):
    own_recordings.write(tmp_path / "own", talkers=3, noises=3, seconds=0.3)
    audio.write(tmp_path / "own/rir/hall/a.wav", np.float32(0.9 * np.exp(-np.arange(4000) / 500)))
    write_shards(open_data(tmp_path / "own"), tmp_path / "shards")
    config = replace(PLAIN, room_probability=1.0)
    with_rooms, without = (open_mixer(opened(tmp_path / "shards"), each, 0.3, 0) for each in (config, PLAIN))
    assert with_rooms(0, 0).description["room"] == "rir/hall/a.wav" and "rir" not in without.chosen
    assert with_rooms.data_hash != without.data_hash


def test_validation_always_takes_the_first_shards(packed):
    valid = [open_mixer(opened(packed), PLAIN, 0.3, 0, "valid") for _ in range(2)]
    assert (valid[0](0, 1000).noisy == valid[1](0, 1000).noisy).all()
    assert valid[0].window(0, 0) == valid[0].window(0, 99)
    assert {kind: len(shards) for kind, shards in valid[0].window(0, 0).items()} == {"speech": 1, "noise": 1}


def test_shards_of_another_rate_are_refused(packed):
    with pytest.raises(InputError, match="holds sound at 16000 Hz, 8000 Hz is wanted"):
        open_mixer(opened(packed), PLAIN, 0.3, 0, sample_rate=8000)


def test_what_may_not_ship_lies_in_shards_of_its_own(sources, tmp_path):
    manifest = open_data(sources).licensed("own", True)
    talkers = sorted({each.speaker for each in manifest.select("speech", "train")})
    mixed = type(manifest)(
        manifest.root,
        tuple(type(r)(**{**vars(r), "ship": r.speaker not in talkers[:4]}) for r in manifest.recordings),
    )
    write_shards(mixed, tmp_path / "shards")
    mixer = open_mixer(open_data(tmp_path / "shards"), PLAIN, 0.3, 0, ship=True)
    assert not {mixer(0, index).description["speaker"] for index in range(40)} & set(talkers[:4])


def test_pairs_that_are_trained_on_are_refused_by_name(sources, packed, tmp_path):
    from tinyse.clips import refuse_trained
    from tinyse.evaluation.pairs import find_pairs

    trained = open_data(sources).select("speech", "train")[0]
    samples, _ = audio.read(sources / trained.path)
    for side, sound in (("clean", samples), ("noisy", samples + np.float32(0.01))):
        audio.write(tmp_path / f"pairs/{side}/a.wav", sound)
    with pytest.raises(InputError, match=r"the same sound is in .*shards, to be trained on, and in .*clean/a\.wav"):
        refuse_trained(opened(packed), find_pairs(tmp_path / "pairs"))


# Broken recordings


def broken_shard(folder: Path, spoil, count: int = 1) -> list[str]:
    """Spoil `count` recordings of the first shards of speech to be trained on; returns their names."""
    names = []
    for shard in opened(folder).chosen("speech", "train"):
        members = members_of(folder / shard.name)
        for place in range(0, 2 * shard.items, 2):
            if len(names) < count:
                sound, facts = members[place], members[place + 1]
                members[place], members[place + 1] = spoil(sound, facts)
                names.append(f"{shard.name}/{str(sound[0]).split('.')[0]}")
        rewrite(folder, shard.name, tar_of([each for each in members if each[1] is not None]))
    return names


def changed(**changes):
    return lambda sound, facts: (sound, (facts[0], json.dumps(json.loads(facts[1]) | changes).encode()))


SPOILED = {
    "no sound": lambda sound, facts: ((sound[0], b"nonsense"), facts),
    "half the sound": lambda sound, facts: ((sound[0], sound[1][: len(sound[1]) // 2]), facts),
    "an empty file": lambda sound, facts: ((sound[0], b""), facts),
    "no JSON": lambda sound, facts: (sound, (facts[0], None)),
    "half the JSON": lambda sound, facts: (sound, (facts[0], facts[1][:40])),
    "a list": lambda sound, facts: (sound, (facts[0], b"[1, 2]")),
    "deep JSON": lambda sound, facts: (sound, (facts[0], b"[" * 30000)),
    "JSON without end": lambda sound, facts: (sound, (facts[0], facts[1] + b" " * (1 << 17))),
    "too few samples": changed(frames=100),
    "too many samples": changed(frames=10**15),
    "samples that are none": changed(frames=True),
    "an offset that is none": changed(offset="loud"),
    "a path that is none": changed(path=["a"]),
    "a path that clears the screen": changed(path="\x1b[2J"),
    "another kind": changed(kind="noise"),
    "a length that is none": changed(seconds="1"),
    "a length of 400 digits": changed(seconds=10**400),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_broken_recording_is_left_out_counted_and_named(case, shards, tmp_path):
    (name,) = broken_shard(shards, SPOILED[case])
    broken = Broken(0.05, tmp_path / RECORD)
    mixer, other = mixer_of(shards, broken), mixer_of(shards)
    for index in range(mixer.block * len(mixer.chosen["speech"])):
        made = mixer(0, index)
        assert np.isfinite(made.noisy).all()
        if index % 7 == 0:
            assert (other(0, index).noisy == made.noisy).all(), "also where a broken one was met"
    assert len(broken.names) == 1 and next(iter(broken.names)).startswith(name)
    assert named_in(tmp_path) == list(broken.names)


def test_more_than_the_share_of_broken_recordings_ends_the_run(shards, tmp_path):
    broken_shard(shards, SPOILED["no JSON"], count=6)
    mixer = mixer_of(shards, Broken(0.05, tmp_path / RECORD))
    mixtures = (mixer(0, index) for index in range(mixer.block * len(mixer.chosen["speech"])))
    told = r"6 of \d+ recordings are broken, more than the share of 0.05 .* all are named in"
    with pytest.raises(InputError, match=told):
        list(mixtures)
    assert len(named_in(tmp_path)) == 6
    assert mixer_of(shards, Broken(0.06))(0, 0)


def test_a_shard_that_holds_nothing_usable_is_named(shards):
    broken_shard(shards, SPOILED["no sound"], count=1000)
    with pytest.raises(InputError, match="came upon a broken recording 20 times"):
        mixer_of(shards)(0, 0)


def test_broken_files_of_a_folder_count_as_well(tmp_path):
    own_recordings.write(tmp_path / "own", talkers=4, noises=4, seconds=0.3)
    for number in range(6):
        (tmp_path / f"own/speech/talker0/broken{number}.wav").write_bytes(b"nonsense")
    manifest = open_data(tmp_path / "own")
    broken = Broken(0.06, tmp_path / RECORD)
    open_mixer(manifest, PLAIN, 0.2, 0, cache_directory=tmp_path / "cache", broken=broken)
    lines = [json.loads(line) for line in (tmp_path / RECORD).read_text().splitlines()]
    assert [line["recording"] for line in lines] == named_in(tmp_path)
    assert named_in(tmp_path) == [str(tmp_path / f"own/speech/talker0/broken{number}.wav") for number in range(6)]
    assert not any("broken" in line["reason"] or "cannot read" in line["reason"] for line in lines)
    with pytest.raises(InputError, match="6 of 12 recordings are broken"):
        open_mixer(manifest, PLAIN, 0.2, 0, cache_directory=tmp_path / "cache", broken=Broken(0.05))


# Hostile shards


def info(
    name: str, kind: bytes = tarfile.REGTYPE, size: int | None = None, link: str = "/etc/passwd"
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    if size is not None:
        member.size = size
    return member


def raw(member: tarfile.TarInfo, form: int = tarfile.GNU_FORMAT) -> bytes:
    """A header that says what it says, and nothing after it."""
    return member.tobuf(form, "utf-8", "surrogateescape") + bytes(1024)


def giant_header(kind: bytes) -> bytes:
    return raw(info("././@LongLink", kind, 1 << 33)) + bytes(2048)


HOSTILE = {
    "a symbolic link": (tar_of([(info("000000.flac", tarfile.SYMTYPE), b"")]), "is a link"),
    "a hard link": (tar_of([(info("000000.flac", tarfile.LNKTYPE), b"")]), "is a link"),
    "a device": (tar_of([(info("000000.flac", tarfile.CHRTYPE), b"")]), "is a device"),
    "a pipe": (tar_of([(info("000000.flac", tarfile.FIFOTYPE), b"")]), "is a device"),
    "a folder": (tar_of([(info("000000.flac", tarfile.DIRTYPE), b"")]), "is a folder"),
    "a way out": (tar_of([("../000000.flac", b"x")]), "leads out of the archive"),
    "a way out inside": (tar_of([("a/../../000000.flac", b"x")]), "leads out of the archive"),
    "an absolute path": (tar_of([("/tmp/000000.flac", b"x")]), "leads out of the archive"),
    "a backslash": (tar_of([("..\\000000.flac", b"x")]), "leads out of the archive"),
    "a name that is not UTF-8": (tar_of([("caf\udce9.flac", b"x")]), r"caf\\udce9.flac is not UTF-8"),
    "a name that clears the screen": (tar_of([("\x1b[2J.flac", b"x")]), "cannot be printed"),
    "a name twice": (tar_of([("0.flac", b"x"), ("0.flac", b"y")]), "is in it twice"),
    "a JSON twice": (tar_of([("0.flac", b"x"), ("0.json", b"{}"), ("0.json", b"{}")]), "is in it twice"),
    "another suffix": (tar_of([("0.sh", b"x")]), "is not a recording of a shard"),
    "more than the index says": (tar_of([(f"{i}.flac", b"x") for i in range(9)]), "holds 9 recordings, its index says"),
    "a size beyond the file": (raw(info("0.flac", size=1 << 20)), "says it has 1048576 bytes"),
    "a giant size": (raw(info("0.flac", size=1 << 40)), "says it has 1099511627776 bytes"),
    "a giant name": (giant_header(tarfile.GNUTYPE_LONGNAME), "a header of"),
    "a giant header": (giant_header(tarfile.XHDTYPE), "a header of"),
    "no tar": (b"x" * 4096, "is not a whole tar file"),
    "compressed": (lzma.compress(bytes(1 << 20)), "is not a whole tar file"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_shard_is_refused_by_name_and_nothing_is_written(case, shards, tmp_path):
    content, told = HOSTILE[case]
    for shard in opened(shards).chosen("speech", "train"):
        rewrite(shards, shard.name, content)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(InputError, match=rf"speech-train-\d+\.tar.*{told}"):
        mixer_of(shards)(0, 0)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("size", [1, 1000])
def test_a_shard_that_is_cut_is_named_before_anything_is_trained(shards, size):
    shard = opened(shards).chosen("speech", "train")[0]
    (shards / shard.name).write_bytes((shards / shard.name).read_bytes()[:-size])
    with pytest.raises(InputError, match=rf"{shard.name} has \d+ bytes, shards.json says \d+: copy it again"):
        opened(shards)


def test_missing_shards_are_done_without_and_told(shards):
    for shard in opened(shards).chosen("speech", "train")[1:]:
        (shards / shard.name).unlink()
    fewer = opened(shards)
    assert any("shards are not there" in notice for notice in fewer.notices)
    assert fewer.notices[0] in mixer_of(shards).notices and mixer_of(shards)(0, 0)
    for path in shards.glob("*.tar"):
        path.unlink()
    with pytest.raises(InputError, match=r"none of the \d+ shards"):
        opened(shards)


def test_a_bit_that_flipped_is_noticed(shards):
    for shard in opened(shards).chosen("speech", "train"):
        content = bytearray((shards / shard.name).read_bytes())
        content[700] ^= 1
        (shards / shard.name).write_bytes(content)
    with pytest.raises(InputError, match="is not the file that its index names"):
        mixer_of(shards)(0, 0)


def test_a_shard_that_changes_under_the_run_is_named(shards):
    mixer = mixer_of(shards)
    mixer(0, 0)
    for shard in opened(shards).chosen("speech", "train"):
        with open(shards / shard.name, "r+b") as file:
            file.write(b"\0" * 2000)
    mixtures = (mixer(0, index) for index in range(1, mixer.block))
    with pytest.raises(InputError, match="was changed while it was read"):
        list(mixtures)


INDEXES = {
    "no JSON": (lambda index: "{", "no readable JSON"),
    "a list": (lambda index: [], "expected keys and values"),
    "another format": (lambda index: index | {"format": "x"}, "format: 'x' is not one of"),
    "an unknown key": (lambda index: index | {"run": "rm -rf"}, "unknown key run"),
    "no shards": (lambda index: index | {"shards": []}, "lists no shards"),
    "a shard twice": (lambda index: index | {"shards": index["shards"] * 2}, "or one of them twice"),
    "a rate that is none": (lambda index: index | {"sample_rate": 1e9}, "sample_rate"),
    **{
        f"the name {name!r}": (lambda index, name=name: edited(index, name=name), "is not the name of a shard")
        for name in ("../a.tar", "/etc/a.tar", "a/b.tar", "a.sh", ".tar", "a\n.tar", "x" * 300 + ".tar", "é.tar")
    },
    "a hash that is none": (lambda index: edited(index, sha256="0"), "is not a SHA-256"),
    "a giant shard": (lambda index: edited(index, bytes=1 << 40), "bytes is 1099511627776"),
    "a giant count": (lambda index: edited(index, items=10**9), "items is 1000000000"),
    "an endless length": (lambda index: edited(index, seconds=1e300), "seconds is 1e.300"),
}


def edited(index: dict, **changes: object) -> dict:
    return index | {"shards": [index["shards"][0] | changes, *index["shards"][1:]]}


@pytest.mark.parametrize("case", INDEXES)
def test_an_index_that_makes_no_sense_is_refused_by_name(case, shards):
    change, told = INDEXES[case]
    made = change(json.loads((shards / INDEX).read_text()))
    (shards / INDEX).write_text(made if isinstance(made, str) else json.dumps(made))
    with pytest.raises(InputError, match=rf"shards\.json.*{told}"):
        open_data(shards)


# Stores and records


def test_a_window_and_a_store_give_the_same_sound(sources, packed, tmp_path):
    shard = opened(packed).chosen("speech", "train")[0]
    window = Window([ShardFile(packed / shard.name, shard, "flac", 16000)], "")
    store = AudioStore.build(sources, window.recordings, tmp_path / "cache")
    for i in range(len(window)):
        assert window.length(i) == store.length(i)
        np.testing.assert_allclose(window.sound(i, 100, 500), store.sound(i, 100, 500), atol=1e-7)


def test_a_window_keeps_what_was_used_last(packed, monkeypatch):
    shard = opened(packed).chosen("speech", "train")[0]
    file = ShardFile(packed / shard.name, shard, "flac", 16000)
    decoded = []
    sound = file.sound
    monkeypatch.setattr(file, "sound", lambda number: (decoded.append(number), sound(number))[1])
    monkeypatch.setattr(windows, "DECODED", 2)
    window = Window([file], "")
    for number in (0, 1, 0, 2, 0, 0, 1):
        assert len(window.read(number, 10, 20)) == 20
    assert decoded == [0, 1, 2, 1]
    np.testing.assert_array_equal(window.read(0, 10, 20), sound(0)[10:30])
    assert len(window.read(0, window.length(0) - 5, 20)) == 5


def test_a_window_takes_the_constant_offset_away_as_a_store_does(tmp_path):
    for name in "abc":
        audio.write(tmp_path / f"own/speech/{name}/x.wav", own_recordings.voice(ord(name), 0, 0.5) + np.float32(0.05))
    write_shards(open_data(tmp_path / "own"), tmp_path / "shards")
    shard = opened(tmp_path / "shards").chosen("speech", "train")[0]
    window = Window([ShardFile(tmp_path / "shards" / shard.name, shard, "flac", 16000)], "")
    assert abs(window.sound(0).mean()) < 1e-5 and audio.from_pcm16(window.read(0)).mean() > 0.04


def test_a_broken_recording_is_noted_once(tmp_path):
    broken = Broken(0.05, tmp_path / RECORD)
    for _ in range(200):
        broken.add(BrokenItem("a", "b"), 10)
    assert (tmp_path / RECORD).read_text() == '{"recording": "a", "reason": "b"}\n'
    (tmp_path / RECORD).write_text('{"recording": "a"}\nhalf a li')
    assert named_in(tmp_path) == ["a"]


def test_a_notice_of_what_is_left_out_knows_name_and_reason_whatever_colons_they_have(tmp_path):
    path = tmp_path / "take 3: loud.flac"
    notice = LeftOut.of(path, InputError(f"cannot read {path}: flac decoder: lost sync"))
    assert notice == f"left out: {path}: flac decoder: lost sync"
    Broken(record=tmp_path / RECORD).add_left_out([pickle.loads(pickle.dumps(notice)), "left out: 7 more files"], 1)
    (line,) = (tmp_path / RECORD).read_text().splitlines()
    assert json.loads(line) == {"recording": str(path), "reason": "flac decoder: lost sync"}
    other = LeftOut.of(path, InputError("cannot use it: no memory"))
    assert (other.name, other.reason) == (str(path), "cannot use it: no memory")


def test_a_share_of_a_corpus_that_no_shard_has_is_told(sources, tmp_path):
    shutil.copytree(sources, tmp_path / "own")
    audio.write(tmp_path / "own/rir/hall/a.wav", np.float32(0.9 * np.exp(-np.arange(4000) / 500)))
    known = open_data(tmp_path / "own")
    corpora = {"speech": "lecture", "noise": "lecture", "rir": "halls"}
    recordings = tuple(replace(each, corpus=corpora[each.kind]) for each in known.recordings)
    write_shards(replace(known, recordings=recordings), tmp_path / "s")
    for name, rooms, told in (("lecture", 0, 0), ("lectures", 0, 1), ("halls", 0, 1), ("halls", 1, 0)):
        config = replace(PLAIN, corpus_shares={name: 0.5}, room_probability=float(rooms))
        notices = open_mixer(opened(tmp_path / "s"), config, 0.3, 0).notices
        assert sum(f"the corpus {name!r}, so its share does nothing" in each for each in notices) == told, notices
