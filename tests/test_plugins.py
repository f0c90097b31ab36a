"""The LADSPA plugin in ffmpeg, beside `tinyse denoise`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from firmware_export import host
from firmware_export.plugins import FACTORS, REACH, export_ladspa, low_pass
from firmware_export.vectors import sound
from tinyse.errors import InputError
from tinyse.evaluation.metrics import si_sdr
from tinyse.streaming.denoiser import Denoiser

RATE = 16000


@pytest.fixture(scope="module")
def plugin(tiny, tmp_path_factory) -> Path:
    if not Path("/usr/include/ladspa.h").exists() or not any(map(shutil.which, host.COMPILERS)):
        pytest.skip("apt-get install gcc libc6-dev ladspa-sdk")
    return export_ladspa(tiny.integers, tmp_path_factory.mktemp("ladspa") / "tinyse_ladspa.so")


def through_ffmpeg(plugin: Path, samples: np.ndarray, rate: int, folder: Path, controls: str = "") -> np.ndarray:
    """What ffmpeg's filter makes of (samples,) float, as float."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("apt-get install ffmpeg")
    soundfile.write(folder / "in.wav", samples, rate, subtype="FLOAT")
    description = f"ladspa=file={plugin}:plugin=tinyse{controls}"
    command = ["ffmpeg", "-loglevel", "error", "-y", "-i", "in.wav", "-af", description, "-c:a", "pcm_f32le", "out.wav"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    if "No such filter" in done.stderr:
        pytest.skip("this ffmpeg has no ladspa filter")
    assert done.returncode == 0, done.stderr
    return soundfile.read(folder / "out.wav", dtype="float32")[0]


def test_the_plugin_at_16_khz_has_the_bits_of_the_firmware(tiny, plugin, tmp_path):
    given = sound(2 * RATE)
    heard = through_ffmpeg(plugin, given / np.float32(32768), RATE, tmp_path)
    denoiser = Denoiser(tiny.integers, engine="reference")
    late = denoiser.hop + denoiser.delay
    np.testing.assert_array_equal(heard[late:] * 32768, denoiser.denoise(given)[: len(heard) - late])


@pytest.mark.parametrize("factor", FACTORS)
def test_the_plugin_at_higher_rates_is_the_denoised_file(tiny, plugin, tmp_path, factor):
    given = soxr.resample(sound(2 * 12800) / 32768, 12800, RATE) / 2  # nothing where the filters begin to fall
    high = soxr.resample(given, RATE, RATE * factor)
    heard = soxr.resample(through_ffmpeg(plugin, high, RATE * factor, tmp_path), RATE * factor, RATE)
    denoiser = Denoiser(tiny.integers)
    # The filter on the way in is late, too: the network sees the sound at another place in its frames.
    shifted = np.concatenate([np.zeros(REACH), given])
    expected = denoiser.denoise(np.float32(shifted))
    late = denoiser.hop + denoiser.delay + REACH
    length = min(len(heard) - late, len(expected))
    assert si_sdr(expected[:length], heard[late : late + length]) > 30


def test_the_plugin_takes_a_strength(plugin, tmp_path):
    given = sound(RATE) / np.float32(32768)
    heard = through_ffmpeg(plugin, given, RATE, tmp_path, ":controls=c0=0")
    assert si_sdr(given[: len(heard) - 512], heard[512:]) > 60


def test_the_filters_pass_speech_and_stop_what_would_fold():
    for factor in FACTORS:
        response = 20 * np.log10(np.abs(np.fft.rfft(low_pass(factor), 1 << 14)))
        hertz = np.arange(len(response)) * RATE * factor / (1 << 14)
        assert np.abs(response[hertz < 7000]).max() < 0.1
        assert response[hertz > 9000].max() < -80


def test_a_missing_header_is_said_with_what_to_do(tiny, tmp_path, monkeypatch):
    def fail(*arguments):
        raise InputError("cc failed: ladspa.c:2:10: fatal error: ladspa.h: No such file or directory")

    monkeypatch.setattr("firmware_export.plugins.build", fail)
    with pytest.raises(InputError, match="apt-get install ladspa-sdk"):
        export_ladspa(tiny.integers, tmp_path / "plugin.so")
    assert not list(tmp_path.iterdir())
