"""Quantiles: how well draws know the ends of an interval, the 5% and the 95% quantile, in robust sds.

With E effective draws at a quantile q_p, that is with the variance p (1 - p) / E of the share of draws below it,

    error of q_p = sqrt(p (1 - p) / E) dq / dp / sd          dq / dp = (q_2p - q_p/2) / (3/2 p)

and the sd is robust, 1.4826 median absolute deviations. For a normal distribution that is 2 / sqrt(E); an effect of a group whose
sd the data hardly know has long tails, and takes ten times the draws.

Of many such errors the largest is large by chance, for each is estimated from about k = p E draws beyond the quantile. So they
are divided by 1 + z / sqrt(k), with z what the largest of as many normal numbers stays below.

Chains ask after every block (`bayesglm.engines.goals`), approximations of their weights (`bayesglm.engines.verdict`).

Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16, 667, for E; Siddiqui (1960), Journal of
Research of the National Bureau of Standards 64B, 145, for the slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TAIL = 0.05
LEVELS = (TAIL / 2, TAIL, 2 * TAIL, 1 - 2 * TAIL, 1 - TAIL, 1 - TAIL / 2)
ENOUGH = 0.1  # robust sds: four such errors are as far as what is called reliable may be off
ROBUST = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class Tails:
    """The ends of many intervals.

    Attributes
    ----------
    lower, upper : array, shape (element,)
        5% and 95% quantile.
    slope : array, shape (2, element)
        p dq / dp there, in robust sds; 0 for an element that does not vary.
    effective : array, shape (2, element)
        Effective draws there.
    sd : array, shape (element,)
        Robust sds.
    """

    lower: Array
    upper: Array
    slope: Array
    effective: Array
    sd: Array

    def resampled(self, draws: int, proposals: int) -> Tails:
        """Return what so many draws of equal weight are worth that are taken of so many weighted ones."""
        return replace(self, effective=1.0 / (1.0 / self.effective + max(1.0 / draws - 1.0 / proposals, 0.0)))

    def errors(self, among: int | None = None) -> Array:
        """Return the larger error of each element's two quantiles, in robust sds, less what is chance, shape (element,).

        Parameters
        ----------
        among : int, optional
            How many elements the largest is sought of; by default these.
        """
        with np.errstate(divide="ignore"):
            return np.asarray((self._plain / (1 + self._most(among) / np.sqrt(TAIL * self.effective))).max(axis=0))

    def chance(self) -> Array:
        """Return how far off, in robust sds, the worst of these elements is by chance, shape (element,)."""
        return np.asarray(self._most() * self._plain.max(axis=0))

    @property
    def _plain(self) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.slope > 0, self.slope * np.sqrt((1 - TAIL) / (TAIL * self.effective)), 0.0)

    def _most(self, among: int | None = None) -> float:
        """Return what the largest of as many normal numbers stays below in half of all cases."""
        from scipy.special import ndtri

        return float(-ndtri(0.5 / (2 * max(among or self.slope.shape[1], 1))))


def tails(quantiles: Sequence[Array], sd: Array, effective: Array) -> Tails:
    """Return the ends of intervals.

    Parameters
    ----------
    quantiles : six arrays, shape (element,)
        At `LEVELS`.
    sd : array, shape (element,)
        Robust sds.
    effective : array, shape (2, element)
        Effective draws at the 5% and at the 95% quantile.

    Examples
    --------
    >>> from scipy.special import ndtri
    >>> normal = tails([np.array([ndtri(p)]) for p in LEVELS], np.ones(1), np.full((2, 1), 1_000.0))
    >>> normal.errors(among=1).round(3).tolist()
    [0.057]
    """
    first, lower, second, third, upper, last = quantiles
    with np.errstate(invalid="ignore"):
        span = np.array([second - first, last - third])
        slope = np.divide(span, 1.5 * sd, out=np.where(span > 0, np.inf, 0.0), where=sd > 0)
    return Tails(lower, upper, slope, effective, sd)


def enough(tails: Tails, effective: float, proposals: int, *, least: int, most: int, step: int) -> tuple[int, Tails]:
    """Return how many draws of equal weight to take of weighted ones, and what they are worth.

    They are the fewest that know the 5% and the 95% quantile of every element within 0.1 robust sds, or about as many as the
    weighted ones are worth.

    Parameters
    ----------
    tails : Tails
        Of the weighted draws.
    effective : float
        How many of equal weight they are worth.
    proposals : int
        How many they are.
    least, most, step : int
        The numbers that are tried.
    """
    draws = least
    while True:
        found = tails.resampled(draws, proposals)
        if found.errors().max(initial=0.0) <= ENOUGH or draws + step > most or draws >= effective:
            return draws, found
        draws += step


def weighted_tails(values: Array, weight: Array, together: int = 1) -> Tails:
    """Return the ends of intervals of weighted draws.

    Parameters
    ----------
    values : array, shape (draw, element)
        Draws.
    weight : array, shape (draw,)
        Weights with sum 1.
    together : int
        So many that follow each other may depend on each other, such as a draw and its opposite; others are independent.

    Examples
    --------
    >>> found = weighted_tails(np.arange(101.0)[:, None], np.full(101, 1 / 101))
    >>> found.lower.tolist(), found.upper.tolist(), found.sd.round(2).tolist()
    ([5.0], [95.0], [37.06])
    """
    quantiles = weighted_quantiles(values, weight, (*LEVELS, 0.5))
    *levels, median = quantiles
    with np.errstate(invalid="ignore"):
        sd = ROBUST * weighted_quantiles(np.abs(values - median), weight, (0.5,))[0]
    variance = []
    for at, p in ((1, TAIL), (4, 1 - TAIL)):
        share = weight[:, None] * ((values <= levels[at]) - p)
        variance.append((share.reshape(len(share) // together, together, values.shape[1]).sum(axis=1) ** 2).sum(axis=0))
    return tails(levels, sd, TAIL * (1 - TAIL) / np.array(variance))


def weighted_quantiles(values: Array, weight: Array, levels: Sequence[float]) -> Array:
    """Return the smallest draw of each element with at least so much weight up to it, shape (level, element).

    Parameters
    ----------
    values : array, shape (draw, element)
        Draws.
    weight : array, shape (draw,)
        Weights with sum 1.
    levels : sequence of float
        Shares of the weight.
    """
    order = np.argsort(values, axis=0)
    share = np.cumsum(weight[order], axis=0)
    last = len(values) - 1
    places = [np.minimum((share < level - 1e-12).sum(axis=0), last) for level in levels]
    return np.array([np.take_along_axis(values, np.take_along_axis(order, place[None], axis=0), axis=0)[0] for place in places])
