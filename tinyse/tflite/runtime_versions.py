"""The oldest TensorFlow Lite that runs a file, by its operators and their versions.

The facts are those of TensorFlow's tensorflow/lite/tools/versioning/runtime_version.cc, of which these are the operators
that a small network is made of. Converters write the answer as the metadata `min_runtime_version`, which profilers and
stores read.
"""

from __future__ import annotations

from collections.abc import Iterable

OLDEST: dict[str, tuple[str, ...]] = {
    "ADD": ("1.5.0", "1.14.0", "2.4.0", "2.6.0"),
    "AVERAGE_POOL_2D": ("1.5.0", "1.14.0", "2.3.0"),
    "CONCATENATION": ("1.5.0", "1.14.0", "2.3.0"),
    "CONV_2D": ("1.5.0", "1.14.0", "1.14.0", "2.3.0", "2.4.0", "2.9.0"),
    "DEPTHWISE_CONV_2D": ("1.5.0", "1.12.0", "1.14.0", "2.2.0", "2.3.0"),
    "FULLY_CONNECTED": ("1.5.0", "1.10.0", "1.14.0", "1.14.0", "2.0.0", "2.1.0", "2.3.0"),
    "HARD_SWISH": ("1.15.0",),
    "LEAKY_RELU": ("1.13.1", "2.3.0"),
    "LOGISTIC": ("1.14.0", "1.14.0", "2.3.0"),
    "MAX_POOL_2D": ("1.5.0", "1.14.0", "2.3.0"),
    "MEAN": ("1.6.0", "1.14.0", "2.4.0"),
    "MUL": ("1.5.0", "1.14.0", "1.15.0", "2.3.0"),
    "PAD": ("1.5.0", "1.14.0", "2.4.0"),
    "PRELU": ("1.8.0",),
    "QUANTIZE": ("1.14.0", "1.15.0", "2.7.0"),
    "RESHAPE": ("1.5.0",),
    "SPLIT": ("1.5.0", "1.14.0", "1.14.0", "2.3.0"),
    "STRIDED_SLICE": ("1.6.0", "1.14.0", "2.1.0", "2.2.0"),
    "SUB": ("1.6.0", "1.14.0", "2.3.0", "2.4.0"),
    "TANH": ("1.14.0", "1.14.0", "2.3.0"),
    "TRANSPOSE": ("1.6.0", "1.14.0", "1.15.0", "2.3.0"),
}
"""Runtime by operator: of its version 1, 2, ..."""


def oldest_runtime(operators: Iterable[tuple[str, int]]) -> str | None:
    """The oldest runtime that has all (kind, version); None where one of them is not in the table."""
    found = []
    for kind, version in operators:
        versions = OLDEST.get(kind, ())
        if not 0 < version <= len(versions):
            return None
        found.append(versions[version - 1])
    return max(found, key=lambda text: tuple(map(int, text.split("."))), default=None)
