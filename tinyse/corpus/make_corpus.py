"""Make the built-in corpus again: `python -m tinyse.corpus.make_corpus FOLDER`, about a minute.

Needs Debian's espeak-ng, flite, festival, festvox-us-slt-hts and festvox-kallpc16k. The sound is a function of SEED and
of the versions of these packages (README.md names those that made the committed files); only the serial numbers inside
the Ogg files differ from run to run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tinyse.audio import DEFAULT_RATE
from tinyse.corpus import noises, sentences, voices
from tinyse.files import replacing, write_csv

SEED = 2309

SPEECH = {
    "train": (voices.TRAIN, sentences.TRAIN, 3),
    "valid": (voices.VALID, sentences.VALID, 1),
    "test": (voices.TEST, sentences.TEST, 1),
}
"""Voices, texts, and how many clips each voice has."""

NOISE = {"train": (noises.TRAIN, 3), "valid": (noises.VALID, 1), "test": (noises.TEST, 1)}
"""Classes, and how many sources each has."""

SPEECH_SECONDS = 8.0
"""A clip ends with the sentence in which this is reached."""

NOISE_SECONDS = 10.0

SPEECH_QUALITY, NOISE_QUALITY = 0.96, 0.95
"""libsndfile's compression level for Opus: about 14 and 18 kbit/s for these sounds."""

PAIR_SECONDS, PAIR_SNRS_DB = 3.0, (-5, 0, 2.5, 5, 10, 15)


def main(folder: Path) -> None:
    """Write the whole corpus to `folder`."""
    require_distinct(voices.TRAIN + voices.VALID + voices.TEST)
    spoken = {split: write_speech(folder, split) for split in SPEECH}
    noise = {split: write_noise(folder, split) for split in NOISE}
    write_pairs(folder, spoken["test"], noise["test"])


def write_speech(folder: Path, split: str) -> list[dict[str, Any]]:
    """The clips of a split's voices and their manifest, whose rows are returned."""
    speakers, texts, clips = SPEECH[split]
    rows = []
    for number, voice in enumerate(speakers):
        for clip in range(clips):
            random = np.random.default_rng([SEED, 0, list(SPEECH).index(split), number, clip])
            samples = read_aloud(voice, texts[voice.language], random)
            path = f"speech/{split}/{voice.speaker}/{clip}.opus"
            write_opus(folder / path, samples, SPEECH_QUALITY)
            rows.append(
                {
                    "path": path,
                    "seconds": f"{len(samples) / DEFAULT_RATE:.3f}",
                    "speaker": voice.speaker,
                    "corpus": voice.engine,
                    "snr_est_db": f"{estimated_snr_db(samples):.1f}",
                    "license": voice.license,
                    "ship": "yes",
                }
            )
    write_csv(folder / "manifests" / f"speech_{split}.csv", rows[0], rows)
    return rows


def write_noise(folder: Path, split: str) -> list[dict[str, Any]]:
    """The sources of a split's classes of noise and their manifest, whose rows are returned."""
    kinds, sources = NOISE[split]
    rows = []
    for number, noise in enumerate(kinds):
        for source in range(sources):
            random = np.random.default_rng([SEED, 1, list(NOISE).index(split), number, source])
            samples = leveled(noise(NOISE_SECONDS, random), random.uniform(-32, -20))
            path = f"noise/{split}/{noise.__name__}/{source}.opus"
            write_opus(folder / path, samples, NOISE_QUALITY)
            rows.append(
                {
                    "path": path,
                    "seconds": f"{len(samples) / DEFAULT_RATE:.3f}",
                    "class": noise.__name__,
                    "corpus": "synthetic",
                    "source": f"synthetic:{noise.__name__}_{split}_{source}",
                    "active_frac": f"{np.mean(active(samples)):.2f}",
                    "license": voices.PUBLIC_DOMAIN,
                    "ship": "yes",
                }
            )
    write_csv(folder / "manifests" / f"noise_{split}.csv", rows[0], rows)
    return rows


def write_pairs(folder: Path, speech: list[dict[str, Any]], noise: list[dict[str, Any]]) -> None:
    """Noisy and clean pairs of the test split, mixed from what the Opus files hold, lossless."""
    rows = []
    length = round(PAIR_SECONDS * DEFAULT_RATE)
    for number, snr_db in enumerate(PAIR_SNRS_DB):
        voice, sound = speech[number % len(speech)], noise[number % len(noise)]
        clean, _ = soundfile.read(folder / voice["path"], frames=length)
        hiss, _ = soundfile.read(folder / sound["path"], frames=length, start=length // 2)
        noisy = clean + hiss * 10 ** ((level_db(clean) - level_db(hiss) - snr_db) / 20)
        scale = min(1.0, 0.95 / np.abs(noisy).max())
        name = f"{number:03d}.flac"
        for part, samples in (("clean", clean), ("noisy", noisy)):
            with replacing(folder / "benchmark" / part / name) as temporary:
                soundfile.write(
                    temporary, samples * scale, DEFAULT_RATE, format="FLAC", subtype="PCM_16", compression_level=1.0
                )
        rows.append(
            {
                "id": f"{number:03d}",
                "clean": f"clean/{name}",
                "noisy": f"noisy/{name}",
                "seconds": f"{PAIR_SECONDS:.3f}",
                "snr_db": f"{snr_db:g}",
                "speaker": voice["speaker"],
                "speech_file": voice["path"],
                "noise_class": sound["class"],
                "noise_file": sound["path"],
                "scale": f"{scale:.4f}",
            }
        )
    write_csv(folder / "benchmark" / "pairs.csv", rows[0], rows)


def read_aloud(voice: voices.Voice, texts: tuple[str, ...], random: np.random.Generator) -> np.ndarray:
    """One clip: sentences in random order with pauses, each at a speed and a pitch of its own, at a random level."""
    parts = [silence(random.uniform(0.1, 0.4))]
    for text in random.permutation(texts):
        said = voice.say(str(text), rate=random.uniform(0.88, 1.15), pitch=random.uniform(0.8, 1.2))
        parts += [without_rumble(said), silence(random.uniform(0.25, 0.9))]
        if sum(map(len, parts)) >= SPEECH_SECONDS * DEFAULT_RATE:
            break
    return leveled(np.concatenate(parts), random.uniform(-32, -20))


def require_distinct(speakers: Iterable[voices.Voice]) -> None:
    """Raise ValueError where two voices say the same: eSpeak falls back to a default for a voice it does not know."""
    by_sound: dict[bytes, str] = {}
    for voice in speakers:
        twin = by_sound.setdefault(voice.say("one two three").tobytes(), voice.speaker)
        if twin != voice.speaker:
            raise ValueError(f"{voice.speaker} sounds exactly as {twin}: the engine does not know one of them")


def silence(seconds: float) -> np.ndarray:
    """A pause."""
    return np.zeros(round(seconds * DEFAULT_RATE))


def without_rumble(samples: np.ndarray, hertz: float = 50) -> np.ndarray:
    """The sound without offset and without what lies below `hertz`, where some voices have steps."""
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / DEFAULT_RATE)
    return np.fft.irfft(spectrum * np.clip(frequency / hertz - 0.5, 0, 1), len(samples))


def leveled(samples: np.ndarray, decibels: float) -> np.ndarray:
    """The sound at an active level of `decibels` below full scale, or as loud as its peaks leave it below 0.9."""
    gain = 10 ** ((decibels - level_db(samples)) / 20)
    return samples * min(gain, 0.9 / np.abs(samples).max())


def level_db(samples: np.ndarray) -> float:
    """Level of the active frames in dB of full scale: pauses do not count."""
    power = frame_power(samples)
    return 10 * np.log10(power[active(samples)].mean())


def estimated_snr_db(samples: np.ndarray) -> float:
    """Power of the active frames over the quietest twentieth of all frames, at most 99."""
    floor = 10 * np.log10(np.percentile(frame_power(samples), 5) + 1e-12)
    return min(99.0, level_db(samples) - floor)


def active(samples: np.ndarray) -> np.ndarray:
    """Which frames are within 20 dB of the 95th percentile."""
    power = frame_power(samples)
    return power > np.percentile(power, 95) / 100


def frame_power(samples: np.ndarray, frame: int = 512) -> np.ndarray:
    """Mean power of each frame of 32 ms."""
    return (samples[: len(samples) // frame * frame].reshape(-1, frame) ** 2).mean(axis=1)


def write_opus(path: Path, samples: np.ndarray, compression: float) -> None:
    """Write sound at 16 kHz as Ogg Opus."""
    with replacing(path) as temporary:
        soundfile.write(temporary, samples, DEFAULT_RATE, format="OGG", subtype="OPUS", compression_level=compression)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent))
