"""Makes the pictures of the README: spectrograms, the page of `tinyse web`, the terminal of `tinyse live`.

    python docs/pictures.py MODEL PAIRS

MODEL is a .tflite or a name. Needs the extras `train` (matplotlib) and `live`, Chromium, clang and lld.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from PIL import Image
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import browser

from tinyse import audio
from tinyse.evaluation.pairs import LoadedPair, find_pairs
from tinyse.live.endpoints import FileSink, FileSource
from tinyse.live.screen import picture
from tinyse.live.session import Session
from tinyse.spectra.picture import draw_spectrograms
from tinyse.streaming.denoiser import Denoiser

IMAGES = Path(__file__).resolve().parent / "images"


def main() -> None:
    """Make all three."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("pairs", help="a folder of pairs")
    options = parser.parse_args()
    pairs = sorted(find_pairs(options.pairs), key=lambda pair: pair.snr_db or 0.0)
    chosen = [pairs[len(pairs) * part // 8].load() for part in (1, 3, 5)]
    spectrograms(options.model, chosen)
    with tempfile.TemporaryDirectory() as folder:
        terminal(options.model, chosen, Path(folder))
        page(options.model, chosen, Path(folder))


def spectrograms(model: str, pairs: list[LoadedPair]) -> None:
    """Noisy, denoised and clean, one row per pair."""
    denoiser = Denoiser(model)
    rows = []
    for pair in pairs:
        sounds = {"noisy": pair.noisy, "denoised by the int8 stream": denoiser.denoise(pair.noisy), "clean": pair.clean}
        rows.append([(f"{side}, input SNR {pair.snr_db:.0f} dB", sound) for side, sound in sounds.items()])
    draw_spectrograms(rows, IMAGES / "spectrograms.png")
    small(IMAGES / "spectrograms.png")


def terminal(model: str, pairs: list[LoadedPair], folder: Path) -> None:
    """What `tinyse live` shows after some seconds of a file in real time."""
    audio.write(folder / "noisy.wav", np.concatenate([pair.noisy for pair in pairs])[: 9 * audio.SAMPLE_RATE])
    session = Session(Denoiser(model, engine="c"), FileSource(folder / "noisy.wav", True), FileSink(folder / "out.wav"))
    session.start()
    session.wait(7.5)
    console = Console(record=True, width=84, file=sys.stderr)
    console.print(picture(session.figures(), "student-62k live"))
    session.stop()
    console.save_svg(
        str(IMAGES / "live.svg"), title="tinyse live --input noisy.wav --output out.wav --realtime --engine c"
    )


def page(model: str, pairs: list[LoadedPair], folder: Path) -> None:
    """The page while Chromium's microphone plays noisy speech."""
    sound = soxr.resample(np.concatenate([pair.noisy for pair in pairs]), audio.SAMPLE_RATE, 48000)
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
        small(IMAGES / "page.png")
    finally:
        visitor.close()
        server.send_signal(signal.SIGINT)
        server.wait(30)


def small(path: Path) -> None:
    """Rewrite a png with 128 colors, at most 1200 pixels wide: a repository keeps every version."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((1200, 4000))
    image.quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
