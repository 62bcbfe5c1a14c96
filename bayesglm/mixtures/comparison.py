"""Comparison: a window of rows against a baseline, by the log density that the same mixture gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from bayesglm.mixtures.component import Array
from bayesglm.predict import LEVEL


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """How the mean log density of a window differs from that of a baseline.

    Attributes
    ----------
    baseline, window : float
        Mean log density a row, in nats and original units.
    change : float
        Window minus baseline: below 0 where rows have become less like the fit.
    standard_error : float
        Of the change; the larger of the one for independent rows and the one from means of neighbouring rows.
    low, high : float
        Ends of the 90 % interval of the change.
    rows : tuple of int
        Rows of baseline and window.
    """

    baseline: float
    window: float
    change: float
    standard_error: float
    low: float
    high: float
    rows: tuple[int, int]


def standard_error(values: Array) -> float:
    """Return the standard error of a mean whose neighbours may resemble each other.

    The larger of sd / sqrt(n) and that of sqrt(n) means of neighbours (batch means).

    Examples
    --------
    >>> values = np.repeat([1.0, -1.0, 1.0, -1.0, 2.0, -2.0, 1.0, -1.0, 0.0, 0.0], 10)
    >>> bool(standard_error(values) > 2 * values.std() / 10)
    True
    """
    count = len(values)
    plain = float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else float("inf")
    batches = int(np.sqrt(count))
    if batches < 4:
        return plain
    means = np.array([each.mean() for each in np.array_split(values, batches)])
    return max(plain, float(means.std(ddof=1) / np.sqrt(batches)))


def score_change(baseline: Array, window: Array) -> ScoreChange:
    """Return the change of the mean log density, with its standard error."""
    first, second = float(baseline.mean()), float(window.mean())
    error = float(np.hypot(standard_error(baseline), standard_error(window)))
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    change = second - first
    return ScoreChange(first, second, change, error, change - half, change + half, (len(baseline), len(window)))
