"""Quality and work against latency: one student at several synthesis windows, in float and in int8.

    python benchmarks/latency.py --data $TINYSE_DATA                 # trains, or resumes where it was stopped
    python benchmarks/latency.py --report --results students         # only the tables of what is finished

Every point has the same network on the same frames of 32 ms, with a synthesis window of its latency in two hops, and the
same number of updates of as many seconds of sound, first in float, then quantization-aware. All begin with the released
weights, made for a hop of 16 ms: the update gates of the recurrent layers are moved so that they remember as many
milliseconds at the point's own hop. --start nothing begins with random weights, which needs many more updates.

The float figures are of the weights after both stages, streamed in float; those of the float stage alone, the parent, stand
beside them. The parent is also quantized as it is with its GRUs in 16 bits. The pairs are mixtures of the valid split, the
same for all points; the public benchmark is not used. Quantized models are scored in the generated C, whose bits are those of
TFLM and of the boards. The loads are estimated, as `tinyse bench` does.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

# Threads that spin while they wait take the core from the process that mixes; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import command
import record
import torch

from tinyse import released
from tinyse.boards.boards import find_board
from tinyse.boards.estimate import estimate_file
from tinyse.commands.screen import Screen
from tinyse.corpus import data_paths
from tinyse.errors import InputError
from tinyse.evaluation.chain import NOISY, score
from tinyse.evaluation.pairs import find_pairs
from tinyse.evaluation.report import Table, as_markdown
from tinyse.evaluation.statistics import Summary, paired, summarize
from tinyse.export import export_model
from tinyse.files import newer, write_json
from tinyse.mixtures.pairs import write_pairs
from tinyse.models.files import load_model, save_model
from tinyse.models.layers import GatedRecurrence
from tinyse.recipe import Quantize, Recipe, Stage
from tinyse.recordings import open_data
from tinyse.spectra.front_end import FrontEndConfig, latency_ms
from tinyse.streaming.denoiser import Denoiser
from tinyse.tasks import TASKS
from tinyse.training.recipe import load_recipe
from tinyse.training.run import run as train
from tinyse.training.start import model_path

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "student-30k.yaml"
STUDENT = "student-30k"


class Point(NamedTuple):
    """A synthesis window of two hops in ms, and the frames that the network looks ahead."""

    synthesis_ms: float
    look_ahead: int = 0

    @classmethod
    def read(cls, text: str) -> Point:
        """Such as 8, or 8+1 with a frame of look-ahead."""
        window, _, ahead = text.partition("+")
        return cls(float(window), int(ahead or 0))

    def __str__(self) -> str:
        return f"{self.synthesis_ms:g}" + (f"+{self.look_ahead}" if self.look_ahead else "")

    @property
    def front_end(self) -> FrontEndConfig:
        """Frames of 32 ms."""
        return FrontEndConfig(hop_ms=self.synthesis_ms / 2, synthesis_ms=self.synthesis_ms, look_ahead=self.look_ahead)


POINTS = (*map(Point, (32.0, 8.0, 16.0, 5.0, 20.0, 10.0)), Point(8.0, 1))
"""In the order of training: ends and middle first, so that a run that is cut short says most."""
LOSSES = {"compressed_spectral": 1.0, "signal_to_noise": 0.3, "lost_speech": 0.5}
FLOAT, INTEGERS = "supervise", "integers"
PARENT = "float parent"
"""The weights before the quantization-aware updates; "float" and "int8" are those after them."""
GRU16 = "int8-gru16"
"""The parent with GRUs in 16 bits."""
QUANTIZED = ("int8", GRU16)
ROWS = (PARENT, GRU16, "float", "int8")
METRICS = {"si_sdr": 2, "pesq": 3, "estoi": 3}
BOARDS = ("stm32f446", "alif-e7")
"""A Cortex-M4 of 180 MHz and a Cortex-M55 of 400 MHz."""


def recipe_of(arguments: argparse.Namespace, point: Point) -> Recipe:
    """Float and quantization-aware updates of the student at one point."""
    base = load_recipe(RECIPE, [f"data={arguments.data}"])
    front_end, folder = point.front_end, arguments.output / f"{point}ms"
    start = None
    if arguments.start != "nothing":
        start = str(folder / "start.safetensors")
        if not Path(start).is_file():
            retimed(released.find_weights(arguments.start), front_end, Path(start))
    shared = {"model": STUDENT, "losses": LOSSES, "batch": arguments.batch, "seconds": arguments.seconds}
    stages = {
        FLOAT: Stage(
            **shared,
            start=start,
            updates=arguments.updates,
            learning_rate=arguments.learning_rate,
            average=0.98,
            valid_every=arguments.updates,
            keep="last",
        ),
        INTEGERS: Stage(
            **shared,
            start=FLOAT,
            quantize=Quantize("int8", clips=8),
            updates=arguments.integer_updates,
            learning_rate=arguments.learning_rate / 10,
            warmup=10,
            average=0.95,
            valid_every=arguments.integer_updates,
            keep="last",
        ),
    }
    return dataclasses.replace(base, front_end=front_end, stages=stages, output=str(folder), seed=arguments.seed,
                               valid_clips=8, threads=arguments.threads, workers=0)  # fmt: skip


def retimed(weights: Path, front_end: FrontEndConfig, target: Path) -> None:
    """Write the weights for another hop: a gate that keeps a share z per hop keeps about z^(1 / k) of it in a k-th of the
    time, which is the logarithm of k more before the sigmoid where z is near one."""
    network, before, _ = load_model(weights)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, GatedRecurrence):
                layer.state_bias[:, layer.width : 2 * layer.width] += math.log(before.hop_ms / front_end.hop_ms)
    save_model(target, network, front_end, {"model": STUDENT})


def finish(arguments: argparse.Namespace, point: Point, screen: Screen) -> None:
    """Train what is left of a point and score it, unless that is done."""
    recipe = recipe_of(arguments, point)
    model = train(recipe, screen.show, screen.say)
    path = Path(recipe.output) / "result.json"
    if newer(path, model):
        return
    parent = model_path(Path(recipe.output), FLOAT)
    clips = TASKS[recipe.task].calibration(recipe, recipe.export.clips)
    quantized = {
        "int8": export_model(model, []).quantized,
        GRU16: export_model(parent, clips, path.parent / GRU16, GRU16).quantized,
    }
    pairs = find_pairs(pairs_of(arguments))
    # A float stream has the numbers of the whole clip at once (tests/test_engines.py), which takes a fraction of its time.
    backends = {
        PARENT: Denoiser(parent).denoise_clip,
        "float": Denoiser(model).denoise_clip,
        **{name: Denoiser(path, engine="c").denoise for name, path in quantized.items()},
    }
    quality = score(backends, pairs, tuple(METRICS)).quality
    graph = load_model(model)[0].emit()
    estimates = {
        name: {board: estimate_file(file, find_board(board)) for board in BOARDS} for name, file in quantized.items()
    }
    write_json(
        path,
        {
            "latency_ms": latency_ms(recipe.front_end),
            "hop_ms": recipe.front_end.hop_ms,
            "look_ahead": recipe.front_end.look_ahead,
            "macs_per_second": graph.macs * recipe.front_end.frames_per_second,
            "load": {
                name: {board: each.seconds / each.hop_seconds for board, each in boards.items()}
                for name, boards in estimates.items()
            },
            "pairs": len(pairs),
            "start": arguments.start,
            "updates": {name: stage.updates for name, stage in recipe.stages.items()},
            "batch": arguments.batch,
            "seconds": arguments.seconds,
            "seed": arguments.seed,
            **{name: summaries(values) for name, values in quality.items()},
            "int8 loss": lost(quality, "int8", "float"),
            f"{GRU16} loss": lost(quality, GRU16, PARENT),
        },
    )


def lost(quality: dict[str, dict[str, list[float]]], quantized: str, floats: str) -> dict[str, Any]:
    """Mean and interval of what a quantized model loses, pair by pair."""
    return {m: dataclasses.asdict(paired(quality[quantized][m], quality[floats][m])) for m in METRICS}


def summaries(values: dict[str, list[float]]) -> dict[str, Any]:
    """Mean and interval of each measure."""
    return {metric: dataclasses.asdict(summarize(values[metric])) for metric in METRICS}


def pairs_of(arguments: argparse.Namespace) -> Path:
    """The folder of the mixtures that are scored, made the first time."""
    folder = arguments.output / "pairs"
    if not (folder / "pairs.csv").is_file():
        write_pairs(open_data(data_paths(arguments.data)), folder, arguments.pairs, "valid")
    return folder


def results(output: Path) -> list[dict[str, Any]]:
    """The finished points, the longest latency first."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in output.glob("*ms/result.json")]
    return sorted(found, key=lambda result: -result["latency_ms"])


def table(found: list[dict[str, Any]]) -> Table:
    """What pages quote. Raises InputError where no point is finished."""
    if not found:
        raise InputError("no point is finished: run it without --report first")
    header = ("synthesis window", "hop", "MMAC/s",
              *(f"load of {board}, {name}" for board in BOARDS for name in QUANTIZED),
              "SI-SDR dB, float parent", f"SI-SDR dB, {GRU16}", f"{GRU16} loses dB",
              "SI-SDR dB, float", "SI-SDR dB, int8", "int8 loses dB",
              *(f"PESQ-WB, {name}" for name in ROWS))  # fmt: skip
    si_sdr, pesq = (mean(found[0][NOISY], metric) for metric in ("si_sdr", "pesq"))
    rows = [["noisy", *[""] * 6, si_sdr, si_sdr, "", si_sdr, si_sdr, "", *[pesq] * len(ROWS)]]
    for result in found:
        losses = {name: Summary(**result[f"{name} loss"]["si_sdr"]).as_text() for name in QUANTIZED}
        values = {metric: [mean(result[name], metric) for name in ROWS] for metric in METRICS}
        rows.append(
            [
                f"{2 * result['hop_ms']:g} ms" + (" and a frame ahead" if result.get("look_ahead") else ""),
                f"{result['hop_ms']:g} ms",
                f"{result['macs_per_second'] / 1e6:.1f}",
                *(f"{100 * result['load'][name][board]:.0f} %" for board in BOARDS for name in QUANTIZED),
                *values["si_sdr"][:2],
                losses[GRU16],
                *values["si_sdr"][2:],
                losses["int8"],
                *values["pesq"],
            ]
        )
    first = found[0]
    updates = " + ".join(f"{count} updates ({name})" for name, count in first["updates"].items())
    note = (f"{updates} of {first['batch']} clips of {first['seconds']:g} s from {first['start']}, seed {first['seed']}; "
            f"{first['pairs']} pairs of the valid split; loads estimated")  # fmt: skip
    return Table("Quality against latency", header, tuple(map(tuple, rows)), note)


def mean(values: dict[str, Any], metric: str) -> str:
    """A cell."""
    return f"{values[metric]['mean']:.{METRICS[metric]}f}"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--data", default=os.environ.get("TINYSE_DATA", "built-in"), help="recordings with splits")
    result.add_argument("--output", type=Path, default=Path("runs/latency"), help="folder of all points [runs/latency]")
    known = ",".join(map(str, POINTS))
    result.add_argument("--points", type=_points, default=POINTS,
                        help=f"synthesis windows in ms, in this order; +1 looks a frame ahead [{known}]")  # fmt: skip
    result.add_argument("--start", default=STUDENT, help=f"weights of a model of that size, or nothing [{STUDENT}]")
    result.add_argument("--updates", type=int, default=4000, help="in float, of each point [4000]")
    result.add_argument("--integer-updates", type=int, default=300, help="quantization-aware [300]")
    result.add_argument("--learning-rate", type=float, default=2e-3, help="highest rate in float [2e-3]")
    result.add_argument("--batch", type=int, default=8, help="clips in an update [8]")
    result.add_argument("--seconds", type=float, default=4.0, help="length of a clip [4]")
    result.add_argument("--pairs", type=int, default=60, help="mixtures that are scored [60]")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--threads", type=int, default=1)
    result.add_argument("--report", action="store_true", help="train nothing: the tables of what is finished")
    record.add_option(result)
    return result


def _points(text: str) -> tuple[Point, ...]:
    return tuple(map(Point.read, text.split(",")))


def main() -> None:
    """Train and score, or report."""
    arguments = parser().parse_args()
    if not arguments.report:
        pairs_of(arguments)
        with Screen() as screen:
            for point in arguments.points:
                screen.say(f"{point} ms")
                finish(arguments, point, screen)
    made = table(results(arguments.output))
    print(as_markdown([made]))
    record.keep(arguments.results, made, "measured")


if __name__ == "__main__":
    command.run(main, resumes=True)
