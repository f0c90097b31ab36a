"""The front end: transforms against numpy, perfect reconstruction, stream equals clip, features that ignore level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyse.errors import InputError
from tinyse.spectra.bands import divide
from tinyse.spectra.fft import RealTransform
from tinyse.spectra.front_end import FrontEnd, FrontEndConfig, latency_ms
from tinyse.spectra.logarithm import log2

CONFIGS = [
    FrontEndConfig(),
    FrontEndConfig(window_ms=20, hop_ms=10, bands=96),
    FrontEndConfig(window_ms=32, hop_ms=8),
    FrontEndConfig(hop_ms=4, synthesis_ms=8),
    FrontEndConfig(window_ms=25, hop_ms=4, synthesis_ms=12),
]


def noise(samples: int, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=samples) * level).astype(np.float32)


@pytest.mark.parametrize("size", [4, 16, 512, 1024])
def test_transform_equals_numpy_and_inverts(size):
    x = noise(3 * size).reshape(3, size)
    transform = RealTransform(size)
    spectrum = transform.forward(x)
    np.testing.assert_allclose(spectrum, np.fft.rfft(x.astype(np.float64)), atol=1e-6 * size)
    np.testing.assert_allclose(transform.inverse(spectrum), x, atol=1e-6)


def test_transform_refuses_other_sizes():
    with pytest.raises(InputError, match="power of two"):
        RealTransform(320)


@settings(deadline=None)
@given(st.floats(2.0**-100, 2.0**100, width=32))
def test_logarithm(x):
    assert abs(float(log2(np.float32(x))) - np.log2(x)) < 2.5e-5 + 1e-6 * abs(np.log2(x))


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_perfect_reconstruction_with_a_mask_of_ones(config):
    front_end = FrontEnd(config)
    x = noise(40 * config.hop)
    analysis, _, synthesis = front_end.initial_state()
    spectra, _ = front_end.analyze(x, analysis)
    ones = np.ones((len(spectra), config.bands), np.float32)
    y, _ = front_end.synthesize(front_end.apply(spectra, ones), synthesis)
    np.testing.assert_allclose(y[config.delay :], x[: len(x) - config.delay], atol=1e-6)


@given(
    rate=st.sampled_from([16000, 32000, 48000]),
    hop=st.integers(16, 260),
    hops=st.integers(2, 6),
    older=st.integers(0, 2500),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_any_triple_of_hop_synthesis_and_window_reconstructs(rate, hop, hops, older, seed):
    """In sixteenths of a millisecond. The sound is back to rounding, `delay` samples late and no later."""
    synthesis = hops * hop
    window = synthesis + older
    config = FrontEndConfig(rate, window_ms=window / 16, hop_ms=hop / 16, synthesis_ms=synthesis / 16)
    front_end = FrontEnd(config)
    x = noise((window // hop + 3) * config.hop, seed=seed)
    analysis, _, synthesis_state = front_end.initial_state()
    y, _ = front_end.synthesize(front_end.analyze(x, analysis)[0], synthesis_state)
    assert config.delay == config.synthesis - config.hop == (hops - 1) * config.hop
    np.testing.assert_allclose(y[config.delay :], x[: len(x) - config.delay], atol=2e-6)
    assert latency_ms(config) == synthesis / 16 == 1000 * (config.delay + config.hop) / rate
    assert front_end.synthesis_window.max() <= 1, "the windows amplify what the mask leaves"


def test_equal_windows_keep_the_bits_that_they_had():
    """Model files from before there were two lengths; a synthesis window of the whole length is the same front end."""
    for config in CONFIGS[:3]:
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.window) / config.window)
        front_end = FrontEnd(config)
        np.testing.assert_array_equal(front_end.window, np.sqrt(hann).astype(np.float32))
        scaled = (np.sqrt(hann) * 2 * config.hop / config.window).astype(np.float32)
        np.testing.assert_array_equal(front_end.synthesis_window, scaled)
        assert replace(config, synthesis_ms=config.window_ms) == config


def test_a_frame_of_a_short_synthesis_window_hears_as_much():
    """As much energy and as narrow a peak: 32 ms of context leave after 8 ms."""
    long, short = FrontEnd(CONFIGS[0]), FrontEnd(CONFIGS[3])
    assert np.square(short.window).sum() == pytest.approx(np.square(long.window).sum(), rel=1e-6)
    tone = np.sin(2 * np.pi * 1000 / 16000 * np.arange(512)).astype(np.float32)
    for front_end in (long, short):
        spectrum = np.abs(np.fft.rfft(tone * front_end.window))
        assert (spectrum > spectrum.max() / 2).sum() <= 3
    assert latency_ms(short.config) == 8
    assert latency_ms(replace(short.config, look_ahead=1)) == 12


def levels(config: FrontEndConfig, sound: np.ndarray) -> np.ndarray:
    """The running level after each hop."""
    front_end = FrontEnd(config)
    analysis, level, _ = front_end.initial_state()
    spectra, _ = front_end.analyze(sound, analysis)
    values = []
    for spectrum in spectra:
        _, level = front_end.features(spectrum[None], level)
        values.append(float(level.level))
    return np.array(values)


@pytest.mark.parametrize("hop_ms", [2.5, 4, 8])
def test_the_running_level_is_the_same_at_any_hop(hop_ms):
    """Its memory is in seconds: after a fall by 20 dB it follows as fast, second for second."""
    sound = np.concatenate([noise(2 * 16000), noise(2 * 16000, 0.01)])
    usual = levels(FrontEndConfig(), sound)[62::31]
    other = levels(FrontEndConfig(hop_ms=hop_ms, synthesis_ms=2 * hop_ms), sound)
    step = 31 * 16 / hop_ms
    there = other[np.int64(np.round(np.arange(len(usual)) * step + 63 * 16 / hop_ms)) - 1]
    np.testing.assert_allclose(there, usual, atol=0.25)
    assert usual[0] - usual[-1] > 3


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@given(cuts=st.lists(st.integers(0, 7), min_size=1, max_size=8))
@settings(max_examples=10, deadline=None)
def test_stream_equals_clip_bit_for_bit(config, cuts):
    front_end = FrontEnd(config)
    x = noise((sum(cuts) + 1) * config.hop)
    analysis, level, synthesis = front_end.initial_state()
    spectra, _ = front_end.analyze(x, analysis)
    features, _ = front_end.features(spectra, level)
    sound, _ = front_end.synthesize(spectra, synthesis)
    position, parts = 0, []
    for hops in [*cuts, 1]:
        piece = x[position : position + hops * config.hop]
        position += len(piece)
        part, analysis = front_end.analyze(piece, analysis)
        part_features, level = front_end.features(part, level)
        part_sound, synthesis = front_end.synthesize(part, synthesis)
        parts.append((part, part_features, part_sound))
    for index, whole in enumerate((spectra, features, sound)):
        np.testing.assert_array_equal(np.concatenate([p[index] for p in parts]), whole)


def test_features_ignore_level():
    front_end = FrontEnd()
    x = noise(16384) * np.repeat(np.random.default_rng(1).uniform(0.2, 1, 64), 256).astype(np.float32)

    def features(sound):
        analysis, level, _ = front_end.initial_state()
        return front_end.features(front_end.analyze(sound, analysis)[0], level)[0]

    loud, quiet = features(x), features(x * np.float32(0.03))
    assert np.abs(loud - quiet).mean() < 1e-3  # a bin that is nearly empty meets the floor of 16 bits
    assert loud.std() > 0.05


@pytest.mark.parametrize("sound", ["silence", "constant", "full scale", "jump"])
def test_features_stay_in_range(sound):
    front_end = FrontEnd()
    x = {
        "silence": np.zeros(8192, np.float32),
        "constant": np.full(8192, 0.5, np.float32),
        "full scale": np.sign(noise(8192)),
        "jump": np.concatenate([noise(4096, 1e-4), noise(4096, 0.3)]),
    }[sound]
    analysis, level, _ = front_end.initial_state()
    features, level = front_end.features(front_end.analyze(x, analysis)[0], level)
    assert np.isfinite(features).all() and features.min() >= -1 and features.max() <= 127 / 128
    assert np.isfinite(level.level)


def test_limit_of_one_leaves_the_spectrum_alone():
    front_end = FrontEnd()
    spectra, _ = front_end.analyze(noise(2560), front_end.initial_state()[0])
    np.testing.assert_array_equal(front_end.apply(spectra, np.zeros((10, 128)), limit=1.0), spectra)


def test_bands_share_each_bin_and_gains_of_ones_are_ones():
    bands = divide(257, 128, 64, 8000)
    np.testing.assert_allclose(bands.taps.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(bands.gains(np.ones(128, np.float32)), np.ones(257))
    powers = np.arange(257, dtype=np.float32)
    np.testing.assert_array_equal(bands.powers(powers)[:64], powers[:64])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hop_ms": 12.0}, "hop_ms"),
        ({"window_ms": 10.03}, "window_ms"),
        ({"sample_rate": 44100}, "sample_rate"),
        ({"level_seconds": 0.0}, "level_seconds"),
        ({"synthesis_ms": 40.0}, "synthesis_ms: 40.0 ms is longer than the window of 32.0 ms"),
        ({"synthesis_ms": 16.0}, "hop_ms: a synthesis window of 16.0 ms is not two or more hops of 16.0 ms"),
        ({"synthesis_ms": 10.0, "hop_ms": 4.0}, "hop_ms: a synthesis window of 10.0 ms"),
        ({"synthesis_ms": 8.01, "hop_ms": 4.0}, "synthesis_ms: 8.01 ms is not a whole number of samples"),
        ({"hop_ms": 0.5}, "hop_ms: 0.5 ms is not a whole number of samples, of at least 16"),
    ],
)
def test_impossible_measures_are_refused_by_name(values, message):
    with pytest.raises(InputError, match=message):
        FrontEndConfig(**values)


def test_torch_front_end_follows_the_reference():
    torch = pytest.importorskip("torch")
    from tinyse.models.front_end import TorchFrontEnd

    for config in CONFIGS:
        reference, front_end = FrontEnd(config), TorchFrontEnd(config)
        x = np.concatenate([np.zeros(5 * config.hop, np.float32), noise(20 * config.hop), noise(20 * config.hop, 1e-3)])
        analysis, level, synthesis = reference.initial_state()
        spectra, _ = reference.analyze(x, analysis)
        features, _ = reference.features(spectra, level)
        mask = np.random.default_rng(2).uniform(size=features.shape).astype(np.float32)
        sound, _ = reference.synthesize(reference.apply(spectra, mask), synthesis)
        torch_spectra = front_end.analyze(torch.from_numpy(x)[None])
        np.testing.assert_allclose(torch_spectra[0].numpy(), spectra, atol=1e-4)
        np.testing.assert_allclose(front_end.features(torch_spectra)[0].numpy(), features, atol=1e-4)
        enhanced = torch_spectra * front_end.gains(torch.from_numpy(mask))[None]
        np.testing.assert_allclose(front_end.synthesize(enhanced)[0].numpy(), sound[config.delay :], atol=1e-5)


def test_torch_front_end_computes_in_float32_under_autocast():
    torch = pytest.importorskip("torch")
    from tinyse.models.front_end import TorchFrontEnd

    front_end = TorchFrontEnd(FrontEndConfig())
    spectra, wanted = (front_end.analyze(torch.from_numpy(noise(8000, level))[None]) for level in (0.1, 0.03))

    def computed() -> list:
        mask = front_end.mask(spectra, wanted)
        return [front_end.features(spectra), mask, front_end.gains(mask)]

    exact = computed()
    with torch.autocast("cpu", torch.bfloat16):
        for value, right in zip(computed(), exact, strict=True):
            assert value.dtype == torch.float32 and torch.equal(value, right)


def test_a_picture_of_sounds_of_other_lengths_has_no_empty_halves(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    from tinyse.spectra.picture import draw_spectrograms

    rng = np.random.default_rng(0)
    short, long = (np.float32(rng.normal(0, 0.1, seconds * 16000)) for seconds in (1, 4))
    draw_spectrograms([[("short", short)], [("long", long)]], tmp_path / "rows.png")
    image = imread(tmp_path / "rows.png")[..., :3]
    height, width = image.shape[:2]
    for row in (height // 4, 3 * height // 4):
        line = image[row, width // 5 : 3 * width // 5]  # left of the color bar
        assert (line.min(axis=1) > 0.95).mean() < 0.1, "white"
