"""`tinyse tag`: what is heard in a file, second by second and in all."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tinyse.commands.denoise import Engine


def tag(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A sound file.")],
    model: Annotated[str, typer.Option(help="A tagger: a .tflite or a .safetensors, from tinyse train.")],
    engine: Annotated[Engine | None, typer.Option(help="What runs it; by default what fits the file.")] = None,
    every: Annotated[float, typer.Option(help="Seconds between two decisions.")] = 1.0,
    least: Annotated[float, typer.Option(help="Show tags of at least this probability.", min=0, max=1)] = 0.3,
    as_json: Annotated[bool, typer.Option("--json", help="Print every probability as JSON.")] = False,
) -> None:
    """Print what is heard in FILE, as it streams by: a line for each second with its likeliest tags, then the whole."""
    from tinyse import audio
    from tinyse.streaming.tagger import Tagger

    tagger = Tagger(model, engine.value if engine else None, every)
    sound, notices = audio.read(source, tagger.sample_rate)
    for notice in notices:
        print(f"tinyse: {notice}", file=sys.stderr)
    decisions = [*tagger.process(sound), *tagger.flush()]
    whole = tagger.whole()
    if as_json:
        facts = {"file": str(source), "whole": asdict(whole), "decisions": [asdict(d) for d in decisions]}
        print(json.dumps(facts, indent=2, allow_nan=False))
        return
    for decision in decisions:
        print(f"{decision.start_seconds:7.1f} s  {decision.as_text(least)}")
    print(f"  whole    {whole.as_text(least)}")
