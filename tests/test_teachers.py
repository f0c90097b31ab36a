"""Teachers that are not ours, and ensembles: aligned to the sample, averaged, refused by name, and named by the model."""

from __future__ import annotations

import copy
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tinyse.distillation.external import OnnxStream, OnnxTeacher  # noqa: E402
from tinyse.distillation.objective import Distillation  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.files import sha256  # noqa: E402
from tinyse.models.files import load_model, load_tensors  # noqa: E402
from tinyse.models.front_end import TorchFrontEnd  # noqa: E402
from tinyse.spectra.front_end import FrontEndConfig  # noqa: E402
from tinyse.tasks import TASKS  # noqa: E402
from tinyse.tasks.task import Batch  # noqa: E402
from tinyse.tflite import reader  # noqa: E402
from tinyse.training.processes import launch  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.records import refuse_other_recipe, stage_record  # noqa: E402
from tinyse.training.run import run  # noqa: E402
from tinyse.training.stage import StageRun  # noqa: E402
from tinyse.training.start import model_path  # noqa: E402

SMALL = "{channels: [4, 4], groups: 2, shared_gru: [1]}"
COMMON = "updates: 4, batch: 4, seconds: 0.5, valid_every: 2, warmup: 1"
RECIPE = f"""
stages:
  one: {{model: {SMALL}, {COMMON}, losses: {{compressed_spectral: 1.0}}}}
  two: {{model: {SMALL}, {COMMON}, losses: {{signal_to_noise: 0.1}}}}
  student: {{model: {SMALL}, {COMMON}, losses: {{phase_sensitive: 0.01}}, distillation: {{teacher: one, output: 0.5}}}}
valid_clips: 4
precision: 32-true
threads: 1
workers: 0
export: {{clips: 2}}
"""
PEERS = Path(os.environ.get("TINYSE_PEERS") or "no TINYSE_PEERS")


def stand_in(gain: float = 1.0, inputs: tuple = ([1, 257, 1, 2], [1, 3])) -> SimpleNamespace:
    """A module onnxruntime whose every network multiplies its spectrum by `gain` and hands its caches through."""

    class Session:
        def __init__(self, *_, **__):
            pass

        def get_inputs(self):
            return [SimpleNamespace(name=f"input {i}", shape=shape) for i, shape in enumerate(inputs)]

        def run(self, _, feed):
            spectrum, *caches = feed.values()
            return [np.float32(gain) * spectrum, *caches]

    return SimpleNamespace(InferenceSession=Session, SessionOptions=SimpleNamespace)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "peer.onnx"
    path.write_bytes(b"not a network")
    return path


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return lambda *settings: load_recipe(path, [f"output={tmp_path / 'run'}", *settings])


def nothing(*_):
    pass


def noise(samples: int = 8000) -> np.ndarray:
    return np.float32(0.1 * np.random.default_rng(0).standard_normal(samples))


def taught_by(teachers: str, **weights: float) -> str:
    return f"stages.student.distillation={{teacher: {teachers}, " + ", ".join(
        f"{name}: {weight}" for name, weight in weights.items()
    ) + "}"  # fmt: skip


def lesson_of(chosen, *sounds):
    """The student's stage, a batch of four clips with these sounds of external teachers, and what is learned of it."""
    task = TASKS[chosen.task](chosen)
    training = StageRun(launch("32-true"), chosen, task, "student", {})
    pairs = [torch.from_numpy(np.stack(part)) for part in zip(*task.valid(chosen.stages["student"]), strict=True)]
    batch = Batch(*pairs, tuple(sound(pairs[0]) for sound in sounds))
    return training, batch, training.teachers.teach(batch)


# The stream


@pytest.mark.parametrize("window", ["hann", "sqrt-hann"])
def test_a_model_that_changes_nothing_gives_its_input_back_aligned(window, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in())
    stream, sound = OnnxStream(file, window), noise(8000)  # no whole number of hops
    assert stream.delay == 256
    np.testing.assert_allclose(stream(sound)[256:], sound[:-256], atol=1e-6)
    np.testing.assert_allclose(stream.denoise(sound), sound, atol=1e-6)


def test_what_is_no_streaming_model_is_one_line(file, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"there is no model file .*none\.onnx"):
        OnnxStream(tmp_path / "none.onnx", "hann")
    with pytest.raises(InputError, match="'hamming' is not one of hann, sqrt-hann"):
        OnnxStream(file, "hamming")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"onnxruntime.*pip install 'tinyse\[onnx\]'"):
        OnnxStream(file, "hann")
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in(inputs=([1, "frames", 257],)))
    with pytest.raises(InputError, match=r"not a spectrum \(1, bins, 1, 2\) and caches"):
        OnnxStream(file, "hann")
    runtime = stand_in()
    runtime.InferenceSession.run = lambda *_: [np.zeros((1, 257, 1, 2))]
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    with pytest.raises(InputError, match="does not take its own caches"):
        OnnxStream(file, "hann")


def test_a_file_that_is_no_network_is_one_line(file):
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match=r"peer\.onnx is not an ONNX network") as caught:
        OnnxStream(file, "hann")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "window"), [("gtcrn/gtcrn_simple.onnx", "sqrt-hann"), ("ul-unas/ulunas_stream_simple.onnx", "hann")]
)
def test_published_models_denoise_without_a_lag_and_fit_into_a_mask(name, window, corpus):
    pytest.importorskip("onnxruntime")
    if not (PEERS / name).is_file():
        pytest.skip(f"no published model {PEERS / name}: set TINYSE_PEERS to a folder of them (benchmarks/README.md)")
    from tinyse.evaluation.metrics import si_sdr
    from tinyse.evaluation.pairs import find_pairs

    pair = find_pairs(corpus / "benchmark")[0].load()
    noisy, clean = pair.noisy[:48000], pair.clean[:48000]
    sound = OnnxTeacher(str(PEERS / name), window).open().denoise(noisy)
    crossed = np.fft.irfft(np.fft.rfft(sound, 96000) * np.fft.rfft(clean, 96000).conj())
    assert sound.shape == noisy.shape and crossed.argmax() == 0
    front_end = TorchFrontEnd(FrontEndConfig())
    spectra, wanted = (front_end.analyze(torch.from_numpy(x)[None]) for x in (noisy, sound))
    masked = front_end.synthesize(spectra * front_end.gains(front_end.mask(spectra, wanted)))[0].numpy()
    clean, noisy, sound = (x[: len(masked)] for x in (clean, noisy, sound))
    assert si_sdr(clean, masked) > si_sdr(clean, noisy) + 3
    assert si_sdr(clean, masked) == pytest.approx(si_sdr(clean, sound), abs=1)


# The mask that a sound amounts to


def test_sound_becomes_the_mask_that_makes_it():
    front_end = TorchFrontEnd(FrontEndConfig())
    spectra = front_end.analyze(torch.from_numpy(noise()).view(2, 4000))
    for gain, expected in ((1.0, 1.0), (0.5, 0.5), (2.0, 1.0), (-1.0, 0.0)):
        mask = front_end.mask(spectra, gain * spectra)
        torch.testing.assert_close(mask, torch.full_like(mask, expected))
    assert not front_end.mask(0 * spectra, spectra).any()
    mask = torch.rand(2, spectra.shape[1], 128)
    found = front_end.mask(spectra, spectra * front_end.gains(mask))
    torch.testing.assert_close(found[..., :64], mask[..., :64])  # bands of one bin


# What a recipe may say


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (taught_by("[one, two]", views="{frame: 1.0}"), r"distillation\.views.*one tinyse network"),
        (taught_by("{onnx: a.onnx, window: hann}", views="{frame: 1.0}"), r"distillation\.views.*one tinyse network"),
        (taught_by("a.onnx", output=1), r"\{onnx: a\.onnx, window: hann\}, or sqrt-hann"),
        (taught_by("{onnx: a.onnx}", output=1), r"missing key stages\.student\.distillation\.teacher\.window"),
        (taught_by("{onnx: a.onnx, window: hamming}", output=1), "'hamming' is not one of 'hann', 'sqrt-hann'"),
        (taught_by("[one, {onxx: a.onnx}]", output=1), r"teacher\[1\]\.onxx: did you mean 'onnx'"),
        (taught_by("[one, professor]", output=1), "'professor' is neither an earlier stage"),
        (taught_by("[]", output=1), "name at least one"),
        (taught_by("one", target=1.5), "target is 1.5: it has to lie between 0 and 1"),
        (taught_by("one"), "give a view, the output or the target a weight"),
        ("stages.student={model: student-30k, updates: 1, distillation: {teacher: one, target: 1}}", "give the stage losses"),
    ],
)  # fmt: skip
def test_mistakes_about_teachers_are_named(recipe, setting, message):
    with pytest.raises(InputError, match=message):
        recipe(setting)


def test_a_view_takes_an_ensemble_of_one():
    assert Distillation(teacher=("one",), views={"frame": 1.0}).compared


def test_records_from_before_ensembles_are_what_they_were(recipe):
    record = stage_record(recipe(), "student")
    before = copy.deepcopy(record)
    del before["stage"]["distillation"]["target"]
    refuse_other_recipe(before, recipe(), "student", Path("model"))
    assert record["stage"]["distillation"]["teacher"] == "one" and record["builds_on"].keys() == {"one"}
    record = stage_record(recipe(taught_by("[one, two, {onnx: a.onnx, window: hann}]", target=0.5)), "student")
    assert record["stage"]["distillation"]["teacher"] == ["one", "two", {"onnx": "a.onnx", "window": "hann"}]
    assert record["stage"]["distillation"]["target"] == 0.5 and record["builds_on"].keys() == {"one", "two"}


# What is learned


@pytest.fixture
def trained(recipe):
    run(recipe(), nothing, nothing)
    return recipe


def test_an_ensemble_teaches_the_mean(trained, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in())
    single = lesson_of(trained(taught_by("one", output=1, target=0.5)))[2]
    alone = lesson_of(trained(taught_by("[one]", output=1, target=0.5)))[2]
    assert torch.equal(single.output, alone.output) and torch.equal(single.truth, alone.truth)
    other = lesson_of(trained(taught_by("two", output=1, target=1.0)))[2]
    teachers = f"[one, two, {{onnx: {file}, window: hann}}]"
    _, batch, mean = lesson_of(trained(taught_by(teachers, output=1, target=0.5)), lambda noisy: 0.25 * noisy)
    torch.testing.assert_close(mean.output, (single.output + other.output + 0.25) / 3)
    first = 2 * single.truth - batch.truth
    torch.testing.assert_close(mean.truth, batch.truth / 2 + (first + other.truth + batch.sound / 4) / 6)


def test_without_a_target_the_truth_is_the_clean_sound(trained):
    _, batch, lesson = lesson_of(trained())
    assert lesson.truth is batch.truth


def test_gradients_reach_the_student_only(trained, file):
    chosen = trained(taught_by(f"[one, {{onnx: {file}, window: hann}}]", output=1, target=0.5))
    training, batch, _ = lesson_of(chosen, torch.Tensor.clone)
    batch.teacher_sounds[0].requires_grad_()
    (loss,) = training._parts(batch)
    loss.backward()
    assert all(p.grad is not None for p in training.training.bare.parameters())
    assert batch.teacher_sounds[0].grad is None
    assert all(p.grad is None and not p.requires_grad for p in training.teachers.networks[0].parameters())


def test_a_teacher_that_changes_nothing_teaches_masks_of_one(recipe, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in())
    chosen = recipe(taught_by(f"{{onnx: {file}, window: hann}}", output=1, target=1))
    sound = lambda noisy: torch.from_numpy(  # noqa: E731
        np.stack([OnnxStream(file, "hann").denoise(clip) for clip in noisy.numpy()])
    )
    _, batch, lesson = lesson_of(chosen, sound)
    torch.testing.assert_close(lesson.truth, batch.sound, atol=1e-5, rtol=0)
    assert (lesson.output > 0.99).float().mean() > 0.99
    torch.testing.assert_close(lesson.output.mean(), torch.tensor(1.0), atol=1e-3, rtol=0)


def test_a_run_with_an_external_teacher_goes_on_to_the_same_bits_and_names_it(recipe, tmp_path, file, monkeypatch):
    from tinyse.export import export_model

    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in(0.5))
    setting = taught_by(f"[one, {{onnx: {file}, window: sqrt-hann}}]", output=1, target=0.5)
    later = f"stages.later={{model: {SMALL}, start: student, {COMMON}, losses: {{phase_sensitive: 0.01}}}}"
    whole = run(recipe(setting, later), nothing, nothing)

    def stop(progress):
        if (progress.stage, progress.update) == ("student", 3):
            signal.raise_signal(signal.SIGINT)

    stopped = recipe(setting, f"output={tmp_path / 'stopped'}", "workers=1")
    with pytest.raises(KeyboardInterrupt):
        run(stopped, stop, nothing)
    again = run(stopped, nothing, nothing)
    first, second = load_tensors(model_path(tmp_path / "run", "student"))[0], load_tensors(again)[0]
    assert all(torch.equal(first[name], second[name]) for name in first)

    origin = [
        {"file": "one/model.safetensors", "sha256": sha256(model_path(tmp_path / "run", "one")), "external": False},
        {"file": "peer.onnx", "sha256": sha256(file), "external": True},
    ]
    assert load_model(whole)[2]["teachers"] == origin, "a later stage of the student has been taught as well"
    assert load_model(model_path(tmp_path / "run", "two"))[2]["teachers"] == []
    exported = export_model(whole, [("noise", noise())])
    assert reader.read(exported.quantized).metadata["teachers"] == origin


def test_the_card_says_who_taught():
    from tinyse.released.pack import _distillation_text, _teachers

    assert _teachers([]) == ["No teacher: supervised only."]
    text = "\n".join(_teachers([{"file": "a.onnx", "sha256": "12ab", "external": True},
                                {"file": "one/model.safetensors", "sha256": "34cd", "external": False}]))  # fmt: skip
    assert "`a.onnx`, external: its own license applies; SHA-256 12ab" in text and "34cd" in text
    learned = {"views": {"frame": 1.0}, "output": 0.5}
    assert _distillation_text({"teacher": "one", **learned}) == "`one`: 1 x frame similarities, 0.5 x output"
    both = ["one", {"onnx": "a.onnx", "window": "hann"}]
    assert _distillation_text({"teacher": both, "views": {}, "output": 1.0}).startswith("`one`, `a.onnx`: ")
