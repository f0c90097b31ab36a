"""Shards on a server: fetched a few at a time, resumed, verified; a server that fails ends in one line, never in other data."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import own_recordings
import pytest
from file_server import Server, serving

from tinyse import remote
from tinyse.errors import InputError
from tinyse.mixtures import MixtureConfig, open_mixer
from tinyse.recordings import buffer, open_data, packing, write_shards
from tinyse.recordings.shards import DIGESTS, INDEX, read_index

pytest.importorskip("requests")
PLAIN = MixtureConfig().plain()


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    own_recordings.write(folder / "own", talkers=14, noises=14, seconds=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "SHARD_ITEMS", 2)
        patch.setattr(packing, "RUN_SECONDS", 0.5)
        write_shards(open_data(folder / "own"), folder / "shards")
    return folder / "shards"


@pytest.fixture
def server(packed, tmp_path, monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(buffer, "TRIES", 3)
    monkeypatch.setattr(remote.time, "sleep", lambda _: None)
    with serving() as state:
        state.files = {f"set/{path.name}": path.read_bytes() for path in packed.iterdir()}
        yield state


def mixer_at(server: Server):
    return open_mixer(open_data(f"{server.address}/set"), PLAIN, 0.2, 0)


def speech_shards(packed: Path) -> list[str]:
    return [shard.name for shard in read_index(packed / INDEX, "").shards if shard.name.startswith("speech-train")]


def test_mixtures_from_a_server_are_those_from_the_disk(server, packed, tmp_path):
    near, far = open_mixer(open_data(packed), PLAIN, 0.2, 0), mixer_at(server)
    for index in range(0, 6 * near.block, 2):
        assert (near(0, index).noisy == far(0, index).noisy).all()
    assert near.data_hash == far.data_hash
    assert open_data(f"{server.address}/set/").summary() == open_data(packed).summary()


def test_the_buffer_is_bounded_and_each_shard_fetched_once_while_it_is_used(server, packed, tmp_path, monkeypatch):
    monkeypatch.setattr(buffer, "KEPT", 12)
    mixer, again = mixer_at(server), mixer_at(server)
    shards = len(list(packed.glob("*.tar")))
    assert shards > 18
    for index in range(mixer.block * len(mixer.chosen["speech"])):
        mixer(0, index)
        again(0, index)
        assert len(list((tmp_path / "cache").rglob("*.tar"))) <= 12 + 2, "those in flight aside"
    asked = [path for path, _ in server.asked if path.endswith(".tar")]
    assert len(asked) <= 2 * shards, "two readers share what is there"


def test_processes_that_want_a_shard_at_once_fetch_it_once(server, packed):
    shards = open_data(f"{server.address}/set")
    shard = shards.present[0]
    threads = [threading.Thread(target=shards.path, args=(shard,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests_for(f"set/{shard.name}")) == 1


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, packed, monkeypatch):
    monkeypatch.setattr(remote, "BLOCK", 500)
    shards = open_data(f"{server.address}/set")
    shard = shards.present[0]
    server.breaks_after = [shard.bytes // 2, 2000]
    assert shards.path(shard).read_bytes() == (packed / shard.name).read_bytes()
    first, second, third = server.requests_for(f"set/{shard.name}")
    resumed = [int(each.removeprefix("bytes=").rstrip("-") or 0) for each in (first, second, third)]
    assert resumed[0] == 0 < resumed[1] < resumed[2] and shard.bytes // 2 - resumed[1] < 500


def test_a_server_that_is_away_for_a_moment_is_asked_again(server):
    mixer = mixer_at(server)
    server.errors = [503, 500]
    assert mixer(0, 0)


@pytest.mark.parametrize("status", [404, 403])
def test_a_shard_that_is_not_there_is_named(server, packed, status):
    mixer = mixer_at(server)
    server.errors = [status] * 100
    with pytest.raises(InputError, match=rf"cannot fetch http://\S+/set/\S+\.tar: {status}"):
        mixer(0, 0)


def test_a_server_that_stays_away_is_named(server):
    mixer = mixer_at(server)
    server.errors = [503] * 100
    with pytest.raises(InputError, match=r"cannot fetch http://\S+\.tar: .*503"):
        mixer(0, 0)


def changed_shards(server: Server, packed: Path, change) -> None:
    for name in speech_shards(packed):
        server.files[f"set/{name}"] = change(server.files[f"set/{name}"])


CHANGES = {
    "cut": (lambda content: content[:-512], "bytes, its index says"),
    "longer": (lambda content: content + bytes(512), "more than .* bytes came"),
    "replaced": (lambda content: bytes([content[0] ^ 1]) + content[1:], "is not the file that the index names"),
    "an error page": (lambda content: b"<html>", "has 6 bytes, its index says"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_shard_that_is_not_what_the_index_says_is_named_and_not_kept(server, packed, tmp_path, case):
    change, told = CHANGES[case]
    mixer = mixer_at(server)
    changed_shards(server, packed, change)
    with pytest.raises(InputError, match=rf"speech-train-\d+\.tar.*{told}"):
        mixer(0, 0)
    assert not [path for path in (tmp_path / "cache").rglob("*speech-train*") if path.suffix == ".tar"]
    server.files |= {f"set/{name}": (packed / name).read_bytes() for name in speech_shards(packed)}
    assert mixer(0, 0), "and continues once the server is whole again"


def test_shards_that_were_replaced_with_their_index_are_other_data(server, packed):
    before = mixer_at(server).data_hash
    index = json.loads(server.files[f"set/{INDEX}"])
    index["shards"] = [shard | {"sha256": "0" * 64} for shard in index["shards"]]
    server.files[f"set/{INDEX}"] = json.dumps(index).encode()
    assert mixer_at(server).data_hash != before


def test_an_address_without_an_index_is_named(server):
    with pytest.raises(InputError, match=rf"cannot fetch {server.address}/nothing/shards\.json: 404"):
        open_data(f"{server.address}/nothing")


@pytest.mark.parametrize("place", ["127.0.0.1:{port}", "nobody.invalid"])
def test_a_mistyped_address_is_told_soon_and_in_plain_words(tmp_path, monkeypatch, place):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pauses: list[float] = []
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote.time, "sleep", pauses.append)
    with pytest.raises(InputError) as said:
        open_data(f"http://{place.format(port=port)}/set")
    assert re.fullmatch(
        r"cannot fetch http://\S+/set/shards\.json: Failed to [^<>]*(refused|\[Errno .*)", str(said.value)
    )
    assert sum(pauses) < 5


def test_an_index_without_end_is_refused(server, monkeypatch):
    from tinyse.recordings import shards

    monkeypatch.setattr(shards, "MAX_INDEX_BYTES", 1000)
    server.files[f"set/{INDEX}"] = b" " * 2000
    with pytest.raises(InputError, match=r"shards\.json: .*more than 1000 bytes came"):
        open_data(f"{server.address}/set")


def test_digests_without_end_are_refused(server, packed):
    shards = open_data(f"{server.address}/set")
    assert shards.digests() == (packed / DIGESTS).read_bytes()
    (shards.buffer.folder / f"{shards.index.digests[:16]}-{DIGESTS}").unlink()
    server.files[f"set/{DIGESTS}"] += bytes(1 << 20)
    most = 16 * sum(shard.items for shard in shards.index.shards)
    with pytest.raises(InputError, match=rf"{DIGESTS}: .*more than {most} bytes came"):
        shards.digests()


def test_other_stores_are_read_through_fsspec(packed, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "SCHEMES", ("memory",))
    store = fsspec.filesystem("memory")
    for path in packed.iterdir():
        store.pipe(f"/set/{path.name}", path.read_bytes())
    mixture = open_mixer(open_data("memory://set"), PLAIN, 0.2, 0)(0, 0)
    assert (mixture.noisy == open_mixer(open_data(packed), PLAIN, 0.2, 0)(0, 0).noisy).all()
    store.rm("/set", recursive=True)
    with pytest.raises(InputError, match=r"cannot fetch memory://set/shards\.json"):
        open_data("memory://set")


@pytest.mark.parametrize("given", ["https://a/b", "https:/a/b", Path("https://a/b")])
def test_an_address_survives_being_a_path(given):
    assert remote.address_of(given) == "https://a/b"
    assert [remote.address_of(path) for path in ("a/b", "/a:/b", "x:/b", "https:")] == [None] * 4


TRAIN = """
stages:
  only: {model: {channels: [4, 4], groups: 2}, updates: 4, batch: 4, seconds: 0.3, valid_every: 2, warmup: 1,
         losses: {compressed_spectral: 1.0}}
valid_clips: 2
precision: 32-true
threads: 1
mixture: {babble_probability: 0.0, talker_probability: 0.0}
"""


def test_training_from_a_server_does_not_depend_on_processes_and_names_what_is_broken(server, packed, tmp_path):
    torch = pytest.importorskip("torch")
    from tinyse.models.files import load_tensors
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run

    (tmp_path / "recipe.yaml").write_text(TRAIN)
    weights, said = [], []
    for workers in (0, 2):
        settings = [f"output={tmp_path / str(workers)}", f"workers={workers}", f"data={server.address}/set"]
        model = run(load_recipe(tmp_path / "recipe.yaml", settings), lambda _: None, said.append)
        weights.append(load_tensors(model)[0])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any("shuffled within 4 shards" in line for line in said)
    record = json.dumps({"recording": "speech-train-00000.tar/000001 (a.wav)", "reason": "cut"}) + "\n"
    (tmp_path / "0/broken.jsonl").write_text(record)
    run(load_recipe(tmp_path / "recipe.yaml", [f"output={tmp_path / '0'}", f"data={server.address}/set"]),
        lambda _: None, said.append)  # fmt: skip
    assert "note: 1 broken recordings were left out: speech-train-00000.tar/000001 (a.wav)" in said[-1]
