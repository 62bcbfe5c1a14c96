"""Cholesky: the sparse factor P = L L' with its solves, and the way back from a gradient in L to one in P.

P has a sparse part, which is eliminated first in a fill-reducing order, and a dense core of few coordinates:

    P = [ P_ss  P_sc ]      L = [ L_ss   0  ]      L_ss L_ss' = P_ss,   E = L_ss^-1 P_sc,   R R' = P_cc - E' E
        [ P_cs  P_cc ]          [  E'    R  ]

The pattern of L_ss is found once (`analyse`); every entry that an elimination changes is known by its number, so that the numeric
factor is a straight line of multiplications, and the derivative is the same line walked backwards. One grouping factor has no
entries beside its own blocks: an arrow, linear in the levels.

Source: Davis (2006), Direct Methods for Sparse Linear Systems, chapter 4; Smith (1995), Journal of Computational and Graphical
Statistics 4, 134, for the derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from bayesglm.latent.kernel import kernel

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class Pattern(NamedTuple):
    """The pattern of L_ss by columns, in the order of elimination.

    Attributes
    ----------
    start : int array, shape (S + 1,)
        Where each column begins.
    row : int array, shape (entries,)
        Row of each entry, ascending within a column, the diagonal first.
    target : int array
        For every pair of entries below a diagonal, the entry that their product is taken from.
    """

    start: Index
    row: Index
    target: Index


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


def starts(lengths: Index) -> Index:
    """Return where each of several stretches begins, and last where all end.

    Examples
    --------
    >>> starts(np.array([2, 3])).tolist()
    [0, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def eliminate(adjacent: sp.csc_array, last: NDArray[np.bool_] | None = None) -> tuple[Index, list[Index]]:
    """Return a fill-reducing order of nodes, and for each node in that order the later nodes that its column of L reaches.

    Parameters
    ----------
    adjacent : sparse array, shape (node, node)
        Symmetric, nonzero where P couples two nodes.
    last : bool array, shape (node,), optional
        Nodes that come behind all others, as they are numbered.

    Examples
    --------
    >>> order, below = eliminate(sp.csc_array(np.eye(3)))
    >>> [each.tolist() for each in below]
    [[], [], []]
    """
    nodes = adjacent.shape[0]
    couplings = sp.coo_array(adjacent)
    apart = couplings.row != couplings.col
    end = np.zeros(nodes, np.bool_) if last is None else last
    if not apart.any():
        return np.argsort(end, kind="stable").astype(np.int64), [np.empty(0, np.int64)] * nodes
    row, column = couplings.row[apart], couplings.col[apart]
    # Values that make the matrix positive definite; only the pattern matters.
    ones = sp.csc_array((np.full(len(row), -1.0), (row, column)), shape=adjacent.shape)
    definite = sp.csc_array(ones + sp.diags_array(np.asarray(-ones.sum(axis=1)) + 1.0))
    factored = splu(definite, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    order = np.argsort(factored.perm_c).astype(np.int64)
    order = np.concatenate([order[~end[order]], np.flatnonzero(end)])
    place = np.argsort(order)
    permuted = sp.csc_array((np.ones(len(row)), (place[row], place[column])), shape=adjacent.shape)
    below: list[Index] = []
    children: list[list[int]] = [[] for _ in range(nodes)]
    for j in range(nodes):
        own = permuted.indices[permuted.indptr[j]:permuted.indptr[j + 1]].astype(np.int64)
        reached = np.unique(np.concatenate([own[own > j], *(below[child][1:] for child in children[j])]))
        below.append(reached)
        if reached.size:
            children[int(reached[0])].append(j)
    return order, below


def products(below: Sequence[Index], sizes: Index) -> float:
    """Return how many products a numeric factor takes, for nodes of so many coordinates each, as in `analyse`.

    Examples
    --------
    >>> products([np.array([1]), np.array([], np.int64)], np.array([2, 1]))
    4.0
    """
    reach = np.array([sizes[each].sum() for each in below], np.float64)
    return float(sum(((reach + k) * (reach + k + 1) / 2 * (sizes > k)).sum() for k in range(int(sizes.max(initial=0)))))


def analyse(below: Sequence[Index], sizes: Index) -> tuple[Index, Pattern]:
    """Return where each node begins, and the pattern of L_ss, for nodes of so many coordinates each.

    Parameters
    ----------
    below : list of int array
        From `eliminate`.
    sizes : int array, shape (node,)
        Number of coordinates of each node, in the order of elimination.
    """
    begin = starts(sizes)
    # Of a node's columns, each is one shorter than the one before; below the node's own block they are all alike.
    lengths = [np.arange(size, 0, -1) + int(sizes[each].sum()) for size, each in zip(sizes.tolist(), below, strict=True)]
    start = starts(np.concatenate([np.zeros(0, np.int64), *lengths]))
    later = np.concatenate([np.zeros(0, np.int64), *below])
    first = starts(np.array([len(each) for each in below], np.int64))
    row = _rows(begin, sizes, first, later, start)
    return begin[:-1], Pattern(start, row, _targets(start, row))


@kernel
def _rows(begin: Index, sizes: Index, first: Index, later: Index, start: Index) -> Index:
    """Return the row of each entry: a node's own, then those of the later nodes that it reaches."""
    rows = np.empty(start[-1], np.int64)
    at = 0
    for node in range(len(sizes)):
        for a in range(sizes[node]):
            for b in range(a, sizes[node]):
                rows[at] = begin[node] + b
                at += 1
            for m in range(first[node], first[node + 1]):
                for b in range(sizes[later[m]]):
                    rows[at] = begin[later[m]] + b
                    at += 1
    return rows


@kernel
def _targets(start: Index, row: Index) -> Index:
    """Return the entry (row of p, row of q) for all entries p >= q below the diagonal of a column, column by column."""
    size = len(start) - 1
    count = 0
    for j in range(size):
        m = start[j + 1] - start[j] - 1
        count += m * (m + 1) // 2
    target = np.empty(count, np.int64)
    at = 0
    for j in range(size):
        for q in range(start[j] + 1, start[j + 1]):
            k = start[row[q]]
            for p in range(q, start[j + 1]):
                while row[k] != row[p]:
                    k += 1
                target[at] = k
                at += 1
    return target


@kernel
def entry(pattern: Pattern, row: Index, column: Index) -> Index:
    """Return the number of each entry (row, column), row >= column, of L_ss."""
    found = np.empty(len(row), np.int64)
    for i in range(len(row)):
        low, high = pattern.start[column[i]], pattern.start[column[i] + 1]
        found[i] = low + np.searchsorted(pattern.row[low:high], row[i])
    return found


@kernel
def factor(pattern: Pattern, p: Matrix) -> bool:
    """Overwrite P by L; False where P is not positive definite."""
    if not _sparse_factor(pattern, p.sparse, p.cross):
        return False
    size, wide = p.cross.shape
    for j in range(size):
        for c in range(wide):
            value = p.cross[j, c]
            for d in range(c + 1):
                p.core[c, d] -= value * p.cross[j, d]
    return _dense_factor(p.core)


@kernel
def _sparse_factor(pattern: Pattern, sparse: Array, cross: Array) -> bool:
    """Overwrite (P_ss, P_sc) by (L_ss, E), column by column; False where P_ss is not positive definite."""
    start, row, target = pattern
    size, wide = cross.shape
    at = 0
    for j in range(size):
        first, end = start[j], start[j + 1]
        if not sparse[first] > 0.0:
            return False
        pivot = np.sqrt(sparse[first])
        sparse[first] = pivot
        inverse = 1.0 / pivot
        for p in range(first + 1, end):
            sparse[p] *= inverse
        for q in range(first + 1, end):
            value = sparse[q]
            for p in range(q, end):
                sparse[target[at]] -= sparse[p] * value
                at += 1
        for c in range(wide):
            cross[j, c] *= inverse
        for p in range(first + 1, end):
            value = sparse[p]
            i = row[p]
            for c in range(wide):
                cross[i, c] -= value * cross[j, c]
    return True


@kernel
def _dense_factor(core: Array) -> bool:
    """Overwrite the lower triangle by its Cholesky factor, and the upper one by 0; False where it is not positive definite."""
    wide = core.shape[0]
    for c in range(wide):
        for d in range(c + 1):
            total = core[c, d]
            for k in range(d):
                total -= core[c, k] * core[d, k]
            if c == d:
                if not total > 0.0:
                    return False
                core[c, c] = np.sqrt(total)
            else:
                core[c, d] = total / core[d, d]
        for d in range(c + 1, wide):
            core[c, d] = 0.0
    return True


@kernel
def log_determinant(pattern: Pattern, lower: Matrix) -> float:
    """Return log |L|."""
    total = 0.0
    for j in range(len(lower.cross)):
        total += np.log(lower.sparse[pattern.start[j]])
    for c in range(len(lower.core)):
        total += np.log(lower.core[c, c])
    return total


@kernel
def solve_lower(pattern: Pattern, lower: Matrix, x: Array, y: Array) -> None:
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
def solve_upper(pattern: Pattern, lower: Matrix, x: Array, y: Array) -> None:
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
def factor_back(pattern: Pattern, lower: Matrix, gradient: Matrix) -> None:
    """Overwrite the gradient in L by the one in the lower entries of P.

    A function of P is read as one of its lower entries, each standing for both places of P; so is the gradient.
    """
    _dense_factor_back(lower.core, gradient.core)
    size, wide = lower.cross.shape
    for j in range(size):
        for c in range(wide):
            slope = 0.0
            for d in range(c):
                slope += gradient.core[c, d] * lower.cross[j, d]
            for d in range(c + 1, wide):
                slope += gradient.core[d, c] * lower.cross[j, d]
            gradient.cross[j, c] -= slope + 2.0 * gradient.core[c, c] * lower.cross[j, c]
    _sparse_factor_back(pattern, lower.sparse, lower.cross, gradient.sparse, gradient.cross)


@kernel
def _dense_factor_back(core: Array, d_core: Array) -> None:
    """Overwrite the gradient in R by the one in the lower triangle of R R'."""
    for c in range(core.shape[0] - 1, -1, -1):
        for d in range(c, -1, -1):
            if c == d:
                slope = d_core[c, c] / (2.0 * core[c, c])
                d_core[c, c] = slope
                for k in range(c):
                    d_core[c, k] -= 2.0 * slope * core[c, k]
            else:
                slope = d_core[c, d] / core[d, d]
                d_core[d, d] -= slope * core[c, d]
                d_core[c, d] = slope
                for k in range(d):
                    d_core[c, k] -= slope * core[d, k]
                    d_core[d, k] -= slope * core[c, k]


@kernel
def _sparse_factor_back(pattern: Pattern, sparse: Array, cross: Array, d_sparse: Array, d_cross: Array) -> None:
    """Overwrite the gradient in (L_ss, E) by the one in (P_ss, P_sc): `_sparse_factor` walked backwards."""
    start, row, target = pattern
    size, wide = cross.shape
    at = len(target)
    for j in range(size - 1, -1, -1):
        first, end = start[j], start[j + 1]
        for p in range(first + 1, end):
            i, value, slope = row[p], sparse[p], 0.0
            for c in range(wide):
                slope += d_cross[i, c] * cross[j, c]
                d_cross[j, c] -= value * d_cross[i, c]
            d_sparse[p] -= slope
        m = end - first - 1
        at -= m * (m + 1) // 2
        t = at
        for q in range(first + 1, end):
            value, slope = sparse[q], 0.0
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
