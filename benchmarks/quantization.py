"""What quantization loses on a real model: the study's tables over a whole benchmark and ten minutes of one stream.

    python benchmarks/quantization.py runs/integers/model.safetensors --parent runs/supervise/model.safetensors \
        --data $TINYSE_DATA

Prints Markdown; study.md, study.json, study.png and the .tflite files go to --output. With --parent, the post-training
precisions of the float parent stand beside that of quantization-aware training. Quality comes from TFLM, bit for bit
what a device computes; times are this computer's; cycles on an NPU are computed by Vela. Ranges are calibrated on the
valid split of --data, and what is scored is refused among its clips. An estimated ten minutes of a free core; --limit
and --minutes make it shorter.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import command
import record

from tinyse.clips import refuse_scored, valid_clips
from tinyse.evaluation.pairs import find_pairs
from tinyse.evaluation.report import Table, as_markdown
from tinyse.files import write_json, write_text
from tinyse.recordings import open_data
from tinyse.study.picture import draw
from tinyse.study.progress import shown
from tinyse.study.study import Study, study
from tinyse.study.tables import as_json, tables


def main() -> None:
    """Calibrate on the valid split, score on the benchmark, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--parent", type=Path, help="the float model that MODEL was trained from, if it is quantized")
    parser.add_argument("--data", type=Path, required=True, help="recordings with a valid split and benchmark/")
    parser.add_argument("--output", type=Path, default=Path("runs/quantization"), help="folder for what is written")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--limit", type=int, help="score only the first N pairs")
    parser.add_argument("--processes", type=int, default=1, help="that compute the measures")
    record.add_option(parser)
    arguments = parser.parse_args()
    pairs = find_pairs(arguments.data / "benchmark", arguments.limit)
    clips = valid_clips(open_data(arguments.data), 24)
    refuse_scored(clips, pairs)
    with shown(lines=True) as progress:
        found = study(
            arguments.model,
            [(clip.name, clip.sound) for clip in clips],
            pairs,
            arguments.output,
            minutes=arguments.minutes,
            processes=arguments.processes,
            parent=arguments.parent,
            vela=True,
            progress=progress,
        )
    text = as_markdown(tables(found))
    write_json(arguments.output / "study.json", as_json(found))
    write_text(arguments.output / "study.md", text)
    draw(found, arguments.output / "study.png")
    print(text)
    record.keep(arguments.results, summary(found), "measured")


def summary(found: Study) -> Table:
    """Losses and costs in one table."""
    losses, *_, costs = tables(found)
    state, cycles = costs.header.index("state bytes"), costs.header.index("Vela cycles")
    rows = []
    for lost, cost in zip(losses.rows, costs.rows, strict=True):
        name = lost[0] if lost[0].endswith("trained") else f"{lost[0]} after training"
        rows.append((name, *lost[1:], cost[state], cost[cycles]))
    header = (
        *losses.header[:-2],
        "at the worst input SNR dB",
        "clean speech dB",
        "state bytes",
        "Vela cycles, U55-128",
    )
    return Table(losses.title, header, tuple(rows))


if __name__ == "__main__":
    command.run(main)
