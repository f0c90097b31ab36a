"""benchmarks/adapt.py: the noise of a product that no released model has heard, and the table of what adapting to it gave."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
from conftest import REPOSITORY

pytest.importorskip("torch")

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import adapt

from tinyse import audio
from tinyse.errors import InputError
from tinyse.recordings import Manifest, Recording, find_leaks, open_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Talkers and rain that may ship, in every split; ten drills that may not, two of which are cuts of one that may."""
    root, recordings = tmp_path_factory.mktemp("data"), []

    def put(path, **facts):
        rng = np.random.default_rng(len(recordings))
        audio.write(root / path, np.float32(0.1 * rng.normal(size=24000) * (np.arange(24000) % 6000 < 5000)))
        recordings.append(Recording(path, 1.5, **facts))

    for split in ("train", "valid", "test"):
        for take in range(2):
            put(f"{split}/voice{take}.wav", kind="speech", split=split, speaker=f"{split}{take}", ship=True)
            put(f"{split}/rain{take}.wav", kind="noise", split=split, label="rain", source=f"{split}{take}", ship=True)
    put("drill.wav", kind="noise", split="train", label="drill", source="open", ship=True)
    for take in range(10):
        source = "open" if take < 2 else f"drill{take}"
        put(f"drill{take}.wav", kind="noise", split="train", label="drill", source=source)
    put("saw.wav", kind="noise", split="train", label="saw", source="saw")
    for take in range(12):
        put(f"ours{take}.wav", kind="speech", split="train", corpus="ours", speaker=f"ours{take // 2}")
    put("late.wav", kind="noise", split="valid", label="drill", source="late")
    Manifest(root, tuple(recordings)).write(root / "manifest.csv")
    return root / "manifest.csv"


def test_a_product_is_what_no_released_model_has_heard(data, tmp_path, capsys):
    adapt.make(data, "drill", tmp_path, 2)
    product = open_data(tmp_path / "noise.csv").recordings
    assert {each.source for each in product} == {f"drill{take}" for take in range(2, 10)}
    counts = {split: sum(each.split == split for each in product) for split in adapt.FRACTIONS}
    assert counts["train"] >= 4 and min(counts.values()) >= 1
    assert all(each.ship for each in open_data(tmp_path / "rehearsal.csv").recordings)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"train: {counts['train']} recordings, {1.5 * counts['train']:.0f} s"
    noises = {}
    for name in adapt.MEASURES:
        with open(tmp_path / "valid" / name / "pairs.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 2
        assert all(row["speaker"].startswith("valid") for row in rows)
        noises[name] = {row["noise"] for row in rows}
    assert not noises["own"] & noises["general"]


def test_a_product_may_have_its_own_talkers(data, tmp_path, capsys):
    adapt.make(data, "drill", tmp_path, 2, "ours")
    talkers = open_data(tmp_path / "speech.csv").recordings
    assert {each.speaker for each in talkers} == {f"ours{number}" for number in range(6)}
    assert {each.split for each in talkers} == set(adapt.FRACTIONS) and not find_leaks(talkers)
    with open(tmp_path / "valid" / "own" / "pairs.csv", newline="") as file:
        assert all(row["speaker"].startswith("ours") for row in csv.DictReader(file))
    assert sum(line.endswith(" s") and " talkers, " in line for line in capsys.readouterr().out.splitlines()) == 3


def test_a_class_that_every_model_has_heard_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="noise: no class and no corpus 'rain' that is kept from released weights"):
        adapt.make(data, "rain", tmp_path, 2)
    assert not list(tmp_path.iterdir())


def test_the_report_of_an_adaptation_is_shown(tmp_path, capsys, monkeypatch):
    row = {"measure": "general: SI-SDR gain", "files": 3, "before_db": 7.0, "after_db": 6.5, "change_db": -0.5,
           "interval_db": 0.25}  # fmt: skip
    (tmp_path / "report.json").write_text(json.dumps({"base": "student-62k", "rows": [row]}))
    monkeypatch.setattr(sys, "argv", ["adapt.py", "show", str(tmp_path)])
    adapt.main()
    said = capsys.readouterr().out
    assert "student-62k before and after" in said and "-0.50 ± 0.25" in said
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(InputError, match=r"report\.json: no readable JSON"):
        adapt.main()
    (tmp_path / "report.json").unlink()
    with pytest.raises(InputError, match=r"cannot read .*report\.json: No such file"):
        adapt.main()


def test_changes_of_all_measures_are_paired_with_the_base(data, tiny, tmp_path):
    pytest.importorskip("pesq")
    adapt.make(data, "drill", tmp_path, 3)
    table = adapt.compare(tmp_path, [str(tiny.weights)], floats=True, base=str(tiny.weights), limit=2)
    assert [row[:2] for row in table.rows] == [(name, str(tiny.weights)) for name in adapt.MEASURES]
    assert all(cell.startswith("+0.00") for row in table.rows for cell in row[2:]), (
        "a model does not differ from itself"
    )
