"""`tinyse live`: play a microphone, or a file, without its noise, live."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyse.audio.sound_files import SUFFIXES
from tinyse.commands.options import AttenuationLimit, Engine, Model, Purpose
from tinyse.errors import InputError

if TYPE_CHECKING:
    from tinyse.live.endpoints import Endpoint
    from tinyse.live.session import Session
    from tinyse.streaming.denoiser import Denoiser

FILE_NAME = re.compile(r"\S*\w\.[A-Za-z]\w{0,3}")
"""What ends in a suffix: x.raw is not a device's name, whether or not tinyse knows the format."""


def live(
    source: Annotated[
        str | None, typer.Option("--input", help="A microphone by its name or a part of it, or a sound file.")
    ] = None,
    sink: Annotated[
        str | None, typer.Option("--output", help="A loudspeaker by its name or a part of it, or a file to write.")
    ] = None,
    devices: Annotated[bool, typer.Option("--devices", help="List microphones and loudspeakers, and exit.")] = False,
    model: Model = None,
    engine: Engine = None,
    attenuation_limit_db: AttenuationLimit = None,
    purpose: Purpose = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="Read a file in real time.")] = False,
    buffer_ms: Annotated[
        float, typer.Option(help="Sound that is buffered for the loudspeaker.", min=10, max=1000)
    ] = 100,
    device_rate: Annotated[
        int | None,
        typer.Option(
            help="Sample rate of the devices in Hz; by default the model's where they have it, else their own."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Stop after this much sound; by default at q, Ctrl-C or the end of a file.", min=0),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="PREFIX", help="Record to PREFIX-in.wav and PREFIX-out.wav from the start.")
    ] = None,
    tags: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Also show the tags of this tagger, as for tinyse tag.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the final figures as JSON.")] = False,
) -> None:
    """Denoise the microphone and play the result live; files can take the same path.

    Use headphones, so that the microphone does not pick up the loudspeaker.
    """
    from tinyse.live.library_output import silence_libraries
    from tinyse.live.screen import summary
    from tinyse.live.session import Session
    from tinyse.presets import limit_for
    from tinyse.streaming.denoiser import Denoiser
    from tinyse.streaming.tagger import Tagger

    if devices:
        _print_devices(as_json)
        return
    if realtime and not _is_file(source):
        raise InputError("--realtime is for reading a file in real time: name one with --input noisy.wav")
    limit_db = limit_for(purpose, attenuation_limit_db)
    denoiser = Denoiser(model, engine=engine, attenuation_limit_db=limit_db)
    tagger = Tagger(tags) if tags else None
    endpoints = _endpoints(source, sink, realtime, device_rate, seconds, denoiser)
    session = Session(denoiser, *endpoints, buffer_ms / 1000, tagger)
    if record is not None:
        session.record(record)
    # A file ends by itself, after so much of its sound as was asked for; a device by the clock.
    end = time.monotonic() + seconds if seconds is not None and not _is_file(source) else float("inf")
    with silence_libraries():  # PortAudio's own words when a device is lost
        session.start()
        try:
            with contextlib.suppress(KeyboardInterrupt):  # a way to leave like any other
                _watch(session, end, f"{denoiser.engine.metadata.get('model', 'tinyse')} live")
        finally:
            figures = session.figures()
            session.stop()
        figures = replace(figures, recording_error=session.figures().recording_error)  # its end may have failed, too
    print(json.dumps(asdict(figures), indent=2) if as_json else summary(figures))
    if figures.recording_error:
        print(f"tinyse: the recording stopped: {figures.recording_error}", file=sys.stderr)
        raise typer.Exit(1)


def _endpoints(
    source: str | None,
    sink: str | None,
    realtime: bool,
    rate: int | None,
    seconds: float | None,
    denoiser: Denoiser,
) -> tuple[Endpoint, Endpoint]:
    from tinyse.audio.encoding import check_apart
    from tinyse.live import devices, endpoints
    from tinyse.progress import note
    from tinyse.streaming import sound

    model_rate, to_file = denoiser.sample_rate, _is_file(sink)
    if to_file and _is_file(source):
        check_apart(str(source), str(sink))
    origin: Endpoint
    if _is_file(source):
        origin = endpoints.FileSource(Path(str(source)), realtime or not to_file, seconds)
    else:
        origin = devices.Microphone(source, rate, model_rate)
    target: Endpoint = (
        endpoints.FileSink(Path(str(sink)), model_rate) if to_file else devices.Loudspeaker(sink, rate, model_rate)
    )
    if isinstance(origin, endpoints.FileSource):
        for notice in (*origin.notices, *sound.notices(denoiser, origin.rate, target.rate)):
            note(notice)
    return origin, target


def _is_file(name: str | None) -> bool:
    """Whether a file is meant, one of a format that cannot be written included; names of devices end otherwise."""
    if name is None:
        return False
    return Path(name).suffix.lower() in SUFFIXES or Path(name).is_file() or bool(FILE_NAME.fullmatch(name))


def _watch(session: Session, end: float, title: str) -> None:
    """Show the session and obey keys until it is over, the user quits or the time is up."""
    from rich.console import Console

    screen = Console(stderr=True)
    if not (screen.is_terminal and sys.stdin.isatty()):
        while not session.wait(0.05) and time.monotonic() < end:
            pass
        return
    from rich.live import Live

    from tinyse.live.keys import keyboard
    from tinyse.live.screen import picture

    with keyboard() as read_key, Live(console=screen, auto_refresh=False) as display:
        while session.running and time.monotonic() < end:
            display.update(picture(session.figures(), title), refresh=True)
            key = read_key(0.1)
            if key == "q":
                return
            _handle_key(session, key)


def _handle_key(session: Session, key: str) -> None:
    if key == "b":
        session.bypass = not session.bypass
    elif key == "m":
        session.mute = not session.mute
    elif key == "0":
        session.reset()
    elif key == "r":
        recording = session.figures().recording
        session.record(None if recording else Path(time.strftime("tinyse-%Y%m%d-%H%M%S")))


def _print_devices(as_json: bool) -> None:
    from tinyse.live.devices import table

    found = table()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    if not found:
        raise InputError("this machine has no sound devices: plug one in, or work on files with --input and --output")
    for device in found:
        default = f", default {' and '.join(device['default'])}" if device["default"] else ""
        counts = f"{device['inputs']} in, {device['outputs']} out"
        print(f"{device['index']:3} {device['name']} ({counts}, {device['rate']} Hz{default})")
