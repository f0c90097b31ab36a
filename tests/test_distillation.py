"""Views and losses against slow, literal numpy versions of their formulas; what must be refused is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tinyse.distillation.external import OnnxTeacher  # noqa: E402
from tinyse.distillation.objective import Distillation, distillation_loss  # noqa: E402
from tinyse.distillation.views import VIEWS, similarity_loss  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.models.architecture import Architecture  # noqa: E402
from tinyse.models.network import MaskNetwork  # noqa: E402
from tinyse.models.recorder import Recorder  # noqa: E402


def literal_gram(rows: np.ndarray) -> np.ndarray:
    """Items (n, values): inner products, each row divided by its L2 norm, one entry at a time."""
    n = len(rows)
    gram = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            gram[i, j] = sum(rows[i] * rows[j])
    return np.array([row / np.sqrt(sum(row**2)) for row in gram])


def literal_loss(student: np.ndarray, teacher: np.ndarray, view: str) -> float:
    """The mean over groups of ||G_T - G_S||_F^2 / items^2."""

    def groups(a: np.ndarray) -> list[np.ndarray]:
        b, _, t, f = a.shape
        if view == "batch":
            return [np.array([a[i].ravel() for i in range(b)])]
        if view == "frame":
            return [np.array([a[i, :, k].ravel() for i in range(b)]) for k in range(t)]
        if view == "bin":
            return [np.array([a[i, :, k, m] for i in range(b)]) for k in range(t) for m in range(f)]
        return [np.array([a[i, :, k].ravel() for k in range(t)]) for i in range(b)]

    losses = []
    for s, t in zip(groups(student), groups(teacher), strict=True):
        losses.append(np.sum((literal_gram(t) - literal_gram(s)) ** 2) / len(s) ** 2)
    return float(np.mean(losses))


def activation(channels: int, seed: int, shape: tuple[int, int, int] = (3, 4, 5)) -> np.ndarray:
    batch, frames, bins = shape
    return np.random.default_rng(seed).normal(size=(batch, channels, frames, bins)).astype(np.float32)


@pytest.mark.parametrize("view", VIEWS)
def test_view_equals_its_formula(view):
    student, teacher = activation(2, 0), activation(6, 1)
    got = similarity_loss(torch.from_numpy(student), torch.from_numpy(teacher), view)
    assert float(got) == pytest.approx(literal_loss(student.astype(float), teacher.astype(float), view), rel=1e-4)
    with torch.autocast("cpu", torch.bfloat16):  # as where a stage is validated
        assert similarity_loss(torch.from_numpy(student), torch.from_numpy(teacher), view) == got


@pytest.mark.parametrize("view", VIEWS)
def test_equal_activations_have_no_loss_and_the_teacher_no_gradient(view):
    teacher = torch.from_numpy(activation(4, 2)).requires_grad_()
    student = torch.from_numpy(activation(3, 3)).requires_grad_()
    assert float(similarity_loss(teacher * 2, teacher, view)) == pytest.approx(0, abs=1e-10)
    similarity_loss(student, teacher, view).backward()
    assert student.grad is not None and teacher.grad is None


@pytest.mark.parametrize("view", VIEWS)
def test_silent_items_give_finite_gradients(view):
    student = torch.zeros(2, 3, 4, 5, requires_grad=True)
    similarity_loss(student, torch.from_numpy(activation(2, 4, (2, 4, 5))), view).backward()
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("view", ["batch", "frame", "bin"])
def test_a_batch_of_one_is_refused_by_name(view):
    one = torch.from_numpy(activation(2, 0, (1, 4, 5)))
    with pytest.raises(InputError, match=f"view '{view}'.*batch of one"):
        similarity_loss(one, one, view)


def test_the_utterance_view_takes_a_batch_of_one():
    one = torch.from_numpy(activation(2, 0, (1, 4, 5)))
    assert float(similarity_loss(one, one, "utterance")) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(("view", "shape", "word"), [("frame", (3, 6, 5), "frames"), ("bin", (3, 4, 6), "bins")])
def test_other_resolutions_are_refused_by_name(view, shape, word):
    student, teacher = torch.from_numpy(activation(2, 0)), torch.from_numpy(activation(2, 0, shape))
    with pytest.raises(InputError, match=f"view '{view}'.*{word}"):
        similarity_loss(student, teacher, view)


def test_unknown_names_are_refused_with_a_suggestion():
    with pytest.raises(InputError, match="did you mean 'frame'"):
        Distillation(teacher="teacher", views={"frames": 1.0})
    network = MaskNetwork(Architecture((4, 8)), 16)
    with pytest.raises(InputError, match="did you mean 'encoder_1'"):
        Recorder(network, ["encoder1"])
    with pytest.raises(InputError, match="weight"):
        Distillation(teacher="teacher")


def test_recorder_sees_named_blocks_and_leaves_no_hooks():
    network = MaskNetwork(Architecture((4, 8)), 16)
    with Recorder(network, ["encoder_1", "gru", "decoder_2"]) as seen:
        network(torch.zeros(2, 3, 16), network.initial_state(2))
    assert {name: tuple(value.shape) for name, value in seen.items()} == {
        "encoder_1": (2, 4, 3, 8), "gru": (2, 8, 3, 4), "decoder_2": (2, 4, 3, 8)}  # fmt: skip
    assert not any(module._forward_hooks for module in network.modules())


def test_objective_is_the_weighted_sum():
    config = Distillation(teacher="t", views={"frame": 2.0, "utterance": 0.5}, layers=("a", "b"), output=3.0)
    student = {name: torch.from_numpy(activation(2, i)) for i, name in enumerate("ab")}
    teacher = {name: torch.from_numpy(activation(5, 7 + i)) for i, name in enumerate("ab")}
    output = torch.rand(3, 4, 5), torch.rand(3, 4, 5)
    expected = sum(
        weight * np.mean([literal_loss(student[k].numpy(), teacher[k].numpy(), view) for k in "ab"])
        for view, weight in config.views.items()
    ) + 3.0 * float(((output[0] - output[1]) ** 2).mean())
    assert float(distillation_loss(config, student, teacher, *output)) == pytest.approx(expected, rel=1e-4)


def test_output_alone_compares_no_layers():
    config = Distillation(teacher="t", output=2.0, views={"frame": 0.0})
    assert config.compared == [] and not config.compares_clips
    student, teacher = torch.rand(2, 3, 4, requires_grad=True), torch.rand(2, 3, 4, requires_grad=True)
    loss = distillation_loss(config, {}, {}, student, teacher)
    assert float(loss) == pytest.approx(2.0 * float((student - teacher).square().mean()))
    loss.backward()
    assert student.grad is not None and teacher.grad is None, "the teacher is not trained"
    assert float(distillation_loss(replace(config, output=0.0, target=1.0), {}, {}, student, teacher)) == 0


def test_patches_count_where_the_teacher_is_nearer_to_the_truth():
    """Of 3 x 3 patches of 2 frames and 2 bands, smaller at the edge, the teacher is right in the middle and in a corner."""
    truth, student = torch.zeros(1, 5, 5), torch.full((1, 5, 5), 0.5)
    teacher = torch.ones(1, 5, 5)
    teacher[0, 2:4, 2:4] = 0.25
    teacher[0, 4, 4] = 0.25
    config = Distillation(teacher="t", output=2.0, patches=2)
    loss = distillation_loss(config, {}, {}, student, teacher, ideal=truth)
    assert float(loss) == pytest.approx(2.0 * 5 * 0.25**2 / 25)
    # One bad value of a patch is outweighed by the others, or outweighs them.
    teacher[0, 2, 2] = 0.7
    assert float(distillation_loss(config, {}, {}, student, teacher, ideal=truth)) == pytest.approx(
        2.0 * (4 * 0.25**2 + 0.2**2) / 25
    )
    teacher[0, 2, 2] = 1.0
    assert float(distillation_loss(config, {}, {}, student, teacher, ideal=truth)) == pytest.approx(2.0 * 0.25**2 / 25)


def test_patches_where_the_student_is_nearer_give_no_gradient():
    truth = torch.rand(2, 8, 8)
    student, teacher = (truth + 0.1).requires_grad_(), truth + torch.where(torch.arange(8) < 4, 0.0, 0.3)
    distillation_loss(
        Distillation(teacher="t", output=1.0, patches=4), {}, {}, student, teacher, ideal=truth
    ).backward()
    assert (student.grad[..., :4] > 0).all() and not student.grad[..., 4:].any()


@pytest.mark.parametrize(
    ("views", "clips"),
    [
        ({"utterance": 1.0}, False),
        ({"".join(("utter", "ance")): 1.0}, False),  # a name as a file gives it, which is no constant of the code
        ({"utterance": 1.0, "bin": 0.0}, False),
        ({"batch": 1.0}, True),
        ({"frame": 0.5}, True),
    ],
)
def test_which_views_need_two_clips(views, clips):
    config = Distillation(teacher="t", views=views)
    assert config.compares_clips is clips and config.compared == list(config.layers)


def test_teachers_are_ours_or_external():
    onnx = OnnxTeacher("x.onnx", "hann")
    alone, several = Distillation(teacher="t", output=1), Distillation(teacher=("t", onnx, "u"), target=0.5)
    assert (alone.teachers, alone.ours, alone.external) == (("t",), ("t",), ())
    assert (several.teachers, several.ours, several.external) == (("t", onnx, "u"), ("t", "u"), (onnx,))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"teacher": ()}, "name at least one"),
        ({"teacher": "a.onnx", "output": 1}, "say which window a.onnx uses"),
        ({"teacher": ("t", "u"), "views": {"bin": 1}}, "layers with those of one tinyse network"),
        ({"teacher": OnnxTeacher("x.onnx", "hann"), "views": {"bin": 1}}, "layers with those of one tinyse network"),
        ({"teacher": "t", "views": {"bin": 1}, "layers": ()}, "views: they need layers"),
        ({"teacher": "t", "views": {"bin": 0}}, "give a view, the output or the target a weight"),
        ({"teacher": "t", "output": -1}, "output is -1"),
        ({"teacher": "t", "target": 0.5, "patches": 8}, "patches: they choose where `output` counts"),
        ({"teacher": "t", "target": 1.01}, "target is 1.01"),
    ],
)
def test_what_distillation_cannot_do_is_named(keys, message):
    with pytest.raises(InputError, match=message):
        Distillation(**keys)


@pytest.mark.parametrize("given", [{"output": 1e9}, {"target": 1}, {"output": 1, "layers": ()}])
def test_the_bounds_of_weights_are_allowed(given):
    assert Distillation(teacher="t", **given)


@pytest.mark.parametrize(
    ("view", "shape", "word"),
    [
        ("bin", (3, 6, 5), "6 frames"),
        ("utterance", (3, 6, 5), "6 frames"),
        ("frame", (3, 4, 9), ""),
        ("batch", (3, 6, 5), ""),
    ],
)
def test_only_the_axes_of_a_view_must_agree(view, shape, word):
    student, teacher = torch.from_numpy(activation(2, 0)), torch.from_numpy(activation(2, 0, shape))
    if word:
        with pytest.raises(
            InputError, match=f"the student's layer has 4 frames, the teacher's {word[0]}; match layers"
        ):
            similarity_loss(student, teacher, view)
    else:
        assert torch.isfinite(similarity_loss(student, teacher, view))


@pytest.mark.parametrize("view", VIEWS)
def test_other_batches_are_refused(view):
    student, teacher = torch.from_numpy(activation(2, 0)), torch.from_numpy(activation(2, 0, (2, 4, 5)))
    with pytest.raises(InputError, match="batches of 3 and 2 clips"):
        similarity_loss(student, teacher, view)


def test_two_clips_are_enough():
    two = torch.from_numpy(activation(2, 0, (2, 4, 5)))
    assert float(similarity_loss(two, two, "batch")) == pytest.approx(0, abs=1e-10)


def test_layers_are_suggested_from_the_blocks_alone():
    network = MaskNetwork(Architecture((4, 8)), 16)
    with pytest.raises(InputError, match=r"no layer is named 'zzz': known are ([a-z_0-9, ]+)$") as caught:
        Recorder(network, ["zzz"])
    known = str(caught.value).partition("known are ")[2].split(", ")
    assert {"encoder_1", "encoder_2", "gru", "decoder_2"} <= set(known) and "blocks" not in known and "" not in known
    assert set(known) <= {name.removeprefix("blocks.") for name, _ in network.named_modules()}


def test_every_layer_can_be_suggested_whatever_its_name():
    network = torch.nn.ModuleDict({"a": torch.nn.Identity(), "z": torch.nn.Identity()})
    with pytest.raises(InputError, match=r"known are a, z$"):
        Recorder(network, ["nothing like it"])
