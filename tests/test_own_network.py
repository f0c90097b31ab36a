"""Networks of one's own: a recipe names the class, everything else is as for the family; a model file never runs code."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from firmware_export.export import export as export_firmware  # noqa: E402
from tinyse.config import as_dict, build  # noqa: E402
from tinyse.engines.tflite_engines import ReferenceEngine  # noqa: E402
from tinyse.errors import InputError  # noqa: E402
from tinyse.export import export_model  # noqa: E402
from tinyse.models.architecture import Architecture, OwnNetwork  # noqa: E402
from tinyse.models.files import load_model, save_model  # noqa: E402
from tinyse.models.making import name_of  # noqa: E402
from tinyse.recipe import Stage  # noqa: E402
from tinyse.streaming.denoiser import Denoiser  # noqa: E402
from tinyse.tasks import TASKS  # noqa: E402
from tinyse.tasks.stage_networks import networks_of  # noqa: E402
from tinyse.training.finish import finish, plan  # noqa: E402
from tinyse.training.own_networks import check_networks  # noqa: E402
from tinyse.training.recipe import load_recipe  # noqa: E402
from tinyse.training.run import run  # noqa: E402

MODULE = """
from tinyse.models.layers import CausalConvolution, SharedGRU, UpsamplingConvolution
from tinyse.models.network import Network


class Flat(Network):
    \"\"\"One level of bins, a GRU that they share.\"\"\"

    def __init__(self, bands, channels, tail=1):
        super().__init__(bands)
        self.blocks["down"] = CausalConvolution(1, channels, bands)
        self.blocks["memory"] = SharedGRU(channels, bands // 2)
        for level in range(tail):
            self.blocks[f"up_{level}"] = UpsamplingConvolution(channels, channels if level else 1, last=not level)

    def wire(self, run, x):
        x = down = run.layer("down", x)
        x = run.add("skip", run.layer("memory", x), down)
        return run.sigmoid("mask", run.layer("up_0", x))
"""

RECIPE = """
stages:
  teacher: {model: {python: "flat:Flat", channels: 6}, losses: {signal_to_noise: 0.05}, ...}
  float:
    {model: {python: "flat:Flat", channels: 4}, losses: {signal_to_noise: 0.05},
     distillation: {teacher: teacher, views: {frame: 1.0}, layers: [down, memory]}, ...}
  integers:
    {model: {python: "flat:Flat", channels: 4}, start: float, losses: {signal_to_noise: 0.05},
     distillation: {teacher: teacher, output: 1.0}, quantize: {precision: int8, clips: 2}, ...}
valid_clips: 2
threads: 1
workers: 0
evaluation: {limit: 1}
""".replace("...", "updates: 2, batch: 2, seconds: 0.5, valid_every: 2, warmup: 1")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with a class and a recipe, and the model that it was trained to."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "flat.py").write_text(MODULE)
    (folder / "flat.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", list(sys.path))
        recipe = load_recipe("flat.yaml")
        planned = plan(recipe)
        model = run(recipe, lambda _: None, lambda _: None)
        finish(recipe, planned, model, lambda _: None, 1)
    return folder, folder / model, networks_of(recipe)


def tinyse(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "tinyse", *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_recipe_trains_distills_quantizes_exports_and_scores_it(project):
    _, model, networks = project
    network, front_end, header = load_model(model, networks)
    assert type(network) is networks[0] and name_of(networks[0]) == "flat:Flat"
    assert header["architecture"] == {"python": "flat:Flat", "channels": 4}
    assert header["quantization"]["precision"] == "int8"
    assert (model.parent / "scores.json").is_file()
    quantized = Denoiser(model.with_suffix(".tflite"), engine="reference")
    noise = np.float32(np.random.default_rng(0).normal(0, 0.1, 8000))
    streamed = Denoiser(model, engine="torch", networks=networks)
    np.testing.assert_allclose(streamed.denoise(noise), streamed.denoise_clip(noise), atol=1e-5)
    assert np.isfinite(quantized.denoise(noise)).all() and front_end == quantized.front_end.config


def test_its_integers_are_the_firmware(project, tmp_path):
    from firmware_export.host import HostEngine

    _, model, _ = project
    quantized = model.with_suffix(".tflite")
    made = export_firmware(quantized, tmp_path / "firmware", 8)
    assert made.program.graph.states == ["down", "memory"]
    reference, host = ReferenceEngine(quantized), HostEngine(quantized)
    states = reference.initial_state(), host.initial_state()
    for features in np.random.default_rng(1).uniform(-1, 0.99, (20, 128)).astype(np.float32):
        mask, first = reference.step(features, states[0])
        again, second = host.step(features, states[1])
        states = first, second
        assert np.array_equal(mask, again)


def test_a_model_file_runs_no_code(project):
    folder, model, networks = project
    with open(folder / "flat.py", "a") as file:
        file.write("open('imported', 'w').close()\n")
    with pytest.raises(InputError, match=r"model.safetensors: flat:Flat is a network of your own.*--recipe.*networks="):
        load_model(model)
    with pytest.raises(InputError, match="given are own:Other"):
        load_model(model, [type("Other", (networks[0],), {"__module__": "own"})])
    alone = tinyse(folder, "export", model, "--clips", 1, "--output", "alone")
    assert alone.returncode == 2 and alone.stderr.count("\n") == 1 and "--recipe" in alone.stderr
    assert not (folder / "alone").exists() and not (folder / "imported").exists()


def test_commands_take_the_class_from_its_recipe(project):
    folder, model, networks = project
    made = tinyse(folder, "export", model, "--recipe", "flat.yaml", "--clips", 1, "--output", "named")
    assert made.returncode == 0, made.stderr
    here = export_model(model, [], folder / "here", networks=networks)
    assert (folder / "named/model.tflite").read_bytes() == here.quantized.read_bytes()
    few = ("--clips", 1, "--replayed", 1, "--json")
    explained = tinyse(folder, "quantize", "explain", model, "--recipe", "flat.yaml", *few)
    assert explained.returncode == 0 and "memory/step/reset" in explained.stdout, explained.stderr
    pairs = ("built-in", "--backends", "float-clip", "--limit", 1, "--metrics", "si_sdr", "--json")
    scored = tinyse(folder, "evaluate", model, *pairs, "--recipe", "flat.yaml")
    assert scored.returncode == 0 and "float clip" in scored.stdout, scored.stderr


def test_a_class_that_changes_under_its_run_is_refused(project, monkeypatch):
    folder, model, _ = project
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    recipe = load_recipe("flat.yaml")
    assert run(recipe, lambda _: None, lambda _: None) == model.relative_to(folder), "what is finished is not run again"
    (folder / "flat.py").write_text(
        MODULE.replace('run.add("skip", run.layer("memory", x), down)', 'run.layer("memory", x)')
    )
    monkeypatch.delitem(sys.modules, "flat")
    with pytest.raises(InputError, match=r"teacher/model.safetensors was made with other operators of its network"):
        run(recipe, lambda _: None, lambda _: None)


def test_a_model_is_a_name_or_widths_or_a_class():
    def model(value):
        return build(Stage, {"model": value, "updates": 1, "losses": {"phase_sensitive": 1.0}}).model

    own = model({"python": "a.b:C.D", "channels": [4, 4], "arguments": 3})
    assert own == OwnNetwork("a.b:C.D", {"channels": [4, 4], "arguments": 3})
    assert model(as_dict(own)) == own
    assert model({"channels": [4, 4]}) == Architecture((4, 4))
    with pytest.raises(InputError, match=r"unknown key model.channel: did you mean 'channels'"):
        model({"channel": [4]})
    for wrong in ("nothing", "a:b:c", "a/b.py:C", "os; x:C", 3):
        with pytest.raises(InputError, match="python"):
            model({"python": wrong, "channels": [4]})


# What is refused before anything is trained or written.

SIMPLE = """
import torch
from torch import nn
from tinyse.models.layers import CausalConvolution, SharedGRU, StreamingLayer, UpsamplingConvolution
from tinyse.models.network import Network

class Net(Network):
    def __init__(self, bands, width=3):
        super().__init__(bands)
        self.blocks["down"] = CausalConvolution(1, width, bands)
        self.blocks["own"] = Own()
        self.blocks["up"] = UpsamplingConvolution(width, 1, last=True)

    def wire(self, run, x):
        x = run.layer("down", x)
        x = run.layer("own", x)
        return run.sigmoid("mask", run.layer("up", x))

class Own(nn.Module):
    def forward(self, x):
        return torch.tanh(x)

    def emit(self, graph, name, x):
        return graph.unary("TANH", name, x)
"""

ONE_STAGE = "stages: {one: {model: {python: net:Net}, updates: 1, losses: {signal_to_noise: 1.0}}}"

FAULTS = {
    "no module": ("", "", "net:Net", r"there is no module 'net', neither installed nor below"),
    "no package": (
        "import torch\n",
        "import torch, no_such\n",
        "",
        r"cannot import .*No module named 'no_such' \(.*net.py:2",
    ),
    "a typing error": (
        "def __init__(self, bands, width=3):",
        "def __init__(self",
        "",
        r"cannot import .*SyntaxError.*net.py:",
    ),
    "an error at import": (
        "import torch\n",
        "1 / 0\n",
        "",
        r"cannot import .*ZeroDivisionError: division by zero \(.*net.py:2",
    ),
    "another name": ("", "", "net:Nett", "nothing is named 'Nett' there: did you mean 'Net'"),
    "no network": ("", "", "net:Own", r"'net:Own' is not a tinyse network: write class Own\(Network\)"),
    "no class": ("", "", "net:torch", "'net:torch' is not a tinyse network"),
    "an unknown keyword": (
        "",
        "",
        "net:Net, widths: 4",
        r"unexpected keyword argument 'widths': did you mean 'width'.*Net\(bands, width=3\)",
    ),
    "a missing keyword": ("width=3", "width", "", "missing a required argument: 'width'"),
    "a value that does not fit": ("", "", "net:Net, width: many", r"cannot be made with .*'many'.*net.py:\d+"),
    "a torch layer": ("Own()\n", "nn.Softmax(1)\n", "", "block 'own' is a Softmax, which no backend has: use a layer"),
    "an operator that there is not": (
        '"TANH"',
        '"SOFTMAX"',
        "",
        "block 'own' emits SOFTMAX, which no backend has: there are",
    ),
    "an operator for other values": (
        "torch.tanh(x)",
        "2 * x",
        "",
        "block 'own': what it emits is not what it computes: frame 0",
    ),
    "another shape": ("torch.tanh(x)", "x[..., :1]", "", "its forward pass fails|it gives|emits"),
    "the whole clip": (
        "torch.tanh(x)",
        "torch.tanh(x - x.mean(2, keepdim=True))",
        "",
        "not causal: output frame 0 changed with input frame 1",
    ),
    "the next frame": (
        "torch.tanh(x)",
        "torch.tanh(torch.roll(x, -1, 2))",
        "",
        r"not causal: output frame \d+ changed with input frame",
    ),
    "the past without a state": (
        "torch.tanh(x)",
        "torch.tanh(torch.cumsum(x, 2))",
        "",
        "its stream is not its clip: output frame 1 differs",
    ),
    "the other clips": (
        "torch.tanh(x)",
        "torch.tanh(x - x.mean(0, keepdim=True))",
        "",
        "clips of a batch change one another|emits",
    ),
    "a weight outside": (
        'self.blocks["own"] = ',
        'self.gain = nn.Parameter(torch.ones(1)); self.blocks["own"] = ',
        "",
        "weight 'gain' belongs to no block",
    ),
    "a tensor that is not saved": (
        "class Own(nn.Module):",
        "class Own(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.gain = torch.ones(1)\n",
        "",
        "block 'own': the tensor 'gain' is not saved",
    ),
    "a block that is not run": ('        x = run.layer("own", x)\n', "", "", "block 'own' is never run"),
    "a block that runs twice": (
        'x = run.layer("own", x)',
        'x = run.layer("own", run.layer("own", x))',
        "",
        "runs block 'own' twice",
    ),
    "a block that there is not": (
        'run.layer("own", x)',
        'run.layer("owm", x)',
        "",
        r"KeyError: 'owm' \(.*net.py:\d+\)",
    ),
    "no sigmoid": (
        'run.sigmoid("mask", run.layer("up", x))',
        'run.layer("up", x)',
        "",
        "not between 0 and 1: end wire with",
    ),
    "half the bands": ('run.layer("up", x)', "x", "", r"it gives \(1, 16, 64\) for 16 frames: \(clips, frames, 128\)"),
    "another task": (
        "class Net(Network):",
        "class Net(Network):\n    result = 'tags'",
        "",
        "its result is 'tags': for this task",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_before_anything_is_written(fault, tmp_path, monkeypatch):
    before, after, name, message = FAULTS[fault]
    assert before in SIMPLE
    if fault != "no module":
        (tmp_path / "net.py").write_text(SIMPLE.replace(before, after, 1))
    (tmp_path / "own.yaml").write_text(ONE_STAGE.replace("net:Net", name or "net:Net"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "net", raising=False)
    there = set(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message) as told:
        check_networks(load_recipe("own.yaml"))
    assert str(told.value).startswith("stages.one.model: ") and "\n" not in str(told.value)
    assert {path for path in tmp_path.rglob("*") if "__pycache__" not in str(path)} <= there


def test_a_sound_network_passes(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(SIMPLE)
    (tmp_path / "own.yaml").write_text(ONE_STAGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "net", raising=False)
    check_networks(load_recipe("own.yaml"))


def test_a_network_of_its_own_listens(tmp_path, monkeypatch):
    """Classes are handed to it; the name of another module serves as well."""
    listening = SIMPLE.replace("class Net(Network):", "class Net(Network):\n    result = 'tags'")
    listening = listening.replace("bands, width=3", "bands, classes, width=3").replace('"mask"', '"tags"')
    listening = listening.replace(
        "UpsamplingConvolution(width, 1, last=True)", "Classifier(width, bands // 2, len(classes))"
    )
    (tmp_path / "inner.py").write_text(
        listening.replace("import CausalConvolution", "import CausalConvolution, Classifier")
    )
    (tmp_path / "net.py").write_text("from inner import Net\n")
    (tmp_path / "own.yaml").write_text(
        "task: activity\n" + ONE_STAGE.replace("signal_to_noise", "binary_cross_entropy")
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "net", raising=False)
    recipe = load_recipe("own.yaml")
    check_networks(recipe)
    network = TASKS["activity"].untrained(recipe, recipe.stages["one"])
    assert network.architecture == OwnNetwork("inner:Net") and network.classes == ("speech",)
    save_model("own.safetensors", network, recipe.front_end, {})
    again, _, header = load_model("own.safetensors", networks_of(recipe))
    assert again.classes == ("speech",) and header["task"] == "activity"


def test_a_command_refuses_in_one_line(tmp_path):
    (tmp_path / "net.py").write_text(SIMPLE.replace("torch.tanh(x)", "torch.tanh(torch.roll(x, -1, 2))"))
    (tmp_path / "own.yaml").write_text(ONE_STAGE)
    for command in ("check", "train"):
        answer = tinyse(tmp_path, command, "own.yaml")
        assert answer.returncode == 2 and "not causal" in answer.stderr and answer.stderr.count("\n") == 1, (
            answer.stderr
        )
    assert {path.name for path in tmp_path.iterdir()} <= {"net.py", "own.yaml", "__pycache__"}
