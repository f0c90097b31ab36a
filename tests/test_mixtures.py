"""Mixtures: exact in level and SNR, the same for the same numbers, and finite whatever is drawn."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tinyse import audio
from tinyse.commands.data import app
from tinyse.config import as_dict, build
from tinyse.errors import InputError
from tinyse.mixtures import (
    Mixer,
    MixtureConfig,
    MixtureDataset,
    augment,
    open_mixer,
    sources,
    synthetic,
    valid_mixtures,
)
from tinyse.mixtures.levels import active, balance, frame_powers, mean_power
from tinyse.mixtures.sources import Population, noise_of, speech_of
from tinyse.recordings import AudioStore, Manifest, Recording, open_data

EVERYTHING = replace(
    MixtureConfig(),
    **{field.name: 1.0 for field in fields(MixtureConfig) if field.name.endswith("_probability")}
    | {"clean_probability": 0.0, "noise_only_probability": 0.0, "synthetic_probability": 0.2}
    | {"babble_probability": 0.3, "talker_probability": 0.1, "procedural_probability": 0.2}
    | {"synthetic_room_probability": 0.5},
)


def voice(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Something like speech: a buzz of some pitch, in syllables, with a pause before and after."""
    time = np.arange(int(seconds * 16000)) / 16000
    pitch = rng.uniform(90, 250)
    buzz = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 15))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, 1) * (time > 0.15) * (time < seconds - 0.15)
    return 0.2 * buzz * syllables


@pytest.fixture(scope="session")
def manifest(tmp_path_factory) -> Manifest:
    """Six voices in train and two in valid, four classes of noise (one mostly silent), two rooms."""
    root = tmp_path_factory.mktemp("sound")
    rng = np.random.default_rng(0)
    recordings = []

    def put(name: str, sound: np.ndarray, **facts) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, sound, 16000, subtype="PCM_16")
        recordings.append(Recording(name, len(sound) / 16000, **facts))

    for speaker in range(8):
        for take in range(2):
            facts = {"split": "train" if speaker < 6 else "valid", "speaker": f"s{speaker}"}
            put(f"speech/s{speaker}/{take}.wav", voice(rng, rng.uniform(0.6, 4)), kind="speech", **facts)
    for split in ("train", "valid"):
        event = np.zeros(32000)
        event[9000:14000] = 0.3 * rng.standard_normal(5000)
        sounds = {
            "hiss": 0.05 * rng.standard_normal(60000),
            "knock": event,
            "faint": 0.001 * rng.standard_normal(20000),
        }
        for label, sound in sounds.items():
            put(f"noise/{split}/{label}.wav", np.clip(sound, -1, 1), kind="noise", split=split, label=label)
    for room, decay in (("small", 0.2), ("large", 0.9)):
        put(f"rir/{room}.wav", 0.9 * synthetic.room(rng, decay), kind="rir", split="train", label=room)
    return Manifest(root, tuple(recordings))


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def mixer_with(manifest, cache):
    """A function from a configuration to a mixer of two seconds."""

    def make(config: MixtureConfig, seconds: float = 2.0, seed: int = 0) -> Mixer:
        return open_mixer(manifest, config, seconds, seed, cache_directory=cache)

    return make


def measured_snr(noisy: np.ndarray, clean: np.ndarray) -> float:
    frames = active(frame_powers(clean))
    return 10 * math.log10(
        mean_power(frame_powers(clean), frames) / mean_power(frame_powers(noisy.astype(np.float64) - clean), frames)
    )


def test_a_constant_offset_is_no_sound_and_not_in_the_target(tmp_path):
    rng = np.random.default_rng(0)
    recordings = []
    for name, kind, sound in (
        ("a.wav", "speech", 0.2 * voice(rng, 3) + 0.05),
        ("b.wav", "noise", 0.02 * rng.standard_normal(48000) - 0.04),
    ):
        soundfile.write(tmp_path / name, sound, 16000, subtype="PCM_16")
        recordings.append(Recording(name, 3.0, kind, "train", speaker=kind, label="x"))
    manifest = Manifest(tmp_path, tuple(recordings))
    config = MixtureConfig().plain(snr_db=(5.0, 5.0))
    mixer = open_mixer(manifest, config, 2.0, 0, cache_directory=tmp_path / "cache")
    assert any("constant offset" in notice for notice in mixer.notices)
    for index in range(4):
        mixture = mixer(0, index)
        level = np.sqrt(np.square(mixture.clean).mean())
        assert abs(mixture.clean.mean()) < 0.03 * level
        assert abs((mixture.noisy - mixture.clean).mean()) < 0.03 * level
        assert mixture.snr_db == pytest.approx(5.0, abs=0.01)


# What every mixture keeps


@settings(deadline=None, max_examples=40)
@given(epoch=st.integers(0, 10**6), index=st.integers(0, 10**9), seed=st.integers(0, 2**63))
def test_every_mixture_is_finite_of_the_length_asked_for_and_does_not_clip(mixer_with, epoch, index, seed):
    mixture = mixer_with(EVERYTHING, 1.7, seed)(epoch, index)
    for sound in (mixture.noisy, mixture.clean):
        assert sound.dtype == np.float32
        assert sound.shape == (27200,)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() <= 0.9901
    json.dumps(mixture.description)


@settings(deadline=None, max_examples=40)
@given(index=st.integers(0, 10**6), snr=st.floats(-10, 30))
def test_the_snr_is_exact_and_the_one_asked_for(mixer_with, index, snr):
    config = EVERYTHING.plain(snr_db=(snr, snr), equalize_probability=1.0, speed_probability=1.0)
    mixture = mixer_with(config)(0, index)
    if math.isfinite(mixture.snr_db):
        assert measured_snr(mixture.noisy, mixture.clean) == pytest.approx(mixture.snr_db, abs=0.02)
        # Noise in the pauses alone would have to be endlessly loud: there it stays quieter than asked for.
        assert mixture.snr_db >= snr - 0.001
    hiss = mixture.description["noise"] == ["noise/train/hiss.wav"]
    assert not hiss or mixture.snr_db == pytest.approx(snr, abs=0.001)


@settings(deadline=None, max_examples=30)
@given(index=st.integers(0, 10**6), level=st.floats(-45, -30))
def test_the_level_of_the_active_speech_is_the_one_asked_for(mixer_with, index, level):
    mixture = mixer_with(MixtureConfig().plain(level_db=(level, level), snr_db=(5.0, 5.0)))(0, index)
    powers = frame_powers(mixture.clean)
    assert 10 * math.log10(mean_power(powers, active(powers))) == pytest.approx(mixture.level_db, abs=0.01)
    assert mixture.level_db == pytest.approx(level, abs=0.01)


# A pure function of (seed, epoch, index)


def test_the_same_numbers_give_the_same_mixture_in_any_order_and_thread(mixer_with):
    first = [mixer_with(EVERYTHING)(2, index) for index in range(12)]
    other = mixer_with(EVERYTHING)
    with ThreadPoolExecutor(3) as pool:
        again = list(pool.map(lambda index: other(2, index), reversed(range(12))))[::-1]
    for a, b in zip(first, again, strict=True):
        assert (a.noisy == b.noisy).all()
        assert (a.clean == b.clean).all()
        assert a.description == b.description


def test_the_order_of_the_manifest_does_not_matter(manifest, cache, mixer_with):
    shuffled = Manifest(manifest.root, manifest.recordings[::-1])
    mixer = open_mixer(shuffled, EVERYTHING, 2.0, 0, cache_directory=cache)
    for index in range(5):
        assert (mixer(0, index).noisy == mixer_with(EVERYTHING)(0, index).noisy).all()


def test_seed_epoch_and_index_each_give_another_mixture(mixer_with):
    config = MixtureConfig().plain()
    base = mixer_with(config)(1, 1).noisy
    for other in (mixer_with(config, seed=1)(1, 1), mixer_with(config)(2, 1), mixer_with(config)(1, 2)):
        assert not np.array_equal(base, other.noisy)


def test_an_augmentation_switched_off_leaves_voice_noise_and_snr(mixer_with):
    full = MixtureConfig(clean_probability=0, noise_only_probability=0, clip_probability=0)
    plainer = replace(full, equalize_probability=0.0, room_probability=0.0, band_limit_probability=0.0)
    for index in range(10):
        a, b = (mixer_with(config)(0, index) for config in (full, plainer))
        for key in ("speaker", "speech", "noise", "speed"):
            assert a.description[key] == b.description[key]


def test_a_mixer_goes_to_other_processes(mixer_with, tmp_path):
    mixer = mixer_with(MixtureConfig())
    (tmp_path / "mixer").write_bytes(pickle.dumps(mixer))
    script = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb'))(3, 4).noisy.tobytes().hex())"
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "mixer")], capture_output=True, text=True, check=True
    )
    assert bytes.fromhex(result.stdout.strip()) == mixer(3, 4).noisy.tobytes()


# What can be drawn


def test_clean_examples_and_noise_alone(mixer_with):
    plain = MixtureConfig().plain()
    for mixture in map(mixer_with(replace(plain, clean_probability=1.0)), [0] * 20, range(20)):
        assert mixture.snr_db >= 35
    for mixture in map(mixer_with(replace(plain, noise_only_probability=1.0)), [0] * 5, range(5)):
        assert mixture.snr_db == -math.inf
        assert not mixture.clean.any()
        assert mixture.noisy.any()
    voices = {"noise_only_probability": 1.0, "talker_probability": 0.5, "babble_probability": 0.5}
    for mixture in map(mixer_with(replace(plain, **voices)), [0] * 5, range(5)):
        assert mixture.description["noise_kind"] == "recorded", "a voice alone is nothing to remove"


class Voices:
    """A population of `count` voices, of which one of `loud` is drawn."""

    def __init__(self, count: int, loud: int) -> None:
        self.names, self.loud = range(count), loud

    def draw_group(self, rng: np.random.Generator) -> int:
        return int(rng.integers(self.loud))


@given(st.integers(0, 1000), st.integers(2, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 8))
def test_other_voices_are_drawn_as_from_a_list_of_them(seed, count, loud, talkers, excluded):
    loud, excluded = min(loud, count), min(excluded, count - 1)
    rng, expected = np.random.default_rng(seed), []
    left = [voice for voice in range(count) if voice != excluded]
    while left and len(expected) < talkers:
        group = int(rng.integers(loud))
        expected.append(group if group in left else left[rng.integers(len(left))])
        left.remove(expected[-1])
    assert sources._distinct(np.random.default_rng(seed), Voices(count, loud), talkers, excluded) == expected


def test_a_draw_of_other_voices_does_not_walk_through_all_of_them():
    drawn = sources._distinct(np.random.default_rng(0), Voices(10**15, 1), 5, 0)
    assert len({*drawn, 0}) == 6 and max(drawn) > 10**6


def test_babble_leaves_out_the_voice_that_is_wanted(mixer_with):
    mixer = mixer_with(MixtureConfig().plain(babble_probability=1.0))
    for index in range(20):
        description = mixer(0, index).description
        talkers = {path.split("/")[1] for path in description["noise"]}
        assert description["speaker"] not in talkers
        assert 3 <= len(talkers) <= 5


def test_clipping_spares_the_target(mixer_with):
    config = MixtureConfig().plain()
    for index in range(5):
        whole = mixer_with(config)(0, index)
        clipped = mixer_with(replace(config, clip_probability=1.0))(0, index)
        scale = clipped.clean @ clipped.clean / (clipped.clean @ whole.clean)
        np.testing.assert_allclose(clipped.clean, scale * whole.clean, atol=1e-5)
        peak = np.abs(clipped.noisy).max()
        assert (np.abs(clipped.noisy) >= 0.9999 * peak).sum() > 10


def test_a_disturbance_is_loud_and_the_target_is_silent_below_it(mixer_with):
    config = MixtureConfig().plain(level_db=(-40.0, -30.0))
    disturbed = replace(config, disturbance_probability=1.0, disturbance_db=(-6.0, 0.0), disturbance_s=(0.5, 0.5))
    kinds, firsts = set(), set()
    for index in range(12):
        whole, mixture = mixer_with(config)(0, index), mixer_with(disturbed)(0, index)
        kinds.add(mixture.description["disturbance"])
        changed = np.flatnonzero(mixture.noisy != whole.noisy)
        first, last = changed[0], changed[-1]
        firsts.add(first)
        assert abs(last - first - 8000) < 100
        assert 0.49 < np.abs(mixture.noisy[first : last + 1]).max() < 1
        assert not mixture.clean[first : last + 1].any()
        kept = np.r_[:first, last + 1 : len(whole.clean)]
        np.testing.assert_array_equal(mixture.clean[kept], whole.clean[kept])
        np.testing.assert_array_equal(mixture.noisy[kept], whole.noisy[kept])
    assert kinds == {"square", "tone", "noise", "offset"}
    assert len(firsts) == 12


def test_a_disturbance_above_full_scale_is_refused():
    with pytest.raises(InputError, match="disturbance_db"):
        MixtureConfig(disturbance_db=(-6.0, 6.0))


def test_speakers_with_much_speech_do_not_crowd_out_the_others(tmp_path):
    recordings = []
    for name, seconds in (("much", 16), ("little", 1)):
        soundfile.write(tmp_path / f"{name}.wav", np.full(16000 * seconds, 0.1), 16000)
        recordings.append(Recording(f"{name}.wav", seconds, "speech", "train", speaker=name))
    store = AudioStore.build(tmp_path, recordings, tmp_path / "cache")
    for power, share in ((1.0, 16 / 17), (0.5, 4 / 5), (0.0, 1 / 2)):
        voices = Population.voices(store, power)
        rng = np.random.default_rng(0)
        drawn = [voices.names[voices.draw_group(rng)] for _ in range(2000)]
        assert drawn.count("much") / 2000 == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(
    ("speaker", "voices"),
    [
        ("", 8),
        ("unknown", 8),
        ("talk_unknown", 8),
        ("talk_Unknown", 8),
        ("someone", 1),
        ("talk_", 1),
        ("notunknown", 1),
    ],
)
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_talkers_whom_nobody_told_apart_are_drawn_as_some_and_split_as_one(tmp_path, speaker, voices, power):
    recordings = [Recording("known.wav", 0.5, "speech", "train", speaker="known")]
    recordings += [Recording(f"{number}.wav", 0.5, "speech", "train", speaker=speaker) for number in range(8)]
    for each in recordings:
        soundfile.write(tmp_path / each.path, np.full(8000, 0.1), 16000)
    population = Population.voices(AudioStore.build(tmp_path, recordings, tmp_path / "cache"), power)
    rng = np.random.default_rng(0)
    drawn = [population.names[population.draw_group(rng)] for _ in range(2000)]
    assert len(set(drawn)) == 1 + voices
    # As many seconds as eight voices of the size of the known one, in as many voices as the root of eight.
    weight = 8**power * (8**0.5 if voices == 8 else 1) ** (1 - power)
    assert drawn.count("known") / 2000 == pytest.approx(1 / (1 + weight), abs=0.04)
    assert Manifest(tmp_path, tuple(recordings)).summary()[0]["speakers"] == 1 + voices
    assert len({each.group for each in recordings[1:]}) == (1 if speaker else 8)


@pytest.mark.parametrize("takes", [1, 3])
@pytest.mark.parametrize(
    ("shares", "share"), [({}, None), ({"own": 0.5}, 0.5), ({"own": 0.2}, 0.2), ({"other": 0.5}, None)]
)
def test_a_corpus_is_drawn_as_often_as_its_share_says(tmp_path, takes, shares, share):
    names = [*(f"own {take}" for take in range(takes)), *(f"class {number}" for number in range(20))]
    recordings = []
    for name in names:
        soundfile.write(tmp_path / f"{name}.wav", np.full(8000, 0.1), 16000)
        corpus = "own" if name.startswith("own") else "rest"
        recordings.append(Recording(f"{name}.wav", 0.5, "noise", "train", label=name, corpus=corpus))
    noises = Population.labeled(AudioStore.build(tmp_path, recordings, tmp_path / "cache"), 0.5, shares)
    rng = np.random.default_rng(0)
    drawn = [noises.names[noises.draw_group(rng)] for _ in range(2000)]
    wanted = takes / len(names) if share is None else share
    assert sum(name.startswith("own") for name in drawn) / 2000 == pytest.approx(wanted, abs=0.04)
    assert len(set(drawn)) == len(names), "every class of every corpus is drawn"


def test_a_share_of_all_there_is_changes_nothing_and_more_than_all_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 16000)
    recordings = [Recording("a.wav", 0.5, "noise", "train", label="a", corpus="own")]
    store = AudioStore.build(tmp_path, recordings, tmp_path / "cache")
    for share in (0.0, 0.5, 1.0):
        noises = Population.labeled(store, 0.5, {"own": share})
        assert noises.draw_group(np.random.default_rng(0)) == 0
    with pytest.raises(InputError, match=r"corpus_shares sum to 1\.2: at most 1"):
        MixtureConfig(corpus_shares={"own": 0.7, "case": 0.5})


def test_a_share_of_a_corpus_that_is_not_there_is_told(manifest, cache):
    rows = tuple(replace(each, corpus=each.corpus or "lecture") for each in manifest.recordings)
    known = Manifest(manifest.root, rows)
    for shares, told in (({"lecture": 0.5}, 0), ({"lectures": 0.5}, 1), ({"lecture": 0.2, "other": 0.1}, 1), ({}, 0)):
        config = MixtureConfig(corpus_shares=shares)
        notices = open_mixer(known, config, 1.0, 0, cache_directory=cache).notices
        said = [each for each in notices if "so its share does nothing" in each]
        assert len(said) == told
        assert all(("did you mean 'lecture'" in each) == ("lectures" in shares) for each in said)


def test_silence_around_a_noise_is_skipped(manifest, cache):
    store = AudioStore.build(manifest.root, manifest.select("noise", "train"), cache)
    noises = Population.labeled(store, 0.5)
    sound, paths = noise_of(np.random.default_rng(0), noises, noises.names.index("knock"), 32000)
    assert len(paths) > 3
    assert active(frame_powers(sound)).mean() > 0.95


def test_short_utterances_are_joined_with_pauses(manifest, cache):
    store = AudioStore.build(manifest.root, manifest.select("speech", "train"), cache)
    voices = Population.voices(store, 0.5)
    sound, paths = speech_of(np.random.default_rng(0), voices, 0, 16000 * 10, (0.2, 0.5))
    assert len(paths) > 1
    assert {Path(path).parts[1] for path in paths} == {voices.names[0]}
    assert not sound[:3000].any()


def test_silent_recordings_give_silence_and_no_nan(tmp_path):
    kinds = (("speech", "a"), ("speech", "b"), ("noise", "c"))
    recordings = [Recording(f"{name}.wav", 1.0, kind, "train", speaker=name) for kind, name in kinds]
    for recording in recordings:
        soundfile.write(tmp_path / recording.path, np.zeros(16000), 16000)
    mixer = open_mixer(Manifest(tmp_path, tuple(recordings)), EVERYTHING, 1.0, 0, cache_directory=tmp_path / "cache")
    for index in range(20):
        mixture = mixer(0, index)
        assert np.isfinite(mixture.noisy).all()
        assert not mixture.clean.any()


# Its parts


@given(st.floats(-60, 60))
def test_balance_gives_the_ratio_asked_for(snr):
    rng = np.random.default_rng(0)
    speech, noise = rng.standard_normal((2, 8192), dtype=np.float32)
    noise *= 0.03
    gain = balance(speech, noise, snr).noise_gain
    assert measured_snr(speech.astype(np.float64) + gain * noise, speech) == pytest.approx(snr, abs=0.001)


def test_balance_does_not_blow_up_noise_in_the_pauses():
    speech, noise = np.zeros((2, 8192), dtype=np.float32)
    speech[:4096], noise[4096:] = 0.1, 0.1
    balanced = balance(speech, noise, 0.0)
    assert balanced.noise_gain == pytest.approx(10 ** (10 / 20))
    assert balanced.snr_db == math.inf


def test_a_split_response_sums_to_itself_and_starts_at_the_direct_sound():
    response = synthetic.room(np.random.default_rng(0), 0.5)
    early, late = augment.split_response(np.concatenate([np.zeros(500, np.float32), response]), 50)
    np.testing.assert_allclose((early + late)[8 : 8 + len(response)], response, atol=1e-7)
    assert early[8] == 1
    assert not early[8 + 1000 :].any()
    assert not late[: 8 + 700].any()


def test_convolved_is_convolution():
    rng = np.random.default_rng(0)
    sound, *responses = (rng.standard_normal(size).astype(np.float32) for size in (1000, 30, 200))
    for got, response in zip(augment.convolved(sound, tuple(responses)), responses, strict=True):
        np.testing.assert_allclose(got, np.convolve(sound, response)[:1000], atol=1e-4)


@pytest.mark.parametrize(("shape", "at"), [("low", 0.0), ("high", 8000.0), ("bell", 1000.0)])
@pytest.mark.parametrize("gain", [-6.0, 0.0, 9.0])
def test_an_equalizer_section_has_its_gain_where_it_acts_and_none_elsewhere(shape, at, gain):
    sections = np.array([augment._section(shape, 1000.0, gain, 16000)])
    where = 2 * np.pi * np.array([at, 8000.0 - at if shape != "bell" else 0.0]) / 16000
    z = np.exp(-1j * where)
    b, a = sections[0, :3], sections[0, 3:]
    response = (b[0] + b[1] * z + b[2] * z**2) / (a[0] + a[1] * z + a[2] * z**2)
    np.testing.assert_allclose(20 * np.log10(np.abs(response)), [gain, 0], atol=1e-6)


@given(factor=st.floats(0.25, 4.0), backward=st.booleans(), samples=st.integers(1000, 20000))
@settings(deadline=None)
def test_a_changed_speed_gives_the_samples_asked_for(factor, backward, samples):
    coloring = augment.Coloring(-factor if backward else factor, None, 16000)
    sound = coloring.apply(np.ones(coloring.needed(samples), np.float32), samples)
    assert sound.shape == (samples,)


def test_sound_is_played_faster_slower_and_backward():
    rising = np.linspace(0, 1, 16000, dtype=np.float32) * np.sin(2 * np.pi * 500 * np.arange(16000) / 16000).astype("f")
    for factor, hz in ((2.0, 1000), (0.5, 250), (-2.0, 1000), (-1.0, 500)):
        changed = augment.change_speed(rising, factor)
        spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))
        assert abs(spectrum.argmax() * 16000 / len(changed) - hz) < 3
        half = len(changed) // 2
        assert (np.square(changed[:half]).sum() > np.square(changed[half:]).sum()) == (factor < 0)


def test_other_speeds_of_noise_change_the_noise_alone(mixer_with):
    """The speech, its level and which recording is noise stay, so that trainings differ in the speed alone."""
    plain, varied = (
        mixer_with(EVERYTHING.plain(snr_db=(5.0, 5.0), noise_speed_probability=p, noise_speed=(0.5, 2.0)))
        for p in (0, 1)
    )
    changed = 0
    for index in range(8):
        one, other = plain(0, index), varied(0, index)
        assert one.description["speech"] == other.description["speech"]
        assert one.description["noise"][:1] == other.description["noise"][:1]
        changed += not np.array_equal(one.noisy, other.noisy)
    assert changed == 8


@pytest.mark.parametrize("make", [synthetic.hum, synthetic.clicks, synthetic.wind])
@pytest.mark.parametrize("samples", [1600, 63999])
def test_made_up_noises_are_finite_and_not_silent(make, samples):
    for seed in range(10):
        sound = make(np.random.default_rng(seed), samples)
        assert sound.shape == (samples,)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() > 0


@pytest.mark.parametrize(("slope", "decibels"), [(0, 0), (1, -3), (2, -6)])
def test_colored_noise_falls_by_its_slope(slope, decibels):
    sound = synthetic.colored(np.random.default_rng(0), 160000, slope)
    power = np.abs(np.fft.rfft(sound)) ** 2
    octaves = [power[10 * hz : 20 * hz].mean() for hz in (500, 1000, 2000)]
    np.testing.assert_allclose(np.diff(10 * np.log10(octaves)), decibels, atol=0.3)


# Configuration, data sets, preview


def test_the_configuration_survives_a_plain_dictionary():
    config = MixtureConfig(snr_db=(0.0, 10.0), babble_talkers=(2, 4))
    assert build(MixtureConfig, as_dict(config)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"snr_db": [10, 0]}, "snr_db"),
        ({"room_probability": 1.5}, "room_probability"),
        ({"babble_probability": 0.9, "talker_probability": 0.9}, "sum"),
        ({"speed": [0, 1]}, "speed"),
        ({"pause_s": [-1, 1]}, "pause_s"),
        ({"room_probabilty": 1}, "did you mean 'room_probability'"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        build(MixtureConfig, values)


def test_mixers_that_cannot_be_made_say_why(manifest, cache):
    with pytest.raises(InputError, match="no noise recordings in the split train"):
        open_mixer(Manifest(manifest.root, manifest.select("speech")), MixtureConfig(), 2, 0, cache_directory=cache)
    with pytest.raises(InputError, match="ship is yes"):
        open_mixer(manifest, MixtureConfig(), 2, 0, ship=True, cache_directory=cache)
    no_valid = tuple(r for r in manifest.recordings if (r.kind, r.split) != ("speech", "valid"))
    with pytest.raises(
        InputError, match=r"no speech recordings in the split valid: .* three talkers or more, or built-in"
    ):
        open_mixer(Manifest(manifest.root, no_valid), MixtureConfig(), 2, 0, "valid", cache_directory=cache)
    valid = Manifest(manifest.root, tuple(replace(row, ship=row.split == "train") for row in manifest.recordings))
    with pytest.raises(InputError, match=r"in the split valid whose license .* --set ship=false"):
        open_mixer(valid, MixtureConfig(), 2, 0, "valid", ship=True, cache_directory=cache)
    lonely = tuple(r for r in manifest.recordings if r.kind != "speech" or r.speaker == "s0")
    with pytest.raises(InputError, match="babble needs two speakers"):
        open_mixer(Manifest(manifest.root, lonely), MixtureConfig(), 2, 0, cache_directory=cache)
    with pytest.raises(InputError, match=r"give 0\.1 to 600 s"):
        open_mixer(manifest, MixtureConfig(), 0, 0, cache_directory=cache)


def test_a_dataset_is_one_epoch(mixer_with):
    mixer = mixer_with(MixtureConfig())
    dataset = MixtureDataset(mixer, epoch=3, length=6)
    assert len(dataset) == len(list(dataset)) == 6
    assert (dataset[5][1] == mixer(3, 5).clean).all()
    for index in (-1, 6):
        with pytest.raises(IndexError):
            dataset[index]


def test_a_mixer_takes_its_split_and_what_may_ship_and_says_first_what_the_manifest_says(manifest, cache):
    ships = {"s0", "s1", "hiss", "small"}
    rows = tuple(
        replace(row, ship=bool({row.speaker, row.label} & ships), split="train" if row.kind != "rir" else split)
        for row, split in zip(manifest.recordings, ["train", "test"] * 20, strict=False)
    )
    config = MixtureConfig().plain(room_probability=1.0, synthetic_room_probability=0.0)
    known = Manifest(manifest.root, rows, ("the manifest's",))
    rooms = {row.path for row in rows if row.kind == "rir" and row.split == "train"}
    for ship in (None, True):
        mixer = open_mixer(known, config, 0.5, 0, ship=ship, cache_directory=cache)
        made = [mixer(0, index).description for index in range(40)]
        assert mixer.notices[0] == "the manifest's"
        assert ({each["speaker"] for each in made} <= ships) is bool(ship)
        assert ({Path(each["noise"][0]).stem for each in made} <= ships) is bool(ship)
        allowed = {path for path in rooms if not ship or Path(path).stem in ships} or {"synthetic"}
        assert {each["room"] for each in made} == allowed


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_takes_the_dataset_as_it_is(mixer_with, workers):
    loading = pytest.importorskip("torch.utils.data")
    dataset = MixtureDataset(mixer_with(MixtureConfig()), epoch=0, length=4)
    (batch,) = loading.DataLoader(dataset, batch_size=4, num_workers=workers)
    assert batch[0].shape == (4, 32000)
    for row, (noisy, _) in zip(batch[0].numpy(), dataset, strict=True):
        assert (row == noisy).all()


def test_valid_mixtures_are_fixed_and_of_valid_voices(manifest, cache):
    first, again = (valid_mixtures(manifest, 8, 2.0, cache_directory=cache) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert (a.noisy == b.noisy).all()
        assert a.description["speaker"] in ("s6", "s7")
        assert all("/valid/" in name for name in a.description["noise"])
        assert a.snr_db >= -5.001 and (a.snr_db < 15.001 or "hiss" not in a.description["noise"][0])
        assert -35.01 < a.level_db < -14.99 or np.abs(a.noisy).max() > 0.98


def test_the_shares_of_corpora_hold_for_valid_mixtures_too(manifest, cache):
    rows = tuple(replace(row, corpus="own" if row.label == "hiss" else "rest") for row in manifest.recordings)
    known = Manifest(manifest.root, rows)
    made = valid_mixtures(known, 12, 0.5, cache_directory=cache, corpus_shares={"own": 1.0})
    assert {mixture.description["noise"][0] for mixture in made} == {"noise/valid/hiss.wav"}


def test_preview_writes_pairs_and_one_picture(manifest, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("TINYSE_CACHE", str(tmp_path / "cache"))
    manifest.write(tmp_path / "m.csv")
    assert open_data(tmp_path / "m.csv").recordings
    arguments = ["preview", str(tmp_path / "m.csv"), "--count", "2", "--output", str(tmp_path / "out"), "--seed", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.exception
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "00-clean.wav",
        "00-noisy.wav",
        "01-clean.wav",
        "01-noisy.wav",
        "mixtures.json",
        "spectrograms.png",
    ]
    assert len(audio.read(tmp_path / "out/00-noisy.wav")[0]) == 64000
    assert len(json.loads((tmp_path / "out/mixtures.json").read_text())) == 2


def test_importing_the_mixtures_is_quick():
    script = (
        "import sys, tinyse.mixtures, tinyse.recordings; sys.exit(bool({'torch', 'scipy.signal'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
