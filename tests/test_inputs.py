"""The whole command line on bad input (one line, exit 2) and on odd but valid input (finite sound of the right length)."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tinyse import corpus, released
from tinyse.commands.main import main
from tinyse.tflite.reader import read
from tinyse.tflite.writer import write

RATE = 16000

# What numpy warns of would reach the user's terminal between our lines.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@dataclass(frozen=True)
class Answer:
    """What a run of the command line came to."""

    code: int
    output: str
    errors: str


@pytest.fixture
def tinyse(monkeypatch, capsys):
    """Run `tinyse ARGUMENTS` in this process, exit codes and all."""

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["tinyse", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main()
        captured = capsys.readouterr()
        return Answer(leaving.value.code, captured.out, captured.err)

    return run


def noise(seconds: float, rate: int = RATE, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(0).normal(size=round(seconds * rate))


@pytest.fixture(scope="module")
def things(tiny, tmp_path_factory) -> Path:
    """A folder with all that the tables below name: good files, and files that are wrong in one way each."""
    folder = tmp_path_factory.mktemp("inputs")
    _sounds(folder)
    _models(folder, tiny)
    _data(folder)
    _recipes(folder)
    return folder


def _sounds(folder: Path) -> None:
    soundfile.write(folder / "good.wav", noise(0.5), RATE)
    whole = (folder / "good.wav").read_bytes()
    (folder / "truncated.wav").write_bytes(whole[:30])
    (folder / "text.wav").write_text("this is not sound\n" * 20)
    (folder / "no-bytes.wav").write_bytes(b"")
    soundfile.write(folder / "empty.wav", np.zeros(0), RATE)
    nan, infinite = noise(0.5), noise(0.5)
    nan[100], infinite[100] = np.nan, np.inf
    soundfile.write(folder / "nan.wav", nan, RATE, subtype="FLOAT")
    soundfile.write(folder / "infinite.wav", infinite, RATE, subtype="FLOAT")
    soundfile.write(folder / "huge.wav", 1e30 * noise(0.5), RATE, subtype="FLOAT")
    (folder / "nothing").mkdir()
    (folder / "file").write_text("a file")


def _models(folder: Path, tiny) -> None:
    import torch

    from tinyse.models.files import load_tensors, save_tensors

    for path, name in (
        (tiny.weights, "good.safetensors"),
        (tiny.quantized, "good.tflite"),
        (tiny.floats, "float.tflite"),
    ):
        shutil.copy(path, folder / name)
    quantized = tiny.quantized.read_bytes()
    (folder / "truncated.tflite").write_bytes(quantized[: len(quantized) // 2])
    (folder / "text.tflite").write_text("this is not a model\n" * 20)
    (folder / "no-bytes.tflite").write_bytes(b"")
    (folder / "no-signature.tflite").write_bytes(quantized.replace(b"serving_default", b"another_default"))
    graph = read(quantized)
    graph.metadata = {}
    (folder / "no-metadata.tflite").write_bytes(write(graph))
    graph.metadata = {"format": 1, "task": "tag", "front_end": {}}
    (folder / "tagger.tflite").write_bytes(write(graph))
    graph.metadata = {"format": 1, "task": "denoise", "front_end": {"hops": 3}}
    (folder / "odd-front-end.tflite").write_bytes(write(graph))
    graph.metadata = {"format": 1, "task": "denoise", "front_end": {"bands": 96}}
    (folder / "other-bands.tflite").write_bytes(write(graph))
    weights = tiny.weights.read_bytes()
    (folder / "truncated.safetensors").write_bytes(weights[: len(weights) // 2])
    (folder / "text.safetensors").write_text("this is not a model\n" * 20)
    tensors, header = load_tensors(tiny.weights)
    save_tensors(folder / "foreign.safetensors", tensors, {"format": 7})
    name = min(name for name, tensor in tensors.items() if tensor.is_floating_point())
    save_tensors(folder / "nan.safetensors", tensors | {name: torch.full_like(tensors[name], torch.nan)}, header)


def _data(folder: Path) -> None:
    for place in ("clean", "noisy"):
        (folder / "empty-pairs" / place).mkdir(parents=True)
    pairs = {
        "pairs": ("good.wav", "good.wav"),
        "nan-pairs": ("good.wav", "nan.wav"),
        "broken-pairs": ("good.wav", "truncated.wav"),
        "huge-pairs": ("good.wav", "huge.wav"),
    }
    for name, (clean, noisy) in pairs.items():
        for place, source in (("clean", clean), ("noisy", noisy)):
            (folder / name / place).mkdir(parents=True)
            shutil.copy(folder / source, folder / name / place / "a.wav")
    shutil.copytree(folder / "pairs", folder / "unequal-pairs")
    soundfile.write(folder / "unequal-pairs/noisy/a.wav", noise(0.4), RATE)
    shutil.copytree(folder / "pairs", folder / "lonely-pairs")
    shutil.copy(folder / "good.wav", folder / "lonely-pairs/clean/b.wav")
    tables = {
        "columns": "clean,dirty\na.wav,b.wav\n",
        "missing": "clean,noisy\na.wav,b.wav\n",
        "binary": b"clean,noisy\n\xff\xfe\x00\n",
    }
    for name, table in tables.items():
        (folder / f"{name}-pairs").mkdir()
        (folder / f"{name}-pairs/pairs.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    for name, source in (("broken-data", "truncated.wav"), ("nan-data", "nan.wav"), ("speech-data", "good.wav")):
        for kind in ("speech", "noise") if name != "speech-data" else ("speech",):
            for split in ("train", "valid"):
                (folder / name / kind / split / f"of-{split}").mkdir(parents=True)
                shutil.copy(folder / source, folder / name / kind / split / f"of-{split}" / "a.wav")
    (folder / "text.csv").write_text("this is not a manifest\n")
    (folder / "binary.csv").write_bytes(b"\xff\xfe\x00")


def _recipes(folder: Path) -> None:
    stage = "{model: {channels: [4, 4]}, updates: 1, batch: 2, seconds: 0.5, losses: {compressed_spectral: 1}}"
    distill = (
        "{model: {channels: [4, 4]}, updates: 1, batch: 2, seconds: 0.5, "
        "distillation: {teacher: nan.safetensors, views: {frame: 1}, layers: [gru]}}"
    )
    (folder / "good.yaml").write_text(f"stages:\n  one: {stage}\n  two: {distill}\n")
    (folder / "empty.yaml").write_text("")
    (folder / "list.yaml").write_text("- stages\n")
    (folder / "broken.yaml").write_text("stages: [\n")
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00stages")


# Names that are files in the folder `things` are given with their place; OUT is a path that is not there yet.
REFUSED = {
    # denoise
    "denoise a missing file": ("denoise none.wav OUT --model good.tflite", "none.wav: no such file"),
    "denoise a truncated wav": ("denoise truncated.wav OUT --model good.tflite", "truncated.wav"),
    "denoise text": ("denoise text.wav OUT --model good.tflite", "text.wav"),
    "denoise a file of no bytes": ("denoise no-bytes.wav OUT --model good.tflite", "no-bytes.wav"),
    "denoise an empty wav": ("denoise empty.wav OUT --model good.tflite", "holds no samples"),
    "denoise NaN": ("denoise nan.wav OUT --model good.tflite", "nan.wav: it holds samples that are NaN"),
    "denoise infinity": ("denoise infinite.wav OUT --model good.tflite", "infinite"),
    "denoise what is not sound": ("denoise huge.wav OUT --model good.tflite", "huge.wav: samples reach"),
    "denoise an empty folder": ("denoise nothing OUT --model good.tflite", "no sound files in"),
    "denoise a folder to a file": ("denoise pairs file --model good.tflite", "is a folder but"),
    "denoise into a file": ("denoise good.wav file/out.wav --model good.tflite", "cannot write"),
    "denoise by an unknown name": ("denoise good.wav OUT --model student-64k", "no model is named 'student-64k'"),
    "denoise by a missing .tflite": ("denoise good.wav OUT --model none.tflite", "there is no model file"),
    "denoise by a folder": ("denoise good.wav OUT --model nothing", "is a folder"),
    "denoise by a sound": ("denoise good.wav OUT --model good.wav", "not a .tflite file"),
    "denoise by a truncated .tflite": ("denoise good.wav OUT --model truncated.tflite", "truncated.tflite"),
    "denoise by text": ("denoise good.wav OUT --model text.tflite", "not a .tflite file"),
    "denoise by no bytes": ("denoise good.wav OUT --model no-bytes.tflite", "not a .tflite file"),
    "denoise without a signature": ("denoise good.wav OUT --model no-signature.tflite", "signature"),
    "denoise without metadata": ("denoise good.wav OUT --model no-metadata.tflite", "no metadata of tinyse"),
    "denoise by a tagger": ("denoise good.wav OUT --model tagger.tflite", "task 'tag'"),
    "denoise by an odd front end": ("denoise good.wav OUT --model odd-front-end.tflite", "unknown key"),
    "denoise by another number of bands": ("denoise good.wav OUT --model other-bands.tflite", "bands"),
    "denoise by NaN weights": ("denoise good.wav OUT --model nan.safetensors", "holds NaN"),
    "denoise by truncated weights": (
        "denoise good.wav OUT --model truncated.safetensors",
        "not a complete safetensors",
    ),
    "denoise by text weights": ("denoise good.wav OUT --model text.safetensors", "not a complete safetensors"),
    "denoise by foreign weights": ("denoise good.wav OUT --model foreign.safetensors", "no classifier of format 1"),
    "denoise by an engine for others": ("denoise good.wav OUT --model good.tflite --engine torch", "does not run"),
    # what takes a number with a fraction
    "tag every NaN seconds": ("tag good.wav --model good.tflite --every nan", "--every nan: not a finite number"),
    "live for ever": ("live --input good.wav --output OUT --seconds inf", "--seconds inf: not a finite number"),
    "adapt for ever": ("adapt --noise pairs --output OUT --minutes inf", "--minutes inf: not a finite number"),
    "study for NaN minutes": ("quantize study good.safetensors --output OUT --minutes nan", "--minutes nan: not a"),
    # evaluate
    "evaluate a missing model": ("evaluate none.tflite pairs", "there is no model"),
    "evaluate a sound": ("evaluate good.wav pairs", "is not a model"),
    "evaluate a truncated .tflite": ("evaluate truncated.tflite pairs", "truncated.tflite"),
    "evaluate without a signature": ("evaluate no-signature.tflite pairs", "signature"),
    "evaluate without metadata": ("evaluate no-metadata.tflite pairs", "no metadata of tinyse"),
    "evaluate NaN weights": ("evaluate nan.safetensors pairs", "holds NaN"),
    "evaluate a missing .tflite": ("evaluate good.safetensors pairs --int8 none.tflite", "there is no model"),
    "evaluate on a missing folder": ("evaluate good.tflite none", "there is no folder"),
    "evaluate on an empty folder": ("evaluate good.tflite nothing", "holds no pairs: expected clean/ and noisy/"),
    "evaluate on empty pairs": ("evaluate good.tflite empty-pairs", "hold no sound files"),
    "evaluate on broken pairs": ("evaluate good.tflite broken-pairs", "a.wav"),
    "evaluate on NaN": ("evaluate good.tflite nan-pairs", "NaN"),
    "evaluate on what is not sound": ("evaluate good.tflite huge-pairs --metrics si_sdr", "a: samples reach"),
    "evaluate on unequal pairs": ("evaluate good.tflite unequal-pairs", "has 8000 samples and"),
    "evaluate on a lonely clip": ("evaluate good.tflite lonely-pairs", "has no partner"),
    "evaluate on a table without a column": ("evaluate good.tflite columns-pairs", "no column 'noisy'"),
    "evaluate on a table of missing files": ("evaluate good.tflite missing-pairs", "line 2: there is no file"),
    "evaluate on a binary table": ("evaluate good.tflite binary-pairs", "pairs.csv"),
    "evaluate an unknown backend": ("evaluate good.tflite pairs --backends lite", "did you mean 'litert'"),
    "evaluate by the option's former name": ("evaluate good.tflite pairs --links lite", "did you mean 'litert'"),
    "evaluate a backend that is not there": ("evaluate good.tflite pairs --backends float-clip", "has no backend"),
    "evaluate an unknown metric": ("evaluate good.tflite pairs --metrics si-sdr", "did you mean 'si_sdr'"),
    "evaluate no pairs": ("evaluate good.tflite pairs --limit 0", "leaves no pairs"),
    "evaluate in no process": ("evaluate good.tflite pairs --processes 0", "at least 1"),
    "evaluate with a missing DNSMOS": ("evaluate good.tflite pairs --dnsmos none.onnx", "none.onnx"),
    # bench
    "bench on an unknown board": ("bench good.tflite --board stm32f44", "did you mean 'stm32f446'"),
    "bench without a model": ("bench --board stm32f446", "name a model"),
    "bench a missing model": ("bench none.tflite --board stm32f446", "none.tflite"),
    "bench a truncated model": ("bench truncated.tflite --board stm32f446", "truncated.tflite"),
    "bench a truncated model on all boards": ("bench truncated.tflite", "truncated.tflite"),
    "bench a float model on all boards": ("bench float.tflite --json", "integer models"),
    "bench without a signature": ("bench no-signature.tflite --board stm32f446", "signature"),
    "bench without metadata": ("bench no-metadata.tflite --board stm32f446", "metadata"),
    "bench a float model": ("bench float.tflite --board stm32f446", "integer models"),
    "bench weights": (
        "bench good.safetensors --board stm32f446",
        "these are weights, not a .tflite file: tinyse export",
    ),
    "bench a tagger": ("bench tagger.tflite --board stm32f446 --seconds 0.5", "task 'tag'"),
    "bench with an unknown engine": ("bench good.tflite --board stm32f446 --engine tflite", "no engine is named"),
    "bench with a missing sound": ("bench good.tflite --board stm32f446 --input none.wav", "no such file"),
    "bench with a truncated sound": ("bench good.tflite --board stm32f446 --input truncated.wav", "truncated.wav"),
    "bench with NaN": ("bench good.tflite --board stm32f446 --input nan.wav", "NaN"),
    "bench with an empty sound": ("bench good.tflite --board stm32f446 --input empty.wav", "no samples"),
    "bench for no time": ("bench good.tflite --board stm32f446 --seconds 0", "--seconds"),
    "bench for NaN seconds": ("bench good.tflite --board stm32f446 --seconds nan", "--seconds"),
    "bench for less than a hop": ("bench good.tflite --board stm32f446 --seconds 0.01", "less than one hop"),
    "bench with odd bursts": ("bench good.tflite --board stm32f446 --burst-probability 2", "probability"),
    "bench with NaN jitter": ("bench good.tflite --board stm32f446 --jitter nan", "jitter"),
    "bench with endless bursts": ("bench good.tflite --board stm32f446 --burst-ms inf", "--burst-ms inf"),
    "bench with a negative seed": ("bench good.tflite --board stm32f446 --seconds 0.5 --seed -1", "seed"),
    "bench with missing firmware": ("bench good.tflite --board stm32f446 --firmware none.json", "none.json"),
    "bench with firmware that is text": ("bench good.tflite --board stm32f446 --firmware text.csv", "no readable JSON"),
    "bench with firmware that is binary": (
        "bench good.tflite --board stm32f446 --firmware binary.csv",
        "no readable JSON",
    ),
    # export
    "export a missing model": ("export none.safetensors", "there is no model file"),
    "export a .tflite": ("export good.tflite --output OUT", "good.tflite"),
    "export truncated weights": ("export truncated.safetensors --output OUT", "not a complete safetensors"),
    "export NaN weights": ("export nan.safetensors --output OUT", "holds NaN"),
    "export foreign weights": ("export foreign.safetensors --output OUT", "no denoiser and no classifier of format 1"),
    "export with missing data": ("export good.safetensors --data none --output OUT", "no such file or folder"),
    "export with an empty folder": ("export good.safetensors --data nothing --output OUT", "not laid out"),
    "export with NaN": ("export good.safetensors --data nan-data --output OUT", "can be decoded"),
    "export to an unknown precision": ("export good.safetensors --clips 1 --precision int7 --output OUT", "int7"),
    # train
    "train a missing recipe": ("train none.yaml", "there is no recipe"),
    "train a folder": ("train nothing", "there is no recipe"),
    "train an empty recipe": ("train empty.yaml", "keys and values"),
    "train a list": ("train list.yaml", "keys and values"),
    "train broken YAML": ("train broken.yaml", "no readable YAML"),
    "train bytes": ("train binary.yaml", "no readable YAML"),
    "train an unknown key": ("train good.yaml --set stages.one.update=1", "did you mean 'updates'"),
    "train an unknown model": ("train good.yaml --set stages.one.model=student", "did you mean"),
    "train an unknown loss": ("train good.yaml --set 'stages.one.losses={sisdr: 1}'", "did you mean 'si_sdr'"),
    "train an unknown view": (
        "train good.yaml --set 'stages.two.distillation.views={frames: 1}'",
        "did you mean 'frame'",
    ),
    "train a batch of one under a comparing view": ("train good.yaml --set stages.two.batch=1", "batch of one"),
    "train on missing data": ("train good.yaml --set data=none --set output=OUT", "no such file or folder"),
    "train on an empty folder": ("train good.yaml --set data=nothing --set output=OUT", "not laid out"),
    "train on truncated files": ("train good.yaml --set data=broken-data --set output=OUT", "can be read"),
    "train on NaN": ("train good.yaml --set data=nan-data --set output=OUT", "can be decoded"),
    "train without noise": ("train good.yaml --set data=speech-data --set output=OUT", "no noise recordings"),
    "train from a teacher with NaN weights": (
        "train good.yaml --set output=OUT --set valid_clips=2 --set workers=0 --set threads=1 --train-only",
        "holds NaN",
    ),
    "train from an external teacher that is missing": (
        "train good.yaml --set output=OUT "
        "--set 'stages.two.distillation={teacher: {onnx: none.onnx, window: hann}, output: 1}'",
        "there is no model file none.onnx",
    ),
    "train from an external teacher without its window": (
        "train good.yaml --set output=OUT --set 'stages.two.distillation={teacher: none.onnx, output: 1}'",
        "{onnx: none.onnx, window: hann}",
    ),
    # data
    "scan a missing folder": ("data scan none", "no such file or folder"),
    "scan an empty folder": ("data scan nothing", "not laid out"),
    "scan an empty folder of speech": ("data scan nothing --kind speech", "no sound files"),
    "scan an unknown kind": ("data scan pairs --kind music", "known are speech, noise, rir"),
    "scan a file": ("data scan file", "not a folder or a manifest (.csv"),
    "scan truncated files": ("data scan broken-data", "can be read"),
    "scan text": ("data scan text.csv", "not a manifest"),
    "scan bytes": ("data scan binary.csv", "binary.csv"),
    "preview a missing folder": ("data preview none --output OUT", "no such file or folder"),
    "preview an empty folder": ("data preview nothing --output OUT", "not laid out"),
    "preview NaN": ("data preview nan-data --output OUT", "can be decoded"),
    "preview without noise": ("data preview speech-data --output OUT", "no noise recordings"),
    "preview no time": ("data preview BUILT-IN --seconds 0 --output OUT", "give 0.1 to 600 s"),
    "synthesize NaN seconds": ("data synthesize --seconds nan --output OUT", "--seconds nan: not a finite number"),
    "synthesize an unknown family": ("data synthesize --family bell --output OUT", "no family of sounds 'bell'"),
    "preview NaN seconds": ("data preview BUILT-IN --seconds nan --output OUT", "--seconds nan: not a finite number"),
    "preview into a file": ("data preview BUILT-IN --seconds 0.5 --count 1 --output file/OUT", "cannot write"),
    "shard an empty folder": ("data shard nothing OUT", "not laid out"),
}


def arguments(line: str, things: Path, out: Path) -> list[str]:
    """The words of a line of a table, with places for its names."""
    return [_placed(word, things, out) for word in shlex.split(line)]


def _placed(word: str, things: Path, out: Path) -> str:
    key, equals, value = word.rpartition("=")
    if value == "OUT":
        return f"{key}{equals}{out}"
    if value == "BUILT-IN":
        return str(corpus.path())
    first = value.partition("/")[0]
    if first and ((things / first).exists() or value.startswith("none")):
        return f"{key}{equals}{things / value}"
    return word


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_exit_2(case, tinyse, things, tmp_path, monkeypatch):
    line, message = REFUSED[case]
    monkeypatch.chdir(things)
    monkeypatch.setenv("TINYSE_CACHE", str(things / "cache"))
    answer = tinyse(*arguments(line, things, tmp_path / "out"))
    assert answer.code == 2, answer.errors
    last = answer.errors.splitlines()[-1]
    assert last.startswith("tinyse: ") and message in last, answer.errors
    assert answer.output == ""
    if "--train-only" not in line:  # a run that trained tells what it has done so far
        assert answer.errors == last + "\n"
    if not line.startswith("train"):  # a run writes down its recipe first
        assert not (tmp_path / "out").exists()


# Typer answers these, in a box of several lines.
MISUSED = {
    "an unknown command": "denoize good.wav OUT",
    "an unknown engine": "denoise good.wav OUT --model good.tflite --engine tensorrt",
    "a negative limit": "denoise good.wav OUT --model good.tflite --attenuation-limit-db -3",
    "no clips": "export good.safetensors --clips 0",
    "no mixtures": "data preview BUILT-IN --output OUT --count 0",
    "an unknown option": "models --jsn",
    "an argument too many": "doctor now",
    "words for a number": "bench good.tflite --board stm32f446 --seconds long",
}


@pytest.mark.parametrize("case", MISUSED)
def test_misuse_is_explained_without_a_traceback(case, tinyse, things, tmp_path):
    answer = tinyse(*arguments(MISUSED[case], things, tmp_path / "out"))
    assert answer.code == 2
    assert answer.output == "" and answer.errors
    assert "Traceback" not in answer.errors
    assert not (tmp_path / "out").exists()


# Odd but valid


@dataclass(frozen=True)
class Odd:
    """A sound as a file would hold it, and what is said about it."""

    sound: np.ndarray
    rate: int = RATE
    subtype: str = "PCM_16"
    notice: str = ""


SECOND = noise(1.0)
JUMPS = SECOND * np.repeat([1, 0.001, 5, 0], RATE // 4)
ODD = {
    "8 kHz": Odd(noise(1.0, 8000), 8000, notice="resampled from 8000 Hz"),
    "48 kHz": Odd(noise(1.0, 48000), 48000, notice="resampled from 48000 Hz"),
    "44.1 kHz": Odd(noise(0.777, 44100), 44100, notice="resampled from 44100 Hz"),
    "stereo": Odd(np.stack([SECOND, SECOND[::-1]], axis=1)),
    "six channels": Odd(np.stack(6 * [SECOND], axis=1)),
    "8-bit": Odd(SECOND, subtype="PCM_U8"),
    "24-bit": Odd(SECOND, subtype="PCM_24"),
    "32-bit float": Odd(SECOND, subtype="FLOAT"),
    "64-bit float": Odd(SECOND, subtype="DOUBLE"),
    "silence": Odd(0 * SECOND),
    "DC": Odd(np.full(RATE, 0.5)),
    "clipping": Odd(np.clip(50 * SECOND, -1, 1), notice="clipped"),
    "float beyond full scale": Odd(50 * SECOND, subtype="FLOAT", notice="clipped"),
    "one sample": Odd(np.array([0.5])),
    "one sample more than a hop": Odd(SECOND[:257]),
    "40 dB quieter": Odd(SECOND / 100),
    "level jumps": Odd(JUMPS, notice="clipped"),
}


@pytest.mark.parametrize("engine", ["litert", "torch"])
@pytest.mark.parametrize("case", ODD)
def test_odd_sound_is_denoised_to_its_length(case, engine, tinyse, things, tmp_path):
    odd, noisy, clean = ODD[case], tmp_path / "noisy.wav", tmp_path / "clean.wav"
    soundfile.write(noisy, odd.sound, odd.rate, odd.subtype)
    model = things / ("good.safetensors" if engine == "torch" else "good.tflite")
    answer = tinyse("denoise", noisy, clean, "--model", model, "--engine", engine)
    assert answer.code == 0, answer.errors
    written = soundfile.info(clean)
    channels = 1 if odd.sound.ndim == 1 else odd.sound.shape[1]
    assert (written.samplerate, written.channels, written.subtype) == (odd.rate, channels, odd.subtype)
    assert written.frames == len(odd.sound)
    sound, _ = soundfile.read(clean)
    assert np.isfinite(sound).all()
    assert sound.any() == odd.sound.any()
    assert odd.notice in answer.errors
    assert all(line.startswith("note: ") for line in answer.errors.splitlines())
    assert bool(answer.errors) == bool(odd.notice)


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus", ".mp3", ".aiff"])
def test_other_kinds_of_files_are_read(suffix, tinyse, things, tmp_path):
    kind = {"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {}
    soundfile.write(tmp_path / f"noisy{suffix}", SECOND, RATE, **kind)
    answer = tinyse("denoise", tmp_path / f"noisy{suffix}", tmp_path / "clean.wav", "--model", things / "good.tflite")
    assert answer.code == 0, answer.errors
    assert abs(soundfile.info(tmp_path / "clean.wav").frames - RATE) <= RATE // 10


def test_a_wav_that_ends_early_is_used_up_to_there(tinyse, things, tmp_path):
    (tmp_path / "half.wav").write_bytes((things / "good.wav").read_bytes()[: 44 + 2 * 3000])
    answer = tinyse("denoise", tmp_path / "half.wav", tmp_path / "clean.wav", "--model", things / "good.tflite")
    assert answer.code == 0
    assert answer.errors == "note: ends before its header says: used up to there\n"
    assert soundfile.info(tmp_path / "clean.wav").frames == 3000


@pytest.mark.parametrize("case", ["48 kHz", "stereo", "silence", "DC", "clipping", "level jumps"])
def test_odd_sound_is_benched(case, tinyse, things, tmp_path):
    odd = ODD[case]
    soundfile.write(tmp_path / "in.wav", odd.sound, odd.rate, odd.subtype)
    line = ("bench", things / "good.tflite", "--board", "stm32f446", "--input", tmp_path / "in.wav")
    answer = tinyse(*line, "--burst-probability", 0.5, "--burst-ms", 40, "--output", tmp_path / "out.wav", "--json")
    assert answer.code == 0, answer.errors
    assert strict_json(answer.output)["board"]["name"] == "stm32f446"
    assert odd.notice in answer.errors
    assert soundfile.info(tmp_path / "out.wav").frames == RATE // 256 * 256


@pytest.mark.parametrize("case", ["48 kHz", "stereo", "silence", "clipping", "one sample", "40 dB quieter"])
def test_odd_pairs_are_scored(case, tinyse, things, tmp_path):
    odd = ODD[case]
    for place, level in (("clean", 0.5), ("noisy", 1)):
        (tmp_path / place).mkdir()
        soundfile.write(tmp_path / place / "a.wav", level * odd.sound, odd.rate, odd.subtype)
    metrics = "si_sdr,sdr,stoi,level_change_db,segmental_snr"
    answer = tinyse("evaluate", things / "good.tflite", tmp_path, "--metrics", metrics, "--processes", 1, "--json")
    assert answer.code == 0, answer.errors
    assert strict_json(answer.output)


def test_one_broken_file_in_a_data_set_is_named_and_left_out(tinyse, things, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    for kind in ("speech", "noise"):
        for place in ("train/one", "train/two", "valid/three"):
            (tmp_path / "data" / kind / place).mkdir(parents=True)
            soundfile.write(tmp_path / "data" / kind / place / "a.wav", SECOND, RATE)
    shutil.copy(things / "truncated.wav", tmp_path / "data/speech/train/one/truncated.wav")
    shutil.copy(things / "nan.wav", tmp_path / "data/speech/train/one/nan.wav")
    answer = tinyse("data", "scan", tmp_path / "data", "--json")
    assert answer.code == 0, answer.errors
    scanned = strict_json(answer.output)
    assert any("left out" in notice and "truncated.wav" in notice for notice in scanned["notices"])
    answer = tinyse("data", "preview", tmp_path / "data", "--output", tmp_path / "out", "--count", 1, "--seconds", 0.5)
    assert answer.code == 0, answer.errors
    assert "left out" in answer.errors and "nan.wav" in answer.errors
    assert np.isfinite(soundfile.read(tmp_path / "out" / "00-noisy.wav")[0]).all()


# JSON


def strict_json(text: str):
    """JSON as other languages read it: without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


SAID_AS_JSON = {
    "denoise": "denoise good.wav OUT --model good.tflite --json",
    "denoise a folder": "denoise pairs OUT --model good.tflite --json",
    "evaluate": "evaluate good.safetensors pairs --metrics si_sdr --processes 1 --json",
    "bench": "bench good.tflite --board nrf5340 --seconds 0.5 --json",
    "export": "export good.safetensors --data BUILT-IN --clips 1 --output OUT --json",
    "models": "models --json",
    "doctor": "doctor --json",
    "data scan": "data scan BUILT-IN --json",
}


@pytest.mark.parametrize("case", SAID_AS_JSON)
def test_json_is_all_that_is_printed(case, tinyse, things, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(things / "cache"))
    answer = tinyse(*arguments(SAID_AS_JSON[case], things, tmp_path / "out"))
    assert answer.code == 0, answer.errors
    assert strict_json(answer.output)
    assert answer.errors == ""


def test_no_place_for_temporary_files_is_one_line(tinyse, things, tmp_path, monkeypatch):
    """As in a container that is read-only, or where every disk is full."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    os.mkfifo(tmp_path / "pipe")
    answer = tinyse("denoise", things / "good.wav", tmp_path / "pipe", "--model", things / "good.tflite")
    assert answer.code == 2 and answer.errors.count("\n") == 1, answer.errors
    assert "No usable temporary directory" in answer.errors and "TMPDIR" in answer.errors


def test_a_shipped_model_is_named_on_the_command_line(tinyse, things, tmp_path, monkeypatch):
    (tmp_path / "released" / "student-62k").mkdir(parents=True)
    shutil.copy(things / "good.tflite", tmp_path / "released" / "student-62k" / "model.tflite")
    monkeypatch.setattr(released, "FOLDER", tmp_path / "released")
    for line in (
        ["denoise", things / "good.wav", tmp_path / "clean.wav"],
        ["denoise", things / "good.wav", tmp_path / "clean.wav", "--model", "student-62k"],
        ["bench", "student-62k", "--board", "nrf5340", "--seconds", 0.5],
        ["evaluate", "student-62k", things / "pairs", "--metrics", "si_sdr", "--processes", 1],
    ):
        assert tinyse(*line).code == 0, line
    answer = tinyse("denoise", things / "good.wav", tmp_path / "clean.wav", "--model", "student-62")
    assert answer.errors.startswith("tinyse: no model is named 'student-62': did you mean 'student-62k'?")
