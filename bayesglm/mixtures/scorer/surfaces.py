"""Surfaces: log probabilities of many counts over exposures that differ from row to row, with NumPy alone.

For each count, a log probability is a smooth function of the log exposure, analytic where the imaginary part is below pi: a
polynomial on a short cell is right to the last digits. Columns with the same exposure have the same powers, so that what a row's
columns say is added up before it is multiplied by them. Rare counts and exposures are computed one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .counts import Counted, of_both, of_counts  # noqa: TID252 - the folder is copied as it is

Array = NDArray[np.float64]

_DEGREE, _WIDEST, _FINEST = 8, 0.25, 1 / 16  # of polynomials; widths of cells of the log exposure
_NEAR = 2e-12  # how near they come, in nats or beside the log probability
_USUAL, _MOST = 0.999, 1024  # counts on a surface: up to twice this quantile, and at most so many
_LOOKED_AT = 8192  # rows that tell the quantile
_WORTH = 4  # rows in a cell for each count of a column, from which polynomials take less time than they save
THREADS = 2  # at most at once
_FEW = 16  # rows of which all columns are computed at once
_AT_ONCE, _CACHED = 256, 256  # exposures, to bound memory, and rows that stay in the cache
_NODES = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
_BETWEEN = np.array([-0.97, 0.3])
_SOLVE = np.linalg.inv(np.vander(_NODES, increasing=True))


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Columns with one exposure.

    Attributes
    ----------
    columns : sequence of Counted
        The columns.
    width : float
        Of the cells of the log exposure.
    first : int
        The first cell starts at ``first * width``.
    slot : int array, shape (cell,)
        Place of a cell among those that have polynomials, -1 for the others.
    terms : array, shape (line, term * component)
        For each column, slot and count a line, in this order; the last one is 0, for what is computed by itself.
    start : int array, shape (column,)
        The first line of each column.
    most : int array, shape (column,)
        How many counts of each column have polynomials.
    """

    columns: Sequence[Counted]
    width: float
    first: int
    slot: NDArray[np.intp]
    terms: Array
    start: NDArray[np.intp]
    most: NDArray[np.intp]

    def at(self, counts: Array, exposure: Array) -> Array:
        """Return the sum of log probabilities over columns, shape (row, component), for counts (row, column), NaN for none."""
        t = np.log(np.where(exposure > 0, exposure, 1.0)) / self.width
        cell = np.floor(t)
        place = (cell - self.first).astype(np.intp)
        inside = (exposure > 0) & (place >= 0) & (place < len(self.slot))
        slot = np.where(inside, self.slot.take(place, mode="clip"), -1)[:, None]
        usual = (slot >= 0) & (counts < self.most)
        lines = np.where(usual, self.start + slot * self.most + np.where(usual, counts, 0.0).astype(np.intp), len(self.terms) - 1)
        powers = np.vander(2 * (t - cell) - 1, _DEGREE + 1, increasing=True)[:, None]
        logs = np.concatenate([self._added(lines[rows], powers[rows]) for rows in _pieces(len(lines), _CACHED)])
        for j in np.flatnonzero(~usual.all(axis=0)).tolist():
            rows = np.flatnonzero(~usual[:, j] & ~np.isnan(counts[:, j]))
            x, e, column = counts[rows, j:j + 1], exposure[rows, None], self.columns[j]
            logs[rows] += column.complete(column.of_count(x), x, e)
        return np.asarray(logs)

    def _added(self, lines: NDArray[np.intp], powers: Array) -> Array:
        """Return polynomials at powers, shape (row, component), their terms added up over columns."""
        found = self.terms.take(lines[:, 0], axis=0)
        each = np.empty_like(found)
        for line in lines.T[1:]:
            found += self.terms.take(line, axis=0, out=each, mode="clip")
        return np.asarray((powers @ found.reshape(len(lines), _DEGREE + 1, -1))[:, 0])


def _pieces(rows: int, step: int) -> list[slice]:
    return [slice(start, start + step) for start in range(0, rows, step)]


def surface(columns: Sequence[Counted], seen: Sequence[Array], exposure: Array) -> Surface | None:
    """Return the surface that pays for these rows; None where none does.

    Parameters
    ----------
    columns : sequence of Counted
        Columns with one exposure.
    seen : sequence of array
        Of each column, counts of some of the rows, NaN for none.
    exposure : array, shape (row,)
        Theirs.
    """
    logs, most, width = np.log(exposure[exposure > 0]), [_usual(own) for own in seen], _WIDEST
    while len(logs) and width >= _FINEST:
        places = np.floor(logs / width).astype(np.intp)
        first = int(places.min())
        paid = np.bincount(places - first) >= _WORTH * np.mean(most)
        starts = width * (first + np.flatnonzero(paid)).astype(np.float64)
        if len(starts) == 0:
            return None
        terms = _all_terms(columns, starts, width, most)
        if terms is not None:
            lines = np.cumsum([0, *(len(each) for each in terms)])
            whole = np.concatenate([*terms, np.zeros((1, terms[0].shape[1]))])
            return Surface(columns, width, first, np.where(paid, np.cumsum(paid) - 1, -1), whole, lines[:-1], np.array(most))
        width /= 2
    return None


def _all_terms(columns: Sequence[Counted], starts: Array, width: float, most: Sequence[int]) -> list[Array] | None:
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(lambda column, each: _terms(column, starts, width, each), columns, most))
    made = [each for each in found if each is not None]
    return made if len(made) == len(found) else None


def _usual(counts: Array) -> int:
    """Return how many counts are worth a surface: about all of them, or up to twice the usual ones."""
    counts = counts[(counts >= 0) & (counts < np.inf)]
    if len(counts) == 0:
        return 1
    return int(min(1.25 * counts.max() + 8, 2 * np.quantile(counts, _USUAL) + 16, _MOST - 1)) + 1


def _terms(column: Counted, starts: Array, width: float, most: int) -> Array | None:
    """Return terms of polynomials, (cell, count) one behind the other; None where they do not come near enough."""
    at = np.append(_NODES, _BETWEEN)
    exposure = np.exp(starts[:, None] + (at + 1) / 2 * width).ravel()
    values = np.concatenate([column.grid(most, exposure[place]) for place in _pieces(len(exposure), _AT_ONCE)], axis=1)
    values = values.reshape(most, len(starts), len(at), -1)
    terms = np.einsum("ij,xcjk->cxik", _SOLVE, values[:, :, :_DEGREE + 1], optimize=True)
    told = np.einsum("bi,cxik->xcbk", np.vander(_BETWEEN, _DEGREE + 1, increasing=True), terms, optimize=True)
    exact = values[:, :, _DEGREE + 1:]
    if (np.abs(told - exact) > _NEAR * np.maximum(np.abs(exact), 1.0)).any():
        return None
    return np.asarray(terms.reshape(len(starts) * most, -1))


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """The sum over columns of log probabilities, for rows of counts, NaN for none, with exposures behind them.

    Attributes
    ----------
    columns : sequence of Counted
        The columns.
    fixed : sequence of bool
        Whether the exposure of a column is 1 throughout.
    each : sequence of callable
        Of counts and exposures of each column, shape (row, 1), to log probabilities.
    together : callable or None
        Of counts and exposures of the columns that are not fixed, shape (row, column), to log probabilities of each.
    """

    columns: Sequence[Counted]
    fixed: Sequence[bool]
    each: Sequence[Callable[[Array, Array], Array]]
    together: Callable[[Array, Array], Array] | None

    @classmethod
    def of(cls, columns: Sequence[Counted], fixed: Sequence[bool]) -> Density:
        """Return the density of columns."""
        each = [of_counts(column) if alone else of_both(column) for column, alone in zip(columns, fixed, strict=True)]
        free = [column for column, alone in zip(columns, fixed, strict=True) if not alone]
        return cls(columns, fixed, each, free[0].together(free) if free else None)

    def __call__(self, z: Array) -> Array:
        """Return log probabilities, shape (row, component)."""
        size = len(self.columns)
        if self.together is None or len(z) > _FEW:
            return self._one_by_one(range(size), z)
        alone, free = ([j for j in range(size) if self.fixed[j] == fixed] for fixed in (True, False))
        held = ~np.isnan(z[:, free])
        logs = self.together(np.where(held, z[:, free], 0.0), z[:, [size + j for j in free]]) * held[..., None]
        return np.asarray(logs.sum(axis=1) + (self._one_by_one(alone, z) if alone else 0.0))

    def ready(self, columns: Sequence[Array]) -> Callable[[Array], Array]:
        """Return the same function, made ready for many rows like these, given as columns of counts and then of exposures."""
        size, step = len(self.columns), max(len(columns[0]) // _LOOKED_AT, 1)
        counts, exposures = columns[:size], columns[size:]
        left, found = [j for j in range(size) if not self.fixed[j]], []
        while left:
            first = exposures[left[0]]
            each = [j for j in left if exposures[j] is first or np.array_equal(exposures[j], first)]
            own = surface([self.columns[j] for j in each], [counts[j][::step] for j in each], first)
            if own is not None:
                found.append((each, own))
            left = [j for j in left if j not in each]
        rest = [j for j in range(size) if not any(j in each for each, _ in found)]

        def density(rows: Array) -> Array:
            logs = self._one_by_one(rest, rows) if rest else 0.0
            for each, own in found:
                logs = logs + own.at(rows[:, each], rows[:, size + each[0]])
            return np.asarray(logs)

        return density

    def _one_by_one(self, places: Sequence[int], z: Array) -> Array:
        logs: Array | float = 0.0
        for j in places:
            x, e = z[:, j:j + 1], z[:, len(self.columns) + j:len(self.columns) + j + 1]
            held = ~np.isnan(x)
            logs = logs + (self.each[j](x, e) if held.all() else self.each[j](np.where(held, x, 0.0), e) * held)
        return np.asarray(logs)
