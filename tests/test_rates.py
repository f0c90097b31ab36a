"""The sample rate is the front end's: recordings of any rate to a model at 8 or 48 kHz, its integers, streams, C and scores."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import own_recordings
import pytest
import soundfile
import soxr
from typer.testing import CliRunner

from tinyse import audio
from tinyse.commands.main import app
from tinyse.errors import InputError
from tinyse.evaluation import metrics
from tinyse.evaluation.report import title
from tinyse.mixtures import MixtureConfig, augment, open_mixer, synthetic
from tinyse.mixtures.levels import frame_powers
from tinyse.mixtures.sources import faded
from tinyse.recordings import AudioStore, open_data
from tinyse.recordings.analysis import NARROW, analyze
from tinyse.recordings.cache import listed
from tinyse.recordings.parts import read_part, write_part
from tinyse.spectra.front_end import SAMPLE_RATES, FrontEnd, FrontEndConfig
from tinyse.streaming.denoiser import Denoiser

RECIPE = """
stages:
  only: {{model: {{channels: [4, 4], groups: 2}}, updates: 4, batch: 2, seconds: 0.5, valid_every: 2, warmup: 1,
         losses: {{compressed_spectral: 1.0, signal_to_noise: 0.05}}}}
front_end: {{sample_rate: {rate}, bands: 48, linear_hz: 500}}
mixture: {{low_pass_hz: [2000, 3500], band_limit_probability: 0.5}}
valid_clips: 2
precision: 32-true
threads: 1
workers: 0
export: {{clips: 2}}
evaluation: {{mixtures: 3}}
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Recordings of one's own, one file in three at 8, 16 and 44.1 kHz."""
    folder = own_recordings.write(tmp_path_factory.mktemp("mixed"), seconds=1.5)
    for number, path in enumerate(sorted(folder.rglob("*.wav"))):
        rate = (8000, 16000, 44100)[number % 3]
        sound, was = soundfile.read(path)
        soundfile.write(path, soxr.resample(sound, was, rate), rate)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path_factory.getbasetemp() / "rates-cache"))


@pytest.fixture(scope="module", params=[8000, 48000])
def trained(request, recordings, tmp_path_factory):
    """A finished run: its rate, its folder, the model and what followed."""
    pytest.importorskip("torch")
    from tinyse.training.finish import finish, plan
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYSE_CACHE", str(tmp_path_factory.getbasetemp() / "rates-cache"))
        folder = tmp_path_factory.mktemp(f"at-{request.param}")
        (folder / "tiny.yaml").write_text(RECIPE.format(rate=request.param))
        recipe = load_recipe(folder / "tiny.yaml", [f"output={folder / 'run'}", f"data={recordings}"])
        planned = plan(recipe)
        model = run(recipe, lambda _: None, lambda _: None)
        return request.param, folder, model, finish(recipe, planned, model, lambda _: None)


def test_a_recipe_is_trained_scored_and_exported_at_its_rate(trained):
    rate, folder, model, finished = trained
    for path in (*folder.glob("run/pairs/noisy/*.wav"), *folder.glob("run/examples/*.wav")):
        assert soundfile.info(path).samplerate == rate, path
    scores = json.loads((model.parent / "scores.json").read_text())
    assert scores["sample_rate"] == rate
    assert 1 <= scores["summary"]["noisy"]["pesq"]["mean"] <= 4.65
    assert ("PESQ-NB" if rate == 8000 else "PESQ-WB (at 16 kHz)") in finished.scored.report.read_text()


def test_float_stream_equals_clip_and_integers_equal_on_every_engine(trained):
    rate, _, model, finished = trained
    noisy = np.random.default_rng(0).normal(0, 0.05, rate).astype(np.float32)
    floats = Denoiser(model)
    assert floats.sample_rate == rate and floats.hop == rate * 16 // 1000 and floats.latency_ms == 32
    np.testing.assert_allclose(floats.denoise(noisy), floats.denoise_clip(noisy), atol=2e-6)
    exact = Denoiser(finished.quantized, engine="reference").denoise(noisy)
    pytest.importorskip("tflite_micro")
    assert np.array_equal(Denoiser(finished.quantized, engine="tflm").denoise(noisy), exact)


def test_it_adapts_to_noise_at_its_rate(trained, recordings, tmp_path):
    rate, _, model, _ = trained
    for take in range(3):
        hiss = np.random.default_rng(take).normal(0, 0.1, 24000)
        soundfile.write(tmp_path / f"{take}.wav", hiss, 16000)
    short = ["adapt.updates=1", "integers.updates=1", "integers.quantize.clips=1"]
    short += [f"{stage}.{key}" for stage in ("adapt", "integers") for key in ("batch=1", "seconds=1")]
    settings = ["valid_clips=1", "evaluation.mixtures=2", "export.clips=1", "workers=0", "threads=1"]
    settings += [f"stages.{setting}" for setting in short]
    words = ["adapt", "--noise", tmp_path, "--rehearsal", recordings, "--model", model, "--output", tmp_path / "out"]
    done = CliRunner().invoke(app, [*map(str, words), *(word for setting in settings for word in ("--set", setting))])
    assert done.exit_code == 0, done.output
    assert Denoiser(tmp_path / "out/integers/model.tflite").sample_rate == rate


@pytest.mark.parametrize("fixed_point", [False, True])
def test_its_c_replays_its_golden_vectors(trained, tmp_path, fixed_point):
    if shutil.which("gcc") is None or shutil.which("cmake") is None:
        pytest.skip("needs gcc and cmake")
    from firmware_export.export import export

    export(trained[3].quantized, tmp_path / "firmware", frames=40, fixed_point=fixed_point)
    header = "\n".join(path.read_text() for path in (tmp_path / "firmware").rglob("*.h"))
    assert re.search(rf"_SAMPLE_RATE {trained[0]}\b", header)
    for command in (
        ["cmake", "-S", tmp_path / "firmware", "-B", tmp_path / "build"],
        ["cmake", "--build", tmp_path / "build"],
        ["ctest", "--test-dir", tmp_path / "build", "--output-on-failure"],
    ):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_commands_take_sound_of_any_rate_to_the_model_s(trained, tmp_path):
    rate, _, _, finished = trained
    time = np.arange(22050) / 44100
    soundfile.write(tmp_path / "in.wav", 0.1 * np.sin(2 * np.pi * 440 * time), 44100)
    options = ["--model", str(finished.quantized)]
    for command in (
        ["denoise", tmp_path / "in.wav", tmp_path / "out.wav", *options],
        [
            "live",
            "--input",
            tmp_path / "in.wav",
            "--output",
            tmp_path / "live.wav",
            "--record",
            tmp_path / "r",
            *options,
        ],
    ):
        done = CliRunner().invoke(app, [*map(str, command)])
        assert done.exit_code == 0, done.output
    for name, given in (("out.wav", 44100), ("live.wav", rate)):  # a file comes back as it went in
        about = soundfile.info(tmp_path / name)
        assert about.samplerate == given and abs(about.frames - given // 2) <= 2, name
    assert soundfile.info(tmp_path / "r-in.wav").samplerate == rate
    bench = CliRunner().invoke(
        app, ["bench", str(finished.quantized), "--board", "stm32f446", "--seconds", "1", "--json"]
    )
    assert bench.exit_code == 0, bench.output
    assert json.loads(bench.output)["delay_ms"] == 16 + 2 * 16


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_bands_reach_half_the_rate_and_bins_share_gains(rate):
    front_end = FrontEnd(FrontEndConfig(sample_rate=rate, bands=48, linear_hz=500))
    bands, config = front_end.bands, front_end.config
    assert bands.lower[-1] == bands.count - 1 or bands.weight[-1] < 1e-6
    assert np.allclose(bands.gains(np.ones(48, np.float32)), 1)
    bin_hz = rate / config.transform_size
    linear = round(500 / bin_hz)
    centers = np.geomspace(linear * bin_hz + 228.8, rate / 2 + 228.8, 48 - linear) - 228.8  # even on the ERB-rate scale
    peaks = bands.gains(np.eye(48, dtype=np.float32)).argmax(1) * bin_hz
    assert np.allclose(peaks[linear:], centers, atol=0.6 * bin_hz)


@pytest.mark.parametrize("rate", [44100, 11025, 0])
def test_other_rates_are_refused(rate):
    with pytest.raises(InputError, match="8000, 16000, 24000, 32000, 48000"):
        FrontEndConfig(sample_rate=rate)


def test_the_cache_decodes_again_for_another_rate_and_keeps_both(recordings, tmp_path):
    chosen = open_data(recordings).select("speech", "train")
    stores = {
        rate: AudioStore.build(recordings, chosen, tmp_path, sample_rate=rate) for rate in (16000, 8000, 48000, 16000)
    }
    for rate, store in stores.items():
        assert store.sample_rate == pickle.loads(pickle.dumps(store)).sample_rate == rate
        assert store.length(0) == pytest.approx(1.5 * rate, abs=2)
    parts = [read_part(path) for path in tmp_path.rglob("*.pcm")]
    assert sorted(part.sample_rate for part in parts) == [8000, 16000, 48000]
    assert listed(tmp_path)[0].hours == pytest.approx(3 * len(chosen) * 1.5 / 3600, rel=1e-3)


def test_shards_of_another_rate_are_refused(recordings, tmp_path):
    write_part(tmp_path / "shards/a.pcm", recordings, open_data(recordings).recordings, sample_rate=8000)
    shards = open_data(tmp_path / "shards")
    assert AudioStore.build(tmp_path / "shards", shards.recordings, sample_rate=8000).sample_rate == 8000
    with pytest.raises(InputError, match=r"sound at 8000 Hz, 16000 Hz is wanted.*--rate 16000"):
        AudioStore.build(tmp_path / "shards", shards.recordings)


@pytest.mark.parametrize("rate", ["16000", 0, None])
def test_a_part_without_a_rate_is_damaged(recordings, tmp_path, rate):
    part = tmp_path / "a.pcm"
    write_part(part, recordings, open_data(recordings).recordings)
    index = json.loads(part.with_suffix(".json").read_text())
    part.with_suffix(".json").write_text(json.dumps(index | {"sample_rate": rate}))
    with pytest.raises(InputError, match="damaged: its sample rate is"):
        read_part(part)


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_mixtures_are_the_same_seconds_at_every_rate(recordings, tmp_path, rate):
    config = MixtureConfig(low_pass_hz=(2000, 3500), band_limit_probability=0.3, synthetic_probability=0.5)
    mixer = open_mixer(open_data(recordings), config, 0.5, 1, cache_directory=tmp_path, sample_rate=rate)
    for index in range(12):
        mixture = mixer(0, index)
        assert len(mixture.noisy) == len(mixture.clean) == rate // 2
        assert np.isfinite(mixture.noisy).all() and np.abs(mixture.noisy).max() <= 1


def test_a_band_beyond_half_the_rate_is_refused(recordings, tmp_path):
    with pytest.raises(InputError, match=r"low_pass_hz.*below 4000 Hz"):
        open_mixer(open_data(recordings), MixtureConfig(), 0.5, 0, cache_directory=tmp_path, sample_rate=8000)
    plain = MixtureConfig().plain()
    assert open_mixer(open_data(recordings), plain, 0.5, 0, cache_directory=tmp_path, sample_rate=8000).samples == 4000


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_what_a_mixture_is_made_of_is_in_seconds(rate):
    rng = np.random.default_rng
    assert len(frame_powers(np.zeros(rate), rate)) == 31
    assert len(synthetic.room(rng(0), 0.3, rate)) == int(0.3 * rate)
    early, late = augment.split_response(np.eye(1, 2 * rate)[0], 50, rate)
    assert len(early) == len(late) == rate
    ramp = faded(np.ones(rate, np.float32), True, False, rate)
    assert np.argmax(ramp == 1) == rate // 200 - 1
    hum = synthetic.hum(rng(0), rate, rate)
    assert 48 < np.argmax(np.abs(np.fft.rfft(hum))[:100]) < 62
    sections = augment.equalizer(rng(1), (-6, 6), rate)
    assert max(np.abs(np.roots(row[3:])).max() for row in sections) < 1  # stable
    assert len(augment.change_speed(np.zeros(rate, np.float32), 1.1, rate)) == pytest.approx(rate / 1.1, abs=2)


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
def test_marks_of_a_sound_are_about_the_same_at_every_rate(rate):
    speech = np.concatenate([own_recordings.voice(talker, 0, 1.0) for talker in range(4)])
    usual = {tuple(mark) for mark in analyze(speech, False).marks}
    other = analyze(audio.resampled(speech, 16000, rate), False, rate)
    assert len(usual & {tuple(mark) for mark in other.marks}) > 0.5 * len(usual)
    assert NARROW not in analyze(np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32), False, rate).faults


def test_metrics_at_other_rates_say_what_they_heard(tmp_path):
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    import pesq

    clean = own_recordings.voice(2, 0, 3.0)
    noisy = clean + np.random.default_rng(0).normal(0, 0.02, len(clean)).astype(np.float32)
    usual = metrics.measure(clean, noisy, ["pesq", "stoi"])
    at_48 = metrics.measure(*(audio.resampled(x, 16000, 48000) for x in (clean, noisy)), ["pesq", "stoi"], 48000)
    assert at_48["pesq"] == pytest.approx(usual["pesq"], abs=0.1) and at_48["stoi"] == pytest.approx(
        usual["stoi"], abs=0.02
    )
    low = [audio.resampled(x, 16000, 8000) for x in (clean, noisy)]
    assert metrics.measure(*low, ["pesq"], 8000)["pesq"] == pytest.approx(pesq.pesq(8000, *low, "nb"))
    assert [title("pesq", rate) for rate in (8000, 16000, 48000)] == ["PESQ-NB", "PESQ-WB", "PESQ-WB (at 16 kHz)"]
    assert title("si_sdr", 48000) == title("si_sdr", 16000)


@pytest.mark.parametrize(("mixture", "rate"), [({}, 8000), ({"low_pass_hz": [4000, 9000]}, 16000)])
def test_a_recipe_whose_bands_its_rate_cannot_hold_is_refused(mixture, rate):
    pytest.importorskip("torch")
    from tinyse.training.recipe import recipe_from

    stage = {"model": {"channels": [4]}, "updates": 1, "losses": {"si_sdr": 1.0}}
    with pytest.raises(InputError, match=f"low_pass_hz.*below {rate // 2} Hz"):
        recipe_from({"stages": {"only": stage}, "mixture": mixture, "front_end": {"sample_rate": rate, "bands": 96}})


def test_external_teachers_are_for_their_own_rate():
    pytest.importorskip("torch")
    from tinyse.training.recipe import recipe_from

    stage = {"model": {"channels": [4]}, "updates": 1, "losses": {"si_sdr": 1.0},
             "distillation": {"teacher": {"onnx": "gtcrn.onnx", "window": "sqrt-hann"}, "target": 0.5}}  # fmt: skip
    with pytest.raises(InputError, match="ONNX models take 16000 Hz, the front end 8000 Hz"):
        recipe_from(
            {
                "stages": {"only": stage},
                "front_end": {"sample_rate": 8000, "bands": 96},
                "mixture": {"low_pass_hz": [3000, 3500]},
            }
        )


@pytest.mark.parametrize(
    "front_end", [{"window_ms": 16, "hop_ms": 8}, {"sample_rate": 8000}, {"window_ms": 20, "hop_ms": 10, "bands": 160}]
)
def test_too_many_bands_are_refused_before_training_and_the_number_that_is_named_fits(front_end):
    pytest.importorskip("torch")
    from tinyse.training.recipe import recipe_from

    stage = {"model": {"channels": [4], "groups": 1}, "updates": 1, "losses": {"si_sdr": 1}}
    with pytest.raises(InputError, match=r"front_end\.bands: .* use \d+ or fewer") as refused:
        recipe_from({"stages": {"only": stage}, "front_end": front_end})
    most = int(re.findall(r"use (\d+) or fewer", str(refused.value))[0])
    for bands, fits in ((most, True), (most + 1, False)):
        config = FrontEndConfig(**{**front_end, "bands": bands})
        if fits:
            assert FrontEnd(config).bands.count == most
        else:
            with pytest.raises(InputError, match="narrower than a bin"):
                _ = FrontEnd(config).bands
