"""A base-2 logarithm of float32 in a handful of operations that every machine repeats bit for bit."""

from __future__ import annotations

import numpy as np

# log2(1 + f) = f * (C0 + f * (C1 + ...)) for f in [0, 1), fitted on 4097 points to the smallest largest error with
# both ends exact: it stays below 2e-5, while the step of an int8 feature is 0.125.
COEFFICIENTS = tuple(np.float32(c) for c in (1.4419167, -0.7090935, 0.4155984, -0.1935677, 0.0451461))


def log2(x: np.ndarray) -> np.ndarray:
    """log2 of positive, normal float32 numbers: exponent plus a polynomial of the fraction, in Horner's order."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float32))
    fraction = mantissa * np.float32(2) - np.float32(1)
    polynomial = COEFFICIENTS[-1]
    for coefficient in reversed(COEFFICIENTS[:-1]):
        polynomial = polynomial * fraction + coefficient
    return (exponent - 1).astype(np.float32) + polynomial * fraction
