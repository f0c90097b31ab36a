"""A stream that is copied, or sent to another process, continues where it was, with an interpreter of its own."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

from tinyse import Denoiser, Tagger

MAKERS = {"a pickle": lambda stream: pickle.loads(pickle.dumps(stream)), "a deep copy": copy.deepcopy}


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def opened(tiny, engine: str) -> Denoiser:
    if engine == "tflm":
        pytest.importorskip("tflite_micro")
    return Denoiser(tiny.weights if engine == "torch" else tiny.quantized, engine)


@pytest.mark.parametrize("made", MAKERS)
@pytest.mark.parametrize("engine", ["litert", "tflm", "reference", "c", "torch"])
def test_a_denoiser_goes_on_where_it_was(tiny, engine, made):
    denoiser, samples = opened(tiny, engine), noise(3000)
    denoiser.process(samples[:1000])
    other = MAKERS[made](denoiser)
    expected = np.concatenate([denoiser.process(samples[1000:]), denoiser.flush()])
    np.testing.assert_array_equal(np.concatenate([other.process(samples[1000:]), other.flush()]), expected)


@pytest.fixture(scope="module")
def tagger_file(tmp_path_factory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from test_tagging import FRONT_END, network

    from tinyse.export import export_model
    from tinyse.models.files import save_model

    path = tmp_path_factory.mktemp("tagger") / "tagger.safetensors"
    save_model(path, network(), FRONT_END, {})
    return export_model(path, [("noise", noise(16000))]).quantized


@pytest.mark.parametrize("made", MAKERS)
def test_a_tagger_goes_on_where_it_was(tagger_file, made):
    tagger, samples = Tagger(tagger_file, every_seconds=0.1), noise(8000)
    tagger.process(samples[:3000])
    other = MAKERS[made](tagger)
    assert other.process(samples[3000:]) == tagger.process(samples[3000:])
    assert other.whole() == tagger.whole()


@pytest.mark.parametrize("engine", ["litert", "torch"])
def test_deep_copies_serve_threads_side_by_side(tiny, engine):
    denoiser = opened(tiny, engine)
    clips = [noise(40_000, seed) for seed in range(3)]
    expected = [denoiser.denoise(clip) for clip in clips]
    made: dict[int, np.ndarray] = {}

    def work(number: int, own: Denoiser) -> None:
        made[number] = own.denoise(clips[number])

    threads = [threading.Thread(target=work, args=(n, copy.deepcopy(denoiser))) for n in range(len(clips))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [0, 1, 2]
    for number, clean in made.items():
        np.testing.assert_array_equal(clean, expected[number])
