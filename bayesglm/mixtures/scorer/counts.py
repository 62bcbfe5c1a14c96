"""Counts: log predictive probabilities of counts over an exposure, with NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .gammas import log_rising  # noqa: TID252 - the folder is copied as it is
from .students import log_sums  # noqa: TID252

Array = NDArray[np.float64]

_USUAL, _MOST = 64, 4096  # counts that are looked up: so many and four times the mean, and at most so many


class Counted(Protocol):
    """Log probabilities of one column's counts x over exposures e, in two steps: first what x alone decides."""

    @property
    def mean(self) -> float:
        """The largest mean over exposure 1."""

    def of_count(self, x: Array) -> Array:
        """Return the part that needs no exposure, shape (row, .), for x of shape (row, 1)."""

    def complete(self, part: Array, x: Array, e: Array) -> Array:
        """Return log probabilities, shape (row, component), given that part, for x and e of shape (row, 1)."""

    def grid(self, most: int, e: Array) -> Array:
        """Return log probabilities of counts 0, ..., most - 1 over each of some exposures, shape (count, exposure, component)."""

    def together(self, columns: Sequence[Any]) -> Callable[[Array, Array], Array]:
        """Return a function of counts and exposures of columns like this, (row, column), to log probabilities of each.

        The shape is (row, column, component); for few rows, where one call for each column takes longer.
        """


@dataclass(frozen=True, slots=True, eq=False)
class GammaPoisson:
    """Counts with mean e rate, rate ~ Gamma(shape, per), both of shape (component,)."""

    shape: Array
    per: Array

    @property
    def mean(self) -> float:
        """The largest mean over exposure 1."""
        return float((self.shape / self.per).max())

    def of_count(self, x: Array) -> Array:
        """Return the part that needs no exposure."""
        return log_rising(self.shape, x) - log_rising(1.0, x) - x * np.log(self.per)

    def complete(self, part: Array, x: Array, e: Array) -> Array:
        """Return log probabilities given that part."""
        return np.asarray(part + x * np.log(np.where(e > 0, e, 1.0)) - (self.shape + x) * np.log1p(e / self.per))

    def grid(self, most: int, e: Array) -> Array:
        """Return log probabilities of all counts below ``most`` over exposures above 0."""
        x = np.arange(float(most))[:, None]
        return self.complete(self.of_count(x)[:, None], x[:, None], e[:, None])

    def together(self, columns: Sequence[GammaPoisson]) -> Callable[[Array, Array], Array]:
        """Return a function to log probabilities of several columns."""
        all_of = GammaPoisson(*(np.stack([getattr(each, name) for each in columns]) for name in ("shape", "per")))
        return lambda x, e: all_of.complete(all_of.of_count(x[..., None]), x[..., None], e[..., None])


@dataclass(frozen=True, slots=True, eq=False)
class BetaNegativeBinomial:
    """Counts ~ NegativeBinomial(c e, p), p ~ Beta(success, failure), for pairs of a component and a concentration c.

    Attributes
    ----------
    component : array, shape (pair,)
        Places of the components, in order.
    concentration : array, shape (pair,)
        c, over exposure 1.
    success, failure : array, shape (pair,)
        Of p.
    log_share : array, shape (pair,)
        Log probability of the concentration in its component.
    """

    component: Array
    concentration: Array
    success: Array
    failure: Array
    log_share: Array

    @property
    def mean(self) -> float:
        """The largest mean over exposure 1."""
        return float((self.concentration * self.failure / (self.success - 1)).max())

    def of_count(self, x: Array) -> Array:
        """Return the part that needs no exposure."""
        return log_rising(self.failure, x) - log_rising(1.0, x) + self.log_share

    def complete(self, part: Array, x: Array, e: Array) -> Array:
        """Return log probabilities given that part."""
        size = self.concentration * e
        of_x = log_rising(np.where(size > 0, size, 1.0), x)
        of_p = log_rising(self.success, size) - log_rising(self.success + self.failure, size + x)
        return log_sums(part + of_x + of_p, self.component)

    def grid(self, most: int, e: Array) -> Array:
        """Return log probabilities of all counts below ``most`` over exposures above 0, each count by its ratio to the last."""
        of = (self.concentration, self.success, self.failure, self.log_share)
        concentration, success, failure, log_share = (each[:, None] for each in of)  # (pair, exposure)
        size, both = concentration * e, success + failure
        first = np.flatnonzero(np.diff(self.component, prepend=-1))
        pairs = np.diff(first, append=len(self.component))
        logs = log_rising(success, size) - log_rising(both, size) + log_share
        found = np.empty((most, len(e), len(first)))
        for x in range(most):
            top = np.maximum.reduceat(logs, first, axis=0)
            shares = np.add.reduceat(np.exp(logs - np.repeat(top, pairs, axis=0)), first, axis=0)
            found[x] = (top + np.log(shares)).T
            logs = logs + np.log((size + x) * (failure + x) / ((1 + x) * (both + size + x)))
        return found

    def together(self, columns: Sequence[BetaNegativeBinomial]) -> Callable[[Array, Array], Array]:
        """Return a function to log probabilities of several columns, whose pairs stand one behind the other."""
        place = np.repeat(np.arange(len(columns)), [len(each.component) for each in columns])
        names = ("component", "concentration", "success", "failure", "log_share")
        component, *rest = (np.concatenate([getattr(each, name) for each in columns]) for name in names)
        count = int(component.max()) + 1
        all_of = BetaNegativeBinomial(place * count + component, *rest)

        def of(x: Array, e: Array) -> Array:
            x, e = x[:, place], e[:, place]
            return all_of.complete(all_of.of_count(x), x, e).reshape(len(x), len(columns), count)

        return of


def of_counts(column: Counted) -> Callable[[Array, Array], Array]:
    """Return a function of counts and exposures that are 1 to log probabilities; those of usual counts are looked up."""
    of = _looked_up(lambda x: column.complete(column.of_count(x), x, np.ones_like(x)), column.mean)
    return lambda x, e: of(x)


def of_both(column: Counted) -> Callable[[Array, Array], Array]:
    """Return a function of counts and exposures to log probabilities; what usual counts alone decide is looked up."""
    of = _looked_up(column.of_count, column.mean)
    return lambda x, e: column.complete(of(x), x, e)


def _looked_up(function: Callable[[Array], Array], mean: float) -> Callable[[Array], Array]:
    """Return a function of counts that is looked up as far as counts are usual."""
    table = function(np.arange(float(int(min(_USUAL + 4 * mean, _MOST))))[:, None])

    def of(x: Array) -> Array:
        found = table.take(np.minimum(x[:, 0], float(len(table) - 1)).astype(np.intp), axis=0)
        many = x[:, 0] >= len(table)
        if many.any():
            found[many] = function(x[many])
        return np.asarray(found)

    return of


def poisson(arrays: Mapping[str, Array]) -> list[Counted]:
    """Return columns of counts with gamma rates: ``shape`` and ``per``, shape (component, column)."""
    return [GammaPoisson(*each) for each in zip(arrays["shape"].T, arrays["per"].T, strict=True)]


def negative_binomial(arrays: Mapping[str, Array]) -> list[Counted]:
    """Return columns of counts with concentrations on a grid.

    Parameters
    ----------
    arrays : mapping
        The attributes of `BetaNegativeBinomial` for all columns one behind the other, with ``column``, the place of each pair's
        column.
    """
    names = ("component", "concentration", "success", "failure", "log_share")
    places = [arrays["column"] == j for j in np.unique(arrays["column"])]
    return [BetaNegativeBinomial(*(arrays[name][place] for name in names)) for place in places]
