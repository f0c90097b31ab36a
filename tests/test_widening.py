"""A wide network that starts from a narrow one: what it computes, what it may learn, what has no room."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import assume, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from tinyse.errors import InputError  # noqa: E402
from tinyse.models.architecture import Architecture, named  # noqa: E402
from tinyse.models.making import make  # noqa: E402
from tinyse.models.widening import widen  # noqa: E402


@st.composite
def architectures(draw, depth):
    groups = draw(st.integers(1, 4))
    last = groups * draw(st.integers(1, 4))
    channels = (*(draw(st.integers(1, 6)) for _ in range(depth - 1)), last)
    return Architecture(channels, groups, tuple(sorted(draw(st.sets(st.integers(1, depth))))))


@st.composite
def narrow_and_wide(draw):
    depth = draw(st.integers(1, 3))
    narrow, wide = draw(architectures(depth)), draw(architectures(depth))
    channels = (*(a + b for a, b in zip(narrow.channels[:-1], wide.channels[:-1], strict=True)), wide.channels[-1])
    return narrow, Architecture(channels, wide.groups, narrow.shared_gru)


def networks(narrow, wide, classes=()):
    """Both, in evaluation mode, with normalizations that have seen something, and biases that are not all the same."""
    torch.manual_seed(0)
    task = "tagging" if classes else "denoise"
    made = [make(each, 16, task, classes) for each in (narrow, wide)]
    for network in made:
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        network(4 * torch.randn(4, 6, 16), network.initial_state(4))
    return [network.eval() for network in made]


@settings(deadline=None, max_examples=60)
@given(narrow_and_wide(), st.sampled_from([(), ("bark", "bell")]))
def test_the_wide_network_computes_what_the_narrow_one_does(both, classes):
    narrow, wide = both
    small, large = networks(narrow, wide, classes)
    try:
        widen(small, large)
    except InputError:
        old, own = narrow.channels[-1] // narrow.groups, wide.channels[-1] // wide.groups
        assume(-(-narrow.groups // wide.groups) * old <= own)
        raise
    x = torch.randn(2, 7, 16)
    with torch.no_grad():
        torch.testing.assert_close(
            large(x, large.initial_state(2))[0], small(x, small.initial_state(2))[0], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [("student-30k", "student-62k"), ("student-62k", "student-200k"), ("student-200k", "teacher")],
)
def test_each_named_denoiser_has_room_for_the_next_smaller_one(narrow, wide):
    named(wide).places(named(narrow))


def test_every_new_weight_is_reached_by_training():
    """What leads from new channels to old ones is zero at first, and must not stay so."""
    small, large = networks(Architecture((2, 4), 2, (1,)), Architecture((3, 9), 3, (1,)))
    widen(small, large)
    large.train()
    optimizer = torch.optim.SGD(large.parameters(), 0.1)
    for _ in range(3):
        x = torch.randn(4, 6, 16)
        optimizer.zero_grad()
        (large(x, large.initial_state(4))[0] - torch.rand(4, 6, 16)).square().sum().backward()
        optimizer.step()
    for name, parameter in large.named_parameters():
        if parameter.dim() > 1 and "bias" not in name:
            assert (parameter != 0).all(), name


@pytest.mark.parametrize(
    ("narrow", "wide", "message"),
    [
        (Architecture((4, 4)), Architecture((4, 4, 4)), r"depth: 2 stays"),
        (Architecture((4, 4)), Architecture((4, 4), shared_gru=(1,)), r"shared_gru: \(\) stays"),
        (Architecture((5, 4)), Architecture((4, 8)), r"channels: 5 of block 1 do not fit into 4"),
        (Architecture((4, 8), 4), Architecture((4, 9), 3), r"groups: 2 of 2 channels do not fit into one of 3"),
        (Architecture((4, 4)), Architecture((4, 8), 4), r"groups: 1 of 4 channels do not fit into one of 2"),
    ],
)
def test_what_has_no_room_is_told(narrow, wide, message):
    with pytest.raises(InputError, match=message):
        widen(*networks(narrow, wide))
