"""`tinyse data get open`: the recordings of the released models file by file, from archives in their publishers' layouts."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
import yaml
from archives import tar, zipped
from file_server import Server, serving
from typer.testing import CliRunner

from tinyse import released
from tinyse.catalog import corpus as work
from tinyse.catalog import disk_use, get, read_catalog
from tinyse.catalog.entries import Catalog, Corpus, Listed
from tinyse.commands.main import app
from tinyse.errors import InputError
from tinyse.recordings.manifest import Recording
from tinyse.recordings.splits import check_leaks

pytest.importorskip("pooch")

LAYOUTS = {
    "open-speechocean762": r"speechocean762/WAVE/SPEAKER(\d{4})/\d{9}\.WAV",
    "open-cmu-arctic": r"cmu_us_(\w{3})_arctic/wav/arctic_[ab]\d{4}\.wav",
    "open-librispeech": r"[0-9a-f]{40}/audio_data/librispeech_train-clean-100/(\d+)-\d+-0000\.flac",
    "open-picovoice-s2i": r"[0-9a-f]{40}/data/speech/clean/[0-9a-f-]{36}\.wav",
    "open-picovoice-wake": r"[0-9a-f]{40}/audio/(alexa/\d+\.flac|(computer|jarvis|smart mirror|snowboy|view glass)/"
    r"[0-9a-f-]{36}\.wav)",
    "open-dbspeech": r"[0-9a-f]{40}/DBSpeech-1\.0/wavs/barnes\d\d_\d{3}\.wav",
    "open-sorbian-asr": r"[0-9a-f]{40}/step3_model_training_kaldi/inputs/sig/(ADP/RECS/\d{4}|CV/CV\d{5})/\w+\.wav",
    "open-vctk": r"[\w-]+/[\w-]+/[0-9a-f]{40}/(wavs|Demo/VCTK-corpus)/p\d{3}/p\d{3}_\d{3}\.wav",
    "open-ljspeech": r"[0-9a-f]{40}/tests/data/ljspeech/wavs/LJ001-\d{4}\.flac",
    "open-emodb": r"[0-9a-f]{40}/wav/\d\d[ab]\d\d[A-Z][a-z]\.wav",
    "open-esc": r"ESC-50-master/audio/\d-\d+-[A-H]-\d+\.wav",
    "open-noises": r"[\w-]+/[\w-]+/[0-9a-f]{40}/[\w@(),.&'/-]+\.(ogg|mp3|wav|m4a)",
}
WITHOUT_ADDRESS = {"coswara", "audio_ar_weather", "cdda_cc_sounds", "focus_valley", "livekit", "noisekun", "openrct2",
                   "quietsleep", "tandemonium", "tascar", "wbot"}  # fmt: skip
"""Corpora of the released models that the list leaves out; docs/how-to/rebuild.md says so."""


@pytest.fixture(scope="module")
def known() -> Catalog:
    return read_catalog()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as state:
        yield state


def listed(known: Catalog) -> list[tuple[str, Corpus, Listed]]:
    return [(name, known.corpora[name], each) for name in known.sets["open"] for each in known.corpora[name].listed]


def as_recording(name: str, corpus: Corpus, each: Listed) -> Recording:
    speaker = f"{corpus.corpus}_{each.speaker}" if each.speaker else ""
    return Recording(
        each.path, 1.0, each.kind, each.split, speaker, each.label, each.source or f"{name}:{each.path}", name
    )


def sound(seed: int, kind: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(seed).normal(size=16000), 16000, format=kind)
    return file.getvalue()


def test_every_path_is_in_its_publishers_layout(known):
    assert set(LAYOUTS) == set(known.sets["open"])
    for name, _, each in listed(known):
        assert re.fullmatch(LAYOUTS[name], each.path), f"{name}: {each.path}"


def test_no_speaker_and_no_source_is_in_two_splits(known):
    recordings = [as_recording(*each) for each in listed(known)]
    check_leaks(recordings)
    assert len({(each.corpus, each.path) for each in recordings}) == len(recordings)
    speakers = defaultdict(set)
    for each in recordings:
        if each.speaker:
            speakers[each.split].add(each.speaker)
    assert (len(speakers["valid"]), len(speakers["test"])) == (30, 30), "as in the released models' data"


def test_only_open_licenses_and_each_file_says_whom_to_name(known):
    for name, corpus, each in listed(known):
        license = each.license or corpus.license
        assert corpus.ship and "NC" not in license and re.search("CC|Apache|BSD|MIT|(?i:public domain)", license), each
        assert name != "open-noises" or each.attribution


def test_the_list_has_what_the_cards_of_the_released_models_name(known):
    have = {name.removeprefix("open-").replace("-", "_") for name in known.sets["open"]}
    noises = {"ambient_engine": "hsbakshi", "ambientsounds": "Muges", "berlin_noise": "thomasrosen", "blanket": "rafael",
              "bldc_motor": "grigoriev", "gui_project": "DrunkenToast", "librosa_data": "librosa",
              "max_audio_samples": "IBM/", "modern_alarm_clock": "jtgsystems", "noixer": "abetusk",
              "speech_commands_bg": "chaeyoung-lee"}  # fmt: skip
    paths = [each.path for each in known.corpora["open-noises"].listed]
    have |= {name for name, start in noises.items() if any(path.startswith(start) for path in paths)}
    have = have - {"esc", "noises"} | {"esc10", "esc50_nc"}
    for model in released.names():
        card = json.loads((released.FOLDER / model / "card.json").read_text())
        if card["data_hash"].startswith("0ac19ce3"):  # the recordings that the list was made from
            named = {corpus for kind in ("speech", "noise") for corpus in card["data"][kind]["corpora"]}
            assert named - have == WITHOUT_ADDRESS and have <= named
            files = sum(each.kind == "speech" and each.split == "train" for _, _, each in listed(known))
            assert files == card["data"]["speech"]["files"] - 33 - 14, "all but coswara and fourteen sentences of VCTK"


@pytest.fixture
def small(known, server) -> Catalog:
    """The set `open` with a few files of each corpus and split, in the real layouts, from a server on the loopback."""
    rows: dict[tuple[str, str], list[Listed]] = defaultdict(list)
    for name, _, each in listed(known):
        rows[name, each.split].append(each)
    chosen: dict[str, tuple[Listed, ...]] = {}
    for name in known.sets["open"]:
        few = [each for split in ("train", "valid", "test") for each in rows[name, split][:3]]
        # MP3 and m4a would need an encoder here.
        chosen[name] = tuple(each for each in few if not each.path.endswith((".mp3", ".m4a"))) or tuple(few)
    corpora = {}
    for number, (name, files) in enumerate(chosen.items()):
        archives = []
        for archive in known.corpora[name].archives:
            if archive.each:
                base = f"{number}/{archive.url.removeprefix('https://raw.githubusercontent.com/')}"
                archives.append(replace(archive, url=f"{server.address}/{base}"))
                for place, each in enumerate(files):
                    kind = {"ogg": "OGG", "flac": "FLAC"}.get(each.path.rpartition(".")[2], "WAV")
                    server.files[quote(f"{base}{each.path}")] = sound(100 * number + place, kind)
                continue
            file = archive.url.rpartition("/")[2]
            archives.append(replace(archive, url=f"{server.address}/{file}", hash=None))
            inside = {each.path: sound(100 * number + place, "WAV") for place, each in enumerate(files)}
            if "cmu_us" in file:
                inside = {path: content for path, content in inside.items() if path.startswith(file.split(".")[0])}
            inside |= {f"{files[0].path.partition('/')[0]}/LICENSE": b"be kind", "more/other.wav": sound(1, "WAV")}
            server.files[file] = zipped(inside) if file.endswith("zip") else tar(inside, file.rpartition(".")[2])
        corpora[name] = replace(known.corpora[name], listed=files, archives=tuple(archives))
    return Catalog(corpora, {}, {"open": tuple(corpora)})


def test_the_set_becomes_one_manifest_with_the_listed_speakers_and_splits(small, tmp_path):
    done = get(small, ["open"], tmp_path / "open", tmp_path / "cache")
    assert [got.manifest.notices for got in done] == [()] * len(done)
    rows = list(csv.DictReader((tmp_path / "open/manifest.csv").read_text(encoding="utf-8").splitlines()))
    expected = {
        (f"{name}/{each.path}", each.split, as_recording(name, corpus, each).speaker, each.label)
        for name, corpus, each in listed(small)
    }
    assert {(row["path"], row["split"], row["speaker"], row["label"]) for row in rows} == expected
    assert all(row["ship"] == "yes" and row["license"] for row in rows)
    assert (tmp_path / "open/open-esc/notices/LICENSE").read_bytes() == b"be kind"
    assert not list((tmp_path / "open").rglob("other.wav"))
    credits = (tmp_path / "open/ATTRIBUTIONS.md").read_text()
    first = next(each for _, _, each in listed(small) if each.attribution)
    assert f"({first.source}): {first.attribution}, {first.license}" in credits and "**open-esc**" in credits


def test_the_recipe_of_a_released_model_trains_on_it(small, tmp_path):
    pytest.importorskip("torch")
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run

    get(small, ["open"], tmp_path / "open", tmp_path / "cache")
    short = "updates=1 batch=2 seconds=0.5 valid_every=1 warmup=0"
    path = released.FOLDER.parents[1] / "recipes/student-200k.yaml"
    keys = [f"stages.{stage}.{key}" for stage in load_recipe(path).stages for key in short.split()]
    more = ["stages.integers.quantize.clips=2", "valid_clips=2", "threads=1", "workers=0", f"output={tmp_path / 'run'}"]
    recipe = load_recipe(path, [f"data={tmp_path / 'open/manifest.csv'}", *keys, *more])
    assert run(recipe, lambda _: None, lambda _: None).is_file()


def test_what_was_interrupted_goes_on_without_fetching_again(small, server, tmp_path, monkeypatch):
    taken = []
    write = work.write_bytes

    def ends(path, content):
        taken.append(path)
        if len(taken) == 30:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(work, "write_bytes", ends)
    with pytest.raises(KeyboardInterrupt):
        get(small, ["open"], tmp_path / "open", tmp_path / "cache")
    monkeypatch.undo()
    assert (tmp_path / "open/manifest.csv").is_file(), "over the corpora that were finished"
    asked = {path for path, _ in server.asked}
    server.asked.clear()
    done = get(small, ["open"], tmp_path / "open", tmp_path / "cache")
    assert not asked & {path for path, _ in server.asked} and any(got.was_there for got in done)
    assert sum(len(got.manifest.recordings) for got in done) == len(listed(small))
    server.asked.clear()
    assert (
        all(got.was_there for got in get(small, ["open"], tmp_path / "open", tmp_path / "cache")) and not server.asked
    )


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_the_server_no_longer_has_is_left_out_by_name(small, server, tmp_path, status):
    lost = small.corpora["open-librispeech"].listed[0].path
    server.errors.append(status)  # of the first file
    (got,) = get(small, ["open-librispeech"], tmp_path / "open", tmp_path / "cache")
    (notice,) = got.manifest.notices
    assert lost in notice and "the server does not have it" in notice
    assert lost not in {row.path for row in got.manifest.recordings}


def test_a_file_that_an_archive_lacks_is_left_out_by_name(small, tmp_path):
    corpus = small.corpora["open-esc"]
    gone = Listed("ESC-50-master/audio/1-1-A-1.wav", "noise", "train", label="rain", source="freesound:1")
    changed = Catalog({"open-esc": replace(corpus, listed=(*corpus.listed, gone))})
    (got,) = get(changed, ["open-esc"], tmp_path / "open", tmp_path / "cache")
    assert got.manifest.notices == (f"left out: {gone.path}: no archive has it",)


def test_a_server_that_fails_is_named_and_what_had_come_is_kept(small, server, tmp_path, monkeypatch):
    from tinyse import remote

    monkeypatch.setattr(remote, "TRIES", 1)
    files = len(small.corpora["open-librispeech"].listed)
    server.breaks_after = [10**6] * (files - 1) + [20_000]
    with pytest.raises(InputError, match="cannot fetch resemble-ai-Resemblyzer"):
        get(small, ["open-librispeech"], tmp_path / "open", tmp_path / "cache")
    assert len(list((tmp_path / "cache").rglob("*.flac"))) == files - 1
    server.asked.clear()
    server.breaks_after.clear()
    get(small, ["open-librispeech"], tmp_path / "open", tmp_path / "cache")
    ((_, wanted),) = server.asked
    assert 0 < int(wanted.removeprefix("bytes=").rstrip("-")) <= 20_000


def test_a_new_list_is_taken_up_though_the_old_one_was_finished(small, tmp_path):
    get(small, ["open-ljspeech"], tmp_path / "open", tmp_path / "cache")
    corpus = small.corpora["open-ljspeech"]
    fewer = Catalog({"open-ljspeech": replace(corpus, listed=corpus.listed[:1])})
    (got,) = get(fewer, ["open-ljspeech"], tmp_path / "open", tmp_path / "cache")
    assert not got.was_there and len(got.manifest.recordings) == 1


def test_room_is_told_and_missing_room_is_refused(small, tmp_path, monkeypatch):
    takes = disk_use(small, ["open"], tmp_path / "new/open", tmp_path / "new/cache")
    everything = sum(small.corpora[name].megabytes for name in small.sets["open"])
    assert takes.to_fetch == everything and takes.at_most == 2 * everything and takes.free > 0
    get(small, ["open-cmu-arctic"], tmp_path / "new/open", tmp_path / "new/cache")
    left = everything - small.corpora["open-cmu-arctic"].megabytes
    assert disk_use(small, ["open"], tmp_path / "new/open", tmp_path / "new/cache").to_fetch == left
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e8))
    with pytest.raises(InputError, match=r"the archives have 2,\d+ MB, and .* has 100 MB left"):
        disk_use(small, ["open"], tmp_path / "open", tmp_path / "cache")


def test_a_file_where_a_folder_should_be_is_told_before_anything_is_fetched(small, tmp_path):
    (tmp_path / "file").touch()
    for output, cache in (("file", "cache"), ("file/deeper", "cache"), ("open", "file/archives")):
        with pytest.raises(InputError, match=r"/file is a file: give a folder for --output and for --cache"):
            disk_use(small, ["open"], tmp_path / output, tmp_path / cache)


LIST = "corpus,kind,split,speaker,label,source,license,attribution,folder,files\n"


def small_catalog(folder: Path, rows: str | None, **more: object) -> Path:
    corpus = {"title": "t", "license": "CC0", "attribution": "n", "homepage": "https://x", "list": "list.csv",
              "archives": [{"url": "http://127.0.0.1:9/", "each": True}]}  # fmt: skip
    (folder / "c.yaml").write_text(yaml.safe_dump({"corpora": {"some": corpus | more}}))
    if rows is not None:
        (folder / "list.csv").write_text(LIST + rows)
    return folder / "c.yaml"


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        (None, {}, r"corpora\.some\.list: there is no .*list\.csv"),
        ("other,noise,train,,,,,,,a.wav\n", {}, "has no files of 'some'"),
        ("some,sound,train,,,,,,,a.wav\n", {}, r"list\.csv, line 2"),
        (
            "some,noise,train,,,,,,,a.wav\n",
            {"rules": [{"files": "x", "kind": "noise"}]},
            "rules or a list, one of them",
        ),
        ("some,noise,train,,,,,,,a.wav\n", {"archives": [{"url": "http://x/y", "each": True}]}, "ends in '/'"),
    ],
)
def test_mistakes_in_a_list_are_named(tmp_path, rows, more, message):
    with pytest.raises(InputError, match=message):
        read_catalog(small_catalog(tmp_path, rows, **more))


def test_the_command_says_what_it_takes(tmp_path, server):
    rows = "some,noise,train,,rain,,,N. N.,below it,a b.wav|c.wav\n"
    path = small_catalog(tmp_path, rows, archives=[{"url": f"{server.address}/", "each": True, "megabytes": 3}])
    server.files |= {"below%20it/a%20b.wav": sound(0, "WAV"), "below%20it/c.wav": sound(1, "WAV")}
    command = ["data", "get", "some", "--catalog", str(path), "--output", str(tmp_path / "out")]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0, said.exception
    assert "fetching 3 MB; with what is unpacked at most 6 MB are taken" in said.stderr
    assert "2 files" in said.stdout
