"""`tinyse data`: look at recordings and at the mixtures made of them, before training."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyse.commands.synthesize import checked_rate, synthesize
from tinyse.corpus import BUILT_IN, data_paths
from tinyse.errors import InputError, needs
from tinyse.progress import note

if TYPE_CHECKING:
    from tinyse.catalog import Catalog
    from tinyse.mixtures import AnyMixer
    from tinyse.recordings import Manifest

app = typer.Typer(
    no_args_is_help=True, help="Recordings: scan folders, listen to mixtures, make test pairs, pack shards."
)

Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="With a recipe: change a key of it.")
]
Data = Annotated[
    Path,
    typer.Argument(help=f"A manifest (.csv, or .jsonl of lhotse), a folder in a known layout, shards, or {BUILT_IN}."),
]

Rate = Annotated[int | None, typer.Option(help="Sample rate of the written sound in Hz; by default 16000.")]


@app.command("get")
def get_command(
    names: Annotated[list[str] | None, typer.Argument(help="Corpora or sets of the catalog; none lists them.")] = None,
    output: Annotated[
        Path, typer.Option(help="Folder for the sound; its manifest.csv lists all that lies there.")
    ] = Path("recordings"),
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps the archives; by default OUTPUT/archives.")
    ] = None,
    catalog: Annotated[Path | None, typer.Option(help="A catalog of your own, in YAML.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")] = False,
) -> None:
    """Fetch public corpora by name, verify and unpack them, and write their manifest.

    The same command resumes what was interrupted; what is there is not fetched again.
    """
    from tinyse.catalog import disk_use, get, read_catalog
    from tinyse.recordings.manifest import ATTRIBUTIONS, MANIFEST, hours

    known = read_catalog(catalog)
    if not names:
        _print_catalog(known, as_json)
        return
    cache = cache or output / "archives"
    takes = disk_use(known, names, output, cache)
    if takes.to_fetch:
        print(f"fetching {takes.to_fetch:,.0f} MB; with what is unpacked at most {takes.at_most:,.0f} MB are taken, of "
              f"{takes.free:,.0f} MB that are free", file=sys.stderr)  # fmt: skip
    done = get(known, names, output, cache, lambda line: print(line, file=sys.stderr))
    if as_json:
        facts = {
            got.name: {
                "was_there": got.was_there,
                "summary": got.manifest.summary(),
                "notices": got.manifest.notices,
            }
            for got in done
        }
        print(json.dumps({"manifest": str(output / MANIFEST), "corpora": facts}, indent=2))
        return
    for got in done:
        state, recordings = "was there" if got.was_there else "fetched", got.manifest.recordings
        print(f"{got.name}: {state}, {len(recordings)} files, {hours(recordings):.2f} h")
        for notice in got.manifest.notices:
            note(notice)
    print(f"wrote {output / MANIFEST}; whom to name is in {output / ATTRIBUTIONS}")


@app.command("scan")
def scan_command(
    folders: Annotated[
        list[Path], typer.Argument(help=f"Folders, manifests, or {BUILT_IN}; several become one data set.")
    ],
    output: Annotated[Path | None, typer.Option(help="Write the manifest here, as .csv.")] = None,
    kind: Annotated[str | None, typer.Option(help="What all of the files are: speech, noise or rir.")] = None,
    speaker_level: Annotated[
        int | None,
        typer.Option(
            min=1, help="Which folder below speech/ is the speaker: 1, the default, in speech/SPEAKER/SESSION."
        ),
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(help="The license of recordings that no layout or manifest states one for, say CC0-1.0 or own."),
    ] = None,
    ship: Annotated[
        bool, typer.Option("--ship", help="With --license: weights trained on these recordings may be released.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of a table, every left out file in it.")
    ] = False,
) -> None:
    """List what is in a data set, and write its manifest.

    Known layouts: folders speech/SPEAKER, noise/CLASS and rir/ROOM; LibriSpeech; VoiceBank-DEMAND; DNS-Challenge;
    MS-SNSD; ESC-50; manifests of this project; audio folders of Hugging Face (metadata.csv or .jsonl). Manifests are those of
    this project (.csv) and recordings or cuts of lhotse (.jsonl, .jsonl.gz). Splits that a data set does not have are drawn
    by speaker and source.
    The manifest stores the speakers, so you give --speaker-level only here: train and preview take the manifest.
    """
    from tinyse.recordings import check_leaks, join, open_data, scan

    if ship and license is None:
        raise InputError("--ship says that a license allows it: state the license, too, with --license")
    if license is not None and not license.strip():
        raise InputError("--license is empty: state it, say CC0-1.0 or own")
    if kind or speaker_level:

        def opened(folder: Path) -> Manifest:
            if folder.is_file() and folder.suffix.lower() == ".csv":
                raise InputError(f"{folder}: a manifest says kind and speaker in its columns: leave the options out")
            return scan(folder, kind, speaker_level=speaker_level)  # type: ignore[arg-type]

        manifest = join([opened(folder) for folder in data_paths(folders)])
        check_leaks(manifest.recordings)
    else:
        manifest = open_data(data_paths(folders))
    if license is not None:
        manifest = manifest.licensed(license, ship)
    given = [name for name, value in (("--speaker-level", speaker_level), ("--license", license)) if value is not None]
    if output is not None:
        manifest.write(output)
    elif given:
        note(f"--output FILE.csv keeps {' and '.join(given)} for training")
    if as_json:
        print(json.dumps({"summary": manifest.summary(), "notices": list(manifest.notices)}, indent=2))
    else:
        _print_table(manifest)


@app.command()
def preview(
    data: Annotated[
        list[Path],
        typer.Argument(
            help=f"A recipe (.yaml), or recordings: folders, manifests, or {BUILT_IN}, mixed by the defaults."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for the wav files and spectrograms.")],
    count: Annotated[int, typer.Option(min=1, max=50, help="How many mixtures.")] = 4,
    seconds: Annotated[float | None, typer.Option(help="Length of a mixture; default: the stage's, else 4.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed, other mixtures.")] = None,
    stage: Annotated[
        str | None, typer.Option(help="With a recipe: the stage whose mixtures are written; default: the last.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Write a few noisy and clean pairs, as training would see them, with their spectrograms.

    With a recipe these are its own mixtures: its data, its mixing, its seed; `tinyse evaluate` takes the folder as pairs.
    """
    with needs("train"):
        from tinyse.mixtures import MixtureConfig, open_mixer
        from tinyse.mixtures.preview import write_preview
        from tinyse.recordings import brief, open_data
    if data[0].suffix in (".yaml", ".yml"):
        mixer, epoch = _mixer_of_recipe(data, settings or [], stage, seconds, seed)
    elif stage or settings:
        raise InputError("--stage and --set belong to a recipe: tinyse data preview RECIPE.yaml")
    else:
        mixer, epoch = (
            open_mixer(open_data(data_paths(data)), MixtureConfig(), 4.0 if seconds is None else seconds, seed or 0),
            0,
        )
    for notice in brief(mixer.notices):
        note(notice)
    paths = write_preview(mixer, count, output, epoch)
    print(f"wrote {len(paths)} files to {output}")


app.command("synthesize")(synthesize)


def _mixer_of_recipe(
    data: list[Path], settings: list[str], stage: str | None, seconds: float | None, seed: int | None
) -> tuple[AnyMixer, int]:
    """The mixer with which a stage of a recipe is trained, and the epoch that it takes."""
    from tinyse.config import did_you_mean
    from tinyse.recipe_files import read_recipe
    from tinyse.recordings import open_data

    if len(data) > 1:
        raise InputError(f"{data[1]}: a recipe names its own data; change it with --set data=FOLDER")
    values = read_recipe(data[0], settings)
    with needs("train"):
        from tinyse.tasks import TASKS
        from tinyse.tasks.mixtures import MixtureTask, training_mixer
        from tinyse.training.recipe import recipe_from
    recipe = recipe_from(values)
    if not issubclass(TASKS[recipe.task], MixtureTask):
        raise InputError(f"{data[0]}: its task is {recipe.task!r}, which has no noisy and clean pairs to listen to")
    name = stage or list(recipe.stages)[-1]
    if name not in recipe.stages:
        raise InputError(f"{data[0]} has no stage {name!r}{did_you_mean(name, recipe.stages)}")
    mixer = training_mixer(recipe, recipe.stages[name], open_data(recipe.data_paths), seconds, seed)
    return mixer, list(recipe.stages).index(name)


@app.command()
def pairs(
    data: Annotated[
        list[Path], typer.Argument(help=f"Folders, manifests, or {BUILT_IN}; several become one data set.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for clean/, noisy/ and pairs.csv.")],
    split: Annotated[str, typer.Option(help="train, valid or test; what a model is scored on is test.")] = "test",
    count: Annotated[int, typer.Option(min=1, help="How many pairs.")] = 60,
    seconds: Annotated[float, typer.Option(help="Length of a pair.")] = 4.0,
    snr_db: Annotated[str, typer.Option(help="Input SNRs in dB, taken in turn.")] = "-5,0,5,10,15",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other pairs.")] = 0,
    rate: Rate = None,
) -> None:
    """Write a test set of your own: pairs of clean speech and the same in noise, for `tinyse evaluate`."""
    from tinyse.progress import counted
    from tinyse.recordings import open_data
    from tinyse.recordings.manifest import SPLITS

    with needs("train"):
        from tinyse.mixtures.pairs import write_pairs
    if split not in SPLITS:
        raise InputError(f"--split {split}: known are {', '.join(SPLITS)}")
    try:
        snrs_db = [float(value) for value in snr_db.split(",")]
    except ValueError as error:
        raise InputError(f"--snr-db {snr_db}: expected numbers with commas, such as -5,0,5") from error
    with counted("mixing", count) as advance:
        written = write_pairs(
            open_data(data_paths(data)), output, count, split, seconds, seed, snrs_db, advance, checked_rate(rate)
        )
    print(f"wrote {count} pairs to {written.parent}: tinyse evaluate MODEL {written.parent}")


@app.command()
def shard(
    data: Data,
    output: Annotated[Path, typer.Argument(help="A folder for the shards: empty, or of a call that was interrupted.")],
    megabytes: Annotated[
        int, typer.Option(min=1, max=2000, help="Size of a shard; 32 hold about half an hour at 16 kHz.")
    ] = 32,
    codec: Annotated[
        str, typer.Option(help="flac keeps every sample; opus is a fifth to a quarter of the size.")
    ] = "flac",
    rate: Rate = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of lines.")] = False,
) -> None:
    """Pack a data set into WebDataset tar files, which train from a disk or from a server.

    The same command resumes what was interrupted. Training holds a few shards at a time, however large the data set; a
    few of them are a representative sample of it. Copy the folder to a server as it is, and train with
    --set data=https://HOST/FOLDER (or s3://BUCKET/FOLDER).
    """
    from tinyse.recordings import brief, open_data, write_shards

    if codec not in ("flac", "opus"):
        raise InputError(f"--codec {codec}: known are flac and opus")
    index = write_shards(open_data(data_paths([data])), output, megabytes, checked_rate(rate), codec)  # type: ignore[arg-type]
    size, seconds = sum(shard.bytes for shard in index.shards), sum(shard.seconds for shard in index.shards)
    if as_json:
        facts = {"shards": len(index.shards), "recordings": sum(shard.items for shard in index.shards), "bytes": size,
                 "hours": seconds / 3600, "notices": index.notices}  # fmt: skip
        print(json.dumps({"folder": str(output), **facts}, indent=2))
        return
    for notice in brief(index.notices):
        note(notice)
    size_mb, hours = size / 1e6, seconds / 3600
    print(f"wrote {len(index.shards)} shards, {hours:.2f} h in {size_mb:.0f} MB; train with --set data={output}")


def _print_catalog(catalog: Catalog, as_json: bool) -> None:
    if as_json:
        corpora = {name: {"title": c.title, "license": c.license, "ship": c.ship, "verified": c.verified,
                          "megabytes": c.megabytes, "homepage": c.homepage} for name, c in catalog.corpora.items()}  # fmt: skip
        print(json.dumps({"corpora": corpora, "sets": catalog.sets}, indent=2))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    # Few and narrow columns beside the words: in a terminal of 80 they are a list of two lines each.
    names, sizes = Column("name", no_wrap=True), Column("MB", justify="right")
    table = Table(names, sizes, "ship", "what it is", box=SIMPLE_HEAD, pad_edge=False)
    for name, entry in catalog.corpora.items():
        shown = (escape(name) + " *" * entry.verified, f"{entry.megabytes:,.0f}", "yes" if entry.ship else "no")
        table.add_row(*shown, escape(f"{entry.title} ({entry.license})"))
    console = Console()
    console.print(table)
    console.print(
        "* the maintainers fetched it; the others' addresses are those that their publishers state", highlight=False
    )
    console.print("ship: weights that were trained on it may be released", highlight=False)
    console.print("\nSets, by one name:", highlight=False)
    for name, members in catalog.sets.items():
        console.print(f"{name}: {', '.join(members)}", markup=False, highlight=False, soft_wrap=True)


@app.command("cache")
def cache_command(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all that no process has open.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")] = False,
) -> None:
    """Show which decoded sound is cached, for which folders, and where; or remove it.

    The cache is $TINYSE_CACHE, or ~/.cache/tinyse by default. It is filled when recordings are mixed for the first time.
    """
    from tinyse.recordings import cache

    place = cache.default_cache()
    if clear:
        freed, busy = cache.clear(place)
        if as_json:
            print(json.dumps({"cache": str(place), "freed_megabytes": freed, "in_use": [str(each) for each in busy]}))
        else:
            kept = f"; in use, and kept: {', '.join(map(str, busy))}" if busy else ""
            print(f"freed {freed:.1f} MB in {place}{kept}")
        return
    rows = cache.listed(place)
    if as_json:
        print(json.dumps({"cache": str(place), "folders": [asdict(row) | {"folder": str(row.folder)} for row in rows]}))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("recordings in", "files", "hours", "MB", "")
    for row in rows:
        state = "" if row.root_exists else "that folder is gone" if row.root else "of an older version"
        table.add_row(escape(row.root), str(row.files), f"{row.hours:.2f}", f"{row.megabytes:.1f}", state)
    console = Console()
    console.print(table)
    console.print(f"in {place}; tinyse data cache --clear removes it", markup=False, highlight=False, soft_wrap=True)


def _print_table(manifest: Manifest) -> None:
    from rich.console import Console
    from rich.table import Table

    from tinyse.recordings import brief
    from tinyse.recordings.manifest import UNKNOWN

    table = Table("kind", "split", "files", "hours", "may ship", "speakers or classes")
    for row in manifest.summary():
        table.add_row(*_cells(row))
    console = Console()
    console.print(table)
    licenses = sorted({license for row in manifest.summary() for license in row["licenses"]})
    console.print(f"licenses: {', '.join(licenses)}", markup=False, highlight=False, soft_wrap=True)
    notices = brief(manifest.notices)
    if unknown := sum(recording.license == UNKNOWN for recording in manifest.recordings):
        notices.append(f"{unknown} recordings have no stated license, so they may not ship: state it with --license own --ship "
                       "--output FILE.csv, or in the columns license and ship of a manifest")  # fmt: skip
    for notice in notices:
        console.print(f"note: {notice}", markup=False, highlight=False, soft_wrap=True)


def _cells(row: dict[str, Any]) -> list[str]:
    names = row.get("speakers", row.get("classes"))
    hours = [f"{row[name]:.2f}" for name in ("hours", "ship_hours")]
    return [row["kind"], row["split"], str(row["files"]), *hours, str(names)]
