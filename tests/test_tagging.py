"""Tagging: labeled data, mixtures, the network, its stream, its quantized form and its C; one recipe from end to end."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyse import audio
from tinyse.errors import InputError
from tinyse.mixtures.labeled import LabeledMixer, LabeledMixtureConfig
from tinyse.recordings.labeled import open_labeled
from tinyse.streaming import pooling

torch = pytest.importorskip("torch")
sklearn = pytest.importorskip("sklearn")

from trained import as_trained  # noqa: E402

from tinyse.evaluation.tag_backends import float_tags, quantized_tags  # noqa: E402
from tinyse.evaluation.tags import TagScores  # noqa: E402
from tinyse.export import export_model  # noqa: E402
from tinyse.models.architecture import TAGGERS, Architecture  # noqa: E402
from tinyse.models.classifier import ClassifierNetwork, pooled  # noqa: E402
from tinyse.models.files import load_model, save_model  # noqa: E402
from tinyse.models.network import parameters  # noqa: E402
from tinyse.spectra.front_end import FrontEnd, FrontEndConfig  # noqa: E402
from tinyse.streaming.tagger import Tagger  # noqa: E402
from tinyse.tflite.reader import read  # noqa: E402

CLASSES = ("hiss", "hum", "ring")
SMALL = Architecture(channels=(4, 6, 8), groups=2, shared_gru=(2,))
FRONT_END = FrontEndConfig(window_ms=64, hop_ms=32, bands=32, linear_hz=250)


def sound(label: str, seed: int, seconds: float = 1.0) -> np.ndarray:
    """A class that a tiny network can learn."""
    rng = np.random.default_rng((seed, CLASSES.index(label)))
    time = np.arange(round(seconds * audio.DEFAULT_RATE)) / audio.DEFAULT_RATE
    if label == "hiss":
        return np.float32(rng.normal(0, 0.05, len(time)))
    hertz = rng.uniform(80, 160) if label == "hum" else rng.uniform(2000, 3000)
    return np.float32(0.1 * np.sin(2 * np.pi * hertz * time) + rng.normal(0, 1e-4, len(time)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three classes in three folds."""
    top = tmp_path_factory.mktemp("labeled")
    rows = ["path,class,fold,license"]
    for fold in "123":
        for label in CLASSES:
            for take in range(2):
                name = f"audio/{fold}-{label}-{take}.wav"
                audio.write(top / name, sound(label, 10 * int(fold) + take))
                rows.append(f"{name},{label},{fold},CC0")
    (top / "labels.csv").write_text("\n".join(rows) + "\n")
    return top


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("TINYSE_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


def network(seed: int = 0) -> ClassifierNetwork:
    """Random weights, and normalizations that have seen something."""
    torch.manual_seed(seed)
    result = as_trained(ClassifierNetwork(SMALL, FRONT_END.bands, CLASSES))
    torch.nn.init.normal_(result.blocks["classifier"].linear.weight)
    return result


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A tagger as .safetensors, with its .tflite beside it."""
    path = tmp_path_factory.mktemp("tagger") / "tagger.safetensors"
    save_model(path, network(), FRONT_END, {"model": "tiny tagger"})
    export_model(path, [(label, sound(label, 0)) for label in CLASSES])
    return path


# Data


def test_labels_and_folds_of_a_plain_folder(folder):
    data = open_labeled(folder)
    assert data.classes == CLASSES and data.folds == ("1", "2", "3") and len(data.clips) == 18
    assert {data.clips[i].fold for i in data.members(["2"])} == {"2"}
    assert open_labeled(folder / "labels.csv") == data
    store = data.open()
    for number in (0, 7, 17):
        expected = audio.read(data.clips[number].path)[0]
        assert np.array_equal(store.read(number), audio.to_pcm16(expected))
    with pytest.raises(InputError, match="no fold '5'"):
        data.members(["5"])


def test_esc50_as_it_is_published(folder, tmp_path):
    shutil.copytree(folder / "audio", tmp_path / "audio")
    names = sorted(path.name for path in (tmp_path / "audio").iterdir())
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    rows += [f"{name},{name[0]},0,{name.split('-')[1]},False,1,A" for name in names]
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")
    data = open_labeled(tmp_path)
    assert data.classes == CLASSES and len(data.clips) == 18 and data.folds == ("1", "2", "3")


SONYC = """split,sensor_id,audio_filename,annotator_id,1-1_small-engine_presence,1-X_other-engine_presence,\
2-1_drill_presence,1-1_small-engine_proximity,1_engine_presence,2_machinery-impact_presence
train,0,a.wav,5,0,0,0,-1,0,0
train,0,a.wav,6,1,0,0,near,1,0
validate,1,b.wav,7,1,0,1,far,1,1
validate,1,b.wav,0,0,0,1,-1,0,1
validate,1,c.wav,0,0,1,0,-1,1,0
"""


@pytest.mark.parametrize(
    ("level", "classes", "labels"),
    [
        ("coarse", ("1_engine", "2_machinery-impact"), [("1_engine",), ("2_machinery-impact",), ("1_engine",)]),
        ("fine", ("1-1_small-engine", "2-1_drill"), [("1-1_small-engine",), ("2-1_drill",), ()]),
    ],
)
def test_sonyc_takes_the_verified_annotation_else_anybodys(tmp_path, level, classes, labels):
    (tmp_path / "annotations.csv").write_text(SONYC)
    for name in "abc":
        audio.write(tmp_path / "audio" / f"{name}.wav", sound("hum", 0, 0.2))
    data = open_labeled(tmp_path, level)
    assert data.classes == classes and data.folds == ("train", "validate")
    assert [clip.labels for clip in data.clips] == labels


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,class\na.wav,x\n", "lacks the column 'fold'"),
        ("path,class,fold\na.wav,,1\n", "a path and one class or more"),
        ("path,class,fold\nb.wav,x,1\n", r"labels\.csv, line 2: there is no sound file b\.wav, neither in .*above it"),
        ('path,class,fold\na.wav,"dog,rain",1\n', "line 2: .*'dog,rain' has ',' in it; .*'dog;rain'"),
        ("path,class,fold\na.wav,dog|rain,1\n", r"'dog\|rain' has '\|' in it; .*'dog;rain'"),
        ("path,class,fold\na.wav,dog,rain,1\n", "line 2: it has more cells than the header: .* quotes"),
        ("path,class,fold\na.wav,x,1\na.wav,y,1\n", "listed twice"),
        ("path,class,fold\n", "lists no clips"),
    ],
)
def test_tables_that_make_no_sense_are_refused(tmp_path, table, message):
    audio.write(tmp_path / "a.wav", sound("hum", 0, 0.2))
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        open_labeled(tmp_path)


def test_a_folder_without_labels_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"labels\.csv"):
        open_labeled(tmp_path)


# Mixtures


@given(st.integers(0, 2**31), st.integers(0, 99), st.floats(0.2, 2.5), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_mixtures_are_a_function_of_seed_and_number(folder_data, seed, index, seconds, most):
    data, store = folder_data
    config = LabeledMixtureConfig(clips=(1, most))
    mixer = LabeledMixer(data, store, data.members(["1", "2"]), config, seconds, seed)
    x, labels = mixer(0, index)
    again = LabeledMixer(data, store, data.members(["1", "2"]), config, seconds, seed)(0, index)
    assert np.array_equal(x, again[0]) and np.array_equal(labels, again[1])
    assert x.shape == (round(seconds * 16000),) and x.dtype == np.float32 and np.abs(x).max() <= 1
    assert set(labels) <= {0, 1} and 1 <= labels.sum() <= most


@pytest.fixture(scope="module")
def folder_data(folder):
    data = open_labeled(folder)
    return data, data.open()


def test_a_mixture_has_the_snr_that_was_asked_for(folder_data):
    data, store = folder_data
    config = LabeledMixtureConfig(clips=(2, 2), snr_db=(20.0, 20.0), level_db=(-20.0, -20.0))
    hums = [i for i in data.members(["1"]) if data.clips[i].labels == ("hum",)]
    alone = LabeledMixer(data, store, hums, LabeledMixtureConfig((1, 1), level_db=(-20.0, -20.0)), 1.0, 0)
    both = LabeledMixer(data, store, data.members(["1"]), config, 1.0, 0)
    assert 10 * np.log10(np.mean(alone(0, 0)[0] ** 2)) == pytest.approx(-20, abs=0.3)
    levels = [10 * np.log10(np.mean(both(0, i)[0] ** 2)) for i in range(5)]
    assert levels == pytest.approx([-20] * 5, abs=1.0)  # the second adds a hundredth, or up to 0.8 dB in phase


@pytest.mark.parametrize("change", [{"clips": (0, 1)}, {"clips": (3, 2)}, {"snr_db": (1.0, 0.0)}])
def test_impossible_mixtures_are_refused(change):
    with pytest.raises(InputError):
        LabeledMixtureConfig(**change)


# Network


def test_new_sound_does_not_change_old_tags():
    net, rng = network(), np.random.default_rng(0)
    x = torch.from_numpy(np.float32(rng.uniform(-1, 1, (2, 12, FRONT_END.bands))))
    changed = x.clone()
    changed[:, 7:] = 0.5
    with torch.no_grad():
        before, after = (net(each, net.initial_state(2))[0] for each in (x, changed))
    assert torch.allclose(before[:, :7], after[:, :7], atol=1e-6) and not torch.allclose(before[:, 7:], after[:, 7:])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None)
def test_a_stream_is_the_clip(pieces):
    net, rng = network(), np.random.default_rng(0)
    x = torch.from_numpy(np.float32(rng.uniform(-1, 1, (1, sum(pieces), FRONT_END.bands))))
    state, parts = net.initial_state(1), []
    with torch.no_grad():
        whole, _ = net(x, state)
        for part in x.split(pieces, dim=1):
            tags, state = net(part, state)
            parts.append(tags)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-6)


def test_the_emitted_step_is_the_network():
    from tinyse.graph import float_execution

    net = network()
    graph = net.emit()
    x = np.random.default_rng(0).uniform(-1, 1, (6, FRONT_END.bands)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)[None], net.initial_state())[0][0].numpy()
    frames = [{"features": frame.reshape(1, 1, -1, 1)} for frame in x]
    made = [v[graph.outputs["tags"]] for v in float_execution.replay(float_execution.compile(graph), frames)]
    assert np.concatenate(made) == pytest.approx(expected, abs=2e-5)


def test_sizes_of_the_named_taggers():
    sizes = {name: parameters(ClassifierNetwork(a, 64, tuple(map(str, range(20))))) for name, a in TAGGERS.items()}
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True) and len(sizes) == 4
    assert sizes["tagger-small"] < 4_000 and sizes["tagger-teacher"] > 30 * sizes["tagger-small"]


def test_model_files_name_their_classes(model, tmp_path):
    net, front_end, header = load_model(model)
    assert isinstance(net, ClassifierNetwork) and net.classes == CLASSES and front_end == FRONT_END
    assert header["task"] == "tagging"
    for classes, told in (
        ([], "names its classes"),
        ([*CLASSES[1:], "\x1b[31mred"], r"the class '\\x1b\[31mred' cannot be printed"),
        ([*CLASSES[1:], CLASSES[1]], "is there twice"),
    ):
        save_model(tmp_path / "none.safetensors", net, front_end, {"classes": classes})
        with pytest.raises(InputError, match=told):
            load_model(tmp_path / "none.safetensors")


# Pooling


@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_pooling_is_the_same_in_torch_and_in_any_pieces(frames, cut, seed):
    p = np.random.default_rng(seed).uniform(0, 1, (frames, 3)).astype(np.float32)
    whole, _ = pooling.pool(p)
    _, state = pooling.pool(p[:cut])
    assert pooling.pool(p[cut:], state)[0] == pytest.approx(whole, rel=1e-5)
    assert pooled(torch.from_numpy(p)[None])[0].numpy() == pytest.approx(whole, rel=1e-4)
    assert (whole >= p.min(0) - 1e-6).all() and (whole <= p.max(0) + 1e-6).all()


def test_nothing_heard_is_no_tag():
    assert not pooling.tags(pooling.initial_state(3)).any()


# Stream


@pytest.mark.parametrize("engine", ["torch", "litert", "tflm", "reference", "c"])
def test_decisions_do_not_depend_on_chunks_and_pool_to_the_clip(model, engine):
    if engine == "tflm":
        pytest.importorskip("tflite_micro")
    if engine == "c" and shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    path = model if engine == "torch" else model.with_suffix(".tflite")
    tagger = Tagger(path, engine, every_seconds=0.5)
    x = np.concatenate([sound(label, 3) for label in CLASSES])
    at_once = [*tagger.process(x), *tagger.flush()]
    whole = tagger.whole()
    tagger.reset()
    in_pieces = [d for piece in np.split(x, [7, 600, 9000, 9001, 30000]) for d in tagger.process(piece)]
    assert [*in_pieces, *tagger.flush()] == at_once and tagger.whole() == whole
    assert at_once[0].end_seconds == pytest.approx(0.512) and whole.end_seconds == at_once[-1].end_seconds
    assert list(whole.tags) == list(CLASSES)
    length = len(x) // tagger.hop * tagger.hop
    if engine == "torch":
        expected = float_tags(path, [x[:length]])
        assert list(whole.tags.values()) == pytest.approx(expected[0], abs=1e-4)
    elif engine != "litert":
        assert np.array_equal(np.float32(list(whole.tags.values())), quantized_tags(path, [x[:length]])[0])


def test_a_tagger_and_a_denoiser_are_not_taken_for_one_another(model, tiny):
    from tinyse.streaming.denoiser import Denoiser

    with pytest.raises(InputError, match="is not a tagger"):
        Tagger(tiny.quantized)
    with pytest.raises(InputError, match="is not a denoiser"):
        Denoiser(model.with_suffix(".tflite"))
    with pytest.raises(InputError, match="less than one hop"):
        Tagger(model, every_seconds=0.001)


# Integers


def test_every_runtime_computes_the_same_bits(model):
    pytest.importorskip("tflite_micro")
    from tinyse.engines.tflite_engines import ReferenceEngine, TFLMEngine

    path = model.with_suffix(".tflite")
    engines = [ReferenceEngine(path), TFLMEngine(path)]
    states = [engine.initial_state() for engine in engines]
    features = FrontEnd(FRONT_END).clip_features(np.concatenate([sound(label, 5) for label in CLASSES]))
    for frame in features:
        results = []
        for i, engine in enumerate(engines):
            tags, states[i] = engine.step(frame, states[i])
            results.append(tags)
        assert np.array_equal(*results)
        assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler: apt-get install gcc")
def test_the_c_computes_the_bits_of_the_reference(model):
    from firmware_export.host import HostEngine
    from tinyse.engines.tflite_engines import ReferenceEngine

    path = model.with_suffix(".tflite")
    c, reference = HostEngine(path), ReferenceEngine(path)
    c_state, state = c.initial_state(), reference.initial_state()
    rng = np.random.default_rng(0)
    for _ in range(60):
        frame = np.float32(rng.uniform(-1, 1, FRONT_END.bands))
        tags, c_state = c.step(frame, c_state)
        expected, state = reference.step(frame, state)
        assert np.array_equal(tags, expected)
        assert all(np.array_equal(state[name], c_state[name]) for name in state)


@pytest.mark.parametrize("fixed_point", [False, True], ids=["float", "fixed"])
@pytest.mark.parametrize("name", [None, "cortex-m4", "cortex-m3", "cortex-m55", "rv32imac"])
def test_firmware_replays_network_and_decisions(model, tmp_path, name, fixed_point):
    from firmware_export import targets
    from firmware_export.export import export

    core = targets.CORES.get(name) if name else None
    if name and (core is None or core.missing):
        pytest.skip(f"{name}: {core.missing if core else 'not a core'}")
    if core is None and shutil.which("gcc") is None:
        pytest.skip("no C compiler: apt-get install gcc")
    firmware = export(model.with_suffix(".tflite"), tmp_path / "out", 96, fixed_point)
    assert firmware.header == "tiny_tagger.h" and '"hiss"' in firmware.sources["tiny_tagger.c"]
    targets.build(tmp_path / "out", core, tmp_path / "replay")
    assert targets.run(core, tmp_path / "replay") == (0, "network equal\ndecisions equal\n")


@given(st.integers(1, 40), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_the_devices_decision_is_the_streams(frames, seed):
    from firmware_export.vectors import decision

    steps = np.random.default_rng(seed).integers(0, 256, (frames, 5))
    steps[:, 0] = 0
    whole, _ = pooling.pool((steps / 256).astype(np.float32))
    assert decision(steps) == pytest.approx(256 * whole, abs=0.501)


def test_names_of_classes_cannot_leave_their_string():
    from firmware_export.text import string

    assert string('a"b\\??/\n%é') == '"a\\042b\\134\\077\\077/\\012\\045\\303\\251"'


def test_what_an_export_says_of_itself(model):
    graph = read(model.with_suffix(".tflite"))
    assert graph.metadata["task"] == "tagging" and graph.metadata["classes"] == list(CLASSES)
    assert set(graph.outputs) - set(graph.states) == {"tags"}
    assert {op.kind for op in graph.operators} <= {
        "CONCATENATION", "CONV_2D", "FULLY_CONNECTED", "RESHAPE", "SPLIT", "ADD", "SUB", "MUL", "LOGISTIC", "TANH",
    }  # fmt: skip


# Scores


def test_scores_of_tags_that_are_known():
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    perfect = TagScores.of(0.1 + 0.8 * labels, labels, CLASSES)
    assert perfect.micro_auprc == perfect.macro_auprc == perfect.mean_average_precision == 1
    assert set(perfect.average_precision) == {"hiss", "hum"}  # no clip has the third class: it is not defined
    worse = TagScores.of(0.9 - 0.8 * labels, labels, CLASSES)
    assert worse.micro_auprc < 0.5
    with pytest.raises(InputError, match="nothing to score"):
        TagScores.of(labels, np.ones_like(labels), CLASSES)


# Training, from end to end


RECIPE = """
task: tagging
tagging: {{train: ["1"], valid: ["2"], test: ["3"], mixture: {{clips: [1, 2]}}, test_clips: 24}}
data: {folder}
front_end: {{window_ms: 64, hop_ms: 32, bands: 32, linear_hz: 250}}
valid_clips: 8
precision: 32-true
threads: 1
workers: 0
export: {{clips: 4}}
stages:
  teacher: {{model: {{channels: [8, 8, 8]}}, updates: 40, batch: 8, seconds: 0.8, learning_rate: 2.0e-2, average: 0.5,
             warmup: 5, valid_every: 20, losses: {{binary_cross_entropy: 1.0}}}}
  first: {{model: {{channels: [4, 4, 8]}}, updates: 4, batch: 4, seconds: 0.8, valid_every: 2, warmup: 1,
           distillation: {{teacher: teacher, views: {{utterance: 10.0}}, layers: [encoder_3, gru]}}}}
  second: {{model: {{channels: [4, 4, 8]}}, start: first, updates: 4, batch: 4, seconds: 0.8, valid_every: 2, warmup: 1,
            losses: {{binary_cross_entropy: 1.0}}, distillation: {{teacher: teacher, views: {{batch: 1.0, utterance: 1.0}},
            layers: [gru], output: 1.0}}}}
"""


@pytest.fixture
def recipe(folder, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE.format(folder=folder))
    return path


def test_a_dry_run_of_few_classes_has_tags_to_score(recipe, tmp_path):
    from tinyse.training.dry_run import dry_run
    from tinyse.training.finish import plan
    from tinyse.training.recipe import load_recipe

    for take, (kind, _) in enumerate((kind, fold) for kind in ("hiss", "hum") for fold in (1, 2, 3)):
        audio.write(tmp_path / f"two/{take}.wav", sound(kind, take))
    rows = [f"{take}.wav,{('hiss', 'hum')[take // 3]},{take % 3 + 1}" for take in range(6)]
    (tmp_path / "two/labels.csv").write_text("\n".join(["path,class,fold", *rows]) + "\n")
    chosen = load_recipe(recipe, [f"output={tmp_path / 'run'}", f"data={tmp_path / 'two'}", "valid_clips=64"])
    dry_run(chosen, plan(chosen))


def test_a_recipe_from_labels_to_a_scored_quantized_model(recipe, tmp_path):
    from tinyse.training.finish import finish, plan
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run

    chosen = load_recipe(recipe, [f"output={tmp_path / 'run'}"])
    lines = []
    trained = run(chosen, lambda _: None, lines.append)
    assert trained.parent.name == "second" and any("mean_average_precision" in line for line in lines)
    _, _, header = load_model(tmp_path / "run/teacher/model.safetensors")
    assert header["valid"]["mean_average_precision"] > 0.8, "hiss, hum and ring are easy to tell apart"
    finished = finish(chosen, plan(chosen), trained, lambda _: None)
    scores = json.loads((trained.parent / "scores.json").read_text())
    assert set(scores) == {"float", "int8"} and scores["float"]["clips"] == 24
    assert "micro AUPRC" in finished.scored.tables[0].header and finished.quantized.is_file()
    again = []
    assert run(chosen, lambda _: None, again.append) == trained
    assert all("finished before" in line for line in again)


def test_a_tagging_run_that_was_stopped_goes_on_to_the_same_bits(recipe, tmp_path):
    from tinyse.models.files import load_tensors
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run

    short = ["stages={only: {model: {channels: [4, 4]}, updates: 6, batch: 4, seconds: 0.8, valid_every: 2, warmup: 1, "
             "losses: {binary_cross_entropy: 1.0}}}"]  # fmt: skip
    whole = run(load_recipe(recipe, [*short, f"output={tmp_path / 'whole'}"]), lambda _: None, lambda _: None)

    def stop(progress):
        if progress.update == 3:
            signal.raise_signal(signal.SIGINT)

    stopped = load_recipe(recipe, [*short, f"output={tmp_path / 'stopped'}"])
    with pytest.raises(KeyboardInterrupt):
        run(stopped, stop, lambda _: None)
    again = run(stopped, lambda _: None, lambda _: None)
    first, second = load_tensors(whole)[0], load_tensors(again)[0]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_tagger_learns_labels_blended_with_its_teachers_tags(recipe, tmp_path):
    from tinyse.tasks import TASKS
    from tinyse.tasks.task import Batch
    from tinyse.training.processes import launch
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run
    from tinyse.training.stage import StageRun

    settings = [f"output={tmp_path / 'run'}", "stages.teacher.updates=1"]
    settings += ["stages.first.distillation={teacher: [teacher], target: 0.25}",
                 "stages.first.losses={binary_cross_entropy: 1.0}", "stages.second.updates=1"]  # fmt: skip
    chosen = load_recipe(recipe, settings)
    run(chosen, lambda _: None, lambda _: None)
    task = TASKS[chosen.task](chosen)
    training = StageRun(launch(chosen.precision), chosen, task, "first", {})
    batch = Batch(*(torch.from_numpy(np.stack(part)) for part in zip(*task.valid(chosen.stages["first"]), strict=True)))
    tags, _ = task.run(training.teachers.networks[0], batch)
    torch.testing.assert_close(training.teachers.teach(batch).truth, 0.75 * batch.truth + 0.25 * tags)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("task=tags", "no task is named 'tags'"),
        ("tagging.train=[]", r"tagging\.train: name one fold or more"),
        ("tagging.valid=['1']", "a fold is in one of train, valid and test"),
        ("tagging.level=medium", "'fine', 'coarse'"),
        ("data=built-in", "has no labels"),
        ("stages.first.distillation={teacher: teacher, views: {batch: 1}}", "there is no 'decoder_4'"),
        ("stages.first.distillation={teacher: {onnx: a.onnx, window: hann}, output: 1}", "only the task 'denoise'"),
        ("ship=true", "labels do not say"),
        ("stages.teacher.losses={compressed_spectral: 1}", "no supervised loss is named 'compressed_spectral'"),
        (
            "stages.second={model: {channels: [4, 4, 8]}, start: first, updates: 1, losses: {binary_cross_entropy: 1}, "
            "quantize: {}}",
            "for the task 'denoise' only",
        ),
    ],
)
def test_mistakes_in_a_tagging_recipe_are_named(recipe, setting, message):
    from tinyse.training.recipe import load_recipe

    with pytest.raises(InputError, match=message):
        load_recipe(recipe, [setting])


def test_a_denoiser_does_not_teach_a_tagger(recipe, tmp_path, tiny):
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run

    settings = [f"stages.first.distillation.teacher={tiny.weights}", f"output={tmp_path / 'run'}"]
    settings += ["stages.teacher.updates=1", "stages.first.updates=1"]
    with pytest.raises(InputError, match="the teacher's task is 'denoise'"):
        run(load_recipe(recipe, settings), lambda _: None, lambda _: None)


# Commands


def tinyse(*arguments: object) -> str:
    from typer.testing import CliRunner

    from tinyse.commands.main import app

    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_tag_prints_decisions(model, tmp_path):
    path = tmp_path / "sound.wav"
    audio.write(path, np.concatenate([sound(label, 3) for label in CLASSES]))
    facts = json.loads(tinyse("tag", path, "--model", model.with_suffix(".tflite"), "--json"))
    assert len(facts["decisions"]) == 3 and set(facts["whole"]["tags"]) == set(CLASSES)
    lines = tinyse("tag", path, "--model", model, "--least", 0).splitlines()
    assert len(lines) == 4 and lines[-1].strip().startswith("whole")


def test_check_says_whether_a_tagger_ships(recipe):
    facts = json.loads(tinyse("check", recipe, "--json"))
    assert facts["ships"] and not facts["missing"]


def test_export_calibrates_on_the_folds_that_the_recipe_names(recipe, tmp_path):
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run

    only = ["stages={only: {model: {channels: [4, 4]}, updates: 2, batch: 4, seconds: 0.8, warmup: 1, "
            "losses: {binary_cross_entropy: 1.0}}}"]  # fmt: skip
    trained = run(load_recipe(recipe, [*only, f"output={tmp_path / 'run'}"]), lambda _: None, lambda _: None)
    facts = json.loads(tinyse("export", trained, "--clips", 2, "--json"))
    assert len(facts["calibration"]) == 2 and trained.with_suffix(".tflite").is_file()


def test_bench_takes_a_tagger(model):
    facts = json.loads(tinyse("bench", model.with_suffix(".tflite"), "--board", "STM32H743", "--seconds", 1, "--json"))
    assert facts["fits"] and facts["hops"] == 31 and facts["missed"] == {"late": 0, "lost": 0}


def test_live_shows_tags(model, tiny, tmp_path):
    audio.write(tmp_path / "in.wav", sound("ring", 3, 2.5))
    ends = ("--input", tmp_path / "in.wav", "--output", tmp_path / "out.wav")
    facts = json.loads(
        tinyse("live", "--model", tiny.quantized, "--tags", model.with_suffix(".tflite"), *ends, "--json")
    )
    assert facts["tags"] and len(audio.read(tmp_path / "out.wav")[0]) == 40000


def test_decisions_read_well():
    from tinyse.streaming.tagger import Decision

    decision = Decision(0.0, 1.0, {"a": 0.2, "b": 0.9, "c": 0.6})
    assert decision.as_text() == "b 0.90, c 0.60" and decision.as_text(0.95) == "-"
    assert dataclasses.asdict(decision)["tags"]["a"] == 0.2


# The benchmark's report


def test_the_report_of_the_comparison(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "benchmarks"))
    from iusp_report import METHODS, Findings, Result, Run, write_report

    gains = dict(zip(METHODS, (0.0, 0.02, 0.01, 0.015, 0.03), strict=True))
    results = {}
    for fold in "123":
        for seed in (0, 1):
            for method in METHODS:
                run, score = Run("small", method, fold, seed), 0.4 + 0.01 * int(fold) + gains[method]
                int8 = score - 0.002 if method == "iusp" else None
                results[run] = Result(run, 3280, score, score, score, {"a": score}, 256, int8, 300, 1.0)
    findings = Findings(results)
    assert findings.relative("small") == pytest.approx(50) and np.isnan(findings.relative("large"))
    text = write_report(tmp_path, results, [*results, Run("large", "none", "1", 0)])
    assert "+50 %" in text and "+0.0020" in text and "30 of 31 runs" in text
    drawn = (tmp_path / "iusp.svg").read_text()
    assert "small: 3,280 parameters" in drawn and "+0.015" in drawn and "SP + IUSP" in drawn
    assert json.loads((tmp_path / "iusp.json").read_text())["missing"][0]["size"] == "large"
