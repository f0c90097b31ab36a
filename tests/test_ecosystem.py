"""Manifests of lhotse and audio folders of Hugging Face, as those tools write them and as a stranger would."""

from __future__ import annotations

import csv
import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from tinyse.commands.data import app
from tinyse.documents import json_lines
from tinyse.errors import InputError
from tinyse.recordings import Manifest, open_data, scan


def put(path: Path, samples: int = 1600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(len(str(path))).uniform(-0.5, 0.5, samples), 16000, subtype="PCM_16")
    return path


def recording(name: str, source: str, **changes: object) -> dict:
    """A line of `RecordingSet.to_file`."""
    sources = [{"type": "file", "channels": [0], "source": source}]
    facts = {
        "id": name,
        "sources": sources,
        "sampling_rate": 16000,
        "num_samples": 1600,
        "duration": 0.1,
        "channel_ids": [0],
    }
    return facts | changes


def cut(name: str, source: str, speaker: str | None = "84", **changes: object) -> dict:
    """A line of `CutSet.to_file`."""
    spoken = {
        "id": name,
        "recording_id": name,
        "start": 0.0,
        "duration": 0.1,
        "channel": 0,
        "text": "HELLO",
        "language": "English",
    }
    supervisions = [spoken | ({"speaker": speaker} if speaker else {})]
    facts = {"id": f"{name}-0", "start": 0, "duration": 0.1, "channel": 0, "supervisions": supervisions,
             "recording": recording(name, source), "type": "MonoCut"}  # fmt: skip
    return facts | changes


def lines(path: Path, items: list) -> Path:
    text = "".join(json.dumps(item) + "\n" for item in items).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_cuts_of_lhotse_give_speakers_and_splits(tmp_path, suffix):
    for speaker in range(3):
        put(tmp_path / f"audio/{speaker}/a.wav")
    made = [cut(f"{s}-a", str(tmp_path / f"audio/{s}/a.wav") if s else f"audio/{s}/a.wav", f"{s}") for s in range(3)]
    train = lines(tmp_path / f"librispeech_cuts_train-clean-100.{suffix}", made[:2])
    test = lines(tmp_path / f"librispeech_cuts_test-clean.{suffix}", made[2:])
    manifest = open_data([train, test])
    assert {(r.speaker, r.kind, r.seconds) for r in manifest.recordings} == {
        (f"librispeech_{speaker}", "speech", 0.1) for speaker in range(3)
    }
    assert {r.speaker for r in manifest.select(split="test")} == {"librispeech_2"}
    assert all((manifest.root / r.path).is_file() for r in manifest.recordings)


def test_recordings_of_lhotse_are_of_the_kind_that_their_name_says(tmp_path):
    put(tmp_path / "musan/noise/rain/a.wav")
    path = lines(tmp_path / "musan_recordings_noise.jsonl.gz", [recording("a", "musan/noise/rain/a.wav")])
    (found,) = open_data(path).recordings
    assert (found.kind, found.label, found.source, found.corpus) == ("noise", "rain", "musan:a", "musan")
    plain = lines(tmp_path / "own.jsonl", [recording("a", "musan/noise/rain/a.wav")])
    with pytest.raises(InputError, match=r"own\.jsonl, line 1: nothing says whether this is speech, noise or rir"):
        open_data(plain)
    assert scan(plain, kind="rir").recordings[0].kind == "rir"
    done = CliRunner().invoke(app, ["scan", str(plain), "--kind", "noise", "--output", str(tmp_path / "m.csv")])
    assert done.exit_code == 0 and Manifest.read(tmp_path / "m.csv").recordings[0].kind == "noise"


def test_what_lhotse_can_do_and_tinyse_cannot_is_left_out_by_name(tmp_path):
    put(tmp_path / "a.wav")
    made = [
        cut("whole", "a.wav"),
        cut("part", "a.wav", start=0.02, duration=0.05),
        cut("fast", "a.wav", recording=recording("fast", "a.wav", transforms=[{"name": "Speed"}])),
        cut("far", "a.wav", recording=recording("far", "a.wav", sources=[{"type": "url", "channels": [0], "source": "http://x"}])),
        cut("run", "a.wav", recording=recording("run", "a.wav", sources=[{"type": "command", "channels": [0],
            "source": f"touch {tmp_path / 'ran'}"}])),
        cut("two", "a.wav", recording=recording("two", "a.wav", sources=recording("", "a.wav")["sources"] * 2)),
    ]  # fmt: skip
    manifest = open_data(lines(tmp_path / "x_cuts.jsonl", made))
    told = [notice for notice in manifest.notices if notice.startswith("left out")]
    assert len(manifest.recordings) == 1 and not (tmp_path / "ran").exists()
    reasons = ("a part of its recording", "transformed", "type 'url'", "type 'command'", "in several files")
    for number, reason in enumerate(reasons, 2):
        assert any(f"line {number}: " in notice and reason in notice for notice in told), reason


WRONG = {
    "no JSON": (b"{", "line 1: no readable JSON"),
    "a list": (b"[1]", "line 1: expected keys and values"),
    "a supervision": (b'{"id": "a", "recording_id": "b"}', "this is a supervision"),
    "something else": (b'{"id": "a"}', "neither a recording nor a cut"),
    "no sources": (b'{"id": "a", "sources": [], "duration": 1}', "has no sources"),
    "sources that are none": (b'{"id": "a", "sources": [1], "duration": 1}', "has no sources"),
    "no duration": (json.dumps(recording("a", "a.wav", duration=None)).encode(), "None is not a duration"),
    "a duration without end": (json.dumps(recording("a", "a.wav", duration=1e300)).encode(), "not possible"),
    "a duration of 400 digits": (
        json.dumps(recording("a", "a.wav", duration=10**400)).encode(),
        "line 1: .*not possible",
    ),
    "a name that is none": (json.dumps(recording("a", 7)).encode(), "source is '7', not a text"),  # type: ignore[arg-type]
    "a name with a zero": (json.dumps(recording("a", "a\0.wav")).encode(), "the recording's source is"),
    "an id that is none": (json.dumps(recording(["a"], "a.wav")).encode(), "id is"),  # type: ignore[arg-type]
    "a missing file": (json.dumps(recording("a", "b.wav")).encode(), "1 of its 1 files are missing"),
    "nothing": (b"\n", "lists no recordings that can be used"),
    "deep": (b'{"sources": ' + b"[" * 100000, "no readable JSON"),
    "a long line": (b'{"id": "' + b"a" * (1 << 21), r"line 1: longer than 1048576 bytes"),
    "not text": (b"\xff\xfe{", "no readable JSON"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_a_lhotse_manifest_that_makes_no_sense_is_refused_by_name(tmp_path, case, suffix):
    content, told = WRONG[case]
    put(tmp_path / "a.wav")
    path = tmp_path / f"x_recordings_noise.{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    with pytest.raises(InputError, match=told):
        open_data(path)


def test_a_bomb_of_lines_is_refused_before_memory_is_spent(tmp_path):
    path = tmp_path / "x_recordings_noise.jsonl.gz"
    path.write_bytes(gzip.compress((b" " * 99 + b"\n") * 400_000))  # blank lines, few enough to trace each
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="it unpacks to more than 200 times its size"):
            list(json_lines(path))
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 1000)[:-20])
    with pytest.raises(InputError, match="cannot read"):
        list(json_lines(path))


def audiofolder(folder: Path, rows: list[dict], form: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if form == "jsonl":
        return lines(folder / "metadata.jsonl", rows)
    with open(folder / "metadata.csv", "w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder / "metadata.csv"


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_audio_folder_gives_speakers_and_splits(tmp_path, form):
    rows = []
    for split, speaker in (("train", "anna"), ("validation", "bob"), ("test", "eve")):
        put(tmp_path / f"set/{split}/{speaker}.wav")
        rows.append({"file_name": f"{split}/{speaker}.wav", "transcription": "hello", "speaker_id": speaker})
    audiofolder(tmp_path / "set", rows, form)
    assert {(r.speaker, r.split, r.kind) for r in open_data(tmp_path / "set").recordings} == {
        ("set_anna", "train", "speech"),
        ("set_bob", "valid", "speech"),
        ("set_eve", "test", "speech"),
    }


def test_metadata_may_lie_in_the_folders_of_the_splits(tmp_path):
    for split in ("train", "test"):
        put(tmp_path / f"set/{split}/a.wav")
        put(tmp_path / f"set/{split}/b.wav")
        audiofolder(tmp_path / "set" / split, [{"file_name": f"{n}.wav", "label": n + split} for n in "ab"], "csv")
    manifest = open_data(tmp_path / "set")
    assert {r.label for r in manifest.select("noise", "test")} == {"atest", "btest"}
    assert {r.kind for r in scan(tmp_path / "set", kind="rir").recordings} == {"rir"}


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("name", ["../a.wav", "/etc/passwd", "x/../../a.wav", ""])
def test_a_file_name_that_leads_out_of_an_audio_folder_is_refused(tmp_path, form, name):
    put(tmp_path / "a.wav")
    audiofolder(tmp_path / "set", [{"file_name": name, "label": "rain"}], form)
    with pytest.raises(InputError, match="leads out of the folder"):
        open_data(tmp_path / "set")


def test_an_audio_folder_that_does_not_say_what_it_is_asks(tmp_path):
    put(tmp_path / "set/a.wav")
    audiofolder(tmp_path / "set", [{"file_name": "a.wav"}], "jsonl")
    with pytest.raises(InputError, match=r"metadata\.jsonl, line 1: nothing says whether this is speech, noise or rir"):
        open_data(tmp_path / "set")
    audiofolder(tmp_path / "set", [{"file_name": "b.wav", "label": 3}], "jsonl")
    with pytest.raises(InputError, match=r"1 of its 1 files are missing, the first is .*b\.wav"):
        open_data(tmp_path / "set")
