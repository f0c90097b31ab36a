"""Music from scores that are made up on the spot: a scale, a meter, a few instruments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyse.mixtures.procedural.shapes import TABLE, add, between, envelope, harmonics, highest, read, white

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10), (0, 2, 3, 5, 7, 9, 10))


@dataclass(frozen=True)
class Instrument:
    """A timbre: two waveforms, between which a note fades as it grows old."""

    bright: np.ndarray
    dull: np.ndarray
    decay_s: float
    """Decay of the bright waveform; endless for what is blown or bowed."""
    attack_s: float
    vibrato: float

    def play(self, pitch: float, samples: int, sample_rate: int) -> np.ndarray:
        """One note."""
        time = np.arange(samples, dtype=np.float32) / sample_rate
        hertz = np.float32(pitch) * (1 + np.float32(self.vibrato) * np.sin(2 * np.pi * 5.5 * time))
        fresh = np.exp(-time / np.float32(self.decay_s))
        old = np.sqrt(np.sqrt(fresh))
        place = (np.cumsum(hertz, dtype=np.float64) / sample_rate % 1 * TABLE).astype(np.int32)
        note = fresh * self.bright[place] + (old - fresh) * self.dull[place]
        return note * envelope(samples, int(self.attack_s * sample_rate) + 1, int(0.02 * sample_rate) + 1)


def music(rng: np.random.Generator, samples: int, sample_rate: int) -> np.ndarray:
    """Chords, a bass and a melody, with or without drums."""
    beat = 60 / between(rng, 60, 180)
    key, scale = between(rng, 110, 220), SCALES[int(rng.integers(len(SCALES)))]
    sound = np.zeros(samples, np.float32)
    beats = int(samples / sample_rate / beat) + 1
    roots = np.repeat(rng.integers(0, len(scale), beats // 4 + 1), 4)
    for octave, voices, density in ((0.5, 1, 0.7), (1, int(rng.integers(0, 4)), 0.5), (2, 1, 1.5)):
        if octave != 1 and rng.random() < 0.3:
            continue
        instrument = _instrument(rng, key * octave, sample_rate)
        strength = np.float32(rng.uniform(0.3, 1))
        for number in range(beats):
            for part in range(2 if density > 1 else 1):
                if rng.random() > density / (2 if density > 1 else 1):
                    continue
                degrees = roots[number] + (2 * np.arange(voices) if octave != 2 else rng.integers(-3, 8, voices))
                length = int(beat * between(rng, 0.4, 2.5) * sample_rate) + 64
                start = int((number + part / 2) * beat * sample_rate)
                for degree in degrees:
                    pitch = key * octave * 2 ** (degree // len(scale) + scale[degree % len(scale)] / 12)
                    if pitch < 0.2 * sample_rate:
                        add(sound, strength * instrument.play(pitch, length, sample_rate), start)
    if rng.random() < 0.5 or not sound.any():
        _drums(rng, sound, beat, sample_rate)
    return sound


def _instrument(rng: np.random.Generator, pitch: float, sample_rate: int) -> Instrument:
    """Plucked, struck, blown or bowed: what tells them apart is how they begin and end."""
    count = highest(4 * pitch, sample_rate, 40)  # the highest note lies two octaves above
    odd, tilt = bool(rng.random() < 0.3), rng.uniform(0.3, 1.8)
    held = bool(rng.random() < 0.4)
    return Instrument(
        harmonics(rng, count, tilt, odd),
        harmonics(rng, min(count, 6), tilt + 0.8),
        60.0 if held else between(rng, 0.08, 1.2),
        between(rng, 0.03, 0.2) if held else 0.002,
        rng.uniform(0, 0.012) if held else 0.0,
    )


def _drums(rng: np.random.Generator, sound: np.ndarray, beat: float, sample_rate: int) -> None:
    """Add a bar's pattern of kick, snare and hat, over and over."""
    length = int(0.25 * sample_rate)
    time = np.arange(length, dtype=np.float32) / sample_rate
    falling = np.float32(rng.uniform(45, 70)) + np.float32(rng.uniform(60, 200)) * np.exp(-time * 40)
    tone = read(harmonics(rng, 2, 2), falling, sample_rate)
    noise = white(rng, length)
    hat = np.diff(noise, prepend=np.float32(0))
    kit = (tone * np.exp(-time * 14), (0.5 * noise + 0.5 * tone) * np.exp(-time * 22), 0.4 * hat * np.exp(-time * 60))
    pattern = rng.random((len(kit), 8)) < np.array([0.35, 0.25, 0.6])[:, None]
    pattern[0, 0] = True
    steps = int(len(sound) / sample_rate / beat * 2) + 1
    for step in range(steps):
        for drum, struck in zip(kit, pattern[:, step % 8], strict=True):
            if struck:
                add(sound, drum * np.float32(rng.uniform(0.4, 1)), int(step * beat / 2 * sample_rate))
