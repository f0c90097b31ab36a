"""Noisy and clean pairs, each a pure function of (seed, epoch, index)."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyse.audio import from_pcm16
from tinyse.config import did_you_mean
from tinyse.errors import InputError
from tinyse.mixtures import augment, synthetic
from tinyse.mixtures.augment import Coloring
from tinyse.mixtures.config import MixtureConfig, check_seconds
from tinyse.mixtures.levels import PEAK, amplitude, balance, decibels
from tinyse.mixtures.noises import NoiseKind, Noises
from tinyse.mixtures.sources import Population, speech_of
from tinyse.recordings.store import Sounds


@dataclass(frozen=True)
class Mixture:
    """A noisy signal and the speech in it."""

    noisy: np.ndarray
    """float32, shape (samples,): clean + late reverberation + noise, clipped if that was drawn."""
    clean: np.ndarray
    """float32, shape (samples,): the target, speech with its early reflections; zeros where there is no speech."""
    snr_db: float
    """Active speech against noise over the same frames, without late reverberation, before clipping and disturbances, as
    it came out.

    Infinite without noise, minus infinity without speech.
    """
    level_db: float
    """Level of the active speech, or of the active noise where there is no speech, dB re full scale."""
    description: dict[str, Any]
    """What it was made of: speaker, paths, kind of noise, room, what was done to it."""


class Mixer:
    """Makes mixtures of `seconds` from stores; `mixer(epoch, index)` is the same in any process and any order.

    Every choice has random numbers of its own: switching an augmentation off leaves which voice, which noise and which
    SNR as they were, so that two trainings differ in that alone.
    """

    def __init__(
        self,
        speech: Sounds,
        noise: Sounds,
        rirs: Sounds | None,
        config: MixtureConfig,
        seconds: float,
        seed: int,
        notices: Sequence[str] = (),
    ) -> None:
        """`notices` are what was said of the recordings before: they come first in those of the mixer."""
        check_seconds(seconds)
        stores = [store for store in (speech, noise, rirs) if store is not None]
        self.sample_rate = speech.sample_rate
        if rates := {store.sample_rate for store in stores} - {self.sample_rate}:
            raise InputError(f"speech at {self.sample_rate} Hz does not mix with recordings at {rates.pop()} Hz")
        config.check_rate(self.sample_rate)
        self.samples = round(seconds * self.sample_rate)
        if seed < 0:
            raise InputError(f"the seed is {seed}: give 0 or more")
        self.config, self.seconds, self.seed = config, seconds, seed
        self.data_hash = "-".join(store.data_hash for store in stores)
        """Names exactly the sound that this mixes: speech, noise and rooms."""
        heard = {recording.corpus for store in stores for recording in store.recordings} - {""}
        found = (notice for store in stores for notice in store.notices)
        self.notices = (*notices, *found, *absent_corpora(config, heard))
        """What is to be said about the recordings: which were left out, who speaks, which were resampled."""
        shares = config.corpus_shares
        self._voices = Population.voices(speech, config.speaker_power, shares)
        self._rooms = None if rirs is None else Population.labeled(rirs, config.noise_power, shares)
        self._noises = Noises(config, Population.labeled(noise, config.noise_power, shares), self._voices)
        if len(self._voices.names) < 2 and config.babble_probability + config.talker_probability:
            raise InputError("babble needs two speakers or more: set babble_probability and talker_probability to 0")

    def __call__(self, epoch: int, index: int, attempt: int = 0) -> Mixture:
        """The mixture number `index` of an epoch; another one for each `attempt`, where a recording turned out broken."""
        config = self.config
        again = (attempt,) if attempt else ()
        streams = np.random.default_rng((self.seed, epoch, index, *again)).spawn(11)
        for_case, for_voice, for_color, for_room, for_channel, for_level, *for_noise, for_disturbance = streams
        case = for_case.random()
        silent = 0 <= case - config.clean_probability < config.noise_only_probability
        channel = None
        if for_channel.random() < config.band_limit_probability:
            channel = augment.band_limit(for_channel, config.low_pass_hz, config.high_pass_hz, self.sample_rate)

        voice = self._voices.draw_group(for_voice)
        coloring = Coloring.draw(for_color, config, channel, self.sample_rate)
        speech, paths = speech_of(for_voice, self._voices, voice, coloring.needed(self.samples), config.pause_s)
        clean, late, room = self._in_room(for_room, coloring.apply(speech, self.samples))
        # A voice alone, and nothing to keep of it, would teach the opposite of what clean speech teaches.
        noise = self._noises.draw(tuple(for_noise), voice, self.samples, channel, with_voices=not silent)
        if silent:
            clean, late = np.zeros_like(clean), None
        snr_db = self._snr(for_case, case < config.clean_probability, noise.kind)
        balanced = balance(clean, noise.sound, snr_db, self.sample_rate)
        if balanced.snr_db == -math.inf:
            # Speech so faint that no frame of it counts is not a target either.
            clean, late = np.zeros_like(clean), None

        noisy = clean + np.float32(balanced.noise_gain) * noise.sound
        if late is not None:
            noisy += late
        clip_at = None
        if for_channel.random() < config.clip_probability:
            clip_at = for_channel.uniform(*config.clip_at)
            limit = np.abs(noisy).max() * np.float32(clip_at)
            noisy = noisy.clip(-limit, limit)

        gain = self._gain(for_level, balanced.power, max(np.abs(noisy).max(), np.abs(clean).max()))
        noisy, clean = noisy * np.float32(gain), clean * np.float32(gain)
        disturbance = self._disturb(for_disturbance, noisy, clean)
        description = {
            "speaker": self._voices.names[voice],
            "speech": paths,
            "noise_kind": noise.kind,
            "noise": list(noise.names),
            "room": room,
            "speed": coloring.factor,
            "band_limited": channel is not None,
            "clipped_at": clip_at,
            "disturbance": disturbance,
        }
        level_db = decibels(balanced.power * gain**2)
        return Mixture(noisy, clean, balanced.snr_db, level_db, description)

    def _in_room(
        self, rng: np.random.Generator, speech: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None, str | None]:
        """The target, the late reverberation that only the noisy side has, and the room's name."""
        config = self.config
        if rng.random() >= config.room_probability:
            return speech, None, None
        if self._rooms is None or rng.random() < config.synthetic_room_probability:
            response, name = synthetic.room(rng, rng.uniform(*config.decay_s), self.sample_rate), "synthetic"
        else:
            i = self._rooms.draw_member(rng, self._rooms.draw_group(rng))
            response, name = from_pcm16(self._rooms.store.read(i)), self._rooms.store.recordings[i].path
        early, late = augment.convolved(speech, augment.split_response(response, config.early_ms, self.sample_rate))
        return early, late, name

    def _disturb(self, rng: np.random.Generator, noisy: np.ndarray, clean: np.ndarray) -> str | None:
        """Perhaps replace a part of both sides, in place: by something loud, and by silence. Returns what it was."""
        config = self.config
        if rng.random() >= config.disturbance_probability:
            return None
        samples = min(round(rng.uniform(*config.disturbance_s) * self.sample_rate), self.samples // 2)
        first = int(rng.integers(0, self.samples - samples + 1))
        sound, name = synthetic.disturbance(rng, samples, self.sample_rate)
        noisy[first : first + samples] = sound * np.float32(PEAK * amplitude(rng.uniform(*config.disturbance_db)))
        clean[first : first + samples] = 0
        return name

    def _snr(self, rng: np.random.Generator, is_clean: bool, kind: NoiseKind) -> float:
        config = self.config
        if is_clean:
            return math.inf if rng.random() < 0.5 else rng.uniform(*config.clean_snr_db)
        return rng.uniform(*(config.talker_snr_db if kind == "talker" else config.snr_db))

    def _gain(self, rng: np.random.Generator, power: float, peak: float) -> float:
        """The factor that brings sound of this power to a level, or as near to it as its peak allows."""
        wanted = amplitude(rng.uniform(*self.config.level_db)) / math.sqrt(power) if power else 1.0
        return min(wanted, PEAK / max(float(peak), 1e-9))


def absent_corpora(config: MixtureConfig, heard: Collection[str]) -> list[str]:
    """What to say of shares of corpora that are not among those `heard`: a share by a wrong name would do nothing."""
    absent = sorted(config.corpus_shares.keys() - set(heard))
    return [
        f"mixture.corpus_shares: no recording is of the corpus {name!r}, so its share does nothing"
        f"{did_you_mean(name, sorted(heard))}"
        for name in absent
    ]
