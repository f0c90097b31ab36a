"""A private PulseAudio with two null sinks, microphone and loudspeaker, for what has to be heard in earnest."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

COMMANDS = ("pulseaudio", "pactl", "paplay", "parec")
PACKAGES = "apt-get install pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"


@dataclass(frozen=True)
class Server:
    """A sound server that runs."""

    environment: dict[str, str]
    """In which a program finds its devices."""
    process: subprocess.Popen[bytes]
    rate: int
    """Hz of its devices."""


@contextlib.contextmanager
def running(folder: Path, rate: int) -> Iterator[Server | None]:
    """A server with its files in `folder`, which ends with the block; None where it cannot be had."""
    plugins = any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    if not plugins or any(shutil.which(name) is None for name in COMMANDS):
        yield None
        return
    folder.mkdir(mode=0o700)
    socket = folder / "s"
    (folder / "asound.conf").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_SERVER": f"unix:{socket}",
        "PULSE_LATENCY_MSEC": "100",
        "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
    }
    modules = [f"module-null-sink sink_name={name} rate={rate} channels=1" for name in ("microphone", "loudspeaker")]
    modules.append(f"module-native-protocol-unix socket={socket} auth-anonymous=1")
    options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"]
    options += [word for module in modules for word in ("-L", module)]
    process = subprocess.Popen(["pulseaudio", *options], env=environment, stderr=subprocess.DEVNULL)
    try:
        choices = ("set-default-sink loudspeaker", "set-default-source microphone.monitor")
        yield Server(environment, process, rate) if all(_chosen(choice, environment) for choice in choices) else None
    finally:
        process.kill()
        process.wait()


def _chosen(choice: str, environment: dict[str, str]) -> bool:
    for _ in range(100):
        if subprocess.run(["pactl", *choice.split()], env=environment, capture_output=True).returncode == 0:
            return True
        time.sleep(0.1)
    return False


def carry(server: Server, folder: Path, *arguments: object) -> dict[str, Any]:
    """Play given.wav into the microphone of a running `tinyse live` and record its loudspeaker to heard.wav.

    The session records itself to x-in.wav and x-out.wav, all in `folder`. Returns its figures.
    """
    wav = ("--format=s16le", f"--rate={server.rate}", "--channels=1", "--file-format=wav")
    recorder = subprocess.Popen(
        ["parec", "-d", "loudspeaker.monitor", *wav, str(folder / "heard.wav")], env=server.environment
    )
    command = [sys.executable, "-m", "tinyse", "live", *map(str, arguments), "--record", str(folder / "x"), "--json"]
    process = subprocess.Popen(command, env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 30
        while not _streams(server.environment) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        subprocess.run(
            ["paplay", "-d", "microphone", str(folder / "given.wav")], env=server.environment, check=True, timeout=120
        )
        time.sleep(1)  # what is still in the buffers
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        recorder.terminate()
        recorder.wait()
    assert process.returncode == 0, errors
    return json.loads(printed)


def _streams(environment: dict[str, str]) -> bool:
    """Whether a program plays and records."""
    listed = [
        subprocess.run(["pactl", "list", "short", kind], env=environment, capture_output=True, text=True).stdout
        for kind in ("sink-inputs", "source-outputs")
    ]
    return bool(listed[0].strip()) and listed[1].count("\n") >= 2


def aligned(reference: np.ndarray, heard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of `heard` that fits `reference` best, and as much of `reference`."""
    size = len(reference) + len(heard)
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(reference, size))
    lag = int(np.fft.irfft(spectrum, size).argmax())
    first = max(lag if lag < len(heard) else lag - size, -len(reference))
    start, begin = (first, 0) if first >= 0 else (0, -first)
    length = min(len(heard) - start, len(reference) - begin)
    return reference[begin : begin + length], heard[start : start + length]
