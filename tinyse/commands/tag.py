"""`tinyse tag`: the tags of a file, second by second and in total."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tinyse.commands.options import Engine


def tag(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A sound file.")],
    model: Annotated[str, typer.Option(help="A tagger: a .tflite or a .safetensors, from tinyse train.")],
    engine: Engine = None,
    every: Annotated[float, typer.Option(help="Seconds between two decisions.")] = 1.0,
    least: Annotated[float, typer.Option(help="Show tags of at least this probability.", min=0, max=1)] = 0.3,
    as_json: Annotated[bool, typer.Option("--json", help="Print every probability as JSON.")] = False,
) -> None:
    """Print the tags of FILE as a stream: a line per second with the most likely ones, then those of the whole file."""
    from tinyse import audio
    from tinyse.progress import note
    from tinyse.streaming.tagger import Tagger

    tagger = Tagger(model, engine, every)
    sound, notices = audio.read(source, tagger.sample_rate)
    for notice in notices:
        note(notice)
    decisions = [*tagger.process(sound), *tagger.flush()]
    whole = tagger.whole()
    if as_json:
        facts = {"file": str(source), "whole": asdict(whole), "decisions": [asdict(d) for d in decisions]}
        print(json.dumps(facts, indent=2, allow_nan=False))
        return
    for decision in decisions:
        print(f"{decision.start_seconds:7.1f} s  {decision.as_text(least)}")
    print(f"  whole    {whole.as_text(least)}")
