"""What a mixture may be made of: every probability and range of the mixing, with defaults that train well."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from tinyse.errors import InputError

Range = tuple[float, float]


@dataclass(frozen=True)
class MixtureConfig:
    """How noisy and clean pairs are drawn. A range is (lowest, highest), drawn evenly between."""

    snr_db: Range = (-5.0, 20.0)
    """Active speech against noise over the same frames, before anything is clipped."""
    level_db: Range = (-45.0, -12.0)
    """Level of the active speech, dB re full scale (of the noise where there is no speech)."""

    speaker_power: float = 0.5
    """A speaker is drawn in proportion to their seconds to this power: 1 hears every second alike, 0 every voice."""
    noise_power: float = 0.5
    """The same for classes of noise and for rooms."""
    pause_s: Range = (0.0, 0.8)
    """Silence before an utterance that has to be joined to others to fill the time."""

    clean_probability: float = 0.05
    """Speech with next to no noise (`clean_snr_db`) or, half of the time, none: what is clean must stay so."""
    clean_snr_db: Range = (35.0, 50.0)
    noise_only_probability: float = 0.03
    """No speech at all: the target is silence."""

    synthetic_probability: float = 0.1
    """Coloured noise, hum, clicks or wind in place of a recording."""
    babble_probability: float = 0.08
    """Several other voices at once, in place of a recording."""
    babble_talkers: tuple[int, int] = (3, 6)
    talker_probability: float = 0.03
    """One other voice, in place of a recording. Rare: which of two voices is wanted, nobody can know but by level."""
    talker_snr_db: Range = (5.0, 20.0)
    second_noise_probability: float = 0.3
    second_noise_db: Range = (-15.0, 0.0)
    """Level of the second noise against the first."""

    speed_probability: float = 0.3
    """Of changing speed and pitch together, for speech and noise each."""
    speed: Range = (0.9, 1.1)
    equalise_probability: float = 0.5
    """Of a random smooth equalisation, for speech and noise each."""
    equalise_db: Range = (-6.0, 6.0)
    band_limit_probability: float = 0.05
    """Of a channel that passes part of the band, for speech and noise together."""
    low_pass_hz: Range = (3400.0, 7500.0)
    high_pass_hz: Range = (50.0, 300.0)

    room_probability: float = 0.3
    """Of speech in a room. The target keeps the direct sound and the early reflections."""
    synthetic_room_probability: float = 0.3
    """Of these, the share in rooms of decaying noise; all of them where there are no measured responses."""
    decay_s: Range = (0.15, 0.7)
    """Time in which a synthetic room decays by 60 dB."""
    early_ms: float = 50.0
    """Reflections up to here help understanding and stay in the target."""

    clip_probability: float = 0.02
    """Of clipping the noisy side, never the target."""
    clip_at: Range = (0.2, 0.8)
    """Where, as a share of the noisy side's peak."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_probability") and not 0 <= value <= 1:
                raise InputError(f"{field.name} is {value}: a probability is between 0 and 1")
            if isinstance(value, tuple) and not value[0] <= value[1]:
                raise InputError(f"{field.name} is {value}: the lowest value comes first")
        noises = self.synthetic_probability + self.babble_probability + self.talker_probability
        if noises > 1:
            raise InputError(
                f"synthetic_probability, babble_probability and talker_probability sum to {noises:g}: at most 1"
            )
        if self.clean_probability + self.noise_only_probability > 1:
            raise InputError("clean_probability and noise_only_probability sum to more than 1")
        positive = {"speed": self.speed[0], "clip_at": self.clip_at[0], "decay_s": self.decay_s[0]}
        positive |= {"pause_s": 1.0 + self.pause_s[0], "low_pass_hz": self.low_pass_hz[0]}
        positive |= {"high_pass_hz": self.high_pass_hz[0], "babble_talkers": self.babble_talkers[0]}
        for name, lowest in positive.items():
            if lowest <= 0:
                raise InputError(f"{name} is {getattr(self, name)}: expected positive numbers")
        if self.low_pass_hz[1] >= 8000:
            raise InputError(f"low_pass_hz is {self.low_pass_hz}: it has to stay below 8000 Hz, half the sample rate")

    def plain(self, **changes: object) -> MixtureConfig:
        """This without any augmentation: speech and one recorded noise at an SNR and a level, and `changes`."""
        off = {field.name: 0.0 for field in fields(self) if field.name.endswith("_probability")}
        return replace(self, **(off | changes))  # type: ignore[arg-type]
