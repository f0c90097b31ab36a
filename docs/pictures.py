"""Makes the pictures of the README: spectrograms, the page of `tinyse web`, the terminal of `tinyse live`.

    python docs/pictures.py MODEL PAIRS [spectrograms] [terminal] [page]

MODEL is a .tflite or a name. All three are made unless some are named. Needs the extras `train` (matplotlib) and `live`,
the package pyte, Chromium, clang and lld.
"""

from __future__ import annotations

import argparse
import hashlib
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import browser
from terminals import exported

from tinyse import audio
from tinyse.evaluation.pairs import LoadedPair, find_pairs
from tinyse.files import write_text
from tinyse.live.endpoints import FileSink, FileSource
from tinyse.live.screen import picture
from tinyse.live.session import Session
from tinyse.released import find
from tinyse.spectra.picture import draw_spectrograms
from tinyse.streaming.denoiser import Denoiser

IMAGES = Path(__file__).resolve().parent / "images"


def main() -> None:
    """Make all three, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("pairs", help="a folder of pairs")
    parser.add_argument(
        "pictures", nargs="*", choices=["spectrograms", "terminal", "page", []], help="which; all by default"
    )
    options = parser.parse_args()
    pairs = sorted(find_pairs(options.pairs), key=lambda pair: pair.snr_db or 0.0)
    chosen = [pairs[len(pairs) * part // 8].load() for part in (1, 3, 5)]
    with tempfile.TemporaryDirectory() as folder:
        for make in (spectrograms, terminal, page):
            if not options.pictures or make.__name__ in options.pictures:
                make(options.model, chosen, Path(folder))


def spectrograms(model: str, pairs: list[LoadedPair], _: Path) -> None:
    """Noisy, denoised and clean, one row per pair."""
    denoiser = Denoiser(model)
    rows = []
    for pair in pairs:
        sounds = {"noisy": pair.noisy, "denoised by the int8 stream": denoiser.denoise(pair.noisy), "clean": pair.clean}
        rows.append([(f"{side}, input SNR {pair.snr_db:.0f} dB", sound) for side, sound in sounds.items()])
    draw_spectrograms(rows, IMAGES / "spectrograms.png")
    small(IMAGES / "spectrograms.png", model)


def terminal(model: str, pairs: list[LoadedPair], folder: Path) -> None:
    """What `tinyse live` shows after some seconds of a file in real time."""
    audio.write(folder / "noisy.wav", np.concatenate([pair.noisy for pair in pairs])[: 9 * audio.DEFAULT_RATE])
    session = Session(Denoiser(model, engine="c"), FileSource(folder / "noisy.wav", True), FileSink(folder / "out.wav"))
    session.start()
    session.wait(7.5)
    console = Console(record=True, width=84, file=sys.stderr)
    console.print(picture(session.figures(), "student-62k live"))
    session.stop()
    title = "tinyse live --input noisy.wav --output out.wav --realtime --engine c"
    write_text(IMAGES / "live.svg", exported(console, title))


def page(model: str, pairs: list[LoadedPair], folder: Path) -> None:
    """The page while Chromium's microphone plays noisy speech."""
    sound = soxr.resample(np.concatenate([pair.noisy for pair in pairs]), audio.DEFAULT_RATE, 48000)
    soundfile.write(folder / "microphone.wav", sound, 48000)
    command = [sys.executable, "-m", "tinyse", "web", "--model", model, "--port", "0", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    flags = [f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}"]
    visitor = browser.Browser(server.stdout.readline().split()[0], folder / "profile", flags)
    try:
        visitor.wait_for("globalThis.tinyse")
        visitor.evaluate("document.getElementById('microphone').click()")
        visitor.wait_for("tinyse.running && tinyse.running.hops.length > 600", 60)
        visitor.screenshot(IMAGES / "page.png")
        small(IMAGES / "page.png", model)
    finally:
        visitor.close()
        server.send_signal(signal.SIGINT)
        server.wait(30)


def small(path: Path, model: str) -> None:
    """Rewrite a png with 256 colors, at most 1200 pixels wide: a repository keeps every version. It says which model it
    shows, for the test that finds pictures of a former one."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((1200, 4000))
    # By the octree, which keeps rare colors: the median cut made five steps of the bright end of a color scale.
    said = PngInfo()
    said.add_text("model", hashlib.sha256(find(model).read_bytes()).hexdigest())
    image.quantize(256, Image.Quantize.FASTOCTREE).save(path, optimize=True, pnginfo=said)


if __name__ == "__main__":
    main()
