"""Microphones and loudspeakers, through PortAudio: two streams of their own, since one for both underruns under load."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from tinyse.audio import DEFAULT_RATE
from tinyse.engines.native_output import captured
from tinyse.errors import InputError, needs
from tinyse.live.endpoints import BLOCK_SECONDS
from tinyse.live.ring import Ring

STALLED_SECONDS = 1.0
"""A running device that does not ask for so long is opened again, as drivers hang after an underrun; if that does not
help, it is gone."""
OPENING_SECONDS = 4.0
"""The same for a device that was just opened: a sound server may have to wake it first."""


def portaudio() -> Any:
    """The package sounddevice. Raises InputError where it or PortAudio is not installed."""
    try:
        with needs("live", "sounddevice"), captured():  # ALSA prints what it did not find on the way
            import sounddevice
    except OSError as error:
        raise InputError(
            "PortAudio, which reaches the sound card, is not installed: apt-get install libportaudio2 "
            "(macOS: brew install portaudio), or work on files with --input noisy.wav --output clean.wav"
        ) from error
    return sounddevice


def table() -> list[dict[str, Any]]:
    """All devices: index, name, inputs, outputs, rate, and whether each is the default of its kind."""
    sounddevice = portaudio()
    defaults = tuple(sounddevice.default.device)
    return [
        {
            "index": device["index"],
            "name": device["name"],
            "inputs": device["max_input_channels"],
            "outputs": device["max_output_channels"],
            "rate": int(device["default_samplerate"]),
            "default": [
                kind for kind, index in zip(("input", "output"), defaults, strict=True) if index == device["index"]
            ],
        }
        for device in sounddevice.query_devices()
    ]


def find(name: str | None, kind: str) -> dict[str, Any]:
    """The device that `name` means: its index, its name or a part of it; None is the default. `kind`: input or output.

    Raises InputError where there is none, or more than one.
    """
    devices = [device for device in table() if device[f"{kind}s"] > 0]
    if not devices:
        raise InputError(
            f"this machine has no {kind} device: plug one in, or work on files with --input noisy.wav --output clean.wav"
        )
    listed = ", ".join(repr(device["name"]) for device in devices)
    if name is None:
        chosen = [device for device in devices if kind in device["default"]]
        if not chosen:
            raise InputError(f"no {kind} device is the default: choose with --{kind}, there are {listed}")
        return chosen[0]
    for matches in (
        [device for device in devices if name in (str(device["index"]), device["name"])],
        [device for device in devices if name.lower() in device["name"].lower()],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            fitting = ", ".join(f"{device['index']}: {device['name']!r}" for device in matches)
            raise InputError(
                f"--{kind} {name!r} fits {len(matches)} devices: give more of the name, or an index: {fitting}"
            )
    raise InputError(f"no {kind} device is named {name!r}: there are {listed}")


class _Device:
    """What both directions share."""

    waits = False
    kind = ""

    def __init__(self, name: str | None, rate: int | None = None, model_rate: int = DEFAULT_RATE) -> None:
        """`rate`: samples per second of the device; by default the model's where the device has it, else the device's own.

        Raises InputError where there is no such device or rate.
        """
        self._sounddevice = portaudio()
        device = find(name, self.kind)
        self.name, self._index = device["name"], device["index"]
        self.rate = rate or (model_rate if self._takes(model_rate) else device["rate"])
        if not self._takes(self.rate):
            raise InputError(
                f"the {self.kind} device {self.name!r} does not run at {self.rate} Hz: leave out --device-rate"
            )
        self.faults = 0
        self._stream: Any = None
        self._reopened = False

    @property
    def latency(self) -> float:
        """What the driver says, in seconds."""
        return float(self._stream.latency) if self._stream else 0.0

    def start(self, ring: Ring, target: int) -> None:
        """Open the stream. Raises InputError where the driver refuses."""
        self._ring, self._target = ring, target
        try:
            self._open()
        except self._sounddevice.PortAudioError as error:
            raise InputError(
                f"cannot open the {self.kind} device {self.name!r}: {error.args[0]}; another program may hold it"
            ) from error

    def check(self) -> None:
        """Open a stream again that hangs. Raises InputError where the device was unplugged or its driver ended."""
        if time.monotonic() - self._last < self._patience:
            return
        with contextlib.suppress(self._sounddevice.PortAudioError):
            if not self._reopened:
                self.faults += 1
                self.stop()
                self._open()
                self._reopened = True
                return
        raise InputError(
            f"the {self.kind} device {self.name!r} stopped: it was unplugged or its sound server ended; "
            "plug it in and start again (tinyse live --devices lists what is there)"
        )

    def stop(self) -> None:
        """Close the stream, also one whose device is gone."""
        if self._stream is not None:
            with captured():
                self._stream.abort(ignore_errors=True)
                self._stream.close(ignore_errors=True)

    def _open(self) -> None:
        self._last, self._patience = time.monotonic(), OPENING_SECONDS
        stream = {"input": self._sounddevice.InputStream, "output": self._sounddevice.OutputStream}[self.kind]
        with captured():
            self._stream = stream(
                samplerate=self.rate, blocksize=round(BLOCK_SECONDS * self.rate), device=self._index, channels=1,
                dtype="float32", latency=self._target / self.rate / 2, callback=self._callback,
            )  # fmt: skip
            self._stream.start()

    def _alive(self) -> None:
        """Called in every callback."""
        self._last, self._patience, self._reopened = time.monotonic(), STALLED_SECONDS, False

    def _takes(self, rate: int) -> bool:
        check = getattr(self._sounddevice, f"check_{self.kind}_settings")
        try:
            with captured():
                check(device=self._index, channels=1, dtype="float32", samplerate=rate)
        except self._sounddevice.PortAudioError:
            return False
        return True

    def _callback(self, block: Any, frames: int, clock: Any, status: Any) -> None:
        raise NotImplementedError


class Microphone(_Device):
    """Sound from a device to a ring."""

    kind = "input"

    def finish(self) -> None:
        """A microphone does not end."""

    def _callback(self, block: Any, frames: int, clock: Any, status: Any) -> None:
        self._alive()
        self.faults += bool(status.input_overflow)
        self._ring.write(block[:, 0])


class Loudspeaker(_Device):
    """Sound from a ring to a device. Where the ring is empty it plays silence until it holds `target` samples again."""

    kind = "output"

    def start(self, ring: Ring, target: int) -> None:
        self._filling, self._begun = True, False
        super().start(ring, target)

    def finish(self) -> None:
        """Wait until what is left has been played."""
        while not self._ring.drained:
            self.check()
            time.sleep(BLOCK_SECONDS)
        time.sleep(self.latency)

    def _callback(self, block: Any, frames: int, clock: Any, status: Any) -> None:
        self._alive()
        self._filling = self._filling and len(self._ring) < self._target and not self._ring.closed
        samples = self._ring.read(0 if self._filling else frames)
        block[: len(samples), 0] = samples
        block[len(samples) :] = 0
        short = len(samples) < frames and not self._filling and not self._ring.closed
        self.faults += short or (self._begun and bool(status.output_underflow))
        self._filling = self._filling or short
        self._begun = self._begun or len(samples) > 0
