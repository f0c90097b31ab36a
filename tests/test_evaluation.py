"""Measures against literal versions and known values; pairs, statistics and the chain on stand-in backends."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyse import audio
from tinyse.commands.evaluate import evaluate
from tinyse.errors import InputError
from tinyse.evaluation import chain, metrics, report, statistics
from tinyse.evaluation.backends import backends_for
from tinyse.evaluation.checks import shift
from tinyse.evaluation.dnsmos import WINDOW, dnsmos, windows
from tinyse.evaluation.pairs import LoadedPair, Pair, find_pairs
from tinyse.process_pool import ProcessPool

SEEDS = st.integers(0, 2**32 - 1)


def sound(seed: int, samples: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples)


def silence(samples: int = 400) -> np.ndarray:
    return np.zeros(samples)


# Measures


def literal_si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    dot = sum(s * e for s, e in zip(reference, estimate, strict=True))
    scale = dot / sum(s * s for s in reference)
    target = sum((scale * s) ** 2 for s in reference)
    distortion = sum((e - scale * s) ** 2 for s, e in zip(reference, estimate, strict=True))
    return 10 * math.log10(target / distortion)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_si_sdr_is_its_definition(seed):
    clean, other = sound(seed), sound(seed + 1)
    assert metrics.si_sdr(clean, clean + other) == pytest.approx(literal_si_sdr(clean, clean + other))


@given(SEEDS, st.floats(1e-3, 1e3))
@settings(max_examples=50, deadline=None)
def test_si_sdr_does_not_see_the_level(seed, gain):
    clean, estimate = sound(seed), sound(seed) + sound(seed + 1)
    assert metrics.si_sdr(clean, gain * estimate) == pytest.approx(metrics.si_sdr(clean, estimate), abs=1e-6)


@given(SEEDS, st.floats(-20, 40))
@settings(max_examples=50, deadline=None)
def test_orthogonal_noise_makes_both_ratios_the_snr(seed, snr_db):
    clean, noise = sound(seed), sound(seed + 1)
    noise -= (noise @ clean) / (clean @ clean) * clean
    noise *= math.sqrt(clean @ clean / (noise @ noise)) * 10 ** (-snr_db / 20)
    assert metrics.si_sdr(clean, clean + noise) == pytest.approx(snr_db, abs=1e-6)
    assert metrics.sdr(clean, clean + noise) == pytest.approx(snr_db, abs=1e-6)
    assert metrics.level_change_db(clean, clean + noise) == pytest.approx(0, abs=1e-6)


@given(SEEDS, st.floats(-40, 20))
@settings(max_examples=50, deadline=None)
def test_a_change_of_level_is_seen_by_sdr_and_level(seed, change_db):
    clean = sound(seed)
    gain = 10 ** (change_db / 20)
    assert metrics.level_change_db(clean, gain * clean) == pytest.approx(change_db, abs=1e-9)
    if abs(change_db) > 0.01:
        assert metrics.sdr(clean, gain * clean) == pytest.approx(-20 * math.log10(abs(1 - gain)), rel=1e-6, abs=1e-6)


def test_segmental_snr_is_the_mean_of_limited_segments():
    clean = np.ones(4 * 512)
    clean[1536:] = 0
    estimate = clean + np.repeat([0.1, 0.0, 100.0, 1.0], 512)
    assert metrics.segmental_snr(clean, estimate) == pytest.approx((20 + 35 - 10) / 3)


def test_attenuation():
    assert metrics.attenuation_db(sound(1), 0.1 * sound(1)) == pytest.approx(20)
    assert metrics.attenuation_db(sound(1), silence()) == math.inf
    assert math.isnan(metrics.attenuation_db(silence(), sound(1)))


@pytest.mark.parametrize("name", metrics.METRICS)
def test_a_silent_or_empty_reference_has_no_score(name):
    for samples in (0, 400, 16000):
        assert math.isnan(metrics.measure(silence(samples), sound(1, samples), [name])[name])


@pytest.mark.parametrize("name", metrics.METRICS)
def test_a_silent_estimate_is_no_good_score(name):
    value = metrics.METRICS[name](sound(1, 16000), silence(16000))
    assert math.isnan(value) or value <= 0


@pytest.mark.parametrize(("name", "best"), [("pesq", 4.644), ("stoi", 1.0), ("estoi", 1.0), ("sdr", math.inf)])
def test_a_perfect_copy_has_the_best_score(name, best):
    clean = sound(1, 16000)
    assert metrics.METRICS[name](clean, clean) == pytest.approx(best, abs=1e-3)


def test_wrong_inputs_are_the_users_errors():
    with pytest.raises(InputError, match="equally long"):
        metrics.sdr(sound(1), sound(1)[:-1])
    with pytest.raises(InputError, match="not finite"):
        metrics.sdr(sound(1), sound(1) * np.nan)
    with pytest.raises(InputError, match="did you mean 'pesq'"):
        metrics.measure(sound(1), sound(1), ["pesk"])


# DNSMOS: a stand-in network of the same shape, as Microsoft's is not part of tinyse


def test_dnsmos_windows_are_those_of_microsofts_script():
    assert windows(sound(1, 16000)).shape == (7, WINDOW)  # doubled to 16 s
    assert windows(sound(1, WINDOW)).shape == (1, WINDOW)
    long = sound(1, 12 * 16000)
    assert np.array_equal(windows(long), [long[s : s + WINDOW] for s in (0, 16000, 32000)])


def test_dnsmos_calibrates_raw_outputs(monkeypatch):
    monkeypatch.setattr("tinyse.evaluation.dnsmos._run", lambda path, batch: np.array([[3.0, 3.0, 3.0]]))
    opinion = dnsmos(sound(1, 16000), "any.onnx")
    assert opinion.speech == pytest.approx(np.polyval([-0.08397278, 1.22083953, 0.0052439], 3))
    assert opinion.background == pytest.approx(np.polyval([-0.13166888, 1.60915514, -0.39604546], 3))
    assert opinion.overall == pytest.approx(np.polyval([-0.06766283, 1.11546468, 0.04602535], 3))


def test_dnsmos_refuses_what_is_no_network(tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match="no DNSMOS network"):
        dnsmos(sound(1), tmp_path / "absent.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    with pytest.raises(InputError, match="is not an ONNX network"):
        dnsmos(sound(1), tmp_path / "broken.onnx")


# Statistics


def test_the_quantile_is_students():
    scipy_stats = pytest.importorskip("scipy.stats")
    for degrees in (*range(1, 40), 69, 1000):
        assert statistics.t_quantile(degrees) == pytest.approx(scipy_stats.t.ppf(0.975, degrees), rel=1e-9)
    assert statistics.t_quantile(1) == pytest.approx(math.tan(math.pi * 0.475)), "its definition for one degree"
    assert math.isnan(statistics.t_quantile(0))


def test_the_interval_holds_the_true_mean_in_95_of_100_samples():
    draws = np.random.default_rng(0).normal(3, 2, (2000, 14))
    summaries = [statistics.summarize(draw) for draw in draws]
    inside = np.mean([abs(summary.mean - 3) <= summary.half_width for summary in summaries])
    assert inside == pytest.approx(0.95, abs=0.015)


def test_undefined_values_are_counted_and_left_out():
    summary = statistics.summarize([1.0, math.nan, 3.0, math.inf])
    assert (summary.mean, summary.count, summary.undefined) == (2.0, 2, 2)
    assert math.isnan(statistics.summarize([]).mean)
    assert math.isnan(statistics.summarize([1.0]).half_width)
    assert statistics.summarize([1.0, 1.2]).as_text(1, "+") == "+1.1 ± 1.3"
    assert statistics.summarize([-0.001]).as_text() == "0.00", "no sign and no interval"
    assert statistics.summarize([math.nan]).as_text() == "-"


def test_paired_differences_are_tighter_than_means():
    before = sound(1, 50) * 100
    after = before + 1 + sound(2, 50)
    difference = statistics.paired(before, after)
    assert difference.mean == pytest.approx(1, abs=0.1)
    assert difference.half_width < 0.05 * statistics.summarize(after).half_width
    assert statistics.share_below([1, 2, 3, math.nan], [2, 2, 2, 2]) == pytest.approx(100 / 3)


# Pairs


def write_pairs(folder: Path, names: list[str], samples: int = 8000) -> None:
    for index, name in enumerate(names):
        clean = np.float32(sound(index, samples))
        audio.write(folder / "clean" / f"{name}.wav", clean)
        audio.write(folder / "noisy" / f"{name}.wav", clean + np.float32(sound(index + 100, samples)) * 0.1)


def test_pairs_by_name_measure_their_snr(tmp_path):
    write_pairs(tmp_path, ["b", "a"])
    pairs = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["a", "b"]
    assert pairs[0].load().snr_db == 20
    assert find_pairs(tmp_path, limit=1) == pairs[:1]


def test_pairs_by_table(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    table = tmp_path / "pairs.csv"
    table.write_text("id,clean,noisy,snr_db\nfirst,clean/b.wav,noisy/b.wav,-5\n,clean/a.wav,noisy/a.wav,\n")
    assert [(pair.name, pair.snr_db) for pair in find_pairs(tmp_path)] == [("first", -5), ("a", None)]
    table.write_text("id,clean,noisy\nfirst,clean/b.wav,noisy/c.wav\n")
    with pytest.raises(InputError, match=r"line 2: there is no file .*c\.wav"):
        find_pairs(tmp_path)
    table.write_text("clean,noisy,snr_db\nclean/b.wav,noisy/b.wav,loud\n")
    with pytest.raises(InputError, match="'loud', which is not a number"):
        find_pairs(tmp_path)
    table.write_text("speech,noisy\n")
    with pytest.raises(InputError, match="no column 'clean'"):
        find_pairs(tmp_path)
    table.write_text("clean,noisy\n")
    with pytest.raises(InputError, match="lists no pairs"):
        find_pairs(tmp_path)


def test_faulty_folders_are_named(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        find_pairs(tmp_path / "absent")
    with pytest.raises(InputError, match="holds no pairs"):
        find_pairs(tmp_path)
    (tmp_path / "clean").mkdir()
    with pytest.raises(InputError, match=r"no folder .*noisy"):
        find_pairs(tmp_path)
    (tmp_path / "noisy").mkdir()
    with pytest.raises(InputError, match="no sound files"):
        find_pairs(tmp_path)
    write_pairs(tmp_path, ["a"])
    audio.write(tmp_path / "noisy" / "extra.wav", sound(1))
    with pytest.raises(InputError, match=r"extra\.wav in noisy/ has no partner of that name in clean/"):
        find_pairs(tmp_path)
    audio.write(tmp_path / "clean" / "extra.wav", sound(1)[:-1])
    with pytest.raises(InputError, match=r"399 samples and .* 400"):
        find_pairs(tmp_path)[1].load()
    with pytest.raises(InputError, match="limit of 0"):
        find_pairs(tmp_path, 0)


def test_pairs_of_voicebank_demand(tmp_path):
    for side in ("clean", "noisy"):
        for name in ("p232_001", "p257_427"):
            audio.write(tmp_path / f"{side}_testset_wav/{name}.wav", sound(1))
    assert [pair.name for pair in find_pairs(tmp_path)] == ["p232_001", "p257_427"]


def test_pairs_of_the_dns_challenge(tmp_path):
    """Names that only share their fileid, two folders below where one would point; a directory up, it is found."""
    folder = tmp_path / "test_set/synthetic/no_reverb"
    for number in (0, 158):
        audio.write(folder / f"clean/clean_fileid_{number}.wav", sound(number))
        audio.write(folder / f"noisy/clnsp1_train_69005_{number}_snr15_tl-21_fileid_{number}.wav", sound(number))
    found = {pair.name: (pair.clean.stem, pair.noisy.stem) for pair in find_pairs(folder)}
    assert found == {
        f"fileid_{number}": (f"clean_fileid_{number}", f"clnsp1_train_69005_{number}_snr15_tl-21_fileid_{number}")
        for number in (0, 158)
    }
    with pytest.raises(InputError, match=r"did you mean .*no_reverb\?"):
        find_pairs(tmp_path / "test_set")
    audio.write(folder / "noisy/another_fileid_158.wav", sound(1))
    with pytest.raises(InputError, match="same fileid_158"):
        find_pairs(folder)


def test_pairs_of_a_preview(tmp_path):
    """Also with the denoised sound between, as a run's examples have it."""
    for side in ("clean", "noisy", "denoised"):
        audio.write(tmp_path / f"00-{side}.wav", sound(1))
    pair = find_pairs(tmp_path)[0]
    assert (pair.name, pair.clean.name, pair.noisy.name) == ("00", "00-clean.wav", "00-noisy.wav")
    audio.write(tmp_path / "01-noisy.wav", sound(1))
    with pytest.raises(InputError, match="01-noisy"):
        find_pairs(tmp_path)


# The chain on stand-in backends

FAST = ("si_sdr", "sdr", "level_change_db")


def loaded(index: int, snr_db: float) -> LoadedPair:
    clean, noise = np.float32(sound(index, 8000)), np.float32(sound(index + 100, 8000))
    return LoadedPair(f"{index}", clean, clean + noise * np.float32(10 ** (-snr_db / 20)), snr_db)


PAIRS = [loaded(index, snr_db) for index, snr_db in enumerate((0.0, 0.0, 10.0, 10.0))]


def test_the_chain_scores_every_backend_on_speech_and_noise():
    scores = chain.score({"as it is": np.copy, "half": lambda x: x / 2}, [*PAIRS, PAIRS[0]], FAST)
    assert list(scores.quality) == ["noisy", "as it is", "half"]
    assert scores.quality["as it is"] == scores.quality["noisy"]
    assert scores.quality["half"]["si_sdr"] == pytest.approx(scores.quality["noisy"]["si_sdr"], abs=1e-4)
    assert scores.noise["half"]["attenuation_db"] == pytest.approx([6.02] * 5, abs=0.01)
    assert scores.clean["half"]["level_change_db"] == pytest.approx([-6.02] * 4, abs=0.01)  # distinct clips
    assert scores.steps["half"]["sdr"] == pytest.approx([6.02] * 5, abs=0.01)
    largest = [np.abs(pair.noisy / 2).max() for pair in [*PAIRS, PAIRS[0]]]
    assert scores.steps["half"]["largest_difference"] == pytest.approx(largest)


def test_processes_do_not_change_the_numbers():
    backends = {"half": lambda x: x / 2}
    calls: list[None] = []
    several = chain.score(backends, PAIRS * 3, FAST, processes=2, progress=lambda: calls.append(None))
    assert several == chain.score(backends, PAIRS * 3, FAST)
    assert len(calls) == 12


def test_backends_that_break_the_rules_are_named():
    with pytest.raises(InputError, match=r"0: the backend 'short' made \(7999,\)"):
        chain.score({"short": lambda x: x[1:]}, PAIRS, FAST)
    with pytest.raises(InputError, match="not finite"):
        chain.score({"burst": lambda x: x * np.nan}, PAIRS, FAST)
    with pytest.raises(InputError, match="cannot be named"):
        chain.score({"noisy": np.copy}, PAIRS, FAST)
    with pytest.raises(InputError, match="no pairs"):
        chain.score({"copy": np.copy}, [], FAST)
    with pytest.raises(InputError, match="at least 1"):
        chain.score({"copy": np.copy}, PAIRS, FAST, processes=0)


def test_silence_passes_through_the_chain_and_is_counted():
    silent = LoadedPair("silent", np.zeros(8000, np.float32), np.float32(sound(9, 8000)), math.nan)
    scores = chain.score({"half": lambda x: x / 2}, [*PAIRS, silent], FAST)
    assert math.isnan(scores.quality["half"]["si_sdr"][-1])
    table = report.tables(scores)[0]
    assert "in which a measure finds no speech" in table.note
    assert all("(4 of 5)" in cell for row in table.rows for cell in row[1:])


def test_muting_hard_files_does_not_raise_a_mean():
    """Eight of twelve pairs come back as silence: they count, in every column, and as worse than they were."""
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    speech = [speech_like(index) for index in range(12)]
    pairs = [
        LoadedPair(f"{index}", clean, clean + np.float32(sound(index, len(clean))) * np.float32(0.3), 0.0)
        for index, clean in enumerate(speech)
    ]
    hard = {pair.noisy.tobytes() for pair in pairs[:8]}
    scores = chain.score({"mute": lambda x: x * 0 if x.tobytes() in hard else x}, pairs)
    plain = report.as_json(scores)
    for name in ("si_sdr", "pesq", "stoi", "estoi", "level_change_db"):
        muted, noisy = plain["summary"]["mute"][name], plain["summary"]["noisy"][name]
        assert muted["count"] == noisy["count"] == 12, name
        assert muted["mean"] < noisy["mean"], name
        if name != "level_change_db":
            assert plain["worse_than_noisy_percent"]["mute"][name] == pytest.approx(100 * 8 / 12), name
    assert plain["summary"]["mute"]["si_sdr"]["mean"] == pytest.approx(
        (8 * -20 + sum(scores.quality["noisy"]["si_sdr"][8:])) / 12
    )
    assert plain["least"]["pesq"] == 1.0
    assert "counts as SI-SDR dB -20, PESQ-WB 1" in report.as_markdown(report.tables(scores))


def speech_like(seed: int, seconds: float = 1.5) -> np.ndarray:
    """Syllables of a voice: tones of one pitch that come and go."""
    time = np.arange(round(seconds * 16000)) / 16000
    pitch = 100 + 10 * seed
    voice = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 20))
    return np.float32(0.1 * voice * np.maximum(np.sin(2 * np.pi * 3 * time), 0))


@given(SEEDS, st.floats(-60, 60), st.sampled_from(["si_sdr", "sdr"]))
@settings(max_examples=25, deadline=None)
def test_nothing_counts_for_less_than_silence(seed, gain_db, name):
    clean = sound(seed)
    tried = clean * 10 ** (gain_db / 20) + sound(seed + 1)
    value = metrics.bounded(name, metrics.METRICS[name](clean, tried), True)
    assert value >= metrics.LEAST.get(name, -metrics.MOST_DB)
    if name == "si_sdr":
        assert metrics.bounded(name, metrics.si_sdr(clean, silence()), True) <= value


@given(SEEDS, st.integers(-15999, 15999), st.floats(-8, 30))
@settings(max_examples=25, deadline=None)
def test_a_side_that_is_late_is_found_to_the_sample(seed, late, snr_db):
    clean = np.concatenate([np.zeros(17000), sound(seed, 8000) * np.hanning(8000), np.zeros(17000)])
    noisy = np.roll(clean, late) + sound(seed + 1, len(clean)) * 10 ** (-snr_db / 20) * np.std(clean) * 10
    assert shift(clean, noisy) in ((late, 0) if abs(late) < 2 else (late,))


@given(SEEDS, st.floats(-10, 60), st.sampled_from(["noise", "tone"]))
@settings(max_examples=25, deadline=None)
def test_a_pair_in_its_place_is_not_called_late(seed, snr_db, kind):
    clean = np.float64(speech_like(seed % 12))
    noise = sound(seed, len(clean)) if kind == "noise" else np.sin(0.05 * np.arange(len(clean)) + seed % 7)
    noise *= np.std(clean) / np.std(noise) * 10 ** (-snr_db / 20)
    assert shift(clean, clean + noise) == 0


def test_shifted_pairs_are_named_in_every_output(tiny, tmp_path, monkeypatch, capsys):
    write_pairs(tmp_path, ["a", "b"])
    clean, _ = audio.read(tmp_path / "clean" / "b.wav")
    audio.write(tmp_path / "noisy" / "b.wav", np.roll(clean, 512))
    monkeypatch.setattr("tinyse.evaluation.backends.backends_for", lambda *_: {"half": lambda x: x / 2})
    evaluate(tiny.quantized, tmp_path, metrics="si_sdr", processes=1, output=tmp_path / "out", as_json=True)
    printed = capsys.readouterr()
    for text in (printed.err, printed.out, (tmp_path / "out" / "scores.md").read_text()):
        assert "b: the noisy side is 512 samples later" in text
        assert "a: the noisy side" not in text


def test_headers_are_checked_before_anything_is_scored(tiny, tmp_path, monkeypatch):
    write_pairs(tmp_path, ["a", "b", "c", "d"])
    audio.write(tmp_path / "noisy" / "b.wav", sound(1))
    audio.write(tmp_path / "noisy" / "c.wav", sound(1, 8000))
    soundfile.write(tmp_path / "noisy" / "c.wav", sound(1, 24000), 48000)
    (tmp_path / "noisy" / "d.wav").write_bytes(b"no sound")
    monkeypatch.setattr("tinyse.evaluation.backends.backends_for", lambda *_: pytest.fail("scoring has begun"))
    with pytest.raises(InputError, match=r"3 of 4 pairs.*b.wav has 8000 samples .* 400;.*48000 Hz.*d.wav"):
        evaluate(tiny.quantized, tmp_path)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("raised", [KeyboardInterrupt, InputError])
def test_what_was_scored_before_the_end_is_kept(tiny, tmp_path, monkeypatch, capsys, raised, processes):
    write_pairs(tmp_path, ["a", "b", "c", "d"])
    calls = []

    def backend(samples):
        calls.append(1)
        if len(calls) == 9:  # the last pair's noisy clip
            raise raised("enough")
        return samples / 2

    monkeypatch.setattr("tinyse.evaluation.backends.backends_for", lambda *_: {"half": backend})
    options = {"metrics": "si_sdr", "output": tmp_path / "out", "processes": processes}
    with pytest.raises(raised):
        evaluate(tiny.quantized, tmp_path, **options)
    kept = json.loads((tmp_path / "out" / "scores-partial.json").read_text())
    assert kept["files"]["files"] == (["a", "b", "c"] if processes == 1 else kept["files"]["files"])
    assert "pairs are in" in capsys.readouterr().err
    assert not (tmp_path / "out" / "scores.json").exists()
    calls[:] = [0] * 100
    evaluate(tiny.quantized, tmp_path, **options)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["scores.json", "scores.md"]


@pytest.mark.parametrize("to_file", [True, False])
def test_sigterm_keeps_what_was_scored(tiny, tmp_path, to_file):
    """A scheduler's signal, to the command as it is started; without --output the scores are on the screen."""
    write_pairs(tmp_path, ["a", "b", "c"])
    code = (
        "import os, signal, sys\nfrom tinyse.commands import main\ncalls = []\n"
        "def backend(samples):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 6:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return samples / 2\n"
        "import tinyse.evaluation.backends\n"
        "tinyse.evaluation.backends.backends_for = lambda *_: {'half': backend}\n"
        "main.main()\n"
    )
    line = [sys.executable, "-c", code, "evaluate", tiny.quantized, tmp_path, "--metrics", "si_sdr", "--processes", "1"]
    line += ["--output", tmp_path / "out"] if to_file else []
    answer = subprocess.run([*map(str, line)], capture_output=True, text=True, check=False)
    assert answer.returncode == 130 and answer.stdout == ""
    assert answer.stderr.endswith("tinyse: interrupted\n")
    if to_file:
        assert json.loads((tmp_path / "out/scores-partial.json").read_text())["files"]["files"] == ["a", "b"]
    else:
        assert "Noisy clips" in answer.stderr and "after 2 of 3 pairs; --output FOLDER" in answer.stderr


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_scoring_processes_end_with_the_command(ending, tmp_path):
    """Whatever ends it: three processes of 80 MB each stayed for ever."""
    code = (
        "import time\nfrom tinyse.process_pool import ProcessPool\n"
        "if __name__ == '__main__':\n"
        "    import os\n"
        "    with ProcessPool(2) as pool:\n"
        "        print(*{pool.submit(os.getpid).result() for _ in range(20)}, flush=True)\n"
        "        time.sleep(60)\n"
    )
    (tmp_path / "main.py").write_text(code)
    process = subprocess.Popen([sys.executable, tmp_path / "main.py"], stdout=subprocess.PIPE, text=True)
    workers = [int(number) for number in process.stdout.readline().split()]
    process.send_signal(ending)
    process.wait(30)
    assert workers
    end = time.monotonic() + 10
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("send", "ending"),
    [(os.killpg, signal.SIGTERM), (os.killpg, signal.SIGHUP), (os.kill, signal.SIGTERM), (os.kill, signal.SIGKILL)],
)
def test_what_a_process_was_writing_when_the_command_ended_is_gone(send, ending, tmp_path):
    """Unless all were killed, who can remove nothing."""
    process = writing(tmp_path)
    send(process.pid, ending)
    process.wait(30)
    end = time.monotonic() + 10
    while left := list((tmp_path / "out").glob("*")):
        assert time.monotonic() < end, left
        time.sleep(0.05)


def test_another_ctrl_c_waits_for_nothing(tmp_path):
    """The first waits for what is running."""
    process = writing(tmp_path)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
    assert process.wait(20)
    assert not list((tmp_path / "out").glob("*"))


def test_ctrl_c_does_not_reach_a_process_that_is_starting(tmp_path):
    (tmp_path / "main.py").write_text(
        "import os, signal\nfrom tinyse.process_pool import ProcessPool\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, lambda *_: None)\n"
        "    with ProcessPool(2) as pool:\n"
        "        job = pool.submit(abs, -3)\n"
        "        os.killpg(0, signal.SIGINT)\n"
        "        print(job.result())\n"
    )
    line = [sys.executable, tmp_path / "main.py"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, start_new_session=True)
    assert (done.stdout, done.stderr) == ("3\n", "")


def writing(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A command of which one process is in the middle of a file, for a minute."""
    (tmp_path / "work.py").write_text(
        "import time\nfrom tinyse.files import replacing\n"
        "def write(path):\n"
        "    with replacing(path) as temporary:\n"
        "        temporary.write_text('half')\n"
        "        time.sleep(60)\n"
    )
    (tmp_path / "main.py").write_text(
        "from tinyse.process_pool import ProcessPool\nimport work\n"
        "if __name__ == '__main__':\n"
        "    with ProcessPool(2) as pool:\n"
        f"        pool.submit(work.write, {str(tmp_path / 'out' / 'one.wav')!r}).result()\n"
    )
    process = subprocess.Popen(
        [sys.executable, tmp_path / "main.py"], start_new_session=True, stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    end = time.monotonic() + 60
    while not list((tmp_path / "out").glob("*")):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    time.sleep(0.2)
    return process


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_process_that_was_killed_is_one_line():
    with pytest.raises(InputError, match="fewer --processes"), ProcessPool(2) as pool:
        pool.submit(os._exit, 9).result()


def test_the_report_says_the_same_everywhere():
    scores = chain.score({"as it is": np.copy, "half": lambda x: x / 2}, PAIRS, FAST)
    plain = json.loads(json.dumps(report.as_json(scores), allow_nan=False))
    assert plain["difference_from_noisy"]["half"]["si_sdr"]["mean"] == pytest.approx(0, abs=1e-4)
    assert plain["worse_than_noisy_percent"]["as it is"] == {"si_sdr": 0, "sdr": 0}
    assert plain["clean_speech"]["as it is"]["si_sdr"] == {
        "mean": 100,  # an exact copy
        "half_width": 0,
        "count": 4,
        "undefined": 0,
    }
    scores.quality["half"]["sdr"][0] = float("nan")
    again = report.from_json(json.loads(json.dumps(report.as_json(scores), allow_nan=False)))
    assert repr(again) == repr(scores)
    text = report.as_markdown(report.tables(scores))
    assert "### By input SNR" in text
    assert "| half |" in text
    assert "as it is -> half" in text
    assert len(report.tables(scores)) == 5


def test_backends_of_a_model_are_chosen_by_name(tmp_path):
    with pytest.raises(InputError, match="no model"):
        backends_for(tmp_path / "absent.tflite")
    model = tmp_path / "model.tflite"
    model.touch()
    with pytest.raises(InputError, match="did you mean 'litert'"):
        backends_for(model, names=["litet"])
    with pytest.raises(InputError, match=r"no backend 'float-clip': it needs a \.safetensors"):
        backends_for(model, names=["float-clip"])
    (tmp_path / "model.onnx").touch()
    with pytest.raises(InputError, match="is not a model to evaluate"):
        backends_for(tmp_path / "model.onnx")


def test_the_command_prints_tables_and_json(tiny, tmp_path, monkeypatch, capsys):
    write_pairs(tmp_path, ["a", "b"])
    monkeypatch.setattr("tinyse.evaluation.backends.backends_for", lambda *_: {"half": lambda x: x / 2})
    options = {"metrics": "si_sdr, sdr", "limit": 1, "processes": 1}
    evaluate(tiny.quantized, tmp_path, output=tmp_path / "out", **options)
    assert "Noisy clips" in capsys.readouterr().out
    assert (tmp_path / "out" / "scores.md").read_text().startswith("### Noisy clips")
    evaluate(tiny.quantized, tmp_path, as_json=True, **options)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "scores.json").read_text())
    assert printed["files"]["files"] == ["a"]


def test_the_unprocessed_benchmark_scores_what_was_measured_before(data):
    """SI-SDR 5.00, SDR 5.00, PESQ 1.486, STOI .810, ESTOI .688: the peers' table, by other code."""
    pairs = find_pairs(data / "benchmark")
    assert len(pairs) == 70
    scores = chain.score({}, pairs, ("si_sdr", "sdr", "pesq", "stoi", "estoi"), processes=2)
    means = {name: statistics.summarize(values).mean for name, values in scores.quality["noisy"].items()}
    rounded = {name: round(mean, 2 if "sdr" in name else 3) for name, mean in means.items()}
    assert rounded == {"si_sdr": 5.0, "sdr": 5.0, "pesq": 1.486, "stoi": 0.81, "estoi": 0.688}


def test_the_snr_of_the_benchmarks_table_is_what_is_measured(data):
    with open(data / "benchmark" / "pairs.csv", newline="") as file:
        given = [float(row["snr_db"]) for row in csv.DictReader(file)][:10]
    pairs = find_pairs(data / "benchmark", limit=10)
    assert [Pair(pair.name, pair.clean, pair.noisy).load().snr_db for pair in pairs] == given


def test_words_in_a_table_stand_at_the_left_and_figures_at_the_right():
    lines = report.markdown_rows(
        ("input SNR dB", "backend", "SDR dB"), [("-5", "noisy", "-5.00"), ("-5", "float clip", "+12.67")]
    )
    assert lines[1] == "|---|---|---:|"
