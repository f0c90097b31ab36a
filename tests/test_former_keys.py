"""Files from before the spelling was American keep loading: recipes, manifests, model headers, shards."""

from __future__ import annotations

import json
import signal

import pytest

from tinyse.boards.measurements import read_measurements
from tinyse.config import renamed
from tinyse.mixtures.config import MixtureConfig
from tinyse.recordings.manifest import Manifest


def test_a_recipe_with_former_keys_is_the_same_recipe(tmp_path):
    pytest.importorskip("torch")
    from tinyse.training.recipe import load_recipe

    text = """
stages:
  quantise: {model: student-30k, updates: 5, losses: {si_sdr: 1}}
  integers: {model: student-30k, start: quantise, updates: 5, losses: {si_sdr: 1}, QUANTISE: {clips: 3},
             mixture: {EQUALISE_probability: 0.25}}
mixture: {EQUALISE_db: [-3, 3]}
"""
    former = text.replace("QUANTISE", "quantise").replace("EQUALISE", "equalise")
    present = text.replace("QUANTISE", "quantize").replace("EQUALISE", "equalize")
    for name, written in (("former", former), ("present", present)):
        (tmp_path / f"{name}.yaml").write_text(written)
    settings = ["output=x", "stages.integers.quantise.clips=4"]
    loaded = load_recipe(tmp_path / "former.yaml", settings)
    assert loaded == load_recipe(tmp_path / "present.yaml", ["output=x", "stages.integers.quantize.clips=4"])
    assert list(loaded.stages) == ["quantise", "integers"], "a user's own names stay"
    assert loaded.stages["integers"].quantize.clips == 4 and loaded.mixture.equalize_db == (-3, 3)


def test_a_manifest_with_the_former_column_keeps_its_licenses(tmp_path):
    (tmp_path / "m.csv").write_text("path,seconds,kind,split,licence,ship\na.wav,1.0,noise,train,CC0,yes\n")
    manifest = Manifest.read(tmp_path / "m.csv")
    assert manifest.recordings[0].license == "CC0"
    manifest.write(tmp_path / "n.csv")
    assert (tmp_path / "n.csv").read_text().splitlines()[0].split(",").count("license") == 1


def test_the_headers_of_released_models_are_read_by_present_names():
    pytest.importorskip("torch")
    from tinyse import released
    from tinyse.models.files import load_tensors

    for name in released.names():
        header = load_tensors(released.find(name).with_suffix(".safetensors"))[1]
        assert "quantization" in header and "equalize_db" in header["whole_recipe"]["mixture"]


def test_renaming_reaches_lists_and_spares_names():
    assert renamed({"model": {"python": "a:B", "grids": 3}}) == {"model": {"python": "a:B", "grids": 3}}
    assert renamed([{"licence": "CC0", "stages": {"licence": {"quantise": 1}}}]) == [
        {"license": "CC0", "stages": {"licence": {"quantize": 1}}}
    ]
    assert MixtureConfig().equalize_db == (-6.0, 6.0)


def test_weights_by_former_names_are_loaded(tiny, tmp_path):
    from tinyse.models.files import load_model, load_tensors, save_tensors

    tensors, header = load_tensors(tiny.weights)
    assert any("normalization" in name for name in tensors)
    former = {name.replace("normalization", "normalisation"): tensor for name, tensor in tensors.items()}
    save_tensors(tmp_path / "former.safetensors", former, header)
    loaded, present = load_model(tmp_path / "former.safetensors")[0], load_model(tiny.weights)[0]
    assert all(value.equal(present.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_quantization_parameters_under_their_former_key_are_loaded(tiny, tmp_path):
    from tinyse.models.files import load_tensors, save_tensors
    from tinyse.quantization.quantize import activation_qparams
    from tinyse.quantization.trained import TrainedQparams
    from tinyse.tflite.reader import read

    expected = TrainedQparams("int8", activation_qparams(read(tiny.quantized)))
    written = expected.as_json()
    former = {"precision": written["precision"], "grids": written["qparams"]}
    tensors, header = load_tensors(tiny.weights)
    save_tensors(tmp_path / "former.safetensors", tensors, {**header, "quantization": former})
    header = load_tensors(tmp_path / "former.safetensors")[1]
    assert TrainedQparams.from_json(header["quantization"], "former") == expected


def test_a_checkpoint_with_the_former_count_stops_as_early(tmp_path):
    pytest.importorskip("torch")
    from tinyse.models.files import load_tensors, save_tensors
    from tinyse.training.recipe import load_recipe
    from tinyse.training.run import run

    stage = "{model: {channels: [4], groups: 1}, updates: 3, batch: 1, seconds: 0.5, patience: 1, losses: {si_sdr: 1}}"
    (tmp_path / "r.yaml").write_text(f"stages: {{one: {stage}}}\nvalid_clips: 1\nworkers: 0\nthreads: 1\n")
    recipe = load_recipe(tmp_path / "r.yaml", [f"output={tmp_path / 'run'}"])

    def interrupt(progress):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(recipe, interrupt, lambda _: None)
    checkpoint = tmp_path / "run/one/checkpoint.safetensors"
    tensors, header = load_tensors(checkpoint)
    del header["validations_without_improvement"]
    save_tensors(checkpoint, tensors, {**header, "looks_without_gain": 1})
    run(recipe, lambda _: pytest.fail("an update was made"), lambda _: None)
    assert load_tensors(tmp_path / "run/one/model.safetensors")[1]["update"] == 1


def test_measurements_under_former_keys_are_read(tmp_path):
    one = {
        "model": "ab",
        "core": "Cortex-M4",
        "label": "emulated",
        "source": "QEMU",
        "modelled_cycles": 9,
        "modelled_from": "x",
    }
    (tmp_path / "m.json").write_text(json.dumps({"format": 1, "measurements": [one]}))
    measurement = read_measurements(tmp_path / "m.json")[0]
    assert (measurement.modeled_cycles, measurement.modeled_from) == (9, "x")
