"""Live sound: the ring, the session between files, a real sound server, and what happens where there is none."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import subprocess
import sys
import threading
import time
import types
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
import sound_server
import soundfile
import soxr

from firmware_export.vectors import sound
from tinyse import audio
from tinyse.commands.live import live
from tinyse.errors import InputError
from tinyse.evaluation.metrics import si_sdr
from tinyse.live.endpoints import FileSink, FileSource
from tinyse.live.meters import LevelMeter
from tinyse.live.ring import Ring
from tinyse.live.screen import KEYS, picture, summary
from tinyse.live.session import Session
from tinyse.live.wav import Recorder
from tinyse.streaming.denoiser import Denoiser

RATE = 16000


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tinyse", *map(str, arguments)]


def run(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory) -> Path:
    """Three seconds, and some samples that fill no hop."""
    path = tmp_path_factory.mktemp("live") / "noisy.wav"
    soundfile.write(path, sound(3 * RATE + 37), RATE)
    return path


# The ring.


def test_a_ring_keeps_the_order_around_its_end():
    ring = Ring(10)
    given, taken = np.arange(100, dtype=np.float32), []
    for first in range(0, 100, 7):
        ring.write(given[first : first + 7])
        taken.append(ring.read(99))
    np.testing.assert_array_equal(np.concatenate(taken), given)
    assert ring.overruns == 0


def test_a_full_ring_forgets_the_oldest_down_to_what_it_keeps():
    ring = Ring(10, keep=4)
    ring.write(np.arange(9, dtype=np.float32))
    ring.write(np.arange(9, 12, dtype=np.float32))
    np.testing.assert_array_equal(ring.read(99), [5, 6, 7, 8, 9, 10, 11])
    assert (ring.overruns, ring.dropped) == (1, 5)
    ring.write(np.arange(25, dtype=np.float32))
    np.testing.assert_array_equal(ring.read(99), np.arange(15, 25))


def test_a_patient_writer_and_reader_lose_nothing():
    ring = Ring(16)
    given = np.arange(1000, dtype=np.float32)
    writer = threading.Thread(target=lambda: (ring.put(given), ring.close()))
    writer.start()
    taken = []
    while not ring.drained:
        taken.append(ring.take(7, 10.0))
    writer.join()
    np.testing.assert_array_equal(np.concatenate(taken), given)


def test_a_closed_ring_lets_everybody_go():
    ring = Ring(4)
    ring.close()
    ring.put(np.zeros(100, np.float32))
    assert not len(ring.take(4, 60.0))


# Between files, by the way of the microphone.


def test_a_live_file_is_the_denoised_file_bit_for_bit(tiny, noisy, tmp_path):
    answer = run(
        "live", "--model", tiny.quantized, "--input", noisy, "--output", tmp_path / "live.wav", "--realtime", "--json"
    )
    assert answer.returncode == 0, answer.stderr
    assert run("denoise", noisy, tmp_path / "file.wav", "--model", tiny.quantized).returncode == 0
    assert (tmp_path / "live.wav").read_bytes() == (tmp_path / "file.wav").read_bytes()
    figures = json.loads(answer.stdout)
    assert figures["seconds"] == pytest.approx(3, abs=0.1)
    assert figures["algorithmic_ms"] == 32
    assert (figures["underruns"], figures["overruns"]) == (0, 0)


def test_another_rate_is_converted_on_the_way(tiny, noisy, tmp_path):
    """In pieces, and yet what a file of that rate is when it is read at once."""
    fast = tmp_path / "fast.wav"
    soundfile.write(fast, soxr.resample(soundfile.read(noisy)[0] / 2, RATE, 44100), 44100)
    expected, _ = audio.read(fast)
    heard = session_between(tiny, fast, tmp_path / "heard.wav", lambda session: setattr(session, "bypass", True))
    assert len(heard) == pytest.approx(len(expected), abs=1)
    length = min(len(heard), len(expected))
    assert si_sdr(expected[:length], heard[:length]) > 60


def session_between(tiny, source: Path, target: Path, prepare=lambda session: None) -> np.ndarray:
    session = Session(Denoiser(tiny.quantized), FileSource(source, realtime=False), FileSink(target))
    prepare(session)
    session.start()
    assert session.wait(30)
    session.stop()
    return soundfile.read(target, dtype="float32")[0]


def test_bypass_is_the_input_and_as_late_as_the_output(tiny, noisy, tmp_path):
    def bypass(session):
        session.bypass = True

    heard = session_between(tiny, noisy, tmp_path / "heard.wav", bypass)
    np.testing.assert_array_equal(heard, soundfile.read(noisy, dtype="float32")[0])


def test_mute_is_silence_and_both_sides_are_recorded(tiny, noisy, tmp_path):
    def mute(session):
        session.mute = True
        session.record(tmp_path / "both")

    heard = session_between(tiny, noisy, tmp_path / "heard.wav", mute)
    assert not heard.any()
    dry, muted = (soundfile.read(tmp_path / f"both-{side}.wav", dtype="float32")[0] for side in ("in", "out"))
    assert len(dry) == len(muted) and not muted.any()
    delay = Denoiser(tiny.quantized).delay
    np.testing.assert_array_equal(dry[delay:], soundfile.read(noisy, dtype="float32")[0])


def test_stopping_leaves_a_whole_file(tiny, noisy, tmp_path):
    session = Session(Denoiser(tiny.quantized), FileSource(noisy, realtime=True), FileSink(tmp_path / "heard.wav"))
    session.start()
    while session.figures().seconds < 0.2:
        time.sleep(0.01)
    session.stop()
    assert 0.1 < len(soundfile.read(tmp_path / "heard.wav")[0]) / RATE < 3


@pytest.mark.parametrize("channels", [1, 2])
def test_a_live_file_has_the_notes_of_the_denoised_file(tiny, tmp_path, channels):
    """Channels that become one, resampling, clipping and a file that ends early are said, each once."""
    loud = np.clip(np.random.default_rng(0).normal(0, 1, (9000, channels)), -1, 1)
    soundfile.write(tmp_path / "whole.wav", loud, 48000)
    (tmp_path / "in.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:-600])
    live = run("live", "--model", tiny.quantized, "--input", tmp_path / "in.wav", "--output", tmp_path / "live.wav")
    line = ("denoise", tmp_path / "in.wav", tmp_path / "file.wav", "--mono", "--rate", RATE)
    file = run(*line, "--model", tiny.quantized)
    assert (live.returncode, file.returncode) == (0, 0), live.stderr + file.stderr
    assert live.stderr == file.stderr
    assert file.stderr.count("\n") == 2 + channels, file.stderr
    assert ("note: 2 channels mixed down to one" in file.stderr) == (channels == 2)


def test_sound_that_is_none_ends_the_session_with_one_line(tiny, tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    answer = run("live", "--model", tiny.quantized, "--input", tmp_path / "nan.wav", "--output", tmp_path / "heard.wav")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1), answer.stderr
    assert "NaN" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--input", "{noisy}", "--output", "{noisy}"), "would be overwritten"),
        (("--input", "nowhere.wav", "--output", "out.wav"), "cannot read nowhere.wav"),
        (("--realtime", "--output", "out.wav"), "--realtime is for reading a file"),
        (("--input", "{noisy}", "--output", "/proc/no/out.wav"), "cannot write"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tiny, noisy, arguments, words):
    answer = run("live", "--model", tiny.quantized, *(argument.format(noisy=noisy) for argument in arguments))
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1), answer.stderr
    assert words in answer.stderr


# Meters and screen.


def test_the_floor_is_the_noise_between_words():
    meter = LevelMeter(62.5)
    rng = np.random.default_rng(0)
    for block in range(300):
        loud = 0.5 if block % 3 else 0.01
        meter.add(np.float32(rng.choice([-loud, loud], 256)))
    assert meter.floor_db == pytest.approx(-40, abs=1)
    assert meter.level_db > -10
    meter.add(np.ones(256, np.float32))
    assert meter.clipped == 256
    assert meter.peak_db == 0


def test_the_screen_shows_every_figure_and_key(tiny, noisy, tmp_path):
    from rich.console import Console

    session = Session(Denoiser(tiny.quantized), FileSource(noisy, False), FileSink(tmp_path / "out.wav"))
    session.bypass = True
    session.start()
    session.wait(30)
    figures = session.figures()
    session.stop()
    console = Console(width=100)
    with console.capture() as captured:
        console.print(picture(figures, "tiny live"))
    shown = captured.get()
    for word in ("input", "output", "noise reduction", "algorithmic", "compute", "driver", "real-time", "underruns"):
        assert word in shown
    for meaning in KEYS.values():
        assert meaning in shown
    assert "underruns" in summary(figures)


def test_keys_work_in_a_terminal(tiny, noisy, tmp_path):
    """b, m, 0 and r are shown or leave files; q ends before the file does."""
    controller, terminal = pty.openpty()
    arguments = ("--model", tiny.quantized, "--input", noisy, "--output", tmp_path / "out.wav", "--realtime")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        command("live", *arguments),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=tmp_path,
        env=environment,
        close_fds=True,
    )
    os.close(terminal)
    shown = b""

    def read_until(word: bytes) -> None:
        nonlocal shown
        end = time.monotonic() + 30
        while word not in shown and time.monotonic() < end:
            if select.select([controller], [], [], 0.2)[0]:
                with contextlib.suppress(OSError):  # what Linux says when the other side has closed
                    shown += os.read(controller, 65536)
        assert word in shown, shown[-2000:]

    read_until(b"noise reduction")
    os.write(controller, b"bm0r")
    read_until(b"recording to")
    os.write(controller, b"q")
    read_until(b"late hops, ")
    assert process.wait(30) == 0
    os.close(controller)
    assert len(list(tmp_path.glob("tinyse-*-in.wav"))) == len(list(tmp_path.glob("tinyse-*-out.wav"))) == 1


# Where there is no sound system.


def test_no_portaudio_is_said_with_what_to_do(monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(InputError, match="apt-get install libportaudio2"):
        live(devices=True)


@pytest.mark.parametrize("name", ["x.m4a", "x.raw", "folder/x.pcm"])
def test_an_output_of_a_format_that_cannot_be_written_is_no_device(tiny, noisy, monkeypatch, name):
    monkeypatch.setattr("tinyse.live.devices.find", lambda *_: pytest.fail("taken for a device"))
    with pytest.raises(InputError, match=f"cannot write {name}.*is not a format that can be written"):
        live(source=str(noisy), sink=name, model=str(tiny.quantized))


def test_a_file_that_is_no_sound_is_named(tiny, tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.float32([0, np.nan]), 16000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"nan\.wav: it holds samples that are NaN"):
        live(source=str(tmp_path / "nan.wav"), sink=str(tmp_path / "out.wav"), model=str(tiny.quantized))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mic", "fits 2 devices.*0: 'Mic A', 1: 'Mic B'"),
        ("lamp", "no input device is named 'lamp': there are 'Mic A', 'Mic B'"),
        (None, "no input device is the default"),
    ],
)
def test_devices_are_chosen_by_name(monkeypatch, name, words):
    from tinyse.live import devices

    described = [
        {"index": i, "name": f"Mic {x}", "max_input_channels": 1, "max_output_channels": 0, "default_samplerate": 48e3}
        for i, x in enumerate("AB")
    ]
    default = types.SimpleNamespace(device=(-1, -1))
    fake = types.SimpleNamespace(query_devices=lambda: described, default=default)
    monkeypatch.setattr(devices, "portaudio", lambda: fake)
    assert devices.find("b", "input")["index"] == 1
    assert devices.find("0", "input")["name"] == "Mic A"
    with pytest.raises(InputError, match=words):
        devices.find(name, "input")
    with pytest.raises(InputError, match="has no output device"):
        devices.find(None, "output")


def test_a_loudspeaker_that_ran_dry_waits_until_there_is_enough_again():
    from tinyse.live.devices import Loudspeaker

    fine = types.SimpleNamespace(output_underflow=False)
    loudspeaker, ring = Loudspeaker.__new__(Loudspeaker), Ring(100)
    loudspeaker._ring, loudspeaker._target, loudspeaker.faults = ring, 20, 0
    loudspeaker._filling, loudspeaker._begun = True, False

    def play() -> list[float]:
        block = np.full((10, 1), np.nan, np.float32)
        loudspeaker._callback(block, 10, None, fine)
        return block[:, 0].tolist()

    ring.write(np.ones(15, np.float32))
    assert play() == [0] * 10 and loudspeaker.faults == 0
    ring.write(np.ones(10, np.float32))
    assert play() == play() == [1] * 10
    assert play() == [1] * 5 + [0] * 5 and loudspeaker.faults == 1
    ring.write(np.ones(15, np.float32))
    assert play() == [0] * 10 and loudspeaker.faults == 1
    ring.close()
    assert play() == [1] * 10 and play() == [1] * 5 + [0] * 5
    assert loudspeaker.faults == 1


def test_a_driver_that_hangs_is_opened_again_once():
    from tinyse.live import devices

    opened = []
    microphone = devices.Microphone.__new__(devices.Microphone)
    microphone.name, microphone.faults, microphone._reopened = "Mic", 0, False
    microphone._sounddevice = types.SimpleNamespace(PortAudioError=RuntimeError)
    microphone._last, microphone._patience = -10.0, devices.STALLED_SECONDS
    microphone.stop, microphone._open = lambda: None, lambda: opened.append(1)
    microphone.check()
    assert (len(opened), microphone.faults) == (1, 1)
    with pytest.raises(InputError, match="'Mic' stopped: it was unplugged"):
        microphone.check()
    microphone._alive()
    microphone.check()
    assert len(opened) == 1
    microphone._last = -10.0
    microphone.check()
    assert len(opened) == 2


# A real sound server: two null sinks are microphone and loudspeaker.


@pytest.fixture
def server(request, tmp_path):
    """A private PulseAudio, which ends with the test, its devices at the rate that the test asks for."""
    pytest.importorskip(
        "sounddevice", reason="pip install 'tinyse[live]', apt-get install libportaudio2", exc_type=OSError
    )
    with sound_server.running(tmp_path / "p", getattr(request, "param", RATE)) as server:
        if server is None:
            pytest.skip(f"no sound server starts here: {sound_server.PACKAGES}")
        yield server


@pytest.mark.parametrize("server", [RATE, 48000], indirect=True)
def test_microphone_to_loudspeaker_is_the_denoised_file(tiny, server, tmp_path):
    """What a loudspeaker played is what `tinyse denoise` makes of the file that went into the microphone.

    A busy machine is no fault of the path: where sound was lost, and counted, the test tries again.
    """
    given = soxr.resample(sound(3 * 4 * RATE // 5) / 32768, 4, 5) / 2  # nothing up to where resamplers begin to fall
    soundfile.write(tmp_path / "given.wav", soxr.resample(given, RATE, server.rate), server.rate)
    for _ in range(3):
        options = ("--model", tiny.quantized, "--device-rate", server.rate, "--buffer-ms", 400)
        figures = sound_server.carry(server, tmp_path, *options)
        names = ("x-in.wav", "x-out.wav", "heard.wav")
        dry, out, heard = (soundfile.read(tmp_path / name, dtype="float32")[0] for name in names)
        # Both sides of the recording are late by the denoiser's delay; the microphone's first sample is after it.
        denoiser = Denoiser(tiny.quantized)
        dry, out = dry[denoiser.delay :], out[denoiser.delay :]
        expected = denoiser.denoise(dry)
        ratios = {
            "into the microphone": si_sdr(*sound_server.aligned(given, dry)),
            "through the model": si_sdr(expected, out),
            "out of the loudspeaker": si_sdr(*sound_server.aligned(expected, soxr.resample(heard, server.rate, RATE))),
        }
        if min(ratios.values()) > 30:
            return
    if figures["underruns"] or figures["overruns"]:
        pytest.skip(f"this machine is too busy to play sound: {figures}")
    pytest.fail(f"sound is lost on the way: {ratios} dB, {figures}")


def test_a_device_that_is_lost_ends_the_session_with_one_line(tiny, server):
    process = subprocess.Popen(
        command("live", "--model", tiny.quantized), env=server.environment, stderr=subprocess.PIPE, text=True
    )
    try:
        end = time.monotonic() + 30
        while not subprocess.run(
            ["pactl", "list", "short", "sink-inputs"], env=server.environment, capture_output=True
        ).stdout:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        time.sleep(0.5)
        server.process.kill()
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 2
    assert errors.count("\n") == 1, errors
    assert "stopped: it was unplugged" in errors


# Recordings that end badly.


def test_a_recording_on_a_full_disk_ends_and_the_session_goes_on(tiny, noisy, tmp_path, monkeypatch):
    full = tmp_path / "full"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", make(full)], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        arguments = ("--input", noisy, "--output", tmp_path / "out.wav", "--record", full / "both", "--json")
        answer = run("live", "--model", tiny.quantized, *arguments)
        assert answer.returncode == 1
        assert "No space left" in answer.stderr
        assert sum(not line.startswith("note:") for line in answer.stderr.splitlines()) == 1
        figures = json.loads(answer.stdout)
        assert figures["seconds"] == pytest.approx(3, abs=0.1)
        assert "No space left" in figures["recording_error"]
        assert len(soundfile.read(tmp_path / "out.wav")[0]) == 3 * RATE + 37
        recorded = soundfile.read(full / "both-in.wav", dtype="int16")[0]
        assert 4000 < len(recorded) < 2 * RATE
        delay = Denoiser(tiny.quantized).delay
        np.testing.assert_array_equal(
            recorded[delay:], soundfile.read(noisy, dtype="int16")[0][: len(recorded) - delay]
        )
        assert not list(full.glob("*.recording.wav"))
    finally:
        subprocess.run(["umount", full], check=True)


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_full_disk_is_known_without_a_disk(tiny, noisy, tmp_path, monkeypatch):
    """The same where mounting one is not allowed: the second block does not fit."""
    written = []

    def write(self, content):
        written.append(len(content))
        if len(content) > 100 and len([size for size in written if size > 100]) > 2:
            raise OSError(28, "No space left on device")
        return FileIO.write(self, content)

    monkeypatch.setattr("tinyse.live.wav.FileIO", type("Full", (FileIO,), {"write": write}))
    caught = []

    def prepare(session):
        session.record(tmp_path / "both")
        caught.append(session)

    heard = session_between(tiny, noisy, tmp_path / "heard.wav", prepare)
    assert len(heard) == 3 * RATE + 37
    assert "No space left" in caught[0].figures().recording_error
    for side in ("in", "out"):
        assert len(soundfile.read(tmp_path / f"both-{side}.wav")[0]) > RATE / 2


def test_an_output_that_fails_or_gets_nothing_leaves_what_was_there(tiny, noisy, tmp_path, monkeypatch):
    (tmp_path / "heard.wav").write_bytes(b"an earlier output")

    class Gone(FileSource):
        def start(self, ring, target):
            raise InputError("the microphone is gone")

    def full(self, samples):
        raise InputError("the disk is full")

    session = Session(Denoiser(tiny.quantized), Gone(noisy, realtime=False), FileSink(tmp_path / "heard.wav"))
    with pytest.raises(InputError, match="the microphone is gone"):
        session.start()
    FileSink(tmp_path / "heard.wav").stop()
    monkeypatch.setattr("tinyse.audio.encoding.SoundWriter.write", full)
    session = Session(Denoiser(tiny.quantized), FileSource(noisy, realtime=False), FileSink(tmp_path / "heard.wav"))
    session.start()
    assert session.wait(30)
    with pytest.raises(InputError, match="the disk is full"):
        session.stop()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("heard.wav", b"an earlier output")]


@pytest.mark.parametrize("first", ["in", "out"])
def test_a_recording_that_cannot_begin_leaves_nothing(tmp_path, monkeypatch, first):
    class Full(FileIO):
        def write(self, content):
            if f"-{first}." in str(self.name):
                raise OSError(28, "No space left on device")
            return super().write(content)

    monkeypatch.setattr("tinyse.live.wav.FileIO", Full)
    with pytest.raises(InputError, match=f"cannot write .*both-{first}.wav: No space left"):
        Recorder().start(tmp_path / "both")
    assert not list(tmp_path.iterdir())


def frames_of(path: Path) -> int:
    """What the header of a wav says, which may be being written."""
    with contextlib.suppress(soundfile.LibsndfileError):
        return soundfile.info(path).frames
    return 0


def test_a_recording_that_was_killed_plays(tiny, noisy, tmp_path):
    arguments = ("--input", noisy, "--output", tmp_path / "out.wav", "--realtime", "--record", tmp_path / "both")
    process = subprocess.Popen(command("live", "--model", tiny.quantized, *arguments), stdout=subprocess.DEVNULL)
    paths = [tmp_path / f"both-{side}.recording.wav" for side in ("in", "out")]
    end = time.monotonic() + 30
    # The second side is written after the first: what a kill in between leaves is a second shorter.
    while time.monotonic() < end and not all(path.exists() and frames_of(path) >= RATE - 256 for path in paths):
        time.sleep(0.01)
    process.kill()
    process.wait(30)
    assert all(len(soundfile.read(path, dtype="int16")[0]) >= RATE - 256 for path in paths)
    delay = Denoiser(tiny.quantized).delay
    recorded = soundfile.read(paths[0], dtype="int16")[0]
    np.testing.assert_array_equal(recorded[delay:], soundfile.read(noisy, dtype="int16")[0][: len(recorded) - delay])


def test_a_place_where_nothing_can_be_recorded_is_said_before_the_session(tiny, noisy, tmp_path):
    arguments = ("--input", noisy, "--output", tmp_path / "out.wav", "--record", "/proc/no/both")
    answer = run("live", "--model", tiny.quantized, *arguments)
    assert answer.returncode == 2
    (said,) = (line for line in answer.stderr.splitlines() if not line.startswith("note:"))
    assert said.startswith("tinyse: cannot write /proc/no/both-in.wav")


def test_an_order_to_record_where_nothing_can_be_written_does_not_end_the_session(tiny, noisy, tmp_path):
    session = Session(Denoiser(tiny.quantized), FileSource(noisy, realtime=True), FileSink(tmp_path / "heard.wav"))
    session.start()
    session.record(Path("/proc/no/both"))
    assert session.wait(30)
    session.stop()
    assert "cannot write" in session.figures().recording_error
    assert len(soundfile.read(tmp_path / "heard.wav")[0]) == 3 * RATE + 37


@pytest.mark.parametrize("seconds", [0.5, 0, 99])
def test_so_many_seconds_of_a_file(tiny, noisy, tmp_path, seconds):
    arguments = ("--input", noisy, "--output", tmp_path / "out.wav", "--seconds", seconds)
    assert run("live", "--model", tiny.quantized, *arguments).returncode == 0
    expected = min(round(seconds * RATE), 3 * RATE + 37)
    assert soundfile.info(tmp_path / "out.wav").frames == expected


def test_an_output_that_is_no_wav_is_no_wav_inside(tiny, noisy, tmp_path):
    arguments = ("--model", tiny.quantized, "--input", noisy, "--output")
    assert run("live", *arguments, tmp_path / "out.flac").returncode == 0
    assert soundfile.info(tmp_path / "out.flac").format == "FLAC"
    answer = run("live", *arguments, tmp_path / "out.m4a")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "cannot write" in answer.stderr or "no output device" in answer.stderr or "PortAudio" in answer.stderr
