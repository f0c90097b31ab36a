"""Configuration from files: what a stranger may write into one is refused by name before it costs memory or time."""

from __future__ import annotations

import dataclasses
import typing

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinyse.config import Between, as_dict, build, check_bounds
from tinyse.distillation.objective import Distillation
from tinyse.errors import InputError
from tinyse.mixtures.config import MixtureConfig
from tinyse.mixtures.labeled import LabeledMixtureConfig
from tinyse.models.architecture import Architecture
from tinyse.models.files import load_model, load_tensors, save_tensors
from tinyse.recipe import Evaluation, Export, Quantize, Stage
from tinyse.spectra.front_end import FrontEnd, FrontEndConfig, front_end_in
from tinyse.tasks.tagging import TaggingOptions

FILLED = (
    FrontEndConfig, Architecture, MixtureConfig, LabeledMixtureConfig, Stage, Quantize, Export, Evaluation, TaggingOptions,
    Distillation,
)  # fmt: skip
"""The dataclasses that files fill with numbers."""

# The sample rate is one of a few; the blocks of shared_gru are checked against the depth.
OTHERWISE_BOUNDED = {"FrontEndConfig.sample_rate", "Architecture.shared_gru"}


def unbounded(hint: object) -> bool:
    """Whether `hint` lets any number through."""
    if hint in (int, float):
        return True
    if typing.get_origin(hint) is typing.Annotated:
        return not any(isinstance(extra, Between) for extra in typing.get_args(hint)[1:])
    return any(unbounded(argument) for argument in typing.get_args(hint))


@pytest.mark.parametrize("cls", FILLED, ids=lambda cls: cls.__name__)
def test_every_number_of_a_file_has_bounds(cls):
    hints = typing.get_type_hints(cls, include_extras=True)
    found = {f"{cls.__name__}.{field.name}" for field in dataclasses.fields(cls) if unbounded(hints[field.name])}
    assert found <= OTHERWISE_BOUNDED


@given(
    field=st.sampled_from([field.name for field in dataclasses.fields(FrontEndConfig)]),
    value=st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70)),
)
def test_any_front_end_is_refused_or_small(field, value):
    try:
        config = build(FrontEndConfig, {field: value})
        tables = FrontEnd(config).bands
    except InputError:
        return
    assert config.transform_size <= 1 << 14 and tables is not None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window_ms": 1e9}, "window_ms"),
        ({"window_ms": 10**400}, "window_ms"),
        ({"feature_range_db": 1e-300}, "feature_range_db"),
        ({"level_seconds": 5e-324}, "level_seconds"),
        ({"bands": 10**12}, "bands"),
        ({"linear_hz": -1.0}, "linear_hz"),
    ],
)
def test_a_front_end_out_of_bounds_is_named_from_a_file_and_from_python(values, message):
    with pytest.raises(InputError, match=f"x: .*{message}|x.{message}"):
        build(FrontEndConfig, values, "x")
    with pytest.raises(InputError, match=message):
        FrontEndConfig(**values)


def test_what_a_class_says_of_its_values_has_their_place():
    """A stage that trains nothing, a hop that divides nothing: which one, of which file?"""
    for losses in ({}, {"losses": {"si_sdr": 0}}):
        with pytest.raises(InputError, match=r"^stages\.one: a stage needs losses"):
            build(Stage, {"model": "student-30k", "updates": 1, **losses}, "stages.one")
    with pytest.raises(InputError, match=r"^stages\.one\.distillation\.teacher: name at least one"):
        build(Stage, {"model": "student-30k", "updates": 1, "distillation": {"teacher": []}}, "stages.one")
    with pytest.raises(InputError, match=r"^m\.tflite: front_end\.hop_ms: 7\.3 ms is not a whole number"):
        front_end_in({"front_end": {"hop_ms": 7.3}}, "m.tflite")
    with pytest.raises(InputError, match=r"^m\.tflite: front_end\.bands: 1024 bands"):
        front_end_in({"front_end": {"bands": 1024}}, "m.tflite")
    with pytest.raises(InputError, match=r"^m\.tflite: front_end\.hop_ms is 1000\.0: it has to lie"):
        front_end_in({"front_end": {"hop_ms": 1000}}, "m.tflite")


@dataclasses.dataclass(frozen=True)
class Widths:
    widths: tuple[typing.Annotated[int, Between(1, 4)], ...]

    def __post_init__(self) -> None:
        check_bounds(self)


def test_bounds_reach_into_lists():
    assert Widths((1, 4)).widths == (1, 4)
    with pytest.raises(InputError, match=r"widths\[1\] is 5"):
        Widths((1, 5))
    with pytest.raises(InputError, match=r"widths\[0\] is 0"):
        build(Widths, {"widths": [0]})


def test_a_header_that_promises_more_weights_than_there_are_makes_no_room_for_them(tiny, tmp_path):
    tensors, header = load_tensors(tiny.weights)
    header["architecture"] = as_dict(Architecture((1024, 1024)))  # a GRU of 32,768 units: 25 GB of weights
    save_tensors(tmp_path / "large.safetensors", tensors, header)
    with pytest.raises(InputError, match=r"weight .* (missing|shape|not of this)"):
        load_model(tmp_path / "large.safetensors")


def test_a_loaded_network_holds_the_weights_of_its_file(tiny):
    network, _, _ = load_model(tiny.weights)
    tensors, _ = load_tensors(tiny.weights)
    for name, value in network.state_dict().items():
        assert value.device.type == "cpu" and torch.equal(value, tensors[name])


def test_a_mistyped_key_of_a_network_of_ones_own_is_told_as_one():
    with pytest.raises(InputError, match=r"^missing key one\.model\.python"):
        build(Stage, {"model": {"pyhton": "net:Net"}, "updates": 1, "losses": {"si_sdr": 1}}, "one")
    with pytest.raises(InputError, match=r"^unknown key one\.model\.chanels: did you mean 'channels'"):
        build(Stage, {"model": {"chanels": [4, 4]}, "updates": 1, "losses": {"si_sdr": 1}}, "one")
