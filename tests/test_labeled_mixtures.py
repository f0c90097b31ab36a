"""Mixtures for tagging: which clips, which part of them, how loud, with which labels."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from array_store import Clips, hiss, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyse.errors import InputError
from tinyse.mixtures.labeled import LabeledDataset, LabeledMixer, LabeledMixtureConfig
from tinyse.mixtures.levels import active, frame_powers, mean_power
from tinyse.recordings.labeled import LabeledClip, LabeledData

CLASSES = ("bell", "dog", "rain")
ONE = LabeledMixtureConfig(clips=(1, 1), level_db=(-30.0, -30.0))


def mixer_of(
    clips: list[tuple[tuple[str, ...], np.ndarray]],
    config: LabeledMixtureConfig = ONE,
    seconds: float = 0.5,
    seed: int = 0,
    rate: int = 16000,
) -> LabeledMixer:
    data = LabeledData(CLASSES, tuple(LabeledClip(Path(f"{i}"), labels, "1") for i, (labels, _) in enumerate(clips)))
    store = Clips({f"noise/{i}/a/0": sound for i, (_, sound) in enumerate(clips)}, rate)
    return LabeledMixer(data, store, range(len(clips)), config, seconds, seed)


def share_of(sound: np.ndarray, hz: float, rate: int = 16000) -> float:
    """Of its power within 50 Hz of a frequency."""
    power = np.square(np.abs(np.fft.rfft(sound)))
    middle, width = round(hz * len(sound) / rate), round(50 * len(sound) / rate)
    return power[middle - width : middle + width].sum() / power.sum()


def test_every_set_of_labels_is_drawn_as_often_and_each_clip_of_it():
    """One class has five clips, two together have one, and a clip may have none."""
    hertz = [300 * (i + 1) for i in range(7)]
    labels = [("dog",)] * 5 + [("bell", "dog")] + [()]
    mixer = mixer_of([(label, tone(hz)) for label, hz in zip(labels, hertz, strict=True)])
    heard: Counter[int] = Counter()
    for index in range(450):
        sound, tags = mixer(0, index)
        number = int(np.argmax([share_of(sound, hz) for hz in hertz]))
        assert [name for name, there in zip(CLASSES, tags, strict=True) if there] == list(labels[number])
        heard[number] += 1
    assert heard[5] / 450 == pytest.approx(1 / 3, abs=0.08) and heard[6] / 450 == pytest.approx(1 / 3, abs=0.08)
    assert all(heard[number] / 450 == pytest.approx(1 / 15, abs=0.04) for number in range(5))


def test_as_many_clips_as_the_configuration_says_with_all_their_labels():
    tones = [(("bell",), tone(400)), (("dog",), tone(1200)), (("rain",), tone(3600))]
    mixer = mixer_of(tones, LabeledMixtureConfig(clips=(1, 3), snr_db=(0.0, 0.0)))
    counts = Counter()
    for index in range(100):
        sound, tags = mixer(0, index)
        assert set(tags) <= {0, 1}
        assert [bool(tag) for tag in tags] == [share_of(sound, hz) > 0.05 for hz in (400, 1200, 3600)]
        counts[int(tags.sum())] += 1
    assert counts.keys() == {1, 2, 3} and counts[1] > 30


@settings(deadline=None, max_examples=30)
@given(st.floats(-40, 0), st.floats(-20, 20), st.integers(0, 1000))
def test_the_first_clip_has_the_level_and_the_second_is_below_it_by_the_snr(level, snr, index):
    """Over active frames, whatever the levels of the recordings; only what would clip is quieter."""
    clips = [(("bell",), tone(400, level=0.7)), (("dog",), np.r_[np.zeros(4096), tone(3200, 0.25, level=0.002)])]
    mixer = mixer_of(clips, LabeledMixtureConfig((2, 2), (snr, snr), (level, level)), 0.5)
    sound, tags = mixer(0, index)
    peak = np.abs(sound).max()
    assert peak < 0.9901
    if tags.sum() < 2 or peak > 0.98:
        return
    spectrum = np.fft.rfft(sound)
    high = np.fft.irfft(np.where(np.arange(len(spectrum)) > len(spectrum) / 5, spectrum, 0), len(sound))
    first, second = sorted(
        (10 * math.log10(mean_power(frame_powers(each), active(frame_powers(each)))) for each in (high, sound - high)),
        key=lambda found: abs(found - level),
    )
    assert first == pytest.approx(level, abs=0.7) and second == pytest.approx(level - snr, abs=0.7)


def test_a_mixture_that_would_clip_is_made_quieter_and_no_other_is_made_louder():
    loud = mixer_of([(("rain",), hiss(0))], LabeledMixtureConfig((1, 1), level_db=(0.0, 0.0)))
    assert np.abs(loud(0, 0)[0]).max() == pytest.approx(0.99, abs=1e-3)
    sound, _ = mixer_of([(("rain",), hiss(0))])(0, 0)
    assert 10 * math.log10(np.square(sound).mean()) == pytest.approx(-30, abs=0.1)


def test_any_active_part_of_a_long_clip_is_taken_and_faded_where_it_was_cut():
    sound = np.r_[np.zeros(16000), np.linspace(0.1, 0.9, 32000), np.zeros(16000)]
    mixer = mixer_of([(("rain",), sound)])
    slopes = []
    for index in range(60):
        part, _ = mixer(0, index)
        middle = part[200:-200]
        assert (middle > 0).all(), "silence is left out"
        assert part[0] == 0 or part[0] == pytest.approx(middle[0], rel=0.1)
        slopes.append(middle[-1] / middle[0])  # the ramp rises by less, the later the part
    assert max(slopes) > 2 and min(slopes) < 1.4 and len({round(slope, 4) for slope in slopes}) > 50


def test_all_of_a_clip_of_just_the_length_is_kept():
    part, _ = mixer_of([(("rain",), np.full(8000, 0.1))])(0, 0)
    np.testing.assert_allclose(part, part[0], rtol=1e-6)


def test_a_short_clip_stands_anywhere_in_the_silence_and_does_not_click():
    mixer = mixer_of([(("rain",), np.full(2048, 0.1))])
    firsts = []
    for index in range(100):
        sound, _ = mixer(0, index)
        there = np.flatnonzero(sound)
        assert there[-1] - there[0] == pytest.approx(2046, abs=1)
        assert np.abs(np.diff(sound)).max() < 0.05 * sound.max()
        firsts.append(there[0])
    assert min(firsts) < 300 and max(firsts) > 5600 and np.median(firsts) == pytest.approx(2976, abs=900)


def test_silence_and_a_clip_of_one_sample_are_mixed_as_they_are():
    for sound in (np.zeros(100), np.zeros(32000), np.full(1, 0.5)):
        mixed, tags = mixer_of([(("rain",), sound)])(0, 0)
        assert np.isfinite(mixed).all() and tags.tolist() == [0, 0, 1]


def test_the_order_of_clips_is_not_that_of_labels_and_seed_epoch_and_index_differ():
    clips = [(("dog",), hiss(0, 2)), (("bell",), hiss(1, 2)), ((), hiss(2, 2))]
    for index in range(10):
        one, other = (mixer_of(order)(0, index) for order in (clips, clips[::-1]))
        assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
    made = [mixer_of(clips, seed=seed)(e, i)[0].tobytes() for seed in range(2) for e in range(3) for i in range(3)]
    assert len(set(made)) == 18


@pytest.mark.parametrize("rate", [8000, 48000])
def test_a_mixture_is_as_long_at_every_rate(rate):
    assert len(mixer_of([(("rain",), hiss(0, rate=rate))], seconds=0.3, rate=rate)(0, 0)[0]) == round(0.3 * rate)


def test_a_data_set_is_one_epoch_and_ends():
    mixer = mixer_of([(("dog",), hiss(0, 2)), (("bell",), hiss(1, 2))])
    dataset = LabeledDataset(mixer, epoch=2, length=3)
    assert [sound.tobytes() for sound, _ in dataset] == [mixer(2, index)[0].tobytes() for index in range(3)]
    for index in (-1, 3):
        with pytest.raises(IndexError):
            dataset[index]


def test_no_clips_and_lengths_that_no_mixture_has_are_refused():
    with pytest.raises(InputError, match="no clips to mix"):
        mixer_of([])
    with pytest.raises(InputError, match="give 0"):
        mixer_of([((), hiss(0))], seconds=0.01)
