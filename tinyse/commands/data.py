"""`tinyse data`: look at recordings and at the mixtures made of them, before training."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyse.errors import needs

if TYPE_CHECKING:
    from tinyse.recordings import Manifest

app = typer.Typer(no_args_is_help=True, help="Recordings: scan folders, listen to mixtures, pack shards.")

Data = Annotated[Path, typer.Argument(help="A manifest (.csv), a folder in a known layout, or a folder of shards.")]


@app.command("scan")
def scan_command(
    folders: Annotated[list[Path], typer.Argument(help="Folders or manifests; several become one data set.")],
    output: Annotated[Path | None, typer.Option(help="Write the manifest here, as .csv.")] = None,
    kind: Annotated[str | None, typer.Option(help="All of it is speech, noise or rir.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")] = False,
) -> None:
    """Say what is in a data set, and write its manifest.

    Known layouts: folders speech/SPEAKER, noise/CLASS and rir/ROOM; LibriSpeech; VoiceBank-DEMAND; DNS-Challenge;
    MS-SNSD; ESC-50; manifests of this project. Splits that a data set does not have are drawn by speaker and source.
    """
    from tinyse.recordings import check_leaks, join, open_data, scan

    manifest = join([scan(folder, kind) if kind else open_data(folder) for folder in folders])  # type: ignore[arg-type]
    check_leaks(manifest.recordings)
    if output is not None:
        manifest.write(output)
    if as_json:
        print(json.dumps({"summary": manifest.summary(), "notices": list(manifest.notices)}, indent=2))
    else:
        _print_table(manifest)


@app.command()
def preview(
    data: Data,
    output: Annotated[Path, typer.Option(help="Folder for the wav files and spectrograms.")],
    count: Annotated[int, typer.Option(min=1, max=50, help="How many mixtures.")] = 4,
    seconds: Annotated[float, typer.Option(help="Length of a mixture.")] = 4.0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other mixtures.")] = 0,
) -> None:
    """Write a few noisy and clean pairs, as training would hear them, with their spectrograms."""
    with needs("train"):
        from tinyse.mixtures import MixtureConfig, open_mixer
        from tinyse.mixtures.preview import write_preview
        from tinyse.recordings import open_data
    mixer = open_mixer(open_data(data), MixtureConfig(), seconds, seed)
    for notice in mixer.notices:
        print(f"tinyse: {notice}", file=sys.stderr)
    paths = write_preview(mixer, count, output)
    print(f"wrote {len(paths)} files to {output}")


@app.command()
def shard(
    data: Data,
    output: Annotated[Path, typer.Argument(help="An empty folder for the shards.")],
    megabytes: Annotated[int, typer.Option(min=1, help="Size of a shard; 512 hold 4.4 hours.")] = 512,
) -> None:
    """Decode a data set into shards, any few of which are a fair sample of it and can be trained on."""
    from tinyse.recordings import open_data, write_shards

    parts = write_shards(open_data(data), output, megabytes)
    print(f"wrote {len(parts)} shards to {output}; train on that folder, or on any of its shards in a folder")


def _print_table(manifest: Manifest) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("kind", "split", "files", "hours", "may ship", "speakers or classes")
    for row in manifest.summary():
        table.add_row(*_cells(row))
    console = Console()
    console.print(table)
    licences = sorted({recording.licence for recording in manifest.recordings})
    console.print(f"licences: {', '.join(licences)}", markup=False, highlight=False, soft_wrap=True)
    for notice in manifest.notices:
        console.print(f"note: {notice}", markup=False, highlight=False, soft_wrap=True)


def _cells(row: dict[str, Any]) -> list[str]:
    names = row.get("speakers", row.get("classes"))
    hours = [f"{row[name]:.2f}" for name in ("hours", "ship_hours")]
    return [row["kind"], row["split"], str(row["files"]), *hours, str(names)]
