"""The sound that calibration replays: mixtures of the valid split, and never what a model is scored on.

Ranges that were chosen on the scored clips would flatter the quantized model. Recordings are compared by the SHA-256 of their
samples, so another name or another container hides nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyse import audio
from tinyse.errors import InputError
from tinyse.evaluation.pairs import Pair
from tinyse.mixtures import valid_mixtures
from tinyse.recordings import Manifest, Shards, content
from tinyse.recordings.shards import refuse_trained_on


@dataclass(frozen=True)
class Clip:
    """Noisy sound with a name."""

    name: str
    sound: np.ndarray
    """(samples,) float32."""
    files: tuple[Path, ...] = ()
    """The recordings that it was mixed from, where they are files."""


def valid_clips(manifest: Manifest, count: int, sample_rate: int = audio.DEFAULT_RATE) -> list[Clip]:
    """The first `count` mixtures of the valid split, the same in every run."""
    clips: list[Clip] = []
    for index, mixture in enumerate(valid_mixtures(manifest, count, sample_rate=sample_rate)):
        places = [manifest.root / name for name in (*mixture.description["speech"], *mixture.description["noise"])]
        clips.append(Clip(f"valid mixture {index}", mixture.noisy, tuple(p for p in places if p.is_file())))
    return clips


def refuse_scored(clips: Sequence[Clip], pairs: Iterable[Pair], sample_rate: int = audio.DEFAULT_RATE) -> None:
    """Raise InputError, naming both, where a clip is, or is mixed from, a sound of the list that is scored.

    Also for a pair that cannot be read.
    """
    scored: dict[str, Path] = {}
    for pair in pairs:
        loaded = pair.load(sample_rate)
        scored |= {_digest(loaded.clean): pair.clean, _digest(loaded.noisy): pair.noisy}
    read: dict[Path, str] = {}
    for clip in clips:
        for path in clip.files:
            if path not in read:
                read[path] = _digest(audio.read(path, sample_rate)[0])
        for source, digest in [(clip.name, _digest(clip.sound)), *((str(path), read[path]) for path in clip.files)]:
            if digest in scored:
                made_of = "" if source == clip.name else f" is made of {source}, which"
                raise InputError(
                    f"calibration clip {clip.name!r}{made_of} is {scored[digest]} of the list that is scored: "
                    "calibrate on other recordings"
                )


def refuse_trained(
    manifest: Manifest, pairs: Iterable[Pair], ship: bool | None = None, sample_rate: int = audio.DEFAULT_RATE
) -> list[str]:
    """Raise InputError, naming both, where a sound of the pairs is trained or validated on; returns a line where one seems
    to be made of what is: both sides are compared, and their difference, which is the noise."""
    scored = []
    for pair in pairs:
        loaded = pair.load(sample_rate)
        sides = {
            str(pair.clean): loaded.clean,
            str(pair.noisy): loaded.noisy,
            f"the noise of {pair.noisy}": loaded.noise,
        }
        named = [content.Sound.of(name, "the scored pairs", samples, sample_rate) for name, samples in sides.items()]
        scored += [sound for sound in named if sound is not None]
    if isinstance(manifest, Shards):
        refuse_trained_on(manifest, [(sound.name, sound.digest) for sound in scored])
        return []
    learned, _ = content.sounds_of(manifest, ("train", "valid"), ship, sample_rate=sample_rate)
    digests = {sound.digest for sound in scored}
    content.refuse_same([*(sound for sound in learned if sound.digest in digests), *scored])
    return content.remarks_on(learned, scored)


def _digest(sound: np.ndarray) -> str:
    return hashlib.sha256(audio.to_pcm16(sound).tobytes()).hexdigest()
