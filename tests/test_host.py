"""The generated C on this computer: the engine c has the bits of the integer reference, frame by frame and in sound."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import numpy as np
import pytest
import soundfile
from hypothesis import settings
from hypothesis import strategies as st

from firmware_export import built_in, host
from firmware_export.vectors import sound
from tinyse import released
from tinyse.commands import doctor
from tinyse.corpus import path as built_in_corpus
from tinyse.engines.tflite_engines import ReferenceEngine
from tinyse.errors import InputError
from tinyse.evaluation.backends import backends_for
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


def test_the_backend_that_is_scored_is_this_one(tiny):
    backends = backends_for(tiny.quantized, names=["c", "reference"])
    ours, reference = (backend(np.float32(sound(8000) / 32768)) for backend in backends.values())
    assert list(backends) == ["int8 stream (C)", "int8 stream (reference)"]
    np.testing.assert_array_equal(ours, reference)


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


def test_sound_of_more_than_16_bits_keeps_them(denoisers):
    given = (sound(8000) + np.random.default_rng(0).uniform(-0.5, 0.5, 8000)).astype(np.float32) / np.float32(32768)
    for denoiser in denoisers:
        denoiser.attenuation_limit_db = 1.5  # nor need the strength be whole
    ours, reference = (denoiser.denoise(given) for denoiser in denoisers)
    np.testing.assert_array_equal(ours, reference)
    assert np.unique(ours * 32768 % 1).size > 100


@settings(max_examples=20, deadline=None)
@hypothesis.given(
    st.lists(st.integers(0, 900), max_size=6), st.sampled_from([0.0, 1e-6, 0.1, 30.0, 1e8]), st.integers(0, 99)
)
def test_any_chunks_of_any_level_are_the_references(denoisers, lengths, level, seed):
    given = np.float32(level * np.random.default_rng(seed).standard_normal(sum(lengths)))
    results = []
    for denoiser in denoisers:
        denoiser.attenuation_limit_db = None
        denoiser.reset()
        chunks = np.split(given, np.cumsum(lengths)[:-1]) if lengths else []
        results.append(np.concatenate([*map(denoiser.process, chunks), denoiser.flush()]))
    np.testing.assert_array_equal(*results)


def test_threads_of_one_process_work_at_a_time(denoisers):
    """The library is called without Python's lock: while one thread is inside, this one runs on."""
    path = denoisers[0]._path
    given = np.zeros(256 * 4000, np.float32)
    with ThreadPoolExecutor(1) as pool:
        begin = time.perf_counter()
        other = pool.submit(path.step, given, path.initial_state())
        longest = 0.0
        while not other.done():
            before = time.perf_counter()
            time.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)
        whole = time.perf_counter() - begin
    assert longest < whole / 2


# The models that come with tinyse, compiled when it was installed


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """As setup.py compiles them, {name: file}."""
    folder = tmp_path_factory.mktemp("built in")
    sources = host.write_built_in([released.find(name) for name in released.names()], folder)
    definitions = [f"-D{name}={value}" for name, value in built_in.DEFINITIONS.items()]
    kinds = {built_in.NAME: ()}
    if platform.machine() == "x86_64":
        kinds[built_in.FOR_AVX2] = ("-mavx2",)
    for name, flags in kinds.items():
        host.build(sources, folder / f"{name}.so", folder, (*host.SHARED, *definitions, *flags))
    return folder


@pytest.fixture
def installed(libraries, monkeypatch):
    """An installation with these libraries, whatever there is in this clone."""
    monkeypatch.setattr(built_in, "FOLDER", libraries)
    forget = built_in.library.cache_clear
    forget()
    yield
    forget()


@pytest.fixture
def uncompiled(tmp_path, monkeypatch):
    """An installation that found no compiler."""
    monkeypatch.setattr(built_in, "FOLDER", tmp_path)
    forget = built_in.library.cache_clear
    forget()
    yield
    forget()


@pytest.mark.parametrize("name", released.names())
@pytest.mark.parametrize("file", [built_in.NAME, built_in.FOR_AVX2])
def test_a_model_that_tinyse_brings_runs_in_c_with_the_boards_bits(installed, monkeypatch, name, file):
    if built_in._loaded(file) is None or (file == built_in.FOR_AVX2 and not built_in.library().tinyse_built_in_avx2()):
        pytest.skip("not for this processor")
    monkeypatch.setattr(built_in, "library", lambda: built_in._loaded(file))
    noisy = soundfile.read(sorted((built_in_corpus() / "benchmark/noisy").iterdir())[0], dtype="int16")[0][:32000]
    denoiser, reference = Denoiser(name), Denoiser(name, engine="reference")
    assert denoiser.engine.name == "c"
    assert denoiser.engine.library.built_in
    assert (denoiser.delay, denoiser.latency_ms) == (reference.delay, reference.latency_ms)
    np.testing.assert_array_equal(denoiser.denoise(noisy), reference.denoise(noisy))


def test_a_copy_elsewhere_is_the_same_model_and_another_model_is_not(installed, tiny, tmp_path):
    shutil.copy(released.find("student-30k"), tmp_path / "mine.tflite")
    assert Denoiser(tmp_path / "mine.tflite").engine.name == "c"
    assert Denoiser(tiny.quantized).engine.name == "litert"
    assert Denoiser("student-30k", engine="litert").engine.name == "litert"


def test_without_a_library_litert_takes_its_place(uncompiled):
    assert Denoiser("student-30k").engine.name == "litert"
    check = doctor.models_check()
    assert check.status == "missing"
    assert "not compiled when tinyse was installed" in check.found
    assert "install tinyse again" in check.mend


def test_a_library_of_another_interface_is_not_called(libraries, tmp_path, monkeypatch):
    (tmp_path / "old.c").write_text("int tinyse_built_in_interface(void) { return 0; }")
    host.build([tmp_path / "old.c"], tmp_path / f"{built_in.NAME}.so", tmp_path)
    monkeypatch.setattr(built_in, "FOLDER", tmp_path)
    built_in.library.cache_clear()
    assert not built_in.holds("0" * 64)
    assert "another tinyse" in str(built_in.missing())
    built_in.library.cache_clear()


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
