"""Supervised losses against literal numpy versions of their formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from tinyse import corpus

torch = pytest.importorskip("torch")

from tinyse.errors import InputError  # noqa: E402
from tinyse.evaluation.pairs import find_pairs  # noqa: E402
from tinyse.models.front_end import TorchFrontEnd  # noqa: E402
from tinyse.spectra.front_end import FrontEndConfig  # noqa: E402
from tinyse.tasks import losses, perceptual  # noqa: E402
from tinyse.tasks.denoise import estimate, improvement_db  # noqa: E402
from tinyse.tasks.intelligibility import intelligibility as estoi  # noqa: E402
from tinyse.training.recipe import recipe_from  # noqa: E402


@pytest.fixture(scope="module")
def example():
    generator = np.random.default_rng(0)
    clean = generator.normal(size=(2, 4096)).astype(np.float32) * 0.1
    noisy = clean + generator.normal(size=(2, 4096)).astype(np.float32) * 0.05
    front_end = TorchFrontEnd(FrontEndConfig())
    spectra = front_end.analyze(torch.from_numpy(noisy))
    mask = torch.from_numpy(generator.uniform(0.2, 1, (2, 16, 128)).astype(np.float32))
    return estimate(front_end, spectra, mask, torch.from_numpy(noisy), torch.from_numpy(clean))


def test_phase_sensitive(example):
    y, s, g = (t.numpy().astype(complex) for t in (example.noisy_spectra, example.clean_spectra, example.gains))
    total = []
    for i in np.ndindex(y.shape):
        target = abs(s[i]) * np.cos(np.angle(s[i]) - np.angle(y[i]))
        total.append((g[i].real * abs(y[i]) - min(max(target, 0), abs(y[i]))) ** 2)
    assert float(losses.phase_sensitive(example)) == pytest.approx(np.mean(total), rel=1e-3)


def test_compressed_spectral(example):
    s, e = (t.numpy().astype(complex) for t in (example.resynthesized_clean, example.resynthesized_spectra))
    c = share = 0.3
    magnitude = np.mean((abs(s) ** c - abs(e) ** c) ** 2)
    with_phase = np.mean(abs(abs(s) ** c * np.exp(1j * np.angle(s)) - abs(e) ** c * np.exp(1j * np.angle(e))) ** 2)
    expected = (1 - share) * magnitude + share * with_phase
    assert float(losses.compressed_spectral(example)) == pytest.approx(expected, rel=1e-2)


def test_lost_speech_counts_only_what_is_missing(example):
    s, e = (t.numpy().astype(complex) for t in (example.resynthesized_clean, example.resynthesized_spectra))
    expected = np.mean(np.maximum(abs(s) ** 0.3 - abs(e) ** 0.3, 0) ** 2)
    assert float(losses.lost_speech(example)) == pytest.approx(expected, rel=1e-2)


def test_signal_to_noise_sees_level_and_si_sdr_does_not(example):
    s, e = example.clean_samples.numpy(), example.samples.numpy()
    snr = np.mean([np.log10(np.sum((a - b) ** 2) / np.sum(a**2) + 1e-3) for a, b in zip(s, e, strict=True)])
    assert float(losses.signal_to_noise(example)) == pytest.approx(snr, rel=1e-3)
    from dataclasses import replace

    halved = replace(example, samples=example.samples * 0.5)
    assert float(losses.si_sdr(halved)) == pytest.approx(float(losses.si_sdr(example)), rel=1e-3)
    assert float(losses.signal_to_noise(halved)) > float(losses.signal_to_noise(example)) + 0.1


@pytest.mark.parametrize("name", losses.LOSSES)
def test_gradients_are_finite_for_silence_and_for_speech_that_is_silence(name):
    front_end = TorchFrontEnd(FrontEndConfig())
    noisy = torch.zeros(2, 2048)
    noisy[1] = torch.randn(2048, generator=torch.Generator().manual_seed(0)) * 0.1
    mask = torch.full((2, 8, 128), 0.5, requires_grad=True)
    result = estimate(front_end, front_end.analyze(noisy), mask, noisy, torch.zeros(2, 2048))
    losses.weighted_sum(losses.LOSSES, {name: 1.0}, result).backward()
    assert torch.isfinite(mask.grad).all()


@pytest.fixture(scope="module")
def degraded():
    """Clean and degraded speech of the built-in corpus, with noise, and with noise of which much is gone."""
    rng = np.random.default_rng(0)
    pairs = [pair.load(16000) for pair in find_pairs(corpus.pairs())]
    made = []
    for number, pair in enumerate(pairs[:8]):
        noise = rng.normal(0, pair.clean.std() * 10 ** (-(number - 2) / 4), len(pair.clean)).astype(np.float32)
        made += [(pair.clean, pair.noisy), (pair.clean, pair.clean + noise)]
        made.append((pair.clean, scipy.signal.wiener(pair.clean + noise, 9).astype(np.float32)))
    return made


def test_perceptual_orders_clips_as_pesq_does(degraded):
    pesq = pytest.importorskip("pesq", reason="pip install 'tinyse[metrics]'")
    theirs = [pesq.pesq(16000, clean, sound, "wb") for clean, sound in degraded]
    ours = [float(perceptual.score(*(torch.from_numpy(x)[None] for x in pair))) for pair in degraded]
    assert np.corrcoef(theirs, ours)[0, 1] > 0.97
    np.testing.assert_allclose(ours, theirs, atol=0.35)


def test_intelligibility_gains_what_estoi_gains(degraded):
    """Of two ways of degrading the same speech: how long the pauses are moves the measure itself, not the difference."""
    pystoi = pytest.importorskip("pystoi", reason="pip install 'tinyse[metrics]'")
    theirs = np.array([pystoi.stoi(clean, sound, 16000, extended=True) for clean, sound in degraded])
    ours = np.array([float(estoi(*(torch.from_numpy(x)[None] for x in pair), 16000)) for pair in degraded])
    differences = [np.diff(values.reshape(-1, 3)).ravel() for values in (theirs, ours)]
    assert np.corrcoef(*differences)[0, 1] > 0.97


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_speech_itself_is_intelligible_at_any_rate_and_noise_is_not(degraded, rate):
    clean = torch.from_numpy(scipy.signal.resample_poly(degraded[0][0], rate // 8000, 2))[None]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    assert float(estoi(clean, clean, rate)) == pytest.approx(1, abs=1e-3)
    assert abs(float(estoi(clean, noise, rate))) < 0.1
    assert float(estoi(clean[:, : rate // 5], clean[:, : rate // 5], rate)) == 0  # too short to say


def test_loudness_of_the_estimate_does_not_matter_to_either(example):
    louder = replace(example, samples=example.samples * 4)
    for loss in (losses.perceptual, losses.intelligibility):
        assert float(loss(louder)) == pytest.approx(float(loss(example)), rel=0.02)


def test_perceptual_is_refused_at_other_rates():
    stage = {"model": "student-30k", "updates": 1, "losses": {"perceptual": 1.0}}
    with pytest.raises(InputError, match=r"losses\.perceptual: it is defined at 16000 Hz"):
        recipe_from({"stages": {"only": stage}, "front_end": {"sample_rate": 48000}})


def test_a_loss_of_weight_zero_is_neither_refused_nor_computed(example):
    stage = {"model": "student-30k", "updates": 1, "losses": {"si_sdr": 1.0, "perceptual": 0.0}}
    recipe_from({"stages": {"only": stage}, "front_end": {"sample_rate": 48000}})

    def never(estimate):
        raise AssertionError

    known = {"si_sdr": losses.si_sdr, "perceptual": never}
    weighted = losses.weighted_sum(known, {"si_sdr": 2.0, "perceptual": 0.0}, example)
    assert float(weighted) == pytest.approx(2 * float(losses.si_sdr(example)))


def test_improvement_is_the_metrics(example):
    from tinyse.evaluation.metrics import sdr, si_sdr

    noisy = np.random.default_rng(5).normal(size=(2, 4096)).astype(np.float32)
    noisy[:, : example.clean_samples.shape[1]] += example.clean_samples.numpy()
    gain, ratio = improvement_db(example, torch.from_numpy(noisy))
    for i in range(2):
        clean, output = example.clean_samples[i].numpy(), example.samples[i].numpy()
        assert ratio[i] == pytest.approx(sdr(clean, output))
        assert gain[i] == pytest.approx(si_sdr(clean, output) - si_sdr(clean, noisy[i, : len(clean)]))
    silent = replace(example, samples=torch.zeros_like(example.samples))
    assert np.isfinite(improvement_db(silent, torch.from_numpy(noisy))).all()


def test_unknown_loss_is_refused_with_a_suggestion():
    with pytest.raises(InputError, match="did you mean 'si_sdr'"):
        recipe_from({"stages": {"only": {"model": "student-30k", "updates": 1, "losses": {"si-sdr": 1.0}}}})
