"""`Denoiser`: any chunks make the same stream, on every engine; bad sound is refused, odd sound comes out sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinyse
from tinyse import audio, corpus, released
from tinyse.engines.tflite_engines import FileEngine
from tinyse.errors import InputError
from tinyse.evaluation.metrics import attenuation_db, level_change_db, si_sdr
from tinyse.evaluation.pairs import find_pairs
from tinyse.streaming.denoiser import Denoiser
from tinyse.streaming.hops import NOTHING, whole_hops

ENGINES = {
    "torch": ("torch", "weights"),
    "litert float": ("litert", "floats"),
    "litert int8": ("litert", "quantized"),
    "tflm int8": ("tflm", "quantized"),
    "reference int8": ("reference", "quantized"),
}
RATE = 16000


@pytest.fixture(scope="module", params=ENGINES)
def opened(request, tiny) -> Denoiser:
    """A denoiser on each engine, opened once."""
    engine, kind = ENGINES[request.param]
    if engine == "tflm":
        pytest.importorskip("tflite_micro")
    return Denoiser(getattr(tiny, kind), engine)


@pytest.fixture
def denoiser(opened: Denoiser) -> Denoiser:
    """It, at the beginning of a stream, without a limit."""
    opened.attenuation_limit_db = None
    opened.reset()
    return opened


def noise(samples: int, level: float = 0.1, seed: int = 0) -> np.ndarray:
    """Float noise that swells and fades, so that frames differ."""
    rng = np.random.default_rng(seed)
    return np.float32(level * (1 + np.sin(np.arange(samples) / 700)) * rng.normal(size=samples))


def stream(denoiser: Denoiser, chunks: list[np.ndarray]) -> np.ndarray:
    """All that comes out for these chunks and a flush; PCM comes out of a flush as float and is left so."""
    return np.concatenate([*(denoiser.process(chunk) for chunk in chunks), denoiser.flush()])


# The stream


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.one_of(st.sampled_from([0, 1, 255, 256, 257]), st.integers(0, 900)), max_size=8))
def test_chunks_of_any_length_make_the_same_stream(denoiser, sizes):
    samples = noise(sum(sizes))
    whole = stream(denoiser, [samples])
    pieces = stream(denoiser, np.split(samples, np.cumsum(sizes)))
    assert len(whole) == len(samples) + denoiser.delay
    np.testing.assert_array_equal(pieces, whole)


def test_sample_by_sample_is_the_same_stream(denoiser):
    samples = noise(2 * denoiser.hop + 3)
    np.testing.assert_array_equal(stream(denoiser, np.split(samples, len(samples))), stream(denoiser, [samples]))


def test_what_is_ready_comes_out_with_every_hop(denoiser):
    assert len(denoiser.process(noise(denoiser.hop - 1))) == 0
    assert len(denoiser.process(noise(1))) == denoiser.hop
    assert len(denoiser.process(noise(3 * denoiser.hop + 5))) == 3 * denoiser.hop
    assert len(denoiser.flush()) == 5 + denoiser.delay


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "f2", "f4", ">f4", "f8"])
def test_sound_keeps_its_type_and_length(denoiser, dtype):
    samples = noise(3000)
    given = (audio.to_pcm16(samples) if dtype.endswith("i2") else samples).astype(dtype)
    result = denoiser.denoise(given)
    assert (result.dtype, result.shape) == (dtype, given.shape)
    assert denoiser.process(given).dtype == dtype
    native = denoiser.denoise(given.astype(given.dtype.newbyteorder("=")))
    np.testing.assert_array_equal(result, native)


def test_pcm_is_the_float_stream_rounded(denoiser):
    pcm = audio.to_pcm16(noise(3000))
    expected = audio.to_pcm16(denoiser.denoise(audio.from_pcm16(pcm)))
    np.testing.assert_array_equal(denoiser.denoise(pcm), expected)


def test_a_whole_clip_is_the_stream_without_its_delay(denoiser):
    samples = noise(3000)
    np.testing.assert_array_equal(denoiser.denoise(samples), stream(denoiser, [samples])[denoiser.delay :])


def test_a_reset_forgets_and_so_does_a_flush(denoiser):
    samples = noise(2000)
    first = stream(denoiser, [samples])
    np.testing.assert_array_equal(stream(denoiser, [samples]), first)
    denoiser.process(noise(777, seed=5))
    denoiser.reset()
    np.testing.assert_array_equal(stream(denoiser, [samples]), first)


def test_flushing_nothing_gives_the_delay_in_silence(denoiser):
    np.testing.assert_array_equal(denoiser.flush(), np.zeros(denoiser.delay, np.float32))


def test_two_denoisers_do_not_disturb_each_other(opened, denoiser, tiny):
    name = type(opened.engine).__name__.removesuffix("Engine").lower()
    other = Denoiser(tiny.weights if name == "torch" else tiny.quantized, name)
    mine, others = noise(4000, seed=1), noise(4000, seed=2)
    alone = stream(denoiser, [mine]), stream(other, [others])
    parts: tuple[list, list] = ([], [])
    for mine_chunk, others_chunk in zip(np.array_split(mine, 9), np.array_split(others, 9), strict=True):
        parts[0].append(denoiser.process(mine_chunk))
        parts[1].append(other.process(others_chunk))
    for result, one, expected in zip(parts, (denoiser, other), alone, strict=True):
        np.testing.assert_array_equal(np.concatenate([*result, one.flush()]), expected)


def test_facts_of_a_denoiser(denoiser):
    assert (denoiser.sample_rate, denoiser.hop, denoiser.delay, denoiser.latency_ms) == (RATE, 256, 256, 32.0)


# The chain: the same model in all its forms


def test_a_whole_clip_in_one_step_equals_the_stream(tiny):
    denoiser, samples = Denoiser(tiny.weights), noise(RATE)
    np.testing.assert_allclose(denoiser.denoise_clip(samples), denoiser.denoise(samples), rtol=0, atol=1e-4)
    denoiser.attenuation_limit_db = 6
    np.testing.assert_allclose(denoiser.denoise_clip(samples), denoiser.denoise(samples), rtol=0, atol=1e-4)


def test_only_torch_takes_a_clip_in_one_step(tiny):
    with pytest.raises(InputError, match="torch"):
        Denoiser(tiny.quantized).denoise_clip(noise(1000))


def test_the_float_file_is_the_torch_model(tiny):
    samples = noise(RATE)
    np.testing.assert_allclose(
        Denoiser(tiny.floats).denoise(samples), Denoiser(tiny.weights).denoise(samples), rtol=0, atol=1e-4
    )


def test_tflm_and_the_reference_make_the_same_bits(tiny):
    pytest.importorskip("tflite_micro")
    samples = noise(RATE)
    device, reference = (Denoiser(tiny.quantized, engine).denoise(samples) for engine in ("tflm", "reference"))
    np.testing.assert_array_equal(device, reference)
    assert np.abs(device).max() > 0.01


# How strong


def test_a_limit_of_0_db_leaves_the_sound_untouched(denoiser):
    denoiser.attenuation_limit_db = 0
    samples = noise(3000)
    np.testing.assert_allclose(denoiser.denoise(samples), samples, rtol=0, atol=1e-6)


def test_a_limit_keeps_its_share_of_the_sound(denoiser):
    samples = noise(3000)
    without = denoiser.denoise(samples)
    denoiser.attenuation_limit_db = 6
    share = 10 ** (-6 / 20)
    np.testing.assert_allclose(denoiser.denoise(samples), share * samples + (1 - share) * without, atol=1e-6)


@pytest.fixture(scope="module")
def silencing(tiny, tmp_path_factory) -> Denoiser:
    """A model that wants everything gone: its mask is next to zero."""
    import torch

    from tinyse.models.files import load_model, save_model

    network, front_end, _ = load_model(tiny.weights)
    with torch.no_grad():
        network.blocks["decoder_1"].convolution.weight.zero_()
        network.blocks["decoder_1"].convolution.bias.fill_(-20)
    path = tmp_path_factory.mktemp("silencing") / "silencing.safetensors"
    save_model(path, network, front_end, {})
    return Denoiser(path)


@pytest.mark.parametrize("limit_db", [0, 3, 12, 40])
def test_no_more_than_the_limit_is_taken_away(silencing, limit_db):
    silencing.attenuation_limit_db = limit_db
    samples = noise(3000)
    assert attenuation_db(samples, silencing.denoise(samples)) == pytest.approx(limit_db, abs=0.01)


def test_without_a_limit_everything_may_go(silencing):
    silencing.attenuation_limit_db = None
    samples = noise(3000)
    assert attenuation_db(samples, silencing.denoise(samples)) > 100


def test_the_limit_may_change_while_a_stream_runs(denoiser):
    samples, half = noise(12 * denoiser.hop), 6 * denoiser.hop
    without = stream(denoiser, [samples])
    denoiser.attenuation_limit_db = 0
    before = denoiser.process(samples[:half])
    denoiser.attenuation_limit_db = None
    after = np.concatenate([denoiser.process(samples[half:]), denoiser.flush()])
    np.testing.assert_allclose(before[denoiser.delay :], samples[: half - denoiser.delay], rtol=0, atol=1e-6)
    # Where a window of the first half still overlaps both are audible; after it is the stream that never had a limit.
    np.testing.assert_array_equal(after[denoiser.delay :], without[half + denoiser.delay :])


# What is refused


BAD_SOUND = {
    "NaN": (np.array([0, np.nan, 0], np.float32), "NaN"),
    "infinite": (np.array([0, np.inf], np.float32), "infinite"),
    "too large for float32": (np.array([1e200]), r"1.0e\+200"),
    "no sound at all": (np.array([1e30], np.float32), r"1.0e\+30"),
    "three axes": (np.zeros((100, 2, 2), np.float32), "one channel"),
    "a single number": (np.float32(0), "one channel"),
    "int32": (np.zeros(100, np.int32), "int32"),
    "uint8": (np.zeros(100, np.uint8), "uint8"),
    "complex": (np.zeros(100, np.complex64), "complex64"),
    "text": (np.array(["sound"]), "int16 or float"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", ["process", "denoise"])
@pytest.mark.parametrize("bad", BAD_SOUND)
def test_bad_sound_is_refused_and_the_stream_stands_where_it_was(denoiser, bad, method):
    samples, (sound, message) = noise(3000), BAD_SOUND[bad]
    undisturbed = stream(denoiser, [samples])
    begun = denoiser.process(samples[:1000])
    with pytest.raises(InputError, match=message) as caught:
        getattr(denoiser, method)(sound)
    assert "\n" not in str(caught.value)
    rest = stream(denoiser, [samples[1000:]])
    np.testing.assert_array_equal(np.concatenate([begun, rest]), undisturbed)


def test_every_engine_answers_its_whole_interface(denoiser):
    state = denoiser.engine.initial_state()
    assert denoiser.engine.state_bytes == sum(value.nbytes for value in state.values())
    if isinstance(denoiser.engine, FileEngine):
        with pytest.raises(InputError, match="only the engine torch"):
            denoiser.denoise_clip(noise(300))


@given(st.integers(1, 40), st.lists(st.integers(0, 100), max_size=8))
def test_whole_hops_lose_nothing_and_keep_less_than_a_hop(hop, lengths):
    chunks = [np.full(length, index, np.float32) for index, length in enumerate(lengths)]
    waiting, taken = NOTHING, []
    for chunk in chunks:
        whole, waiting = whole_hops(waiting, chunk, hop)
        assert len(whole) % hop == 0
        assert len(waiting) < hop
        taken.append(whole)
    np.testing.assert_array_equal(np.concatenate([NOTHING, *taken, waiting]), np.concatenate([NOTHING, *chunks]))


def test_the_torch_engine_takes_one_thread_and_leaves_the_others_to_the_program(tiny, monkeypatch):
    torch = pytest.importorskip("torch")
    denoiser, before, seen = Denoiser(tiny.weights), torch.get_num_threads(), []
    network = denoiser.engine.network

    def watched(*arguments):
        seen.append(torch.get_num_threads())
        return network(*arguments)

    watched.initial_state = network.initial_state
    monkeypatch.setattr(denoiser.engine, "network", watched)
    torch.set_num_threads(3)
    try:
        denoiser.process(noise(600))
        denoiser.denoise_clip(noise(600))
        assert set(seen) == {1}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("limit_db", [-1, -0.001, float("nan")])
def test_a_limit_that_makes_no_sense_is_refused_and_the_old_one_stays(denoiser, tiny, limit_db):
    denoiser.attenuation_limit_db = 12
    with pytest.raises(InputError, match="attenuation limit"):
        denoiser.attenuation_limit_db = limit_db
    assert denoiser.attenuation_limit_db == 12
    with pytest.raises(InputError, match="attenuation limit"):
        Denoiser(tiny.quantized, attenuation_limit_db=limit_db)


@pytest.mark.parametrize(
    ("kind", "engine", "message"),
    [
        ("quantized", "tensorrt", "litert, tflm, reference, c, torch"),
        ("quantized", "torch", "does not run tiny.tflite: use one of litert, "),
        ("weights", "litert", "does not run tiny.safetensors: use torch"),
        ("weights", "reference", "use torch"),
        ("floats", "reference", "float32"),
    ],
)
def test_an_engine_that_does_not_fit_is_named_with_one_that_does(tiny, kind, engine, message):
    with pytest.raises(InputError, match=message) as caught:
        Denoiser(getattr(tiny, kind), engine)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["no.tflite", "no.safetensors", "folder/no"])
def test_a_missing_model_file_is_named(tmp_path, name):
    with pytest.raises(InputError, match=f"there is no model file .*{name}"):
        Denoiser(tmp_path / name)


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        Denoiser(tmp_path)


# Odd but valid


@pytest.fixture(scope="module")
def odd_sound() -> dict[str, np.ndarray]:
    talking = noise(4000)
    jumps = talking.copy()
    jumps[1300:2600] *= 1000
    return {
        "empty": np.zeros(0, np.float32),
        "one sample": np.ones(1, np.float32),
        "less than a hop": noise(100),
        "silence": np.zeros(4000, np.float32),
        "denormal": np.full(4000, 1e-40, np.float32),
        "DC": np.full(4000, 0.5, np.float32),
        "clipping": np.sign(talking),
        "alternating full scale": np.float32(1 - 2 * (np.arange(4000) % 2)),
        "one click": np.eye(1, 4000, 2000, dtype=np.float32)[0],
        "40 dB quieter": talking / 100,
        "level jumps": jumps,
        "scaled as integers": np.rint(talking * 32768),
        "as loud as is allowed": np.sign(talking) * np.float32(2.0**31),
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "case",
    ["empty", "one sample", "less than a hop", "silence", "denormal", "DC", "clipping", "alternating full scale",
     "one click", "40 dB quieter", "level jumps", "scaled as integers", "as loud as is allowed"],
)  # fmt: skip
def test_odd_sound_comes_out_finite_and_as_long(denoiser, odd_sound, case):
    samples = odd_sound[case]
    result = denoiser.denoise(samples)
    pcm = denoiser.denoise(audio.to_pcm16(samples))
    after = denoiser.denoise(noise(1000))
    assert result.shape == pcm.shape == samples.shape
    assert np.isfinite(result).all()
    # A mask is at most 1: nothing gets louder than its surroundings.
    assert np.abs(result).max(initial=0) <= 2 * np.abs(samples).max(initial=0)
    assert np.isfinite(after).all()


def test_silence_stays_silent(denoiser, odd_sound):
    assert not denoiser.denoise(odd_sound["silence"]).any()


def test_a_quiet_talker_is_no_other_problem(denoiser):
    samples = noise(RATE)
    loud, quiet = denoiser.denoise(samples), denoiser.denoise(samples / 8)
    np.testing.assert_allclose(8 * quiet, loud, rtol=0, atol=0.02)


# Models that tinyse comes with


@pytest.fixture
def shipped(tiny, tmp_path, monkeypatch) -> None:
    """An installation that brings two models, both of them the tiny one."""
    monkeypatch.setattr(released, "FOLDER", tmp_path / "released")
    monkeypatch.chdir(tmp_path)
    for name in ("student-62k", "student-30k"):
        (tmp_path / "released" / name).mkdir(parents=True)
        (tmp_path / "released" / name / "model.tflite").write_bytes(tiny.quantized.read_bytes())


def test_a_model_is_found_by_its_name(shipped, tiny):
    assert released.names() == ["student-30k", "student-62k"]
    assert released.find("student-30k").parent.name == "student-30k"
    samples = noise(1000)
    expected = Denoiser(tiny.quantized).denoise(samples)
    np.testing.assert_array_equal(Denoiser("student-30k").denoise(samples), expected)


def test_without_a_name_it_is_the_student_of_62k(shipped):
    assert released.find().parent.name == "student-62k"
    assert len(tinyse.Denoiser().denoise(noise(1000))) == 1000


def test_a_file_that_exists_is_itself_and_a_folder_of_that_name_is_not(shipped, tmp_path, tiny):
    assert released.find(tiny.quantized) == tiny.quantized
    (tmp_path / "student-30k").mkdir()
    assert released.find("student-30k").name == "model.tflite"


def test_a_name_that_is_mistyped_is_corrected(shipped):
    with pytest.raises(InputError, match="did you mean 'student-62k'"):
        Denoiser("student-64k")
    with pytest.raises(InputError, match="known are student-30k, student-62k"):
        Denoiser("xyz")


def test_an_installation_without_models_says_so(shipped, monkeypatch, tmp_path):
    monkeypatch.setattr(released, "FOLDER", tmp_path / "nothing")
    with pytest.raises(InputError, match="came without models"):
        Denoiser()


def test_speech_that_needs_nothing_stays_as_it_was():
    if released.DEFAULT not in released.names():
        pytest.skip(f"no model {released.DEFAULT} is in tinyse/released yet")
    denoiser = Denoiser(released.DEFAULT)
    speech = [pair.load().clean for pair in find_pairs(corpus.pairs())]
    denoised = [denoiser.denoise(clip) for clip in speech]
    pairs = list(zip(speech, denoised, strict=True))
    assert np.mean([si_sdr(*pair) for pair in pairs]) >= 20
    assert all(abs(level_change_db(*pair)) <= 1 for pair in pairs)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_a_clip_of_any_rate_and_channels_comes_back_as_it_was_given(tiny, dtype):
    denoiser = Denoiser(tiny.quantized)
    mono = (np.random.default_rng(0).normal(0, 3000, 9000)).astype(np.int16)
    mono = mono if dtype == np.int16 else (mono / 32768).astype(dtype)
    two = np.stack([mono, mono[::-1]], axis=1)
    clean = denoiser.denoise(two)
    assert (clean.shape, clean.dtype) == (two.shape, dtype)
    for number in range(2):
        np.testing.assert_array_equal(clean[:, number], denoiser.denoise(two[:, number]))
    wide = denoiser.denoise(two, sample_rate=44100)
    assert (wide.shape, wide.dtype) == (two.shape, dtype)
    np.testing.assert_array_equal(wide[:, 0], denoiser.denoise(mono, sample_rate=44100))


def test_a_stream_is_one_channel(tiny):
    with pytest.raises(InputError, match="one channel"):
        Denoiser(tiny.quantized).process(np.zeros((100, 2), np.float32))


def test_a_clip_of_no_sounds_layout_is_refused(tiny):
    denoiser = Denoiser(tiny.quantized)
    for rate in (0, 900):
        with pytest.raises(InputError, match=f"a rate of {rate} Hz"):
            denoiser.denoise(np.zeros(9), sample_rate=rate)
    with pytest.raises(InputError, match="200 channels; sound has 1 to 64"):
        denoiser.denoise(np.zeros((9, 200)))
