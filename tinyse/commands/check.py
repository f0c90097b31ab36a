"""`tinyse check`: what a recipe will export and who can run it, before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyse.boards.boards import ETHOS_U55_128
from tinyse.errors import needs

if TYPE_CHECKING:
    from tinyse.boards.vela import VelaSummary
    from tinyse.targets.forecast import Forecast

NPU = ETHOS_U55_128.accelerator


def check(
    recipe: Annotated[Path, typer.Argument(help="A YAML file such as recipes/two_step.yaml.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe: --set export.precision=int16x8."),
    ] = None,
    vela: Annotated[bool, typer.Option("--vela", help=f"Ask Arm's compiler Vela about an NPU ({NPU}), too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Print the operators that the last stage of RECIPE will export, and whether TFLM, CMSIS-NN and Ethos-U have them.

    fast: a kernel optimized for the hardware; plain: portable C, or the core beside an NPU; none: it cannot run.
    The exit status is 0 if the step can run on TFLM, and 1 if not.
    """
    from tinyse.recipe_files import read_recipe

    values = read_recipe(recipe, settings or [])
    with needs("train"):
        from tinyse.tasks import TASKS
        from tinyse.training.own_networks import check_networks
        from tinyse.training.recipe import recipe_from
    from tinyse.spectra.front_end import latency_ms
    from tinyse.targets.forecast import forecast, random_step

    chosen = recipe_from(values)
    check_networks(chosen)
    name, stage = list(chosen.stages.items())[-1]
    graph = TASKS[chosen.task].untrained(chosen, stage).eval().emit(name)
    quantized = random_step(graph, chosen.export.precision)
    found, latency = forecast(quantized), latency_ms(chosen.front_end)
    summary = None
    if vela:
        from tinyse.boards.vela import compile_graph

        summary = compile_graph(ETHOS_U55_128, quantized)
    if as_json:
        print(json.dumps(_as_dict(found, latency, summary), indent=2))
    else:
        _print(found, latency, summary)
    raise typer.Exit(0 if found.ships else 1)


def _as_dict(found: Forecast, latency: float, summary: VelaSummary | None) -> dict[str, object]:
    from dataclasses import asdict

    result: dict[str, object] = {
        "ships": found.ships,
        "missing": found.missing,
        **{key: value for key, value in found.facts.items() if key not in ("calibration", "operators")},
        "activation_bytes": found.activation_bytes,
        "latency_ms": latency,
        "operators": [asdict(row) for row in found.rows],
    }
    if summary is not None:
        result["vela"] = {"accelerator": NPU, **asdict(summary)}
    return result


def _print(found: Forecast, latency: float, summary: VelaSummary | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from tinyse.targets.forecast import shapes_text
    from tinyse.targets.support import RUNTIMES

    console, facts = Console(), found.facts
    table = Table(
        title=f"{escape(facts['name'])} in {facts['precision']}",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        collapse_padding=True,
    )
    for title in ("", "operator", "type", "in", "out", "MAC", *RUNTIMES):
        side = "right" if title in ("", "MAC") else "left"
        table.add_column(title, justify=side, overflow="fold", no_wrap=title not in ("in", "out"))  # type: ignore[arg-type]
    for row in found.rows:
        shapes = shapes_text(row.inputs), shapes_text(row.outputs)
        macs = f"{row.macs:,}" if row.macs else ""
        table.add_row(str(row.count), row.kind, row.dtype, *shapes, macs, *row.support.values())
    console.print(table)
    for note in dict.fromkeys(f"{row.kind} in {row.dtype}: {row.note}" for row in found.rows if row.note):
        console.print(f"note: {note}", highlight=False)
    arena = facts["arena"]["bytes"]
    console.print(f"{facts['macs']:,} MAC per frame, algorithmic latency {latency:g} ms", highlight=False)
    console.print(f"state {facts['state_bytes']:,} bytes, activations {found.activation_bytes:,} bytes at most",
                  highlight=False)  # fmt: skip
    used = f"; TFLM arena on this computer {arena:,} bytes" if arena is not None else ""
    console.print(f"file about {facts['file_bytes']:,} bytes{used}", highlight=False)
    if summary is not None:
        console.print(
            f"Vela for {NPU}: {100 * summary.on_npu:.0f} % of {summary.npu_operators + summary.cpu_operators} operators "
            f"on the NPU, {summary.cycles:,} cycles per frame, SRAM {summary.arena_bytes:,} bytes, weights "
            f"{summary.weight_bytes:,} bytes (all in SRAM)", highlight=False)  # fmt: skip
    for reason in found.missing:
        console.print(reason, style="red", highlight=False)
    style, word = ("green", "it can ship on TFLM") if found.ships else ("red", "it cannot ship on TFLM")
    console.print(f"[bold {style}]{word}[/bold {style}]")
