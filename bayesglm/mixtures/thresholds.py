"""Thresholds: from which tail probability on a row counts as an anomaly, by a target rate or by labelled events.

Flagged rows in a row are one alert. An alert is true where it touches a labelled event, an event is found where an alert touches
it; precision and recall count alerts and events, never rows. Rows next to each other in time resemble each other, so flagged rows
come in bursts: their number varies more than a binomial or Poisson count does, and intervals are as much wider.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from bayesglm.errors import OptionError
from bayesglm.mixtures.comparison import standard_error
from bayesglm.mixtures.component import Array
from bayesglm.predict import LEVEL

_CANDIDATES = 400
_MOST = 0.1  # of the rows outside events: where nearly all rows are flagged, one alert touches every event


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its interval.

    Attributes
    ----------
    hits, of : int
        How many of how many.
    value : float
        Their ratio; NaN where there are none.
    low, high : float
        Ends of the 90 % interval: equal-tailed, with Jeffreys' prior Beta(1/2, 1/2).
    """

    hits: int
    of: int
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.hits} of {self.of}, {self.low:.0%} to {self.high:.0%}"


def share(hits: int, of: int) -> Share:
    """Return a share with its interval.

    Examples
    --------
    >>> str(share(8, 10))
    '8 of 10, 55% to 94%'
    """
    low, high = np.asarray(stats.beta.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], hits + 0.5, of - hits + 0.5))
    return Share(hits, of, hits / of if of else float("nan"), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Detection:
    """How flagged rows meet labelled events.

    Attributes
    ----------
    precision : Share
        True alerts among all alerts.
    recall : Share
        Found events among all events.
    """

    precision: Share
    recall: Share


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which tail probability on a row is flagged.

    Attributes
    ----------
    value : float
        Rows with a tail probability at or below it are flagged.
    rate : float
        The expected share of flagged rows, when new rows are like those it was chosen on.
    low, high : float
        Ends of the 90 % interval of that share.
    rows : int
        How many rows it was chosen on.
    clustering : float
        Variance of the number of flagged rows over that of independent rows, at least 1; the intervals know it.
    per_day : tuple of float, optional
        Expected flagged rows a day with interval, (mean, low, high), where the number of rows a day was given; a single
        day varies about it with ``clustering`` times the variance of a Poisson count.
    detection : Detection, optional
        Precision and recall on the labelled events, where there were any.
    """

    value: float
    rate: float
    low: float
    high: float
    rows: int
    clustering: float = 1.0
    per_day: tuple[float, float, float] | None = None
    detection: Detection | None = None

    def __str__(self) -> str:
        told = (f"rows with a tail probability of at most {self.value:.3g} are flagged: {self.rate:.2%} of rows "
                f"({LEVEL:.0%} from {self.low:.2%} to {self.high:.2%}), by {self.rows:,} rows")
        if self.clustering > 1:
            told += f"; they come in bursts: their number has {self.clustering:.1f} times the variance of independent rows"
        if self.per_day is not None:
            told += f"; {self.per_day[0]:.3g} a day ({self.per_day[1]:.3g} to {self.per_day[2]:.3g})"
        if self.detection is not None:
            told += f"; alerts that are true: {self.detection.precision}; events that are found: {self.detection.recall}"
        return told

    def flags(self, tails: ArrayLike) -> NDArray[np.bool_]:
        """Return which rows are flagged, by their tail probabilities."""
        return np.asarray(np.asarray(tails, dtype=np.float64) <= self.value)


def _checked_share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < float(value) < 1:
        raise OptionError(f"{name}={value!r}", value=value, rule="it is above 0 and below 1",
                          fix="0.005 flags one row in two hundred." if name == "rate" else "0.8 asks for four in five.")
    return float(value)


def by_rate(tails: Array, rate: float, rows_per_day: float | None = None) -> Threshold:
    """Return the threshold that flags a share of rows like these.

    The share of new rows at or below the k-th smallest of n independent tail probabilities is Beta(k, n + 1 - k), whatever the
    mixture: the rate holds for rows of this kind even where the mixture fits badly. Where flagged rows come in bursts, both
    parameters are divided by their ``clustering``, so rows stand in the order of time.

    Parameters
    ----------
    tails : array, shape (row,)
        Tail probabilities of a reference window, in the order of time.
    rate : float
        The target, as a share of rows: 0.001 to 0.01 as a rule.
    rows_per_day : float, optional
        For the expected volume.

    Raises
    ------
    OptionError
        The rate is no share, or there are fewer rows than 1 / rate.

    Examples
    --------
    >>> tails = np.random.default_rng(1).permutation(np.arange(1, 1001) / 1000)
    >>> found = by_rate(tails, 0.01, rows_per_day=500)
    >>> round(found.value, 3), round(found.rate, 4), [round(each, 1) for each in found.per_day]
    (0.01, 0.01, [5.0, 2.7, 7.8])
    """
    rate = _checked_share("rate", rate)
    count, ordered = len(tails), np.sort(np.asarray(tails, dtype=np.float64))
    k = int(np.floor(rate * count + 1e-9))
    if k < 1:
        raise OptionError(f"{count} rows for rate={rate:g}", value=count, rule="a rate is estimated on at least 1 / rate rows",
                          fix=f"Give at least {int(np.ceil(1 / rate))} rows, or a larger rate.")
    value = float(ordered[k - 1])
    return _told(value, np.asarray(tails) <= value, rows_per_day)  # ties are flagged together


def clustering(flagged: NDArray[np.bool_]) -> float:
    """Return how many times the variance of the number of flagged rows is that of independent ones, at least 1.

    By the means of sqrt(n) stretches of neighbours (batch means): 1 for rows in any order.

    Examples
    --------
    >>> apart = np.arange(400) % 20 == 0
    >>> clustering(apart), round(clustering(np.sort(apart)), 1)
    (1.0, 21.0)
    """
    shares = flagged.astype(np.float64)
    independent = shares.var(ddof=1) / len(shares) if len(shares) > 1 else 0.0
    return max(1.0, float(standard_error(shares) ** 2 / independent)) if independent > 0 else 1.0


def _told(value: float, flagged: NDArray[np.bool_], rows_per_day: float | None, detection: Detection | None = None) -> Threshold:
    held, count, bursts = int(flagged.sum()), len(flagged), clustering(flagged)
    law = stats.beta(max(held, 0.5) / bursts, (count + 1 - held) / bursts)
    low, high = (float(each) for each in law.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    mean = float(law.mean())
    volume = None if rows_per_day is None else (mean * rows_per_day, low * rows_per_day, high * rows_per_day)
    return Threshold(value, mean, low, high, count, bursts, volume, detection)


def runs(marked: NDArray[np.bool_], gap: int = 0) -> list[tuple[int, int]]:
    """Return stretches of marked rows as (first, last), those at most ``gap`` unmarked rows apart as one.

    Examples
    --------
    >>> runs(np.array([True, False, True, False, False, True]), gap=1)
    [(0, 2), (5, 5)]
    """
    rows = np.flatnonzero(marked)
    if not len(rows):
        return []
    cuts = np.flatnonzero(np.diff(rows) > gap + 1)
    firsts, lasts = rows[np.r_[0, cuts + 1]], rows[np.r_[cuts, len(rows) - 1]]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def events_of(labels: ArrayLike) -> list[NDArray[np.intp]]:
    """Return the rows of each labelled event.

    Parameters
    ----------
    labels : array, shape (row,)
        True in rows of an event, then each stretch is one; or a whole number, 0 for none, else the event's number.

    Examples
    --------
    >>> [each.tolist() for each in events_of([0, 1, 1, 0, 2])], [each.tolist() for each in events_of([False, True, True])]
    ([[1, 2], [4]], [[1, 2]])
    """
    held = np.asarray(labels)
    if held.ndim != 1 or held.dtype.kind not in "biuf" or (held.dtype.kind == "f" and not np.all(held == np.floor(held))):
        raise OptionError("labels that are neither booleans nor whole numbers", value=held[:1].tolist(),
                          rule="a label is True or False, or 0 for no event and else the event's number",
                          fix="Number the events: 1, 2, 3.")
    if held.dtype.kind == "b":
        return [np.arange(first, last + 1) for first, last in runs(held)]
    return [np.flatnonzero(held == number) for number in np.unique(held[held != 0])]


def detection(flagged: NDArray[np.bool_], labels: ArrayLike, *, gap: int = 0) -> Detection:
    """Return precision and recall of flagged rows on labelled events.

    Parameters
    ----------
    flagged : array of bool, shape (row,)
        Flagged rows, in the order of time.
    labels : array, shape (row,)
        See `events_of`.
    gap : int
        Alerts this many rows apart are one.

    Examples
    --------
    >>> flagged = np.array([1, 1, 0, 0, 1, 0, 0, 1], bool)
    >>> found = detection(flagged, [0, 1, 1, 0, 0, 0, 2, 0])
    >>> str(found.precision), str(found.recall)
    ('1 of 3, 6% to 76%', '1 of 2, 10% to 90%')
    """
    found = events_of(labels)
    _check_lengths(flagged, labels)
    inside = np.zeros(len(flagged), bool)
    for rows in found:
        inside[rows] = True
    alerts = runs(flagged, gap)
    true = sum(bool(inside[first:last + 1].any()) for first, last in alerts)
    covered = np.zeros(len(flagged), bool)
    for first, last in alerts:
        covered[first:last + 1] = True
    return Detection(share(true, len(alerts)), share(sum(bool(covered[rows].any()) for rows in found), len(found)))


def _check_lengths(tails: NDArray[Any], labels: ArrayLike) -> None:
    if len(tails) != len(np.asarray(labels)):
        raise OptionError(f"{len(np.asarray(labels))} labels for {len(tails)} rows", value=len(np.asarray(labels)),
                          rule="there is one label a row", fix="Give one label for each row, in the same order.")


def by_labels(tails: Array, labels: ArrayLike, *, precision: float = 0.8, gap: int = 0,
              rows_per_day: float | None = None) -> Threshold:
    """Return the threshold with the most found events among those with at least this precision.

    Where none has it, the one with the best precision. Thresholds flag at most a tenth of the rows outside events.

    Parameters
    ----------
    tails : array, shape (row,)
        Tail probabilities, in the order of time.
    labels : array, shape (row,)
        See `events_of`.
    precision : float
        Least share of true alerts.
    gap : int
        Alerts this many rows apart are one.
    rows_per_day : float, optional
        For the expected volume.

    Examples
    --------
    >>> found = by_labels(np.array([0.9, 0.01, 0.02, 0.5, 0.3, 0.015]), [0, 1, 1, 0, 0, 2])
    >>> found.value, str(found.detection.recall)
    (0.015, '2 of 2, 43% to 100%')
    """
    least = _checked_share("precision", precision)
    _check_lengths(tails, labels)
    if not events_of(labels):
        raise OptionError("the labels mark no event", value=0, rule="a threshold by labels needs at least one event",
                          fix="Label events, or give rate=.")
    held = np.concatenate(events_of(labels))
    values = np.unique(tails)
    outside = np.sort(np.delete(tails, held))
    passed = np.searchsorted(outside, values, side="right") <= _MOST * len(outside)
    values = values[passed] if passed.any() else values[:1]
    if len(values) > _CANDIDATES:  # small tail probabilities are where thresholds lie
        values = values[np.unique(np.geomspace(1, len(values), _CANDIDATES).astype(int) - 1)]
    found = [(float(value), detection(tails <= value, labels, gap=gap)) for value in values]
    good = [each for each in found if each[1].precision.value >= least]
    if good:
        value, best = max(good, key=lambda each: (each[1].recall.value, each[1].precision.value, -each[0]))
    else:
        value, best = max(found, key=lambda each: (each[1].precision.value, each[1].recall.value, -each[0]))
    return _told(value, tails <= value, rows_per_day, best)
