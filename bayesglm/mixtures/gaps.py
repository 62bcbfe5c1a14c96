"""Gaps: jointly Gaussian columns of which some values are missing.

Rows are grouped by which values they have. For precision P and mean m, the missing part x_m of a row given its observed part
x_o is Gaussian with precision P_mm and mean m_m - P_mm^-1 P_mo (x_o - m_o); x_o has precision P_oo - P_om P_mm^-1 P_mo. So a
completed row is T x_o + c with covariance V, and its sums follow from those of the observed part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesglm.mixtures.component import Array

_ROWS = 4096  # at once, to bound memory


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """How rows with the same values missing are completed, for any number of components in front.

    Attributes
    ----------
    turn : array, shape (..., column, observed)
        T.
    shift : array, shape (..., column)
        c.
    spread : array, shape (..., column, column)
        V, zero where a value is observed.
    precision : array, shape (..., observed, observed)
        Of the observed part.
    log_det : array, shape (...)
        log |P_mm|.
    """

    turn: Array
    shift: Array
    spread: Array
    precision: Array
    log_det: Array


def patterns(data: Array) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
    """Yield rows that have the same values, some thousands at most, and which columns those are.

    Examples
    --------
    >>> data = np.array([[1.0, np.nan], [2.0, 3.0], [4.0, np.nan]])
    >>> [(rows.tolist(), held.tolist()) for rows, held in patterns(data)]
    [([0, 2], [True, False]), ([1], [True, True])]
    """
    held = ~np.isnan(data)
    packed = np.packbits(held, axis=1)
    order = np.lexsort(packed.T)
    new = np.flatnonzero((packed[order[1:]] != packed[order[:-1]]).any(axis=1)) + 1
    for rows in np.split(order, new):
        key = held[rows[:1]].ravel()
        for start in range(0, len(rows), _ROWS):
            yield rows[start:start + _ROWS], key


def complete(mean: Array, precision: Array, held: NDArray[np.bool_]) -> Completion:
    """Return how rows with these columns observed are completed.

    Parameters
    ----------
    mean : array, shape (..., column)
        Means.
    precision : array, shape (..., column, column)
        Precisions.
    held : bool array, shape (column,)
        Which columns are observed.
    """
    gone = ~held
    turn = np.zeros((*mean.shape, int(held.sum())))
    turn[..., held, :] = np.eye(int(held.sum()))
    spread, shift = np.zeros(precision.shape), np.zeros(mean.shape)
    observed = precision[..., held, :][..., held]
    if not gone.any():
        return Completion(turn, shift, spread, observed, np.zeros(mean.shape[:-1]))
    across = precision[..., gone, :][..., held]
    inverse = np.linalg.inv(precision[..., gone, :][..., gone])
    slope = -inverse @ across
    turn[..., gone, :] = slope
    shift[..., gone] = mean[..., gone] - (slope @ mean[..., held][..., None])[..., 0]
    rows, columns = np.ix_(gone, gone)
    spread[..., rows, columns] = inverse
    log_det = -np.linalg.slogdet(inverse)[1]
    return Completion(turn, shift, spread, observed + across.swapaxes(-1, -2) @ slope, log_det)


def upper(data: Array) -> Array:
    """Return the products x_i x_j, i <= j, of each row."""
    i, j = np.triu_indices(data.shape[1])
    return np.asarray(data[:, i] * data[:, j])


def distance(data: Array, mean: Array, precision: Array) -> Array:
    """Return (x - m)' P (x - m), shape (..., row)."""
    i, j = np.triu_indices(data.shape[1])
    linear = (precision @ mean[..., None])[..., 0]
    square = precision[..., i, j] * np.where(i == j, 1.0, 2.0)
    around = np.concatenate([square, -2 * linear], axis=-1) @ np.hstack([upper(data), data]).T
    return np.maximum(around + (mean * linear).sum(axis=-1)[..., None], 0.0)


def completed_sums(done: Completion, data: Array, weight: Array, total: Array) -> tuple[Array, Array, Array]:
    """Return sums of weight, weight times row, and weight times products plus V, over completed rows.

    Parameters
    ----------
    done : Completion
        How the rows are completed, ``...`` in front.
    data : array, shape (row, observed)
        The observed part.
    weight : array, shape (..., row)
        Weights of the rows.
    total : array, shape (...)
        How often V is counted.

    Returns
    -------
    tuple of array
        Shapes (...), (..., column) and (..., column, column).
    """
    count, size = weight.sum(axis=-1), data.shape[1]
    first = weight @ data
    i, j = np.triu_indices(size)
    products = weight @ upper(data)
    second = np.empty((*count.shape, size, size))
    second[..., i, j] = second[..., j, i] = products
    turned = (done.turn @ first[..., None])[..., 0]
    cross = turned[..., :, None] * done.shift[..., None, :]
    square = (done.turn @ second @ done.turn.swapaxes(-1, -2) + cross + cross.swapaxes(-1, -2)
              + count[..., None, None] * done.shift[..., :, None] * done.shift[..., None, :]
              + total[..., None, None] * done.spread)
    return count, turned + count[..., None] * done.shift, square
