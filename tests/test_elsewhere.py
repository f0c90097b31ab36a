"""The sound of strangers: nothing that a released model was trained, validated or scored on is in it."""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import elsewhere

from tinyse.errors import InputError
from tinyse.evaluation import report
from tinyse.evaluation.chain import Scores
from tinyse.evaluation.pairs import find_pairs
from tinyse.files import write_json
from tinyse.recordings import Manifest, Recording
from tinyse.released import find_weights


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Six talkers and two classes of three sources that may not ship; one of each that may; one valid and one shared source."""
    root, rng, recordings = tmp_path_factory.mktemp("sound"), np.random.default_rng(0), []

    def put(path, **facts):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        sound = 0.1 * rng.standard_normal(16000) * (np.arange(16000) % 4000 < 3000)
        soundfile.write(root / path, sound, 16000, subtype="PCM_16")
        recordings.append(Recording(path, 1.0, **facts))

    for talker in range(6):
        put(f"speech/t{talker}/a.wav", kind="speech", split="train", speaker=f"t{talker}", corpus=f"c{talker % 2}")
    put("speech/open/a.wav", kind="speech", split="train", speaker="open", ship=True)
    put("speech/valid/a.wav", kind="speech", split="valid", speaker="valid", ship=True)
    for kind in ("bell", "horn"):
        for source in range(3):
            put(f"noise/{kind}/{source}.wav", kind="noise", split="train", label=kind, source=f"{kind}{source}")
        put(f"noise/{kind}/open.wav", kind="noise", split="train", label=kind, source=f"{kind}-open", ship=True)
        put(f"noise/{kind}/cut.wav", kind="noise", split="train", label=kind, source=f"{kind}-open")
    put("noise/horn/valid.wav", kind="noise", split="valid", label="horn", source="horn-valid", ship=True)
    return Manifest(root, tuple(recordings))


def test_what_was_heard_stays_out_and_halves_share_nobody(manifest):
    rows = elsewhere.strangers(manifest)
    assert {row.group for row in rows} == {
        *(f"t{n}" for n in range(6)),
        *(f"{k}{n}" for k in ("bell", "horn") for n in range(3)),
    }
    sides = {split: {row.group for row in rows if row.split == split} for split in elsewhere.HALVES}
    assert not sides["valid"] & sides["test"]
    for side in sides.values():
        assert sum(group[0] == "t" for group in side) >= 2
        assert {group[:4] for group in side} >= {"bell", "horn"}
    backwards = Manifest(manifest.root, manifest.recordings[::-1])
    assert sorted(elsewhere.strangers(backwards), key=str) == sorted(rows, key=str)


def test_pairs_are_made_scored_and_told_by_class(manifest, tmp_path, capsys, monkeypatch):
    manifest.write(tmp_path / "manifest.csv")
    elsewhere.make(tmp_path / "manifest.csv", tmp_path / "pairs", {"valid": 4, "test": 2})
    assert len(find_pairs(tmp_path / "pairs/valid")) == 4
    assert set(elsewhere.classes(tmp_path / "pairs/valid")) <= {"bell", "horn"}
    for name, (talker, noise) in {"known": (True, True), "talkers": (False, True), "noises": (True, False)}.items():
        with open(tmp_path / "pairs" / name / "pairs.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 4
        assert {row["speaker"] == "valid" for row in rows} == {talker}
        assert {row["noise"].startswith("noise/horn/valid.wav") for row in rows} == {noise}
    arguments = ["elsewhere.py", "score", str(tmp_path / "pairs/valid"), "--ours", "student-30k", "--engine", "litert"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--beside", str(tmp_path / "pairs/test"), "--results", "test"])
    tables = {}
    monkeypatch.setattr(elsewhere.record, "keep", lambda name, table, label: tables.update({name: table}))
    elsewhere.main()
    told = capsys.readouterr().out
    assert "by corpus of the talkers, valid" in told and "by corpus of the talkers, test" in told
    assert "| student-30k, int8 stream (LiteRT)" in told and "by class of noise" in told
    assert "gain on the pairs beside less that on these" in told and "| +0.00 |" in told.split("on the pairs beside")[1]
    noisy, ours = tables["test"].rows
    assert noisy[0] == "noisy" and noisy[-2:] == ("", "")
    assert (
        ours[0] in tables["test"].header[-1]
        and float(ours[-2]) == pytest.approx(float(ours[-2]))
        and ours[-1] == "+0.00"
    )


def test_a_lead_with_one_corpus_of_talkers_is_told_from_the_lead_with_another(tmp_path):
    talkers = ["here_1", "far_away_1", "here_2", "far_away_2"]
    rows = [f"{number},{talker}" for number, talker in enumerate(talkers)]
    (tmp_path / "pairs.csv").write_text("\n".join(["id,speaker", *rows]))
    gained = {"noisy": [0.0, 1, 2, 3], "mine": [4.0, 2, 6, 4], "peer": [1.0, 5, 3, 6]}
    quality = {name: {"si_sdr": values} for name, values in gained.items()}
    scores = Scores(files=talkers, quality=quality, snr_db=[5.0] * 4, clean={}, noise={}, steps={})
    (table,) = elsewhere.by_corpus(scores, tmp_path)
    assert table.header == ("talkers", "pairs", "mine", "peer", "mine: against peer")
    assert [row[:4] for row in table.rows] == [("far_away", "2", "+1.00", "+3.50"), ("here", "2", "+4.00", "+1.00")]
    assert table.rows[1][4] == "+3.00 ± 0.00" and table.rows[0][4].startswith("-2.50 ±")
    (tmp_path / "pairs.csv").unlink()
    assert elsewhere.by_corpus(scores, tmp_path) == []


def test_rows_are_compared_with_the_first_pair_by_pair():
    at = {"si_sdr": [0.0, 6.0], "pesq": [1.0, 2.0], "estoi": [0.5, 0.7]}
    up = {"si_sdr": [1.0, 7.0], "pesq": [1.1, 1.9], "estoi": [0.5, 0.7]}
    clean = {"mine": {"si_sdr": [30.0, 30.0]}, "other": {"si_sdr": [28.0, 28.0]}}
    scores = Scores(["a", "b"], [0.0] * 2, {"noisy": at, "mine": at, "other": up}, clean, {}, {})
    (table,) = elsewhere.from_first(scores)
    assert table.title == "Less mine, pair by pair"
    assert table.rows == (("other", "+1.00 ± 0.00", "+0.000 ± 1.271", "+0.000 ± 0.000", "-2.00 ± 0.00"),)
    alone = Scores(["a", "b"], [0.0] * 2, {"noisy": at, "mine": at}, clean, {}, {})
    assert elsewhere.from_first(alone) == []


def test_seeds_are_averaged_pair_by_pair_before_pairs_are(tmp_path, monkeypatch, capsys):
    def written(name, gains, snr=(-5.0, -5.0, 10.0), rows=("mine", "other")):
        quality = {"noisy": {metric: [0.0] * 3 for metric in elsewhere.COMPARED}}
        quality |= {
            row: {m: [1.0 + n * gain for gain in gains] for m in elsewhere.COMPARED} for n, row in enumerate(rows)
        }
        clean = {row: {"si_sdr": [30.0 + n] * 3} for n, row in enumerate(rows)}
        scores = Scores(["a", "b", "c"], list(snr), quality, clean, {}, {})
        path = tmp_path / f"{name}.json"
        write_json(path, report.as_json(scores))
        return path

    one, two = written("one", [1.0, 2.0, 6.0]), written("two", [3.0, 2.0, 8.0])
    rows = {row[0]: row for row in elsewhere.over_seeds([one, two]).rows}
    assert rows["-5 dB"][1:3] == ("2", "+2.00 ± 0.00") and rows["10 dB"][2].startswith("+7.00")
    assert rows["all"][1] == "3" and rows["all"][2].startswith("+3.67 ± ") and rows["all"][-1] == "+1.00 ± 0.00"
    other_pairs, alone = written("x", [1.0] * 3, (0.0, 0.0, 0.0)), written("y", [1.0] * 3, rows=("mine",))
    (tmp_path / "z.json").write_text('{"files": {"a": []}}')
    for path, message in (
        (other_pairs, "other pairs"),
        (alone, "1 models"),
        (tmp_path / "z.json", "not written by score"),
    ):
        with pytest.raises(InputError, match=message):
            elsewhere.over_seeds([one, path])
    monkeypatch.setattr(sys, "argv", ["elsewhere.py", "seeds", str(one), str(two)])
    elsewhere.main()
    shown = capsys.readouterr().out
    assert "Mean of 2 seeds" in shown and "other less mine; other less mine." in shown, "which order each file has"
    unknown = [written(name, [1.0, 2.0, 6.0], (float("nan"),) * 3) for name in ("u", "v")]
    assert [row[0] for row in elsewhere.over_seeds(unknown).rows] == ["all"]


def test_a_model_that_heard_this_sound_is_refused(tmp_path):
    torch_free = find_weights("student-30k")
    elsewhere.refuse_heard(Path(torch_free))
    from tinyse.models.files import load_tensors, save_tensors

    tensors, header = load_tensors(torch_free)
    header["whole_recipe"]["ship"] = False
    save_tensors(tmp_path / "model.safetensors", tensors, header)
    shutil.copy(torch_free.with_suffix(".tflite"), tmp_path / "model.tflite")
    with pytest.raises(InputError, match="trained with ship: false"):
        elsewhere.refuse_heard(tmp_path / "model.tflite")
