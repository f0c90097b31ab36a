"""What a mixture may be made of: every probability and range of the mixing, with defaults that train well."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any

from tinyse.config import Between, check_bounds
from tinyse.errors import InputError

_Decibels = Annotated[float, Between(-120, 120)]
_Seconds = Annotated[float, Between(0, 60)]
_Decay = Annotated[float, Between(0.01, 10)]
_Share = Annotated[float, Between(0.001, 1)]
_Hertz = Annotated[float, Between(1, 24000)]
_Power = Annotated[float, Between(-4, 4)]
_Probability = Annotated[float, Between(0, 1)]
_Talkers = Annotated[int, Between(1, 64)]
_Factor = Annotated[float, Between(0.25, 4)]

Range = tuple[float, float]
DecibelRange = tuple[_Decibels, _Decibels]
_BelowFullScale = Annotated[float, Between(-120, 0)]


SECONDS = Between(0.1, 600)
"""Length of a clip."""


def check_seconds(seconds: float) -> None:
    """Raise InputError for a length that no mixture can have."""
    if not SECONDS.low <= seconds <= SECONDS.high:
        raise InputError(f"mixtures of {seconds:g} s: give {SECONDS.low:g} to {SECONDS.high:g} s")


def check_ranges(config: Any) -> None:
    """Raise InputError, by name, for a field of a dataclass beyond its `Between`, and for a range whose ends are exchanged."""
    check_bounds(config)
    for key in fields(config):
        value = getattr(config, key.name)
        if isinstance(value, tuple) and not value[0] <= value[1]:
            raise InputError(f"{key.name} is {value}: the lowest value comes first")


@dataclass(frozen=True)
class MixtureConfig:
    """How noisy and clean pairs are drawn. A range is (lowest, highest), drawn evenly between."""

    snr_db: DecibelRange = (-5.0, 20.0)
    """SNR of a mixture: active speech against noise over the same frames, before clipping."""
    level_db: DecibelRange = (-45.0, -12.0)
    """Level of the active speech, or of the noise if there is no speech, in dB re full scale."""

    speaker_power: _Power = 0.5
    """A speaker is drawn in proportion to their seconds to this power: 1 draws every second alike, 0 every voice."""
    noise_power: _Power = 0.5
    """The same for classes of noise and for rooms."""
    corpus_shares: dict[str, _Probability] = field(default_factory=dict)
    """How often a corpus is drawn, by its name in the manifest: `{own: 0.5}` makes half of the noise the user's own, however
    few recordings there are. The same holds for voices and rooms; all other corpora share the rest as they would without it."""
    pause_s: tuple[_Seconds, _Seconds] = (0.0, 0.8)
    """Silence before an utterance, where several are joined to fill a clip."""

    clean_probability: _Probability = 0.05
    """Probability of speech with almost no noise (`clean_snr_db`) or, half of the time, none, so that the model learns to
    leave clean speech alone."""
    clean_snr_db: DecibelRange = (35.0, 50.0)
    """SNR of the nearly clean clips."""
    noise_only_probability: _Probability = 0.03
    """Probability of no speech at all: the target is silence."""

    synthetic_probability: _Probability = 0.1
    """Probability of colored noise, hum, clicks or wind instead of a recording."""
    procedural_probability: _Probability = 0.0
    """Probability of procedural noise instead of a recording: impacts, cries and calls, bells, horns and alarms, music,
    machines, crowds (`tinyse data synthesize` writes some to listen to)."""
    babble_probability: _Probability = 0.08
    """Probability of several other voices at once, instead of a recording."""
    babble_talkers: tuple[_Talkers, _Talkers] = (3, 6)
    """Number of voices in babble."""
    talker_probability: _Probability = 0.03
    """Probability of one other voice, instead of a recording. Rare, because only the level shows which voice is wanted."""
    talker_snr_db: DecibelRange = (5.0, 20.0)
    """Level of the wanted voice relative to the other one."""
    second_noise_probability: _Probability = 0.3
    """Probability of a second recorded noise in addition to the first."""
    second_noise_db: DecibelRange = (-15.0, 0.0)
    """Level of the second noise relative to the first."""

    speed_probability: _Probability = 0.3
    """Probability of changing speed and pitch together, for speech and for noise."""
    speed: tuple[_Factor, _Factor] = (0.9, 1.1)
    """Factor of the speed."""
    noise_speed_probability: _Probability = 0.0
    """Probability of playing a recorded noise at a very different speed, half of the time backward, for more variety from few
    recordings."""
    noise_speed: tuple[_Factor, _Factor] = (0.5, 2.0)
    """Factor of that speed, drawn evenly in octaves."""
    equalize_probability: _Probability = 0.5
    """Probability of a random smooth equalization, for speech and for noise."""
    equalize_db: DecibelRange = (-6.0, 6.0)
    """Gain of each section of the equalizer."""
    band_limit_probability: _Probability = 0.05
    """Probability of a band-limited channel, for speech and noise together."""
    low_pass_hz: tuple[_Hertz, _Hertz] = (3400.0, 7500.0)
    """Upper edge of the channel's band, below half the sample rate."""
    high_pass_hz: tuple[_Hertz, _Hertz] = (50.0, 300.0)
    """Lower edge of the channel's band."""

    room_probability: _Probability = 0.3
    """Probability of speech in a room. The target keeps the direct sound and the early reflections."""
    synthetic_room_probability: _Probability = 0.3
    """Share of these whose room is synthetic (decaying noise); all of them if there are no measured responses."""
    decay_s: tuple[_Decay, _Decay] = (0.15, 0.7)
    """Time in which a synthetic room decays by 60 dB."""
    early_ms: Annotated[float, Between(0, 1000)] = 50.0
    """Reflections up to this time help intelligibility and stay in the target."""

    disturbance_probability: _Probability = 0.0
    """Probability of something very loud in the middle of a clip, with no speech in it: a steady tone, a square wave, noise,
    an offset. From it a model learns to hear speech again afterward."""
    disturbance_db: tuple[_BelowFullScale, _BelowFullScale] = (-30.0, 0.0)
    """Peak of a disturbance, in dB re full scale, whatever the level of the clip."""
    disturbance_s: tuple[_Seconds, _Seconds] = (0.1, 2.0)
    """Length of a disturbance, at most half a clip."""

    clip_probability: _Probability = 0.02
    """Probability of clipping the noisy side, never the target."""
    clip_at: tuple[_Share, _Share] = (0.2, 0.8)
    """Clipping level, as a share of the noisy side's peak."""

    def __post_init__(self) -> None:
        check_ranges(self)
        # fsum, so that shares such as 0.05, 0.55, 0.3 and 0.1 sum to 1 and not to a little more.
        noises = math.fsum(
            (self.synthetic_probability, self.babble_probability, self.talker_probability, self.procedural_probability)
        )
        if noises > 1:
            raise InputError("synthetic_probability, babble_probability, talker_probability and procedural_probability sum to "
                             f"{noises:g}: at most 1")  # fmt: skip
        if self.clean_probability + self.noise_only_probability > 1:
            raise InputError("clean_probability and noise_only_probability sum to more than 1")
        if (total := math.fsum(self.corpus_shares.values())) > 1:
            raise InputError(f"corpus_shares sum to {total:g}: at most 1")

    def check_rate(self, sample_rate: int) -> None:
        """Raise InputError for what sound at this rate cannot hold."""
        if self.band_limit_probability and self.low_pass_hz[1] >= sample_rate / 2:
            raise InputError(
                f"low_pass_hz is {self.low_pass_hz}: it has to stay below {sample_rate // 2} Hz, half the sample rate; "
                "set it, or band_limit_probability to 0"
            )
        if self.band_limit_probability and self.high_pass_hz[1] >= self.low_pass_hz[0]:
            raise InputError(
                f"high_pass_hz is {self.high_pass_hz}: it has to stay below low_pass_hz, {self.low_pass_hz}; set it, or "
                "band_limit_probability to 0"
            )

    def plain(self, **changes: object) -> MixtureConfig:
        """This without any augmentation: speech and one recorded noise at an SNR and a level, and `changes`."""
        off = {key.name: 0.0 for key in fields(self) if key.name.endswith("_probability")}
        return replace(self, **(off | changes))  # type: ignore[arg-type]
