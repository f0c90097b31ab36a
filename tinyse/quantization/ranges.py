"""The range of a quantized tensor by the error that it makes, from a histogram of the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinyse.quantization.calibration import Histogram

GATE_LIMIT = 8.0
"""What only feeds gates is clipped to +-8: an 8-bit sigmoid is 0 or 1 beyond 6.3."""

HEADROOM = 1.25
"""Factor of a 16-bit range over what calibration has seen, which is never everything; it costs a third of a bit."""


class Use(NamedTuple):
    """What values are for: the function after which their error counts, and the limit beyond which they are alike."""

    function: Callable[[np.ndarray], np.ndarray]
    limit: float = np.inf


PLAIN = Use(lambda x: x)
TO_GATES = Use(lambda x: x, GATE_LIMIT)
GATES = {"LOGISTIC": Use(lambda x: 0.5 + 0.5 * np.tanh(x / 2), GATE_LIMIT), "TANH": Use(np.tanh, GATE_LIMIT)}


def best_range(histogram: Histogram, use: Use = PLAIN) -> tuple[float, float]:
    """(low, high), around zero, with the least expected squared error of 8 bits, after the function of `use`.

    The error is that of the clipped values, plus step^2 / 12 for the others, weighted by the function's slope; values
    that are exactly zero are represented exactly and count nothing.
    """
    centers, counts = histogram.centers, histogram.counts
    if not counts.any():
        return 0.0, 0.0
    y = use.function(centers)
    noise = float((counts * np.gradient(y, centers) ** 2).sum()) / 12
    lows, highs = _candidates(histogram.low, use.limit), _candidates(histogram.high, use.limit)
    below = np.array([(counts * (y - use.function(low)) ** 2)[centers < low].sum() for low in lows])
    above = np.array([(counts * (y - use.function(high)) ** 2)[centers > high].sum() for high in highs])
    step = (highs[None, :] - lows[:, None]) / 255
    error = below[:, None] + above[None, :] + noise * step**2
    low, high = np.unravel_index(int(np.argmin(error)), error.shape)
    return float(lows[low]), float(highs[high])


def wide_range(histogram: Histogram, use: Use = PLAIN) -> float:
    """The end of a symmetric 16-bit range: all that was seen, with headroom, as far as `use` can tell it apart."""
    return min(HEADROOM * max(-histogram.low, histogram.high), use.limit)


def _candidates(extreme: float, limit: float) -> np.ndarray:
    """Ends of a range, from the extreme that was seen down to a twentieth of it."""
    return np.clip(extreme * np.geomspace(1, 0.05, 121), -limit, limit) if extreme else np.zeros(1)
