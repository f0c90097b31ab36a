"""Means with intervals: how much of a difference between two rows of a table is luck of the files.

The interval is Student's t, 95 %, over files. It assumes independent files, and a mean near enough to normal, which
it is from a dozen files on. Values that are not finite (a measure that is not defined for a file) are left out and
counted, so a table can say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyse.errors import needs


@dataclass(frozen=True)
class Summary:
    """Mean of `count` values; the true mean lies within `half_width` of it with 95 % confidence.

    `half_width` is nan for a single value. `undefined` values were not finite and are not in the mean.
    """

    mean: float
    half_width: float
    count: int
    undefined: int

    def as_text(self, decimals: int = 2, sign: str = "") -> str:
        """ "1.23 ± 0.04"; the mean alone where there is no interval, a dash without values. A `sign` of "+" shows it always."""
        if not self.count:
            return "-"
        # Adding zero makes a zero of what rounds to minus zero.
        text = f"{round(self.mean, decimals) + 0.0:{sign}.{decimals}f}"
        return text if math.isnan(self.half_width) else f"{text} ± {self.half_width:.{decimals}f}"


def summarize(values: Sequence[float] | np.ndarray) -> Summary:
    """The summary of a list of values, nan for an empty one."""
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    count = len(finite)
    mean = float(finite.mean()) if count else math.nan
    half_width = t_quantile(count - 1) * float(finite.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    return Summary(mean, half_width, count, len(values) - count)


def paired(before: Sequence[float] | np.ndarray, after: Sequence[float] | np.ndarray) -> Summary:
    """The summary of after - before, file by file.

    Two models on the same files differ far less by luck than two means do: most of the spread is the files'.
    """
    with np.errstate(invalid="ignore"):  # infinite on both sides is not defined, and left out
        return summarize(np.asarray(after, np.float64) - np.asarray(before, np.float64))


def share_below(values: Sequence[float] | np.ndarray, bar: Sequence[float] | np.ndarray) -> float:
    """Percentage of the files whose value is below its bar, among the files where both are defined.

    pystoi adds a random 1e-16 to ESTOI: a copy is not worse than its original for that.
    """
    values, bar = np.asarray(values, np.float64), np.asarray(bar, np.float64)
    defined = ~(np.isnan(values) | np.isnan(bar))
    return float(100 * (values < bar - 1e-9)[defined].mean()) if defined.any() else math.nan


def t_quantile(degrees: int) -> float:
    """The 97.5 % quantile of Student's t, nan for no degree of freedom."""
    with needs("metrics", "scipy"):
        from scipy.special import stdtrit
    return float(stdtrit(degrees, 0.975)) if degrees >= 1 else math.nan


def pooled(errors: Sequence[float] | np.ndarray, words: Sequence[float] | np.ndarray, draws: int = 2000) -> Summary:
    """All errors over all words, in percent: long files count for more, as they hold more words.

    `errors` may be the difference of two systems on the same files. The interval is the bootstrap's, 95 %, over files
    (always the same draws): half the distance between its ends.
    """
    wrong, said = np.asarray(errors, np.float64), np.asarray(words, np.float64)
    defined = np.isfinite(wrong) & (said > 0)
    wrong, said, left_out = wrong[defined], said[defined], int((~defined).sum())
    if not len(wrong):
        return Summary(math.nan, math.nan, 0, left_out)
    mean = 100 * float(wrong.sum() / said.sum())
    if len(wrong) == 1:
        return Summary(mean, math.nan, 1, left_out)
    chosen = np.random.default_rng(0).integers(0, len(wrong), (draws, len(wrong)))
    low, high = np.percentile(100 * wrong[chosen].sum(1) / said[chosen].sum(1), [2.5, 97.5])
    return Summary(mean, float(high - low) / 2, len(wrong), left_out)
