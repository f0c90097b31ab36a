"""What a recipe leaves to the machine is settled once, said in a line, and kept by the run."""

from __future__ import annotations

import json
import signal

import pytest

torch = pytest.importorskip("torch")

from tinyse.errors import InputError  # noqa: E402
from tinyse.models.files import load_tensors  # noqa: E402
from tinyse.training.machine import Machine, has_bf16, processor_capabilities  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.run import run  # noqa: E402
from tinyse.training.start import model_path  # noqa: E402

RECIPE = """
stages:
  one: {model: {channels: [4, 4], groups: 2}, updates: 4, batch: 2, seconds: 0.5, valid_every: 2, warmup: 1,
        losses: {compressed_spectral: 1.0}}
valid_clips: 2
threads: 1
workers: 0
"""
PLAIN, FAST = Machine("a plain processor", bf16=False), Machine("a fast processor", bf16=True)


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return lambda *settings: load_recipe(path, settings)


def nothing(*_):
    pass


def stop(_):
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"architecture": "x86_64", "avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bw": True, "avx512_vnni": True}, False),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": True}, True),
        ({"architecture": "x86_64", "amx_tile": True, "amx_bf16": True}, True),
        ({"architecture": "aarch64", "neon": True, "dot": True, "bf16": False}, False),
        ({"architecture": "aarch64", "neon": True, "bf16": True}, True),
        ({}, False),
    ],
    ids=["avx2", "avx512 without bf16", "avx512 with bf16", "amx", "arm", "arm with bf16", "unknown"],
)
def test_bf16_is_taken_only_where_there_are_instructions_for_it(capabilities, expected):
    assert has_bf16(capabilities) is expected


def test_this_processor_says_what_it_can():
    capabilities = processor_capabilities()
    assert {"avx2", "neon", "asimd"} & set(capabilities) or not capabilities


@pytest.mark.parametrize(("machine", "precision"), [(PLAIN, "32-true"), (FAST, "bf16-mixed")])
def test_auto_is_the_machine_s_arithmetic_and_the_run_s_from_then_on(recipe, tmp_path, machine, precision):
    whole, stopped = recipe(f"output={tmp_path / 'whole'}"), recipe(f"output={tmp_path / 'stopped'}")
    lines: list[str] = []
    expected = load_tensors(run(whole, nothing, lines.append, machine))
    assert [line for line in lines if precision in line and machine.name in line] == lines[:1]

    with pytest.raises(KeyboardInterrupt):
        run(stopped, stop, nothing, machine)
    record = json.loads((tmp_path / "stopped/recipe.json").read_text())
    assert record["recipe"]["precision"] == precision
    other, lines = (PLAIN if machine is FAST else FAST), []
    weights, header = load_tensors(run(stopped, nothing, lines.append, other))
    assert lines[0].startswith(f"precision: {precision}, as this run began")
    assert header["recipe"]["precision"] == header["whole_recipe"]["precision"] == precision
    assert all(torch.equal(weights[name], value) for name, value in expected[0].items())

    lines = []
    run(stopped, nothing, lines.append, other)
    assert len(lines) == 1 and "finished before" in lines[0]


def test_the_arithmetics_differ(recipe, tmp_path):
    """Else the test above would show nothing."""
    models = [run(recipe(f"output={tmp_path / machine.name}"), nothing, nothing, machine) for machine in (PLAIN, FAST)]
    plain, fast = (load_tensors(model)[0] for model in models)
    assert any(not torch.equal(plain[name], fast[name]) for name in plain)


def test_a_run_from_before_auto_goes_on_and_emulated_bf16_is_told(recipe, tmp_path):
    output, lines = f"output={tmp_path / 'run'}", []
    with pytest.raises(KeyboardInterrupt):
        run(recipe(output, "precision=bf16-mixed"), stop, lines.append, PLAIN)
    assert "32-true would be faster" in lines[0]
    lines = []
    path = run(recipe(output), nothing, lines.append, PLAIN)
    assert "as this run began" in lines[0] and "32-true would be faster" in lines[0]
    assert path == model_path(tmp_path / "run", "one")


def test_what_was_chosen_needs_no_line(recipe, tmp_path):
    lines: list[str] = []
    run(recipe(f"output={tmp_path / 'run'}", "precision=32-true"), nothing, lines.append, PLAIN)
    assert lines[0].startswith("one: 4 updates")


@pytest.mark.parametrize(
    ("machine", "processes", "settings", "threads", "workers"),
    [
        (Machine("2 cores", False, cores=2), 1, (), 2, 1),
        (Machine("2 cores", False, cores=2), 2, (), 1, 1),
        (Machine("2 cores", False, cores=2), 4, (), 1, 1),
        (Machine("2 cores", False, cores=2), 1, ("threads=3", "workers=0"), 3, 0),
        (Machine("64 cores", True, cores=64), 1, (), 64, 7),
        (Machine("64 cores", True, cores=64), 8, (), 8, 1),
        (Machine("a GPU", True, gpu=True, cores=16), 1, (), 16, 8),
        (Machine("a GPU", True, gpu=True, cores=16), 4, (), 4, 3),
        (Machine("a GPU", True, gpu=True, cores=1), 1, (), 1, 1),
    ],
    ids=lambda value: value.name if isinstance(value, Machine) else None,
)
def test_processes_share_the_cores(recipe, machine, processes, settings, threads, workers):
    chosen = recipe("threads=0", "workers=auto", *settings)
    assert machine.threads(chosen, processes) == threads
    assert machine.workers(chosen, chosen.stages["one"], processes) == workers


def test_a_teacher_that_listens_where_is_mixed_takes_all_cores(recipe):
    chosen = recipe("workers=auto", "stages.one.distillation={teacher: {onnx: a.onnx, window: hann}, output: 1.0}")
    assert Machine("8 cores", False, cores=8).workers(chosen, chosen.stages["one"], 1) == 8


@pytest.mark.parametrize("setting", ["workers=-1", "threads=-2", "workers=many"])
def test_numbers_of_processes_that_cannot_be(recipe, setting):
    with pytest.raises(InputError, match=setting.partition("=")[0]):
        recipe(setting)


def test_fabric_says_nothing_of_its_arithmetic(caplog):
    """Once per stage of the dry run and of the run, where `settled` says it once."""
    import logging

    from tinyse.training.processes import launch

    logging.getLogger("lightning_fabric").setLevel(logging.INFO)  # as when it is imported
    with caplog.at_level(logging.INFO):
        logger = logging.getLogger("lightning_fabric")
        logger.addHandler(caplog.handler)
        try:
            launch("bf16-mixed")
        finally:
            logger.removeHandler(caplog.handler)
    assert not caplog.records
