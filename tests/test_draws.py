"""What mixtures are drawn from: which recordings, how often, and each choice by a chance of its own."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from array_store import PLAIN, Clips, halls, hiss, mixtures, rustle, tone, voices
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyse.errors import InputError
from tinyse.mixtures import Mixer, MixtureConfig, noises, synthetic
from tinyse.mixtures.sources import Population


def spread(values: list[float], low: float, high: float) -> None:
    """Assert that these were drawn evenly between."""
    inside = (np.sort(values) - low) / (high - low)
    assert inside[0] >= -1e-6 and inside[-1] <= 1 + 1e-6
    assert np.abs(inside - (np.arange(len(inside)) + 0.5) / len(inside)).max() < 1.8 / math.sqrt(len(inside))


# The configuration


@given(st.lists(st.integers(0, 100), min_size=1, max_size=3), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_shares_in_percent_that_sum_to_one_are_accepted_and_a_percent_more_is_not(cuts, more):
    """0.05 + 0.55 + 0.3 + 0.1 is above 1 where one adds up from the left."""
    edges = [0, *sorted(cuts), 100]
    parts = [b - a for a, b in itertools.pairwise(edges)]
    kinds = ("synthetic", "babble", "talker", "procedural")
    for keys in (
        lambda shares: {f"{kind}_probability": share for kind, share in zip(kinds, shares, strict=False)},
        lambda shares: {"corpus_shares": {f"corpus {number}": share for number, share in enumerate(shares)}},
    ):
        PLAIN.plain(**keys([part / 100 for part in parts]))
        with pytest.raises(InputError, match=r"sum to 1\.0[123]: at most 1|is 1\.0[123]"):
            PLAIN.plain(**keys([(parts[0] + more) / 100, *(part / 100 for part in parts[1:])]))


@pytest.mark.parametrize(("clean", "alone", "fits"), [(0.3, 0.7, True), (1.0, 0.0, True), (0.4, 0.7, False)])
def test_clean_speech_and_noise_alone_are_not_more_than_all(clean, alone, fits):
    changes = {"clean_probability": clean, "noise_only_probability": alone}
    if fits:
        assert mixtures(PLAIN.plain(**changes), 3)
    else:
        with pytest.raises(InputError, match="sum to more than 1"):
            PLAIN.plain(**changes)


@pytest.mark.parametrize(
    ("low", "high", "refused"),
    [
        ((3000, 8000), (50, 300), "low_pass_hz"),
        ((3000, 7900), (50, 300), None),
        ((300, 4000), (50, 300), "high_pass_hz"),
        ((300, 4000), (50, 299), None),
    ],
)
def test_a_band_has_room_between_its_edges_and_below_half_the_rate(low, high, refused):
    config = MixtureConfig(low_pass_hz=low, high_pass_hz=high)
    config.plain().check_rate(16000)
    if refused:
        with pytest.raises(InputError, match=f"{refused} is"):
            config.check_rate(16000)
    else:
        config.check_rate(16000)


@pytest.mark.parametrize("seconds", [0.09, 600.1, math.nan])
def test_lengths_that_no_mixture_has_are_refused(seconds):
    with pytest.raises(InputError, match=r"give 0\.1 to 600 s"):
        mixtures(PLAIN, 0, seconds)


def test_babble_of_nobody_is_refused():
    with pytest.raises(InputError, match="babble_talkers"):
        MixtureConfig(babble_talkers=(0, 3))


# Which recordings, and how often


@pytest.mark.parametrize(("speaker_power", "noise_power"), [(1.0, 0.0), (0.0, 1.0)])
def test_the_powers_of_speakers_noises_and_rooms_are_their_own(speaker_power, noise_power):
    speech = Clips({"speech/much/a/0": tone(300, 0.9), "speech/little/a/0": tone(300, 0.1)})
    noise = Clips({"noise/much/a/0": hiss(0, 0.9), "noise/little/b/0": hiss(0, 0.1)})
    rooms = Clips({"rir/much/a/0": hiss(0, 0.9), "rir/little/b/0": hiss(0, 0.1)})
    config = PLAIN.plain(room_probability=1.0, speaker_power=speaker_power, noise_power=noise_power)
    made = [mixture.description for mixture in mixtures(config, 150, 0.1, speech, noise, rooms)]
    for names, power in (
        ([each["speaker"] for each in made], speaker_power),
        ([each["noise"][0].split("/")[1] for each in made], noise_power),
        ([each["room"].split("/")[1] for each in made], noise_power),
    ):
        assert names.count("much") / 150 == pytest.approx(0.9 if power else 0.5, abs=0.1)


def test_the_share_of_a_corpus_holds_for_voices_noises_and_rooms():
    config = PLAIN.plain(room_probability=1.0, corpus_shares={"3": 0.8}, synthetic_room_probability=0.0)
    rooms = halls(names=("2", "3", "4"))
    made = [mixture.description for mixture in mixtures(config, 200, 0.1, rooms=rooms)]
    for names, wanted in (
        ([each["speaker"] for each in made], "3"),
        ([each["noise"][0].split("/")[1] for each in made], "3"),
        ([each["room"].split("/")[1] for each in made], "3"),
    ):
        assert names.count(wanted) / 200 == pytest.approx(0.8, abs=0.1)


def cuts() -> Clips:
    """Two source recordings, of which one is in four pieces."""
    return Clips({f"noise/rain/{name}/0": hiss(i) for i, name in enumerate("ab")}
                 | {f"noise/rain/a/{number}": hiss(number) for number in (3, 1, 2)})  # fmt: skip


def test_ten_cuts_of_one_rain_are_one_rain():
    population, rng = Population.labeled(cuts(), 0.5), np.random.default_rng(0)
    drawn = Counter(population.store.recordings[population.draw_member(rng, 0)].path for _ in range(2000))
    assert drawn["noise/rain/b/0"] / 2000 == pytest.approx(1 / 2, abs=0.04)
    for number in range(4):
        assert drawn[f"noise/rain/a/{number}"] / 2000 == pytest.approx(1 / 8, abs=0.03)


@given(st.permutations(range(5)))
def test_the_order_of_cuts_in_a_manifest_does_not_matter(order):
    """Shards have another order than the manifest that they were packed from."""
    clips = cuts()
    names = [recording.path for recording in clips.recordings]
    drawn = []
    for numbers in (range(5), order):
        population = Population.labeled(Clips({names[i]: clips.sounds[i] for i in numbers}), 0.5)
        rng = np.random.default_rng(0)
        drawn.append([population.store.recordings[population.draw_member(rng, 0)].path for _ in range(20)])
    assert drawn[0] == drawn[1]


def test_kinds_of_noise_are_drawn_as_often_as_the_configuration_says():
    shares = {"synthetic": 0.1, "babble": 0.3, "talker": 0.15, "procedural": 0.2}
    config = PLAIN.plain(**{f"{kind}_probability": share for kind, share in shares.items()})
    source = noises.Noises(config, Population.labeled(rustle(), 0.5), Population.voices(voices(), 0.5))
    rng = np.random.default_rng(0)
    drawn = Counter(source._kind(rng) for _ in range(3000))
    for kind, share in (shares | {"recorded": 0.25}).items():
        assert drawn[kind] / 3000 == pytest.approx(share, abs=0.03)


def test_babble_has_as_many_voices_as_the_configuration_says_and_a_talker_is_one():
    for config, counts in (
        (PLAIN.plain(babble_probability=1.0, babble_talkers=(2, 4)), {2, 3, 4}),
        (PLAIN.plain(talker_probability=1.0), {1}),
    ):
        made = [mixture.description for mixture in mixtures(config, 30)]
        assert {len({path.split("/")[1] for path in each["noise"]}) for each in made} == counts
        assert all(each["speaker"] not in {path.split("/")[1] for path in each["noise"]} for each in made)


def test_a_second_noise_is_as_frequent_as_it_should_be_and_named():
    made = mixtures(PLAIN.plain(second_noise_probability=0.3), 200, 0.1)
    counts = Counter(len(mixture.description["noise"]) for mixture in made)
    assert counts.keys() == {1, 2} and counts[2] / 200 == pytest.approx(0.3, abs=0.1)


def test_rooms_are_measured_or_synthetic_as_often_as_the_configuration_says():
    config = PLAIN.plain(room_probability=1.0, synthetic_room_probability=0.3)
    names = Counter(mixture.description["room"] for mixture in mixtures(config, 200, 0.1, rooms=halls()))
    assert names["synthetic"] / 200 == pytest.approx(0.3, abs=0.1)
    assert names.keys() == {"synthetic", "rir/hall/a/0", "rir/cave/a/0"}
    assert {mixture.description["room"] for mixture in mixtures(config, 10, 0.1)} == {"synthetic"}


# Chance


CHOICES = {
    "clean": lambda mixture: mixture.snr_db >= 30,
    "noise alone": lambda mixture: mixture.snr_db == -math.inf,
    "room": lambda mixture: mixture.description["room"] is not None,
    "band limit": lambda mixture: mixture.description["band_limited"],
    "clipping": lambda mixture: mixture.description["clipped_at"] is not None,
    "speed": lambda mixture: mixture.description["speed"] != 1,
    "disturbance": lambda mixture: mixture.description["disturbance"] is not None,
    "second noise": lambda mixture: len(mixture.description["noise"]) == 2,
    "first voice": lambda mixture: mixture.description["speaker"] < "4",
    "first noise": lambda mixture: mixture.description["noise"][0] < "noise/2",
    "loud": lambda mixture: mixture.level_db > -28.5,
    "slow": lambda mixture: mixture.description["speed"] < 0.99,
}
OFTEN = {
    "clean": 0.3, "noise alone": 0.3, "room": 0.3, "band limit": 0.3, "clipping": 0.3, "speed": 0.3, "disturbance": 0.3,
    "second noise": 0.3, "first voice": 0.5, "first noise": 0.4, "loud": 0.5, "slow": 0.14,
}  # fmt: skip


def test_every_choice_is_made_as_often_as_it_should_be_and_by_a_chance_of_its_own():
    names = ("clean", "noise_only", "room", "band_limit", "clip", "speed", "disturbance", "second_noise", "equalize")
    config = PLAIN.plain(**{f"{name}_probability": 0.3 for name in names}, snr_db=(-5.0, 20.0))
    made = mixtures(config, 300, 0.1)
    chosen = {name: np.array([bool(was(mixture)) for mixture in made]) for name, was in CHOICES.items()}
    for name, often in OFTEN.items():
        assert chosen[name].mean() == pytest.approx(often, abs=0.09), name
    dependent = {frozenset(("clean", "noise alone")), frozenset(("speed", "slow"))}
    for name, one in chosen.items():
        for other, two in chosen.items():
            if name != other and frozenset((name, other)) not in dependent:
                assert abs(np.corrcoef(one, two)[0, 1]) < 0.25, f"{name} and {other}"


@pytest.mark.parametrize(
    "name", ["room", "band_limit", "clip", "equalize", "speed", "noise_speed", "disturbance", "second_noise"]
)
def test_an_augmentation_switched_on_leaves_voice_first_noise_level_and_snr(name):
    config = PLAIN.plain(level_db=(-45.0, -40.0))
    on = replace(config, **{f"{name}_probability": 1.0}, disturbance_s=(0.02, 0.02), clip_at=(0.9, 0.9))
    changed = 0
    for one, other in zip(mixtures(config, 12), mixtures(on, 12), strict=True):
        assert one.description["speaker"] == other.description["speaker"]
        assert one.description["noise"][0] == other.description["noise"][0]
        assert one.level_db == pytest.approx(other.level_db, abs=0.01)
        assert one.snr_db == pytest.approx(other.snr_db, abs=0.01)
        changed += not np.array_equal(one.noisy, other.noisy)
    assert changed == 12


def test_half_of_the_clean_clips_have_no_noise_and_the_others_have_little():
    snrs = [mixture.snr_db for mixture in mixtures(PLAIN.plain(clean_probability=1.0), 100, 0.1)]
    some = [snr_db for snr_db in snrs if math.isfinite(snr_db)]
    assert len(some) / 100 == pytest.approx(0.5, abs=0.15)
    spread(some, 35, 50)


def test_snr_level_speed_and_clipping_are_spread_evenly_over_their_ranges():
    config = PLAIN.plain(snr_db=(-5.0, 20.0), level_db=(-60.0, -30.0), speed_probability=1.0, clip_probability=1.0)
    made = mixtures(config, 100, 0.1)
    spread([mixture.snr_db for mixture in made], -5, 20)
    spread([mixture.level_db for mixture in made], -60, -30)
    spread([mixture.description["speed"] for mixture in made], 0.9, 1.1)
    spread([mixture.description["clipped_at"] for mixture in made], 0.2, 0.8)


def test_decays_and_loud_disturbances_are_spread_evenly_over_their_ranges(monkeypatch):
    decays, peaks = [], []
    room = synthetic.room
    monkeypatch.setattr(synthetic, "room", lambda rng, decay, rate: (decays.append(decay), room(rng, decay, rate))[1])
    config = PLAIN.plain(
        room_probability=1.0, disturbance_probability=1.0, level_db=(-80.0, -80.0), clean_probability=1.0
    )
    for mixture in mixtures(config, 100, 0.1):
        if mixture.description["disturbance"] != "noise":  # whose peak is that of its samples
            peaks.append(20 * math.log10(np.abs(mixture.noisy).max() / 0.99))
    spread(decays, 0.15, 0.7)
    spread([peak for peak in peaks if peak > -30.0001], -30, 0)


def test_another_attempt_at_a_mixture_is_another_mixture():
    mixer = Mixer(voices(), rustle(), None, PLAIN, 0.25, 0)
    assert np.array_equal(mixer(0, 0).noisy, mixer(0, 0, 0).noisy)
    first = [mixer(0, 0, attempt).noisy for attempt in range(3)]
    assert not np.array_equal(first[0], first[1]) and not np.array_equal(first[1], first[2])


def test_epoch_seed_and_index_are_not_interchangeable():
    mixers = [Mixer(voices(), rustle(), None, PLAIN, 0.25, seed) for seed in range(3)]
    made = [mixer(epoch, index).noisy.tobytes() for mixer in mixers for epoch in range(3) for index in range(3)]
    assert len(set(made)) == 27


def test_a_mixer_is_named_by_all_its_sound():
    names = {
        Mixer(speech, noise, rooms, PLAIN, 0.25, 0).data_hash
        for speech in (voices(2), voices(3))
        for noise in (rustle(2), rustle(3))
        for rooms in (None, halls())
    }
    assert len(names) == 8


def test_a_mixer_needs_one_rate_a_seed_from_0_and_two_voices_for_babble():
    with pytest.raises(InputError, match="speech at 16000 Hz does not mix with recordings at 8000 Hz"):
        Mixer(voices(), rustle(), halls(8000), PLAIN, 0.25, 0)
    with pytest.raises(InputError, match="the seed is -1"):
        Mixer(voices(), rustle(), None, PLAIN, 0.25, -1)
    with pytest.raises(InputError, match="needs two speakers"):
        Mixer(voices(1), rustle(), None, PLAIN.plain(talker_probability=0.1), 0.25, 0)
