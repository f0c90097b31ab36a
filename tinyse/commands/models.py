"""`tinyse models`: the members of the network family, and what each costs."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import typer

from tinyse.errors import needs


def models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the named models: parameters, multiply-accumulates per frame and per second, state and latency.

    A recipe names one of them (`model: student-62k`) or gives widths of its own (`model: {channels: [8, 16], ...}`).
    State is in bytes of an int8 export; latency is algorithmic, with the default front end. Taggers are counted with 20
    classes, on frames of 64 ms and 64 bands. Those that tinyse comes with, trained, are marked: `tinyse denoise
    --model NAME` runs them.
    """
    from rich.console import Console
    from rich.table import Table

    with needs("train"):
        from tinyse.models.network import parameters
        from tinyse.tasks import TASKS
    from tinyse import released
    from tinyse.spectra.front_end import latency_ms

    shipped = released.weights()
    rows: list[dict[str, Any]] = []
    named = [(task, name, architecture) for task in TASKS.values() for name, architecture in task.models.items()]
    for task, name, architecture in named:
        front_end = task.front_end
        network = task.example_network(architecture, front_end.bands).eval()
        macs = network.emit().macs
        rows.append(
            {
                "name": name,
                "task": network.task,
                "parameters": parameters(network),
                "macs_per_frame": macs,
                "macs_per_second": round(macs * front_end.frames_per_second),
                "state_bytes": sum(map(math.prod, network.state_shapes.values())),
                "latency_ms": latency_ms(front_end),
                "trained": name in shipped,
            }
        )
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(caption="* comes along, trained" if shipped else None, caption_justify="left")
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
