"""The generated C on this computer: the engine c has the bits of the integer reference, frame by frame and in sound."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from firmware_export import host
from firmware_export.vectors import sound
from tinyse.engines.tflite_engines import ReferenceEngine
from tinyse.errors import InputError
from tinyse.streaming.denoiser import Denoiser

pytestmark = pytest.mark.skipif(not any(map(shutil.which, host.COMPILERS)), reason="apt-get install gcc libc6-dev")


@pytest.fixture(scope="module")
def denoisers(tiny):
    return Denoiser(tiny.quantized, engine="c"), Denoiser(tiny.quantized, engine="reference")


def test_every_mask_and_state_is_the_references(tiny):
    ours, reference = host.HostEngine(tiny.quantized), ReferenceEngine(tiny.quantized)
    state, expected_state = ours.initial_state(), reference.initial_state()
    rng = np.random.default_rng(0)
    for _ in range(50):
        features = np.float32(rng.uniform(-1, 1, 128))
        mask, state = ours.step(features, state)
        expected, expected_state = reference.step(features, expected_state)
        np.testing.assert_array_equal(mask, expected)
        for name, value in expected_state.items():
            np.testing.assert_array_equal(state[name], value, name)


@pytest.mark.parametrize("limit", [None, 0, 12])
def test_sound_is_the_references_bit_for_bit(denoisers, limit):
    given = sound(2 * 16000 + 99)
    for denoiser in denoisers:
        denoiser.attenuation_limit_db = limit
    ours, reference = (denoiser.denoise(given) for denoiser in denoisers)
    np.testing.assert_array_equal(ours, reference)


def test_streams_of_one_engine_do_not_mix(denoisers):
    """State is an argument and a result: the same chunk from the same state gives the same sound."""
    path = denoisers[0]._path
    given = np.float32(np.random.default_rng(0).normal(0, 0.1, 512))
    first, later = path.step(given, path.initial_state())
    path.step(-given, later)
    again, _ = path.step(given, path.initial_state())
    np.testing.assert_array_equal(first, again)


def test_float_sound_passes_through_16_bits(denoisers):
    denoiser = denoisers[0]
    denoiser.attenuation_limit_db = None
    given = sound(8000)
    np.testing.assert_array_equal(denoiser.denoise(given / np.float32(32768)) * 32768, denoiser.denoise(given))


def test_a_strength_between_whole_decibels_is_refused(denoisers):
    denoiser = denoisers[0]
    denoiser.attenuation_limit_db = 1.5
    with pytest.raises(InputError, match=r"1.5 dB; the firmware knows whole dB"):
        denoiser.process(np.zeros(256, np.float32))
    denoiser.attenuation_limit_db = None


def test_no_compiler_is_said_with_what_to_do(tiny, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="apt-get install gcc"):
        Denoiser(tiny.quantized, engine="c")


def test_live_lets_the_firmware_be_heard(tiny, tmp_path):
    given = sound(16000)
    soundfile.write(tmp_path / "noisy.wav", given, 16000)
    files = ("--input", "noisy.wav", "--output", "heard.wav")
    command = [
        sys.executable,
        "-m",
        "tinyse",
        "live",
        "--model",
        str(tiny.quantized),
        "--engine",
        "c",
        *files,
        "--json",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["late_hops"] >= 0
    heard, _ = soundfile.read(tmp_path / "heard.wav", dtype="int16")
    np.testing.assert_array_equal(heard, Denoiser(tiny.quantized, engine="tflm").denoise(given))
