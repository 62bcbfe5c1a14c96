"""Ties: coordinates that are functions of others, and a standard normal that respects them.

The last k coordinates of the sparse part are tied, A x = 0 for x = (w, v) with each row of A ending in the 1 of its own. They let
the precision be sparse where what they stand for, the mean of a walk, reads all nodes at once. With P = L L' without the ties,

    x = L^-T u,      A x = H' u,      H = L^-1 A'

so the ties keep u orthogonal to the columns of H. Householder reflections Q_1 ... Q_k turn those columns into the axes of the
tied coordinates, one after the other; then u = Q_1 ... Q_k (z, 0) with z standard normal, and

    log |d(free part of x) / dz| = - log |L| - sum_j log rho_j,      rho_j = length of column j off the axes before it

Source: Rue and Held (2005), Gaussian Markov Random Fields, section 2.3.3, for the conditioning.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.cholesky import Matrix, solve_lower, solve_upper
from bayesglm.latent.kernel import inner, kernel
from bayesglm.latent.layout import Layout

Array = NDArray[np.float64]


class Ties(NamedTuple):
    """The ties in the coordinates of u.

    Attributes
    ----------
    columns : array, shape (k, S + C)
        Columns of H.
    turned : array, shape (k, S + C)
        Column j after the reflections before it.
    normals : array, shape (k, S + C)
        v_j, with Q_j = I - 2 v_j v_j' / |v_j|^2.
    lengths : array, shape (k,)
        rho_j.
    """

    columns: Array
    turned: Array
    normals: Array
    lengths: Array


def tie_matrix(layout: Layout) -> Array:
    """Return A over the sparse part, shape (k, S)."""
    ties, size = len(layout.tie_first), len(layout.start) - 1
    found = np.zeros((ties, size))
    found[np.arange(ties), size - ties + np.arange(ties)] = 1.0
    np.add.at(found, (np.repeat(np.arange(ties), layout.tie_last - layout.tie_first), layout.tie_place), layout.tie_value)
    return found


@kernel
def tied(layout: Layout, w: Array) -> Array:
    """Return the sparse part, shape (S,), with what is tied to its free coordinates, which come first in w."""
    free = len(layout.start) - 1 - len(layout.tie_first)
    out = np.zeros(len(layout.start) - 1)
    out[:free] = w[:free]
    for j in range(len(layout.tie_first)):
        for k in range(layout.tie_first[j], layout.tie_last[j]):
            out[free + j] -= layout.tie_value[k] * out[layout.tie_place[k]]
    return out


@kernel
def tied_back(layout: Layout, d_w: Array) -> Array:
    """Return the gradient in the free coordinates, zeros behind it, given the one in all."""
    free = len(layout.start) - 1 - len(layout.tie_first)
    out = d_w.copy()
    for j in range(len(layout.tie_first)):
        for k in range(layout.tie_first[j], layout.tie_last[j]):
            out[layout.tie_place[k]] -= layout.tie_value[k] * d_w[free + j]
    out[free:] = 0.0
    return out


@kernel
def ties(layout: Layout, lower: Matrix) -> Ties:
    """Return the ties in the coordinates of u."""
    size, wide = lower.cross.shape
    count = len(layout.tie_first)
    free = size - count
    columns, turned = np.zeros((count, size + wide)), np.empty((count, size + wide))
    normals, lengths = np.empty((count, size + wide)), np.empty(count)
    for j in range(count):
        columns[j, free + j] = 1.0
        for k in range(layout.tie_first[j], layout.tie_last[j]):
            columns[j, layout.tie_place[k]] = layout.tie_value[k]
        solve_lower(layout, lower, columns[j, :size], columns[j, size:])
        turned[j] = columns[j]
        for i in range(j):
            _reflect(normals[i], turned[j])
        normals[j] = turned[j]
        normals[j, free:free + j] = 0.0
        lengths[j] = np.sqrt(inner(normals[j], normals[j]))
        normals[j, free + j] += lengths[j]
    return Ties(columns, turned, normals, lengths)


@kernel
def _reflect(normal: Array, x: Array) -> None:
    """Overwrite x by Q x."""
    x -= (2.0 * inner(normal, x) / inner(normal, normal)) * normal


@kernel
def _reflect_back(normal: Array, x: Array, d_x: Array, d_normal: Array) -> None:
    """Overwrite the gradient in Q x by the one in x, and add the one in v."""
    square, along, slope = inner(normal, normal), inner(normal, x), inner(normal, d_x)
    d_normal += (-2.0 / square) * (along * d_x + slope * x) + (4.0 * along * slope / (square * square)) * normal
    d_x -= (2.0 * slope / square) * normal


@kernel
def onto_axes(ties: Ties, x: Array) -> None:
    """Overwrite x by Q_k ... Q_1 x."""
    for j in range(len(ties.lengths)):
        _reflect(ties.normals[j], x)


@kernel
def from_axes(ties: Ties, x: Array) -> None:
    """Overwrite x by Q_1 ... Q_k x."""
    for j in range(len(ties.lengths) - 1, -1, -1):
        _reflect(ties.normals[j], x)


@kernel
def from_axes_back(ties: Ties, x: Array, d_x: Array, d_normals: Array) -> None:
    """Overwrite the gradient in x, what `from_axes` returned, by the one in what it was given; add the one in the normals."""
    at = x.copy()
    for j in range(len(ties.lengths)):
        _reflect(ties.normals[j], at)
        _reflect_back(ties.normals[j], at, d_x, d_normals[j])


@kernel
def onto_axes_back(ties: Ties, x: Array, d_x: Array, d_normals: Array) -> None:
    """Do the same for `onto_axes`, which was given x."""
    at = x.copy()
    onto_axes(ties, at)
    for j in range(len(ties.lengths) - 1, -1, -1):
        _reflect(ties.normals[j], at)
        _reflect_back(ties.normals[j], at, d_x, d_normals[j])


@kernel
def ties_back(layout: Layout, lower: Matrix, ties: Ties, d_normals: Array) -> Array:
    """Return L^-T times the gradient in the columns of H, that of - sum log rho included, shape (k, S + C).

    The gradient in the normals is overwritten.
    """
    count, size = len(ties.lengths), len(lower.cross)
    free = size - count
    out = np.empty((count, ties.columns.shape[1]))
    for j in range(count - 1, -1, -1):
        length, d_at = ties.lengths[j], d_normals[j]
        # v = h + rho e, rho = |h|, with h the turned column off the axes before.
        slope = (d_at[free + j] - 1.0 / length) / length
        d_at += slope * ties.normals[j]
        d_at[free + j] -= slope * length
        d_at[free:free + j] = 0.0
        at = ties.turned[j].copy()
        for i in range(j - 1, -1, -1):
            _reflect(ties.normals[i], at)
            _reflect_back(ties.normals[i], at, d_at, d_normals[i])
        solve_upper(layout, lower, d_at[:size], d_at[size:])
        out[j] = d_at
    return out
