"""Golden vectors: a sound, what the integer reference makes of it, and checksums of the network in between."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from firmware_export import text
from firmware_export.fixed_point import FixedFrontEnd
from firmware_export.program import Program
from tinyse.audio import DEFAULT_RATE, from_pcm16, to_pcm16
from tinyse.engines.engine import Engine
from tinyse.engines.path import SignalPath
from tinyse.graph import memory, reference
from tinyse.graph.execution import initial_state
from tinyse.graph.graph import Graph, Tensor
from tinyse.spectra.front_end import FrontEnd


class Reference(Engine):
    """The reference as an engine of `SignalPath` that keeps a checksum of every frame."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.metadata = graph.metadata
        self.program = reference.compile(graph)
        self.checksums: list[int] = []

    @property
    def state_bytes(self) -> int:
        return memory.state_bytes(self.graph)

    def initial_state(self) -> dict[str, np.ndarray]:
        return initial_state(self.graph)

    def step(self, features: np.ndarray, state: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        tensor, mask = (self.graph.tensors[n] for n in (self.graph.inputs["features"], self.graph.outputs["mask"]))
        results = self.program({**state, "features": tensor.quantize(features).reshape(tensor.shape)})
        self.checksums.append(checksum(self.graph, results))
        return mask.dequantize(results["mask"]).ravel(), {name: results[name] for name in self.graph.states}


def checksum(graph: Graph, results: Mapping[str, np.ndarray]) -> int:
    """CRC-32 of a frame's outputs and then its states, each in the order of the file."""
    names = [name for name in graph.outputs if name not in graph.states] + graph.states
    return zlib.crc32(b"".join(results[name].tobytes() for name in names))


def sound(samples: int, seed: int = 0, sample_rate: int = DEFAULT_RATE) -> np.ndarray:
    """int16 test sound: a voice-like tone that comes and goes in noise, silence, and full scale at the end."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / sample_rate
    voice = sum(np.sin(2 * np.pi * 150 * k * time + 3 * np.sin(2 * np.pi * 2 * time)) / k for k in range(1, 20))
    loudness = np.maximum(np.sin(2 * np.pi * 1.3 * time), 0) * 0.15
    mixture = voice * loudness + rng.normal(0, 0.02, samples) * (1.5 + np.sin(2 * np.pi * 0.4 * time))
    mixture[samples // 2 : samples * 5 // 8] = 0
    mixture[samples * 7 // 8 :] *= 8
    return to_pcm16(mixture.astype(np.float32))


def source(program: Program, front_end: FrontEnd, frames: int, fixed_point: bool = False) -> str:
    """vectors.c: `frames` hops from silence."""
    given = sound(frames * front_end.config.hop, sample_rate=front_end.config.sample_rate)
    enhanced, checksums = (fixed_stream if fixed_point else float_stream)(program.graph, front_end, given)
    values = {
        **_replayed(program, checksums),
        "IN": text.array("tinyse_vectors_in", given, "const"),
        "OUT": text.array("tinyse_vectors_out", enhanced, "const"),
    }
    return text.fill("test/vectors.c.in", values)


def network_source(program: Program, frames: int) -> str:
    """vectors.c of a network without a front end: random inputs, now and then nothing but extremes."""
    graph, rng = program.graph, np.random.default_rng(0)
    step, state = reference.compile(graph), initial_state(graph)
    names = [name for name in graph.inputs if name not in graph.states]
    given, checksums = [], []
    for frame in range(frames):
        reach = 1 if frame % 10 else 8
        inputs = {name: random_values(rng, graph.tensors[graph.inputs[name]], reach) for name in names}
        results = step({**state, **inputs})
        state = {name: results[name] for name in state}
        checksums.append(checksum(graph, results))
        given += [inputs[name].ravel().view(np.int8) for name in names]
    loads = []
    for name in names:
        macro = f"INPUT_{text.identifier(name)}"
        size = f"TINYSE_BYTES_OF_{macro}"
        loads.append(f"    memcpy(TINYSE_{macro}(network), value, {size});\n    value += {size};")
    stream = np.concatenate(given)
    contents = {
        **_replayed(program, checksums),
        "FRAME_BYTES": len(stream) // frames,
        "IN": text.array("network_in", stream),
        "LOADS": "\n".join(loads),
    }
    return text.fill("test/vectors_network.c.in", contents)


def random_values(rng: np.random.Generator, tensor: Tensor, reach: int) -> np.ndarray:
    """Values of a tensor's shape and type, drawn from a range `reach` times as wide as the type and clipped."""
    ends = np.iinfo(tensor.dtype)
    values = rng.integers(ends.min * reach, (ends.max + 1) * reach, tensor.shape)
    return np.clip(values, ends.min, ends.max).astype(tensor.dtype)


def tagger_source(program: Program, front_end: FrontEnd, frames: int, fixed_point: bool = False) -> str:
    """vectors.c of a tagger: `frames` hops from silence, and the decision after each whole second."""
    graph, hop = program.graph, front_end.config.hop
    given = sound(frames * hop, sample_rate=front_end.config.sample_rate)
    step, network = reference.compile(graph), initial_state(graph)
    features = graph.tensors[graph.inputs["features"]]
    rows = _fixed_features if fixed_point else _float_features
    checksums, probabilities = [], []
    for row in rows(front_end, features, given):
        results = step({**network, "features": row.reshape(features.shape)})
        network = {name: results[name] for name in network}
        checksums.append(checksum(graph, results))
        probabilities.append(results["tags"].ravel().astype(np.int64) + 128)
    every = round(front_end.config.frames_per_second)
    seconds = [np.array(probabilities[end - every : end]) for end in range(every, frames + 1, every)]
    # C has no empty arrays: of less than a second one zero is kept.
    decisions = np.stack([decision(second) for second in seconds]) if seconds else np.zeros(1, np.uint8)
    values = {
        **_replayed(program, checksums),
        "IN": text.array("tinyse_vectors_in", given, "const"),
        "TAGS": text.array("tinyse_vectors_tags", decisions, "const"),
        "LATEST": text.array("tinyse_vectors_latest", probabilities[-1].astype(np.uint8), "const"),
    }
    return text.fill("test/vectors_tagger.c.in", values)


def decision(probabilities: np.ndarray) -> np.ndarray:
    """(frames, classes) in steps of 1/256 -> (classes,) uint8: `tinyse.streaming.pooling`, to the nearest step."""
    sums, squares = probabilities.sum(0), np.square(probabilities).sum(0)
    return ((squares + sums // 2) // np.maximum(sums, 1)).astype(np.uint8)


def _float_features(front_end: FrontEnd, features: Tensor, given: np.ndarray) -> np.ndarray:
    analysis, level, _ = front_end.initial_state()
    spectra, _ = front_end.analyze(from_pcm16(given), analysis)
    values, _ = front_end.features(spectra, level)
    return features.quantize(values)


def _fixed_features(front_end: FrontEnd, features: Tensor, given: np.ndarray) -> np.ndarray:
    fixed, rows = FixedFrontEnd(front_end, features, None), []
    state = fixed.initial_state()
    for hop in given.reshape(-1, front_end.config.hop):
        _, values, state = fixed.analyze(hop, state)
        rows.append(values)
    return np.array(rows)


def float_stream(graph: Graph, front_end: FrontEnd, given: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """What a stream of PCM16 becomes, and the checksum of each frame."""
    engine = Reference(graph)
    path = SignalPath(front_end, engine)
    hop = front_end.config.hop
    state, outputs = path.initial_state(), []
    for start in range(0, len(given), hop):
        enhanced, state = path.step(from_pcm16(given[start : start + hop]), state)
        outputs.append(to_pcm16(enhanced))
    return np.concatenate(outputs), engine.checksums


def fixed_stream(graph: Graph, front_end: FrontEnd, given: np.ndarray, limit: int = 0) -> tuple[np.ndarray, list[int]]:
    """The same with the fixed-point front end; `limit` in Q15."""
    features, mask = graph.tensors[graph.inputs["features"]], graph.tensors[graph.outputs["mask"]]
    fixed, step = FixedFrontEnd(front_end, features, mask), reference.compile(graph)
    hop = front_end.config.hop
    state, network, outputs, checksums = fixed.initial_state(), initial_state(graph), [], []
    for start in range(0, len(given), hop):
        spectrum, values, state = fixed.analyze(given[start : start + hop], state)
        results = step({**network, "features": values.reshape(features.shape)})
        checksums.append(checksum(graph, results))
        network = {name: results[name] for name in network}
        enhanced, state = fixed.synthesize(spectrum, results["mask"].ravel(), limit, state)
        outputs.append(enhanced)
    return np.concatenate(outputs), checksums


def _replayed(program: Program, checksums: list[int]) -> dict[str, Any]:
    """What every vectors.c has: each frame's checksum, and the lines that take it in the order of `checksum`."""
    names = [f"OUTPUT_{text.identifier(name)}" for name in program.outputs if name not in program.graph.states]
    names += [f"STATE_{text.identifier(name)}" for name in program.graph.states]
    lines = "\n".join(f"    crc = update(crc, TINYSE_{name}(network), TINYSE_BYTES_OF_{name});" for name in names)
    return {
        "FRAMES": len(checksums),
        "UPDATE": text.fill("test/checksum.c.in", {"CHECKS": lines}),
        "CHECKSUMS": text.array("tinyse_vectors_checksums", np.array(checksums, np.uint32), "const"),
    }
