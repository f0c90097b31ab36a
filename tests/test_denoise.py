"""`tinyse denoise`: files in their formats, folders whose bad files are named, and pipes; with a denoiser that halves."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from firmware_export.vectors import sound
from tinyse.audio import pcm
from tinyse.audio.encoding import SoundWriter
from tinyse.commands import main as command_line
from tinyse.errors import InputError
from tinyse.streaming import batch
from tinyse.streaming.denoiser import Denoiser
from tinyse.streaming.rates import Resampler
from tinyse.streaming.sound import denoised, notices

RATE = 16000
runner = CliRunner()


class Halving:
    """Stands in for `Denoiser`: 64 samples late, and half as loud."""

    delay, latency_ms, sample_rate = 64, 20.0, RATE
    engine = SimpleNamespace(name="halving")

    def __init__(self, model=None, engine=None, attenuation_limit_db=None):
        self.reset()

    def reset(self):
        self.waiting = np.zeros(self.delay, np.float32)

    def process(self, chunk):
        stream = np.concatenate([self.waiting, chunk / 2])
        self.waiting = stream[len(chunk) :]
        return stream[: len(chunk)]

    def flush(self):
        rest = self.waiting
        self.reset()
        return rest


@pytest.fixture
def halving(monkeypatch):
    monkeypatch.setattr(batch, "Denoiser", Halving)
    batch._opened.cache_clear()
    yield
    batch._opened.cache_clear()


def denoise(*arguments: object):
    return runner.invoke(command_line.app, ["denoise", *map(str, arguments)])


def run(*arguments: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tinyse", "denoise", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **options)


def write_noise(path: Path, seconds: float = 2.3, rate: int = RATE, **options) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pcm = np.random.default_rng(0).integers(-9999, 9999, round(seconds * rate), dtype=np.int16)
    soundfile.write(path, pcm / 32768, rate, **options)
    return pcm


# Files


def test_a_file_keeps_length_and_place(halving, tmp_path):
    given = write_noise(tmp_path / "noisy.wav")
    answer = denoise(tmp_path / "noisy.wav", tmp_path / "clean.wav")
    assert answer.exit_code == 0
    assert "real-time factor" in answer.stdout
    assert "20 ms" in answer.stdout
    clean, _ = soundfile.read(tmp_path / "clean.wav", dtype="int16")
    assert len(clean) == len(given)
    assert np.abs(clean - given / 2).max() <= 0.5


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.flac", "FLAC"),
        ("a.mp3", "MP3"),
        ("a.ogg", "OGG"),
        ("a.opus", "OGG"),
        ("a.aiff", "AIFF"),
        ("a.WAV", "WAV"),
        ("a", "WAV"),
    ],
)
def test_an_output_is_what_its_suffix_says(halving, tmp_path, name, format):
    given = write_noise(tmp_path / "noisy.wav")
    assert denoise(tmp_path / "noisy.wav", tmp_path / name).exit_code == 0
    info = soundfile.info(tmp_path / name)
    assert info.format == format
    assert info.samplerate in (RATE, 48000)  # opus is always decoded at 48 kHz
    if format in ("FLAC", "AIFF", "WAV"):
        assert np.abs(soundfile.read(tmp_path / name, dtype="int16")[0] - given / 2).max() <= 0.5


@pytest.mark.parametrize("name", ["a.m4a", "a.txt", "a.wav.bak"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(halving, tmp_path, name):
    write_noise(tmp_path / "noisy.wav")
    answer = denoise(tmp_path / "noisy.wav", tmp_path / name)
    assert isinstance(answer.exception, InputError)
    assert ".flac" in str(answer.exception)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("samples", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_a_wav_keeps_its_sample_format(halving, tmp_path, samples):
    given = write_noise(tmp_path / "noisy.wav", subtype=samples)
    assert denoise(tmp_path / "noisy.wav", tmp_path / "clean.wav").exit_code == 0
    assert soundfile.info(tmp_path / "clean.wav").subtype == samples
    clean = soundfile.read(tmp_path / "clean.wav")[0]
    assert np.abs(clean - given / 65536).max() <= (0.02 if samples in ("PCM_U8", "ULAW", "ALAW") else 2**-16)


def test_24_bits_do_not_fit_into_an_mp3_and_that_is_no_error(halving, tmp_path):
    write_noise(tmp_path / "noisy.wav", subtype="PCM_24")
    assert denoise(tmp_path / "noisy.wav", tmp_path / "clean.mp3").exit_code == 0


def test_an_input_is_not_overwritten(halving, tmp_path):
    given = write_noise(tmp_path / "a.wav")
    assert isinstance(denoise(tmp_path, tmp_path).exception, InputError)
    assert np.array_equal(soundfile.read(tmp_path / "a.wav", dtype="int16")[0], given)


# Folders


def test_a_folder_is_done_file_by_file_and_reported_as_json(halving, tmp_path):
    write_noise(tmp_path / "in" / "a.wav")
    write_noise(tmp_path / "in" / "deep" / "b.flac", rate=48000)
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    answer = denoise(tmp_path / "in", tmp_path / "out", "--json")
    assert answer.exit_code == 0
    report = json.loads(answer.stdout)
    assert report["seconds"] == pytest.approx(4.6, abs=0.01)
    written = {Path(file["out"]).relative_to(tmp_path).as_posix() for file in report["files"]}
    assert written == {"out/a.wav", "out/deep/b.wav"}
    assert any("48000" in notice for file in report["files"] for notice in file["notices"])
    assert "48000" in answer.stderr
    assert (tmp_path / "out" / "deep" / "b.wav").is_file()


def bad_folder(folder: Path) -> None:
    """Two good files, and every kind of bad one between them."""
    write_noise(folder / "a.wav", 0.3)
    (folder / "b.wav").write_bytes(b"no sound at all")
    (folder / "c.flac").write_bytes(b"")
    soundfile.write(folder / "d.wav", np.full(100, np.nan, np.float32), RATE, subtype="FLOAT")
    (folder / "e.m4a").write_bytes(b"\0\0\0\x20ftypM4A broken")
    (folder / "f.wav").symlink_to(folder / "gone.wav")
    write_noise(folder / "z.wav", 0.3)


@pytest.mark.parametrize("processes", [1, 2])
def test_bad_files_are_named_and_the_others_done(tiny, tmp_path, processes):
    bad_folder(tmp_path / "in")
    answer = run(
        tmp_path / "in", tmp_path / "out", "--model", tiny.quantized, "--processes", processes, "--json", text=True
    )
    assert answer.returncode == 1
    report = json.loads(answer.stdout)
    errors = {Path(file["in"]).name: file["error"] for file in report["files"]}
    assert [name for name, error in errors.items() if error is None] == ["a.wav", "z.wav"]
    assert list(errors) == sorted(errors)
    assert report["failed"] == 5
    for name, error in errors.items():
        if error is not None:
            assert name in error
            assert error in answer.stderr
    assert "Traceback" not in answer.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "z.wav"]


def test_a_file_after_a_bad_one_starts_from_silence(tiny, tmp_path):
    """NaN in the middle of a stream must not leave its past to the next file."""
    given = write_noise(tmp_path / "in" / "b.wav", 0.3)
    spoiled = np.float32(given / 32768)
    spoiled[-1] = np.nan
    soundfile.write(tmp_path / "in" / "a.wav", spoiled, RATE, subtype="FLOAT")
    settings = batch.Settings(str(tiny.quantized))
    results = batch.denoise_files(batch.find_jobs(tmp_path / "in", tmp_path / "out"), settings)
    assert [result.error is None for result in results] == [False, True]
    clean = soundfile.read(tmp_path / "out" / "b.wav", dtype="int16")[0]
    np.testing.assert_array_equal(clean, Denoiser(tiny.quantized).denoise(given))


def test_nothing_but_bad_files_is_still_a_report(halving, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.wav").write_bytes(b"no sound at all")
    answer = denoise(tmp_path / "in", tmp_path / "out", "--json")
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["real_time_factor"] is None


def test_a_library_that_stumbles_over_one_file_does_not_end_the_others(halving, tmp_path, monkeypatch):
    write_noise(tmp_path / "in" / "a.wav", 0.1)
    write_noise(tmp_path / "in" / "b.wav", 0.1)
    read = batch.audio.read_channels
    monkeypatch.setattr(
        batch.audio, "read_channels", lambda path, mono: read(path, mono) if path.name == "b.wav" else [][1]
    )
    answer = denoise(tmp_path / "in", tmp_path / "out", "--processes", 1)
    assert answer.exit_code == 1
    assert "a.wav: IndexError" in answer.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.wav"]


def test_names_that_fall_together_are_refused(halving, tmp_path):
    write_noise(tmp_path / "in" / "a.wav")
    write_noise(tmp_path / "in" / "a.flac")
    assert isinstance(denoise(tmp_path / "in", tmp_path / "out").exception, InputError)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["in/clean", "."])
def test_a_folder_in_the_folder_or_around_it_may_be_written_to_again(halving, tmp_path, out):
    """What the first call wrote into it is no input of the second."""
    write_noise(tmp_path / "in" / "a.wav")
    write_noise(tmp_path / "in" / "b" / "c.wav")
    for _ in range(2):
        answer = denoise(tmp_path / "in", tmp_path / out, "--json")
        assert [Path(file["out"]) for file in json.loads(answer.stdout)["files"]] == [
            tmp_path / out / "a.wav",
            tmp_path / out / "b/c.wav",
        ]


def test_an_empty_folder_says_what_it_looked_for(halving, tmp_path):
    answer = denoise(tmp_path, tmp_path / "out")
    assert isinstance(answer.exception, InputError)
    assert ".flac" in str(answer.exception)


# Pipes


def test_raw_samples_through_a_pipe_are_the_denoised_file(tiny, tmp_path):
    given = sound(RATE + 37)
    expected = Denoiser(tiny.quantized).denoise(given)
    answer = run("-", "-", "--model", tiny.quantized, input=given.tobytes())
    assert answer.returncode == 0, answer.stderr
    np.testing.assert_array_equal(np.frombuffer(answer.stdout, "<i2"), expected)
    soundfile.write(tmp_path / "x.wav", given, RATE)
    assert run(tmp_path / "x.wav", "-", "--model", tiny.quantized, cwd=tmp_path).stdout == answer.stdout
    assert not (tmp_path / "-").exists()
    assert run("-", tmp_path / "y.flac", "--model", tiny.quantized, input=given.tobytes()).returncode == 0
    np.testing.assert_array_equal(soundfile.read(tmp_path / "y.flac", dtype="int16")[0], expected)


def test_a_wav_on_standard_input_comes_out_as_a_wav_of_its_kind(tiny):
    """What `arecord | tinyse denoise - - | aplay` does without any option: unsigned 8 bits at 8 kHz, of unknown size."""
    given = pcm.wav_header("u8", 8000) + pcm.encode(np.float32(sound(8000) / 32768), "u8")
    answer = run("-", "-", "--model", tiny.quantized, input=given)
    assert answer.returncode == 0, answer.stderr
    layout, _ = pcm.read_header(io.BytesIO(answer.stdout))
    assert (layout.format, layout.rate, layout.channels) == ("u8", 8000, 1)
    assert len(answer.stdout) == len(given)


def test_a_pipe_gives_what_it_can_before_the_end(tiny):
    """A live pipe that waited for its end would be silent."""
    command = [sys.executable, "-m", "tinyse", "denoise", "-", "-", "--model", str(tiny.quantized)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdin.write(sound(RATE).tobytes())
        process.stdin.flush()
        late = Denoiser(tiny.quantized).delay + 256
        assert len(process.stdout.read(2 * (RATE - late))) == 2 * (RATE - late)
        process.stdin.close()
        assert len(process.stdout.read()) == 2 * late
        assert process.wait(30) == 0
    finally:
        process.kill()


def test_a_listener_that_leaves_is_no_traceback(tiny):
    line = f"head -c 999999 /dev/zero | {sys.executable} -m tinyse denoise - - --model {tiny.quantized} | head -c 2"
    answer = subprocess.run(["bash", "-c", line], capture_output=True, timeout=60, check=False)
    assert answer.stdout == b"\0\0"
    assert answer.stderr == b""


def test_ffmpeg_on_both_sides(tiny, tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("apt-get install ffmpeg")
    soundfile.write(tmp_path / "x.wav", np.stack([sound(44100)] * 2, axis=1), 44100)
    raw = "-f s24le -ac 1 -ar 48000"
    line = (
        f"ffmpeg -loglevel error -i x.wav {raw} - "
        f"| {sys.executable} -m tinyse denoise - - --rate 48000 --format s24 --model {tiny.quantized} "
        f"| ffmpeg -loglevel error {raw} -i - y.flac"
    )
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "y.flac").frames == pytest.approx(48000, abs=2)


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        (("-", "-", "--rate", "8000"), pcm.wav_header("s16", RATE), "leave out --rate"),
        (("-", "-"), pcm.wav_header("s16", RATE)[:20], "ends in its header"),
        (("-", "-"), b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "without a format"),
        (("-", "-", "--processes", "2"), b"", "--processes"),
        (("{folder}", "-"), b"", "not a folder"),
        (("-", "-", "--format", "f32"), np.float32([0, np.nan]).tobytes(), "standard input: samples hold NaN"),
        (("-", "-", "--format", "f32"), np.float32([1e30] * 9).tobytes(), "it was read as f32; give --format"),
        (("-", "x.m4a"), b"", "cannot write x.m4a"),
        (("a.wav", "b.wav", "--channels", "2"), b"", "give - as IN or OUT"),
        (("no.wav", "-"), b"", "no such file"),
        (("-", "-"), b"", "ended before the first sample"),
        (("-", "-"), b"fLaC" + bytes(99), "a file of the kind FLAC"),
    ],
)
def test_what_a_pipe_cannot_do_is_one_line(tiny, tmp_path, arguments, given, words):
    filled = (argument.format(folder=tmp_path) for argument in arguments)
    answer = run(*filled, "--model", tiny.quantized, input=given, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, b"")
    assert words in answer.stderr.decode()
    assert answer.stderr.count(b"\n") == 1


def test_a_pipe_without_a_sample_leaves_what_was_there(tiny, tmp_path):
    """`failing | tinyse denoise - out.wav` must not put silence of no length in the place of yesterday's file."""
    (tmp_path / "out.wav").write_bytes(b"yesterday's")
    for nothing in (b"", pcm.wav_header("s16", RATE)):
        answer = run("-", tmp_path / "out.wav", "--model", tiny.quantized, input=nothing)
        assert (answer.returncode, answer.stdout) == (2, b"")
        assert (tmp_path / "out.wav").read_bytes() == b"yesterday's"


@pytest.mark.parametrize("raw", [True, False])
def test_channels_that_a_pipe_mixes_down_are_said(tiny, raw):
    given = np.stack([sound(300), sound(300)], axis=1).tobytes()
    what = ["--channels", 2] if raw else []
    answer = run("-", "-", "--mono", *what, "--model", tiny.quantized,
                 input=given if raw else pcm.wav_header("s16", RATE, channels=2) + given)  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, b"note: 2 channels mixed down to one\n")
    assert len(answer.stdout) == 600 + (0 if raw else 44)


def test_a_wav_of_doubles_leaves_as_one(tiny):
    file = io.BytesIO()
    soundfile.write(file, sound(300) / 32768, RATE, format="WAV", subtype="DOUBLE")
    answer = run("-", "-", "--model", tiny.quantized, input=file.getvalue())
    assert answer.returncode == 0, answer.stderr
    assert struct.unpack("<HH", answer.stdout[20:22] + answer.stdout[34:36]) == (3, 64)


def test_half_a_sample_at_the_end_is_said(tiny):
    answer = run("-", "-", "--model", tiny.quantized, input=sound(300).tobytes() + b"\1")
    assert len(answer.stdout) == 600
    assert b"1 bytes at the end" in answer.stderr


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(pcm.FORMATS)), st.lists(st.floats(-1, 1, width=32), max_size=50))
def test_samples_come_back_within_half_a_step(format, values):
    samples = np.array(values, np.float32)
    back = pcm.decode(pcm.encode(samples, format), pcm.SampleSpec(format, RATE))
    step = {"u8": 2**-7, "s16": 2**-15}.get(format, 2**-23)
    np.testing.assert_allclose(back, np.clip(samples, -1, 1 - (step if format != "f32" else 0)), atol=0.51 * step)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([8000, 11025, 16000, 44100, 48000]),
    st.sampled_from([8000, 16000, 48000]),
    st.lists(st.integers(0, 3000), max_size=6),
)
def test_a_pipe_is_as_long_at_any_rate(rate, target_rate, lengths):
    blocks = [np.full((length, 2), 0.1, np.float32) for length in lengths]
    made = sum(map(len, denoised(Halving(), blocks, rate, target_rate)))
    assert made == round(sum(lengths) * target_rate / rate)


# Rates and channels


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_file_gets_back_its_rate_and_its_channels(halving, tmp_path, rate, channels):
    """Each channel its own tone, below every rate's half: halved, in its place, and in no other channel."""
    time = np.arange(round(1.3 * rate)) / rate
    tones = np.stack([np.sin(2 * np.pi * (300 + 400 * n) * time) / 4 for n in range(channels)], axis=1)
    soundfile.write(tmp_path / "noisy.wav", tones, rate, subtype="FLOAT")
    answer = denoise(tmp_path / "noisy.wav", tmp_path / "clean.wav", "--json")
    assert answer.exit_code == 0, answer.exception
    clean, written = soundfile.read(tmp_path / "clean.wav", always_2d=True)
    assert (written, clean.shape) == (rate, tones.shape)
    inner = slice(rate // 10, -rate // 10)
    error = clean[inner] - tones[inner] / 2
    assert 10 * np.log10(np.square(tones[inner] / 2).mean() / np.square(error).mean()) > 80
    (facts,) = json.loads(answer.stdout)["files"]
    assert (facts["rate"], facts["channels"]) == (rate, channels)
    more = facts["latency_ms"] - Halving.latency_ms
    assert more == 0 if rate == RATE else 10 < more < 300


def test_channels_through_a_model_are_what_each_gives_alone(tiny, tmp_path):
    left, right = sound(9000), sound(9000)[::-1].copy()
    soundfile.write(tmp_path / "both.wav", np.stack([left, right], axis=1), RATE)
    assert denoise(tmp_path / "both.wav", tmp_path / "clean.wav", "--model", tiny.quantized).exit_code == 0
    clean = soundfile.read(tmp_path / "clean.wav", dtype="int16")[0]
    for number, alone in enumerate((left, right)):
        np.testing.assert_array_equal(clean[:, number], Denoiser(tiny.quantized).denoise(alone))


def test_mono_and_rate_ask_for_what_was_given_before(halving, tmp_path):
    soundfile.write(tmp_path / "noisy.wav", np.full((24000, 2), 0.25), 48000)
    assert denoise(tmp_path / "noisy.wav", tmp_path / "clean.wav", "--mono", "--rate", RATE).exit_code == 0
    info = soundfile.info(tmp_path / "clean.wav")
    assert (info.samplerate, info.channels, info.frames) == (RATE, 1, 8000)


def test_opus_has_no_44100_hz_and_that_is_said(halving, tmp_path):
    write_noise(tmp_path / "noisy.wav", rate=44100)
    answer = denoise(tmp_path / "noisy.wav", tmp_path / "clean.opus")
    assert answer.exit_code == 0, answer.exception
    assert "written at 48000 Hz: .opus has no 44100 Hz" in answer.stderr


@pytest.mark.parametrize("rate", [200_001, 384_000])
def test_vorbis_ends_at_200_khz(tmp_path, rate):
    """Beyond it the library does not refuse: the process is gone."""
    write_noise(tmp_path / "noisy.wav", rate=rate)
    answer = run(tmp_path / "noisy.wav", tmp_path / "clean.ogg")
    assert answer.returncode == 0, answer.stderr
    assert f"written at 200000 Hz: .ogg has no {rate} Hz".encode() in answer.stderr
    assert soundfile.info(tmp_path / "clean.ogg").samplerate == 200_000
    with pytest.raises(InputError, match="has 200000 Hz at most"):
        SoundWriter(tmp_path / "other.ogg", sample_rate=rate)


def test_a_pipe_into_a_format_without_its_rate_says_so(tiny, tmp_path):
    answer = run("-", tmp_path / "out.opus", "--model", tiny.quantized, "--rate", 44100, input=sound(4410).tobytes())
    assert answer.returncode == 0, answer.stderr
    assert b"written at 48000 Hz: .opus has no 44100 Hz" in answer.stderr
    assert b"and back" not in answer.stderr


@pytest.mark.parametrize(
    ("rate", "target_rate", "said"),
    [
        (RATE, RATE, []),
        (RATE, 8000, ["resampled to 8000 Hz"]),
        (8000, RATE, [f"resampled from 8000 Hz to the model's {RATE} Hz"]),
        (8000, 8000, [f"resampled from 8000 Hz to the model's {RATE} Hz and back"]),
        (
            44100,
            48000,
            [f"resampled from 44100 Hz to the model's {RATE} Hz and to 48000 Hz: nothing above 8 kHz is left"],
        ),
    ],
)
def test_what_is_said_of_resampling_is_what_is_done(rate, target_rate, said):
    assert notices(Halving(), rate, target_rate) == said


def test_a_file_in_a_folder_is_named(halving, tmp_path):
    write_noise(tmp_path / "noisy.wav")
    (tmp_path / "out").mkdir()
    assert str(tmp_path / "out" / "noisy.wav") in denoise(tmp_path / "noisy.wav", tmp_path / "out").stdout


def test_a_pipe_of_two_channels_keeps_them_and_its_rate(tiny):
    left, right = sound(4410), sound(4410)[::-1]
    given = np.stack([left, right], axis=1).astype("<i2").tobytes()
    answer = run("-", "-", "--model", tiny.quantized, "--rate", 44100, "--channels", 2, "--json", input=given)
    assert answer.returncode == 0, answer.stderr
    assert len(answer.stdout) == len(given)
    facts = json.loads(answer.stderr[answer.stderr.index(b"{") :].rpartition(b"}")[0] + b"}")
    assert (facts["rate"], facts["channels"]) == (44100, 2)
    assert facts["latency_ms"] > 40
    header = pcm.wav_header("s16", 44100, channels=2)
    again = run("-", "-", "--model", tiny.quantized, input=header + given)
    assert again.stdout == header + answer.stdout
    mixed = run("-", "-", "--model", tiny.quantized, "--mono", input=header + given)
    assert len(mixed.stdout) == len(header) + len(given) // 2


@pytest.mark.parametrize("rates", [(44100, 16000), (16000, 44100), (8000, 16000), (48000, 16000)])
def test_the_stated_latency_of_resampling_is_kept(rates):
    """Nothing waits longer, whatever the stream holds; half of it would be too little."""
    resampler, given, worst = Resampler(*rates), 0, 0.0
    for number in range(400):
        piece = np.random.default_rng(number).normal(0, 0.1, rates[0] // 100).astype(np.float32)
        given += len(resampler.process(piece))
        worst = max(worst, (number + 1) / 100 - given / rates[1])
    assert worst - 1e-9 <= resampler.latency < 1.2 * worst


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        (("-", "-", "--channels", "0"), b"", "--channels: 0 channels; sound has 1 to 64"),
        (("-", "-", "--channels", "200"), b"", "200 channels"),
        (("-", "-", "--rate", "999"), b"", "--rate: a rate of 999 Hz; sound has 1000 to 768000 Hz"),
        (("-", "-", "--rate", "768001"), b"", "768001 Hz"),
        (("-", "-"), pcm.wav_header("s16", 768001), "768001 Hz"),
        (("-", "-"), pcm.wav_header("s16", 0), "0 Hz"),
        (("-", "-"), pcm.wav_header("s16", RATE, channels=0), "0 channels"),
        (("-", "-"), pcm.wav_header("s16", RATE, channels=200), "200 channels"),
        (("many.wav", "out.wav"), b"", "many.wav: 200 channels"),
        (("slow.wav", "out.wav"), b"", "slow.wav: a rate of 500 Hz"),
        (("fast.wav", "out.wav"), b"", "fast.wav: a rate of 900000 Hz"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(tmp_path, arguments, given, words):
    soundfile.write(tmp_path / "many.wav", np.zeros((9, 200)), RATE)
    soundfile.write(tmp_path / "slow.wav", np.zeros(9), 500)
    soundfile.write(tmp_path / "fast.wav", np.zeros(9), 900_000)
    answer = run(*arguments, input=given, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, b"")
    assert words in answer.stderr.decode()
    assert answer.stderr.count(b"\n") == 1
    assert not (tmp_path / "out.wav").exists()
