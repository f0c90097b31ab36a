"""Hours of synthesized speech in a folder: utterance i is a function of (seed, i), so an interrupted run continues."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tinyse import audio
from tinyse.audio import sound_files
from tinyse.documents import read_own_json
from tinyse.errors import InputError
from tinyse.files import free_bytes, write_json, write_text
from tinyse.locks import alone_in
from tinyse.progress import silent
from tinyse.recordings.manifest import MANIFEST, Manifest, Recording, present_in, refuse_to_lose
from tinyse.recordings.splits import check_leaks
from tinyse.synthesis.kokoro import RATE, ROWS, Kokoro, Talker, talker
from tinyse.synthesis.phonemes import phonemes

LICENSE = "Apache-2.0"
CORPUS = "kokoro"
LEVEL = 10 ** (-25 / 20)
"""Root mean square of an utterance; one whose peak would not fit is quieter."""
TRIES = 20
"""Sentences that are drawn for an utterance before the text is given up: one may have no phonemes that are known."""
WRITTEN_EVERY = 50
"""New utterances between two manifests, so that a killed run leaves one."""
CONFIG = "synthesis.json"


@dataclass(frozen=True)
class SynthesisConfig:
    """What decides the sound of an utterance of a number, beside the network."""

    seed: int = 0
    talkers: int = 400
    train_only: bool = False
    """All talkers are train, from all voices: valid and test stay with real recordings."""
    sample_rate: int = audio.DEFAULT_RATE
    text: str = ""
    """SHA-256 of the sentences."""


def sha256_of(sentences: Sequence[str]) -> str:
    """The name of a text in a config."""
    return hashlib.sha256("\n".join(sentences).encode()).hexdigest()


def utterance(
    model: Kokoro, config: SynthesisConfig, sentences: Sequence[str], number: int
) -> tuple[np.ndarray, Talker, str]:
    """The utterance of a number: sound (samples,) at the config's rate, who says it, and what.

    Pitch is that of sound played faster or slower; speed makes up for it. Raises InputError for a text without phonemes.
    """
    rng, who = _begun(config, number, list(model.voices))
    pitch = who.pitch * float(rng.uniform(0.98, 1.02))
    speed = float(np.exp(rng.uniform(np.log(0.8), np.log(1.25))))
    for _ in range(TRIES):
        sentence = sentences[int(rng.integers(len(sentences)))]
        tokens = model.tokens(phonemes(sentence, who.accent))
        if 0 < len(tokens) < ROWS:
            sound = model.speak(tokens, who.style(model.voices), speed / pitch)
            if len(sound) and np.isfinite(sound).all() and sound.any():
                sound = audio.resampled(sound, round(RATE * pitch), config.sample_rate)
                return leveled(sound), who, sentence
    raise InputError(f"none of {TRIES} sentences became speech; the last one: {sentence!r}")


def leveled(sound: np.ndarray) -> np.ndarray:
    """The same at `LEVEL`, or as near to it as its peak allows."""
    gain = min(LEVEL / float(np.sqrt(np.mean(sound**2))), 0.99 / float(np.abs(sound).max()))
    return (sound * gain).astype(np.float32)


def check_disk_space(folder: Path, seconds: float, sample_rate: int) -> int:
    """The bytes of `seconds` of 16-bit sound. Raises InputError where the disk of `folder` has less."""
    needed, free = int(2 * seconds * sample_rate), free_bytes(folder)
    if needed > free:
        raise InputError(
            f"{seconds / 3600:g} h take {needed / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB left: give fewer --hours, "
            "or another --output"
        )
    return needed


def write_speech(
    folder: Path,
    model: Kokoro,
    config: SynthesisConfig,
    sentences: Sequence[str],
    seconds: float,
    progress: Callable[[float], object] = silent,
) -> Manifest:
    """Write utterances 0, 1, ... to speech/TALKER until there are `seconds` of them, and manifest.csv. Returns the manifest.

    Those of an earlier call are kept; more of them are the same ones and others. Raises InputError for a folder that
    another config or text filled, or where another process is writing.
    """
    refuse_to_lose(folder / MANIFEST, [CORPUS])
    with alone_in(folder):
        _check_config(folder, config)
        return _write_speech(folder, model, config, sentences, seconds, progress)


def _write_speech(
    folder: Path,
    model: Kokoro,
    config: SynthesisConfig,
    sentences: Sequence[str],
    seconds: float,
    progress: Callable[[float], object],
) -> Manifest:
    voices = list(model.voices)
    kept = present_in(folder / MANIFEST)
    recordings: list[Recording] = []
    total, new = 0.0, 0
    try:
        for number in itertools.count():
            if total >= seconds:
                break
            _, who = _begun(config, number, voices)
            path = f"speech/{who.name}/{number:06d}.wav"
            try:
                length = sound_files.duration(folder / path)
            except InputError:
                sound, _, said = utterance(model, config, sentences, number)
                # What was said first: a recording without its text would never get one.
                write_text((folder / path).with_suffix(".txt"), said + "\n")
                audio.write(folder / path, sound, config.sample_rate)
                length = len(sound) / config.sample_rate
                new += 1
            kept.pop(path, None)
            recordings.append(
                Recording(
                    path=path,
                    seconds=length,
                    kind="speech",
                    split=who.split,
                    speaker=who.name,
                    source=f"{CORPUS}:{config.seed}/{number}",
                    corpus=CORPUS,
                    license=LICENSE,
                    ship=True,
                )
            )
            total += length
            progress(length)
            if new == WRITTEN_EVERY:
                _write_manifest(folder, [*recordings, *kept.values()])
                new = 0
    finally:
        manifest = _write_manifest(folder, [*recordings, *kept.values()])
    return manifest


def _begun(config: SynthesisConfig, number: int, voices: Sequence[str]) -> tuple[np.random.Generator, Talker]:
    """What draws an utterance, and the first that it has drawn: who says it."""
    rng = np.random.default_rng([config.seed, 0, number])
    return rng, talker(config.seed, int(rng.integers(config.talkers)), voices, config.train_only)


def _write_manifest(folder: Path, recordings: Sequence[Recording]) -> Manifest:
    manifest = Manifest(folder, tuple(recordings))
    check_leaks(manifest.recordings)
    if recordings:
        manifest.write(folder / MANIFEST)
    return manifest


def _check_config(folder: Path, config: SynthesisConfig) -> None:
    path = folder / CONFIG
    if not path.is_file():
        write_json(path, asdict(config))
        return
    found = read_own_json(path)
    different = next((key for key, value in asdict(config).items() if found.get(key) != value), None)
    if different:
        raise InputError(f"{folder} was filled with {different} {found.get(different)!r}, not {getattr(config, different)!r}: "
                         "take another --output, or the same options")  # fmt: skip
