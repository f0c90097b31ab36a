"""Public sound by name: fetched from a server on the loopback, resumed, verified, unpacked without harm, listed."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import lzma
import shutil
import subprocess
import tarfile
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import soundfile
import yaml
from archives import tar, zipped
from file_server import Server, serving
from typer.testing import CliRunner

from tinyse import audio
from tinyse.catalog import get, read_catalog
from tinyse.catalog.entries import Catalog
from tinyse.catalog.unpack import members
from tinyse.errors import InputError
from tinyse.locks import alone_in
from tinyse.recordings import Manifest, Recording, open_data
from tinyse.remote import download

pytest.importorskip("pooch")


def sound(seconds: float = 0.3, kind: str = "FLAC", seed: int = 0) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(seed).normal(size=round(16000 * seconds)), 16000, format=kind)
    return file.getvalue()


def unpacked(path: Path) -> dict[str, bytes | None]:
    return {str(place): content for place, content in members(path, lambda _: True)}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as state:
        yield state


def catalog(path: Path, **corpora: dict[str, object]) -> Catalog:
    common = {"title": "a corpus", "license": "CC0 1.0", "attribution": "Nobody", "homepage": "https://example.org"}
    path.write_text(yaml.safe_dump({"corpora": {name: common | corpus for name, corpus in corpora.items()}}))
    return read_catalog(path)


@pytest.fixture
def speech(server, tmp_path) -> Catalog:
    """Four talkers of LibriSpeech's layout in a .tar.gz, with its hash."""
    files = {
        f"LibriSpeech/dev/{talker}/7/{talker}-7-{i}.flac": sound(seed=10 * talker + i)
        for talker in (11, 12, 13, 14)
        for i in range(2)
    }
    server.files["dev.tar.gz"] = packed = tar(
        files | {"LibriSpeech/LICENSE.TXT": b"be kind", "LibriSpeech/x.txt": b"no"}
    )
    archive = {"url": f"{server.address}/dev.tar.gz", "hash": f"sha256:{hashlib.sha256(packed).hexdigest()}"}
    rule = {"files": r"LibriSpeech/[^/]+/(?P<speaker>\d+)/\d+/[^/]+\.flac", "kind": "speech"}
    return catalog(tmp_path / "catalog.yaml", libri={"archives": [archive], "rules": [rule], "ship": True})


def test_a_corpus_becomes_a_manifest_with_licenses_speakers_and_splits(server, speech, tmp_path):
    (got,) = get(speech, ["libri"], tmp_path / "out", tmp_path / "cache")
    rows = list(csv.DictReader((tmp_path / "out/manifest.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["speaker"] for row in rows} == {f"libri_{talker}" for talker in (11, 12, 13, 14)}
    assert {row["split"] for row in rows} == {"train", "valid", "test"} and {row["ship"] for row in rows} == {"yes"}
    assert all((tmp_path / "out" / row["path"]).is_file() and float(row["seconds"]) == 0.3 for row in rows)
    by_speaker = {(row["speaker"], row["split"]) for row in rows}
    assert len(by_speaker) == 4, "a speaker is in one split"
    assert (tmp_path / "out/libri/notices/LICENSE.TXT").read_bytes() == b"be kind"
    assert "Nobody. CC0 1.0" in (tmp_path / "out/ATTRIBUTIONS.md").read_text()
    assert not list(tmp_path.rglob("x.txt")) and not got.was_there


def test_whoever_waits_sees_how_many_files_are_read(server, speech, tmp_path, monkeypatch):
    """Thousands of short files take minutes; between two archives nothing else is said."""
    read = []

    def track(items, total, text):
        for item in items:
            read.append(text)
            yield item

    monkeypatch.setattr("tinyse.catalog.corpus.track", track)
    get(speech, ["libri"], tmp_path / "out", tmp_path / "cache")
    assert read == ["libri: reading dev.tar.gz"] * 9, "eight recordings and the license"


def test_what_is_there_is_not_fetched_again(server, speech, tmp_path):
    get(speech, ["libri"], tmp_path / "out", tmp_path / "cache")
    server.asked.clear()
    (again,) = get(speech, ["libri"], tmp_path / "out", tmp_path / "cache")
    assert again.was_there and not server.asked
    (elsewhere,) = get(speech, ["libri"], tmp_path / "other", tmp_path / "cache")
    assert not elsewhere.was_there and not server.asked, "the archive was kept"


def test_two_that_fetch_one_archive_take_turns(server, speech, tmp_path, monkeypatch, capsys):
    """Both would append to one part of it."""
    both = threading.Barrier(2)

    def slowly(*arguments, **options):
        time.sleep(0.3)
        download(*arguments, **options)

    def get_to(name):
        both.wait()
        return get(speech, ["libri"], tmp_path / name, tmp_path / "cache")[0].manifest.recordings

    monkeypatch.setattr("tinyse.catalog.fetch.download", slowly)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(get_to, ("one", "two"))
    assert first == second and len(server.asked) == 1
    assert "note: another process is fetching dev.tar.gz" in capsys.readouterr().err


def test_a_folder_that_another_process_fills_is_refused(server, speech, tmp_path):
    with alone_in(tmp_path / "out"), pytest.raises(InputError, match="another process is writing to"):
        get(speech, ["libri"], tmp_path / "out", tmp_path / "cache")
    assert not server.asked


def test_a_line_that_breaks_is_taken_up_where_it_broke(server, speech, tmp_path):
    size = len(server.files["dev.tar.gz"])
    server.breaks_after = [size // 2]
    get(speech, ["libri"], tmp_path / "out", tmp_path / "cache")
    first, second = (asked for _, asked in server.asked)
    assert first == "" and 0 < resumed_at(second) <= size // 2
    assert (tmp_path / "cache/dev.tar.gz").read_bytes() == server.files["dev.tar.gz"]


def resumed_at(asked: str) -> int:
    return int(asked.removeprefix("bytes=").rstrip("-") or 0)


def test_a_later_call_goes_on_as_well(server, speech, tmp_path, monkeypatch):
    from tinyse import remote

    monkeypatch.setattr(remote, "TRIES", 1)
    size = len(server.files["dev.tar.gz"])
    server.breaks_after = [size // 3]
    with pytest.raises(InputError, match=r"cannot fetch dev\.tar\.gz"):
        get(speech, ["libri"], tmp_path / "out", tmp_path / "cache")
    assert not (tmp_path / "cache/dev.tar.gz").exists() and not (tmp_path / "out/manifest.csv").exists()
    get(speech, ["libri"], tmp_path / "out", tmp_path / "cache")
    assert 0 < resumed_at(server.asked[-1][1]) <= size // 3


def test_another_file_than_the_catalog_describes_is_refused_and_leaves_nothing(server, speech, tmp_path):
    server.files["dev.tar.gz"] = b"an error page" * 100
    with pytest.raises(InputError, match="not the file that the catalog describes"):
        get(speech, ["libri"], tmp_path / "out", tmp_path / "cache")
    # The lock stays: who waits for it holds the file.
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()} - {"catalog.yaml", ".dev.tar.gz.lock"}
    assert not left


def test_a_missing_file_is_named(server, speech, tmp_path):
    server.files.clear()
    with pytest.raises(InputError, match=r"cannot fetch dev\.tar\.gz: 404"):
        get(speech, ["libri"], tmp_path / "out", tmp_path / "cache")


def test_a_file_without_a_hash_must_not_change(server, tmp_path):
    rule = {"files": r"(?P<label>rain|wind)-(?P<source>\d+)\.wav", "kind": "noise"}
    known = catalog(
        tmp_path / "c.yaml", noise={"archives": [{"url": f"{server.address}/n.zip?download=1"}], "rules": [rule]}
    )
    server.files["n.zip?download=1"] = zipped(
        {"rain-1.wav": sound(kind="WAV"), "wind-2.wav": sound(kind="WAV", seed=1)}
    )
    (got,) = get(known, ["noise"], tmp_path / "out", tmp_path / "cache")
    assert {(r.label, r.source, r.ship) for r in got.manifest.recordings} == {
        ("rain", "noise:1", False),
        ("wind", "noise:2", False),
    }
    (tmp_path / "out/noise/manifest.csv").unlink()
    (tmp_path / "cache/n.zip").write_bytes(zipped({"rain-1.wav": sound(kind="WAV", seed=5)}))
    with pytest.raises(InputError, match="has changed since it was fetched first"):
        get(known, ["noise"], tmp_path / "out", tmp_path / "cache")


def test_corpora_that_share_talkers_share_their_names(server, tmp_path):
    rule = {"files": r"(?P<speaker>\d+)\.flac", "kind": "speech"}
    both = {}
    for name in ("one", "two"):
        server.files[f"{name}.tar.gz"] = tar({"84.flac": sound(seed=len(both))})
        both[name] = {"archives": [{"url": f"{server.address}/{name}.tar.gz"}], "rules": [rule], "speakers": "libri"}
    done = get(catalog(tmp_path / "c.yaml", **both), ["one", "two"], tmp_path / "out", tmp_path / "cache")
    assert {got.manifest.recordings[0].speaker for got in done} == {"libri_84"}


def test_recordings_are_called_by_the_corpus_that_they_are_of(server, tmp_path):
    """As in manifests elsewhere, so that shares by corpus hold for both."""
    server.files["a.tar.gz"] = tar({"84.flac": sound()})
    rule = {"files": r"(?P<speaker>\d+)\.flac", "kind": "speech"}
    one = {"archives": [{"url": f"{server.address}/a.tar.gz"}], "rules": [rule], "corpus": "libri"}
    known = catalog(tmp_path / "c.yaml", one=one)
    for _ in range(2):  # the second call knows its own manifest
        (got,) = get(known, ["one"], tmp_path / "out", tmp_path / "cache")
    assert got.was_there and {each.corpus for each in open_data(tmp_path / "out/manifest.csv").recordings} == {"libri"}
    audio.write(tmp_path / "out/mine/noise.wav", np.full(16000, 0.1, np.float32))
    row = Recording("mine/noise.wav", 1.0, "noise", "train")
    Manifest(tmp_path / "out", (row,)).write(tmp_path / "out/manifest.csv")
    with pytest.raises(InputError, match="of no corpus"):
        get(known, ["one"], tmp_path / "out", tmp_path / "cache")


def test_a_zip_in_parts_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    """By what 7z lists, here from a script: 7z need not be installed."""
    tool = tmp_path / "7z"
    monkeypatch.setattr("shutil.which", lambda name: str(tool))
    for name in ("a.zip", "a.z01"):
        (tmp_path / name).write_bytes(bytes(100))
    for size, fits in ((3900, True), (3901, False)):
        listed = f"Path = a.zip\nPhysical Size = 200\n\nPath = one\nSize = 4100\n\nPath = two\nSize = {size}\nPacked Size = 9\n"
        unpacks = (
            f'for each; do case "$each" in -o*) echo sound > "${{each#-o}}/one"; touch {tmp_path}/unpacked;; esac; done'
        )
        tool.write_text(f"#!/bin/sh\nif [ $1 = l ]; then cat <<END\n{listed}END\nelse {unpacks}; fi\n")
        tool.chmod(0o755)
        (tmp_path / "unpacked").unlink(missing_ok=True)
        if fits:
            assert list(members(tmp_path / "a.zip", lambda place: True)) == [(PurePosixPath("one"), b"sound\n")]
        else:
            with pytest.raises(InputError, match=r"a\.zip: it unpacks to more than 40 times its size"):
                list(members(tmp_path / "a.zip", lambda place: True))
        assert (tmp_path / "unpacked").exists() == fits


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b.flac", "..\\b.flac"])
@pytest.mark.parametrize("pack", [tar, zipped])
def test_paths_that_lead_out_of_an_archive_are_refused(pack, name, tmp_path):
    path = tmp_path / ("a.zip" if pack is zipped else "a.tar.gz")
    path.write_bytes(pack({name: sound()}))
    if pack is zipped and "\\" in name:
        pytest.skip("zipfile turns backslashes into slashes on reading, and the next name covers that")
    with pytest.raises(InputError, match="leads out of the archive"):
        unpacked(path)


def member(name: str, kind: bytes, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, "/etc/passwd", size
    return info


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_are_not_followed_and_are_named(server, tmp_path, kind):
    with tarfile.open(tmp_path / "n.tar", "w") as archive:
        archive.addfile(member("link.flac", kind))
        for number in range(2):
            info = tarfile.TarInfo(f"{number}.flac")
            info.size = len(content := sound(seed=number))
            archive.addfile(info, io.BytesIO(content))
    server.files["n.tar"] = (tmp_path / "n.tar").read_bytes()
    rule = {"files": r".*\.flac", "kind": "noise"}
    known = catalog(tmp_path / "c.yaml", noise={"archives": [{"url": f"{server.address}/n.tar"}], "rules": [rule]})
    (got,) = get(known, ["noise"], tmp_path / "out", tmp_path / "cache")
    assert [r.path for r in got.manifest.recordings] == ["0.flac", "1.flac"]
    assert got.manifest.notices == ("left out: n.tar/link.flac: a link, which is not followed",)
    assert not list((tmp_path / "out").rglob("link*"))


def test_links_in_a_zip_are_not_followed(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link.flac")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert unpacked(tmp_path / "a.zip") == {"link.flac": None}


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused_by_name(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(member("x.flac", kind))
    with pytest.raises(InputError, match=r"a\.tar: 'x\.flac' is a device"):
        unpacked(tmp_path / "a.tar")


@pytest.mark.parametrize("compress", [lambda c: c, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_without_end_is_refused_before_it_is_read(tmp_path, kind, compress):
    """tarfile would read it into memory: 20 MB here, as many as one likes elsewhere."""
    header = member("././@LongLink", kind, 20_000_000).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(compress(header + bytes(20_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"a\.tar is not a complete archive: a header of 20000000 bytes"):
            unpacked(tmp_path / "a.tar")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_is_refused_wherever_in_a_tar_it_lies(tmp_path, compress):
    """Also where no member declares it: zeros after the end of the archive, or folders without number."""
    folders = b"".join(member(f"{i}", tarfile.DIRTYPE).tobuf() for i in range(20_000))
    (tmp_path / "a.tar").write_bytes(compress(folders))
    with pytest.raises(InputError, match="times its size"):
        unpacked(tmp_path / "a.tar")


def test_a_size_that_only_the_header_has_is_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(
        member("x.flac", tarfile.REGTYPE, 1 << 33).tobuf(tarfile.GNU_FORMAT) + bytes(10_000)
    )
    with pytest.raises(InputError, match="times its size"):
        unpacked(tmp_path / "a.tar")


def test_a_file_beyond_what_memory_should_hold_is_refused(tmp_path, monkeypatch):
    from tinyse.catalog import unpack

    monkeypatch.setattr(unpack, "MEMBER_BYTES", 1000)
    (tmp_path / "a.tar.gz").write_bytes(tar({"x.flac": sound()}))
    with pytest.raises(InputError, match=r"'x\.flac' says it has \d+ bytes, over 1000"):
        unpacked(tmp_path / "a.tar.gz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_a_name_that_is_there_twice_is_refused(tmp_path, name):
    if name == "a.zip":
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for content in ("one", "two"):
                archive.writestr("x.flac", content)
    else:
        with tarfile.open(tmp_path / name, "w") as archive:
            for _ in range(2):
                archive.addfile(member("x.flac", tarfile.REGTYPE))
    with pytest.raises(InputError, match="is in it twice"):
        unpacked(tmp_path / name)


def test_a_wanted_name_that_is_not_utf8_is_refused_and_another_is_not(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(member("caf\udce9.flac", tarfile.REGTYPE))
    with pytest.raises(InputError, match=r"the name caf\\udce9\.flac is not UTF-8"):
        unpacked(tmp_path / "a.tar")
    assert list(members(tmp_path / "a.tar", lambda _: False)) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    (tmp_path / "bomb.zip").write_bytes(zipped({"silence.wav": bytes(50_000_000)}))
    with pytest.raises(InputError, match="times its size"):
        unpacked(tmp_path / "bomb.zip")


@pytest.mark.parametrize(("name", "pack"), [("a.zip", zipped), ("a.tar.gz", tar)])
def test_half_an_archive_is_named(name, pack, tmp_path):
    whole = pack({f"{i}.flac": sound(seed=i) for i in range(20)})
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=f"{name} is not a complete archive"):
        unpacked(tmp_path / name)


def test_a_debian_package_is_read(tmp_path):
    if shutil.which("dpkg-deb") is None:
        pytest.skip("needs dpkg-deb")
    (tmp_path / "p/DEBIAN").mkdir(parents=True)
    (tmp_path / "p/DEBIAN/control").write_text(
        "Package: some\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    (tmp_path / "p/usr/share").mkdir(parents=True)
    (tmp_path / "p/usr/share/a.flac").write_bytes(content := sound())
    subprocess.run(["dpkg-deb", "-Zxz", "-b", tmp_path / "p", tmp_path / "some.deb"], check=True, capture_output=True)
    assert unpacked(tmp_path / "some.deb") == {"usr/share/a.flac": content}


def debian_package(path: Path, files: dict[str, bytes]) -> None:
    """A package with its data uncompressed, whose size therefore says what reading it takes."""
    content = gzip.decompress(tar(files))
    parts = {"debian-binary": b"2.0\n", "data.tar": content}
    packed = b"!<arch>\n"
    for name, part in parts.items():
        packed += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n".encode() + part + b"\n" * (len(part) % 2)
        )
    path.write_bytes(packed)


def test_a_large_package_is_not_read_into_memory(tmp_path):
    debian_package(tmp_path / "some.deb", {"large.bin": bytes(20_000_000), "./usr/a.flac": b"sound"})
    tracemalloc.start()
    try:
        found = dict(members(tmp_path / "some.deb", lambda place: place.suffix == ".flac"))
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert {str(place): content for place, content in found.items()} == {"usr/a.flac": b"sound"}


@pytest.mark.parametrize("pack", [zipped, tar], ids=["zip", "tar"])
def test_an_archive_in_an_archive_is_opened(server, tmp_path, pack):
    """As games have it: all data in one zip in the package, licenses in both."""
    inner = f"share/data.{'zip' if pack is zipped else 'tar.gz'}"
    files = {
        "audio/a.flac": sound(seed=1),
        "audio/LICENSE.txt": b"sound",
        "art/LICENSE.txt": b"art",
        "art/a.png": b"no",
    }
    debian_package(
        tmp_path / "some.deb", {inner: pack(files), "share/copyright": b"all", "share/b.flac": sound(seed=2)}
    )
    server.files["some.deb"] = (tmp_path / "some.deb").read_bytes()
    archive = {"url": f"{server.address}/some.deb", "inside": inner}
    rule = {"files": rf"{inner}/audio/(?P<label>[a-z])\.flac", "kind": "noise"}
    some = catalog(tmp_path / "catalog.yaml", some={"archives": [archive], "rules": [rule]})
    (got,) = get(some, ["some"], tmp_path / "out", tmp_path / "cache")
    (recording,) = got.manifest.recordings
    assert (recording.path, recording.label) == (f"{inner}/audio/a.flac", "a")
    assert (tmp_path / "out/some" / recording.path).read_bytes() == files["audio/a.flac"]
    assert sorted(path.read_bytes() for path in (tmp_path / "out/some/notices").iterdir()) == [b"all", b"art", b"sound"]
    assert not list(tmp_path.rglob(".inside*"))


@pytest.mark.parametrize("inner", [zipped({"../a.flac": b""}), zipped({"a.flac": bytes(1 << 20)}), b"no archive"])
def test_an_archive_in_an_archive_is_not_trusted_either(tmp_path, inner):
    debian_package(tmp_path / "some.deb", {"data.zip": inner})
    with pytest.raises(InputError, match=r"data\.zip"):
        list(members(tmp_path / "some.deb", lambda _: True, "data.zip"))
    assert [path.name for path in tmp_path.iterdir()] == ["some.deb"]


def test_files_that_cannot_be_read_are_left_out_by_name(server, tmp_path):
    server.files["n.tar.gz"] = tar({"a.flac": sound(), "b.flac": b"no sound"})
    rule = {"files": r".*\.flac", "kind": "noise"}
    known = catalog(tmp_path / "c.yaml", noise={"archives": [{"url": f"{server.address}/n.tar.gz"}], "rules": [rule]})
    (got,) = get(known, ["noise"], tmp_path / "out", tmp_path / "cache")
    assert [r.path for r in got.manifest.recordings] == ["a.flac"]
    assert len(got.manifest.notices) == 1 and "b.flac" in got.manifest.notices[0]


def test_the_list_can_be_read_in_a_small_terminal(monkeypatch):
    """Words a letter or two wide made 300 lines of it."""
    from tinyse.commands.main import app

    monkeypatch.setenv("COLUMNS", "80")
    known, lines = read_catalog(), CliRunner().invoke(app, ["data", "get"]).stdout.splitlines()
    assert len(lines) < 3.5 * len(known.corpora)
    assert any(line.startswith(" asterisk-en *") and "yes" in line for line in lines)
    assert "start: librispeech-dev-clean, esc-50, rirs-noises" in lines


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'librispeech-dev-clean'"):
        read_catalog().chosen(["librispeech-dev-claen"])


@pytest.mark.parametrize(
    ("corpus", "path", "said"),
    [
        ("librispeech-dev-clean", "LibriSpeech/dev-clean/84/121123/84-121123-0000.flac", {"speaker": "84"}),
        ("libritts-r-dev-clean", "LibriTTS_R/dev-clean/84/121123/84_121123_000007_000001.wav", {"speaker": "84"}),
        ("vctk", "wav48_silence_trimmed/p225/p225_001_mic1.flac", {"speaker": "p225"}),
        ("vctk", "wav48_silence_trimmed/p225/p225_001_mic2.flac", None),
        ("musan", "musan/noise/free-sound/noise-free-sound-0000.wav", {"label": "noise"}),
        ("musan", "musan/speech/librivox/speech-librivox-0000.wav", None),
        ("demand", "DKITCHEN/ch01.wav", {"label": "DKITCHEN", "source": "DKITCHEN"}),
        ("demand", "DKITCHEN/ch02.wav", None),
        ("esc-50", "ESC-50-master/audio/1-100032-A-0.wav", {"source": "100032", "label": "0"}),
        ("fsd50k-eval", "FSD50K.eval_audio/37199.wav", {"source": "37199"}),
        (
            "rirs-noises",
            "RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-00001.wav",
            {"label": "smallroom/Room001"},
        ),
        ("rirs-noises", "RIRS_NOISES/pointsource_noises/noise-free-sound-0000.wav", {}),
        ("dns-noise-000", "datasets_fullband/noise_fullband/--1yAt_Yg.wav", {"source": "--1yAt_Yg"}),
    ],
)
def test_rules_read_the_paths_that_publishers_document(corpus, path, said):
    import re

    matches = [m for rule in read_catalog().corpora[corpus].rules if (m := re.fullmatch(rule.files, path))]
    assert (matches[0].groupdict() if matches else None) == said


def test_what_may_ship_names_its_license():
    for name, corpus in read_catalog().corpora.items():
        assert corpus.attribution and corpus.homepage.startswith("https://"), name
        if corpus.ship:
            assert re_open(corpus.license), f"{name}: {corpus.license}"


def re_open(license: str) -> bool:
    return "NC" not in license and any(word in license for word in ("CC", "Apache", "BSD", "MIT", "public domain"))


def test_a_package_of_debian_is_fetched_and_verified(tmp_path):
    if shutil.which("apt-get") is None:
        pytest.skip("needs apt-get")
    try:
        (got,) = get(read_catalog(), ["freedesktop"], tmp_path / "out", tmp_path / "cache")
    except InputError as error:
        pytest.skip(f"Debian's packages cannot be reached: {error}")
    assert len(got.manifest.recordings) == 24 - 7 and {r.kind for r in got.manifest.recordings} == {"noise"}
