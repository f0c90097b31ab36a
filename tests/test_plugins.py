"""The LADSPA plugin in ffmpeg, beside `tinyse denoise`."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from firmware_export import host
from firmware_export.plugins import FACTORS, REACH, export_ladspa, low_pass
from firmware_export.vectors import sound
from tinyse import released
from tinyse.errors import InputError
from tinyse.evaluation.metrics import si_sdr
from tinyse.streaming.denoiser import Denoiser

RATE = 16000


@pytest.fixture(scope="module")
def plugin(tiny, tmp_path_factory) -> Path:
    if not Path("/usr/include/ladspa.h").exists() or not any(map(shutil.which, host.COMPILERS)):
        pytest.skip("apt-get install gcc libc6-dev ladspa-sdk")
    target = tmp_path_factory.mktemp("ladspa") / "tinyse_ladspa.so"
    export_ladspa(tiny.quantized, target)
    return target


class Descriptor(ctypes.Structure):
    """LADSPA_Descriptor."""

    _fields_ = [
        ("unique_id", ctypes.c_ulong), ("label", ctypes.c_char_p), ("properties", ctypes.c_int),
        ("name", ctypes.c_char_p), ("maker", ctypes.c_char_p), ("copyright", ctypes.c_char_p),
        ("port_count", ctypes.c_ulong), ("port_descriptors", ctypes.c_void_p), ("port_names", ctypes.c_void_p),
        ("port_range_hints", ctypes.c_void_p), ("implementation", ctypes.c_void_p),
        ("instantiate", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong)),
        ("connect_port", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p)),
        ("activate", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("run", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ulong)),
        ("run_adding", ctypes.c_void_p), ("set_run_adding_gain", ctypes.c_void_p), ("deactivate", ctypes.c_void_p),
        ("cleanup", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ]  # fmt: skip


def described(plugin: Path) -> Descriptor:
    """What a host sees of a plugin."""
    library = ctypes.CDLL(str(plugin))
    library.ladspa_descriptor.restype = ctypes.POINTER(Descriptor)
    return library.ladspa_descriptor(0).contents


def hear(plugin: Path, connected: tuple[int, ...]) -> None:
    """Run a plugin of whose ports only some are connected, and print what it puts out."""
    descriptor, samples = described(plugin), 1024
    given = (ctypes.c_float * samples)(*([0.1, -0.1] * (samples // 2)))
    made, control = (ctypes.c_float * samples)(*([9.0] * samples)), ctypes.c_float(60)
    handle = descriptor.instantiate(ctypes.addressof(descriptor), RATE)
    for port in connected:
        descriptor.connect_port(handle, port, ctypes.addressof((given, made, control, ctypes.c_float())[port]))
    descriptor.activate(handle)
    descriptor.run(handle, samples)
    descriptor.cleanup(handle)
    print(max(map(abs, made)))


@pytest.mark.parametrize(("connected", "loudest"), [((0, 1), "sound"), ((1,), "0.0"), ((0,), "9.0"), ((), "9.0")])
def test_ports_that_a_host_leaves_unconnected_are_not_followed(plugin, connected, loudest):
    code = f"import test_plugins, pathlib; test_plugins.hear(pathlib.Path({str(plugin)!r}), {connected})"
    # glibc then fills what malloc gives with a pattern, which is not an address.
    environment = {**os.environ, "MALLOC_PERTURB_": "165", "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.strip()
    assert 0 < float(printed) < 1 if loudest == "sound" else printed == loudest


def test_each_model_has_an_id_and_a_label_of_its_own(plugin, tmp_path):
    found = [described(plugin)]
    for name in ("student-30k", "student-62k"):
        label = export_ladspa(released.find(name), tmp_path / f"{name}.so")
        found.append(described(tmp_path / f"{name}.so"))
        assert found[-1].label.decode() == label
        assert label.startswith(f"tinyse_{name.replace('-', '_')}_")
        assert label.isidentifier()
    assert len({one.label for one in found}) == len({one.unique_id for one in found}) == 3
    assert all(1 << 23 <= one.unique_id < 1 << 24 for one in found)


def through_ffmpeg(plugin: Path, samples: np.ndarray, rate: int, folder: Path, controls: str = "") -> np.ndarray:
    """What ffmpeg's filter makes of (samples,) float, as float."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("apt-get install ffmpeg")
    soundfile.write(folder / "in.wav", samples, rate, subtype="FLOAT")
    description = f"ladspa=file={plugin}:plugin={described(plugin).label.decode()}{controls}"
    command = ["ffmpeg", "-loglevel", "error", "-y", "-i", "in.wav", "-af", description, "-c:a", "pcm_f32le", "out.wav"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    if "No such filter" in done.stderr:
        pytest.skip("this ffmpeg has no ladspa filter")
    assert done.returncode == 0, done.stderr
    return soundfile.read(folder / "out.wav", dtype="float32")[0]


def test_the_plugin_at_16_khz_has_the_bits_of_the_firmware(tiny, plugin, tmp_path):
    given = sound(2 * RATE)
    heard = through_ffmpeg(plugin, given / np.float32(32768), RATE, tmp_path)
    denoiser = Denoiser(tiny.quantized, engine="reference")
    late = denoiser.hop + denoiser.delay
    np.testing.assert_array_equal(heard[late:] * 32768, denoiser.denoise(given)[: len(heard) - late])


@pytest.mark.parametrize("factor", FACTORS)
def test_the_plugin_at_higher_rates_is_the_denoised_file(tiny, plugin, tmp_path, factor):
    given = soxr.resample(sound(2 * 12800) / 32768, 12800, RATE) / 2  # nothing where the filters begin to fall
    high = soxr.resample(given, RATE, RATE * factor)
    heard = soxr.resample(through_ffmpeg(plugin, high, RATE * factor, tmp_path), RATE * factor, RATE)
    denoiser = Denoiser(tiny.quantized)
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
        export_ladspa(tiny.quantized, tmp_path / "plugin.so")
    assert not list(tmp_path.iterdir())
