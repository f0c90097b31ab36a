"""`tinyse models`: the members of the network family, and what each costs."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyse.errors import needs
from tinyse.progress import note
from tinyse.torch_build import extra_command

if TYPE_CHECKING:
    from tinyse.graph.graph import Graph
    from tinyse.spectra.front_end import FrontEndConfig


def models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the named models: parameters, multiply-accumulates per frame and per second, state and latency.

    A recipe names one of them (`model: student-62k`) or gives its own widths (`model: {channels: [8, 16], ...}`).
    State is in bytes of an int8 export; latency is algorithmic, with the default front end. Taggers are counted with 20
    classes, frames of 64 ms and 64 bands. Models that are included as trained files are marked: `tinyse denoise
    --model NAME` runs them. Without the extra `train`, only these are listed.
    """
    from rich.console import Console
    from rich.table import Table

    family = find_spec("torch") is not None
    rows = _family() if family else _shipped()
    if not family:
        note(f"for all names that a recipe may take: {extra_command('train')}")
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    trained = any(row["trained"] for row in rows)
    table = Table(caption="* trained weights are included" if trained else None, caption_justify="left")
    for title in ("model", "parameters", "MAC per frame", "MAC/s", "state bytes", "latency ms"):
        table.add_column(title, justify="left" if title == "model" else "right", no_wrap=title == "model")
    for row in rows:
        cells = [
            row["name"] + (" *" if row["trained"] else ""),
            f"{row['parameters']:,}",
            f"{row['macs_per_frame']:,}",
            f"{row['macs_per_second'] / 1e6:.1f} M",
            f"{row['state_bytes']:,}",
            f"{row['latency_ms']:g}",
        ]
        table.add_row(*map(str, cells))
    Console().print(table)


def _family() -> list[dict[str, Any]]:
    """A row for each named model of each task."""
    with needs("train"):
        from tinyse.models.network import parameters
        from tinyse.tasks import TASKS
    from tinyse.released import weights

    rows = []
    for task in TASKS.values():
        for name, architecture in task.models.items():
            network = task.example_network(architecture, task.front_end.bands).eval()
            row = _row(name, network.task, parameters(network), network.emit(), task.front_end)
            rows.append({**row, "trained": name in weights()})
    return rows


def _shipped() -> list[dict[str, Any]]:
    """A row for each quantized model that comes with tinyse, from its file and its card: torch is not needed."""
    from tinyse.documents import read_own_json
    from tinyse.released import find, names
    from tinyse.spectra.front_end import front_end_in
    from tinyse.tflite.reader import read

    rows = []
    for name in names():
        card, graph = read_own_json(find(name).with_name("card.json"), "task", "parameters"), read(find(name))
        front_end = front_end_in(graph.metadata, name).config
        rows.append({**_row(name, card["task"], card["parameters"], graph, front_end), "trained": True})
    return rows


def _row(name: str, task: str, parameters: int, graph: Graph, front_end: FrontEndConfig) -> dict[str, Any]:
    """What one model costs, by the step that it exports."""
    from tinyse.spectra.front_end import latency_ms

    return {
        "name": name,
        "task": task,
        "parameters": parameters,
        "macs_per_frame": graph.macs,
        "macs_per_second": round(graph.macs * front_end.frames_per_second),
        "state_bytes": sum(math.prod(graph.tensors[state].shape) for state in graph.states),
        "latency_ms": latency_ms(front_end),
    }
