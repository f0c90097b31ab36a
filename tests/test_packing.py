"""Packing that ends early, however it does, goes on by the same command, and gives the same bytes."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import own_recordings
import pytest

from tinyse import audio
from tinyse.errors import InputError
from tinyse.locks import alone_in
from tinyse.recordings import open_data, packing, packing_journal, write_shards
from tinyse.recordings.shards import INDEX, JOURNAL


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """A manifest of recordings that may and may not ship, one of them of many pieces and one broken."""
    folder = own_recordings.write(tmp_path_factory.mktemp("sources") / "own", talkers=3, noises=3, seconds=0.2)
    audio.write(folder / "speech/talker0/long.wav", np.float32(np.random.default_rng(0).normal(0, 0.1, 16000 * 9 // 2)))
    audio.write(folder / "noise/kind0/broken.wav", np.full(4000, 0.1))
    found = open_data(folder)
    ships = (replace(each, ship=each.path.endswith("0.wav")) for each in found.recordings)
    replace(found, recordings=tuple(ships)).write(folder / "list.csv")
    (folder / "noise/kind0/broken.wav").write_bytes(b"RIFF nonsense")
    return folder / "list.csv"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Shards of two pieces of a second at most: the ends of shards fall into recordings, too."""
    monkeypatch.setattr(packing, "SHARD_ITEMS", 2)
    monkeypatch.setattr(packing, "PIECE_SECONDS", 1)
    monkeypatch.setattr(packing, "RUN_SECONDS", 0.5)


@pytest.fixture
def interrupt(monkeypatch):
    """Ends the packing, by an exception, in the place of so many recordings to come."""
    pack = packing._pack

    def after(count: int, error: type[BaseException] = KeyboardInterrupt) -> None:
        left = itertools.count(count, -1)

        def interrupted(*arguments):
            if next(left) == 0:
                raise error
            return pack(*arguments)

        monkeypatch.setattr(packing, "_pack", interrupted)

    return after


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def begun(sources: Path, folder: Path, interrupt, after: int = 8) -> dict[str, int]:
    """Shards that were interrupted, by name, with their inodes."""
    interrupt(after)
    with pytest.raises(KeyboardInterrupt):
        write_shards(open_data(sources), folder, workers=1)
    interrupt(10**6)
    left = {path.name: path.stat().st_ino for path in folder.glob("*.tar")}
    assert len(left) > 1 and {path.name for path in folder.iterdir()} == {*left, JOURNAL}
    return left


KILLED = """
import os, signal, sys
from tinyse import files
from tinyse.recordings import open_data, packing, packing_journal, write_shards

packing.SHARD_ITEMS, packing.PIECE_SECONDS, packing.RUN_SECONDS = 2, 1, 0.5
manifest, left = open_data(sys.argv[1]), 0


def counted(function):
    def step(*arguments, **named):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    return step


# A kill, unlike a power cut, loses nothing that was written: no time is spent on waiting for the disk.
os.replace, os.fsync, os.chmod = counted(os.replace), counted(lambda _: None), counted(os.chmod)
packing.ShardWriter.add = counted(packing.ShardWriter.add)
packing.write_json = counted(packing.write_json)
packing_journal.Journal._cut = counted(packing_journal.Journal._cut)
packing_journal.Journal.close = counted(packing_journal.Journal.close)
for step in range(1, 10**6, 2):
    for turn in (step, 0):
        child = os.fork()
        if not child:
            sys.stderr = open(os.devnull, "w")
            left = turn
            write_shards(manifest, f"{sys.argv[2]}/{step}", workers=1)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if turn and not status:  # it was not killed any more
            sys.exit(print(step))
        assert turn or not status, f"killed at step {step}, it did not go on"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_kill_at_any_step_costs_the_shard_in_the_making_alone(sources, tmp_path):
    write_shards(open_data(sources), tmp_path / "whole")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, sources, tmp_path / "killed"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    steps = int(done.stdout)
    assert steps > 50
    for step in range(1, steps + 1, 2):
        assert content(tmp_path / f"killed/{step}") == content(tmp_path / "whole"), step


def test_only_the_last_shard_of_a_kind_is_not_full(sources, tmp_path):
    """Recordings that may ship lie among those that may not."""
    found = open_data(sources)
    mixed = (replace(each, split="train", ship=number % 2 == 0) for number, each in enumerate(found.recordings))
    shards = write_shards(replace(found, recordings=tuple(mixed)), tmp_path / "shards").shards
    short = [(shard.kind, shard.split, shard.ship) for shard in shards if shard.items < 2]
    assert len(set(short)) == len(short) and len({shard.ship for shard in shards}) == 2


@pytest.mark.parametrize("after", [5, 8, 10])
def test_shards_that_were_finished_stay_as_they_are(sources, tmp_path, interrupt, capsys, after):
    write_shards(open_data(sources), tmp_path / "whole")
    left = begun(sources, tmp_path / "shards", interrupt, after)
    with pytest.raises(InputError, match=r"packing has not finished there: give the same tinyse data shard again"):
        open_data(tmp_path / "shards")
    (tmp_path / "shards/.tinyse-left.tar").write_bytes(b"of a killed process")
    capsys.readouterr()
    write_shards(open_data(sources), tmp_path / "shards")
    assert re.search(
        rf"^note: finished shards in \S+: {len(left)}; recordings left: \d+ of 11$", capsys.readouterr().err
    )
    assert content(tmp_path / "shards") == content(tmp_path / "whole")
    assert left.items() <= {path.name: path.stat().st_ino for path in (tmp_path / "shards").iterdir()}.items()


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_of_the_journal_that_was_cut_short_is_packed_again(sources, tmp_path, interrupt, cut):
    left = begun(sources, tmp_path / "shards", interrupt)
    write_shards(open_data(sources), tmp_path / "whole")
    journal = tmp_path / "shards" / JOURNAL
    os.truncate(journal, journal.stat().st_size - cut)
    write_shards(open_data(sources), tmp_path / "shards")
    assert content(tmp_path / "shards") == content(tmp_path / "whole")
    kept = [name for name, inode in left.items() if (tmp_path / "shards" / name).stat().st_ino == inode]
    assert len(kept) == len(left) - 1


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: os.truncate(path, 100)])
def test_a_finished_shard_that_is_gone_or_cut_is_packed_again(sources, tmp_path, interrupt, spoil):
    left = begun(sources, tmp_path / "shards", interrupt)
    write_shards(open_data(sources), tmp_path / "whole")
    spoil(tmp_path / "shards" / sorted(left)[0])
    write_shards(open_data(sources), tmp_path / "shards")
    assert content(tmp_path / "shards") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"megabytes": 5}, "megabytes"), ({"sample_rate": 8000}, "rate"), ({"codec": "opus"}, "codec")],
)
def test_another_packing_does_not_go_on_with_this_one(sources, tmp_path, interrupt, settings, named):
    begun(sources, tmp_path / "shards", interrupt)
    before = content(tmp_path / "shards")
    with pytest.raises(InputError, match=f"the packing that was begun there differs in {named}: give the same command"):
        write_shards(open_data(sources), tmp_path / "shards", **settings)
    assert content(tmp_path / "shards") == before


def test_recordings_that_changed_since_are_noticed(sources, tmp_path, interrupt):
    begun(sources, tmp_path / "shards", interrupt)
    path, fewer = sources.parent / "speech/talker1/0.wav", open_data(sources)
    status = path.stat()
    for changed in (True, False):
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9 * changed))
        with pytest.raises(InputError, match="differs in recordings"):
            write_shards(fewer, tmp_path / "shards")
        fewer = replace(fewer, recordings=fewer.recordings[1:])
    write_shards(open_data(sources), tmp_path / "shards")


def test_before_the_first_shard_nothing_is_left_and_anything_may_follow(sources, tmp_path, interrupt):
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        write_shards(open_data(sources), tmp_path / "shards", workers=1)
    assert not (tmp_path / "shards").exists()
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / JOURNAL).write_text(
        '{"format": "tinyse-packing-1", "codec": "opus"}\n'
    )  # it was killed then
    interrupt(10**6)
    assert write_shards(open_data(sources), tmp_path / "shards").shards


def test_a_journal_of_another_version_is_left_alone(sources, tmp_path):
    (tmp_path / JOURNAL).write_text('{"format": "tinyse-packing-2"}\n')
    with pytest.raises(InputError, match="differs in format"):
        write_shards(open_data(sources), tmp_path)
    assert content(tmp_path) == {JOURNAL: b'{"format": "tinyse-packing-2"}\n'}


def test_two_do_not_pack_into_one_folder(sources, tmp_path, interrupt):
    begun(sources, tmp_path / "shards", interrupt)
    before = content(tmp_path / "shards")
    with (
        alone_in(tmp_path / "shards"),
        pytest.raises(InputError, match=r"another process is writing to .*shards: wait"),
    ):
        write_shards(open_data(sources), tmp_path / "shards")
    assert content(tmp_path / "shards") == before


def test_a_folder_that_is_refused_gets_no_journal(sources, tmp_path):
    write_shards(open_data(sources), tmp_path / "shards")
    before = content(tmp_path / "shards")
    with pytest.raises(InputError, match="has shards already"):
        write_shards(open_data(sources), tmp_path / "shards")
    (tmp_path / "shards" / INDEX).unlink()
    with pytest.raises(
        InputError, match=rf"\.tar files, such as \S+, and neither {INDEX} nor {JOURNAL}: copy what is missing"
    ):
        write_shards(open_data(sources), tmp_path / "shards")
    assert {INDEX: before[INDEX], **content(tmp_path / "shards")} == before


def test_a_full_disk_costs_the_shard_in_the_making_alone(sources, tmp_path, monkeypatch):
    append, left = packing_journal.Journal._append, itertools.count(3, -1)

    def full(journal, values):
        append(journal, values)
        if next(left) == 0:
            os.truncate(journal.path, journal.path.stat().st_size - 9)
            raise InputError(f"cannot write {journal.path}: No space left on device")

    monkeypatch.setattr(packing_journal.Journal, "_append", full)
    with pytest.raises(InputError, match="No space left"):
        write_shards(open_data(sources), tmp_path / "shards", workers=1)
    monkeypatch.setattr(packing_journal.Journal, "_append", append)
    write_shards(open_data(sources), tmp_path / "shards")
    write_shards(open_data(sources), tmp_path / "whole")
    assert content(tmp_path / "shards") == content(tmp_path / "whole")
