"""Each figure of an estimate against a count by hand; verdicts, Vela's summary, and measurements word for word."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import steps
from test_boards import F446, HOP, noise, quantized_step

from firmware_export.lowering import lower
from firmware_export.network import constant_bytes
from firmware_export.report import CALL_BYTES, CODE_BYTES
from tinyse.boards import estimate as estimates
from tinyse.boards import vela
from tinyse.boards.boards import BOARDS, KIB, MIB, own_board
from tinyse.boards.harness import Interference, emulate, percentiles, stream
from tinyse.boards.measurements import Measurement, choose
from tinyse.boards.vela import VelaSummary
from tinyse.boards.verdict import Margin, Verdict, judge
from tinyse.errors import InputError
from tinyse.graph import memory
from tinyse.graph.graph import Graph
from tinyse.graph.operators import OPERATORS
from tinyse.targets.forecast import random_step
from tinyse.tflite.reader import read
from tinyse.tflite.writer import save

ONE = replace(F446.core, cycles_per_instruction=1.0, front_end_share=1.0, element_share=1.0, instructions_per_mac=2.0)
PLAIN = replace(F446, core=ONE)


def step(**front_end):
    """The small step with the default front end, but for these of its keys."""
    graph = quantized_step()
    graph.metadata["front_end"] |= front_end
    return graph


def figures(addends) -> dict[str, float]:
    return {figure.name: figure.value for figure in addends}


# Time


def test_the_front_end_is_counted_by_its_passes():
    """512 points as 256 complex ones: 128 butterflies in each of 8 passes, and 128 pairs of bins to split."""
    there, back = 20 * 128 * 8 + 30 * 128, 20 * 128 * 8 + 30 * 128
    expected = {
        "transforms": there + back,
        "windows and overlap": 5 * (512 + 512 + 512),
        "powers and gains of bins": 12 * 257 + 12 * 257,
        "features and mask of bands": 30 * 8 + 10 * 8,
    }
    found = estimates.estimate(step(), PLAIN).time[-4:]
    assert figures(found) == expected
    assert {figure.basis for figure in found} == {"float32 operations of the front end, loads and stores included"}
    graph = step()
    graph.metadata["classes"] = ["a"]
    assert figures(estimates.estimate(graph, PLAIN).time[-4:]) == {
        "transforms": there,
        "windows and overlap": 5 * 512,
        "powers and gains of bins": 12 * 257,
        "features and mask of bands": 30 * 8,
    }


def test_cores_differ_in_shares_cycles_and_fixed_point():
    core = replace(ONE, cycles_per_instruction=2.0, front_end_share=0.5, fixed_point_factor=3.0)
    usual = estimates.estimate(step(), PLAIN).time[-1].value
    assert estimates.estimate(step(), replace(PLAIN, core=core)).time[-1].value == 2.0 * 0.5 * usual
    slow = estimates.estimate(step(), replace(PLAIN, core=replace(core, fpu=False))).time[-1]
    assert slow.value == 3.0 * 2.0 * 0.5 * usual and slow.basis.endswith("; in fixed point 3 times as many")


def test_operators_cost_by_multiplications_or_elements():
    core = replace(ONE, element_share=0.25, cycles_per_instruction=3.0)
    estimate = estimates.estimate(step(), replace(PLAIN, core=core))
    found = figures(estimate.time[:-4])
    assert found["CONV_2D wide"] == 8 * 4 * 6 * 2.0 * 3.0 * OPERATORS["CONV_2D"].instructions
    assert found["LOGISTIC mask"] == 8 * OPERATORS["LOGISTIC"].instructions * 0.25 * 3.0
    assert found["CONCATENATION both"] == 16 * OPERATORS["CONCATENATION"].instructions * 0.25 * 3.0
    assert {figure.basis for figure in estimate.time[:-4]} == {core.basis}
    assert estimate.cycles == sum(figure.value for figure in estimate.time)
    assert estimate.seconds == estimate.cycles / F446.clock_hz
    assert estimates.estimate(step(hop_ms=8.0), PLAIN).hop_seconds == 0.008


# Flash and RAM


def test_what_stands_around_a_network():
    estimate = estimates.estimate(step(), F446)
    ram = figures(estimate.ram)
    assert ram["audio buffers"] == ram["other halves of audio buffers"] == 2 * 2 * HOP
    assert ram["stack"] == 1024
    assert ram["front end"] == 4 * (512 + 2 + 256 + 1 + 8 + 2) + 2 * 256
    assert estimate.ram_bytes == sum(ram.values()) and estimate.flash_bytes == sum(figures(estimate.flash).values())
    assert {figure.label for figure in (*estimate.flash, *estimate.ram) if figure.name not in ("code", "stack")} == {
        "measured"
    }
    assert replace(estimate, flash=(estimates.Figure("half", 1.5, "estimated", ""),)).flash_bytes == 2
    assert replace(estimate, ram=(estimates.Figure("half", 1.5, "estimated", ""),)).ram_bytes == 2


def test_16_bits_take_a_multiple_of_the_time_and_are_planned_as_the_firmware_is():
    floats = Graph("floats", metadata=quantized_step().metadata)
    features, past = floats.add_input("features", (1, 1, 8, 1)), floats.add_input("past", (1, 1, 8, 1))
    both = floats.concatenation("both", (past, features), 3)
    wide = floats.convolution("wide", both, np.ones((4, 1, 3, 2)), np.ones(4), activation="RELU")
    narrow = floats.convolution("narrow", wide, np.ones((1, 1, 3, 4)), np.ones(1))
    floats.add_output("mask", floats.unary("LOGISTIC", "mask", narrow))
    floats.add_output("past", floats.reshape("next", features, (1, 1, 8, 1)))
    graph = random_step(floats, "int16x8")
    estimate, in_8_bits = (estimates.estimate(one, F446) for one in (graph, random_step(floats, "int8")))
    program = lower(graph)
    flash, ram = figures(estimate.flash), figures(estimate.ram)
    assert flash["code"] == CODE_BYTES + CALL_BYTES * len(program.calls)
    assert flash["weights, biases, multipliers"] == constant_bytes(program)["weights, biases, multipliers"]
    assert (ram["states"], ram["arena"]) == (memory.state_bytes(graph), program.plan.bytes)
    factors = {one.value / other.value for one, other in zip(estimate.time, in_8_bits.time, strict=True) if other.value}
    assert {round(factor, 6) for factor in factors} == {1, F446.core.factor_of_16_bits}


def test_an_npu_replaces_the_network_alone():
    board = BOARDS["alif-e7-u55"]
    whole = estimates.estimate(step(), board, npu=VelaSummary(5000, 700, 900, 3, 1))
    assert whole.time[0].value == 5000 * board.clock_hz / board.npu.clock_hz
    assert whole.time[0].basis == (
        "Vela's performance model, weights in SRAM, 75% of the operators on the NPU, the others NOT counted"
    )
    assert whole.time[1:] == estimates.estimate(step(), replace(board, npu=None)).time[-4:]
    flash, ram = figures(whole.flash), figures(whole.ram)
    assert (flash["weights"], flash["TFLM and the NPU's driver"], flash["code"]) == (700, 65536, CODE_BYTES)
    assert (ram["arena"], ram["weights, copied"]) == (900, 700)
    plain = figures(estimates.estimate(step(), F446).ram)
    assert {name: ram[name] for name in ("front end", "audio buffers", "stack")} == {
        name: plain[name] for name in ("front end", "audio buffers", "stack")
    }
    alone = estimates.estimate(step(), board, npu=VelaSummary(5000, 700, 900, 4, 0)).time[0]
    assert alone.basis.endswith("100% of the operators on the NPU")


def test_a_float_step_is_refused_wherever_the_floats_are():
    graph = step()
    steps.change(graph, "wide", dtype=np.dtype(np.float32))
    with pytest.raises(InputError, match="export it first"):
        estimates.estimate(graph, F446)


# Measurements


def test_modeled_cycles_wait_for_the_flash():
    one = Measurement(
        "m", "Cortex-M4", "emulated", "QEMU", modeled_cycles=1000, modeled_from="a manual", flash_lines=10
    )
    slow = estimates.estimate(step(), replace(F446, wait_states=5), one)
    assert [(f.value, f.label) for f in slow.time] == [(1000, "modeled"), (50, "modeled")]
    assert slow.time[0].basis == "QEMU; cycles modeled from a manual"
    assert slow.time[1].basis == "5 wait states of each of 10 lines"
    assert [f.value for f in estimates.estimate(step(), replace(F446, wait_states=0), one).time] == [1000]
    counted = replace(one, modeled_cycles=None, instructions=100)
    (figure,) = estimates.estimate(step(), PLAIN, counted).time
    assert (figure.value, figure.label, figure.basis) == (
        100,
        "emulated",
        "QEMU; instructions x 1.0 cycles, an estimate",
    )
    (figure,) = estimates.estimate(step(), PLAIN, replace(one, cycles=7, instructions=9)).time
    assert (figure.value, figure.basis) == (7, "QEMU")


def test_the_last_measurement_of_a_model_on_a_core_counts():
    first = Measurement("b", "Cortex-M4", "emulated", "first")
    others = [replace(first, model="a"), replace(first, model="c"), replace(first, core="Cortex-M7")]
    last = replace(first, source="last")
    assert choose([*others, first, replace(first, source="second"), last, *others], "b", "cortex-m4") is last
    assert choose(others, "b", "Cortex-M4") is None


@pytest.mark.parametrize("key", ["instructions", "cycles", "modeled_cycles", "flash_bytes", "ram_bytes"])
def test_a_measurement_is_positive(key):
    for value in (0, -1):
        with pytest.raises(ValueError, match=f"{key} must be positive, not {value}"):
            Measurement("m", "Cortex-M4", "measured", "a board", **{key: value})
    assert getattr(Measurement("m", "Cortex-M4", "measured", "a board", **{key: 1}), key) == 1


# Vela


SUMMARY = """cycles_total,on_chip_flash_memory_used,off_chip_flash_memory_used,sram_memory_used
1.0,1,1,1
123.0,0.5,1.25,3.5
"""


def test_velas_summary_is_read():
    printed = "Vela\nCPU operators = 2 (25.0%)\nNPU operators = 6 (75.0%)\nCPU operators in all\n"
    summary = vela.parse(SUMMARY, printed)
    assert summary == VelaSummary(123, 1792, 3584, npu_operators=6, cpu_operators=2)
    assert summary.on_npu == 0.75
    assert vela.parse(SUMMARY, "nothing").on_npu == 0 and VelaSummary(1, 1, 1, 1, 0).on_npu == 1


@pytest.fixture
def answered(monkeypatch):
    """A stand-in for Vela's process, which notes the command and leaves these summaries."""

    def answer(code: int = 0, out: str = "", err: str = "", summaries: int = 1) -> list[str]:
        seen: list[str] = []

        def run(command, **_):
            seen[:] = command
            folder = Path(command[command.index("--output-dir") + 1])
            for number in range(summaries):
                (folder / f"{number}_summary_x.csv").write_text(SUMMARY)
            return subprocess.CompletedProcess(command, code, out, err)

        monkeypatch.setattr(vela, "find_spec", lambda _: SimpleNamespace())
        monkeypatch.setattr(vela.subprocess, "run", run)
        return seen

    return answer


def test_vela_is_asked_for_the_accelerator(answered, tmp_path):
    seen = answered(out="NPU operators = 5 (100%)")
    npu = BOARDS["alif-e7-u55"].npu
    assert vela.compile_for(npu, tmp_path / "a.tflite") == VelaSummary(123, 1792, 3584, 5, 0)
    pairs = dict(zip(seen[4::2], seen[5::2], strict=True))
    assert seen[1:4] == ["-m", "ethosu.vela", str(tmp_path / "a.tflite")]
    assert pairs["--accelerator-config"] == npu.accelerator and pairs["--config"] == "Arm/vela.ini"
    assert (pairs["--system-config"], pairs["--memory-mode"]) == ("Ethos_U55_High_End_Embedded", "Sram_Only")
    vela.compile_graph(npu, quantized_step())
    assert Path(seen[3]).name == "model.tflite"  # a name in a file may lead anywhere


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"code": 1, "err": "first\n\nthe last line\n"}, "the last line"),
        ({"code": 1, "out": "said on stdout"}, "said on stdout"),
        ({"code": 1}, "it gave no reason"),
        ({"summaries": 0, "err": "no summary"}, "no summary"),
        ({"summaries": 2, "err": "two"}, "two"),
    ],
    ids=["error", "stdout", "nothing", "no summary", "two summaries"],
)
def test_what_vela_refuses_is_told(answered, answer, reason):
    answered(**answer)
    with pytest.raises(InputError, match=f"Vela cannot compile x.tflite: {reason}$"):
        vela.compile_for(BOARDS["alif-e7-u55"].npu, "x.tflite")


# Verdicts


@pytest.mark.parametrize(
    ("margin", "percent", "text"),
    [
        (Margin("RAM", 256, 1024, "bytes"), 75, "RAM: 256 of 1,024 bytes, 75 % left"),
        (Margin("RAM", 1024, 1024, "bytes"), 0, "RAM: 1,024 of 1,024 bytes, 0 % left"),
        (Margin("RAM", 2560, 1024, "bytes"), -150, "RAM: 2,560 of 1,024 bytes, 2.5 times too much"),
        (Margin("time per hop", 4, 16, "ms"), 75, "time per hop: 4.00 of 16.00 ms, 75 % left"),
        (
            Margin("time per hop", 1600.125, 16, "ms"),
            -9900.78,
            "time per hop: 1,600.12 of 16.00 ms, 100.0 times too much",
        ),
    ],
)
def test_a_margin_says_what_is_left(margin, percent, text):
    assert margin.percent == pytest.approx(percent) and margin.fits == (percent >= 0)
    assert str(margin) == text


def test_a_verdict_takes_flash_ram_and_time():
    estimate = estimates.estimate(step(), F446)
    verdict = judge(estimate, misses=0, hops=9)
    flash, ram, time = verdict.margins
    assert (flash.needed, flash.available) == (estimate.flash_bytes, F446.flash_bytes)
    assert (ram.needed, ram.available) == (estimate.ram_bytes, F446.ram_bytes)
    assert (time.needed, time.available) == (pytest.approx(1000 * estimate.seconds), 16)
    least = min(verdict.margins, key=lambda each: each.percent)
    assert verdict.why == f"the tightest is {least}" and verdict.fits and verdict.hops == 9
    assert (judge(estimate).misses, judge(estimate).hops) == (0, 0)
    small = Margin("RAM", 2, 1, "bytes")
    both = Verdict((flash, small), 2, 9)
    assert both.why == f"{small}; 2 of 9 deadlines missed" and not both.fits
    assert not Verdict((flash, small), 0, 9).fits and not Verdict((flash,), 1, 9).fits


# Boards and the loop


def test_a_board_of_ones_own_has_what_was_given():
    board = own_board("cortex-m4", 168.5, 192, 1024)
    assert (board.clock_hz, board.ram_bytes, board.flash_bytes) == (168.5e6, 192 * 1024, 1024 * 1024)
    assert (KIB, MIB) == (2**10, 2**20) and own_board("cortex-m4", 1, 0.5, 0.5).ram_bytes == 512
    for option, given in (("--mhz", (0, 1, 1)), ("--ram", (1, -1, 1)), ("--flash", (1, 1, float("inf")))):
        with pytest.raises(InputError, match=f"{option} is .*: it has to lie between 0 and 1e9"):
            own_board("cortex-m4", *given)


def test_the_loop_takes_whole_hops_of_one_channel():
    longer = stream(np.copy, noise(3), HOP, np.zeros(2))
    assert np.array_equal(longer.output, noise(3)[: 2 * HOP]) and longer.misses == 0
    for pcm, hops in (
        (noise(4).reshape(2, -1), 2),
        (noise(2)[:-1], 2),
        (noise(2).astype(np.int32), 2),
        (noise(2), 0),
        (np.int16(1), 1),
    ):
        with pytest.raises(InputError, match=f"{hops} hops of 256 samples of PCM16 are needed"):
            stream(np.copy, pcm, HOP, np.zeros(hops))
    with pytest.raises(ValueError, match=r"a process made \(255,\) samples of \(256,\)"):
        stream(lambda hop: hop[1:], noise(1), HOP, np.zeros(1))


def test_the_clock_runs_at_the_sample_rate():
    """A hop of 256 samples lasts 16 ms at 16 kHz and 32 ms at 8 kHz."""
    busy, longer = np.full(20, 0.024), np.full(20, 0.04)
    assert stream(np.copy, noise(20), HOP, busy).misses == 20
    assert stream(np.copy, noise(20), HOP, busy, 8000).misses == 0
    assert emulate(lambda: np.copy, noise(20), HOP, busy, 8000).stream.misses == 0
    assert emulate(lambda: np.copy, noise(20), HOP, longer, 8000).stream.misses == 20


def test_sound_at_full_scale_is_clipped():
    samples = np.array([1.5, -1.5, 32767 / 32768, -1, 0.5 / 32768, 1.5 / 32768], np.float32)
    output = stream(lambda _: samples, np.zeros(6, np.int16), 6, np.zeros(1)).output
    assert output.tolist() == [32767, -32768, 32767, -32768, 0, 2]


def test_percentiles_are_in_microseconds_without_lost_hops():
    seconds = np.append(np.arange(101) * 1e-6, np.nan)
    assert percentiles(seconds) == pytest.approx({"p50": 50, "p90": 90, "p99": 99, "max": 100})


def test_interference_adds_bursts_to_jitter():
    """Twenty thousand hops: means by the uniform distributions that the fields describe."""
    plain = Interference(jitter=0.5).seconds(0.01, 20000)
    assert plain.min() >= 0.01 and plain.max() <= 0.015 and plain.mean() == pytest.approx(0.0125, rel=0.01)
    bursts = Interference(burst_probability=0.25, burst_seconds=0.02).seconds(0.01, 20000)
    assert (bursts > 0.01).mean() == pytest.approx(0.25, abs=0.01) and bursts.max() <= 0.03
    assert bursts[bursts > 0.01].mean() == pytest.approx(0.02, rel=0.02)
    always = Interference(burst_probability=1, burst_seconds=0.02).seconds(0.0, 1000)
    assert (always > 0).all() and Interference().seed == 0


@pytest.mark.parametrize(
    "given",
    [{"burst_probability": 1.1}, {"burst_probability": -0.1}, {"burst_seconds": -0.1}, {"burst_seconds": np.inf},
     {"jitter": -0.1}, {"jitter": np.inf}, {"jitter": np.nan}, {"seed": -1}],
)  # fmt: skip
def test_interference_out_of_range_is_refused(given):
    with pytest.raises(InputError, match="interference: "):
        Interference(**given)


def test_the_picture_shows_both_clocks_and_the_deadline(tmp_path, monkeypatch):
    figure_module = pytest.importorskip("matplotlib.figure")
    drawn = []
    save_figure = figure_module.Figure.savefig
    monkeypatch.setattr(
        figure_module.Figure, "savefig", lambda self, *args, **kw: (drawn.append(self), save_figure(self, *args, **kw))
    )
    from tinyse.boards.picture import draw_latencies

    draw_latencies(tmp_path / "p.png", "a title", np.full(50, 0.004), np.array([0.002, np.nan, 0.04]), 0.016)
    (figure,) = drawn
    board, host = figure.axes
    assert figure.get_suptitle() == "a title" and (tmp_path / "p.png").stat().st_size > 5000
    for axes, counted, furthest, words in ((board, 50, 16, "virtual clock"), (host, 2, 40, "measured")):
        bars = axes.patches
        assert sum(bar.get_height() for bar in bars) == counted and len(bars) == 119
        assert bars[0].get_x() == pytest.approx(0) and bars[-1].get_x() + bars[-1].get_width() == pytest.approx(
            1.05 * furthest
        )
        assert list(axes.lines[0].get_xdata()) == [16, 16]
        assert axes.get_legend().get_texts()[0].get_text() == "deadline 16 ms"
        assert axes.get_xlabel().startswith("ms per hop, ") and words in axes.get_xlabel()
        assert (axes.get_ylabel(), axes.get_yscale(), axes.get_ylim()[0]) == ("hops", "log", 0.5)
    tallest = max(board.patches, key=lambda bar: bar.get_height())
    assert tallest.get_x() <= 4 <= tallest.get_x() + tallest.get_width(), "4 ms"


def test_models_without_a_front_end_are_not_estimated(tmp_path):
    graph = step()
    save(graph, tmp_path / "s.tflite")
    assert estimates.front_end_of(read(tmp_path / "s.tflite")).bands == 8
    del graph.metadata["front_end"]
    with pytest.raises(InputError, match="step carries no tinyse metadata with a front end"):
        estimates.front_end_of(graph)
