"""Strengths by purpose: one number, in Python, on the command line, in the firmware's header and on the page."""

from __future__ import annotations

import re

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from firmware_export.export import make
from firmware_export.front_end import LARGEST_LIMIT_DB
from tinyse.commands import main as command_line
from tinyse.errors import InputError
from tinyse.evaluation.backends import backends_for
from tinyse.presets import PRESETS, limit_for, limits_for
from tinyse.streaming.denoiser import Denoiser
from tinyse.tflite.reader import read

runner = CliRunner()


def test_presets_are_what_firmware_can_have():
    assert set(PRESETS) == {"listening", "recognition"}
    for limit in PRESETS.values():
        assert limit is None or (isinstance(limit, int) and 0 < limit <= LARGEST_LIMIT_DB)
    assert PRESETS["listening"] is None and PRESETS["recognition"] is not None


def test_a_preset_is_its_limit():
    assert limit_for(None, None) is None and limit_for(None, 7.5) == 7.5
    assert limit_for("recognition", None) == PRESETS["recognition"]
    with pytest.raises(InputError, match="no preset is named 'recognise': did you mean 'recognition'"):
        limit_for("recognise", None)
    with pytest.raises(InputError, match="leave one out"):
        limit_for("listening", 12)


def test_several_strengths_are_compared_once_each():
    assert limits_for([], []) == [None]
    assert limits_for(["listening", "recognition"], ["6", "0", str(PRESETS["recognition"])]) == (
        list(dict.fromkeys([None, PRESETS["recognition"], 6, 0]))
    )
    for wrong in ("six", "-1", "nan", "inf"):
        with pytest.raises(InputError, match="give numbers of dB"):
            limits_for([], [wrong])


def test_the_denoiser_by_purpose_is_the_denoiser_at_the_limit(tiny):
    noise = np.float32(np.random.default_rng(0).normal(0, 0.1, 4000))
    by_name = Denoiser(tiny.quantized, "reference", preset="recognition")
    assert by_name.attenuation_limit_db == PRESETS["recognition"]
    by_number = Denoiser(tiny.quantized, "reference", PRESETS["recognition"])
    np.testing.assert_array_equal(by_name.denoise(noise), by_number.denoise(noise))
    with pytest.raises(InputError, match="did you mean 'listening'"):
        Denoiser(tiny.quantized, "reference", preset="listen")


def test_denoise_for_a_purpose(tiny, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 4000)
    soundfile.write(tmp_path / "noisy.wav", noise, 16000)
    options = ["--model", str(tiny.quantized), "--engine", "reference"]
    for name, strength in {
        "for": ["--for", "recognition"],
        "limit": ["--attenuation-limit-db", str(PRESETS["recognition"])],
        "full": [],
    }.items():
        answer = runner.invoke(
            command_line.app,
            ["denoise", str(tmp_path / "noisy.wav"), str(tmp_path / f"{name}.wav"), *options, *strength],
        )
        assert answer.exit_code == 0, answer.output
    content = {name: (tmp_path / f"{name}.wav").read_bytes() for name in ("for", "limit", "full")}
    assert content["for"] == content["limit"] != content["full"]


@pytest.mark.parametrize("command", ["denoise none.wav out.wav --for singing", "live --input none.wav --for singing"])
def test_a_wrong_purpose_is_one_line_with_the_known_ones(command):
    answer = runner.invoke(command_line.app, command.split())
    assert isinstance(answer.exception, InputError)
    assert str(answer.exception) == "no preset is named 'singing': known are listening, recognition"


def test_the_header_has_the_presets(tiny):
    header = make(read(tiny.quantized), "0" * 64, prefix="mine").sources["mine.h"]
    found = dict(re.findall(r"#define MINE_FOR_(\w+) (\S+)", header))
    assert found == {name.upper(): "MINE_NO_LIMIT" if limit is None else str(limit) for name, limit in PRESETS.items()}


def test_every_strength_is_a_backend(tiny):
    found = backends_for(tiny.quantized, names=["reference"], limits_db=[None, 6.0, 7.5])
    assert list(found) == [f"int8 stream (reference){end}" for end in ("", ", at most 6 dB", ", at most 7.5 dB")]
    noise = np.float32(np.random.default_rng(0).normal(0, 0.1, 4000))
    for backend, limit in zip(found.values(), [None, 6.0, 7.5], strict=True):
        np.testing.assert_array_equal(backend(noise), Denoiser(tiny.quantized, "reference", limit).denoise(noise))
