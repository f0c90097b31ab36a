"""Every command of README and of the site works, in order, in an empty folder with recordings of one's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
import walk

import tinyse.released

EXTRAS = ("torch", "pesq", "tflite_micro", "matplotlib", "sounddevice")
BASE = (
    "tinyse denoise",
    "tinyse export student-62k --firmware",
    "tinyse live",
    "tinyse bench",
    "tinyse init",
    "python block",
)
"""What needs no torch: how these commands begin."""
LABEL = re.compile(r"tinyse_student_62k_[0-9a-f]{8}")


@pytest.mark.timeout(900)
@pytest.mark.skipif(not all(map(find_spec, EXTRAS)), reason="needs every extra: make setup")
@pytest.mark.parametrize("page", walk.pages(), ids=lambda page: page.stem)
def test_every_command_of_a_page_works(page, tmp_path):
    results = walk.walk(tmp_path, sys.executable, page)
    for command, done in results.items():
        assert done.returncode == walk.expected(command), f"{command}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, f"{command}\n{done.stderr}"
    assert list(results) == list(dict(walk.walked(page)))
    CHECKS.get(page.stem, lambda folder, results: None)(tmp_path, results)


def first_denoise(folder, results):
    for sound in ("clean.wav", "gentle.wav", "played.wav"):
        assert soundfile.info(folder / sound).frames == 32000, sound
    assert len(list((folder / "clean").iterdir())) == 6


def own_recordings(folder, results):
    assert walk.UNUSABLE in results["tinyse data scan recordings/"].stdout
    trained = results["tinyse train recipes/quick.yaml --set data=recordings/"].stdout
    assert "runs/quick/supervise/model.tflite" in trained
    assert soundfile.info(folder / "clean.wav").frames == 32000


def microcontroller(folder, results):
    """The program of the page computes what `Denoiser` does, one delay late."""
    if "./denoise < noisy.raw > clean.raw" in results:
        noisy, made = (np.fromfile(folder / name, "<i2") for name in ("noisy.raw", "clean.raw"))
        denoiser = tinyse.Denoiser(engine="reference", attenuation_limit_db=20)
        np.testing.assert_array_equal(made, denoiser.process(noisy)[: len(made)])
        assert len(made) == 32000 and np.abs(made).max() > 100


def scale(folder, results):
    # The dictionary has the second of two equal commands: all was there.
    assert "dry run" not in results["tinyse train recipes/quick.yaml --set data=recordings/"].stdout
    assert (folder / "runs/two/supervise/model.safetensors").is_file()


CHECKS = {
    "first-denoise": first_denoise,
    "own-recordings": own_recordings,
    "microcontroller": microcontroller,
    "scale": scale,
}
"""What else must be true at the end of a page, by its name."""


@pytest.mark.parametrize(("page", "command"), walk.ELSEWHERE)
def test_what_is_left_out_of_a_page_is_walked_elsewhere(page, command):
    pages = {path.stem: path for path in walk.pages()}
    assert command in walk.commands(pages[page])
    assert next(walk.walked(pages[walk.ELSEWHERE[page, command]]))[0] == command


def test_what_the_pages_say_of_the_plugin_is_so():
    from firmware_export.plugins import denoiser, label

    docs = walk.REPOSITORY / "docs/how-to"
    expected = label(denoiser(tinyse.released.find("student-62k")))
    for page in ("pipewire.md", "ffmpeg.md"):
        assert set(LABEL.findall((docs / page).read_text(encoding="utf-8"))) == {expected}
    source = (walk.REPOSITORY / "firmware_export/plugin/ladspa.c").read_text(encoding="utf-8")
    (control,) = re.findall(r'control = { ("[^"]+")', (docs / "pipewire.md").read_text(encoding="utf-8"))
    assert control in source


@pytest.mark.timeout(600)
@pytest.mark.parametrize("python", os.environ.get("TINYSE_PYTHONS", "").split() or [None])
def test_the_base_works_on_other_pythons(python, wheel, tmp_path):
    """The wheel, installed without torch, by each interpreter that TINYSE_PYTHONS names, as .ci/run does."""
    if python is None:
        pytest.skip("TINYSE_PYTHONS names no interpreters")
    # The pip of this environment installs, and bytecode is made of what is imported alone: half of the time.
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "base"], check=True)
    fresh = tmp_path / "base" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", fresh, "install", "--quiet", "--disable-pip-version-check"]
    install += ["--no-compile", f"{wheel}[live]"]
    # Where PYTHONPATH shows a tinyse, pip takes it for installed.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(install, check=True, stdin=subprocess.DEVNULL, env=environment)
    for name in ("first-denoise", "microcontroller", "install"):
        (page,) = (page for page in walk.pages() if page.stem == name)
        (work := tmp_path / name).mkdir()
        results = walk.walk(work, fresh, page, BASE)
        assert results
        for command, done in results.items():
            assert done.returncode == walk.expected(command), f"{command}\n{done.stdout}{done.stderr}"
    assert soundfile.info(tmp_path / "first-denoise/clean.wav").frames == 32000
    assert (tmp_path / "microcontroller/firmware/src").is_dir() and (tmp_path / "install/my-denoiser/recipes").is_dir()
