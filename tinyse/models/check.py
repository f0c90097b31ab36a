"""What a network must be before it is worth training: causal, the same as a stream, and the operators that it says it is.

A network of our family is, by its layers' tests; one of your own is tried, on a few frames of noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from tinyse.errors import InputError
from tinyse.graph import float_execution
from tinyse.graph.operators import OPERATORS
from tinyse.graph.validation import validate
from tinyse.models.layers import Layer, StreamingLayer
from tinyse.models.making import error_line
from tinyse.models.network import Network, State
from tinyse.models.recorder import Recorder
from tinyse.models.wiring import GraphRunner

FRAMES = 16
"""Frames of noise. What a network keeps of the past, and a look into the future, show within them."""
TOLERANCE = 1e-4
"""Between two ways of computing the same in float32: values are around one."""
ADVICE = "use a layer of tinyse.models.layers, or write class MyLayer(Layer) with forward(x) and emit(graph, name, x)"

T = TypeVar("T")


@torch.no_grad()
def check_network(network: Network) -> None:
    """Try a network, whose weights are changed by it.

    Raises InputError, naming block or frame, for one that is not causal, whose stream is not its clip, or that has a layer
    which no backend can run or which emits something else than it computes.
    """
    check_blocks(network)
    network.eval()
    noise = torch.Generator().manual_seed(0)
    for parameter in network.parameters():  # weights that begin at zero would hide what they multiply
        parameter.add_(torch.randn(parameter.shape, generator=noise), alpha=0.1)
    features = 1.98 * torch.rand(2, FRAMES, network.bands, generator=noise) - 0.99
    result = check_result(network, features)
    check_causal(network, features[:1], result)
    check_stream(network, features[:1], result)
    check_emitted(network, features[:1], result)


def check_blocks(network: Network) -> None:
    """All that a network has is in blocks, saved with its weights, and each of them can be emitted."""
    for name, _ in [*network.named_parameters(), *network.named_buffers()]:
        if not name.startswith("blocks."):
            raise InputError(f"weight {name!r} belongs to no block: put it into a layer of its own, self.blocks[NAME]")
    for name, block in network.blocks.items():
        if getattr(type(block), "emit", None) in (None, Layer.emit, StreamingLayer.emit):
            raise InputError(f"block {name!r} is a {type(block).__name__}, which no backend has: {ADVICE}")
        for module in block.modules():
            unsaved = [key for key, value in vars(module).items() if isinstance(value, Tensor)]
            for key in [*unsaved, *module._non_persistent_buffers_set]:
                raise InputError(f"block {name!r}: the tensor {key!r} is not saved with the weights: register_buffer() it, "
                                 "persistent as by default")  # fmt: skip


def check_result(network: Network, features: Tensor) -> Tensor:
    """The result (1, frames, values) of the first clip: finite, in [0, 1], and its own whatever the others are."""
    wanted, values = ("tags", len(network.classes)) if network.classes else ("mask", network.bands)
    if network.result != wanted:
        raise InputError(f"its result is {network.result!r}: for this task write result = {wanted!r}")
    alone, following = _run(network, features[:1], network.initial_state())
    if alone.shape != (1, FRAMES, values):
        raise InputError(f"it gives {tuple(alone.shape)} for {FRAMES} frames: (clips, frames, {values}) are needed")
    if not torch.isfinite(alone).all() or alone.min() < 0 or alone.max() > 1:
        raise InputError(f"its {wanted} lies between {alone.min():g} and {alone.max():g}, not between 0 and 1: end wire with "
                         f'run.sigmoid("{wanted}", x)')  # fmt: skip
    for name in network.state_shapes:
        if name not in following:
            raise InputError(f"block {name!r} has a state, and wire does not run it")
    both, _ = _run(network, features, network.initial_state(2))
    if (frame := _first_difference(both[:1], alone, TOLERANCE)) is not None:
        raise InputError(f"clips of a batch change one another: frame {frame} is another one beside a second clip")
    return alone


def check_causal(network: Network, features: Tensor, result: Tensor) -> None:
    """No output changes by an input that comes later. Equal shapes are computed alike, so equal means equal in every bit."""
    for later in range(1, FRAMES):
        changed = features.clone()
        changed[:, later] = -features[:, later].flip(-1)
        again, _ = _run(network, changed, network.initial_state())
        if (frame := _first_difference(again[:, :later], result[:, :later], 0.0)) is not None:
            raise InputError(f"it is not causal: output frame {frame} changed with input frame {later}, which comes later; a "
                             "layer may see the past, which it keeps in its state, and the present")  # fmt: skip


def check_stream(network: Network, features: Tensor, result: Tensor) -> None:
    """Frame by frame, the state carried, is the same as a clip at once."""
    state = network.initial_state()
    for frame in range(FRAMES):
        one, state = _run(network, features[:, frame : frame + 1], state)
        if (difference := _largest(one, result[:, frame : frame + 1])) > TOLERANCE:
            raise InputError(f"its stream is not its clip: output frame {frame} differs by {difference:.2g} where frames come "
                             "one at a time; a layer keeps all that it needs of the past in its state")  # fmt: skip


def check_emitted(network: Network, features: Tensor, result: Tensor) -> None:
    """The operators of every block exist, and compute what its forward computes."""
    run = _emitted(network)
    with Recorder(network, network.blocks) as seen:
        _, following = _run(network, features, network.initial_state())
    frames = [{"features": frame.reshape(1, 1, -1, 1)} for frame in features[0].numpy()]
    replayed = list(float_execution.replay(float_execution.compile(run.graph), frames))
    for name, tensor in run.made.items():
        for frame, values in enumerate(replayed):
            emitted = values[tensor][0, 0].T if values[tensor].ndim == 4 else values[tensor]
            _compare(f"block {name!r}", emitted, seen[name][0, :, frame], frame)
    for name, state in following.items():
        emitted = replayed[-1][run.graph.outputs[name]].transpose(0, 3, 1, 2)
        _compare(f"the state of block {name!r}", emitted, state, FRAMES - 1)
    for frame, values in enumerate(replayed):
        _compare(f"{network.result!r}", values[run.graph.outputs[network.result]].ravel(), result[0, frame], frame)


def _emitted(network: Network) -> GraphRunner:
    run = _tried(network.emitted, "it cannot be emitted")
    for name in network.blocks:
        if name not in run.made:
            raise InputError(f"block {name!r} is never run: wire says run.layer({name!r}, x), or the block goes")
    for operator in run.graph.operators:
        if operator.kind not in OPERATORS:
            block = next((name for name in network.blocks if operator.outputs[0].startswith(f"{name}/")), None)
            raise InputError(f"{f'block {block!r}' if block else repr(operator.outputs[0])} emits {operator.kind}, which no "
                             f"backend has: there are {', '.join(OPERATORS)}")  # fmt: skip
    _tried(lambda: validate(run.graph), "it cannot be emitted")
    return run


def _compare(what: str, emitted: np.ndarray, computed: Tensor, frame: int) -> None:
    if emitted.shape != tuple(computed.shape):
        raise InputError(
            f"{what}: it emits {emitted.shape} and computes {tuple(computed.shape)}, both (..., channels, bins)"
        )
    if (difference := float(np.abs(emitted - computed.numpy()).max())) > TOLERANCE:
        raise InputError(f"{what}: what it emits is not what it computes: frame {frame} differs by {difference:.2g}")


def _run(network: Network, features: Tensor, state: State) -> tuple[Tensor, State]:
    return _tried(lambda: network(features, state), "its forward pass fails")


def _tried(function: Callable[[], T], what: str) -> T:
    """What a function of the user's code gives; its errors in one line."""
    try:
        return function()
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
    except Exception as error:
        raise InputError(f"{what}: {error_line(error)}") from error


def _first_difference(one: Tensor, other: Tensor, tolerance: float) -> int | None:
    """The first frame at which two results (1, frames, values) differ by more than that."""
    frames = ((one - other).abs() > tolerance).any(-1)[0].nonzero()
    return int(frames[0]) if len(frames) else None


def _largest(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())
