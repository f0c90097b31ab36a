"""The same float step through TensorFlow's converter: what a quantizer and writer that are not ours make of it.

It needs the extra `tensorflow`. Our step is rebuilt operator by operator as a `tf.function`, so that nothing of
`tinyse/graph`, `tinyse/quantization` or `tinyse/tflite` has a hand in the file that comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyse.errors import needs
from tinyse.graph import float_execution
from tinyse.graph.execution import initial_state
from tinyse.graph.graph import Graph, Operator, Quantization, Tensor
from tinyse.quantization.calibration import frames_of

Frames = Mapping[str, np.ndarray]
"""A clip: {input that is not a state: float32 (frames, ...)}."""


@dataclass(frozen=True)
class Converted:
    """An int8 .tflite by TensorFlow's converter."""

    content: bytes
    inputs: dict[str, str]
    """The name of each input of the step -> its name in the file's signature; likewise `outputs`."""
    outputs: dict[str, str]


def convert(
    graph: Graph, clips: Sequence[tuple[str, Frames]], qparams: Mapping[str, Quantization] | None = None
) -> Converted:
    """A float `graph` as int8, its ranges seen by the converter itself on `clips`, as `calibrate` takes them.

    With `qparams`, the 8-bit ones of all activations, fake-quantization nodes pin the ranges and no clip is replayed: what is
    left to the converter is weights, biases, multipliers and the file. Raises InputError without tensorflow.
    """
    with needs("tensorflow", "tensorflow"):
        import tensorflow as tf
    inputs = {name: f"input_{index}" for index, name in enumerate(graph.inputs)}
    outputs = {name: f"output_{index}" for index, name in enumerate(graph.outputs)}

    class Step(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec(graph.shape(tensor), tf.float32, inputs[name]) for name, tensor in graph.inputs.items()
            ]
        )
        def step(self, *arguments: Any) -> dict[str, Any]:
            values = _run(tf, graph, dict(zip(graph.inputs.values(), arguments, strict=True)), qparams)
            return {outputs[name]: values[tensor] for name, tensor in graph.outputs.items()}

    module = Step()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.step.get_concrete_function()], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    if qparams is None:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: _fed(graph, clips, inputs)
    return Converted(converter.convert(), inputs, outputs)


def stream(
    content: bytes,
    features: np.ndarray,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    kernels: str = "builtin",
) -> np.ndarray:
    """(frames, bands) features through any .tflite step in LiteRT -> (frames, bands) masks, float32.

    `inputs` and `outputs` name the signature's entries. A state whose quantization parameters differ on its two sides,
    as the converter may make it, crosses over as real values: rounded once more in each frame.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = {"builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF", "xnnpack": "AUTO"}[kernels]
    interpreter = Interpreter(
        model_content=content, num_threads=1, experimental_op_resolver_type=getattr(OpResolverType, kind)
    )
    runner = interpreter.get_signature_runner()
    before, after = runner.get_input_details(), runner.get_output_details()
    feed = {key: _tensor(detail).quantize(np.zeros(detail["shape"], np.float32)) for key, detail in before.items()}
    masks = np.empty_like(features)
    for frame, values in enumerate(features):
        key = inputs["features"]
        feed[key] = _tensor(before[key]).quantize(values.reshape(before[key]["shape"]))
        results = runner(**feed)
        key = outputs["mask"]
        masks[frame] = _tensor(after[key]).dequantize(results[key]).ravel()
        for name in set(inputs) & set(outputs):
            sides = before[inputs[name]], after[outputs[name]]
            value = results[outputs[name]]
            if not _same_qparams(*sides):
                value = _tensor(sides[0]).quantize(_tensor(sides[1]).dequantize(value))
            feed[inputs[name]] = value
    return masks


def requantized_states(converted: Converted) -> list[str]:
    """The states that leave the step with other quantization parameters than those with which the next step takes them."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=converted.content).get_signature_runner()
    before, after = runner.get_input_details(), runner.get_output_details()
    both = [name for name in converted.inputs if name in converted.outputs]
    return [n for n in both if not _same_qparams(before[converted.inputs[n]], after[converted.outputs[n]])]


def _run(tf: Any, graph: Graph, values: dict[str, Any], qparams: Mapping[str, Quantization] | None) -> dict[str, Any]:
    """All activations as TensorFlow's tensors, by name; quantized where `qparams` are given."""

    def pinned(name: str, value: Any) -> Any:
        if qparams is None:
            return value
        scale, zero = float(qparams[name].tensor_scale), qparams[name].zero_point
        return tf.quantization.fake_quant_with_min_max_args(value, (-128 - zero) * scale, (127 - zero) * scale)

    values = {name: pinned(name, value) for name, value in values.items()}
    for operator in graph.operators:
        arguments = [
            values[name] if graph.tensors[name].data is None else graph.tensors[name].constant
            for name in operator.inputs
        ]
        results = KERNELS[operator.kind](tf, graph, operator, *arguments)
        if operator.options.get("activation") == "RELU":
            results = tf.nn.relu(results)
        results = results if len(operator.outputs) > 1 else [results]
        values.update((name, pinned(name, r)) for name, r in zip(operator.outputs, results, strict=True))
    return values


def _convolution(tf: Any, graph: Graph, operator: Operator, x: Any, weights: np.ndarray, bias: np.ndarray) -> Any:
    y = tf.nn.conv2d(x, weights.transpose(1, 2, 3, 0), operator.options["stride"], operator.options["padding"])
    return tf.nn.bias_add(y, bias)


def _depthwise(tf: Any, graph: Graph, operator: Operator, x: Any, weights: np.ndarray, bias: np.ndarray) -> Any:
    strides = (1, *operator.options["stride"], 1)
    y = tf.nn.depthwise_conv2d(x, weights.transpose(1, 2, 3, 0), strides, operator.options["padding"])
    return tf.nn.bias_add(y, bias)


def _split(tf: Any, graph: Graph, operator: Operator, axis: np.ndarray, x: Any) -> Any:
    parts = tf.split(x, len(operator.outputs), int(np.ravel(axis)[0]))
    return parts if len(parts) > 1 else tf.identity(parts[0])


KERNELS: dict[str, Any] = {
    "CONCATENATION": lambda tf, graph, operator, *parts: tf.concat(parts, operator.options["axis"]),
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": lambda tf, graph, operator, x, w, b: tf.nn.bias_add(tf.matmul(x, w, transpose_b=True), b),
    "RESHAPE": lambda tf, graph, operator, x, shape: tf.reshape(x, graph.shape(operator.outputs[0])),
    "SPLIT": _split,
    "STRIDED_SLICE": lambda tf, graph, operator, x, begin, end, strides: tf.strided_slice(x, begin, end, strides),
    "ADD": lambda tf, graph, operator, a, b: tf.add(a, b),
    "SUB": lambda tf, graph, operator, a, b: tf.subtract(a, b),
    "MUL": lambda tf, graph, operator, a, b: tf.multiply(a, b),
    "LOGISTIC": lambda tf, graph, operator, x: tf.sigmoid(x),
    "TANH": lambda tf, graph, operator, x: tf.tanh(x),
    "HARD_SWISH": lambda tf, graph, operator, x: x * tf.nn.relu6(x + 3) * (1 / 6),
    "LEAKY_RELU": lambda tf, graph, operator, x: tf.nn.leaky_relu(x, operator.options["slope"]),
}
WITHOUT = {"QUANTIZE": "the converter is given float graphs and makes its own"}


def _fed(
    graph: Graph, clips: Iterable[tuple[str, Frames]], names: Mapping[str, str]
) -> Iterator[dict[str, np.ndarray]]:
    """What goes into the step in each frame of the clips, states included, as the float step makes them."""
    program = float_execution.compile(graph)
    for name, clip in clips:
        state = initial_state(graph)
        for frame in frames_of(graph, name, clip):
            feed = {**frame, **state}
            yield {names[key]: value for key, value in feed.items()}
            results = program(feed)
            state = {key: results[key] for key in state}


def _tensor(detail: Mapping[str, Any]) -> Tensor:
    """The tensor that LiteRT describes."""
    dtype, (scale, zero_point) = np.dtype(detail["dtype"]), detail["quantization"]
    quantization = Quantization(scale, zero_point) if scale else None
    return Tensor(detail["name"], tuple(detail["shape"]), dtype, None, quantization)


def _same_qparams(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return first["quantization"] == second["quantization"]
