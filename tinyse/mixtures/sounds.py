"""Noise by procedure as files: to listen to, or to be recordings like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tinyse import audio
from tinyse.locks import alone_in
from tinyse.mixtures.procedural import numbered
from tinyse.recordings.manifest import MANIFEST, Manifest, Recording, present_in, refuse_to_lose

CORPUS, LICENSE = "procedural", "CC0-1.0"
LEVEL = 10 ** (-23 / 20)
"""Root mean square; a sound whose peak would not fit is quieter."""


def write_sounds(
    folder: Path,
    count: int,
    families: Sequence[str],
    seconds: float = 5.0,
    seed: int = 0,
    sample_rate: int = audio.DEFAULT_RATE,
    progress: Callable[[], None] = lambda: None,
) -> Manifest:
    """Write sounds 0 to `count` - 1 of each family to noise/FAMILY, and manifest.csv last. Returns the manifest.

    The same files for the same seed; more of them are the same ones and others. Those of an earlier call stay listed.
    Raises InputError for a family that there is not, and where another process is writing there.
    """
    refuse_to_lose(folder / MANIFEST, [CORPUS])
    with alone_in(folder):
        recordings = present_in(folder / MANIFEST)
        for family in dict.fromkeys(families):
            for index in range(count):
                sound = numbered(seed, index, seconds, sample_rate, family)
                path = f"noise/{family}/{index:05d}.wav"
                audio.write(folder / path, sound * min(LEVEL, 0.99 / float(abs(sound).max())), sample_rate)
                recordings[path] = Recording(
                    path=path,
                    seconds=len(sound) / sample_rate,
                    kind="noise",
                    split="train",
                    label=family,
                    source=f"procedure:{family}/{seed}/{index}",
                    corpus=CORPUS,
                    license=LICENSE,
                    ship=True,
                )
                progress()
        manifest = Manifest(folder, tuple(recordings.values()))
        manifest.write(folder / MANIFEST)
    return manifest
