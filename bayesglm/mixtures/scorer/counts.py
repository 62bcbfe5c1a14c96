"""Counts: log predictive probabilities of counts over an exposure, with NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

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


def counted(columns: Sequence[Counted], fixed: Sequence[bool]) -> Callable[[Array], Array]:
    """Return the sum over columns of log probabilities, shape (row, component), of counts and exposures behind them.

    Parameters
    ----------
    columns : sequence of Counted
        The columns.
    fixed : sequence of bool
        Whether the exposure of a column is 1 throughout: probabilities of usual counts are then looked up.
    """
    each = [_by_count(column) if alone else _by_both(column) for column, alone in zip(columns, fixed, strict=True)]
    size = len(columns)

    def density(z: Array) -> Array:
        held = ~np.isnan(z[:, :size])
        z = z if held.all() else np.hstack([np.where(held, z[:, :size], 0.0), z[:, size:]])
        return np.asarray(np.sum([of(z[:, j:j + 1], z[:, size + j:size + j + 1]) * held[:, j:j + 1]
                                  for j, of in enumerate(each)], axis=0))

    return density


def _by_count(column: Counted) -> Callable[[Array, Array], Array]:
    of = _looked_up(lambda x: column.complete(column.of_count(x), x, np.ones_like(x)), column.mean)
    return lambda x, e: of(x)


def _by_both(column: Counted) -> Callable[[Array, Array], Array]:
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


def poisson(arrays: Mapping[str, Array]) -> Callable[[Array], Array]:
    """Return the log probability of counts with gamma rates: ``shape``, ``per``, (component, column), and ``fixed`` (column,)."""
    columns = [GammaPoisson(*each) for each in zip(arrays["shape"].T, arrays["per"].T, strict=True)]
    return counted(columns, (arrays["fixed"] > 0).tolist())


def negative_binomial(arrays: Mapping[str, Array]) -> Callable[[Array], Array]:
    """Return the log probability of counts with concentrations on a grid.

    Parameters
    ----------
    arrays : mapping
        The attributes of `BetaNegativeBinomial` for all columns one behind the other, with ``column``, the place of each pair's
        column; and ``fixed``, 1 for columns without exposure, else 0, shape (column,).
    """
    names = ("component", "concentration", "success", "failure", "log_share")
    places = [arrays["column"] == j for j in range(len(arrays["fixed"]))]
    columns = [BetaNegativeBinomial(*(arrays[name][place] for name in names)) for place in places]
    return counted(columns, (arrays["fixed"] > 0).tolist())
