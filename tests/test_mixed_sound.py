"""What is heard in a mixture: which part of a recording, at which level, through which filter, in which room."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from array_store import PLAIN, Clips, hiss, mixtures, rustle, tone, voices
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyse.mixtures import MixtureConfig, augment, noises, synthetic
from tinyse.mixtures.levels import active, balance, frame_powers, mean_power
from tinyse.mixtures.sources import Population, active_span, babble_of, noise_of, speech_of

RATE = 16000


def level_of(sound: np.ndarray, rate: int = RATE) -> float:
    """Of its active frames, dB re full scale."""
    powers = frame_powers(sound, rate)
    return 10 * math.log10(mean_power(powers, active(powers)))


def above(sound: np.ndarray, hz: float, rate: int = RATE) -> float:
    """How much of its power is above a frequency, in dB."""
    power = np.square(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))))
    return 10 * math.log10(power[round(hz * len(sound) / rate) :].sum() / power.sum())


def response_db(sections: np.ndarray, hertz: Sequence[float], rate: int = RATE) -> np.ndarray:
    """Of a cascade of second-order sections, at these frequencies."""
    z = np.exp(-2j * np.pi * np.asarray(hertz) / rate) ** np.arange(3)[:, None]
    return 20 * np.log10(np.abs((sections[:, :3] @ z) / (sections[:, 3:] @ z)).prod(axis=0))


# Which part of a recording


def ramp(seconds: float, rate: int = 1000) -> np.ndarray:
    """Each sample tells where it is: 0.1 at the start, 0.9 at the end."""
    return np.linspace(0.1, 0.9, round(seconds * rate), dtype=np.float32)


def starts(parts: list[np.ndarray], seconds: float) -> np.ndarray:
    """Where parts of a ramp were taken from, in seconds."""
    middles = np.array([part[len(part) // 2] for part in parts])
    return (middles - 0.1) / 0.8 * seconds - len(parts[0]) / 2000


def test_any_part_of_a_long_utterance_is_as_likely_as_any_other_and_fits():
    people = Population.voices(Clips({"speech/a/a/0": ramp(3)}, 1000), 0.5)
    rng = np.random.default_rng(0)
    taken = starts([speech_of(rng, people, 0, 1000, (0, 0))[0] for _ in range(300)], 3)
    assert taken.min() >= -0.01 and taken.max() <= 2.01
    np.testing.assert_allclose(np.quantile(taken, [0.02, 0.25, 0.5, 0.75, 0.98]), [0.04, 0.5, 1, 1.5, 1.96], atol=0.2)


@pytest.mark.parametrize(("seconds", "last"), [(3, 2), (70, 69)])
def test_any_part_of_a_long_noise_is_as_likely_as_any_other(seconds, last):
    """Also of one that is longer than what is searched for its active part."""
    sounds = Population.labeled(Clips({"noise/a/a/0": ramp(seconds)}, 1000), 0.5)
    rng = np.random.default_rng(0)
    taken = starts([noise_of(rng, sounds, 0, 1000)[0] for _ in range(300)], seconds)
    assert taken.min() >= -0.01 and taken.max() <= last + 0.01
    assert taken.min() < 0.1 * last and taken.max() > 0.9 * last
    assert np.median(taken) == pytest.approx(last / 2, abs=0.1 * last)


def test_an_utterance_of_exactly_a_clips_length_is_taken_as_it_is():
    people = Population.voices(Clips({"speech/a/a/0": ramp(1)}, 1000), 0.5)
    sound, paths = speech_of(np.random.default_rng(0), people, 0, 1000, (5, 5))
    np.testing.assert_array_equal(sound, ramp(1))
    assert paths == ["speech/a/a/0"]


def test_what_is_cut_is_faded_in_5_ms_and_what_is_whole_is_not():
    flat = np.full(1000, 0.5)
    people = Population.voices(Clips({"speech/a/a/0": flat}), 0.5)
    sound, _ = speech_of(np.random.default_rng(0), people, 0, 500, (0, 0))  # out of the middle
    assert sound[0] == sound[-1] == 0 and (sound[80:-80] == 0.5).all()
    assert (np.abs(np.diff(sound)) < 0.01).all()
    joined, _ = speech_of(np.random.default_rng(0), people, 0, 1500, (0, 0))  # all of it, then the first half of it
    assert joined[0] == 0.5 and joined[1000] == 0.5 and joined[-1] == 0
    sounds = Population.labeled(Clips({"noise/a/a/0": flat}), 0.5)
    one, _ = noise_of(np.random.default_rng(0), sounds, 0, 500)
    assert (one == 0.5).all(), "the ends of a mixture are cuts as well, and do not click"
    two, _ = noise_of(np.random.default_rng(0), sounds, 0, 1500)
    assert two[0] == two[-1] == 0.5 and two[999] == two[1000] == 0
    assert (np.abs(np.diff(two)) < 0.01).all()


@given(st.integers(0, 2000), st.integers(600, 5000), st.integers(0, 2000), st.booleans())
def test_of_silence_around_a_sound_less_than_a_frame_stays(before, length, after, silent):
    sound = np.zeros(before + length + after, np.float32)
    sound[before : before + length] = 0.0 if silent else 0.1
    span = active_span(sound, RATE)
    if silent:
        assert len(span) == len(sound)
    else:
        heard = np.flatnonzero(span)
        assert len(heard) >= length - 512 and heard[0] < 512 and len(span) - heard[-1] <= 1024
        assert len(heard) == length or after + before > 0
        assert after or heard[-1] == len(span) - 1


def test_pauses_are_before_utterances_and_as_long_as_they_should_be():
    people = Population.voices(Clips({"speech/a/a/0": np.full(4000, 0.5)}, 8000), 0.5)
    sound, paths = speech_of(np.random.default_rng(0), people, 0, 8000 * 20, (0.2, 0.4))
    edges = np.flatnonzero(np.diff((np.r_[0, sound] != 0).astype(int)))
    pauses = np.diff(np.r_[0, edges])[::2] / 8000
    assert len(paths) > 20 and pauses.min() >= 0.199 and pauses.max() <= 0.401 and np.ptp(pauses) > 0.1


@given(st.floats(0, 3), st.integers(0, 1000))
@settings(deadline=None)
def test_an_utterance_that_a_pause_leaves_no_room_for_is_not_named(pause, seed):
    people = Population.voices(Clips({"speech/a/a/0": np.full(400, 0.5)}, 1000), 0.5)
    sound, paths = speech_of(np.random.default_rng(seed), people, 0, 1000, (pause, pause))
    assert len(paths) == math.ceil(np.count_nonzero(sound) / 400)


def test_voices_of_babble_are_within_6_db_of_each_other_however_loud_they_were_recorded():
    crowd = Clips({"speech/0/a/0": tone(300, level=0.9), "speech/1/a/0": tone(2000, level=0.002),
                   "speech/2/a/0": tone(4000), "speech/3/a/0": np.zeros(8000)})  # fmt: skip
    people, rng, ratios = Population.voices(crowd, 0.5), np.random.default_rng(0), []
    for _ in range(60):
        sound, paths = babble_of(rng, people, 3, 2, 8000, (0, 0))
        assert sorted(paths) == ["speech/0/a/0", "speech/1/a/0", "speech/3/a/0"]
        ratios.append(above(sound, 1000) - 10 * math.log10(1 - 10 ** (above(sound, 1000) / 10)))
    assert max(np.abs(ratios)) < 6.1 and max(ratios) > 3 and min(ratios) < -3


def test_babble_pauses_as_speech_does():
    config = PLAIN.plain(talker_probability=1.0, pause_s=(0.3, 0.3), talker_snr_db=(5.0, 5.0))
    for mixture in mixtures(config, 5, 0.6):
        assert not mixture.noisy[: int(0.29 * RATE)].any() and (mixture.noisy - mixture.clean).any()


# Levels


def test_frames_within_40_db_of_the_loudest_and_above_silence_are_active():
    assert active(np.array([1e-2, 1.1e-6, 0.9e-6, 0])).tolist() == [True, True, False, False]
    assert active(np.array([1e-7, 1.1e-9, 0.9e-9])).tolist() == [True, True, False]
    assert not active(np.array([9e-10, 9e-10])).any() and active(np.zeros(0)).shape == (0,)


def test_noise_alone_and_clean_speech_alone_are_balanced_as_they_are():
    speech, noise, nothing = np.full(5120, 0.1), np.full(5120, 0.01), np.zeros(5120)
    alone = balance(nothing, noise, 5.0)
    assert (alone.noise_gain, alone.snr_db) == (1.0, -math.inf) and alone.power == pytest.approx(1e-4)
    for clean in (balance(speech, noise, math.inf), balance(speech, nothing, 5.0)):
        assert (clean.noise_gain, clean.snr_db) == (0.0, math.inf) and clean.power == pytest.approx(1e-2)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.floats(-60, 0), st.sampled_from([8000, 16000, 48000]), st.booleans())
def test_the_level_is_that_of_the_speech_else_of_the_noise_and_no_side_clips(index, level, rate, alone):
    config = PLAIN.plain(
        level_db=(level, level), noise_only_probability=float(alone), clip_probability=0.5, snr_db=(5.0, 40.0)
    )
    mixture = mixtures(config, 1, 0.3, voices(rate=rate), rustle(rate=rate), epoch=index)[0]
    peak = max(np.abs(mixture.noisy).max(), np.abs(mixture.clean).max())
    assert peak < 0.9901
    if mixture.description["clipped_at"] is None or not alone:
        heard = level_of(mixture.noisy if alone else mixture.clean, rate)
        assert heard == pytest.approx(mixture.level_db, abs=0.01)
    # As loud as it should be, or as its peak lets it be.
    assert mixture.level_db == pytest.approx(level, abs=0.01) or peak == pytest.approx(0.99, abs=0.001)


def test_noise_of_one_other_voice_has_an_snr_of_its_own():
    for kind, snr_db in (("talker", 7.0), ("babble", -3.0)):
        config = PLAIN.plain(
            **{f"{kind}_probability": 1.0}, snr_db=(-3.0, -3.0), talker_snr_db=(7.0, 7.0), pause_s=(0, 0)
        )
        for mixture in mixtures(config, 10, 0.4):
            assert mixture.snr_db == pytest.approx(snr_db, abs=0.01)


@given(st.floats(-30, 10), st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_a_second_noise_is_as_much_louder_than_the_first_as_it_should_be(db, one, two):
    """Over the active frames of each, wherever these are."""
    first, second = np.zeros((2, 8192), np.float32)
    first[:2048], second[4096:] = one, two
    both = noises._added(first, second, db, RATE)
    np.testing.assert_array_equal(both[:4096], first[:4096])
    assert 20 * math.log10(both[-1] / one) == pytest.approx(db, abs=0.01)


def test_of_two_noises_of_which_one_is_silent_the_other_is_heard():
    nothing, something = np.zeros(8192, np.float32), np.full(8192, 0.1, np.float32)
    for pair in ((nothing, something), (something, nothing)):
        np.testing.assert_array_equal(noises._added(*pair, -6.0, RATE), something)
    assert not noises._added(nothing, nothing, -6.0, RATE).any()


def test_a_second_noise_is_spread_over_its_range():
    """Two tones: the second is 15 dB to 0 dB below the first, or either if both are of one class."""
    noise = Clips({"noise/low/a/0": tone(500), "noise/high/a/0": tone(4000)})
    config = PLAIN.plain(noise_only_probability=1.0, second_noise_probability=1.0)
    apart = []
    for mixture in mixtures(config, 100, 0.2, noise=noise):
        if len(set(mixture.description["noise"])) == 2:
            high = above(mixture.noisy, 2000) - 10 * math.log10(1 - 10 ** (above(mixture.noisy, 2000) / 10))
            apart.append(high if "high" in mixture.description["noise"][1] else -high)
    assert -15.1 < min(apart) < -13 and -2 < max(apart) < 0.1 and np.mean(apart) == pytest.approx(-7.5, abs=1.5)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.floats(0.1, 0.9))
def test_both_halves_of_a_wave_are_clipped_at_the_share_of_the_peak(index, share):
    config = PLAIN.plain(level_db=(-50.0, -50.0))
    whole, clipped = (
        mixtures(changed, 1, epoch=index)[0]
        for changed in (config, PLAIN.plain(level_db=(-50.0, -50.0), clip_probability=1.0, clip_at=(share, share)))
    )
    np.testing.assert_array_equal(whole.clean, clipped.clean)
    limit = share * np.abs(whole.noisy).max()
    np.testing.assert_allclose(clipped.noisy, whole.noisy.clip(-limit, limit), rtol=1e-5)
    assert clipped.description["clipped_at"] == pytest.approx(share) and whole.description["clipped_at"] is None


def test_sound_that_is_too_short_to_be_measured_does_not_clip_either():
    """A burst in the last, incomplete frame of a recording, made louder by the equalizer."""
    burst = np.zeros(4000)
    burst[-10:] = np.resize([0.9, -0.9], 10)
    config = PLAIN.plain(equalize_probability=1.0, equalize_db=(20.0, 20.0))
    nobody = Clips({"speech/a/a/0": np.zeros(4000), "speech/b/a/0": np.zeros(4000)})
    for mixture in mixtures(config, 4, speech=nobody, noise=Clips({"noise/a/a/0": burst})):
        assert 0.98 < np.abs(mixture.noisy).max() < 0.9901


# Filters and speeds


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_a_narrow_channel_is_heard_in_speech_and_in_all_noise(alone, second):
    speech = Clips({"speech/a/a/0": hiss(1), "speech/b/a/0": hiss(2)})
    config = PLAIN.plain(
        band_limit_probability=1.0, low_pass_hz=(3000, 3000), high_pass_hz=(200, 200), snr_db=(0.0, 0.0),
        noise_only_probability=float(alone), second_noise_probability=float(second), second_noise_db=(0.0, 0.0),
    )  # fmt: skip
    for mixture in mixtures(config, 4, speech=speech):
        assert mixture.description["band_limited"]
        for sound in (mixture.noisy, mixture.clean, mixture.noisy - mixture.clean):
            assert not sound.any() or above(sound, 6000) < -30


def test_noise_and_speech_are_equalized_each_for_itself():
    speech = Clips({"speech/a/a/0": hiss(1), "speech/b/a/0": hiss(2)})
    config = PLAIN.plain(equalize_probability=1.0, equalize_db=(-30.0, 30.0))
    tilts = [
        [above(sound, 5000) for sound in (mixture.clean, mixture.noisy - mixture.clean)]
        for mixture in mixtures(config, 30, speech=speech)
    ]
    assert (np.std(tilts, axis=0) > 3).all()
    assert abs(np.corrcoef(np.transpose(tilts))[0, 1]) < 0.5


@pytest.mark.parametrize(("speeds", "equalizes"), [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("channel", [None, augment.band_limit(np.random.default_rng(0), (4000, 4000), (100, 100))])
def test_a_coloring_is_what_was_drawn_with_the_channel_on_top(speeds, equalizes, channel):
    config = PLAIN.plain(speed_probability=float(speeds), equalize_probability=float(equalizes), speed=(0.8, 0.9))
    for seed in range(10):
        coloring = augment.Coloring.draw(np.random.default_rng(seed), config, channel, RATE)
        assert 0.8 <= coloring.factor <= 0.9 if speeds else coloring.factor == 1
        sections = np.zeros((0, 6)) if coloring.sections is None else coloring.sections
        assert len(sections) == 3 * equalizes + (0 if channel is None else len(channel))
        assert channel is None or np.array_equal(sections[3 * equalizes :], channel)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(-20, 20), st.sampled_from([8000, 16000, 48000]))
def test_an_equalizer_has_a_low_shelf_a_high_shelf_and_a_bell_of_the_gain(seed, gain, rate):
    sections = augment.equalizer(np.random.default_rng(seed), (gain, gain), rate)
    assert response_db(sections, (0, rate / 2), rate) == pytest.approx([gain, gain], abs=0.01)
    low, high, bell = (response_db(section[None], np.geomspace(20, 0.499 * rate, 300), rate) for section in sections)
    assert (low[0], high[-1]) == pytest.approx((gain, gain), abs=0.5) and (low[-1], high[0]) == pytest.approx(
        (0, 0), abs=0.5
    )
    assert max(bell, key=abs) == pytest.approx(gain, abs=0.1) and (bell[0], bell[-1]) == pytest.approx((0, 0), abs=1.0)


def test_an_equalizer_acts_at_places_that_are_even_in_octaves():
    low = [augment._even_octaves(np.random.default_rng(seed), 100, 1600) for seed in range(400)]
    np.testing.assert_allclose(
        np.quantile(np.log2(low), [0, 0.25, 0.5, 0.75, 1]), np.log2(100) + np.arange(5), atol=0.3
    )


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_a_narrow_channel_falls_by_3_db_at_its_edges_and_steeply_above(rate):
    sections = augment.band_limit(np.random.default_rng(0), (1500, 1500), (200, 200), rate)
    below, low, middle, high, over = response_db(sections, (100, 200, 600, 1500, 3000), rate)
    assert (low, high) == pytest.approx((-3.01, -3.01), abs=0.1) and middle == pytest.approx(0, abs=0.1)
    assert below == pytest.approx(-12.3, abs=0.5) and over < -35


def test_other_speeds_of_noise_are_even_in_octaves_and_half_of_them_backward():
    config = PLAIN.plain(noise_speed_probability=0.3)
    drawn = [augment.draw_noise_speed(np.random.default_rng(seed), config) for seed in range(3000)]
    varied = np.array([speed for speed in drawn if speed != 1])
    assert len(varied) / 3000 == pytest.approx(0.3, abs=0.04) and (varied < 0).mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(
        np.quantile(np.log2(np.abs(varied)), [0, 0.25, 0.5, 0.75, 1]), [-1, -0.5, 0, 0.5, 1], atol=0.1
    )


# Rooms


@given(st.integers(0, 400), st.floats(1, 500), st.sampled_from([8000, 16000, 48000]), st.sampled_from([-1, 1]))
@settings(deadline=None, max_examples=30)
def test_a_response_is_split_at_the_early_milliseconds_from_its_direct_sound(delay, early_ms, rate, sign):
    """Whatever its polarity, and the last second of a long one is left out."""
    response = sign * np.r_[np.zeros(delay), 1, 0.3 * np.random.default_rng(0).uniform(-1, 1, 2 * rate)]
    early, late = augment.split_response(response, early_ms, rate)
    first = delay - min(delay, rate // 2000)
    np.testing.assert_allclose(early + late, response[first : first + rate], atol=1e-6)
    end, fade = round(early_ms * rate / 1000), rate // 200
    assert not late[: end + 1].any() and late[min(end + fade, rate - 1) :].any() == (end + fade < rate)
    assert not early[end + fade :].any() and early[: end + 1].any()
    assert np.abs(np.diff(early[end : end + fade] / (early + late)[end : end + fade])).max(initial=0) < 2 / fade


@pytest.mark.parametrize("rate", [16000, 48000])
def test_late_reverberation_is_heard_not_wanted_and_no_part_of_the_snr(rate):
    click = np.zeros(rate)
    click[rate // 5] = 0.5
    speech = Clips({"speech/a/a/0": click, "speech/b/a/0": click}, rate)
    room = {"room_probability": 1.0, "decay_s": (0.4, 0.4), "level_db": (-40.0, -40.0)}
    mixture = mixtures(
        PLAIN.plain(clean_probability=1.0, clean_snr_db=(120.0, 120.0), **room), 1, 1.0, speech, rustle(rate=rate)
    )[0]
    early_end = rate // 5 + rate * 55 // 1000
    assert np.abs(mixture.clean[early_end + rate // 2000 :]).max() < 1e-4 * np.abs(mixture.clean).max()
    late = mixture.noisy - mixture.clean
    assert np.square(late[early_end:]).sum() > 100 * np.square(late[: rate // 5 + rate * 50 // 1000 - 1]).sum()
    loud, quiet = (
        mixtures(PLAIN.plain(snr_db=(snr, snr), **room), 1, 1.0, voices(rate=rate), rustle(rate=rate))[0]
        for snr in (0.0, 20.0)
    )
    noise = (loud.noisy.astype(float) - quiet.noisy) / 0.9
    frames = active(frame_powers(loud.clean, rate))
    assert mean_power(frame_powers(loud.clean, rate), frames) == pytest.approx(
        mean_power(frame_powers(noise, rate), frames), rel=0.01
    )


@given(st.integers(0, 10**6), st.floats(0.1, 1.0), st.sampled_from([8000, 16000, 48000]))
@settings(deadline=None, max_examples=30)
def test_a_synthetic_room_decays_by_60_db_behind_the_direct_sound(seed, decay, rate):
    response = synthetic.room(np.random.default_rng(seed), decay, rate)
    tail = response[1:].astype(float)
    first = np.flatnonzero(tail)[0]
    assert response[0] == 1 and first < rate // 100
    assert -12.01 <= 10 * math.log10(np.square(tail).sum()) <= 2.01
    quarter = len(response) // 4
    early, late = (np.square(tail[k * quarter : (k + 1) * quarter]).mean() for k in (1, 3))
    assert 10 * math.log10(early / late) == pytest.approx(30, abs=4)


# Made-up noise


def test_mains_hum_at_50_and_at_60_hz_with_overtones_that_fall_off():
    found = set()
    for seed in range(20):
        power = np.square(np.abs(np.fft.rfft(synthetic.hum(np.random.default_rng(seed), 10 * RATE))))
        base = min((50, 60), key=lambda hz: -power[10 * hz - 4 : 10 * hz + 5].max())
        found.add(base)
        bands = [power[int(9.94 * base * k) : int(10.06 * base * k) + 2].sum() for k in range(1, 41)]
        assert sum(bands[:20]) > 0.6 * power.sum() and sum(bands[:10]) > sum(bands[20:])
    assert found == {50, 60}


def test_clicks_are_many_short_and_far_above_their_hiss():
    counts = []
    for seed in range(20):
        sound = np.abs(synthetic.clicks(np.random.default_rng(seed), 4 * RATE))
        assert sound.max() > 20 * np.median(sound)
        blocks = sound[: len(sound) // 160 * 160].reshape(-1, 160).max(axis=1) > 0.1 * sound.max()
        counts.append(blocks.sum())
    assert 10 < np.mean(counts) < 80 and max(counts) > 2 * min(counts)


def test_wind_is_low_and_comes_in_gusts():
    for seed in range(10):
        sound = synthetic.wind(np.random.default_rng(seed), 8 * RATE)
        assert above(sound, 2000) < -15
        levels = 10 * np.log10(np.square(sound.reshape(-1, RATE // 4)).mean(axis=1))
        assert 8 < np.ptp(levels) < 45


@pytest.mark.parametrize("slope", [0, 1, 2])
def test_colored_noise_has_a_power_of_1_no_offset_and_no_rumble(slope):
    sound = synthetic.colored(np.random.default_rng(0), 10 * RATE, slope)
    assert np.square(sound).mean() == pytest.approx(1, abs=0.01) and abs(sound.mean()) < 1e-4
    power = np.square(np.abs(np.fft.rfft(sound)))
    assert power[10:150].mean() / power[150:300].mean() == pytest.approx(1, abs=0.3), "flat below 30 Hz"


@pytest.mark.parametrize("rate", [8000, 48000])
def test_made_up_noise_of_every_kind_is_made_at_the_rate_of_the_mixture(rate):
    config = PLAIN.plain(noise_only_probability=1.0, synthetic_probability=1.0)
    made = mixtures(config, 60, 0.5, voices(rate=rate), rustle(rate=rate))
    kinds = [mixture.description["noise"][0] for mixture in made]
    assert set(kinds) == {"colored", "hum", "clicks", "wind"} and kinds.count("colored") / 60 == pytest.approx(
        0.5, abs=0.2
    )
    hums = [mixture.noisy for mixture, kind in zip(made, kinds, strict=True) if kind == "hum"]
    for hum in hums:
        correlation = np.correlate(hum, hum, "full")[len(hum) - 1 :]
        period = rate // 70 + correlation[rate // 70 : rate // 40].argmax()
        assert min(abs(rate / period - hz) for hz in (50, 60)) < 1.5


def test_disturbing_tones_are_of_20_hz_to_four_tenths_of_the_rate():
    hertz = []
    for seed in range(200):
        sound, kind = synthetic.disturbance(np.random.default_rng(seed), RATE)
        assert np.abs(sound).max() == pytest.approx(1, abs=0.01)
        if kind in ("tone", "square"):
            hertz.append(np.abs(np.fft.rfft(sound)).argmax())
    assert 15 <= min(hertz) < 40 and 4000 < max(hertz) <= 6400 and 200 < np.median(hertz) < 700


def test_a_disturbance_leaves_half_of_the_target_and_is_anywhere():
    config = MixtureConfig().plain(disturbance_probability=1.0, disturbance_s=(60.0, 60.0), clean_probability=1.0)
    firsts = []
    for mixture in mixtures(config, 40, speech=Clips({f"speech/{i}/a/0": hiss(i) for i in range(3)})):
        silent = np.flatnonzero(mixture.clean == 0)
        assert len(silent) == pytest.approx(len(mixture.clean) // 2, abs=4)
        firsts.append(int(np.median(silent)) - len(mixture.clean) // 4)
    assert min(firsts) < 200 and max(firsts) > 1800
