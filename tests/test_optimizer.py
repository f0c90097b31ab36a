"""The schedule, what decays, clipping and the running average, each seen in what it does to weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from torch.optim.optimizer import register_optimizer_step_pre_hook  # noqa: E402

from tinyse.models.architecture import Architecture  # noqa: E402
from tinyse.models.network import MaskNetwork  # noqa: E402
from tinyse.recipe import Stage  # noqa: E402
from tinyse.training.optimizer import (  # noqa: E402
    Diverged,
    Optimization,
    average_decay,
    is_finite,
    is_matrix,
    learning_rate,
    move_average,
)
from tinyse.training.processes import launch  # noqa: E402

STAGE = Stage(
    model=Architecture(channels=(4, 4), groups=2),
    updates=20,
    losses={"signal_to_noise": 1.0},
    learning_rate=0.25,
    warmup=4,
    weight_decay=0.5,
    clip_gradient=2.0,
    average=0.5,
)


def training(stage=STAGE):
    torch.manual_seed(0)
    return Optimization(launch("32-true"), MaskNetwork(stage.architecture), stage)


def weights(network):
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def pull(network, factor=1.0):
    """A loss whose gradient is `factor` for every parameter."""
    return factor * sum(parameter.sum() for parameter in network.parameters())


def test_the_rate_warms_up_in_equal_steps_and_then_falls_as_half_a_cosine():
    rates = [learning_rate(STAGE, update) for update in range(21)]
    assert rates[:5] == [0.0625, 0.125, 0.1875, 0.25, 0.25]
    assert rates[12] == pytest.approx(0.125) and rates[8] == pytest.approx(0.125 * (1 + 2**-0.5))
    assert rates[20] == 0.0 and all(later < earlier for earlier, later in pairwise(rates[4:]))
    assert learning_rate(replace(STAGE, warmup=0), 0) == 0.25


def test_every_update_is_made_at_its_own_rate():
    learner, seen = training(), []
    hook = register_optimizer_step_pre_hook(
        lambda optimizer, *_: seen.append([g["lr"] for g in optimizer.param_groups])
    )
    try:
        for update in (0, 1, 12):
            learner.learn([pull(learner.bare)], update)
    finally:
        hook.remove()
    assert seen == [[learning_rate(STAGE, update)] * 2 for update in (0, 1, 12)]


def test_matrices_and_kernels_decay_and_nothing_else():
    """Without a gradient AdamW only takes its share of the weights away."""
    learner = training()
    for parameter in learner.bare.parameters():
        torch.nn.init.constant_(parameter, 2.0)
    learner.learn([pull(learner.bare, 0.0)], 3)
    for name, parameter in weights(learner.bare).items():
        kernel = name.endswith("convolution.weight") and parameter.shape[1] > 1
        recurrent = ".input_" in name or ".state_" in name  # biases too, which are kept as columns
        expected = 2.0 * (1 - 0.25 * 0.5) if kernel or recurrent else 2.0
        assert torch.all(parameter == expected), name
    assert any(name.endswith("normalization.weight") for name in weights(learner.bare))


@pytest.mark.parametrize(
    ("shape", "decays"), [((4, 2, 1, 1), True), ((4, 1, 2, 3), False), ((1, 2), True), ((4, 1), False), ((4,), False)]
)
def test_what_mixes_two_inputs_or_more_is_a_matrix(shape, decays):
    assert is_matrix(torch.zeros(shape)) is decays


@pytest.mark.parametrize(("factor", "clipped"), [(10.0, True), (1e-3, False)])
def test_gradients_longer_than_the_limit_are_shortened_to_it(factor, clipped):
    learner, norms = training(), []

    def measure(optimizer, *_):
        gradients = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        norms.append(float(torch.cat(gradients).norm()))

    count = sum(parameter.numel() for parameter in learner.bare.parameters())
    hook = register_optimizer_step_pre_hook(measure)
    try:
        for update in range(2):
            learner.learn([pull(learner.bare, factor)], update)
    finally:
        hook.remove()
    assert norms == pytest.approx([2.0 if clipped else factor * count**0.5] * 2, rel=1e-4)


def test_the_average_ramps_up_to_its_decay():
    assert [average_decay(STAGE, update) for update in (0, 1, 6, 8, 100)] == [0.1, 2 / 11, 7 / 16, 0.5, 0.5]
    assert average_decay(replace(STAGE, average=0.0), 50) == 0.0
    learner = training()
    expected = weights(learner.bare)
    for update, decay in enumerate((0.1, 2 / 11, 0.25)):
        learner.learn([pull(learner.bare)], update)
        expected = {name: decay * expected[name] + (1 - decay) * value for name, value in weights(learner.bare).items()}
    for name, value in weights(learner.average).items():
        torch.testing.assert_close(value, expected[name])


def test_statistics_are_averaged_and_counters_copied():
    average, present = torch.nn.BatchNorm2d(1), torch.nn.BatchNorm2d(1)
    present.running_mean.fill_(4.0)
    present.num_batches_tracked.fill_(7)
    move_average(average, present, 0.25)
    assert float(average.running_mean) == 3.0 and int(average.num_batches_tracked) == 7


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_or_gradient_that_is_no_number_changes_nothing(factor):
    learner = training()
    learner.learn([pull(learner.bare)], 0)
    before, average = weights(learner.bare), weights(learner.average)
    state = copy.deepcopy(learner.optimizer.state_dict()["state"])
    with pytest.raises(Diverged, match="the loss became"):
        learner.learn([pull(learner.bare, factor)], 1)
    first = next(learner.bare.parameters())
    loss = (first - first.detach()).abs().sqrt().sum()  # zero, of infinite slope
    with pytest.raises(Diverged, match="the gradient became"):
        learner.learn([loss], 1)
    assert all(torch.equal(value, before[name]) for name, value in weights(learner.bare).items())
    assert all(torch.equal(value, average[name]) for name, value in weights(learner.average).items())
    for index, moments in learner.optimizer.state_dict()["state"].items():
        assert all(
            torch.equal(torch.as_tensor(value), torch.as_tensor(state[index][key])) for key, value in moments.items()
        )


def test_the_memory_of_gradients_is_that_of_the_recipes():
    """AdamW with betas .9 and .99: after one gradient and then none, the second step is what they leave of it."""
    learner = training(replace(STAGE, clip_gradient=1e6))
    bias = next(parameter for parameter in learner.bare.parameters() if not is_matrix(parameter))
    learner.learn([pull(learner.bare)], 0)
    before = bias.detach().clone()
    learner.learn([pull(learner.bare, 0.0)], 1)
    expected = learning_rate(STAGE, 1) * (0.9 / 1.9) / (0.99 / 1.99) ** 0.5
    assert (before - bias.detach()).flatten().tolist() == pytest.approx([expected] * bias.numel(), rel=3e-4)


def test_each_tensor_gets_its_part_of_the_mean_over_processes():
    learner, asked = training(), []

    def all_reduce(flat, reduce_op):
        asked.append((flat.tolist(), reduce_op))
        return flat + 10

    learner.fabric = SimpleNamespace(world_size=2, all_reduce=all_reduce)
    tensors = [torch.arange(6.0).view(2, 3), torch.tensor([7.0])]
    learner._mean_of_processes(tensors)
    assert asked == [([0, 1, 2, 3, 4, 5, 7], "mean")], "one message"
    assert tensors[0].tolist() == [[10, 11, 12], [13, 14, 15]] and tensors[1].tolist() == [17]
    learner._mean_of_processes([])
    learner.fabric.world_size = 1
    learner._mean_of_processes(tensors)
    assert len(asked) == 1 and tensors[1].tolist() == [17]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_bad_number_is_enough(bad):
    assert is_finite([]) and is_finite([torch.zeros(2), torch.ones(3)])
    assert not is_finite([torch.zeros(2), torch.tensor([0.0, bad]), torch.ones(3)])
