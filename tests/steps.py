"""Float graphs of one frame's step in the shapes of docs/explanation/design.md, with random heavy-tailed weights."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from tinyse.graph.graph import Graph


class Weights:
    """Student-t weights with unequal channels: harder to quantize than trained ones."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def dense(self, out: int, fan_in: int, gain: float = 1.0) -> np.ndarray:
        channels = np.exp(self.rng.normal(0, 0.35, (out, 1)))
        return (self.rng.standard_t(6, (out, fan_in)) * gain / np.sqrt(fan_in) * channels).astype(np.float32)

    def kernel(self, out: int, width: int, channels: int, gain: float = 1.4) -> np.ndarray:
        return self.dense(out, width * channels, gain).reshape(out, 1, width, channels)

    def bias(self, size: int, spread: float = 0.1, mean: float = 0.0) -> np.ndarray:
        return self.rng.normal(mean, spread, size).astype(np.float32)


def causal_convolution(
    graph: Graph, w: Weights, name: str, x: str, channels: int, stride: int, activation: str = "RELU"
) -> str:
    """(2, 3) kernel: the past frame joins on the channel axis; what is new is copied, as x may be an input."""
    past = graph.add_input(f"{name}/past", graph.shape(x))
    both = graph.concatenation(f"{name}/both", [past, x], 3)
    graph.add_output(f"{name}/past", graph.reshape(f"{name}/past/new", x, graph.shape(x)))
    kernel = w.kernel(channels, 3, graph.shape(both)[3])
    return graph.convolution(name, both, kernel, w.bias(channels), stride, activation)


def recurrence(graph: Graph, w: Weights, name: str, x: str, h: str, update_bias: float) -> str:
    """One GRU on every row of x (rows, in) and h (rows, hidden); returns the new h."""
    hidden = graph.shape(h)[1]
    bias = np.concatenate([w.bias(hidden), w.bias(hidden, mean=update_bias), w.bias(hidden)])
    gx = graph.fully_connected(f"{name}/gx", x, w.dense(3 * hidden, graph.shape(x)[1]), bias)
    gh = graph.fully_connected(f"{name}/gh", h, w.dense(3 * hidden, hidden, 0.9), w.bias(3 * hidden))
    xr, xz, xn = graph.split([f"{name}/x{gate}" for gate in "rzn"], gx, 1)
    hr, hz, hn = graph.split([f"{name}/h{gate}" for gate in "rzn"], gh, 1)
    reset = graph.unary("LOGISTIC", f"{name}/reset", graph.binary("ADD", f"{name}/r", xr, hr))
    update = graph.unary("LOGISTIC", f"{name}/update", graph.binary("ADD", f"{name}/z", xz, hz))
    gated = graph.binary("MUL", f"{name}/gated", reset, hn)
    new = graph.unary("TANH", f"{name}/new", graph.binary("ADD", f"{name}/n", xn, gated))
    kept = graph.binary("MUL", f"{name}/kept", update, graph.binary("SUB", f"{name}/change", h, new))
    return graph.binary("ADD", f"{name}/h", new, kept)


def denoiser(seed: int = 0, bins: int = 16, channels: int = 8, hidden: int = 12, update_bias: float = 1.0) -> Graph:
    """Encoder of two convolutions, a GRU of two groups, a GRU shared by all bins, decoder by pixel shuffle, mask."""
    w = Weights(seed)
    graph = Graph("step", metadata={"format": 1, "task": "denoise", "front_end": {}})
    x = graph.add_input("features", (1, 1, bins, 1))
    first = causal_convolution(graph, w, "first", x, channels, 2)
    second = causal_convolution(graph, w, "second", first, channels, 2)
    quarter = bins // 4

    flat = graph.reshape("flat", second, (1, quarter * channels))
    state = graph.add_input("groups", (1, 2 * hidden))
    parts = graph.split(["flat/0", "flat/1"], flat, 1)
    states = graph.split(["groups/0", "groups/1"], state, 1)
    new = [recurrence(graph, w, f"group{i}", parts[i], states[i], update_bias) for i in range(2)]
    joined = graph.concatenation("groups/new", new, 1)
    graph.add_output("groups", joined)
    back = graph.fully_connected(
        "back", joined, w.dense(quarter * channels, 2 * hidden, 1.5), w.bias(quarter * channels), "RELU"
    )
    y = graph.binary("ADD", "skip0", graph.reshape("back/map", back, graph.shape(second)), second)

    rows = graph.reshape("rows", y, (quarter, channels))
    shared = graph.add_input("shared", (quarter, channels))
    shared_new = recurrence(graph, w, "shared_gru", rows, shared, update_bias)
    graph.add_output("shared", shared_new)
    y = graph.reshape("shared/map", shared_new, (1, 1, quarter, channels))

    wide = graph.convolution("up0", y, w.kernel(2 * channels, 3, channels), w.bias(2 * channels), 1, "RELU")
    y = graph.reshape("up0/shuffled", wide, (1, 1, bins // 2, channels))
    y = graph.binary("ADD", "skip1", y, first)
    logit = graph.convolution("up1", y, w.kernel(2, 3, channels, 2.0), w.bias(2), 1)
    mask = graph.unary("LOGISTIC", "mask", graph.reshape("logit", logit, (1, 1, bins, 1)))
    graph.add_output("mask", mask)
    return graph


def change(graph: Graph, name: str, **fields: Any) -> None:
    """Give a tensor of `graph` other fields."""
    graph.tensors[name] = replace(graph.tensors[name], **fields)


def features(frames: int, bins: int = 16, seed: int = 1) -> np.ndarray:
    """(frames, bins) float32 in [-1, 1), correlated in time and frequency as a log spectrum is."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(frames, bins + 4))
    result, value, level = np.zeros((frames, bins)), np.zeros(bins), 0.0
    for t in range(frames):
        value = 0.8 * value + 0.3 * np.convolve(noise[t], np.ones(5) / 2, "valid")
        level = 0.97 * level + 0.1 * rng.normal()
        result[t] = 0.3 * value + level
    return np.clip(result, -1, 127 / 128).astype(np.float32)


def snr_db(reference: np.ndarray, other: np.ndarray) -> float:
    """Signal to noise in dB, the reference's mean taken out, so that a constant earns nothing."""
    error = np.mean((reference - other) ** 2)
    return float(10 * np.log10(np.var(reference) / max(error, 1e-20)))


def loads_in_tflm(content: bytes, arena_bytes: int) -> bool:
    """Whether TFLM loads a file in so large an arena; in a process of its own, since it may crash in a small one."""
    code = (
        "import sys\nfrom tflite_micro.python.tflite_micro import runtime\n"
        f"runtime.Interpreter.from_bytes(sys.stdin.buffer.read(), arena_size={arena_bytes})"
    )
    return subprocess.run([sys.executable, "-c", code], input=content, capture_output=True).returncode == 0
