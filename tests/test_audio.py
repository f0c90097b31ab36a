"""Reading what people have, refusing what cannot be used, and writing whole files."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinyse import audio
from tinyse.errors import InputError


def sine(seconds: float, rate: int = 16000, hz: float = 440.0, peak: float = 0.5) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@given(arrays.arrays(np.int16, st.integers(1, 200)))
def test_pcm16_survives_the_way_to_float_and_back(pcm):
    assert (audio.to_pcm16(audio.from_pcm16(pcm)) == pcm).all()


@given(st.floats(-4, 4, width=32))
def test_to_pcm16_rounds_and_clips(x):
    expected = min(max(round(float(np.float32(x) * np.float32(32768))), -32768), 32767)
    assert audio.to_pcm16(np.array([x], np.float32))[0] == expected


def test_write_then_read_gives_the_same_samples(tmp_path):
    pcm = np.random.default_rng(0).integers(-32768, 32768, 5000).astype(np.int16)
    for name, sound in (("float.wav", audio.from_pcm16(pcm)), ("int.wav", pcm)):
        audio.write(tmp_path / "new" / name, sound)
        samples, _ = audio.read(tmp_path / "new" / name)
        assert samples.dtype == np.float32
        assert (audio.to_pcm16(samples) == pcm).all()


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled_with_a_notice(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", sine(1.0, rate), rate)
    samples, notices = audio.read(tmp_path / "a.wav")
    assert abs(len(samples) - 16000) <= 1
    assert notices == [f"resampled from {rate} Hz to 16000 Hz"]
    middle = slice(2000, 14000)
    np.testing.assert_allclose(samples[middle], sine(1.0)[: len(samples)][middle], atol=2e-3)


def test_channels_are_mixed_down_with_a_notice(tmp_path):
    left, right = sine(0.5), sine(0.5, hz=1000)
    soundfile.write(tmp_path / "a.flac", np.stack([left, right], axis=1), 16000)
    samples, notices = audio.read(tmp_path / "a.flac")
    assert notices == ["2 channels mixed down to one"]
    np.testing.assert_allclose(samples, (left + right) / 2, atol=1e-4)


def test_clipping_is_noticed_and_a_single_peak_is_not(tmp_path):
    audio.write(tmp_path / "loud.wav", sine(0.5, peak=2.0))
    assert "clipped" in audio.read(tmp_path / "loud.wav")[1][0]
    peak = np.zeros(1000, np.float32)
    peak[500] = 1.0
    audio.write(tmp_path / "peak.wav", peak)
    assert audio.read(tmp_path / "peak.wav")[1] == []


@pytest.mark.parametrize("repaired", [False, True], ids=["cut", "cut, and its first size mended"])
def test_a_truncated_wav_is_read_up_to_there_with_a_notice(repaired, tmp_path):
    path = tmp_path / "a.wav"
    audio.write(path, sine(1.0))
    content = bytearray(path.read_bytes()[:16044])
    if repaired:
        content[4:8] = struct.pack("<I", len(content) - 8)
    path.write_bytes(content)
    samples, notices = audio.read(path)
    assert len(samples) == 8000
    assert notices == ["ends before its header says: used up to there"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float_files_with_nan_or_infinity_are_refused(tmp_path, bad):
    sound = sine(0.1)
    sound[7] = bad
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"a\.wav.*NaN or infinite"):
        audio.read(tmp_path / "a.wav")
    with pytest.raises(InputError, match="NaN or infinite"):
        audio.write(tmp_path / "b.wav", sound)
    assert not (tmp_path / "b.wav").exists()


@pytest.mark.parametrize("read", [audio.read, audio.duration])
def test_missing_empty_and_broken_files_are_named_in_one_line(tmp_path, read):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is not sound")
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), 16000)
    (tmp_path / "folder.wav").mkdir()
    for name in ("missing", "empty", "text", "none", "folder"):
        with pytest.raises(InputError, match=rf"{name}\.wav") as error:
            read(tmp_path / f"{name}.wav")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", [audio.read, audio.duration])
@pytest.mark.parametrize("kind", ["wav", "aiff", "flac", "mp3", "caf", "w64", "au"])
def test_a_damaged_header_is_told_in_words_about_the_file(tmp_path, kind, read):
    """libsndfile speaks of its own structures where a rate is 0, and of pipes where an MP3 has no frame."""
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, sine(0.1), 16000)
    whole, told = path.read_bytes(), []
    for place in range(0, 64, 2):
        path.write_bytes(whole[:place] + bytes(4) + whole[place + 4 :])
        try:
            read(path)
        except InputError as error:
            told.append(str(error))
    assert told and not [line for line in told if re.search("SF_|nternal|struct|pipe|must be specified", line)]


@pytest.mark.parametrize("read", [audio.read, audio.duration])
def test_raw_samples_in_a_file_are_to_be_piped_in(tmp_path, read):
    (tmp_path / "a.raw").write_bytes(bytes(1000))
    with pytest.raises(InputError, match=r"a\.raw: raw samples do not say their rate and format: pipe them in"):
        read(tmp_path / "a.raw")


def test_duration_is_read_from_the_header(tmp_path):
    soundfile.write(tmp_path / "a.flac", sine(1.5, 44100), 44100)
    assert audio.duration(tmp_path / "a.flac") == pytest.approx(1.5)


def test_writing_refuses_what_is_not_one_channel(tmp_path):
    with pytest.raises(InputError, match=r"\(samples,\)"):
        audio.write(tmp_path / "a.wav", np.zeros((2, 10), np.float32))


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_16", "IMA_ADPCM", "ULAW"])
def test_codecs_that_cannot_seek_are_read(tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", sine(1.0), 16000, subtype=subtype)
    assert abs(len(audio.read(tmp_path / "a.wav")[0]) - 16000) < 400


@pytest.mark.parametrize("sizes", [(0, 0), (36, 0)])
def test_a_wav_whose_header_says_0_bytes_is_read_to_its_end(tmp_path, sizes):
    audio.write(tmp_path / "a.wav", sine(1.0))
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[4:8], data[40:44] = (size.to_bytes(4, "little") for size in sizes)
    (tmp_path / "b.wav").write_bytes(data)
    samples, notices = audio.read(tmp_path / "b.wav")
    assert (samples == audio.read(tmp_path / "a.wav")[0]).all()
    assert "0 bytes" in notices[0]
    assert audio.duration(tmp_path / "b.wav") == 1.0


def test_a_wav_without_samples_but_with_tags_stays_empty(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.float32), 16000)
    with open(tmp_path / "a.wav", "ab") as file:
        file.write(b"LIST" + (4).to_bytes(4, "little") + b"INFO")
    with pytest.raises(InputError, match="no samples"):
        audio.read(tmp_path / "a.wav")


@pytest.fixture
def m4a(tmp_path):
    """A second at 44.1 kHz, stereo, as a phone records it."""
    if not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg is not installed")
    path = tmp_path / "voice note.m4a"
    soundfile.write(tmp_path / "a.wav", np.stack([sine(1.0, 44100), sine(1.0, 44100)], axis=1), 44100)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", "-c:a", "aac", path], check=True)
    return path


def test_m4a_is_read_through_ffmpeg(m4a):
    samples, notices = audio.read(m4a)
    assert notices == ["2 channels mixed down to one", "resampled from 44100 Hz to 16000 Hz"]
    np.testing.assert_allclose(samples[4000:12000], sine(1.0)[4000:12000], atol=0.02)
    assert audio.duration(m4a) == pytest.approx(1.0, abs=0.05)


def test_m4a_without_ffmpeg_or_broken_is_named(m4a, monkeypatch):
    m4a.with_name("broken.m4a").write_bytes(m4a.read_bytes()[:500])
    for read in (audio.read, audio.duration):
        with pytest.raises(InputError, match=r"cannot read .*broken\.m4a: ") as error:
            read(m4a.with_name("broken.m4a"))
        assert "\n" not in str(error.value)
    monkeypatch.setenv("PATH", "/nowhere")
    for read in (audio.read, audio.duration):
        with pytest.raises(InputError, match=r"voice note\.m4a: \.m4a is read through ffmpeg, which is not installed"):
            read(m4a)


def test_a_disk_that_takes_no_more_is_said(tmp_path):
    """A limit of files stands for a full disk: nothing is left of the file."""
    script = (
        "import resource, sys, numpy as np\n"
        "from tinyse import audio\nfrom tinyse.errors import InputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try:\n    audio.write(sys.argv[1], np.zeros(50000, np.float32))\n"
        "except InputError as error:\n    print(error)\n"
    )
    path = tmp_path / "out.wav"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert done.stdout == f"cannot write {path}: the system takes no more of it: is the disk full?\n", done.stderr
    assert not list(tmp_path.iterdir())
