"""What no sound should be, and what it may be all the same: streams stay finite and are themselves again within a second."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_plugins import described

from firmware_export import host
from firmware_export.plugins import export_ladspa
from tinyse import corpus, released
from tinyse.audio import to_pcm16
from tinyse.live.endpoints import FileSink, FileSource
from tinyse.live.session import Session
from tinyse.streaming.denoiser import Denoiser
from tinyse.streaming.hops import from_device

RATE = 16000
ENGINES = ("torch", "litert", "reference", "c")
WITHIN_DB = 3.0
"""Of the undisturbed stream's level, a second after the end of a disturbance."""


@pytest.fixture(scope="module", params=ENGINES)
def denoiser(request, tiny) -> Denoiser:
    if request.param == "c" and not any(map(shutil.which, host.COMPILERS)):
        pytest.skip("apt-get install gcc libc6-dev")
    return Denoiser(tiny.weights if request.param == "torch" else tiny.quantized, engine=request.param)


def disturbance(kind: str, seconds: float, level: float, seed: int = 0) -> np.ndarray:
    """(samples,) float32 within +-`level`."""
    count = round(seconds * RATE)
    random = np.random.default_rng(seed)
    made = {
        "silence": lambda: np.zeros(count),
        "offset": lambda: np.full(count, level),
        "square": lambda: level * np.where(np.arange(count) // random.integers(1, 200) % 2, 1.0, -1.0),
        "noise": lambda: random.uniform(-level, level, count),
        "click": lambda: level * np.eye(1, count, count // 2)[0],
        "denormal": lambda: random.uniform(-1e-38, 1e-38, count),
        "jumps": lambda: random.uniform(-1, 1, count) * level ** (np.arange(count) // 1600 % 2),
    }
    return np.float32(made[kind]())


KINDS = ("silence", "offset", "square", "noise", "click", "denormal", "jumps")
disturbances = st.lists(
    st.tuples(st.sampled_from(KINDS), st.floats(0.001, 0.2), st.floats(-7, 0).map(lambda x: 10**x), st.integers(0, 99)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=disturbances, pcm=st.booleans())
def test_whatever_comes_the_stream_is_finite_and_no_louder(denoiser, parts, pcm):
    sound = np.concatenate([disturbance(*part) for part in parts])
    result = denoiser.denoise(to_pcm16(sound) if pcm else sound)
    assert result.shape == sound.shape
    assert np.isfinite(result).all()
    loudest = 32768 if pcm else 1
    assert np.abs(result.astype(float)).max() <= 2 * loudest * np.abs(sound).max() + 1


@pytest.mark.parametrize("model", released.names())
@pytest.mark.parametrize("kind", KINDS)
def test_a_second_after_a_disturbance_speech_is_heard_as_without_it(model, kind):
    rng = np.random.default_rng(1)
    denoiser = Denoiser(model)
    between = disturbance(kind, 2.0, 1.0)
    for path in sorted((corpus.pairs() / "clean").iterdir()):
        spoken = soundfile.read(path, dtype="float32")[0]
        voice = np.resize(spoken / np.abs(spoken).max() * 0.3, 3 * RATE)
        speech = np.float32(voice + rng.normal(0, 0.01, len(voice)))
        undisturbed = denoiser.denoise(np.concatenate([speech, speech]))[-2 * RATE : -RATE]
        disturbed = denoiser.denoise(np.concatenate([speech, between, speech]))[-2 * RATE : -RATE]
        power = np.square(undisturbed).mean()
        assert power > 0.1 * np.square(speech[-2 * RATE : -RATE]).mean()  # it hears the voice at all
        assert abs(10 * np.log10(np.square(disturbed).mean() / power)) < WITHIN_DB, path.name


BROKEN = st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -3e38, 1e-45, 0.5]), min_size=1, max_size=40)


def spoiled(broken: list[float]) -> np.ndarray:
    """Half a second of sound with these samples in it, at two places."""
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, RATE // 2).astype(np.float32)
    for place in (1000, 4999):
        sound[place : place + len(broken)] = broken
    return sound


@given(broken=BROKEN)
def test_what_a_device_must_not_give_is_silence_or_full_scale(broken):
    sound = spoiled(broken)
    made = from_device(sound)
    assert made.dtype == np.float32 and np.isfinite(made).all()
    np.testing.assert_array_equal(made[np.isnan(sound)], 0)
    np.testing.assert_array_equal(np.abs(made[np.abs(sound) > 1]), 1)
    kept = np.abs(sound) <= 1
    np.testing.assert_array_equal(made[kept], sound[kept])


class Device(FileSource):
    """Gives what no file may hold."""

    def __init__(self, path: Path, sound: np.ndarray) -> None:
        super().__init__(path, realtime=False)
        self._samples = sound


@pytest.mark.parametrize("rate", [RATE, 48000])
def test_a_live_session_goes_on_over_nan_and_infinity(tiny, tmp_path, rate):
    """A sound server hands on what another program's filter made: it used to end the session."""
    soundfile.write(tmp_path / "given.wav", np.zeros(8), rate)
    sound = spoiled([np.nan, np.inf, -np.inf, 1e30, np.nan])
    heard = {}
    for name, given_sound in (("broken", sound), ("mended", from_device(sound))):
        target = tmp_path / f"{name}.wav"
        session = Session(Denoiser(tiny.quantized), Device(tmp_path / "given.wav", given_sound), FileSink(target, rate))
        session.start()
        assert session.wait(30)
        heard[name] = soundfile.read(target, dtype="float32")[0]
    assert len(heard["broken"]) >= len(sound) and np.isfinite(heard["broken"]).all()
    np.testing.assert_array_equal(heard["broken"], heard["mended"])


@pytest.mark.parametrize("rate", [RATE, 48000])
def test_the_plugin_is_itself_again_a_second_after_nan_and_infinity(tiny, tmp_path, rate):
    if not Path("/usr/include/ladspa.h").exists() or not any(map(shutil.which, host.COMPILERS)):
        pytest.skip("apt-get install gcc libc6-dev ladspa-sdk")
    plugin = tmp_path / "tinyse_ladspa.so"
    export_ladspa(tiny.quantized, plugin)
    descriptor = described(plugin)
    sound = np.tile(spoiled([0.5]), 4)
    broken = sound.copy()
    broken[1000:1006] = [np.nan, np.inf, -np.inf, 1e30, 1e-45, -np.nan]

    def through(samples: np.ndarray) -> np.ndarray:
        made, limit, latency = np.full_like(samples, np.nan), ctypes.c_float(60), ctypes.c_float()
        handle = descriptor.instantiate(ctypes.addressof(descriptor), rate)
        places = (samples.ctypes.data, made.ctypes.data, ctypes.addressof(limit), ctypes.addressof(latency))
        for port, place in enumerate(places):
            descriptor.connect_port(handle, port, place)
        descriptor.activate(handle)
        descriptor.run(handle, len(samples))
        descriptor.cleanup(handle)
        return made

    made = through(broken)
    assert np.isfinite(made).all() and np.abs(made).max() <= 2
    if rate == RATE:  # without filters the samples are the model's: NaN is silence and infinity is full scale
        np.testing.assert_array_equal(made, through(from_device(broken)))
    late = slice(1006 + rate, None)
    undisturbed = through(sound)[late]
    assert np.square(made[late] - undisturbed).sum() <= 0.1 * np.square(undisturbed).sum()
