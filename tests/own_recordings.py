"""A small folder of recordings as a user would have: talkers and noises in folders, no splits, no pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyse import audio


def write(folder: Path, talkers: int = 6, noises: int = 6, seconds: float = 2.0, first: int = 0) -> Path:
    """speech/TALKER/*.wav (buzzes with syllables) and noise/CLASS/*.wav in `folder`, which is returned.

    Talkers and noises are numbered from `first`: another number, other sound.
    """
    for talker in range(first, first + talkers):
        for take in range(2):
            audio.write(folder / f"speech/talker{talker}/{take}.wav", voice(talker, take, seconds))
    for kind in range(first, first + noises):
        rng = np.random.default_rng(kind)
        hiss = np.convolve(
            rng.normal(0, 0.1, round(seconds * audio.DEFAULT_RATE)), np.ones(kind + 1) / (kind + 1), "same"
        )
        audio.write(folder / f"noise/kind{kind % 3}/{kind}.wav", np.float32(hiss))
    return folder


def voice(talker: int, take: int, seconds: float) -> np.ndarray:
    """(samples,): harmonics of a pitch of the talker's own, three syllables per second."""
    time = np.arange(round(seconds * audio.DEFAULT_RATE)) / audio.DEFAULT_RATE
    pitch = 90 + 25 * talker + 3 * take
    tones = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
    return np.float32(0.1 * tones * np.sin(np.pi * 3 * time + talker) ** 2)
