"""A minute through `tinyse live`: a private sound server carries noisy speech in and records what is played.

    python benchmarks/live.py MODEL PAIRS

Prints the three latencies, faults, and how near what was played is to the file-based result (SI-SDR).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import command
import numpy as np
import soundfile
import soxr

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import sound_server

from tinyse import audio
from tinyse.evaluation.metrics import si_sdr
from tinyse.evaluation.pairs import find_pairs
from tinyse.streaming.denoiser import Denoiser


def main() -> int:
    """Carry the sound and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("pairs", help="a folder of pairs, whose noisy side is played")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=48000, help="Hz of the devices")
    parser.add_argument("--engine", default="c")
    options = parser.parse_args()
    clips, missing = [], round(options.seconds * audio.DEFAULT_RATE)
    for pair in find_pairs(options.pairs):
        clips.append(pair.load().noisy[:missing])
        missing -= len(clips[-1])
    given = np.concatenate(clips)
    with (
        tempfile.TemporaryDirectory() as name,
        sound_server.running(Path(name) / "server", options.rate) as server,
    ):
        if server is None:
            print(f"no sound server starts here: {sound_server.PACKAGES}", file=sys.stderr)
            return 2
        folder = Path(name)
        soundfile.write(folder / "given.wav", soxr.resample(given, audio.DEFAULT_RATE, options.rate), options.rate)
        figures = sound_server.carry(
            server, folder, "--model", options.model, "--engine", options.engine, "--device-rate", options.rate
        )
        dry, heard = (soundfile.read(folder / file, dtype="float32")[0] for file in ("x-in.wav", "heard.wav"))
        # Both sides of the recording are late by the denoiser's delay; the microphone's first sample is after it.
        denoiser = Denoiser(options.model, engine=options.engine)
        out = soundfile.read(folder / "x-out.wav", dtype="float32")[0][denoiser.delay :]
        dry = dry[denoiser.delay :]
        expected = denoiser.denoise(dry)
        # At the devices' rate: the way back to the model's would take what lies next to half of that.
        played = soxr.resample(expected, audio.DEFAULT_RATE, options.rate)
        captured = soxr.resample(dry, audio.DEFAULT_RATE, options.rate)
        there = soxr.resample(given, audio.DEFAULT_RATE, options.rate)
        result = {
            "denoised as `tinyse denoise` does it, bit for bit": bool(np.array_equal(expected[: len(out)], out)),
            "played against the file-based result, SI-SDR dB": round(si_sdr(*sound_server.aligned(played, heard)), 1),
            "microphone against the file, SI-SDR dB": round(si_sdr(*sound_server.aligned(there, captured)), 1),
            "load of the machine": os.getloadavg()[0],
            **figures,
        }
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    command.run(main)
