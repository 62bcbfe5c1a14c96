"""Cholesky: the sparse factor P = L L' with its solves, and the way back from a gradient in L to one in P.

P has a sparse part, which is eliminated first in a fill-reducing order, and a dense core of few coordinates:

    P = [ P_ss  P_sc ]      L = [ L_ss   0  ]      L_ss L_ss' = P_ss,   E = L_ss^-1 P_sc,   R R' = P_cc - E' E
        [ P_cs  P_cc ]          [  E'    R  ]

The pattern of L_ss is found once (`bayesglm.latent.elimination`); every entry that an elimination changes is known by its number,
so that the numeric factor is a straight line of multiplications, and the derivative is the same line walked backwards. One
grouping factor has no entries beside its own blocks: an arrow, linear in the levels.

Where the last columns of L_ss are full and most products go to them, as with two crossed factors, they and the core are one
dense matrix while the factor is made:

    D = [ P_tt  P_tc ]  - sum_j e_j e_j'  = U' U,      e_j = what column j of L has in these rows
        [ P_ct  P_cc ]

Source: Davis (2006), Direct Methods for Sparse Linear Systems, chapter 4; Smith (1995), Journal of Computational and Graphical
Statistics 4, 134, for the derivative.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesglm.latent.elimination import Columns
from bayesglm.latent.kernel import kernel

Array = NDArray[np.float64]


class Matrix(NamedTuple):
    """A symmetric matrix over the sparse part and the core by its lower entries, its factor, or a gradient in either.

    Attributes
    ----------
    sparse : array, shape (entries,)
        Entries of the sparse part, on the pattern of L_ss.
    cross : array, shape (S, C)
        Sparse part by core; E of a factor.
    core : array, shape (C, C)
        The core, of which the lower triangle is read; R of a factor.
    """

    sparse: Array
    cross: Array
    core: Array


@kernel
def factor(pattern: Columns, p: Matrix) -> bool:
    """Overwrite P by L; False where P is not positive definite."""
    if not _first_factor(pattern, p.sparse, p.cross):
        return False
    dense = _last(pattern, p)
    _take_squares(_reaching(pattern, p), dense)
    if not _dense_factor(dense):
        return False
    _put_last(pattern, dense, p)
    return True


@kernel
def _first_factor(pattern: Columns, sparse: Array, cross: Array) -> bool:
    """Overwrite (P_ss, P_sc) by (L_ss, E), column by column but for the last ones; False where P_ss is not positive definite."""
    start, row, target, last = pattern.start, pattern.row, pattern.target, pattern.last
    wide, at = cross.shape[1], 0
    for j in range(len(last)):
        first, end = start[j], start[j + 1]
        if not sparse[first] > 0.0:
            return False
        pivot = np.sqrt(sparse[first])
        sparse[first] = pivot
        inverse = 1.0 / pivot
        for p in range(first + 1, end):
            sparse[p] *= inverse
        for c in range(wide):
            cross[j, c] *= inverse
        for q in range(first + 1, last[j]):
            value = sparse[q]
            for p in range(q, end):
                sparse[target[at]] -= sparse[p] * value
                at += 1
            i = row[q]
            for c in range(wide):
                cross[i, c] -= value * cross[j, c]
    return True


@kernel
def _last(pattern: Columns, matrix: Matrix) -> Array:
    """Return the last columns and the core as a dense matrix, the entries of its upper triangle."""
    size, wide = matrix.cross.shape
    first = len(pattern.last)
    full = size - first
    dense = np.zeros((full + wide, full + wide))
    for i in range(full):
        at = pattern.start[first + i]
        for j in range(i, full):
            dense[i, j] = matrix.sparse[at + j - i]
        for c in range(wide):
            dense[i, full + c] = matrix.cross[first + i, c]
    for c in range(wide):
        for d in range(c, wide):
            dense[full + c, full + d] = matrix.core[d, c]
    return dense


@kernel
def _put_last(pattern: Columns, dense: Array, matrix: Matrix) -> None:
    """Write the upper triangle of a dense matrix to the last columns and the core, whose upper triangle becomes 0."""
    size, wide = matrix.cross.shape
    first = len(pattern.last)
    full = size - first
    for i in range(full):
        at = pattern.start[first + i]
        for j in range(i, full):
            matrix.sparse[at + j - i] = dense[i, j]
        for c in range(wide):
            matrix.cross[first + i, c] = dense[i, full + c]
    for c in range(wide):
        for d in range(wide):
            matrix.core[d, c] = dense[full + c, full + d] if d >= c else 0.0


@kernel
def _reaching(pattern: Columns, matrix: Matrix) -> Array:
    """Return e_j of the first columns, shape (first, last + C)."""
    size, wide = matrix.cross.shape
    first = len(pattern.last)
    full = size - first
    if full == 0:
        return matrix.cross
    found = np.zeros((first, full + wide))
    for j in range(first):
        for p in range(pattern.last[j], pattern.start[j + 1]):
            found[j, pattern.row[p] - first] = matrix.sparse[p]
        for c in range(wide):
            found[j, full + c] = matrix.cross[j, c]
    return found


@kernel
def _take_squares(each: Array, dense: Array) -> None:
    """Subtract e_j e_j' of every row, four rows at a time: so many fit in the registers."""
    size = len(dense)
    fours = len(each) // 4
    for j in range(fours):
        a, b, c, d = each[4 * j], each[4 * j + 1], each[4 * j + 2], each[4 * j + 3]
        for i in range(size):
            for k in range(size):
                dense[i, k] -= a[i] * a[k] + b[i] * b[k] + c[i] * c[k] + d[i] * d[k]
    for j in range(4 * fours, len(each)):
        for i in range(size):
            for k in range(size):
                dense[i, k] -= each[j, i] * each[j, k]


@kernel
def _dense_factor(upper: Array) -> bool:
    """Overwrite the upper triangle of D by U, D = U' U; False where it is not positive definite."""
    size = len(upper)
    for k in range(size):
        if not upper[k, k] > 0.0:
            return False
        pivot = np.sqrt(upper[k, k])
        upper[k, k] = pivot
        inverse = 1.0 / pivot
        for j in range(k + 1, size):
            upper[k, j] *= inverse
        for i in range(k + 1, size):
            value = upper[k, i]
            for j in range(i, size):
                upper[i, j] -= value * upper[k, j]
    return True


@kernel
def log_determinant(pattern: Columns, lower: Matrix) -> float:
    """Return log |L|."""
    total = 0.0
    for j in range(len(lower.cross)):
        total += np.log(lower.sparse[pattern.start[j]])
    for c in range(len(lower.core)):
        total += np.log(lower.core[c, c])
    return total


@kernel
def solve_lower(pattern: Columns, lower: Matrix, x: Array, y: Array) -> None:
    """Overwrite (x, y) by L^-1 (x, y): x sparse part, y core."""
    sparse, cross, core = lower
    size, wide = cross.shape
    for j in range(size):
        value = x[j] / sparse[pattern.start[j]]
        x[j] = value
        for p in range(pattern.start[j] + 1, pattern.start[j + 1]):
            x[pattern.row[p]] -= sparse[p] * value
        for c in range(wide):
            y[c] -= cross[j, c] * value
    for c in range(wide):
        for k in range(c):
            y[c] -= core[c, k] * y[k]
        y[c] /= core[c, c]


@kernel
def solve_upper(pattern: Columns, lower: Matrix, x: Array, y: Array) -> None:
    """Overwrite (x, y) by L^-T (x, y): x sparse part, y core."""
    sparse, cross, core = lower
    size, wide = cross.shape
    for c in range(wide - 1, -1, -1):
        y[c] /= core[c, c]
        for k in range(c):
            y[k] -= core[c, k] * y[c]
    for j in range(size - 1, -1, -1):
        value = x[j]
        for c in range(wide):
            value -= cross[j, c] * y[c]
        for p in range(pattern.start[j] + 1, pattern.start[j + 1]):
            value -= sparse[p] * x[pattern.row[p]]
        x[j] = value / sparse[pattern.start[j]]


@kernel
def factor_back(pattern: Columns, lower: Matrix, gradient: Matrix) -> None:
    """Overwrite the gradient in L by the one in the lower entries of P.

    A function of P is read as one of its lower entries, each standing for both places of P; so is the gradient.
    """
    d_dense = _last(pattern, gradient)
    _dense_factor_back(_last(pattern, lower), d_dense)
    slopes = _times(_reaching(pattern, lower), d_dense)
    _first_factor_back(pattern, lower.sparse, lower.cross, gradient.sparse, gradient.cross, slopes)
    for i in range(len(d_dense)):
        d_dense[i, i] *= 0.5
    _put_last(pattern, d_dense, gradient)


@kernel
def _times(each: Array, dense: Array) -> Array:
    """Return e_j' D for every row, four rows of D at a time."""
    count, size = each.shape
    out = np.zeros((count, size))
    fours = size // 4
    for j in range(count):
        for i in range(fours):
            a, b, c, d = each[j, 4 * i], each[j, 4 * i + 1], each[j, 4 * i + 2], each[j, 4 * i + 3]
            for k in range(size):
                out[j, k] += a * dense[4 * i, k] + b * dense[4 * i + 1, k] + c * dense[4 * i + 2, k] + d * dense[4 * i + 3, k]
        for i in range(4 * fours, size):
            for k in range(size):
                out[j, k] += each[j, i] * dense[i, k]
    return out


@kernel
def _dense_factor_back(upper: Array, gradient: Array) -> None:
    """Overwrite the gradient in the upper triangle of U by the one in D, symmetric: of e' D e it would be 2 e e'."""
    size = len(upper)
    for k in range(size - 1, -1, -1):
        for i in range(k + 1, size):
            value = upper[k, i]
            for j in range(k + 1, size):
                gradient[k, j] -= value * gradient[i, j]
        inverse = 1.0 / upper[k, k]
        pivot = gradient[k, k]
        for j in range(k + 1, size):
            gradient[k, j] *= inverse
            pivot -= gradient[k, j] * upper[k, j]
            gradient[j, k] = gradient[k, j]
        gradient[k, k] = pivot * inverse


@kernel
def _first_factor_back(pattern: Columns, sparse: Array, cross: Array, d_sparse: Array, d_cross: Array, slopes: Array) -> None:
    """Overwrite the gradient in (L_ss, E) by the one in (P_ss, P_sc): `_first_factor` walked backwards.

    The slopes are those in e_j of what was taken from D, with the other sign.
    """
    start, row, target, last = pattern.start, pattern.row, pattern.target, pattern.last
    first_columns, wide = len(last), cross.shape[1]
    full = len(cross) - first_columns
    at = len(target)
    for j in range(first_columns - 1, -1, -1):
        first, end = start[j], start[j + 1]
        for p in range(last[j], end):
            d_sparse[p] -= slopes[j, row[p] - first_columns]
        for c in range(wide):
            d_cross[j, c] -= slopes[j, full + c]
        own, others = end - first - 1, end - last[j]
        at -= (own * (own + 1) - others * (others + 1)) // 2
        t = at
        for q in range(first + 1, last[j]):
            i, value, slope = row[q], sparse[q], 0.0
            for c in range(wide):
                slope -= d_cross[i, c] * cross[j, c]
                d_cross[j, c] -= value * d_cross[i, c]
            for p in range(q, end):
                back = d_sparse[target[t]]
                d_sparse[p] -= back * value
                slope -= back * sparse[p]
                t += 1
            d_sparse[q] += slope
        inverse = 1.0 / sparse[first]
        pivot = d_sparse[first]
        for p in range(first + 1, end):
            d_sparse[p] *= inverse
            pivot -= d_sparse[p] * sparse[p]
        for c in range(wide):
            d_cross[j, c] *= inverse
            pivot -= d_cross[j, c] * cross[j, c]
        d_sparse[first] = pivot * 0.5 * inverse
