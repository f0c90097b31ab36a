"""A stream through a .tflite of tinyse with nothing but numpy and tflite-runtime, LiteRT under its old name.

    python tflite_runtime_stream.py MODEL.tflite FEATURES.npy MASKS.npy

FEATURES.npy has (frames, bands) float32, MASKS.npy gets (frames, bands) integers as they leave the step. It imports
nothing of tinyse, which needs numpy 2: tflite-runtime 2.14 was compiled for numpy 1. So this is also the whole of what a
product with that runtime has to do.
"""

import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter


def stream(model: str, features: np.ndarray) -> np.ndarray:
    """(frames, bands) float32 -> the same of the mask's quantized values, the state carried from silence on."""
    step = Interpreter(model, num_threads=1).get_signature_runner()
    inputs, outputs = step.get_input_details(), step.get_output_details()
    # Real value zero is the zero point.
    state = {
        name: np.full(detail["shape"], detail["quantization"][1], detail["dtype"])
        for name, detail in inputs.items()
        if name in outputs
    }
    scale, zero = inputs["features"]["quantization"]
    ends = np.iinfo(inputs["features"]["dtype"])
    integers = np.clip(np.floor(features / np.float32(scale) + np.float32(0.5)) + zero, ends.min, ends.max)
    integers = integers.astype(ends.dtype).reshape(-1, *inputs["features"]["shape"])
    masks = []
    for frame in integers:
        results = step(features=frame, **state)
        state = {name: results[name] for name in state}
        masks.append(results["mask"].ravel())
    return np.array(masks)


if __name__ == "__main__":
    np.save(sys.argv[3], stream(sys.argv[1], np.load(sys.argv[2])))
