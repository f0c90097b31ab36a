"""What ends a run before its end (signals, a full disk, a killed process, weights that diverge) costs nothing finished."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import own_recordings
import pytest

torch = pytest.importorskip("torch")

from torch.nn.modules.module import register_module_forward_hook  # noqa: E402
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook  # noqa: E402

from tinyse.errors import InputError  # noqa: E402
from tinyse.models.files import load_model, load_tensors, save_model  # noqa: E402
from tinyse.training import run as run_module  # noqa: E402
from tinyse.training import stage as stage_module  # noqa: E402
from tinyse.training.batches import WithTeachers, batches, in_batches  # noqa: E402
from tinyse.training.lock import locked  # noqa: E402
from tinyse.training.optimizer import learning_rate  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.records import Log  # noqa: E402
from tinyse.training.run import run  # noqa: E402
from tinyse.training.start import checkpoint_path, model_path  # noqa: E402

RECIPE = """
stages:
  first:
    {model: {channels: [4, 4], groups: 2}, updates: 12, batch: 2, seconds: 0.3, valid_every: 4, warmup: 1,
     losses: {compressed_spectral: 1.0}}
  second:
    {model: {channels: [4, 4], groups: 2}, start: first, updates: 12, batch: 2, seconds: 0.3, valid_every: 5, warmup: 1,
     losses: {phase_sensitive: 0.01}}
valid_clips: 2
precision: 32-true
threads: 1
workers: 0
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return lambda *settings: load_recipe(path, settings)


def nothing(*_):
    pass


def at(stage, update, act):
    """A `show` that acts after one update."""

    def show(progress):
        if (progress.stage, progress.update) == (stage, update):
            act()

    return show


def entries(folder, stage="first"):
    return [json.loads(line) for line in (folder / stage / "log.jsonl").read_text().splitlines()]


def same(first, second):
    first, second = load_tensors(first)[0], load_tensors(second)[0]
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def reached(folder):
    """Updates of both stages that are safe on disk."""

    def updates(stage):
        files = [path for path in (model_path(folder, stage), checkpoint_path(folder, stage)) if path.exists()]
        return max((load_tensors(path)[1]["update"] for path in files), default=0)

    return updates("first"), updates("second")


# Signals


class Interrupter:
    """Raises a signal inside an update, at one of the calls of modules and around the optimizer's step."""

    def __init__(self, seed: int) -> None:
        self.random, self.left, self.sent = random.Random(seed), 0, 0
        self.hooks = [
            register_module_forward_hook(self.tick),
            register_optimizer_step_pre_hook(self.tick),
            register_optimizer_step_post_hook(self.tick),
        ]

    def tick(self, *_):
        self.left -= 1
        if self.left == 0:
            self.sent += 1
            signal.raise_signal(self.random.choice([signal.SIGINT, signal.SIGTERM]))

    def remove(self):
        for hook in self.hooks:
            hook.remove()


def test_signals_at_random_moments_inside_updates_leave_the_same_bits(recipe, tmp_path):
    whole = run(recipe(f"output={tmp_path / 'whole'}"), nothing, nothing)
    interrupter, interrupted, path = Interrupter(seed=7), 0, None
    try:
        for number in range(8):
            stopped = recipe(f"output={tmp_path / f'stopped {number}'}")
            before = (0, 0)
            while True:
                interrupter.left = interrupter.random.randint(1, 150)
                try:
                    path = run(stopped, nothing, nothing)
                except KeyboardInterrupt:
                    interrupted += 1
                    assert reached(tmp_path / f"stopped {number}") > before  # the update was finished and kept
                    before = reached(tmp_path / f"stopped {number}")
                else:
                    break
            assert same(whole, path), number
            assert [entry["update"] for entry in entries(tmp_path / f"stopped {number}")] == [4, 8, 12]
    finally:
        interrupter.remove()
    assert interrupted >= 20 and interrupter.sent >= interrupted


def test_another_ctrl_c_a_while_later_ends_at_once(recipe, tmp_path):
    calls = iter(range(10**6))

    def twice(*_):
        if next(calls) == 3:
            signal.raise_signal(signal.SIGINT)
            time.sleep(1.1)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the second one was not heard")

    hook = register_module_forward_hook(twice)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(recipe(f"output={tmp_path / 'run'}"), nothing, nothing)
    finally:
        hook.remove()
    assert not checkpoint_path(tmp_path / "run", "first").exists()


def test_a_signal_while_the_model_is_written_ends_the_run_after_it(recipe, tmp_path, monkeypatch):
    def interrupted(path, *rest):
        signal.raise_signal(signal.SIGTERM)
        save_model(path, *rest)

    monkeypatch.setattr(stage_module, "save_model", interrupted)
    lines: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(recipe(f"output={tmp_path / 'run'}"), nothing, lines.append)
    load_model(model_path(tmp_path / "run", "first"))
    assert not any(line.startswith("second") for line in lines)


def test_a_signal_that_the_caller_ignores_stays_ignored(recipe, tmp_path):
    """As `nohup` does, so that a run outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(recipe(f"output={tmp_path / 'run'}"), at("first", 2, lambda: signal.raise_signal(signal.SIGHUP)), nothing)
    finally:
        assert signal.signal(signal.SIGHUP, before) is signal.SIG_IGN


def test_the_handlers_of_the_caller_are_back_after_a_run(recipe, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGCHLD)
    run(recipe(f"output={tmp_path / 'run'}", "workers=1"), nothing, nothing)
    assert (
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
        signal.getsignal(signal.SIGCHLD),
    ) == before


def test_more_processes_that_mix_than_cores_are_nothing_to_warn_of(monkeypatch, recwarn):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0}, raising=False)
    sound = np.zeros(16, np.float32)
    made = list(batches(WithTeachers([(sound, sound)] * 4, []), 2, 0, 2, workers=2))
    assert [len(batch.sound) for batch in made] == [2, 2] and not recwarn.list


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_whole_process_group_leaves_a_checkpoint_and_one_line(recipe, tmp_path, sent):
    """What schedulers and closed terminals do; the processes that mix get it as well."""
    command = [sys.executable, "-m", "tinyse", "train", tmp_path / "tiny.yaml", "--train-only"]
    for setting in (
        f"output={tmp_path / 'run'}",
        "workers=2",
        "stages.first.updates=100000",
        "stages.first.valid_every=20",
    ):
        command += ["--set", setting]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True, start_new_session=True)
    path = checkpoint_path(tmp_path / "run", "first")
    try:
        deadline = time.monotonic() + 100
        while not path.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, sent)
        told = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130, told
    assert "Traceback" not in told and "DataLoader" not in told
    assert told.splitlines()[-1] == "tinyse: interrupted"
    assert load_tensors(path)[1]["update"] >= 20
    with pytest.raises(ProcessLookupError):  # no process of the group is left
        os.killpg(process.pid, 0)


def test_a_killed_run_leaves_no_process_that_mixes(recipe, tmp_path):
    command = [sys.executable, "-m", "tinyse", "train", tmp_path / "tiny.yaml", "--train-only", "--set", "workers=2"]
    command += ["--set", f"output={tmp_path / 'run'}", "--set", "stages.first.updates=100000"]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL, start_new_session=True)
    path = checkpoint_path(tmp_path / "run", "first")
    deadline = time.monotonic() + 100
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError("processes that mix are left")


# Processes that mix


def test_a_killed_process_that_mixes_is_one_line_and_nothing_is_lost(recipe, tmp_path):
    def kill():
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)

    whole = run(recipe(f"output={tmp_path / 'whole'}"), nothing, nothing)
    stopped = recipe(f"output={tmp_path / 'stopped'}", "workers=1")
    with pytest.raises(InputError, match=r"a process that mixes was killed.*fewer than 1 `workers`"):
        run(stopped, at("second", 2, kill), nothing)
    assert load_tensors(checkpoint_path(tmp_path / "stopped", "second"))[1]["update"] >= 2
    assert same(whole, run(stopped, nothing, nothing))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_processes_that_mix_go_on_when_the_whole_group_gets_a_signal(sent):
    """The main process may be waiting for them, to finish its update."""

    class Slow:
        def __len__(self):
            return 12

        def __getitem__(self, index):
            time.sleep(0.05)
            return (np.full(1, index, np.float32),)

    feed = batches(Slow(), 1, 0, 12, workers=1)
    next(feed)
    for child in multiprocessing.active_children():
        os.kill(child.pid, sent)
    assert [float(batch[0]) for batch in feed] == list(range(1, 12))


def test_a_small_dev_shm_is_one_line(monkeypatch):
    """It holds 64 MB in a container. What torch says then, in the process that mixes."""

    def refuse(*_, **__):
        raise RuntimeError(
            "unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)"
        )

    examples = [(np.full(4, index, np.float32),) for index in range(8)]
    assert [batch[0][:, 0].tolist() for batch in batches(examples, 2, 1, 4, workers=2)] == [[2, 3], [4, 5], [6, 7]]
    monkeypatch.setattr(torch.TypedStorage, "_new_shared", refuse)
    with pytest.raises(InputError, match=r"/dev/shm is full \(containers: --shm-size\)"):
        next(batches(examples, 2, 1, 4, workers=2))


def test_the_order_of_batches_takes_no_memory_for_each_update():
    examples = [(np.zeros(4, np.float32),)] * 8
    tracemalloc.start()
    try:
        next(batches(examples, 2, 0, 300_000, workers=0))
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


def test_what_a_process_that_mixes_cannot_use_is_told_as_one_line():
    class Broken:
        def __len__(self):
            return 4

        def __getitem__(self, index):
            raise InputError(f"recording {index} is broken")

    with pytest.raises(InputError) as caught:
        next(batches(Broken(), 2, 0, 2, workers=1))
    assert str(caught.value) == "recording 0 is broken"


# The log


@pytest.mark.parametrize(
    ("name", "grown", "named"),
    [
        ("log.jsonl", 1.1, r"(log\.jsonl|tensorboard|checkpoint).*"),
        ("checkpoint.safetensors", 0.5, r"checkpoint\.safetensors: .*"),
    ],
)
def test_a_full_disk_is_one_line_and_nothing_is_lost(recipe, tmp_path, name, grown, named):
    def fill():
        """No file may grow past this size, which is what a full disk amounts to: logs are far smaller than checkpoints."""
        size = (tmp_path / "stopped/first" / name).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (round(grown * size), limits[1]))

    whole = run(recipe(f"output={tmp_path / 'whole'}"), nothing, nothing)
    stopped = recipe(f"output={tmp_path / 'stopped'}")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(InputError, match=f"cannot write .*{named}File too large"):
            run(stopped, at("first", 7, fill), nothing)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_tensors(checkpoint_path(tmp_path / "stopped", "first"))[1]["update"] == 4
    assert same(whole, run(stopped, nothing, nothing))
    assert [entry["update"] for entry in entries(tmp_path / "stopped")] == [4, 8, 12]


@pytest.mark.parametrize(
    ("stage", "precision", "kept"),
    [("second", "32-true", 0.0), ("second", "32-true", 0.001), ("second", "auto", 0.5), ("first", "auto", 0.999)],
)
def test_a_stage_whose_checkpoint_was_cut_short_begins_again_and_says_so(recipe, tmp_path, stage, precision, kept):
    """`auto` is what the checkpoint says, as long as no stage is finished."""
    whole = run(recipe(f"output={tmp_path / 'whole'}", f"precision={precision}"), nothing, nothing)
    stopped = recipe(f"output={tmp_path / 'stopped'}", f"precision={precision}")
    with pytest.raises(KeyboardInterrupt):
        run(stopped, at(stage, 6, lambda: signal.raise_signal(signal.SIGINT)), nothing)
    path = checkpoint_path(tmp_path / "stopped", stage)
    os.truncate(path, int(kept * path.stat().st_size))
    said: list[str] = []
    assert same(whole, run(stopped, nothing, said.append))
    assert re.match(rf"note: .*{stage}/checkpoint\.safetensors is not a complete .*{stage} begins again", said[0]), said
    assert any(line.startswith("first: finished before") for line in said) == (stage == "second")
    assert [entry["update"] for entry in entries(tmp_path / "stopped", "second")] == [5, 10, 12]


def test_every_clip_of_the_valid_list_counts_alike(recipe, tmp_path, monkeypatch):
    """However they are divided into batches."""
    losses = []
    for batch in (2, 3, 5):
        monkeypatch.setattr(run_module, "in_batches", lambda examples, _, batch=batch: in_batches(examples, batch))
        run(recipe(f"output={tmp_path / str(batch)}", "valid_clips=5"), nothing, nothing)
        losses.append(entries(tmp_path / str(batch))[-1]["valid_loss"])
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_the_log_has_the_rate_of_each_update(recipe, tmp_path):
    run(recipe(f"output={tmp_path / 'run'}"), nothing, nothing)
    stage = recipe().stages["first"]
    for entry in entries(tmp_path / "run"):
        assert entry["learning_rate"] == learning_rate(stage, entry["update"] - 1) > 0


def test_a_log_that_cannot_be_written_does_not_cost_the_checkpoint(recipe, tmp_path):
    def spoil():
        path = tmp_path / "run/first/log.jsonl"
        path.unlink()
        path.mkdir()

    with pytest.raises(InputError, match=r"cannot write .*log\.jsonl: Is a directory"):
        run(recipe(f"output={tmp_path / 'run'}"), at("first", 5, spoil), nothing)
    assert load_tensors(checkpoint_path(tmp_path / "run", "first"))[1]["update"] == 8


@pytest.mark.parametrize(
    "rest", ['{"update": 4, "lo', '{"update": 4, "lo\n', "\0\0\0", "[]\n", '{"update": "x"}\n', '{"update": 0}']
)
def test_half_a_line_in_the_log_before_the_first_checkpoint(recipe, tmp_path, rest):
    path = tmp_path / "run/first/log.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(rest)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(
                recipe(f"output={tmp_path / 'run'}"),
                at("first", 5, lambda: signal.raise_signal(signal.SIGINT)),
                nothing,
            )
        assert [entry["update"] for entry in entries(tmp_path / "run")] == [4]
        checkpoint_path(tmp_path / "run", "first").unlink()


def test_a_value_that_is_no_number_is_null_in_the_log(tmp_path):
    log = Log(tmp_path, 0)
    log.add(1, {"loss": 0.5, "valid_score": float("nan")})
    log.close()
    assert (tmp_path / "log.jsonl").read_text() == '{"update": 1, "loss": 0.5, "valid_score": null}\n'


# Divergence


def spoil_batch(monkeypatch, number):
    """Batch `number` of the run holds an infinity, as nothing that is read can."""

    def spoiled(*arguments):
        for index, batch in enumerate(batches(*arguments)):
            if index == number:
                batch[0][0, 100] = float("inf")
            yield batch

    monkeypatch.setattr(run_module, "batches", spoiled)


def test_a_run_that_diverges_keeps_its_best_weights_and_says_where(recipe, tmp_path, monkeypatch):
    spoil_batch(monkeypatch, 9)
    told = r"stage first: the loss became (nan|inf) at update 9;.*smaller learning_rate"
    with pytest.raises(InputError, match=told) as caught:
        run(recipe(f"output={tmp_path / 'run'}"), nothing, nothing)
    kept = tmp_path / "run/first/before-divergence.safetensors"
    assert str(kept) in str(caught.value)
    _, _, header = load_model(kept)
    assert header["best_loss"] == min(entry["valid_loss"] for entry in entries(tmp_path / "run"))
    assert not model_path(tmp_path / "run", "first").exists()
    assert load_tensors(checkpoint_path(tmp_path / "run", "first"))[1]["update"] == 8


@pytest.mark.parametrize("rate", ["1e3", "1e6"])
def test_a_rate_far_too_high_ends_in_an_error(recipe, tmp_path, rate):
    settings = [f"output={tmp_path / 'run'}", f"stages.first.learning_rate={rate}", "stages.first.updates=40"]
    command = [sys.executable, "-m", "tinyse", "train", tmp_path / "tiny.yaml", "--train-only"]
    done = subprocess.run(
        [*map(str, command), *(part for setting in settings for part in ("--set", setting))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and "stage first: " in done.stderr.splitlines()[-1]
    assert "smaller learning_rate" in done.stderr.splitlines()[-1]
    log = tmp_path / "run/first/log.jsonl"
    assert not log.exists() or ("NaN" not in log.read_text() and "Infinity" not in log.read_text())


def test_a_valid_loss_that_is_no_number_ends_the_run(recipe, tmp_path, monkeypatch):
    """It used to end as done, with the untrained network as the best."""

    def spoiled(*arguments):
        made = in_batches(*arguments)
        made[0][0][0, 100] = float("inf")
        return made

    monkeypatch.setattr(run_module, "in_batches", spoiled)
    with pytest.raises(InputError, match=r"stage first: the loss on the valid split became (nan|inf) at update 4"):
        run(recipe(f"output={tmp_path / 'run'}"), nothing, nothing)
    assert not model_path(tmp_path / "run", "first").exists() and not (tmp_path / "run/first/log.jsonl").exists()


def test_gradients_that_overflow_are_told_and_change_nothing(recipe, tmp_path):
    """The loss is finite, its gradient is not."""
    settings = [f"output={tmp_path / 'run'}", "stages.first.losses={compressed_spectral: 1.0e+36}"]
    with pytest.raises(InputError, match=r"stage first: the (gradient|loss) became"):
        run(recipe(*settings), nothing, nothing)


# What lies in the folder


def test_two_runs_do_not_share_a_folder(recipe, tmp_path):
    command = [sys.executable, "-m", "tinyse", "train", tmp_path / "tiny.yaml", "--set", f"output={tmp_path / 'run'}"]
    with locked(tmp_path / "run"):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    holder = rf"\(process {os.getpid()} on \S+, since \S+ \S+\)"
    told = rf"tinyse: another run is at work in {tmp_path / 'run'} {holder}: wait"
    assert re.match(told, done.stderr.splitlines()[-1]), done.stderr
    assert not (tmp_path / "run/recipe.json").exists()
    run(recipe(f"output={tmp_path / 'run'}"), nothing, nothing)


def test_what_a_killed_run_left_half_written_is_gone_after_the_next(recipe, tmp_path):
    """Also a checkpoint beside the model that was made of it, where the kill came between the two."""
    written = "import os, sys; from tinyse.files import replacing\nwith replacing(sys.argv[1]): os.kill(os.getpid(), 9)"
    checkpoint = checkpoint_path(tmp_path / "run", "first")
    assert subprocess.run([sys.executable, "-c", written, checkpoint], check=False).returncode == -signal.SIGKILL
    assert len(list(checkpoint.parent.iterdir())) == 1
    with pytest.raises(KeyboardInterrupt):
        run(recipe(f"output={tmp_path / 'run'}"), at("second", 5, lambda: signal.raise_signal(signal.SIGINT)), nothing)
    assert not any(path.name.startswith(".") for path in checkpoint.parent.iterdir())
    checkpoint.write_bytes(model_path(tmp_path / "run", "first").read_bytes())
    run(recipe(f"output={tmp_path / 'run'}"), nothing, nothing)
    assert not checkpoint.exists()


@pytest.mark.parametrize("finished", [False, True])
def test_a_refused_rerun_leaves_the_record_alone(recipe, tmp_path, finished):
    output = f"output={tmp_path / 'run'}"
    if finished:
        run(recipe(output), nothing, nothing)
    else:
        with pytest.raises(KeyboardInterrupt):
            run(recipe(output), at("first", 5, lambda: signal.raise_signal(signal.SIGINT)), nothing)
    before = (tmp_path / "run/recipe.json").read_bytes()
    with pytest.raises(InputError, match="seed: 0 then, 7 now"):
        run(recipe(output, "seed=7"), nothing, nothing)
    assert (tmp_path / "run/recipe.json").read_bytes() == before


def manifest(folder, leave_out=(), move=()):
    """A CSV of the recordings in `folder` whose splits do not depend on what is left out or moved."""
    rows = ["path,seconds,kind,split,speaker"]
    for talker in range(6):
        split = {4: "valid", 5: "test"}.get(talker, "train")
        rows += [
            f"speech/talker{talker}/{take}.wav,1,speech,{split},t{talker}"
            for take in range(2)
            if talker not in leave_out
        ]
    for kind in range(6):
        split = {4: "valid", 5: "test"}.get(kind, "train")
        if f"noise{kind}" not in leave_out:
            rows.append(f"noise/kind{kind % 3}/{kind}.wav,1,noise,{split},")
    path = folder / "list.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    return own_recordings.write(tmp_path / "own", seconds=1.0)


ALONE = "mixture={talker_probability: 0.0, babble_probability: 0.0}"


@pytest.mark.parametrize("finished", [False, True])
def test_recordings_of_training_that_changed_are_noticed(recipe, tmp_path, own, finished):
    chosen = recipe(f"output={tmp_path / 'run'}", f"data={manifest(own)}", ALONE)
    with pytest.raises(KeyboardInterrupt):
        run(chosen, at("second" if finished else "first", 3, lambda: signal.raise_signal(signal.SIGINT)), nothing)
    manifest(own, leave_out=(1,))
    name = "model" if finished else "checkpoint"
    with pytest.raises(InputError, match=rf"first/{name}\.safetensors was made with other recordings; use another"):
        run(chosen, nothing, nothing)
    manifest(own)
    run(chosen, nothing, nothing)


@pytest.mark.parametrize("finished", [False, True])
def test_recordings_of_the_valid_split_that_changed_are_noticed(recipe, tmp_path, own, finished):
    chosen = recipe(f"output={tmp_path / 'run'}", f"data={manifest(own)}", ALONE)
    with pytest.raises(KeyboardInterrupt):
        run(chosen, at("second" if finished else "first", 3, lambda: signal.raise_signal(signal.SIGINT)), nothing)
    from tinyse import audio

    audio.write(own / "speech/talker4/0.wav", own_recordings.voice(9, 0, 1.0))
    with pytest.raises(InputError, match="was made with other recordings of the valid split"):
        run(chosen, nothing, nothing)


def test_a_recording_that_vanishes_under_a_run_is_named_and_costs_nothing_finished(recipe, tmp_path, own):
    whole = run(recipe(f"output={tmp_path / 'whole'}", f"data={own}"), nothing, nothing)
    gone, aside = own / "speech/talker1/0.wav", tmp_path / "aside.wav"
    chosen = recipe(f"output={tmp_path / 'run'}", f"data={own}")
    with pytest.raises(InputError, match=r"cannot read .*speech/talker1/0\.wav: No such file"):
        run(chosen, at("first", 2, lambda: gone.rename(aside)), nothing)
    assert reached(tmp_path / "run") == (12, 0), "the stage that had its recordings"
    aside.rename(gone)
    assert same(whole, run(chosen, nothing, nothing))


@pytest.mark.parametrize("kept", [0, 100, 20_000])
def test_a_recording_that_shrinks_under_a_run_is_noticed_at_the_next_start(recipe, tmp_path, own, kept):
    chosen = recipe(f"output={tmp_path / 'run'}", f"data={own}", "broken=0.5")

    def shrink():
        os.truncate(own / "speech/talker1/0.wav", kept)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(chosen, at("first", 2, shrink), nothing)
    with pytest.raises(InputError, match=r"first/checkpoint\.safetensors was made with other recordings"):
        run(chosen, nothing, nothing)


def test_a_run_from_before_the_valid_split_was_named_goes_on(recipe, tmp_path):
    from tinyse.models.files import save_tensors

    chosen = recipe(f"output={tmp_path / 'run'}")
    with pytest.raises(KeyboardInterrupt):
        run(chosen, at("first", 5, lambda: signal.raise_signal(signal.SIGINT)), nothing)
    path = checkpoint_path(tmp_path / "run", "first")
    tensors, header = load_tensors(path)
    del header["valid_hash"]
    save_tensors(path, tensors, header)
    lines: list[str] = []
    run(chosen, nothing, lines.append)
    assert "from update 5" in lines[0]
