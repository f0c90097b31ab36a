"""benchmarks/latency.py: the same memory at every hop, the points resumed, and the table."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pesq")

from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import latency
import torch

from tinyse import released
from tinyse.evaluation.statistics import summarize
from tinyse.models.files import load_model
from tinyse.models.layers import GatedRecurrence
from tinyse.spectra.front_end import latency_ms


def test_every_point_has_the_frames_of_the_longest():
    points = [each.front_end for each in latency.POINTS]
    assert sorted(map(latency_ms, points)) == [5, 8, 10, 12, 16, 20, 32]
    same = {dataclasses.replace(each, hop_ms=16, synthesis_ms=None, look_ahead=0) for each in points}
    assert same == {latency.Point(32.0).front_end}
    assert [latency.Point.read(str(point)) for point in latency.POINTS] == list(latency.POINTS)


@pytest.mark.parametrize("milliseconds", [32, 8])
def test_weights_for_another_hop_remember_as_long(tmp_path, milliseconds):
    """A gate that keeps nine tenths over 16 ms keeps as much over four hops of 4 ms, and all else stays."""
    path = released.find_weights(latency.STUDENT)
    latency.retimed(path, latency.Point(milliseconds).front_end, tmp_path / "start.safetensors")
    network, front_end, _ = load_model(tmp_path / "start.safetensors")
    assert latency_ms(front_end) == milliseconds
    before = load_model(path)[0]
    hops, gate = 32 / milliseconds, math.log(9)  # the logit of nine tenths
    layers = [[m for m in each.modules() if isinstance(m, GatedRecurrence)] for each in (before, network)]
    for old, new in zip(*layers, strict=True):
        moved = (new.state_bias - old.state_bias).detach().squeeze(2)
        assert moved[:, : old.width].abs().max() == moved[:, 2 * old.width :].abs().max() == 0
        kept = torch.sigmoid(gate + moved[:, old.width : 2 * old.width]) ** hops
        np.testing.assert_allclose(kept, 0.9, atol=0.005)
    changed = {
        name for name, value in network.state_dict().items() if not torch.equal(value, before.state_dict()[name])
    }
    assert changed <= {name for name in before.state_dict() if name.endswith("state_bias")}


def test_the_table_has_the_longest_latency_first_and_what_int8_loses(tmp_path):
    def result(milliseconds: float, gain: float) -> dict:
        values = {metric: dataclasses.asdict(summarize([1.0 + gain, 2.0 + gain])) for metric in latency.METRICS}
        sides = dict.fromkeys((latency.NOISY, *latency.ROWS), values)
        loss = {metric: dataclasses.asdict(summarize([0.0, 0.1])) for metric in latency.METRICS}
        facts = {"start": "student-30k", "updates": {"supervise": 3}, "batch": 8, "seconds": 2.0, "seed": 0, "pairs": 2}
        hop_ms = milliseconds / 2
        load = {
            name: dict.fromkeys(latency.BOARDS, share)
            for name, share in zip(latency.QUANTIZED, (0.25, 0.5), strict=True)
        }
        return {"latency_ms": milliseconds, "hop_ms": hop_ms, "macs_per_second": 6e6, "load": load, **facts, **sides,
                "int8 loss": loss, "int8-gru16 loss": loss}  # fmt: skip

    for milliseconds in (8.0, 32.0):
        folder = tmp_path / f"{milliseconds:g}ms"
        folder.mkdir()
        (folder / "result.json").write_text(json.dumps(result(milliseconds, milliseconds)))
    table = latency.table(latency.results(tmp_path))
    assert [row[0] for row in table.rows] == ["noisy", "32 ms", "8 ms"]
    cells = dict(zip(table.header, table.rows[1], strict=True))
    assert cells["SI-SDR dB, int8"] == "33.50" and cells["int8 loses dB"].startswith("0.05 ± ")
    assert (cells["load of alif-e7, int8"], cells["load of alif-e7, int8-gru16"]) == ("25 %", "50 %")
    assert len(set(map(len, (table.header, *table.rows)))) == 1
    assert "seed 0; 2 pairs of the valid split; loads estimated" in table.note


def test_a_point_is_trained_scored_and_not_done_twice(tmp_path):
    command = [
        sys.executable,
        str(REPOSITORY / "benchmarks/latency.py"),
        "--data",
        "built-in",
        "--output",
        str(tmp_path),
    ]
    command += ["--points", "16+1", "--updates", "1", "--integer-updates", "1", "--batch", "2", "--seconds", "1"]
    command += ["--pairs", "2"]
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    assert "| 16 ms and a frame ahead | 8 ms |" in first.stdout
    path = tmp_path / "16+1ms" / "result.json"
    made = path.stat().st_mtime_ns
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert path.stat().st_mtime_ns == made
    assert again.stdout.split("###")[1] == first.stdout.split("###")[1]


def test_a_report_of_nothing_is_one_line(tmp_path):
    command = [sys.executable, str(REPOSITORY / "benchmarks/latency.py"), "--report", "--output", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 2
    assert answer.stderr == "latency.py: no point is finished: run it without --report first\n"
