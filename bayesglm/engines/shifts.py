"""Shifts: how far means, sds and quantiles of the same draws lie apart under two sets of weights, in units of the second.

What does not vary has not moved. Draws without weight in the second set do not count where they are not finite.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.engines.quantiles import TAIL, Tails, weighted_quantiles, weighted_tails

Array = NDArray[np.float64]
NEGLIGIBLE = 1e-9  # of the largest value: what varies less is rounded


class Shifts(NamedTuple):
    """How far each element moved.

    Attributes
    ----------
    mean : array, shape (element,)
        In sds.
    sd : array, shape (element,)
        Relative.
    quantile : array, shape (element,)
        Of the 5% or the 95% quantile, whichever is more, in robust sds, less what is chance.
    sound : array of bool, shape (element,)
        Whether all draws that count are finite; of others nothing can be said, and their shifts are 0.
    """

    mean: Array
    sd: Array
    quantile: Array
    sound: NDArray[np.bool_]


def shifts(values: Array, before: Array, after: Array, tails: Tails | None = None) -> Shifts:
    """Return how far means, sds and quantiles move from one set of weights to another.

    Parameters
    ----------
    values : array, shape (draw, element)
        Draws.
    before, after : array, shape (draw,)
        Weights with sum 1.
    tails : Tails, optional
        The ends of intervals under the latter, if they are known.

    Examples
    --------
    >>> found = shifts(np.arange(4.0)[:, None], np.full(4, 0.25), np.array([0.1, 0.2, 0.3, 0.4]))
    >>> found.mean.round(2).tolist(), found.sd.round(2).tolist(), found.sound.tolist()
    ([0.5], [0.12], [True])
    """
    finite = np.isfinite(values)
    counted = finite.all(axis=1) | (after > 0)
    sound = finite[counted].all(axis=0)
    if not finite.all():
        values, before, after = np.where(sound, values[counted], 0.0), before[counted], after[counted]
        before = before / before.sum()
    (mean, sd), (true_mean, true_sd) = (_moments(values, weight) for weight in (before, after))
    tails, ends = tails or weighted_tails(values, after), weighted_quantiles(values, before, (TAIL, 1 - TAIL))
    apart = np.where(sound, np.abs(ends - np.array([tails.lower, tails.upper])).max(axis=0), 0.0)
    chance = tails.chance()
    pulled = np.where(np.isfinite(chance), _in_units(apart, tails.sd), 0.0)
    return Shifts(_in_units(np.abs(true_mean - mean), true_sd, least=NEGLIGIBLE * np.abs(true_mean)),
                  _in_units(np.abs(sd - true_sd), true_sd),
                  np.sqrt(np.maximum(pulled**2 - chance**2, 0.0)), sound)


def varying(values: Array) -> NDArray[np.bool_]:
    """Return which elements vary by more than is rounded, shape (element,), from draws of shape (draw, element).

    Examples
    --------
    >>> varying(np.array([[0.3, 1.0], [0.1 + 0.2, 2.0]])).tolist()
    [False, True]
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(np.ptp(values, axis=0) > NEGLIGIBLE * np.abs(values).max(axis=0, initial=0.0))


def _moments(values: Array, weight: Array) -> tuple[Array, Array]:
    """Return weighted means and sds; the sd of what does not vary where there is weight is 0, whatever is rounded."""
    values, weight = values[weight > 0], weight[weight > 0]
    mean = weight @ values
    return mean, np.where(varying(values), np.sqrt(weight @ (values - mean) ** 2), 0.0)


def _in_units(distance: Array, unit: Array, least: Array | float = 0.0) -> Array:
    """Return distances in units; in units of 0, infinity where the distance is more than the least one and 0 elsewhere."""
    return np.divide(distance, unit, out=np.where(distance > least, np.inf, 0.0), where=unit > 0)
