"""Boards, estimates and the emulated audio loop, on a small hand-made step and stand-in processes."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import steps
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_export.export import make
from firmware_export.report import report
from tinyse.audio import read, to_pcm16
from tinyse.boards import estimate as estimates
from tinyse.boards import vela
from tinyse.boards.boards import BOARDS, CORES, M4, find_board, own_board
from tinyse.boards.harness import Interference, emulate, percentiles, stream
from tinyse.boards.measurements import Measurement, read_measurements
from tinyse.boards.picture import draw_latencies
from tinyse.boards.verdict import judge
from tinyse.commands.bench import bench
from tinyse.errors import InputError
from tinyse.files import sha256
from tinyse.graph import memory
from tinyse.graph.graph import Graph, Quantization
from tinyse.targets.forecast import random_step
from tinyse.tflite.reader import read as read_graph
from tinyse.tflite.writer import save

HOP, PERIOD = 256, 0.016
F446 = BOARDS["stm32f446"]


def quantized_step() -> Graph:
    """Convolution over (past, now), a copy of now as the next past, a mask: 8 bands, all int8."""
    graph = Graph("step", metadata={"format": 1, "task": "denoise", "front_end": {"bands": 8, "linear_hz": 62.5}})
    features, past = graph.add_input("features", (1, 1, 8, 1)), graph.add_input("past", (1, 1, 8, 1))
    both = graph.concatenation("both", (past, features), 3)
    wide = graph.convolution("wide", both, np.ones((4, 1, 3, 2)), np.zeros(4), activation="RELU")
    narrow = graph.convolution("narrow", wide, np.ones((1, 1, 3, 4)), np.zeros(1))
    graph.add_output("mask", graph.unary("LOGISTIC", "mask", narrow))
    graph.add_output("past", graph.reshape("next", features, (1, 1, 8, 1)))
    for name, tensor in graph.tensors.items():
        if name.endswith("/weights"):
            scale = Quantization(np.full(tensor.shape[0], 2**-7))
            steps.change(graph, name, data=np.ones(tensor.shape, np.int8), dtype=np.dtype(np.int8), quantization=scale)
        elif name.endswith("/bias"):
            scale = Quantization(np.full(tensor.shape[0], 2**-14))
            steps.change(
                graph, name, data=np.zeros(tensor.shape, np.int32), dtype=np.dtype(np.int32), quantization=scale
            )
        elif tensor.data is None:
            qparams = Quantization(2**-8, -128) if name == "mask" else Quantization(2**-7)
            steps.change(graph, name, dtype=np.dtype(np.int8), quantization=qparams)
    return graph


def noise(hops: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-20000, 20000, hops * HOP).astype(np.int16)


def copy() -> object:
    """A process without state that changes nothing."""
    return np.copy


# Boards


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_boards_are_plausible(board):
    assert BOARDS[board.name] is board
    assert 16e6 <= board.clock_hz <= 1e9
    assert 64 * 1024 <= board.ram_bytes <= 16 * 2**20
    assert 256 * 1024 <= board.flash_bytes <= 16 * 2**20
    assert 0.3 < board.core.instructions_per_mac < 12
    assert 0.4 < board.core.cycles_per_instruction < 2
    assert board.source
    assert board.core.basis


@pytest.mark.parametrize(
    ("name", "core", "label", "fpu"),
    [
        ("rp2040", "Cortex-M0+", "emulated", False),
        ("rp2350", "Cortex-M33", "emulated", True),
        ("nrf54l15", "Cortex-M33", "emulated", True),
        ("esp32", "Xtensa LX6", "estimated", True),
        ("esp32-s3", "Xtensa LX7", "estimated", True),
        ("esp32-c3", "RISC-V RV32IMAC", "emulated", False),
        ("esp32-c6", "RISC-V RV32IMAC", "emulated", False),
        ("esp32-p4", "RISC-V RV32IMAFC", "emulated", True),
    ],
)
def test_boards_of_makers_say_where_their_figures_are_from(name, core, label, fpu):
    board = find_board(name)
    assert (board.core.name, board.core.instructions_label, board.core.fpu) == (core, label, fpu)


@pytest.mark.parametrize("name", ["cortex-m0plus", "cortex-m33", "rv32imac", "rv32imafc"])
def test_a_core_needs_the_instructions_that_its_boards_say(name, tmp_path):
    """Within a tenth: the C changes, the figure is of the day when it was counted."""
    from firmware_export import targets
    from firmware_export.export import export
    from tinyse import released
    from tinyse.tflite.reader import read

    core = targets.CORES[name]
    if core.missing:
        pytest.skip(f"{core.title}: {core.missing}")
    model = released.find("student-62k")
    export(model, tmp_path, 2, fixed_point=not core.fpu)
    targets.build(tmp_path, core, tmp_path / "replay", ["-DTINYSE_PROFILE"])
    lines = [line.split() for line in targets.run(core, tmp_path / "replay")[1].splitlines()]
    counted = sum(int(value) for what, value in lines if what == "operator")
    ends = sum(int(value) for what, value in lines if what in ("analysis", "synthesis"))
    kind = CORES[core.title.lower().removesuffix("f") if name.startswith("cortex") else core.title.lower()]
    board = replace(F446, core=replace(kind, cycles_per_instruction=1.0, fpu=core.fpu))
    estimated = [figure.value for figure in estimates.estimate(read(model), board).time]
    assert counted == pytest.approx(sum(estimated[:-4]), rel=0.1)
    assert ends == pytest.approx(sum(estimated[-4:]), rel=0.3)


def test_an_own_board_has_an_fpu_where_its_core_has_one():
    assert own_board("cortex-m4", 100, 128, 512).core.fpu and not own_board("cortex-m0+", 100, 128, 512).core.fpu


def test_an_unknown_board_is_guessed():
    assert find_board("STM32F446") is F446
    with pytest.raises(InputError, match="did you mean 'stm32f446'"):
        find_board("stm32f466")


# Estimates


def test_a_step_is_estimated_operator_by_operator():
    estimate = estimates.estimate(quantized_step(), F446)
    convolutions = [figure for figure in estimate.time if figure.name.startswith("CONV_2D")]
    macs = quantized_step().macs
    assert macs == 8 * 4 * 6 + 8 * 12
    cycles_per_mac = F446.core.instructions_per_mac * F446.core.cycles_per_instruction
    assert sum(figure.value for figure in convolutions) == pytest.approx(macs * cycles_per_mac)
    assert len([f for f in estimate.time if f.name.split()[0] in estimates.OPERATORS]) == 5
    assert estimate.seconds == pytest.approx(estimate.cycles / 180e6)
    assert estimate.hop_seconds == PERIOD
    assert all(figure.basis and figure.label in ("measured", "emulated", "estimated") for figure in estimate.time)


def test_without_an_fpu_the_front_end_is_slower():
    slow = estimates.estimate(quantized_step(), replace(F446, core=replace(F446.core, fpu=False)))
    assert slow.cycles > 1.8 * estimates.estimate(quantized_step(), F446).cycles


def test_memory_follows_lifetimes():
    graph = quantized_step()
    assert memory.state_bytes(graph) == 8
    # While "wide" becomes "narrow", features live on, as the next past is copied from them at the end.
    assert memory.peak_activation_bytes(graph) == 8 + 4 * 8 + 2 * 8
    assert memory.constant_bytes(graph) == 24 + 16 + 12 + 4 + 16


def test_an_output_takes_memory_to_the_end_of_the_step():
    graph = Graph("g")
    x = graph.add_input("features", (1, 4))
    graph.add_output("mask", graph.unary("TANH", "early", x))
    graph.add_output("later", graph.unary("TANH", "last", graph.unary("TANH", "middle", x)))
    assert memory.peak_activation_bytes(graph) == 4 * 4 * 3  # "early" beside what the last operators read and write


def test_an_int8_model_takes_what_the_exporter_plans(tiny):
    """Not a formula beside it: the flash and the RAM of `tinyse bench` are those of the export's own report."""
    firmware = make(read_graph(tiny.quantized), "0" * 64)
    planned = report(firmware.program, firmware.front_end, firmware.digest, firmware.sources)
    estimate = estimates.estimate_file(tiny.quantized, F446)
    assert estimate.flash_bytes == planned["flash_in_all"] == sum(planned["constants"].values()) + planned["code"]
    added = {figure.name: figure.value for figure in estimate.ram}
    beyond = added["other halves of audio buffers"] + added["stack"]
    assert estimate.ram_bytes - beyond == planned["ram_in_all"] == sum(planned["ram"].values())
    assert added["arena"] == firmware.program.plan.bytes
    assert all(figure.label == "measured" for figure in estimate.flash if figure.name != "code")


def test_a_16_bit_model_is_estimated_whole(tiny):
    graph = random_step(read_graph(tiny.floats), "int16x8")
    estimate = estimates.estimate(graph, F446)
    names = [figure.name for figure in (*estimate.flash, *estimate.ram)]
    assert {"weights, biases, multipliers", "arena", "tables of the front end", "front end"} <= set(names)
    assert len(names) == len(set(names))


def test_what_cannot_be_estimated_is_refused():
    graph = Graph("floats")
    graph.add_output("mask", graph.unary("TANH", "mask", graph.add_input("features", (1, 4))))
    with pytest.raises(InputError, match="export it first"):
        estimates.estimate(graph, F446)
    foreign = quantized_step()
    foreign.metadata.clear()
    with pytest.raises(InputError, match="no tinyse metadata"):
        estimates.estimate(foreign, F446)


def test_measured_figures_take_the_place_of_estimates(tmp_path):
    model = tmp_path / "step.tflite"
    save(quantized_step(), model)
    table = tmp_path / "firmware.json"
    one = {"model": sha256(model), "core": "Cortex-M4", "label": "emulated", "source": "QEMU", "instructions": 80000}
    table.write_text(json.dumps({"format": 1, "measurements": [one, {**one, "core": "Cortex-M7", "cycles": 1}]}))
    measurements = read_measurements(table)
    estimate = estimates.estimate_file(model, F446, measurements)
    assert [(figure.value, figure.label) for figure in estimate.time] == [
        (80000 * M4.cycles_per_instruction, "emulated")
    ]
    assert estimate.flash == estimates.estimate_file(model, F446).flash
    other = replace(measurements[0], model="another")
    assert estimates.estimate_file(model, F446, [other]) == estimates.estimate_file(model, F446)
    memory_too = Measurement(one["model"], "Cortex-M4", "measured", "a board", cycles=9, flash_bytes=8, ram_bytes=7)
    estimate = estimates.estimate_file(model, F446, [memory_too])
    assert (estimate.cycles, estimate.flash_bytes, estimate.ram_bytes) == (9, 8, 7)


NOTHING_COUNTED = {"model": "x", "core": "y", "label": "measured", "source": "z", "cycles": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no readable JSON"),
        ('{"format": 2, "measurements": []}', "format: 2 is not one of 1"),
        ('{"format": 1, "measurements": [{"modle": "x"}]}', "did you mean 'model'"),
        (json.dumps({"format": 1, "measurements": [NOTHING_COUNTED]}), "cycles must be positive"),
    ],
    ids=["no JSON", "another format", "unknown key", "zero cycles"],
)
def test_a_faulty_table_of_measurements_is_refused(tmp_path, text, message):
    path = tmp_path / "firmware.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_measurements(path)


@pytest.mark.skipif(find_spec("ethosu") is None, reason="Vela is not installed")
def test_an_npu_is_estimated_by_vela(tmp_path):
    model = tmp_path / "step.tflite"
    save(quantized_step(), model)
    estimate = estimates.estimate_file(model, find_board("alif-e7-u55"))
    assert estimate.time[0].name == "network on Ethos-U55-256"
    assert 0 < estimate.time[0].value < 1e5
    assert "100% of the operators on the NPU" in estimate.time[0].basis
    (tmp_path / "broken.tflite").write_bytes(b"no model")
    with pytest.raises(InputError, match="Vela cannot compile"):
        vela.compile_for(find_board("alif-e7-u55").npu, tmp_path / "broken.tflite")


# Verdicts


def test_a_verdict_names_what_does_not_fit():
    estimate = estimates.estimate(quantized_step(), F446)
    assert judge(estimate).fits
    assert "the tightest is" in judge(estimate).why
    small = judge(replace(estimate, board=replace(F446, ram_bytes=1024)))
    assert not small.fits
    assert small.why.startswith("RAM: ")
    assert "times too much" in small.why
    slow = judge(replace(estimate, board=replace(F446, clock_hz=1e6)))
    assert "time per hop" in slow.why
    assert judge(estimate, misses=3, hops=10).why == "3 of 10 deadlines missed"


# The loop


def test_a_fitting_board_passes_the_sound_bit_for_bit():
    pcm = noise(40)
    emulation = emulate(copy, pcm, HOP, np.full(40, 0.99 * PERIOD))
    assert emulation.stream.misses == 0
    assert np.array_equal(emulation.stream.output, pcm)
    assert emulation.sdr_db == np.inf
    assert set(percentiles(emulation.stream.host_seconds)) == {"p50", "p90", "p99", "max"}


def test_exactly_in_time_is_in_time():
    assert stream(np.copy, noise(100), HOP, np.full(100, PERIOD)).misses == 0
    assert stream(np.copy, noise(100), HOP, np.full(100, 1.001 * PERIOD)).misses > 50


def test_a_board_that_is_too_slow_loses_every_other_hop():
    pcm = noise(8)
    emulation = emulate(copy, pcm, HOP, np.full(8, 1.5 * PERIOD))
    played, hops = emulation.stream.output.reshape(8, HOP), pcm.reshape(8, HOP)
    assert emulation.stream.late.tolist() == [True, False] * 4
    assert emulation.stream.lost.tolist() == [False, True] * 4
    # Only even hops are processed, so one half of the buffer never holds sound, the other always a stale one.
    assert not played[1::2].any()
    assert not played[0].any()
    assert np.array_equal(played[2::2], hops[0:-2:2])
    assert emulation.si_sdr_db < 0
    assert np.array_equal(emulation.ideal, pcm)
    assert np.isnan(emulation.stream.host_seconds[1::2]).all()


def test_one_long_burst_replays_the_stale_half_and_recovers():
    pcm, busy = noise(8), np.full(8, 0.5 * PERIOD)
    busy[3] = 1.5 * PERIOD
    result = stream(np.copy, pcm, HOP, busy)
    played, hops = result.output.reshape(8, HOP), pcm.reshape(8, HOP)
    assert np.flatnonzero(result.late).tolist() == [3]
    assert np.flatnonzero(result.lost).tolist() == [4]
    assert np.array_equal(played[3], hops[1])
    assert np.array_equal(played[4], hops[2])
    assert np.array_equal(played[[0, 1, 2, 5, 6, 7]], hops[[0, 1, 2, 5, 6, 7]])


@given(st.lists(st.floats(0, 5), min_size=4, max_size=40), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_what_is_heard_is_silence_or_a_hop_of_the_past_or_the_right_one(busy, seed):
    pcm = noise(len(busy), seed)
    result = stream(np.copy, pcm, HOP, np.array(busy) * PERIOD)
    hops = [np.zeros(HOP), *pcm.reshape(-1, HOP)]
    for index, played in enumerate(result.output.reshape(-1, HOP)):
        if not (result.late[index] or result.lost[index]):
            assert np.array_equal(played, hops[index + 1])
        else:
            # The same half, so an even number of hops ago.
            assert any(np.array_equal(played, hops[past]) for past in (0, *range(index - 1, 0, -2)))
    assert not (result.late & result.lost).any()


def test_a_missed_hop_does_not_reach_the_models_state():
    def counting():
        calls = []
        return lambda hop: calls.append(1) or np.full(HOP, len(calls) / 128, np.float32)

    busy = np.full(6, 0.5 * PERIOD)
    busy[1] = 1.5 * PERIOD
    values = stream(counting(), noise(6), HOP, busy).output.reshape(6, HOP)[:, 0] // 256
    assert values.tolist() == [1, 0, 1, 3, 4, 5]


def test_the_harness_rounds_as_the_audio_files_do():
    loud = np.random.default_rng(0).normal(0, 1, 10 * HOP).astype(np.float32)
    hops = iter(loud.reshape(10, HOP))
    output = stream(lambda _: next(hops), noise(10), HOP, np.zeros(10)).output
    assert np.array_equal(output, to_pcm16(loud))


def test_interference_is_a_function_of_its_seed():
    rough = Interference(burst_probability=0.1, burst_seconds=0.02, jitter=0.2, seed=3)
    busy = rough.seconds(0.01, 1000)
    assert np.array_equal(busy, rough.seconds(0.01, 1000))
    assert not np.array_equal(busy, replace(rough, seed=4).seconds(0.01, 1000))
    assert busy.min() >= 0.01
    assert np.mean(busy > 0.012) == pytest.approx(0.1 * 0.95, abs=0.03)
    assert (Interference().seconds(0.01, 5) == 0.01).all()
    with pytest.raises(InputError, match="probability is 0 to 1"):
        Interference(burst_probability=2)


def test_a_loop_without_sound_is_refused():
    with pytest.raises(InputError, match="3 hops of 256"):
        stream(np.copy, noise(2), HOP, np.zeros(3))
    with pytest.raises(InputError, match="PCM16"):
        stream(np.copy, np.zeros(512), HOP, np.zeros(2))


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_the_picture_is_a_png(tmp_path: Path):
    path = tmp_path / "latency.png"
    draw_latencies(path, "a model on a board", np.full(50, 0.004), np.array([1e-4, np.nan] * 25), PERIOD)
    assert path.read_bytes().startswith(b"\x89PNG")


# The command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save(quantized_step(), tmp_path / "step.tflite")
    return tmp_path / "step.tflite"


def test_bench_writes_what_it_was_asked_for(model, tmp_path, capsys):
    wav, png = tmp_path / "played.wav", tmp_path / "latency.png"
    bench(model, "stm32f446", output=wav, picture=png, seconds=1.0, as_json=True)
    result = json.loads(capsys.readouterr().out)
    assert result["fits"]
    assert result["missed"] == {"late": 0, "lost": 0}
    assert result["against_ideal"]["sdr_db"] is None  # the same, bit for bit
    assert result["delay_ms"] == 48
    played, _ = read(wav)
    assert len(played) == 16000 // HOP * HOP
    assert png.is_file()


def test_bench_writes_the_format_that_a_name_says(model, tmp_path):
    bench(model, "stm32f446", output=tmp_path / "played.flac", picture=tmp_path / "hops", seconds=1.0, as_json=True)
    assert (tmp_path / "played.flac").read_bytes()[:4] == b"fLaC"
    assert (tmp_path / "hops").read_bytes()[1:4] == b"PNG"
    assert not list(tmp_path.glob(".tinyse-*"))


@pytest.mark.parametrize(
    ("board", "options", "message"),
    [
        ("stm32f446", {"sound": "in.wav", "output": "in.wav"}, "in.wav would be overwritten"),
        ("stm32f446", {"output": "played.txt"}, ".txt is not a format that can be written"),
        ("stm32f446", {"picture": "hops.jpg"}, "--picture .*hops.jpg: a picture is written as .png"),
        (None, {"sound": "in.wav"}, "--input is of the sound on one board: name it with --board"),
        (None, {"output": "played.wav"}, "--output is of the sound on one board"),
        (None, {"picture": "hops.png"}, "--picture is of the sound on one board"),
    ],
)
def test_bench_writes_over_nothing_and_leaves_out_nothing_that_it_was_asked_for(
    model, tmp_path, board, options, message
):
    (tmp_path / "in.wav").write_bytes(b"the user's")
    with pytest.raises(InputError, match=message):
        bench(model, board, **{name: tmp_path / file for name, file in options.items()})
    assert (tmp_path / "in.wav").read_bytes() == b"the user's"


def test_bench_prints_missed_deadlines(model, capsys):
    bench(model, "stm32f446", seconds=1.0, burst_probability=1.0, burst_ms=50.0)
    printed = capsys.readouterr().out
    assert "does not fit" in printed
    assert "hops lost" in printed


def test_bench_lists_boards_and_refuses_what_it_cannot_do(model, tmp_path, capsys):
    bench()
    assert "stm32u585" in capsys.readouterr().out
    bench(as_json=True)
    assert "stm32u585" in {board["name"] for board in json.loads(capsys.readouterr().out)["boards"]}
    with pytest.raises(InputError, match="name a model"):
        bench(board="nrf5340")
    with pytest.raises(InputError, match="seconds is between"):
        bench(model, "nrf5340", seconds=0)
    with pytest.raises(InputError, match="less than one hop"):
        bench(model, "nrf5340", seconds=0.001)


def test_without_a_board_a_model_is_judged_on_all_of_them(model, capsys):
    bench(model, as_json=True)
    rows = {row["board"]: row for row in json.loads(capsys.readouterr().out)["boards"]}
    assert set(rows) == set(BOARDS)
    alone = estimates.estimate_file(model, BOARDS["stm32f446"])
    assert rows["stm32f446"]["fits"] and rows["stm32f446"]["ram_bytes"] == alone.ram_bytes
    assert rows["stm32f446"]["load_percent"] == pytest.approx(100 * alone.seconds / alone.hop_seconds)
    assert rows["corstone-300"]["load_percent"] > rows["alif-e7"]["load_percent"]
    bench(model)
    printed = capsys.readouterr().out
    assert all(name in printed for name in BOARDS) and "%" in printed


def test_without_a_board_the_model_is_still_read(tmp_path):
    """A broken file used to be answered with the list of boards and exit 0."""
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"TFL3")
    with pytest.raises(InputError, match="broken"):
        bench(broken)


def test_what_an_npu_needs_and_is_not_there_is_said_in_its_row(model, capsys, monkeypatch):
    monkeypatch.setattr(vela, "find_spec", lambda _: None)
    bench(model, as_json=True)
    rows = {row["board"]: row for row in json.loads(capsys.readouterr().out)["boards"]}
    assert rows["alif-e7-u55"]["fits"] is None and "ethos-u-vela" in rows["alif-e7-u55"]["why"]
    assert rows["stm32h743"]["fits"]


def test_a_board_of_ones_own(model, capsys):
    own = {"core": "Cortex-M4", "mhz": 180.0, "ram": 128, "flash": 512}
    loads = []
    for described in (own, {"board": "stm32f446"}):
        bench(model, seconds=0.5, as_json=True, **described)
        result = json.loads(capsys.readouterr().out)
        loads.append((result["cycles_per_hop"], result["margins"]))
    assert loads[0] == loads[1]
    bench(model, seconds=0.5, as_json=True, **{**own, "ram": 1})
    assert not json.loads(capsys.readouterr().out)["fits"]


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"core": "cortex-m4", "mhz": 168.0}, "needs --ram, --flash as well"),
        ({"core": "cortex-m3", "mhz": 168.0, "ram": 1, "flash": 1}, "did you mean 'cortex-m33'"),
        ({"core": "cortex-m4", "mhz": float("nan"), "ram": 1, "flash": 1}, "--mhz is nan"),
        ({"core": "cortex-m4", "mhz": 100.0, "ram": 0, "flash": 1}, "--ram is 0"),
        ({"board": "nrf5340", "mhz": 168.0}, "a board already"),
    ],
)
def test_boards_that_are_none_are_refused(model, described, message):
    with pytest.raises(InputError, match=message):
        bench(model, **described)
