"""The LADSPA plugin in ffmpeg, beside `tinyse denoise`."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import settings
from hypothesis import strategies as st

from firmware_export import host
from firmware_export.plugins import REACH, SHAPE_STEPS, export_ladspa, low_pass
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


@pytest.mark.parametrize("factor", [2, 3, 6])
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


OTHER_RATES = [8000, 11025, 12000, 22050, 24000, 44100, 88200, 192000]


class Instance:
    """The plugin as a host runs it. `latency` is what its port says, in samples."""

    def __init__(self, plugin: Path, rate: int) -> None:
        self.descriptor = described(plugin)
        self.handle = self.descriptor.instantiate(ctypes.addressof(self.descriptor), rate)
        assert self.handle, f"{rate} Hz was refused"
        self.limit, self.latency_port = ctypes.c_float(60), ctypes.c_float(-1)
        self.descriptor.connect_port(self.handle, 2, ctypes.addressof(self.limit))
        self.descriptor.connect_port(self.handle, 3, ctypes.addressof(self.latency_port))
        self.descriptor.activate(self.handle)

    def process(self, samples: np.ndarray) -> np.ndarray:
        given, made = np.ascontiguousarray(samples, np.float32), np.full(len(samples), np.nan, np.float32)
        self.descriptor.connect_port(self.handle, 0, given.ctypes.data)
        self.descriptor.connect_port(self.handle, 1, made.ctypes.data)
        self.descriptor.run(self.handle, len(given))
        return made

    @property
    def latency(self) -> int:
        return int(self.latency_port.value)

    def close(self) -> None:
        self.descriptor.cleanup(self.handle)


def heard(
    plugin: Path, samples: np.ndarray, rate: int, lengths: list[int], limit: float = 60
) -> tuple[np.ndarray, int]:
    """What the plugin makes of (samples,) float32 in blocks of those lengths, over and over, and its latency."""
    instance, made, first, number = Instance(plugin, rate), [], 0, 0
    instance.limit.value = limit
    while first < len(samples):
        length = lengths[number % len(lengths)]
        made.append(instance.process(samples[first : first + length]))
        first, number = first + length, number + 1
    instance.close()
    return np.concatenate(made), instance.latency


@pytest.mark.parametrize("rate", OTHER_RATES)
def test_the_plugin_at_any_rate_is_the_resampled_sound_denoised(tiny, plugin, rate):
    """Against soxr on both sides, at 30 dB: the way there and back, as late as the port says."""
    lower = min(rate, RATE)
    given = soxr.resample(sound(4 * 12800) / 32768, 12800, round(0.8 * lower)) / 2  # nothing where the filters fall
    given = np.float32(soxr.resample(given, round(0.8 * lower), rate))
    made, latency = heard(plugin, given, rate, [512])
    assert 1000 * latency / rate == pytest.approx(32 + 2000 * REACH / lower, abs=0.2)
    # The network meets the sound as late as the filter on the way in makes it.
    own = soxr.resample(given, rate, RATE)
    late = round(REACH * RATE / lower)
    clean = Denoiser(tiny.quantized, engine="reference").denoise(np.float32(np.concatenate([np.zeros(late), own])))[
        late:
    ]
    expected = soxr.resample(clean, RATE, rate)
    length = min(len(expected), len(made) - latency)
    edge = rate // 20
    assert si_sdr(expected[edge : length - edge], made[latency:][edge : length - edge]) > 30


@pytest.mark.parametrize("rate", OTHER_RATES)
def test_untouched_sound_comes_back_at_any_rate(plugin, rate):
    """With a strength of 0 dB nothing but filters and 16 bits are on the way: 60 dB, at the sample that the port says."""
    time = np.arange(rate // 2) / rate
    given = np.float32(0.3 * np.sin(2 * np.pi * 440 * time) + 0.3 * np.sin(2 * np.pi * 0.4 * min(rate, RATE) * time))
    made, latency = heard(plugin, given, rate, [441], limit=0)
    edge = rate // 20
    inner = slice(edge, len(given) - latency - edge)
    error = made[latency:][inner] - given[:-latency][inner]
    assert 10 * np.log10(np.square(given[:-latency][inner]).mean() / np.square(error).mean()) > 60


@settings(max_examples=25, deadline=None)
@hypothesis.given(
    st.sampled_from([RATE, *OTHER_RATES]), st.lists(st.integers(1, 3000), min_size=1, max_size=5), st.integers(0, 99)
)
def test_blocks_of_any_length_give_the_same_sound(plugin, rate, lengths, seed):
    given = np.float32(np.random.default_rng(seed).normal(0, 0.2, 4000))
    together, latency = heard(plugin, given, rate, [len(given)])
    apart, same = heard(plugin, given, rate, lengths)
    np.testing.assert_array_equal(apart, together)
    assert latency == same > 0
    assert np.isfinite(together).all()


@pytest.mark.parametrize("rate", [RATE, 44100])
def test_a_host_may_run_in_place_and_for_no_samples(plugin, rate):
    given = np.float32(np.random.default_rng(1).normal(0, 0.2, 4000))
    expected, _ = heard(plugin, given, rate, [777])
    instance, made = Instance(plugin, rate), given.copy()
    for start, length in ((0, 1), (1, 0), (1, 2000), (2001, 1999)):
        for port in (0, 1):
            instance.descriptor.connect_port(instance.handle, port, made[start:].ctypes.data)
        instance.descriptor.run(instance.handle, length)
    instance.close()
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("rate", [RATE, *OTHER_RATES])
def test_silence_and_what_is_no_number_stay_silent(plugin, rate):
    for value in (0.0, np.nan):
        made, _ = heard(plugin, np.full(rate // 4, value, np.float32), rate, [333])
        assert np.abs(made).max() < 1e-4
    assert np.isfinite(heard(plugin, np.full(rate // 4, 1e30, np.float32), rate, [333])[0]).all()


@pytest.mark.parametrize("rate", [0, 1, 600, 44056, 400_000, 2**31 - 1, 2**32, 2**33 + 48000])
def test_a_rate_that_the_plugin_has_not_is_refused(plugin, rate):
    descriptor = described(plugin)
    assert not descriptor.instantiate(ctypes.addressof(descriptor), rate)


def test_the_filter_passes_speech_and_stops_what_would_fold():
    half = low_pass()
    response = 20 * np.log10(np.abs(np.fft.rfft(np.concatenate([half[:0:-1], half]), 1 << 16)) / SHAPE_STEPS)
    of_lower_rate = np.arange(len(response)) * SHAPE_STEPS / (1 << 16)
    assert np.abs(response[of_lower_rate < 7 / 16]).max() < 0.1
    assert response[of_lower_rate > 9 / 16].max() < -80


def test_a_missing_header_is_said_with_what_to_do(tiny, tmp_path, monkeypatch):
    def fail(*arguments):
        raise InputError("cc failed: ladspa.c:2:10: fatal error: ladspa.h: No such file or directory")

    monkeypatch.setattr("firmware_export.plugins.build", fail)
    with pytest.raises(InputError, match="apt-get install ladspa-sdk"):
        export_ladspa(tiny.quantized, tmp_path / "plugin.so")
    assert not list(tmp_path.iterdir())
